//! What travels: the relay's session frames ([`session`]), the frames between members ([`peer`]), the identity behind
//! both ([`identity`]), and the encoding they share.
//!
//! Every encoded value starts with one byte, the version of its protocol; the rest is postcard. A decoder refuses
//! other versions, leftover bytes and anything over its limit with a typed error, and never panics.

pub mod identity;
pub mod peer;
pub mod session;

use crate::in_place;
use bytes::Bytes;
use postcard::ser_flavors::Flavor;
use postcard::serialize_with_flavor;
use serde::{Serialize, de::DeserializeOwned};

/// Version of the frames between a node and its relay.
pub const SESSION_VERSION: u8 = 2;

/// Version of the frames between members.
pub const PEER_VERSION: u8 = 2;

/// Bytes that are not a frame of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the frame is empty")]
    Empty,
    #[error(
        "the frame speaks protocol version {theirs}, this program version {ours}: update the older of the two"
    )]
    Version { ours: u8, theirs: u8 },
    #[error("the frame has {bytes} bytes, more than the limit of {bytes_max}")]
    TooLarge { bytes: usize, bytes_max: usize },
    #[error("the frame is malformed")]
    Malformed,
}

/// Encodes a value behind its protocol's version byte.
pub fn encode<T: Serialize>(version: u8, value: &T) -> Vec<u8> {
    // Measured first: growing would allocate, and copy, several times.
    let mut bytes = Vec::with_capacity(1 + encoded_bytes(value));
    bytes.push(version);
    serialize_with_flavor(value, Append(bytes)).expect("postcard writes every type of this protocol to a Vec")
}

/// What a value takes when it is encoded, without the version.
pub fn encoded_bytes<T: Serialize>(value: &T) -> usize {
    postcard::experimental::serialized_size(value).expect("every type of this protocol has a size")
}

/// Writes slices at once, where postcard's own flavor for any collection writes byte after byte.
struct Append(Vec<u8>);

impl Flavor for Append {
    type Output = Vec<u8>;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

/// Decodes what [`encode`] wrote; `bytes_max` is the named limit for this kind of frame.
pub fn decode<T: DeserializeOwned>(version: u8, bytes: &[u8], bytes_max: usize) -> Result<T, DecodeError> {
    if bytes.len() > bytes_max {
        return Err(DecodeError::TooLarge { bytes: bytes.len(), bytes_max });
    }
    let (&theirs, body) = bytes.split_first().ok_or(DecodeError::Empty)?;
    if theirs != version {
        return Err(DecodeError::Version { ours: version, theirs });
    }
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        _ => Err(DecodeError::Malformed),
    }
}

/// The same; commands in it stay where they are, in memory that they share with `bytes`.
pub fn decode_in_place<T: DeserializeOwned>(
    version: u8,
    bytes: Bytes,
    bytes_max: usize,
) -> Result<T, DecodeError> {
    in_place::decode(bytes, |bytes| decode(version, bytes, bytes_max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_refuses_what_encode_did_not_write() {
        let bytes = encode(1, &(7u32, "seven".to_owned()));
        assert_eq!(decode::<(u32, String)>(1, &bytes, 64), Ok((7, "seven".to_owned())));
        assert_eq!(decode::<(u32, String)>(2, &bytes, 64), Err(DecodeError::Version { ours: 2, theirs: 1 }));
        assert_eq!(decode::<(u32, String)>(1, &[], 64), Err(DecodeError::Empty));
        assert_eq!(
            decode::<(u32, String)>(1, &bytes, 3),
            Err(DecodeError::TooLarge { bytes: bytes.len(), bytes_max: 3 })
        );
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(decode::<(u32, String)>(1, &longer, 64), Err(DecodeError::Malformed));
        for cut in 1..bytes.len() {
            assert_eq!(decode::<(u32, String)>(1, &bytes[..cut], 64), Err(DecodeError::Malformed));
        }
    }
}
