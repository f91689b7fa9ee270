//! Linearizable reads without a log entry: ReadIndex (§6.4).
//!
//! A read takes the commit index of its moment and waits until a majority has answered a heartbeat that was sent after
//! that moment. Rounds are numbered by the leader, so a late answer to an earlier round confirms nothing newer.

use super::message::Round;
use super::mutation::Mutation;
use super::output::{Output, ReadError, ReadOutcome};
use super::types::{Index, ReadToken};
use super::{Raft, State};
use crate::ids::NodeId;
use std::collections::VecDeque;

/// Reads of one leader, in the order in which they came.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Reads {
    /// They came before the leader committed an entry of its own term, when it did not know the commit index.
    postponed: Vec<ReadToken>,
    /// They wait for a round to begin.
    waiting: Vec<(ReadToken, Index)>,
    /// They wait for the answers to their round.
    asked: VecDeque<(Round, Vec<(ReadToken, Index)>)>,
}

impl Reads {
    fn len(&self) -> usize {
        let asked: usize = self.asked.iter().map(|(_, reads)| reads.len()).sum();
        self.postponed.len() + self.waiting.len() + asked
    }

    /// Reads wait and no round is under way: while one is, the next gathers.
    pub fn want_round(&self) -> bool {
        !self.waiting.is_empty() && self.asked.is_empty()
    }

    /// A round begins: it confirms everything that came before.
    pub fn round_begins(&mut self, round: Round) {
        if !self.waiting.is_empty() {
            self.asked.push_back((round, std::mem::take(&mut self.waiting)));
        }
    }

    /// The leader knows its commit index now.
    pub fn leader_is_ready(&mut self, commit: Index) {
        self.waiting.extend(self.postponed.drain(..).map(|token| (token, commit)));
    }

    fn confirm(&mut self, round: Round, outcomes: &mut Vec<ReadOutcome>) {
        while let Some((_, reads)) = self.asked.front().filter(|(asked, _)| *asked <= round) {
            let answers =
                reads.iter().map(|(token, index)| ReadOutcome { token: *token, result: Ok(*index) });
            outcomes.extend(answers);
            self.asked.pop_front();
        }
    }

    /// Leadership ended: nothing is known any more.
    pub fn refuse(self, leader: Option<NodeId>, output: &mut Output) {
        let asked = self.asked.into_iter().flat_map(|(_, reads)| reads);
        let tokens = asked.chain(self.waiting).map(|(token, _)| token).chain(self.postponed);
        let refusals =
            tokens.map(|token| ReadOutcome { token, result: Err(ReadError::NotLeader { leader }) });
        output.reads.extend(refusals);
    }
}

impl Raft {
    pub(super) fn take_read(&mut self, token: ReadToken) {
        let needs_no_round = self.holds_lease() || self.config.broken(Mutation::ReadWithoutRound);
        let State::Leader(leadership) = &mut self.state else {
            let result = Err(ReadError::NotLeader { leader: self.leader });
            return self.output.reads.push(ReadOutcome { token, result });
        };
        if leadership.reads.len() >= self.config.max_pending_reads {
            self.output.reads.push(ReadOutcome { token, result: Err(ReadError::Busy) });
        } else if needs_no_round {
            self.output.reads.push(ReadOutcome { token, result: Ok(self.log.commit()) });
        } else if leadership.is_ready(&self.log) || self.config.broken(Mutation::ReadBeforeOwnCommit) {
            leadership.reads.waiting.push((token, self.log.commit()));
        } else {
            leadership.reads.postponed.push(token);
        }
    }

    /// Answers the reads whose round a majority has answered.
    pub(super) fn confirm_reads(&mut self) {
        let State::Leader(leadership) = &mut self.state else { return };
        if leadership.reads.asked.is_empty() {
            return;
        }
        let confirmed = leadership.confirmed_round(self.id, self.log.membership());
        leadership.reads.confirm(confirmed, &mut self.output.reads);
    }
}
