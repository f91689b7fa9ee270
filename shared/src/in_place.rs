//! Bytes that are decoded in place: a part of the message that they came in, not a copy of it.
//!
//! Serde has no way to hand the message to the decoder of one field, so the thread remembers it meanwhile.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use std::cell::RefCell;
use std::fmt;

thread_local! {
    static SOURCE: RefCell<Bytes> = const { RefCell::new(Bytes::new()) };
}

/// Decodes; what [`deserialize`] finds in `source` meanwhile shares its memory. Not to be called within itself.
pub fn decode<T>(source: Bytes, decode: impl FnOnce(&[u8]) -> T) -> T {
    SOURCE.set(source);
    let decoded = SOURCE.with_borrow(|source| decode(source));
    SOURCE.take();
    decoded
}

/// For `#[serde(deserialize_with)]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    if deserializer.is_human_readable() {
        return Bytes::deserialize(deserializer);
    }
    deserializer.deserialize_bytes(InPlace)
}

struct InPlace;

impl<'de> Visitor<'de> for InPlace {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Bytes, E> {
        Ok(SOURCE.with_borrow(|source| {
            let (within, found) = (source.as_ptr_range(), bytes.as_ptr_range());
            match within.start <= found.start && found.end <= within.end {
                true => source.slice_ref(bytes),
                false => Bytes::copy_from_slice(bytes),
            }
        }))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes::copy_from_slice(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::Payload;

    fn decoded(bytes: &[u8]) -> Bytes {
        match postcard::from_bytes(bytes) {
            Ok(Payload::Command(command)) => command,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_command_is_a_part_of_its_message_and_a_copy_elsewhere() {
        let message =
            Bytes::from(postcard::to_stdvec(&Payload::Command(Bytes::from_static(b"command"))).unwrap());
        let other = message.to_vec();
        let (shared, copied) = decode(message.clone(), |bytes| (decoded(bytes), decoded(&other)));
        assert_eq!((&shared[..], &copied[..]), (&b"command"[..], &b"command"[..]));
        assert!(message.as_ptr_range().contains(&shared.as_ptr()));
        assert!(!other.as_ptr_range().contains(&copied.as_ptr()));
        assert!(!message.as_ptr_range().contains(&decoded(&message).as_ptr()), "only while it is asked for");
    }
}
