//! Lease reads (§6.4.1), where the configuration asks for them.
//!
//! A member that hears its leader promises to help nobody else for an election timeout, by its own clock. The leader
//! knows of the promise when the answer comes, but counts from the moment at which it sent the question, which is
//! earlier by every clock. While a majority's promises last, nobody else can have been elected, so its commit index is
//! the newest there is. Only the leader itself can release the others: by handing leadership over.

use super::message::Round;
use super::mutation::Mutation;
use super::{Raft, State};
use crate::ids::NodeId;
use crate::time::Time;
use std::collections::VecDeque;

/// Rounds whose sending a leader remembers. Forgetting the oldest only makes leases shorter.
const ROUNDS_MAX: usize = 64;

/// When a leader's rounds of heartbeats were sent.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Lease {
    sent: VecDeque<(Round, Time)>,
    /// Somebody may have been told to stand at once: nothing can be counted on for the rest of this leadership.
    has_ended: bool,
}

impl Lease {
    pub fn round_begins(&mut self, round: Round, now: Time) {
        if self.sent.len() == ROUNDS_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back((round, now));
    }

    pub fn end(&mut self) {
        self.has_ended = true;
    }

    /// When the promises began that the answers to `round` speak of.
    fn begins(&self, round: Round) -> Option<Time> {
        let sent = self.sent.iter().rev().find(|(sent, _)| *sent <= round).map(|(_, at)| *at);
        sent.filter(|_| !self.has_ended)
    }
}

impl Raft {
    pub(super) fn promise_lease(&mut self) {
        if self.config.lease_reads {
            self.promised_until = self.now + self.config.election_timeout;
        }
    }

    pub(super) fn has_promised_not_to_help(&self, candidate: NodeId) -> bool {
        self.config.lease_reads && self.now < self.promised_until && self.leader != Some(candidate)
    }

    /// Whether this leader knows without asking that there is no other.
    pub(super) fn holds_lease(&self) -> bool {
        let State::Leader(leadership) = &self.state else { return false };
        if !self.config.lease_reads || !leadership.is_ready(&self.log) {
            return false;
        }
        let begins = if self.config.broken(Mutation::LeaseFromAnswers) {
            self.quorum_heard_at()
        } else {
            leadership.lease.begins(leadership.confirmed_round(self.id, self.log.membership()))
        };
        begins.is_some_and(|at| self.now.since(at) < self.config.election_timeout * 3 / 4)
    }
}
