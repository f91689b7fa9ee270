//! The raft log, the hard state, the snapshot, and the cluster that they belong to.

use super::journal::Journal;
use super::{PIECE_BYTES, StorageError};
use crate::ids::ClusterId;
use crate::node::PersistOp;
use crate::raft::{Entry, HardState, Snapshot, SnapshotMeta, StorageOp, Stored};
use crate::wire;
use redb::StorageBackend;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Version of what is inside a record.
const CONTENT_VERSION: u8 = 1;

/// What a journal may grow by, beside twice what it began with, before it is written anew: a compacted log never comes near.
const GROWTH_MAX: u64 = 16 << 20;

/// What a generation of the journal begins with. As many records as its snapshot has pieces follow, then [`Writes`].
#[derive(Default, Serialize, Deserialize)]
struct Beginning {
    cluster: Option<ClusterId>,
    hard_state: HardState,
    snapshot: Option<SnapshotRecord>,
}

/// What the journal says about its snapshot beside the pieces.
#[derive(Serialize, Deserialize)]
struct SnapshotRecord {
    meta: SnapshotMeta,
    bytes: u64,
}

/// One record: these writes became durable together.
type Writes<'a> = Vec<Write<'a>>;

#[derive(Serialize, Deserialize)]
enum Write<'a> {
    Cluster(ClusterId),
    HardState(HardState),
    Append(Cow<'a, [Entry]>),
}

/// A node's durable memory of consensus. One owner, one writer.
#[derive(Debug)]
pub struct LogStore {
    journal: Journal,
}

impl LogStore {
    /// Opens the store and reads what a node needs to start. All of it is checked: consensus must not go on from a log that
    /// rotted.
    pub fn open(backend: impl StorageBackend) -> Result<(LogStore, Option<ClusterId>, Stored), StorageError> {
        let mut reader = Reader::default();
        let beginning = encode(&Beginning::default());
        let journal = Journal::open(backend, &beginning, |record| reader.take(record))?;
        let (cluster, stored) = reader.finish()?;
        Ok((LogStore { journal }, cluster, stored))
    }

    /// Makes these writes durable, in order, all of them or none. After an error the store takes no more writes: open it again.
    pub fn apply<'a>(
        &mut self,
        operations: impl IntoIterator<Item = &'a PersistOp, IntoIter: Clone>,
    ) -> Result<(), StorageError> {
        let operations = operations.into_iter();
        let writes: Option<Writes> = operations.clone().map(Write::of).collect();
        match writes {
            Some(writes) if writes.is_empty() => Ok(()),
            Some(writes) => {
                self.journal.append(&encode(&writes))?;
                let (appended, founded) = self.journal.growth();
                if appended > GROWTH_MAX + 2 * founded { self.rewrite([]) } else { Ok(()) }
            }
            // A snapshot takes the place of most of what is there.
            None => self.rewrite(operations),
        }
    }

    fn rewrite<'a>(
        &mut self,
        operations: impl IntoIterator<Item = &'a PersistOp, IntoIter: Clone>,
    ) -> Result<(), StorageError> {
        let operations = operations.into_iter();
        let keeps_snapshot = operations.clone().all(|operation| Write::of(operation).is_some());
        let mut reader = Reader { passes_over_snapshot: !keeps_snapshot, ..Reader::default() };
        self.journal.replay(|record| reader.take(record))?;
        let (mut cluster, mut stored) = reader.finish()?;
        for operation in operations {
            match operation {
                PersistOp::Cluster(named) => cluster = Some(*named),
                PersistOp::Raft(operation) => stored.apply(operation.clone()),
            }
        }
        let Stored { hard_state, snapshot, entries } = stored;
        let (record, data) = match snapshot {
            Some(Snapshot { meta, data }) => (Some(SnapshotRecord { meta, bytes: data.len() as u64 }), data),
            None => Default::default(),
        };
        let beginning = encode(&Beginning { cluster, hard_state, snapshot: record });
        let entries: Writes = vec![Write::Append(entries.into())];
        let entries = encode(&entries);
        let records = [&beginning[..]].into_iter().chain(data.chunks(PIECE_BYTES)).chain([&entries[..]]);
        self.journal.rewrite(records)
    }
}

impl Write<'_> {
    /// `None`: more than an addition to what is there.
    fn of(operation: &PersistOp) -> Option<Write<'_>> {
        match operation {
            PersistOp::Cluster(cluster) => Some(Write::Cluster(*cluster)),
            PersistOp::Raft(StorageOp::HardState(hard_state)) => Some(Write::HardState(*hard_state)),
            PersistOp::Raft(StorageOp::Append(entries)) => Some(Write::Append(Cow::Borrowed(entries))),
            PersistOp::Raft(StorageOp::Snapshot(_) | StorageOp::CompactTo { .. }) => None,
        }
    }
}

/// Puts together what the records say.
#[derive(Default)]
struct Reader {
    beginning: Option<Beginning>,
    snapshot: Vec<u8>,
    snapshot_bytes: u64,
    /// Another one takes its place.
    passes_over_snapshot: bool,
    entries: Vec<Entry>,
}

impl Reader {
    fn take(&mut self, record: &[u8]) -> Result<(), StorageError> {
        let Some(beginning) = &mut self.beginning else {
            self.beginning = Some(decode("the beginning of the log", record)?);
            return Ok(());
        };
        if beginning.snapshot.as_ref().is_some_and(|snapshot| self.snapshot_bytes < snapshot.bytes) {
            self.snapshot_bytes += record.len() as u64;
            if !self.passes_over_snapshot {
                self.snapshot.extend_from_slice(record);
            }
            return Ok(());
        }
        for write in decode::<Writes>("a record of the log", record)? {
            match write {
                Write::Cluster(cluster) => beginning.cluster = Some(cluster),
                Write::HardState(hard_state) => beginning.hard_state = hard_state,
                Write::Append(entries) => append(&mut self.entries, entries.into_owned())?,
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(Option<ClusterId>, Stored), StorageError> {
        let Beginning { cluster, hard_state, snapshot } = self.beginning.unwrap_or_default();
        let snapshot = match snapshot {
            Some(SnapshotRecord { meta, bytes }) if bytes == self.snapshot_bytes => {
                Some(Snapshot { meta, data: self.snapshot.into() })
            }
            Some(_) => return Err(StorageError::Damaged("the snapshot is not whole".to_owned())),
            None => None,
        };
        Ok((cluster, Stored { hard_state, snapshot, entries: self.entries }))
    }
}

/// Adds entries after removing the suffix that they replace.
fn append(log: &mut Vec<Entry>, entries: Vec<Entry>) -> Result<(), StorageError> {
    for entry in entries {
        let replaced = log.partition_point(|earlier| earlier.index < entry.index);
        log.truncate(replaced);
        if log.last().is_some_and(|last| last.index.next() != entry.index) {
            return Err(StorageError::Damaged(format!("entry {} of the log is out of order", entry.index)));
        }
        log.push(entry);
    }
    Ok(())
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    wire::encode(CONTENT_VERSION, value)
}

fn decode<T: DeserializeOwned>(what: &str, record: &[u8]) -> Result<T, StorageError> {
    wire::decode(CONTENT_VERSION, record, record.len())
        .map_err(|error| StorageError::Damaged(format!("{what}: {error}")))
}
