//! What tables and partials share in their encoding: a header, varints, and the ways in which bytes can be wrong.
//!
//! Every value has one encoding only, so equal results are equal bytes and have equal hashes.

use super::mode::{Mode, UNICODE_VERSION, UnicodeVersion};
use crate::limits;

/// The version of the encodings in this folder.
pub const ENCODING_VERSION: u8 = 1;

/// Bytes that are no table or partial, or not one that this build can read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the bytes end in the middle of a {0}")]
    Truncated(&'static str),
    #[error("{0} bytes follow the end")]
    TrailingBytes(usize),
    #[error("encoding version {theirs}, but this build reads version {ours}")]
    Version { theirs: u8, ours: u8 },
    #[error("counted by Unicode {theirs}, but this build counts by Unicode {ours}")]
    Unicode { theirs: UnicodeVersion, ours: UnicodeVersion },
    #[error("these bytes are no {0}")]
    Kind(&'static str),
    #[error("counted in the mode {theirs} instead of {ours}")]
    Mode { theirs: Mode, ours: Mode },
    #[error("byte {0} names no mode")]
    UnknownMode(u8),
    #[error("a number is not in its shortest form or exceeds 64 bits")]
    Number,
    #[error("words are not in strictly ascending order")]
    Order,
    #[error("a word is not encoded the one way it has to be")]
    NotCanonical,
    #[error("a word stands there with a count of 0")]
    NoCount,
    #[error("{what} of {bytes} bytes, but {max} are allowed")]
    TooLong { what: &'static str, bytes: u64, max: usize },
    #[error("the totals at the end do not fit the words before them")]
    Totals,
}

/// What an encoding holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Table,
    Partial,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Kind::Table => "table",
            Kind::Partial => "partial",
        }
    }

    const fn to_byte(self) -> u8 {
        match self {
            Kind::Table => b't',
            Kind::Partial => b'p',
        }
    }
}

pub(super) const HEADER_BYTES: usize = 3 + UnicodeVersion::ENCODED_BYTES;

pub(super) fn header(kind: Kind, mode: Mode) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..3].copy_from_slice(&[ENCODING_VERSION, kind.to_byte(), mode.to_byte()]);
    header[3..].copy_from_slice(&UNICODE_VERSION.to_bytes());
    header
}

/// Takes bytes from the front of what is there.
#[derive(Clone)]
pub(super) struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Decoder<'a> {
        Decoder { rest: bytes }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take(&mut self, bytes: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(DecodeError::Truncated(what))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        Ok(self.take(1, what)?[0])
    }

    pub(super) fn header(&mut self, kind: Kind) -> Result<Mode, DecodeError> {
        let theirs = self.byte("header")?;
        if theirs != ENCODING_VERSION {
            return Err(DecodeError::Version { theirs, ours: ENCODING_VERSION });
        }
        if self.byte("header")? != kind.to_byte() {
            return Err(DecodeError::Kind(kind.name()));
        }
        let mode = self.byte("header")?;
        let mode = Mode::from_byte(mode).ok_or(DecodeError::UnknownMode(mode))?;
        let mut version = [0; UnicodeVersion::ENCODED_BYTES];
        version.copy_from_slice(self.take(UnicodeVersion::ENCODED_BYTES, "header")?);
        let theirs = UnicodeVersion::from_bytes(version);
        if theirs != UNICODE_VERSION {
            return Err(DecodeError::Unicode { theirs, ours: UNICODE_VERSION });
        }
        Ok(mode)
    }

    /// LEB128, shortest form only.
    pub(super) fn varint(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte(what)?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits || (byte == 0 && shift > 0) {
                return Err(DecodeError::Number);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::Number)
    }

    /// The length of something that is bounded.
    pub(super) fn length(&mut self, what: &'static str, max: usize) -> Result<usize, DecodeError> {
        let bytes = self.varint(what)?;
        usize::try_from(bytes).ok().filter(|&length| length <= max).ok_or(DecodeError::TooLong {
            what,
            bytes,
            max,
        })
    }

    /// One side of a piece that awaits its neighbour.
    pub(super) fn open_edge(&mut self) -> Result<&'a [u8], DecodeError> {
        let bytes = self.length("open edge", limits::OPEN_EDGE_BYTES_MAX)?;
        self.take(bytes, "open edge")
    }
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_and_have_one_form_only() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(Decoder::new(&bytes).varint("number"), Ok(value));
            assert_eq!(
                Decoder::new(&bytes[..bytes.len() - 1]).varint("number"),
                Err(DecodeError::Truncated("number"))
            );
        }
        for wrong in [&[0x80, 0][..], &[0xff; 11], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]]
        {
            assert_eq!(Decoder::new(wrong).varint("number"), Err(DecodeError::Number), "{wrong:?}");
        }
    }

    #[test]
    fn a_header_of_another_make_is_refused_by_name() {
        let good = header(Kind::Table, Mode::Ascii);
        assert_eq!(Decoder::new(&good).header(Kind::Table), Ok(Mode::Ascii));
        assert_eq!(Decoder::new(&good).header(Kind::Partial), Err(DecodeError::Kind("partial")));
        let changed = |at: usize, to: u8| {
            let mut bytes = good;
            bytes[at] = to;
            Decoder::new(&bytes).header(Kind::Table).unwrap_err().to_string()
        };
        assert_eq!(changed(0, 9), "encoding version 9, but this build reads version 1");
        assert_eq!(changed(2, 7), "byte 7 names no mode");
        assert!(changed(3, 15).starts_with("counted by Unicode 15.0.0"));
    }
}
