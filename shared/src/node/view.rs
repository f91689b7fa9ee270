//! The cluster as this node sees it, for people.

use super::api::{ClusterView, Event, MemberView, QuorumView, RoleView};
use super::autopilot::majority;
use super::context::Surroundings;
use super::contract::Ready;
use super::diagnosis::diagnose;
use super::friendly::friendly_name;
use super::trouble::Trouble;
use crate::ids::{ClusterId, NodeId};
use crate::raft::{Role, Status};
use crate::time::Time;
use crate::wire::peer::NodeStatus;
use crate::wire::session::Kind;
use std::collections::{BTreeMap, BTreeSet};

/// What a picture is made from, beside the surroundings.
pub(super) struct Sight<'a> {
    pub cluster: Option<ClusterId>,
    pub connected: bool,
    /// Why this node is not let in, if it is not.
    pub refused: Option<&'a str>,
    pub raft: &'a Status,
    /// Newer than what this node told others of itself.
    pub own: NodeStatus,
    pub statuses: &'a BTreeMap<NodeId, NodeStatus>,
    /// Since when nothing of what waits is committed.
    pub stuck_since: Option<Time>,
    /// Since when the leader takes nothing from this node.
    pub turned_away_since: Option<Time>,
}

impl Sight<'_> {
    fn status_of(&self, node: NodeId, me: NodeId) -> NodeStatus {
        if node == me { self.own } else { self.statuses.get(&node).copied().unwrap_or_default() }
    }
}

/// Shows the picture when it changes, but not too often.
#[derive(Debug, Default)]
pub(super) struct Display {
    shown: Option<ClusterView>,
    due: Option<Time>,
    /// Something may have changed since the last look.
    stale: bool,
}

impl Display {
    pub fn touch(&mut self) {
        self.stale = true;
    }

    pub fn is_due(&self, now: Time) -> bool {
        self.stale && self.due.is_none_or(|due| due <= now)
    }

    pub fn show(&mut self, view: ClusterView, next: Time, ready: &mut Ready) {
        // What is wrong gets older, and goes away without a word.
        self.stale = view.trouble.is_some();
        self.due = Some(next);
        if self.shown.as_ref() != Some(&view) {
            ready.events.push(Event::Cluster(Box::new(view.clone())));
            self.shown = Some(view);
        }
    }

    pub fn deadline(&self) -> Option<Time> {
        if self.stale { self.due } else { None }
    }
}

pub(super) fn picture(around: &Surroundings, sight: &Sight<'_>) -> ClusterView {
    let trouble = diagnose(around, sight);
    ClusterView {
        node: around.me,
        cluster: sight.cluster,
        term: around.term.get(),
        leader: around.leader,
        quorum: quorum(around),
        members: members(around, sight),
        trouble: trouble.as_ref().map(Trouble::to_string),
        remedy: trouble.as_ref().map(Trouble::remedy),
        trouble_code: trouble.as_ref().map(Trouble::code),
    }
}

/// Of the voters in force; while a change is under way, of the half that is worse off.
pub(super) fn quorum(around: &Surroundings) -> QuorumView {
    let of = |voters: &BTreeSet<NodeId>| {
        let online = voters.iter().filter(|voter| around.is_online(**voter)).count() as u32;
        let needed = if voters.is_empty() { 0 } else { majority(voters.len()) as u32 };
        QuorumView {
            voters: voters.len() as u32,
            online,
            needed,
            can_lose: online.saturating_sub(needed),
            healthy: around.leader.is_some() && needed > 0 && online >= needed,
        }
    };
    let incoming = of(&around.membership.voters);
    if around.membership.outgoing.is_empty() {
        return incoming;
    }
    let outgoing = of(&around.membership.outgoing);
    let slack = |half: &QuorumView| i64::from(half.online) - i64::from(half.needed);
    if slack(&outgoing) < slack(&incoming) { outgoing } else { incoming }
}

/// By what people call it: as it says itself, as the cluster remembers, or as its id has it.
pub(super) fn name_of(around: &Surroundings, node: NodeId) -> String {
    let said = around.profile_of(node).map(|profile| profile.name.clone());
    let remembered = || around.machine.state().members.get(&node).map(|record| record.name.clone());
    let name = said.filter(|name| !name.is_empty()).or_else(remembered).filter(|name| !name.is_empty());
    name.unwrap_or_else(|| friendly_name(node))
}

pub(super) fn kind_of(around: &Surroundings, node: NodeId) -> Kind {
    let said = around.profile_of(node).map(|profile| profile.kind);
    let remembered = || around.machine.state().members.get(&node).map(|record| record.kind);
    said.or_else(remembered).unwrap_or(Kind::Tab)
}

/// Members, and whoever else is connected.
fn members(around: &Surroundings, sight: &Sight<'_>) -> Vec<MemberView> {
    let mut nodes = around.membership.members();
    nodes.extend(around.peers.keys().copied());
    nodes.insert(around.me);
    let leader_last = around.leader.map_or(0, |leader| sight.status_of(leader, around.me).last);
    nodes.into_iter().map(|node| member(node, around, sight, leader_last)).collect()
}

fn member(node: NodeId, around: &Surroundings, sight: &Sight<'_>, leader_last: u64) -> MemberView {
    let profile = around.profile_of(node);
    let record = around.machine.state().members.get(&node);
    let http = match profile {
        Some(profile) => profile.http.clone(),
        None => record.and_then(|record| record.http.clone()),
    };
    let status = sight.status_of(node, around.me);
    MemberView {
        node,
        name: name_of(around, node),
        kind: kind_of(around, node),
        role: role(node, around, sight.raft),
        online: sight.connected && profile.is_some(),
        hidden: profile.is_some_and(|profile| profile.hidden),
        http,
        term: status.term,
        last: status.last,
        commit: status.commit,
        applied: status.applied,
        lag: leader_last.saturating_sub(status.applied),
        chunks: status.blocks,
        bytes: status.bytes,
        speed: status.speed,
        threads: profile.map_or(status.threads, |profile| profile.threads),
        busy: status.busy,
        digest: format!("{:016x}", status.digest),
    }
}

fn role(node: NodeId, around: &Surroundings, raft: &Status) -> RoleView {
    let stands = matches!(raft.role, Role::Candidate | Role::PreCandidate);
    if around.leader == Some(node) {
        RoleView::Leader
    } else if node == around.me && stands {
        RoleView::Candidate
    } else if around.membership.is_voter(node) {
        RoleView::Follower
    } else if around.membership.contains(node) {
        RoleView::Learner
    } else {
        RoleView::Joining
    }
}
