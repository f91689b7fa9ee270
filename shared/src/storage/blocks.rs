//! Blocks: chunks of texts, partials of tasks, pieces of tables.

use super::{PIECE_BYTES, StorageError, Tables, guarded, open_database};
use crate::ids::Hash;
use crate::node::{BlockError, BlockName};
use bytes::Bytes;
use redb::{ReadableDatabase as _, ReadableTable as _, StorageBackend, TableDefinition, WriteTransaction};
use std::collections::BTreeMap;

const NAME_BYTES: usize = 33;
const PIECE_KEY_BYTES: usize = NAME_BYTES + 4;

type NameKey = [u8; NAME_BYTES];
type PieceKey = [u8; PIECE_KEY_BYTES];

/// Name to length and BLAKE3 hash of the bytes.
const INDEX: TableDefinition<&NameKey, (u64, &[u8; 32])> = TableDefinition::new("blocks");

/// Name and number (big endian, so that the pieces of a block are neighbours in order) to bytes.
const PIECES: TableDefinition<&PieceKey, &[u8]> = TableDefinition::new("pieces");

/// A node's blocks. Natively any number of threads read while one writes.
#[derive(Debug)]
pub struct BlockStore {
    database: Tables,
}

impl BlockStore {
    /// Opens the store and lists what is in it, with lengths.
    pub fn open(
        backend: impl StorageBackend,
    ) -> Result<(BlockStore, BTreeMap<BlockName, u64>), StorageError> {
        guarded(|| BlockStore::open_unguarded(backend))
    }

    fn open_unguarded(
        backend: impl StorageBackend,
    ) -> Result<(BlockStore, BTreeMap<BlockName, u64>), StorageError> {
        let database = open_database(backend)?;
        let transaction = database.begin_write()?;
        transaction.open_table(PIECES)?;
        let mut inventory = BTreeMap::new();
        {
            let index = transaction.open_table(INDEX)?;
            for row in index.iter()? {
                let (key, value) = row?;
                let name = name_of(key.value())
                    .ok_or_else(|| StorageError::Damaged("a block's name is malformed".to_owned()))?;
                inventory.insert(name, value.value().0);
            }
        }
        transaction.commit()?;
        Ok((BlockStore { database }, inventory))
    }

    /// Makes one block durable.
    pub fn put(&self, name: BlockName, bytes: &[u8]) -> Result<(), BlockError> {
        self.put_all([(name, bytes)])
    }

    /// Makes several blocks durable with one sync, all of them or none. Bytes that are there already cost no write;
    /// others under the same name are replaced.
    ///
    /// Fails with [`BlockError::Damaged`] when bytes do not have the hash that names them.
    pub fn put_all<'a>(
        &self,
        blocks: impl IntoIterator<Item = (BlockName, &'a [u8])>,
    ) -> Result<(), BlockError> {
        guarded(|| {
            let transaction = self.database.begin_write().map_err(StorageError::from)?;
            let mut wrote = false;
            for (name, bytes) in blocks {
                let hash = Hash::of(bytes);
                if matches!(name, BlockName::Content(named) if named != hash) {
                    return Err(BlockError::Damaged);
                }
                wrote |= write_block(&transaction, name, hash, bytes)?;
            }
            let end = if wrote {
                transaction.commit().map_err(redb::Error::from)
            } else {
                transaction.abort().map_err(redb::Error::from)
            };
            Ok(end.map_err(StorageError::from)?)
        })
    }

    /// Up to `bytes_max` bytes from `offset` on, and the length of the whole block.
    ///
    /// The whole block is verified before any of it is given out. A damaged one is removed, so that it can be fetched again.
    pub fn get(&self, name: BlockName, offset: u64, bytes_max: u32) -> Result<(Bytes, u64), BlockError> {
        let bytes = match self.read(name)? {
            Some(bytes) => bytes,
            None => {
                self.delete([name])?;
                return Err(BlockError::Damaged);
            }
        };
        let total = bytes.len() as u64;
        let start = offset.min(total);
        let end = start.saturating_add(u64::from(bytes_max)).min(total);
        Ok((bytes.slice(start as usize..end as usize), total))
    }

    /// Removes blocks. Names that are not there do no harm.
    pub fn delete(&self, names: impl IntoIterator<Item = BlockName>) -> Result<(), BlockError> {
        guarded(|| {
            let transaction = self.database.begin_write().map_err(StorageError::from)?;
            for name in names {
                remove_block(&transaction, name)?;
            }
            Ok(transaction.commit().map_err(StorageError::from)?)
        })
    }

    /// `None` when the block is damaged.
    fn read(&self, name: BlockName) -> Result<Option<Bytes>, BlockError> {
        let (length, hash, bytes) = guarded(|| self.read_unverified(name))?.ok_or(BlockError::Missing)?;
        let whole = bytes.len() as u64 == length && Hash::of(&bytes) == hash;
        let named_rightly = !matches!(name, BlockName::Content(named) if named != hash);
        Ok((whole && named_rightly).then(|| bytes.into()))
    }

    fn read_unverified(&self, name: BlockName) -> Result<Option<(u64, Hash, Vec<u8>)>, StorageError> {
        let transaction = self.database.begin_read()?;
        let index = transaction.open_table(INDEX)?;
        let Some(entry) = index.get(&key_of(name))? else { return Ok(None) };
        let (length, hash) = entry.value();
        let pieces = transaction.open_table(PIECES)?;
        let mut bytes = Vec::new();
        let (first, last) = (piece_key(name, 0), piece_key(name, u32::MAX));
        for row in pieces.range::<&PieceKey>(&first..=&last)? {
            bytes.extend_from_slice(row?.1.value());
        }
        Ok(Some((length, Hash::from_bytes(*hash), bytes)))
    }
}

/// False when the same bytes are there already, durable since they came.
fn write_block(
    transaction: &WriteTransaction,
    name: BlockName,
    hash: Hash,
    bytes: &[u8],
) -> Result<bool, StorageError> {
    let value = (bytes.len() as u64, hash.as_bytes());
    let is_there =
        transaction.open_table(INDEX)?.get(&key_of(name))?.is_some_and(|found| found.value() == value);
    if is_there {
        return Ok(false);
    }
    remove_block(transaction, name)?;
    let mut pieces = transaction.open_table(PIECES)?;
    for (number, piece) in (0..).zip(bytes.chunks(PIECE_BYTES)) {
        pieces.insert(&piece_key(name, number), piece)?;
    }
    transaction.open_table(INDEX)?.insert(&key_of(name), value)?;
    Ok(true)
}

fn remove_block(transaction: &WriteTransaction, name: BlockName) -> Result<(), StorageError> {
    let was_there = transaction.open_table(INDEX)?.remove(&key_of(name))?.is_some();
    if was_there {
        let (first, last) = (piece_key(name, 0), piece_key(name, u32::MAX));
        transaction.open_table(PIECES)?.retain_in::<&PieceKey, _>(&first..=&last, |_, _| false)?;
    }
    Ok(())
}

fn key_of(name: BlockName) -> NameKey {
    let (kind, hash) = match name {
        BlockName::Content(hash) => (0, hash),
        BlockName::Partial(hash) => (1, hash),
    };
    let mut key = [kind; NAME_BYTES];
    key[1..].copy_from_slice(hash.as_bytes());
    key
}

fn name_of(key: &NameKey) -> Option<BlockName> {
    let mut hash = [0; 32];
    hash.copy_from_slice(&key[1..]);
    match key[0] {
        0 => Some(BlockName::Content(Hash::from_bytes(hash))),
        1 => Some(BlockName::Partial(Hash::from_bytes(hash))),
        _ => None,
    }
}

fn piece_key(name: BlockName, number: u32) -> PieceKey {
    let mut key = [0; PIECE_KEY_BYTES];
    key[..NAME_BYTES].copy_from_slice(&key_of(name));
    key[NAME_BYTES..].copy_from_slice(&number.to_be_bytes());
    key
}
