//! What a member's process leaves behind when it dies.

use bytes::Bytes;
use shared::ids::ClusterId;
use shared::node::{BlockName, Persist, PersistOp, PersistSequence, Stored};
use shared::raft::{self, Entry, Index};
use shared::rng::Rng;
use std::collections::{BTreeMap, VecDeque};

/// A log and blocks, each with writes that are under way. A batch of log writes is there as a whole or not at all,
/// and never before an earlier one: that is what `shared::storage` gives, and its own tests show.
#[derive(Default)]
pub struct Disk {
    durable: Log,
    /// As it is when all writes under way have arrived.
    issued: Log,
    under_way: VecDeque<Persist>,
    blocks: BTreeMap<BlockName, Bytes>,
    blocks_under_way: BTreeMap<BlockName, Bytes>,
}

#[derive(Clone, Default)]
struct Log {
    cluster: Option<ClusterId>,
    raft: raft::Stored,
}

impl Log {
    fn apply(&mut self, persist: &Persist) {
        for operation in &persist.operations {
            match operation {
                PersistOp::Cluster(cluster) => self.cluster = Some(*cluster),
                PersistOp::Raft(operation) => self.raft.apply(operation.clone()),
            }
        }
    }
}

impl Disk {
    pub fn stored(&self) -> Stored {
        let blocks = self.blocks.iter().map(|(name, bytes)| (*name, bytes.len() as u64)).collect();
        Stored { cluster: self.durable.cluster, raft: self.durable.raft.clone(), blocks }
    }

    /// What a process would begin with.
    pub fn log(&self) -> &raft::Stored {
        &self.durable.raft
    }

    pub fn cluster(&self) -> Option<ClusterId> {
        self.durable.cluster
    }

    /// The cluster that the process believes to be in.
    pub fn issued_cluster(&self) -> Option<ClusterId> {
        self.issued.cluster
    }

    pub fn write(&mut self, persist: Persist) {
        self.issued.apply(&persist);
        self.under_way.push_back(persist);
    }

    /// The writes up to `sequence` have arrived.
    pub fn sync(&mut self, sequence: PersistSequence) {
        while let Some(persist) = self.under_way.pop_front_if(|persist| persist.sequence <= sequence) {
            self.durable.apply(&persist);
        }
    }

    pub fn put(&mut self, name: BlockName, bytes: Bytes) {
        self.blocks_under_way.insert(name, bytes);
    }

    pub fn sync_block(&mut self, name: BlockName) {
        if let Some(bytes) = self.blocks_under_way.remove(&name) {
            self.blocks.insert(name, bytes);
        }
    }

    pub fn block(&self, name: BlockName) -> Option<&Bytes> {
        self.blocks.get(&name)
    }

    pub fn delete_block(&mut self, name: BlockName) {
        self.blocks.remove(&name);
        self.blocks_under_way.remove(&name);
    }

    /// The process died: of what was under way, some of the first log writes and any of the blocks have arrived.
    pub fn crash(&mut self, rng: &mut Rng) {
        let arrived = rng.below(self.under_way.len() as u64 + 1);
        for persist in self.under_way.drain(..).take(arrived as usize) {
            self.durable.apply(&persist);
        }
        self.issued = self.durable.clone();
        for (name, bytes) in std::mem::take(&mut self.blocks_under_way) {
            if rng.below(2) == 0 {
                self.blocks.insert(name, bytes);
            }
        }
    }

    /// Entries that the process believes to be in its log, from `first` to `last`.
    pub fn entries(&self, first: Index, last: Index) -> impl Iterator<Item = &Entry> {
        self.issued.raft.entries.iter().filter(move |entry| (first..=last).contains(&entry.index))
    }
}
