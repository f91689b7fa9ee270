//! What the entries of the state come to: a digest and a size, kept up to date in steps, so that a change costs one entry, not
//! all.

use super::apply::STATE_VERSION;
use crate::wire;
use serde::Serialize;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sums {
    pub digest: u64,
    /// What the entries take in a snapshot.
    pub bytes: u64,
}

/// What one entry of the state adds to the sums.
#[derive(Clone, Copy, Debug)]
pub(super) struct Print {
    pub hash: u64,
    pub bytes: u64,
}

impl Print {
    /// The digest is the exclusive or of all entries' hashes.
    pub fn of<K: Serialize, V: Serialize>(table: &str, key: &K, value: &V) -> Print {
        let entry = wire::encode(STATE_VERSION, &(table, key, value));
        let mut first = [0; 8];
        first.copy_from_slice(&blake3::hash(&entry).as_bytes()[..8]);
        Print { hash: u64::from_le_bytes(first), bytes: entry.len() as u64 }
    }
}

impl Sums {
    pub fn count_in(&mut self, print: Print) {
        self.digest ^= print.hash;
        self.bytes += print.bytes;
    }

    pub fn count_out(&mut self, print: Print) {
        self.digest ^= print.hash;
        self.bytes -= print.bytes;
    }
}
