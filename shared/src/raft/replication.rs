//! Log replication as the leader does it (§3.5), and what commits (§3.6.2).

use super::config::Config;
use super::entries::Entries;
use super::leadership::Leadership;
use super::log::Log;
use super::message::{AppendOutcome, Message, Round, StepError};
use super::mutation::Mutation;
use super::progress::{Flow, Progress, SnapshotTransfer};
use super::types::{Entry, Index, Payload, Position, Term};
use super::{Raft, State};
use crate::ids::NodeId;
use crate::time::Time;

impl Raft {
    /// Adds an entry of the own term at the end of the log.
    pub(super) fn append(&mut self, payload: Payload) -> Position {
        let entry = Entry { term: self.hard_state.term, index: self.log.last().index.next(), payload };
        let position = entry.position();
        self.append_run(vec![entry].into());
        position
    }

    /// Adds entries of the own term at the end of the log. They go to disk and to the followers as they are.
    pub(super) fn append_run(&mut self, entries: Entries) {
        self.writes.appended(self.log.last().index.next());
        self.log.extend(entries);
        self.wake_replication();
    }

    pub(super) fn wake_replication(&mut self) {
        if let State::Leader(leadership) = &mut self.state {
            leadership.pump = true;
        }
    }

    /// Sends to every peer what its window has room for.
    pub(super) fn pump(&mut self) {
        let Some((leadership, mut outbox)) = self.outbox() else { return };
        if !std::mem::take(&mut leadership.pump) {
            return;
        }
        let tell_at = leadership.tell_at.unwrap_or(outbox.now + outbox.config.commit_delay);
        let mut all_told = true;
        for (peer, progress) in &mut leadership.peers {
            outbox.pump(*peer, progress);
            if tell_at <= outbox.now || progress.told_commit < progress.asked_commit {
                outbox.tell_commit(*peer, progress);
            }
            all_told &= outbox.news_for(progress).is_none();
        }
        leadership.tell_at = (!all_told).then_some(tell_at);
    }

    /// A leader tells this member what is committed by now, without [`Config::commit_delay`]: at once, or as soon as it has
    /// acknowledged it.
    pub fn tell_commit(&mut self, to: NodeId) {
        let Some((leadership, mut outbox)) = self.outbox() else { return };
        if let Some(progress) = leadership.peers.get_mut(&to) {
            progress.asked_commit = outbox.log.commit();
            outbox.tell_commit(to, progress);
        }
    }

    fn outbox(&mut self) -> Option<(&mut Leadership, Outbox<'_>)> {
        let State::Leader(leadership) = &mut self.state else { return None };
        let outbox = Outbox {
            term: self.hard_state.term,
            now: self.now,
            log: &self.log,
            config: &self.config,
            messages: &mut self.output.send_now,
        };
        Some((leadership, outbox))
    }

    /// A question about where the logs agree that carries nothing, so it may go even if the window is full.
    pub(super) fn send_empty_append(&mut self, to: NodeId) {
        let State::Leader(leadership) = &mut self.state else { return };
        let Some(progress) = leadership.peers.get(&to) else { return };
        let index = progress.next.previous();
        let Some(term) = self.log.term_at(index) else { return };
        let previous = Position { term, index };
        let commit = self.log.commit();
        self.send(
            to,
            Message::Append { term: self.hard_state.term, previous, entries: Entries::default(), commit },
        );
    }

    pub(super) fn handle_append_response(
        &mut self,
        from: NodeId,
        outcome: AppendOutcome,
    ) -> Result<(), StepError> {
        match outcome {
            AppendOutcome::Accepted { matched } if matched > self.log.last().index => {
                return Err(StepError::Malformed("an acknowledgement of entries that were never sent"));
            }
            AppendOutcome::Accepted { matched } => self.accepted(from, matched),
            AppendOutcome::Rejected { previous, hint } => self.rejected(from, previous, hint),
        }
        self.wake_replication();
        Ok(())
    }

    fn accepted(&mut self, from: NodeId, matched: Index) {
        let base = self.log.base().index;
        let State::Leader(leadership) = &mut self.state else { return };
        let Some(progress) = leadership.peers.get_mut(&from) else { return };
        let news = matched > progress.matched;
        if news || self.config.broken(Mutation::MatchedMovesBack) {
            progress.matched = matched;
        }
        progress.next = progress.next.max(progress.matched.next());
        match &mut progress.flow {
            Flow::Replicate(window) => window.free_to(matched),
            Flow::Probe { .. } if matched == progress.matched => progress.replicate(),
            // Whatever brought the follower here, the log can take it on from there.
            Flow::Snapshot(_) if progress.matched >= base => progress.replicate(),
            Flow::Snapshot(transfer) if progress.matched >= transfer.snapshot.meta.last.index => {
                progress.probe();
            }
            Flow::Probe { .. } | Flow::Snapshot(_) => {}
        }
        if news {
            self.advance_commit();
            self.finish_transfer(from);
        }
    }

    fn rejected(&mut self, from: NodeId, previous: Index, hint: Position) {
        let State::Leader(leadership) = &mut self.state else { return };
        let Some(progress) = leadership.peers.get_mut(&from) else { return };
        let is_trusting = self.config.broken(Mutation::StaleRejectionCounts);
        match progress.flow {
            Flow::Replicate(_) if previous > progress.matched || is_trusting => progress.probe(),
            Flow::Probe { .. } if previous == progress.next.previous() => {
                // A hint from before our base leads to a snapshot, so there is no use in asking further up.
                let is_known = hint.index >= self.log.base().index;
                let agreement = if is_known { self.log.agreement_before(hint).index } else { hint.index };
                progress.next = previous.min(agreement.next()).max(progress.matched.next());
                progress.flow = Flow::Probe { waiting: false };
            }
            // It answers a question that is settled.
            _ => {}
        }
    }

    /// Moves the commit index to what a majority holds, if that is an entry of the own term: earlier ones commit with it,
    /// never by being counted (§3.6.2).
    pub(super) fn advance_commit(&mut self) {
        let Some(reached) = self.reached_by_quorum() else { return };
        let counts = self.log.term_at(reached) == Some(self.hard_state.term)
            || self.config.broken(Mutation::CommitPriorTerm);
        if !counts || !self.log.commit_to(reached) {
            return;
        }
        self.wake_replication();
        let State::Leader(leadership) = &mut self.state else { return };
        if leadership.is_ready(&self.log) {
            leadership.reads.leader_is_ready(self.log.commit());
            self.membership_may_be_committed();
        }
    }

    fn reached_by_quorum(&self) -> Option<Index> {
        let State::Leader(leadership) = &self.state else { return None };
        let own = if self.config.broken(Mutation::LeaderCountsUnwritten) {
            self.log.last().index
        } else {
            self.writes.durable()
        };
        let matched = |id: NodeId| {
            if id == self.id {
                return own;
            }
            leadership.peers.get(&id).map_or(Index::ZERO, |progress| progress.matched)
        };
        if self.config.broken(Mutation::JointIgnoresOutgoing) {
            return super::quorum::reached(&self.log.membership().voters, matched);
        }
        if self.config.broken(Mutation::CommitWithoutSlowest) {
            let mut voters = self.log.membership().voters.clone();
            let slowest = voters.iter().copied().min_by_key(|id| matched(*id))?;
            voters.remove(&slowest);
            return super::quorum::reached(&voters, matched);
        }
        self.log.membership().reached(matched)
    }
}

/// Writes a leader's messages about its log.
struct Outbox<'a> {
    term: Term,
    now: Time,
    log: &'a Log,
    config: &'a Config,
    messages: &'a mut Vec<(NodeId, Message)>,
}

impl Outbox<'_> {
    fn pump(&mut self, peer: NodeId, progress: &mut Progress) {
        let is_idle =
            self.config.broken(Mutation::IdleLogSendsNoSnapshot) && self.log.last() == self.log.base();
        // Whoever has not answered a question may not be there.
        let may_begin = !matches!(progress.flow, Flow::Snapshot(_) | Flow::Probe { waiting: true });
        if may_begin && progress.next <= self.log.base().index && !is_idle {
            let Some((snapshot, digest)) = self.log.snapshot() else { return };
            progress.flow = Flow::Snapshot(SnapshotTransfer::new(snapshot.clone(), digest, self.now));
        }
        match &mut progress.flow {
            Flow::Probe { waiting: true } => {}
            Flow::Probe { waiting } => {
                *waiting = true;
                self.append(peer, progress);
            }
            Flow::Replicate(_) => self.stream(peer, progress),
            Flow::Snapshot(transfer) => {
                while let Some(range) = transfer.next_chunk(self.config) {
                    let message = transfer.message(self.term, range);
                    self.messages.push((peer, message));
                }
            }
        }
    }

    fn stream(&mut self, peer: NodeId, progress: &mut Progress) {
        let last = self.log.last().index;
        while progress.next <= last {
            match &progress.flow {
                Flow::Replicate(window) if !window.is_full(self.config) => {}
                _ => return,
            }
            let (sent, bytes) = self.append(peer, progress);
            if let Flow::Replicate(window) = &mut progress.flow {
                window.add(sent, bytes);
            }
            progress.next = sent.next();
        }
    }

    /// Sends the entries from `next` on, as many as one message takes. Gives back the last one and their bytes.
    fn append(&mut self, peer: NodeId, progress: &mut Progress) -> (Index, usize) {
        let index = progress.next.previous();
        let Some(term) = self.log.term_at(index) else { return (index, 0) };
        let entries = self.log.entries_from(progress.next, self.config.max_append_bytes);
        let sent = index.plus(entries.len());
        let bytes = entries.iter().map(Entry::size).sum();
        let commit = self.log.commit();
        // A probe may fail, and then nothing was told.
        if matches!(progress.flow, Flow::Replicate(_)) {
            progress.told_commit = progress.told_commit.max(commit.min(sent));
        }
        let previous = Position { term, index };
        self.messages.push((peer, Message::Append { term: self.term, previous, entries, commit }));
        (sent, bytes)
    }

    /// What a follower holds and does not know to be committed.
    fn news_for(&self, progress: &Progress) -> Option<Index> {
        Some(self.log.commit().min(progress.matched)).filter(|commit| *commit > progress.told_commit)
    }

    /// Tells a follower that what it holds is committed, unless an append did. Nobody waits for an answer.
    fn tell_commit(&mut self, peer: NodeId, progress: &mut Progress) {
        let Some(commit) = self.news_for(progress) else { return };
        progress.told_commit = commit;
        let round = Round::default();
        self.messages.push((peer, Message::Heartbeat { term: self.term, commit, round }));
    }
}
