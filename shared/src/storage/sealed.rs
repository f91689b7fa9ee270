//! Values with a checksum in front: what comes back from the disk is what went there, or an error.

use super::StorageError;
use crate::wire;
use serde::{Serialize, de::DeserializeOwned};

const SEAL_BYTES: usize = 8;

/// Version of what is inside the seal.
const CONTENT_VERSION: u8 = 1;

/// `place` goes into the checksum, so that a value that turns up under another key is noticed too.
pub(super) fn seal(place: u64, body: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(SEAL_BYTES + body.len());
    sealed.extend_from_slice(&checksum(place, body));
    sealed.extend_from_slice(body);
    sealed
}

pub(super) fn unseal<'a>(place: u64, what: &str, sealed: &'a [u8]) -> Result<&'a [u8], StorageError> {
    match sealed.split_at_checked(SEAL_BYTES) {
        Some((seal, body)) if seal == checksum(place, body) => Ok(body),
        _ => Err(damaged(what)),
    }
}

pub(super) fn seal_value<T: Serialize>(place: u64, value: &T) -> Vec<u8> {
    seal(place, &wire::encode(CONTENT_VERSION, value))
}

pub(super) fn unseal_value<T: DeserializeOwned>(
    place: u64,
    what: &str,
    sealed: &[u8],
) -> Result<T, StorageError> {
    let body = unseal(place, what, sealed)?;
    wire::decode(CONTENT_VERSION, body, body.len())
        .map_err(|error| StorageError::Damaged(format!("{what}: {error}")))
}

pub(super) fn damaged(what: &str) -> StorageError {
    StorageError::Damaged(format!("{what} does not match its checksum"))
}

fn checksum(place: u64, body: &[u8]) -> [u8; SEAL_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&place.to_le_bytes());
    hasher.update(body);
    let mut seal = [0; SEAL_BYTES];
    seal.copy_from_slice(&hasher.finalize().as_bytes()[..SEAL_BYTES]);
    seal
}
