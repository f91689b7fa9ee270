//! What a node keeps on disk: its log ([`LogStore`], a journal) and its blocks ([`BlockStore`], a `redb` database), each in a
//! file of its own, so that a megabyte on its way to the disk does not make a vote wait.
//!
//! Pure code over any [`redb::StorageBackend`]: a file natively, an OPFS handle in a browser, [`MemoryDisk`] in tests. A write
//! costs one sync. What was not synced when the power went is gone as a whole write, never in part.
//!
//! Blocks are named by their hash, which is checked when they are read: redb verifies pages only after an unclean stop.

mod blocks;
mod journal;
mod log;
mod memory;

#[cfg(test)]
mod tests;

pub use blocks::BlockStore;
pub use log::LogStore;
pub use memory::{MemoryBackend, MemoryDisk};

use crate::node::BlockError;
use redb::{Database, DatabaseError, ReadableTable as _, StorageBackend, TableDefinition};
use std::io;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Pages that one store keeps in memory, dirty ones included.
const CACHE_BYTES_MAX: usize = 6 << 20;

/// Layout of the tables. A file of another layout is refused, not guessed at.
const FORMAT: u64 = 1;

const FORMAT_TABLE: TableDefinition<(), u64> = TableDefinition::new("format");

/// Values longer than a page take the next power of two in `redb`: pieces just below one waste nothing.
const PIECE_BYTES: usize = (64 << 10) - 256;

/// Why a store cannot be opened, read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    #[error("the storage is full")]
    Full,
    #[error("the store is damaged: {0}")]
    Damaged(String),
    #[error("the store is in use by another process or tab")]
    Locked,
    #[error("the store has format {theirs}, this program reads format {ours}: use the program that wrote it")]
    OtherFormat { theirs: u64, ours: u64 },
    #[error("the storage failed: {0}")]
    Failed(String),
}

impl From<io::Error> for StorageError {
    fn from(error: io::Error) -> StorageError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                StorageError::Full
            }
            io::ErrorKind::InvalidData => StorageError::Damaged(error.to_string()),
            _ => StorageError::Failed(error.to_string()),
        }
    }
}

impl From<redb::Error> for StorageError {
    fn from(error: redb::Error) -> StorageError {
        match error {
            redb::Error::Io(error) => error.into(),
            redb::Error::Corrupted(what) => StorageError::Damaged(what),
            redb::Error::TableTypeMismatch { .. } | redb::Error::TypeDefinitionChanged { .. } => {
                StorageError::Damaged(error.to_string())
            }
            redb::Error::DatabaseAlreadyOpen => StorageError::Locked,
            other => StorageError::Failed(other.to_string()),
        }
    }
}

macro_rules! from_redb {
    ($($error:ty),*) => {
        $(impl From<$error> for StorageError {
            fn from(error: $error) -> StorageError {
                redb::Error::from(error).into()
            }
        })*
    };
}

from_redb!(DatabaseError, redb::StorageError, redb::TableError, redb::TransactionError, redb::CommitError);

impl From<StorageError> for BlockError {
    fn from(error: StorageError) -> BlockError {
        match error {
            StorageError::Full => BlockError::Full,
            other => BlockError::Failed(other.to_string()),
        }
    }
}

/// `redb` asserts what it believes about its pages. A file that rotted must not take the process down with it.
///
/// Where panics abort, as in Wasm, this changes nothing.
fn guarded<T, E: From<StorageError>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(StorageError::Damaged("its pages contradict each other".to_owned()).into()))
}

/// A database whose end is guarded too: closing it writes.
#[derive(Debug)]
struct Tables(Option<Database>);

impl Deref for Tables {
    type Target = Database;

    fn deref(&self) -> &Database {
        self.0.as_ref().expect("there until it is dropped")
    }
}

impl DerefMut for Tables {
    fn deref_mut(&mut self) -> &mut Database {
        self.0.as_mut().expect("there until it is dropped")
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        let database = self.0.take();
        // What goes wrong here is found, and told, at the next opening.
        let _ = guarded(|| -> Result<(), StorageError> {
            drop(database);
            Ok(())
        });
    }
}

/// Opens the database in `backend`, or makes one where there is none.
fn open_database(backend: impl StorageBackend) -> Result<Tables, StorageError> {
    let database = Database::builder().set_cache_size(CACHE_BYTES_MAX).create_with_backend(backend)?;
    let database = Tables(Some(database));
    let transaction = database.begin_write()?;
    let format = {
        let mut table = transaction.open_table(FORMAT_TABLE)?;
        let stored = table.get(())?.map(|format| format.value());
        if stored.is_none() {
            table.insert((), FORMAT)?;
        }
        stored
    };
    match format {
        None => transaction.commit()?,
        Some(FORMAT) => transaction.abort()?,
        Some(theirs) => return Err(StorageError::OtherFormat { theirs, ours: FORMAT }),
    }
    Ok(database)
}
