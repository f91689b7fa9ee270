//! Changing the configuration while the cluster works (§4), and what that does to a leader.

use super::membership::{Membership, MembershipChange};
use super::message::{Message, Round};
use super::mutation::Mutation;
use super::types::{Payload, Position};
use super::{ChangeError, Raft, State};
use crate::time::Time;
use std::sync::Arc;

/// Election timeouts for which a peer that left is still told so.
const FAREWELL_TIMEOUTS: u32 = 10;

impl Raft {
    /// One change at a time, and none before an entry of the own term is committed: otherwise two leaders could change
    /// the same configuration into two without a common majority.
    pub(super) fn begin_change(&mut self, change: &MembershipChange) -> Result<Position, ChangeError> {
        let State::Leader(leadership) = &self.state else {
            return Err(ChangeError::NotLeader { leader: self.leader });
        };
        if leadership.transfer.is_some() {
            return Err(ChangeError::Transferring);
        }
        let unsafe_anyway = self.config.broken(Mutation::ChangeBeforeOwnCommit);
        if !leadership.is_ready(&self.log) && !unsafe_anyway {
            return Err(ChangeError::NotReady);
        }
        let membership = self.log.membership();
        let is_settled = self.log.membership_index() <= self.log.commit() && !membership.is_joint();
        if !is_settled && !unsafe_anyway {
            return Err(ChangeError::Pending);
        }
        let entered = membership.enter(change)?;
        Ok(self.append_membership(entered))
    }

    fn append_membership(&mut self, membership: Membership) -> Position {
        let last = self.log.last().index;
        let position = self.append(Payload::Membership(Arc::new(membership)));
        let farewell = self.farewell();
        if let State::Leader(leadership) = &mut self.state {
            leadership.follow_membership(self.id, &self.log, last.next(), self.now, farewell);
        }
        self.output.state_changed = true;
        position
    }

    /// Until when those that leave now are told so.
    pub(super) fn farewell(&self) -> Time {
        let timeouts = if self.config.broken(Mutation::FarewellForgotten) { 0 } else { FAREWELL_TIMEOUTS };
        self.now + self.config.election_timeout * timeouts
    }

    /// The commit index moved. A joint configuration that is committed is left at once, by whoever leads (§4.3); a leader
    /// that the committed configuration leaves without a vote hands over (§4.2.2).
    pub(super) fn membership_may_be_committed(&mut self) {
        if self.log.membership_index() > self.log.commit() {
            return;
        }
        let membership = self.log.membership().clone();
        let State::Leader(leadership) = &self.state else { return };
        let is_own = self.log.membership_index() >= leadership.noop;
        if membership.is_joint() {
            if is_own || !self.config.broken(Mutation::JointLeftByItsLeaderOnly) {
                self.append_membership(membership.leave());
            }
        } else if !membership.is_voter(self.id) && !self.config.broken(Mutation::RemovedLeaderStays) {
            self.leave_office();
        }
    }

    fn leave_office(&mut self) {
        let term = self.hard_state.term;
        let commit = self.log.commit();
        let State::Leader(leadership) = &self.state else { return };
        for (peer, progress) in &leadership.peers {
            let commit = commit.min(progress.matched);
            self.output.send_now.push((*peer, Message::Heartbeat { term, commit, round: Round::default() }));
        }
        let voters = &self.log.membership().voters;
        let successor = leadership
            .peers
            .iter()
            .filter(|(peer, _)| voters.contains(peer))
            .max_by_key(|(_, progress)| (progress.matched, progress.heard_at));
        if let Some((successor, _)) = successor {
            self.output.send_now.push((*successor, Message::TimeoutNow { term }));
        }
        self.become_follower(term, None);
    }
}
