//! Leadership transfers and removals that a client asked for: told to the leader until they are to be seen here.

use super::api::{Reply, RequestError};
use super::consensus::Consensus;
use super::context::Surroundings;
use super::contract::{Ready, RequestId};
use super::steward::Steward;
use super::{failures, leaving};
use crate::ids::NodeId;
use crate::raft::Status;
use crate::time::Time;
use crate::wire::peer::{PeerMessage, Proposal};
use crate::wire::session::Kind;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Moves {
    open: BTreeMap<RequestId, Move>,
}

#[derive(Debug)]
struct Move {
    goal: Goal,
    again_at: Time,
    expires_at: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    Leader(NodeId),
    Without(NodeId),
    /// Anybody but this node.
    AnotherLeader,
}

impl Moves {
    pub fn len(&self) -> usize {
        self.open.len()
    }

    pub fn transfer(
        &mut self,
        around: &Surroundings,
        id: RequestId,
        to: Option<NodeId>,
    ) -> Result<(), RequestError> {
        let to = match to {
            Some(to) => to,
            None => best_other_voter(around).ok_or_else(failures::no_other_voter)?,
        };
        if !around.membership.voters.contains(&to) {
            return Err(failures::not_a_voter(to));
        }
        if !around.is_online(to) {
            return Err(failures::voter_offline(to));
        }
        self.begin(around, id, Goal::Leader(to));
        Ok(())
    }

    pub fn remove(&mut self, around: &Surroundings, id: RequestId, node: NodeId) -> Result<(), RequestError> {
        if around.is_online(node) {
            return Err(failures::still_online(node));
        }
        if !is_known(around, node) {
            return Err(failures::no_member(node));
        }
        self.begin(around, id, Goal::Without(node));
        Ok(())
    }

    /// A leader that nobody can follow, and who does not lead, may go at once.
    pub fn leave(&mut self, around: &Surroundings, status: &Status, id: RequestId, ready: &mut Ready) {
        if status.is_leader() && !leaving::successors(around, status).is_empty() {
            self.begin(around, id, Goal::AnotherLeader);
        } else {
            ready.replies.push((id, Ok(Reply::Done)));
        }
    }

    fn begin(&mut self, around: &Surroundings, id: RequestId, goal: Goal) {
        let expires_at = around.now + around.config.request_timeout;
        self.open.insert(id, Move { goal, again_at: around.now, expires_at });
    }

    pub fn abandon(&mut self, id: RequestId) {
        self.open.remove(&id);
    }

    /// Answers what is reached or out of time, and reminds the leader of the rest.
    pub fn advance(
        &mut self,
        around: &mut Surroundings,
        consensus: &mut Consensus,
        steward: &mut Steward,
        ready: &mut Ready,
    ) {
        let now = around.now;
        for (id, ended) in
            self.open.extract_if(.., |_, open| open.goal.is_reached(around) || open.expires_at <= now)
        {
            let result = match ended.goal {
                goal if goal.is_reached(around) => Ok(Reply::Done),
                Goal::Leader(_) | Goal::AnotherLeader => Err(failures::move_out_of_time(around)),
                Goal::Without(node) => Err(failures::removal_out_of_time(around, node)),
            };
            ready.replies.push((id, result));
        }
        for open in self.open.values_mut().filter(|open| open.again_at <= now) {
            let Some(leader) = around.leader else { continue };
            open.again_at = now + around.config.ask_again_after;
            let Some(proposal) = open.goal.as_proposal() else { continue };
            if leader == around.me {
                carry_out(proposal, around, consensus, steward);
            } else {
                let message = PeerMessage::Proposal(proposal);
                around.lend(ready).control(leader, &message);
            }
        }
    }

    /// Without a leader there is nobody to remind; one that appears does so by an input of its own.
    pub fn deadline(&self, leader: Option<NodeId>) -> Option<Time> {
        let next = |open: &Move| leader.map_or(open.expires_at, |_| open.again_at.min(open.expires_at));
        self.open.values().map(next).min()
    }
}

/// The leader's side. What cannot be done now is asked for again by whoever wants it.
pub(super) fn carry_out(
    proposal: Proposal,
    around: &Surroundings,
    consensus: &mut Consensus,
    steward: &mut Steward,
) {
    match proposal {
        Proposal::Transfer { to } if around.is_online(to) => {
            let _not_now = consensus.raft.transfer(around.now, to);
        }
        Proposal::RemoveMember { node } if !around.is_online(node) && is_known(around, node) => {
            steward.remove(around.now, node);
        }
        _ => {}
    }
}

fn is_known(around: &Surroundings, node: NodeId) -> bool {
    around.membership.contains(node) || around.machine.state().members.contains_key(&node)
}

impl Goal {
    fn is_reached(self, around: &Surroundings) -> bool {
        match self {
            Goal::Leader(to) => around.leader == Some(to),
            Goal::AnotherLeader => around.leader.is_some_and(|leader| leader != around.me),
            Goal::Without(node) => !is_known(around, node),
        }
    }

    /// `None`: this node sees to it by itself.
    fn as_proposal(self) -> Option<Proposal> {
        match self {
            Goal::Leader(to) => Some(Proposal::Transfer { to }),
            Goal::Without(node) => Some(Proposal::RemoveMember { node }),
            Goal::AnotherLeader => None,
        }
    }
}

/// Servers before tabs that somebody looks at, those before hidden ones.
fn best_other_voter(around: &Surroundings) -> Option<NodeId> {
    let voters = around.membership.voters.iter().filter(|voter| Some(**voter) != around.leader);
    let ranked = voters.filter(|voter| around.is_online(**voter)).map(|voter| {
        let profile = around.profile_of(*voter);
        let is_tab = profile.is_none_or(|profile| profile.kind == Kind::Tab);
        let is_hidden = profile.is_some_and(|profile| profile.hidden);
        (is_tab, is_hidden, *voter)
    });
    ranked.min().map(|(_, _, voter)| voter)
}
