//! Signs of life: the leader's heartbeats, their answers, and a leader's doubts about itself (§6.2).

use super::message::{Message, Round, StepError};
use super::mutation::Mutation;
use super::progress::Flow;
use super::types::Index;
use super::{Raft, State};
use crate::ids::NodeId;
use crate::time::Time;

impl Raft {
    /// The heartbeat interval passed: first the leader asks itself whether it still is one, then it says so.
    pub(super) fn heartbeat_due(&mut self) {
        let doubts = self.config.check_quorum && !self.config.broken(Mutation::LeaderNeverDoubts);
        if doubts && (self.has_lost_quorum() || self.is_leader_disk_stalled()) {
            return self.become_follower(self.hard_state.term, None);
        }
        self.give_up_late_transfer();
        // Only here: rounds for reads come as often as reads do. They must not put the doubts off, nor repeat questions.
        if let State::Leader(leadership) = &mut self.state {
            leadership.heartbeat_at = self.now + self.config.heartbeat_interval;
            leadership.peers.values_mut().for_each(|progress| progress.may_repeat = true);
        }
        self.beat();
        self.repeat_timeout_now();
        self.repeat_late_chunks();
    }

    /// Begins a round of heartbeats.
    pub(super) fn beat(&mut self) {
        let now = self.now;
        let commit = self.log.commit();
        let term = self.hard_state.term;
        let State::Leader(leadership) = &mut self.state else { return };
        leadership.round = Round(leadership.round.0 + 1);
        leadership.reads.round_begins(leadership.round);
        if self.config.lease_reads {
            leadership.lease.round_begins(leadership.round, now);
        }
        leadership.peers.retain(|_, progress| !progress.has_departed(now));
        for (peer, progress) in &mut leadership.peers {
            let commit = commit.min(progress.matched);
            progress.told_commit = progress.told_commit.max(commit);
            if let Some(departure) = progress.departure.as_mut().filter(|left| commit >= left.index) {
                departure.told_in.get_or_insert(leadership.round);
            }
            let message = Message::Heartbeat { term, commit, round: leadership.round };
            self.output.send_now.push((*peer, message));
        }
        self.confirm_reads();
    }

    /// When a majority was last heard, the leader itself at this moment. None without voters.
    pub(super) fn quorum_heard_at(&self) -> Option<Time> {
        let State::Leader(leadership) = &self.state else { return None };
        let heard_at = |id: NodeId| {
            if id == self.id {
                return self.now;
            }
            leadership.peers.get(&id).map_or(Time::ZERO, |progress| progress.heard_at)
        };
        self.log.membership().reached(heard_at)
    }

    fn has_lost_quorum(&self) -> bool {
        self.quorum_heard_at().is_some_and(|at| self.now.since(at) >= self.config.election_timeout)
    }

    /// A write has been on its way for an election timeout.
    pub(super) fn is_disk_stalled(&self) -> bool {
        let is_watched = !self.config.broken(Mutation::DiskStallIgnored);
        is_watched
            && self
                .writes
                .waiting_since()
                .is_some_and(|at| self.now.since(at) >= self.config.election_timeout)
    }

    /// A leader whose disk hangs makes way, unless nobody else could do any better.
    fn is_leader_disk_stalled(&self) -> bool {
        let alone = self.log.membership().all_voters().iter().all(|voter| *voter == self.id);
        !alone && self.is_disk_stalled()
    }

    /// The leader knows this member to hold everything up to `commit`.
    pub(super) fn handle_heartbeat(
        &mut self,
        from: NodeId,
        commit: Index,
        round: Round,
    ) -> Result<(), StepError> {
        if commit > self.log.last().index {
            return Err(StepError::Malformed("a heartbeat commits what this member does not hold"));
        }
        self.log.commit_to(commit);
        if round != Round::default() {
            self.send(from, Message::HeartbeatResponse { term: self.hard_state.term, round });
        }
        Ok(())
    }

    pub(super) fn handle_heartbeat_response(&mut self, from: NodeId, round: Round) {
        let last = self.log.last().index;
        let State::Leader(leadership) = &mut self.state else { return };
        let newest = leadership.round;
        let Some(progress) = leadership.peers.get_mut(&from) else { return };
        let round = if self.config.broken(Mutation::AnyAnswerConfirmsReads) { newest } else { round };
        progress.round = progress.round.max(round.min(newest));
        let repeats = std::mem::take(&mut progress.may_repeat);
        match &mut progress.flow {
            Flow::Probe { waiting } if repeats => *waiting = false,
            // An acknowledgement may have been lost, or entries: an empty append finds out which.
            Flow::Replicate(_) if repeats && progress.matched < last => self.send_empty_append(from),
            _ => {}
        }
        self.wake_replication();
        self.confirm_reads();
    }
}
