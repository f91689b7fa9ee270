//! Names of things: newtypes, so that a term is never taken for an index, nor a job for a document.

use data_encoding::{Encoding, HEXLOWER, Specification};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

/// Lower-case RFC 4648 base 32 without padding: short, safe in URLs and file names, and reads the same in any case.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    specification.translate.from.push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    specification.translate.to.push_str("abcdefghijklmnopqrstuvwxyz");
    specification.encoding().expect("32 distinct symbols are a valid specification")
});

/// A text that is no identifier of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a {kind}: expected {expected}")]
pub struct ParseIdError {
    pub text: String,
    pub kind: &'static str,
    pub expected: &'static str,
}

/// Text in formats that people read (JSON), bytes in those they do not (postcard).
macro_rules! text_in_json {
    ($name:ident, $bytes:ty) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
                } else {
                    <$bytes>::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}

/// A random 80-bit identifier, written as 16 characters of base 32.
macro_rules! short_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 10]);

        impl $name {
            pub const fn from_bytes(bytes: [u8; 10]) -> Self {
                Self(bytes)
            }

            pub const fn as_bytes(&self) -> &[u8; 10] {
                &self.0
            }

            pub fn random(rng: &mut crate::rng::Rng) -> Self {
                Self(rng.bytes())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&BASE32.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&BASE32.encode(&self.0[..5]))
            }
        }

        text_in_json!($name, [u8; 10]);

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                BASE32
                    .decode(text.as_bytes())
                    .ok()
                    .and_then(|bytes| bytes.try_into().ok())
                    .map(Self)
                    .ok_or_else(|| ParseIdError {
                        text: text.chars().take(40).collect(),
                        kind: $kind,
                        expected: "16 letters and digits 2 to 7",
                    })
            }
        }
    };
}

short_id! {
    /// A member: the first 10 bytes of the BLAKE3 hash of its Ed25519 public key (`wire::identity`).
    NodeId, "node id"
}
short_id! {
    /// The cluster that lives in a room, drawn by the node that founded it. A store belongs to one cluster for ever.
    ClusterId, "cluster id"
}
short_id! {
    /// A stored text.
    DocumentId, "document id"
}
short_id! {
    /// A count that somebody asked for.
    JobId, "job id"
}
short_id! {
    /// A text that is on its way in.
    UploadId, "upload id"
}

/// The BLAKE3 hash that names a block of bytes, or the inputs of a task.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

text_in_json!(Hash, [u8; 32]);

impl Hash {
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(*blake3::hash(bytes).as_bytes())
    }

    pub const fn from_bytes(bytes: [u8; 32]) -> Hash {
        Hash(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&HEXLOWER.encode(&self.0[..4]))
    }
}

impl FromStr for Hash {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Hash, ParseIdError> {
        HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok()).map(Hash).ok_or_else(
            || ParseIdError {
                text: text.chars().take(80).collect(),
                kind: "BLAKE3 hash",
                expected: "64 hexadecimal digits in lower case",
            },
        )
    }
}

/// A name of a room as it stands in links: 1 to 64 of `a-z 0-9 -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RoomName(String);

impl RoomName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for RoomName {
    fn default() -> RoomName {
        RoomName("lobby".to_owned())
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for RoomName {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<RoomName, ParseIdError> {
        let fits = (1..=crate::limits::ROOM_NAME_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !fits {
            return Err(ParseIdError {
                text: text.chars().take(80).collect(),
                kind: "room name",
                expected: "1 to 64 of the letters a to z, digits and hyphens",
            });
        }
        Ok(RoomName(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for RoomName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RoomName, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_what_they_print_in_either_case() {
        let id = NodeId::from_bytes(*b"0123456789");
        let text = id.to_string();
        assert_eq!(text.len(), 16);
        assert_eq!(text.parse::<NodeId>(), Ok(id));
        assert_eq!(text.to_uppercase().parse::<NodeId>(), Ok(id));
        assert!("".parse::<NodeId>().is_err());
        assert!("not an id at all".parse::<NodeId>().is_err());
    }

    #[test]
    fn room_names_are_bounded_and_plain() {
        assert!("lobby".parse::<RoomName>().is_ok());
        assert!("a".repeat(64).parse::<RoomName>().is_ok());
        for wrong in ["", "Lobby", "a b", "a/b", "é", &"a".repeat(65)] {
            assert!(wrong.parse::<RoomName>().is_err(), "{wrong:?}");
        }
    }
}
