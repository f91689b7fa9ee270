//! Where each input goes.

use super::api::{Reply, Request, RequestError};
use super::contract::{Input, Ready, RelayNotice, RequestId};
use super::founding::FoundingError;
use super::ledger::Asker;
use super::{Node, failures, leaving, moves, view};
use crate::ids::NodeId;
use crate::limits;
use crate::raft::Priority;
use crate::wire::peer::{Ask, PeerMessage, Proposal, Verdict};
use crate::wire::session::{Frame, Kind, Peer, Presence, Profile, Welcome};
use std::collections::BTreeMap;

impl Node {
    pub(super) fn take(&mut self, input: Input, ready: &mut Ready) {
        match input {
            Input::Connected(welcome) => self.connected(welcome, ready),
            Input::Founded => {
                self.founding.recorded();
                self.state_changed(ready);
            }
            Input::Disconnected => self.disconnected(ready),
            Input::Presence(presence) => self.presence(presence, ready),
            Input::Frames(frames) => {
                frames.into_iter().for_each(|(from, frame)| self.frame(from, frame, ready));
            }
            Input::Requests(requests) => {
                requests.into_iter().for_each(|(id, request)| self.request(id, request, ready));
            }
            Input::Abandoned { id } => self.abandoned(id, ready),
            Input::Persisted(sequence) => self.consensus.persisted(self.around.now, sequence),
            Input::Block { ticket, result } => {
                self.text.block_done(&mut self.around.lend(ready), ticket, result);
            }
            Input::Computed { ticket, result } => {
                self.text.computed(&mut self.around.lend(ready), ticket, result);
            }
            Input::Profile(profile) => self.profile(profile, ready),
            Input::Leaving(leaving) => self.leaving(leaving),
            Input::Deadline => {}
        }
    }

    fn connected(&mut self, welcome: Welcome, ready: &mut Ready) {
        self.display.touch();
        let founding = self.founding.welcome(&welcome, &mut self.around, &mut self.consensus, ready);
        if let Err(error) = founding {
            self.refuse(error);
            return;
        }
        self.connected = true;
        self.refused = None;
        let before = self.before_the_cut.take();
        // Whoever is there on the first day is no news.
        let is_first = before.is_none();
        self.around.peers.extend(before.into_iter().flatten());
        let present: BTreeMap<NodeId, Profile> = (welcome.present.into_iter())
            .filter(|peer| peer.node != self.around.me)
            .map(|peer| (peer.node, peer.profile))
            .collect();
        let gone: Vec<NodeId> =
            self.around.peers.keys().filter(|node| !present.contains_key(node)).copied().collect();
        for node in gone {
            self.left(node, ready);
        }
        for (node, profile) in present {
            let is_known = self.around.peers.remove(&node).is_some();
            self.joined(node, profile, !is_first && !is_known, ready);
        }
        self.state_changed(ready);
    }

    /// The relay should never have let this node in. It stays outside, and says why.
    fn refuse(&mut self, error: FoundingError) {
        self.connected = false;
        self.around.peers.clear();
        self.refused = Some(error.to_string());
    }

    /// Raft is not told that anybody is lost: it is this node that is cut off, and to stand for election would only
    /// disturb the others.
    fn disconnected(&mut self, ready: &mut Ready) {
        self.connected = false;
        self.display.touch();
        self.founding.disconnected();
        let peers = std::mem::take(&mut self.around.peers);
        self.errands.disconnected(&self.around);
        for peer in peers.keys() {
            self.text.peer_left(&mut self.around.lend(ready), *peer);
        }
        self.before_the_cut.get_or_insert_default().extend(peers);
    }

    fn presence(&mut self, presence: Presence, ready: &mut Ready) {
        match presence {
            Presence::Joined(Peer { node, profile }) | Presence::Changed(Peer { node, profile }) => {
                if node != self.around.me {
                    self.joined(node, profile, true, ready);
                }
            }
            Presence::Left(node) => self.left(node, ready),
        }
    }

    fn joined(&mut self, node: NodeId, profile: Profile, is_news: bool, ready: &mut Ready) {
        let is_new = !self.around.peers.contains_key(&node);
        if is_new && self.around.peers.len() >= limits::ROOM_MEMBERS_MAX {
            return;
        }
        self.display.touch();
        self.steward.hurry(self.around.now);
        self.around.peers.insert(node, within_limits(profile));
        if !is_new {
            return;
        }
        self.consensus.raft.peer_back(self.around.now, node);
        self.text.peer_joined(&mut self.around.lend(ready), node);
        if is_news {
            self.happenings.joined(&self.around, node, ready);
        }
    }

    fn left(&mut self, node: NodeId, ready: &mut Ready) {
        let name = view::name_of(&self.around, node);
        if self.around.peers.remove(&node).is_none() {
            return;
        }
        self.display.touch();
        self.steward.hurry(self.around.now);
        self.happenings.left(&self.around, node, name, ready);
        self.consensus.raft.peer_lost(self.around.now, node);
        self.errands.peer_left(node, self.around.now);
        self.text.peer_left(&mut self.around.lend(ready), node);
    }

    /// What a peer sends is either understood or counted and forgotten.
    fn frame(&mut self, from: NodeId, frame: Frame, ready: &mut Ready) {
        let is_outsider = from == self.around.me || !self.founding.is_confirmed() || self.refused.is_some();
        let Ok(message) = PeerMessage::from_frame(&frame) else {
            self.frames_ignored += 1;
            return;
        };
        if is_outsider {
            self.frames_ignored += 1;
            return;
        }
        match message {
            // Refused ones (stale, doubled, out of place) are everyday life in a network; raft counts on nothing from them.
            PeerMessage::Raft(message) if leaving::refuses(&self.around, &message) => {}
            PeerMessage::Raft(message) => {
                let _refused = self.consensus.raft.step(self.around.now, from, message);
            }
            PeerMessage::Proposal(proposal) => self.proposal(from, proposal),
            PeerMessage::Block(message) => {
                self.text.block_message(&mut self.around.lend(ready), from, message, frame.bulk);
            }
            PeerMessage::Task(message) => {
                self.text.task_message(&mut self.around.lend(ready), from, message);
            }
            PeerMessage::Gossip(message) => {
                self.display.touch();
                self.gossip.message(&self.around, from, message, ready);
            }
        }
    }

    fn proposal(&mut self, from: NodeId, proposal: Proposal) {
        match proposal {
            Proposal::Ask(asks) => {
                asks.into_iter().for_each(|(ticket, ask)| self.asked(Asker { node: from, ticket }, ask));
            }
            Proposal::Answer(verdicts) => {
                for (ticket, verdict) in verdicts {
                    self.errands.judged(from, ticket, verdict, self.around.now);
                }
            }
            Proposal::Transfer { .. } | Proposal::RemoveMember { .. } => {
                moves::carry_out(proposal, &self.around, &mut self.consensus, &mut self.steward);
            }
        }
    }

    fn asked(&mut self, asker: Asker, ask: Ask) {
        let taken = match ask {
            Ask::Apply(command) if !command.is_for_members() => {
                self.frames_ignored += 1;
                return;
            }
            Ask::Apply(command) => self.ledger.propose(&self.around, &mut self.consensus, asker, command),
            Ask::ReadIndex => self.ledger.read(&mut self.around, &mut self.consensus, asker),
        };
        if let Err(error) = taken {
            self.around.forwarding.answer(asker, Verdict::Failed(error));
        }
    }

    fn request(&mut self, id: RequestId, request: Request, ready: &mut Ready) {
        let waiting = self.errands.len() + self.requests.waiting() + self.moves.len();
        if waiting >= limits::REQUESTS_WAITING_MAX {
            ready.replies.push((id, Err(failures::too_many_waiting())));
            return;
        }
        let rest = self.requests.take(&mut self.around, &mut self.errands, id, request, ready);
        let Some(request) = rest else { return };
        let begun = match request {
            Request::Cluster => {
                ready.replies.push((id, Ok(Reply::Cluster(Box::new(self.picture())))));
                Ok(())
            }
            Request::Transfer { to } => self.moves.transfer(&self.around, id, to),
            Request::RemoveMember { node } => self.moves.remove(&self.around, id, node),
            Request::Leave => {
                self.leaving(true);
                self.moves.leave(&self.around, &self.consensus.raft.status(), id, ready);
                Ok(())
            }
            other => {
                self.text.request(&mut self.around.lend(ready), id, other);
                Ok(())
            }
        };
        if let Err(error) = begun {
            let error: RequestError = error;
            ready.replies.push((id, Err(error)));
        }
    }

    fn abandoned(&mut self, id: RequestId, ready: &mut Ready) {
        self.errands.abandon(id);
        self.requests.abandon(id);
        self.moves.abandon(id);
        self.text.abandoned(&mut self.around.lend(ready), id);
    }

    fn profile(&mut self, profile: Profile, ready: &mut Ready) {
        self.around.profile = within_limits(profile);
        self.consensus.raft.set_priority(self.priority());
        self.steward.hurry(self.around.now);
        self.display.touch();
        ready.to_relay.push(RelayNotice::Profile(self.around.profile.clone()));
    }

    fn leaving(&mut self, leaving: bool) {
        self.around.leaving = leaving;
        self.consensus.raft.set_priority(self.priority());
        self.steward.hurry(self.around.now);
    }

    pub(super) fn priority(&self) -> Priority {
        if self.around.leaving { Priority::Reluctant } else { priority_of(&self.around.profile) }
    }
}

/// Servers lead before tabs, and tabs that are seen before tabs whose timers the browser slows down.
pub(super) fn priority_of(profile: &Profile) -> Priority {
    match (profile.kind, profile.hidden) {
        (Kind::Server, _) => Priority::Preferred,
        (Kind::Tab, false) => Priority::Normal,
        (Kind::Tab, true) => Priority::Reluctant,
    }
}

/// Cuts what a node says about itself to the lengths that the replicated state takes.
pub(super) fn within_limits(mut profile: Profile) -> Profile {
    cut(&mut profile.name, limits::MEMBER_NAME_BYTES_MAX);
    profile.http = profile.http.filter(|http| http.len() <= limits::ADDRESS_BYTES_MAX);
    profile
}

fn cut(text: &mut String, bytes_max: usize) {
    let end = (0..=bytes_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
}
