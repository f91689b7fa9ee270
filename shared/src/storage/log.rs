//! The raft log, the hard state, the snapshot, and the cluster that they belong to.

use super::sealed::{damaged, seal, seal_value, unseal, unseal_value};
use super::{PIECE_BYTES, StorageError, Tables, guarded, open_database};
use crate::ids::ClusterId;
use crate::node::PersistOp;
use crate::raft::{Entry, HardState, Index, Snapshot, SnapshotMeta, StorageOp, Stored};
use redb::{
    Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, StorageBackend, TableDefinition,
    WriteTransaction,
};
use serde::{Deserialize, Serialize};

/// Single values by their key below.
const FACTS: TableDefinition<u64, &[u8]> = TableDefinition::new("facts");
const CLUSTER: u64 = 0;
const HARD_STATE: u64 = 1;
const SNAPSHOT: u64 = 2;

const ENTRIES: TableDefinition<u64, &[u8]> = TableDefinition::new("entries");
const SNAPSHOT_PIECES: TableDefinition<u64, &[u8]> = TableDefinition::new("snapshot");

/// What the store says about its snapshot beside the pieces.
#[derive(Serialize, Deserialize)]
struct SnapshotRecord {
    meta: SnapshotMeta,
    bytes: u64,
}

/// A node's durable memory of consensus. One owner, one writer.
#[derive(Debug)]
pub struct LogStore {
    database: Tables,
}

impl LogStore {
    /// Opens the store and reads what a node needs to start. The whole file is checked first: consensus must not go on from
    /// pages that rotted.
    pub fn open(backend: impl StorageBackend) -> Result<(LogStore, Option<ClusterId>, Stored), StorageError> {
        guarded(|| LogStore::open_unguarded(backend))
    }

    fn open_unguarded(
        backend: impl StorageBackend,
    ) -> Result<(LogStore, Option<ClusterId>, Stored), StorageError> {
        let mut database = open_database(backend)?;
        if !database.check_integrity()? {
            return Err(StorageError::Damaged("pages of the log do not match their checksums".to_owned()));
        }
        create_tables(&database)?;
        let transaction = database.begin_read()?;
        let cluster = fact(&transaction, CLUSTER, "the cluster id")?;
        let hard_state: Option<HardState> = fact(&transaction, HARD_STATE, "the hard state")?;
        let stored = Stored {
            hard_state: hard_state.unwrap_or_default(),
            snapshot: read_snapshot(&transaction)?,
            entries: read_entries(&transaction)?,
        };
        drop(transaction);
        Ok((LogStore { database }, cluster, stored))
    }

    /// Makes these writes durable, in order, all of them or none. After an error the store takes no more writes: open it again.
    pub fn apply<'a>(&self, operations: impl IntoIterator<Item = &'a PersistOp>) -> Result<(), StorageError> {
        guarded(|| self.apply_unguarded(operations))
    }

    fn apply_unguarded<'a>(
        &self,
        operations: impl IntoIterator<Item = &'a PersistOp>,
    ) -> Result<(), StorageError> {
        let transaction = self.database.begin_write()?;
        for operation in operations {
            match operation {
                PersistOp::Cluster(cluster) => put_fact(&transaction, CLUSTER, cluster)?,
                PersistOp::Raft(StorageOp::HardState(state)) => put_fact(&transaction, HARD_STATE, state)?,
                PersistOp::Raft(StorageOp::Append(entries)) => append(&transaction, entries)?,
                PersistOp::Raft(StorageOp::Snapshot(snapshot)) => {
                    transaction.open_table(ENTRIES)?.retain(|_, _| false)?;
                    put_snapshot(&transaction, snapshot)?;
                }
                PersistOp::Raft(StorageOp::CompactTo { snapshot, first_kept }) => {
                    transaction.open_table(ENTRIES)?.retain_in(..first_kept.get(), |_, _| false)?;
                    put_snapshot(&transaction, snapshot)?;
                }
            }
        }
        Ok(transaction.commit()?)
    }
}

fn create_tables(database: &Database) -> Result<(), StorageError> {
    let transaction = database.begin_write()?;
    transaction.open_table(FACTS)?;
    transaction.open_table(ENTRIES)?;
    transaction.open_table(SNAPSHOT_PIECES)?;
    Ok(transaction.commit()?)
}

fn put_fact<T: Serialize>(transaction: &WriteTransaction, key: u64, value: &T) -> Result<(), StorageError> {
    transaction.open_table(FACTS)?.insert(key, seal_value(key, value).as_slice())?;
    Ok(())
}

fn fact<T: for<'de> Deserialize<'de>>(
    transaction: &ReadTransaction,
    key: u64,
    what: &str,
) -> Result<Option<T>, StorageError> {
    let table = transaction.open_table(FACTS)?;
    let sealed = table.get(key)?;
    sealed.map(|sealed| unseal_value(key, what, sealed.value())).transpose()
}

/// Adds entries after removing the suffix that they replace.
fn append(transaction: &WriteTransaction, entries: &[Entry]) -> Result<(), StorageError> {
    let Some(first) = entries.first().map(|entry| entry.index.get()) else { return Ok(()) };
    let mut table = transaction.open_table(ENTRIES)?;
    let overlaps = table.last()?.is_some_and(|(last, _)| last.value() >= first);
    if overlaps {
        table.retain_in(first.., |_, _| false)?;
    }
    for entry in entries {
        let index = entry.index.get();
        table.insert(index, seal_value(index, entry).as_slice())?;
    }
    Ok(())
}

fn read_entries(transaction: &ReadTransaction) -> Result<Vec<Entry>, StorageError> {
    let table = transaction.open_table(ENTRIES)?;
    let mut entries: Vec<Entry> = Vec::new();
    for row in table.iter()? {
        let (index, sealed) = row?;
        let what = format!("entry {} of the log", index.value());
        let entry: Entry = unseal_value(index.value(), &what, sealed.value())?;
        let follows = entries.last().is_none_or(|last| last.index.next() == entry.index);
        if entry.index != Index::new(index.value()) || !follows {
            return Err(StorageError::Damaged(format!("{what} is out of order")));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn put_snapshot(transaction: &WriteTransaction, snapshot: &Snapshot) -> Result<(), StorageError> {
    let record = SnapshotRecord { meta: snapshot.meta.clone(), bytes: snapshot.data.len() as u64 };
    put_fact(transaction, SNAPSHOT, &record)?;
    let mut table = transaction.open_table(SNAPSHOT_PIECES)?;
    table.retain(|_, _| false)?;
    for (number, piece) in (0..).zip(snapshot.data.chunks(PIECE_BYTES)) {
        table.insert(number, seal(number, piece).as_slice())?;
    }
    Ok(())
}

fn read_snapshot(transaction: &ReadTransaction) -> Result<Option<Snapshot>, StorageError> {
    const WHAT: &str = "the snapshot";
    let Some(record) = fact::<SnapshotRecord>(transaction, SNAPSHOT, WHAT)? else { return Ok(None) };
    let table = transaction.open_table(SNAPSHOT_PIECES)?;
    let mut data = Vec::new();
    for row in table.iter()? {
        let (number, sealed) = row?;
        data.extend_from_slice(unseal(number.value(), WHAT, sealed.value())?);
    }
    if data.len() as u64 != record.bytes {
        return Err(damaged(WHAT));
    }
    Ok(Some(Snapshot { meta: record.meta, data: data.into() }))
}
