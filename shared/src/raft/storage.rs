//! What goes to disk and what comes back from it.

use super::entries::Entries;
use super::membership::Membership;
use super::types::{Entry, HardState, Index, Payload, Position, Term};
use crate::ids::NodeId;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where a snapshot stands in the log, and the configuration in force there (§5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotMeta {
    /// The last entry that the snapshot covers.
    pub last: Position,
    /// The configuration as of `last`; a joint one is possible.
    pub membership: Membership,
}

impl SnapshotMeta {
    /// What a peer or a disk sent must be possible.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.last.index == Index::ZERO || self.last.index > super::INDEX_MAX {
            return Err("a snapshot of no possible entry");
        }
        self.membership.check().map_err(|_| "an impossible configuration")
    }
}

/// The state machine as of `meta.last`. Raft never looks inside `data`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Snapshot {
    pub meta: SnapshotMeta,
    pub data: Bytes,
}

/// What a member finds on its disk when it starts. The default is an empty disk: a member that waits to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stored {
    pub hard_state: HardState,
    pub snapshot: Option<Snapshot>,
    /// Without gaps, in order. They may begin before the end of the snapshot (a tail kept for slow followers).
    pub entries: Vec<Entry>,
}

impl Stored {
    /// The disk of the first member of a new cluster: a log of one entry, the configuration whose only voter it is (§4.4).
    pub fn founder(id: NodeId) -> Stored {
        let term = Term::new(1);
        let membership = Arc::new(Membership::of_voters([id]));
        Stored {
            hard_state: HardState { term, vote: None },
            snapshot: None,
            entries: vec![Entry { term, index: Index::new(1), payload: Payload::Membership(membership) }],
        }
    }

    /// Carries out one write on a copy in memory: the meaning of [`StorageOp`], for tests and simulated disks.
    pub fn apply(&mut self, op: StorageOp) {
        match op {
            StorageOp::HardState(hard_state) => self.hard_state = hard_state,
            StorageOp::Append(entries) => {
                if let Some(first) = entries.first().map(|entry| entry.index) {
                    self.entries.retain(|entry| entry.index < first);
                }
                self.entries.extend_from_slice(&entries);
            }
            StorageOp::Snapshot(snapshot) => {
                self.entries.clear();
                self.snapshot = Some(snapshot);
            }
            StorageOp::CompactTo { snapshot, first_kept } => {
                self.entries.retain(|entry| entry.index >= first_kept);
                self.snapshot = Some(snapshot);
            }
        }
    }
}

/// One write. The writes of one batch are carried out in order and become durable together, batches in order too.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum StorageOp {
    /// Replaces the stored hard state.
    HardState(HardState),
    /// Adds these entries, after removing every stored entry from the first one's index on. Never empty.
    Append(Entries),
    /// A leader's snapshot: replaces the stored snapshot and *all* stored entries.
    Snapshot(Snapshot),
    /// This member's own snapshot: replaces the stored one; stored entries before `first_kept` are removed.
    CompactTo { snapshot: Snapshot, first_kept: Index },
}
