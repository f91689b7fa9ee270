//! Lets raft and everything that follows from it come to rest.

use super::Node;
use super::api::Event;
use super::consensus::Committed;
use super::contract::Ready;
use super::errands::is_too_large;
use super::ledger::Asker;
use super::replica::{self, Applied, ReplicaError};
use super::{failures, happenings};
use crate::raft::Snapshot;
use crate::state_machine::Change;
use crate::wire::peer::Verdict;

/// Rounds of one input. What is left waits for the next: each round that does something leaves a deadline behind.
const ROUNDS_MAX: usize = 16;

impl Node {
    pub(super) fn settle(&mut self, ready: &mut Ready) {
        self.settle_raft(ready);
        std::mem::take(&mut self.around.forwarding).send(&mut self.around.lend(ready));
    }

    fn settle_raft(&mut self, ready: &mut Ready) {
        for _ in 0..ROUNDS_MAX {
            self.send_errands(ready);
            let Some(committed) = self.consensus.collect(ready) else { return };
            self.display.touch();
            if let Err(error) = self.take_in(committed, ready) {
                self.halted = true;
                ready.events.push(Event::Fatal(error.to_string()));
                return;
            }
        }
    }

    fn send_errands(&mut self, ready: &mut Ready) {
        for submission in std::mem::take(&mut self.around.submissions) {
            if !is_too_large(&submission.command) {
                self.errands.write(&mut self.around, submission);
            } else if let Some(id) = submission.request {
                ready.replies.push((id, Err(failures::command_too_large())));
            }
        }
        let finished =
            self.errands.advance(&mut self.around, &mut self.consensus, &mut self.ledger, self.applied);
        for errand in finished {
            self.requests.finished(&mut self.around.lend(ready), errand);
        }
        self.moves.advance(&mut self.around, &mut self.consensus, &mut self.steward, ready);
    }

    fn take_in(&mut self, committed: Committed, ready: &mut Ready) -> Result<(), ReplicaError> {
        if committed.state_changed {
            self.state_changed(ready);
        }
        if let Some(snapshot) = committed.install {
            self.install(&snapshot, ready)?;
        }
        let mut changes = Vec::new();
        for entry in &committed.entries {
            let applied = replica::apply(&mut self.around.machine, entry)?;
            changes.extend(self.applied(applied, ready));
        }
        for outcome in committed.reads {
            if let Some((asker, verdict)) = self.ledger.confirmed(outcome) {
                self.judge(asker, verdict);
            }
        }
        self.around.time_applied();
        self.errands.applied(self.around.now, self.applied);
        if !changes.is_empty() {
            self.text.applied(&mut self.around.lend(ready), &changes);
            self.requests.applied(&mut self.around.lend(ready), &changes);
        }
        if committed.want_snapshot {
            let snapshot = self.around.machine.snapshot();
            // One that raft does not want any more, it asks for again.
            let _stale = self.consensus.raft.compact(self.around.now, self.applied, snapshot.into());
        }
        Ok(())
    }

    pub(super) fn state_changed(&mut self, ready: &mut Ready) {
        let status = self.consensus.status();
        self.around.membership = status.membership.clone();
        let leader = status.leader.filter(|_| self.founding.is_confirmed());
        if (self.around.leader, self.around.term) == (leader, status.term) {
            return;
        }
        self.display.touch();
        let led = self.around.leader == Some(self.around.me);
        (self.around.leader, self.around.term) = (leader, status.term);
        if led {
            for (asker, verdict) in self.ledger.leadership_lost() {
                self.judge(asker, verdict);
            }
        }
        self.errands.leader_changed(&self.around);
        self.text.leader_changed(&mut self.around.lend(ready));
    }

    fn install(&mut self, snapshot: &Snapshot, ready: &mut Ready) -> Result<(), ReplicaError> {
        let changes = replica::install(&mut self.around.machine, snapshot)?;
        self.applied = snapshot.meta.last.index;
        happenings::applied(&self.around, None, &changes, ready);
        self.text.restored(&mut self.around.lend(ready));
        self.requests.restored(&mut self.around.lend(ready), &changes);
        Ok(())
    }

    fn applied(&mut self, applied: Applied, ready: &mut Ready) -> Vec<Change> {
        self.applied = applied.position.index;
        happenings::applied(&self.around, Some(applied.at), &applied.changes, ready);
        if let Some((asker, verdict)) = self.ledger.applied(applied.position, applied.outcome) {
            self.judge(asker, verdict);
        }
        applied.changes
    }

    fn judge(&mut self, asker: Asker, verdict: Verdict) {
        if asker.node == self.around.me {
            self.errands.judged(asker.node, asker.ticket, verdict, self.around.now);
        } else {
            // It is about to be woken anyway, and may be asked next for what it wrote.
            self.consensus.raft.tell_commit(asker.node);
            self.around.forwarding.answer(asker, verdict);
        }
    }
}
