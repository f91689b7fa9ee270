//! Log replication as a follower does it (§3.5).

use super::Raft;
use super::entries::Entries;
use super::message::{AppendOutcome, Message, StepError};
use super::mutation::Mutation;
use super::types::{Entry, Index, Payload, Position, Term};
use crate::ids::NodeId;

impl Raft {
    pub(super) fn handle_append(
        &mut self,
        from: NodeId,
        previous: Position,
        entries: Entries,
        commit: Index,
    ) -> Result<(), StepError> {
        if previous.index < self.log.base().index {
            // All of it up to the commit index is here, or its effect in a snapshot is.
            self.acknowledge(from, self.log.commit());
            return Ok(());
        }
        if !self.log.holds(previous) {
            return self.reject_append(from, previous);
        }
        let matched = previous.index.plus(entries.len());
        let known = entries.iter().take_while(|entry| self.log.holds(entry.position())).count();
        self.replace_tail(entries.part(known..entries.len()))?;
        self.log.commit_to(commit.min(matched).min(self.log.last().index));
        self.acknowledge(from, matched);
        Ok(())
    }

    /// The entries are missing or conflict: they take the place of everything from the first one on.
    fn replace_tail(&mut self, entries: Entries) -> Result<(), StepError> {
        let Some(first) = entries.first().map(|entry| entry.index) else { return Ok(()) };
        if first <= self.log.commit() {
            return Err(StepError::Malformed("entries contradict what is committed"));
        }
        // Read before the truncation, which may take a configuration back.
        let before = (self.log.membership_index(), self.log.membership().clone());
        if first <= self.log.last().index {
            if self.config.broken(Mutation::KeepConflictingTail) {
                return Ok(());
            }
            self.log.truncate(first);
            if !self.config.broken(Mutation::OldWritesCountForNew) {
                self.writes.truncated(first);
            }
        }
        self.writes.appended(first);
        self.log.extend(entries);
        let is_same = before.0 == self.log.membership_index() && before.1 == *self.log.membership();
        self.output.state_changed |= !is_same;
        Ok(())
    }

    fn reject_append(&mut self, from: NodeId, previous: Position) -> Result<(), StepError> {
        if previous.index <= self.log.commit() {
            return Err(StepError::Malformed("a leader does not know what is committed"));
        }
        let before = Position { term: previous.term, index: previous.index.previous() };
        let hint = self.log.agreement_before(before);
        let outcome = AppendOutcome::Rejected { previous: previous.index, hint };
        self.send(from, Message::AppendResponse { term: self.hard_state.term, outcome });
        Ok(())
    }

    /// Says that the log matches up to `matched`, as soon as that is on disk.
    pub(super) fn acknowledge(&mut self, to: NodeId, matched: Index) {
        let outcome = AppendOutcome::Accepted { matched };
        let message = Message::AppendResponse { term: self.hard_state.term, outcome };
        let durable = matched <= self.writes.durable() && self.writes.is_hard_state_durable();
        if durable || self.config.broken(Mutation::AppendNotPersisted) {
            return self.send(to, message);
        }
        // One acknowledgement stands for all earlier ones that wait for the same write.
        if let Some((
            waiting_to,
            Message::AppendResponse { term, outcome: AppendOutcome::Accepted { matched: waiting } },
        )) = self.output.send_after_persist.last_mut()
            && *waiting_to == to
            && *term == self.hard_state.term
        {
            *waiting = matched.max(*waiting);
            return;
        }
        self.output.send_after_persist.push((to, message));
    }
}

/// Entries as one leader may send them: they follow each other and `previous`, and none is of a later term than the
/// message.
pub(super) fn check_append(term: Term, previous: Position, entries: &[Entry]) -> Result<(), StepError> {
    let mut before = previous;
    for entry in entries {
        if entry.index != before.index.next() || entry.index == before.index {
            return Err(StepError::Malformed("entries do not follow each other"));
        }
        if entry.term < before.term {
            return Err(StepError::Malformed("terms go down"));
        }
        if let Payload::Membership(membership) = &entry.payload {
            membership.check().map_err(|_| StepError::Malformed("an impossible configuration"))?;
        } else if before.index == Index::ZERO {
            // Snapshots of such a log would have no configuration, and no disk with one would be read again.
            return Err(StepError::Malformed("a log that does not begin with a configuration"));
        }
        before = entry.position();
    }
    if before.term > term {
        return Err(StepError::Malformed("an entry of a later term than its message"));
    }
    Ok(())
}
