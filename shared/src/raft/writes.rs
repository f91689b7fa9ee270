//! What must go to disk, what is on its way there, and what has arrived.

use super::log::Log;
use super::storage::{Snapshot, StorageOp};
use super::types::{HardState, Index, PersistSequence};
use crate::limits;
use crate::time::Time;
use std::collections::VecDeque;

/// Writes of one member. They are handed out in batches and acknowledged in order; an acknowledgement covers all
/// batches before its own, so those that come late or out of order say nothing new.
#[derive(Clone, Debug)]
pub(super) struct Writes {
    hard_state_changed: bool,
    first_unwritten: Option<Index>,
    installed: Option<Snapshot>,
    compacted: Option<(Snapshot, Index)>,
    sequence: PersistSequence,
    in_flight: VecDeque<Batch>,
    durable: Index,
    /// The memory of an earlier batch's list.
    spare: Vec<StorageOp>,
}

#[derive(Clone, Debug)]
struct Batch {
    sequence: PersistSequence,
    /// The end of the log that is durable with this batch, as far as it has not been replaced since.
    last: Index,
    has_hard_state: bool,
    handed_out_at: Time,
}

impl Writes {
    pub fn new(durable: Index) -> Writes {
        Writes {
            hard_state_changed: false,
            first_unwritten: None,
            installed: None,
            compacted: None,
            sequence: PersistSequence::ZERO,
            in_flight: VecDeque::new(),
            durable,
            spare: Vec::new(),
        }
    }

    pub fn hard_state_changed(&mut self) {
        self.hard_state_changed = true;
    }

    /// An entry was added at `index`.
    pub fn appended(&mut self, index: Index) {
        self.first_unwritten.get_or_insert(index);
    }

    /// Entries from `first` on were removed. What is durable or on its way of them counts no more, even if others
    /// take their place before the acknowledgement comes.
    pub fn truncated(&mut self, first: Index) {
        self.forget_after(first.previous());
        self.first_unwritten = self.first_unwritten.filter(|unwritten| *unwritten < first);
    }

    pub fn installed(&mut self, snapshot: Snapshot) {
        self.forget_after(Index::ZERO);
        self.first_unwritten = None;
        self.compacted = None;
        self.installed = Some(snapshot);
    }

    pub fn compacted(&mut self, snapshot: Snapshot, first_kept: Index) {
        self.compacted = Some((snapshot, first_kept));
    }

    fn forget_after(&mut self, last: Index) {
        self.durable = self.durable.min(last);
        for batch in &mut self.in_flight {
            batch.last = batch.last.min(last);
        }
    }

    /// The end of the log that is durable here.
    pub fn durable(&self) -> Index {
        self.durable
    }

    pub fn is_hard_state_durable(&self) -> bool {
        !self.hard_state_changed && !self.in_flight.iter().any(|batch| batch.has_hard_state)
    }

    /// Since when the oldest batch is on its way.
    pub fn waiting_since(&self) -> Option<Time> {
        self.in_flight.front().map(|batch| batch.handed_out_at)
    }

    /// What is under way, but for when it was handed out and how batches are numbered: they follow each other.
    #[cfg(feature = "mutations")]
    pub fn fingerprint(&self, hasher: &mut impl std::hash::Hasher) {
        use std::hash::Hash;
        let Writes {
            hard_state_changed,
            first_unwritten,
            installed,
            compacted,
            sequence: _,
            in_flight,
            durable,
            spare: _,
        } = self;
        (hard_state_changed, first_unwritten, installed, compacted, in_flight.len(), durable).hash(hasher);
        for Batch { sequence: _, last, has_hard_state, handed_out_at: _ } in in_flight {
            (last, has_hard_state).hash(hasher);
        }
    }

    /// Takes back the list of a batch that was carried out.
    pub fn reuse(&mut self, mut ops: Vec<StorageOp>) {
        ops.clear();
        self.spare = ops;
    }

    /// The disk stands still, and has been given as much as it may be.
    pub fn are_backed_up(&self) -> bool {
        self.in_flight.len() >= limits::RAFT_WRITES_IN_FLIGHT_MAX
    }

    /// Hands out a batch. With nothing to write it is a barrier if one is `wanted` and earlier batches are on their way.
    pub fn hand_out(
        &mut self,
        now: Time,
        log: &Log,
        hard_state: HardState,
        wanted: bool,
    ) -> Option<(PersistSequence, Vec<StorageOp>)> {
        let mut ops = std::mem::take(&mut self.spare);
        let has_hard_state = std::mem::take(&mut self.hard_state_changed);
        if has_hard_state {
            ops.push(StorageOp::HardState(hard_state));
        }
        if let Some(snapshot) = self.installed.take() {
            ops.push(StorageOp::Snapshot(snapshot));
        }
        if let Some(first) = self.first_unwritten.take() {
            ops.extend(log.runs_from(first).map(StorageOp::Append));
        }
        if let Some((snapshot, first_kept)) = self.compacted.take() {
            ops.push(StorageOp::CompactTo { snapshot, first_kept });
        }
        if ops.is_empty() && (!wanted || self.in_flight.is_empty()) {
            self.spare = ops;
            return None;
        }
        self.sequence = self.sequence.next();
        let last = log.last().index;
        let batch = Batch { sequence: self.sequence, last, has_hard_state, handed_out_at: now };
        self.in_flight.push_back(batch);
        Some((self.sequence, ops))
    }

    /// Everything up to `sequence` is durable. Says whether that is news.
    pub fn acknowledge(&mut self, sequence: PersistSequence) -> bool {
        if sequence > self.sequence {
            return false;
        }
        let mut news = false;
        while let Some(batch) = self.in_flight.front().filter(|batch| batch.sequence <= sequence) {
            self.durable = self.durable.max(batch.last);
            self.in_flight.pop_front();
            news = true;
        }
        news
    }
}
