//! What a leader's raft holds, and for whom: commands until they are applied, reads until they are confirmed.

use super::consensus::Consensus;
use super::context::Surroundings;
use super::contract::Ticket;
use crate::ids::NodeId;
use crate::limits;
use crate::raft::{Index, Position, ProposeError, ReadError, ReadOutcome, ReadToken, Term};
use crate::state_machine::{Command, Outcome, Stamped};
use crate::wire::peer::{ForwardError, Verdict};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Ledger {
    writes: BTreeMap<Index, (Term, Asker)>,
    reads: BTreeMap<ReadToken, Asker>,
    /// Whoever asks twice before the answer is answered once.
    asked: BTreeSet<Asker>,
}

/// A node, maybe this one, and its name for the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asker {
    pub node: NodeId,
    pub ticket: Ticket,
}

impl Ledger {
    /// Appends a command to the log under this leader's time; its verdict follows unless this fails.
    pub fn propose(
        &mut self,
        around: &Surroundings,
        consensus: &mut Consensus,
        asker: Asker,
        command: Command,
    ) -> Result<(), ForwardError> {
        if self.asked.contains(&asker) {
            return Ok(());
        }
        self.admit()?;
        let bytes = Stamped { at: around.stamp(), by: asker.node, command }.encode();
        match consensus.raft.propose(around.now, [bytes.into()]) {
            Ok(entries) => {
                for entry in &entries {
                    self.writes.insert(entry.index, (entry.term, asker));
                }
                self.asked.insert(asker);
                Ok(())
            }
            Err(ProposeError::NotLeader { leader }) => Err(ForwardError::NotLeader { leader }),
            Err(ProposeError::Busy | ProposeError::Transferring) => Err(ForwardError::Busy),
            // Its sender checks the size first, so this is a peer of another opinion: it gives up in time.
            Err(ProposeError::TooLarge { .. }) => Err(ForwardError::Busy),
        }
    }

    pub fn read(
        &mut self,
        around: &mut Surroundings,
        consensus: &mut Consensus,
        asker: Asker,
    ) -> Result<(), ForwardError> {
        if self.asked.contains(&asker) {
            return Ok(());
        }
        self.admit()?;
        let token = ReadToken(around.tickets.next().0);
        self.reads.insert(token, asker);
        self.asked.insert(asker);
        consensus.raft.read(around.now, token);
        Ok(())
    }

    fn admit(&self) -> Result<(), ForwardError> {
        let waiting = self.writes.len() + self.reads.len();
        if waiting < 2 * limits::REQUESTS_WAITING_MAX { Ok(()) } else { Err(ForwardError::Busy) }
    }

    /// The entry at `position` has been applied. Another term than the one proposed means that the command was lost.
    pub fn applied(&mut self, position: Position, outcome: Option<Outcome>) -> Option<(Asker, Verdict)> {
        let (term, asker) = self.writes.remove(&position.index)?;
        self.asked.remove(&asker);
        let verdict = match outcome {
            Some(outcome) if term == position.term => Verdict::Applied { index: position.index, outcome },
            _ => Verdict::Failed(ForwardError::NotLeader { leader: None }),
        };
        Some((asker, verdict))
    }

    pub fn confirmed(&mut self, outcome: ReadOutcome) -> Option<(Asker, Verdict)> {
        let asker = self.reads.remove(&outcome.token)?;
        self.asked.remove(&asker);
        let verdict = match outcome.result {
            Ok(index) => Verdict::ReadAt { index },
            Err(ReadError::NotLeader { leader }) => Verdict::Failed(ForwardError::NotLeader { leader }),
            Err(ReadError::Busy) => Verdict::Failed(ForwardError::Busy),
        };
        Some((asker, verdict))
    }

    /// This node leads no longer: what is in the log may still commit, or not.
    pub fn leadership_lost(&mut self) -> Vec<(Asker, Verdict)> {
        self.asked.clear();
        let writes = std::mem::take(&mut self.writes).into_values().map(|(_, asker)| asker);
        let reads = std::mem::take(&mut self.reads).into_values();
        writes.chain(reads).map(|asker| (asker, Verdict::Failed(ForwardError::Unknown))).collect()
    }
}
