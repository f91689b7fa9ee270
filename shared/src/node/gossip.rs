//! How everybody is doing: each member tells the leader, the leader tells everybody.

use super::api::Event;
use super::consensus::Consensus;
use super::context::Surroundings;
use super::contract::Ready;
use super::text_plane::TextPlane;
use crate::ids::NodeId;
use crate::limits;
use crate::time::Time;
use crate::wire::peer::{Gossip as Message, JobProgress, NodeStatus, PeerMessage};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Gossip {
    statuses: BTreeMap<NodeId, NodeStatus>,
    /// What was told last, and when.
    told: Option<(Told, Time)>,
    progress_told: Vec<JobProgress>,
    due: Option<Time>,
}

#[derive(Clone, Debug, PartialEq)]
enum Told {
    ToLeader(NodeId, NodeStatus),
    ToAll(Vec<(NodeId, NodeStatus)>),
}

impl Gossip {
    pub fn statuses(&self) -> &BTreeMap<NodeId, NodeStatus> {
        &self.statuses
    }

    pub fn message(&mut self, around: &Surroundings, from: NodeId, message: Message, ready: &mut Ready) {
        let is_from_leader = around.leader == Some(from);
        match message {
            Message::Status(status) => self.remember(around, from, status),
            Message::Statuses(statuses) if is_from_leader => {
                for (node, status) in statuses.into_iter().take(limits::ROOM_MEMBERS_MAX) {
                    self.remember(around, node, status);
                }
            }
            Message::Progress(progress) if is_from_leader => ready.events.push(Event::Progress(progress)),
            // Word of a leader that is none any more.
            Message::Statuses(_) | Message::Progress(_) => {}
        }
    }

    /// This node knows best about itself, and nothing is kept of strangers.
    fn remember(&mut self, around: &Surroundings, node: NodeId, status: NodeStatus) {
        if node != around.me && (around.is_online(node) || around.membership.contains(node)) {
            self.statuses.insert(node, status);
        }
    }

    /// Tells what is new, but not too often, and what is not new now and then.
    pub fn advance(
        &mut self,
        around: &mut Surroundings,
        consensus: &Consensus,
        text: &TextPlane,
        ready: &mut Ready,
    ) {
        if self.due.is_some_and(|due| due > around.now) {
            return;
        }
        self.due = Some(around.now + around.config.gossip_interval);
        self.statuses.insert(around.me, own_status(around, consensus, text));
        self.statuses.retain(|node, _| around.is_online(*node) || around.membership.contains(*node));
        self.tell_progress(around, text, ready);
        let Some(words) = self.words(around) else { return };
        let idle = around.config.gossip_idle_interval;
        let is_news =
            self.told.as_ref().is_none_or(|(told, at)| *told != words || around.now.since(*at) >= idle);
        if !is_news {
            return;
        }
        match &words {
            Told::ToLeader(leader, status) => {
                around.lend(ready).control(*leader, &PeerMessage::Gossip(Message::Status(*status)));
            }
            Told::ToAll(statuses) => {
                to_all(around, Message::Statuses(statuses.clone()), ready);
            }
        }
        self.told = Some((words, around.now));
    }

    fn words(&self, around: &Surroundings) -> Option<Told> {
        let leader = around.leader?;
        if leader == around.me {
            return Some(Told::ToAll(self.statuses.iter().map(|(node, status)| (*node, *status)).collect()));
        }
        self.statuses.get(&around.me).map(|status| Told::ToLeader(leader, *status))
    }

    fn tell_progress(&mut self, around: &mut Surroundings, text: &TextPlane, ready: &mut Ready) {
        let progress = if around.leader == Some(around.me) { text.progress() } else { Vec::new() };
        if progress == self.progress_told {
            return;
        }
        if around.leader == Some(around.me) {
            to_all(around, Message::Progress(progress.clone()), ready);
            ready.events.push(Event::Progress(progress.clone()));
        }
        self.progress_told = progress;
    }

    pub fn deadline(&self) -> Option<Time> {
        self.due
    }
}

pub(super) fn own_status(around: &Surroundings, consensus: &Consensus, text: &TextPlane) -> NodeStatus {
    let status = consensus.status();
    let load = text.load();
    NodeStatus {
        term: status.term.get(),
        last: status.last.index.get(),
        commit: status.commit.get(),
        applied: status.delivered.get(),
        digest: around.machine.digest(),
        blocks: load.blocks,
        bytes: load.bytes,
        speed: load.speed,
        threads: around.profile.threads,
        busy: load.busy,
        hidden: around.profile.hidden,
    }
}

fn to_all(around: &mut Surroundings, message: Message, ready: &mut Ready) {
    let message = PeerMessage::Gossip(message);
    let peers: Vec<NodeId> = around.peers.keys().copied().collect();
    for peer in peers {
        around.lend(ready).control(peer, &message);
    }
}
