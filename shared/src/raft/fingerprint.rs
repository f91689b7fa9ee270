//! What tells two members apart for the model checker: everything that can make a difference to what they do next.
//!
//! Left out are the random generator and the patience that was drawn from it, because a model of time lets it end at
//! any moment, and moments themselves: of them counts only which bound of time they have passed. Every structure is
//! taken apart without `..`, so that nothing new is left out by accident.

use super::leadership::{Leadership, Transfer};
use super::progress::{Departure, Progress};
use super::{Raft, State};
use crate::time::Time;
use std::hash::{Hash, Hasher};

impl Raft {
    /// Two members of the same cluster with the same fingerprint behave alike, if each clock only ever moves by much less
    /// than an election timeout or by more than one.
    pub fn fingerprint(&self, hasher: &mut impl Hasher) {
        let Raft {
            id,
            config: _,
            priority,
            rng: _,
            now: _,
            hard_state,
            log,
            writes,
            state,
            leader,
            // What people are told.
            campaign: _,
            leader_contact,
            doubted,
            promised_until,
            election_deadline: _,
            asked_at: _,
            is_in_the_way,
            prompt_attempts,
            snapshot_not_before,
            incoming,
            output,
        } = self;
        debug_assert!(output.is_empty(), "the output is taken first");
        (id, priority, hard_state, log, leader, prompt_attempts, snapshot_not_before, incoming).hash(hasher);
        is_in_the_way.hash(hasher);
        leader_contact.map(|at| self.is_long_ago(at)).hash(hasher);
        let still_doubted = doubted.iter().filter(|(_, until)| self.now < **until).map(|(peer, _)| peer);
        still_doubted.collect::<Vec<_>>().hash(hasher);
        writes.fingerprint(hasher);
        writes.waiting_since().map(|at| self.is_long_ago(at)).hash(hasher);
        std::mem::discriminant(state).hash(hasher);
        (self.now < *promised_until).hash(hasher);
        match state {
            State::Follower => {}
            State::PreCandidate(votes) => (votes, self.has_just_asked()).hash(hasher),
            State::Candidate(votes) => votes.hash(hasher),
            State::Leader(leadership) => self.leadership_fingerprint(leadership, hasher),
        }
    }

    fn leadership_fingerprint(&self, leadership: &Leadership, hasher: &mut impl Hasher) {
        let Leadership { peers, noop, round, reads, heartbeat_at: _, tell_at, transfer, pump, lease } =
            leadership;
        (noop, round, reads, pump, tell_at.is_some()).hash(hasher);
        if self.config.lease_reads {
            lease.hash(hasher);
        }
        if let Some(Transfer { to, until }) = transfer {
            (to, self.now >= *until).hash(hasher);
        }
        for (peer, progress) in peers {
            let Progress {
                matched,
                next,
                flow,
                heard_at,
                may_repeat,
                round,
                told_commit,
                asked_commit,
                departure,
            } = progress;
            (
                peer,
                matched,
                next,
                flow,
                self.is_long_ago(*heard_at),
                may_repeat,
                round,
                told_commit,
                asked_commit,
            )
                .hash(hasher);
            if let Some(Departure { index, told_in, until }) = departure {
                let timeouts_left =
                    until.since(self.now).as_micros() / self.config.election_timeout.as_micros();
                (index, told_in, timeouts_left).hash(hasher);
            }
        }
    }

    fn is_long_ago(&self, at: Time) -> bool {
        self.now.since(at) >= self.config.election_timeout
    }
}
