//! What counts as a word, and which tables of Unicode the answer rests on.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The rule by which a text falls into words (`super` tells what each one means).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    #[default]
    Unicode,
    Whitespace,
    Ascii,
}

impl Mode {
    pub const ALL: [Mode; 3] = [Mode::Unicode, Mode::Whitespace, Mode::Ascii];

    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Unicode => "unicode",
            Mode::Whitespace => "whitespace",
            Mode::Ascii => "ascii",
        }
    }

    pub(super) const fn to_byte(self) -> u8 {
        match self {
            Mode::Unicode => 0,
            Mode::Whitespace => 1,
            Mode::Ascii => 2,
        }
    }

    pub(super) fn from_byte(byte: u8) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.to_byte() == byte)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a mode: expected unicode, whitespace or ascii")]
pub struct ParseModeError {
    pub text: String,
}

impl FromStr for Mode {
    type Err = ParseModeError;

    fn from_str(text: &str) -> Result<Mode, ParseModeError> {
        Mode::ALL
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| ParseModeError { text: text.chars().take(40).collect() })
    }
}

/// The versions of Unicode behind an answer. Members with different ones may disagree, so this is part of every
/// table's header and belongs into every key under which a count is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnicodeVersion {
    /// Where words begin and end: Word_Break and Extended_Pictographic.
    pub segments: (u8, u8, u8),
    /// Which characters are letters, and how they are lower-cased: the tables of the compiler.
    pub letters: (u8, u8, u8),
}

/// What this build counts with.
pub const UNICODE_VERSION: UnicodeVersion =
    UnicodeVersion { segments: (17, 0, 0), letters: char::UNICODE_VERSION };

impl UnicodeVersion {
    pub(super) const ENCODED_BYTES: usize = 6;

    pub const fn to_bytes(self) -> [u8; Self::ENCODED_BYTES] {
        let UnicodeVersion { segments: s, letters: l } = self;
        [s.0, s.1, s.2, l.0, l.1, l.2]
    }

    pub(super) const fn from_bytes([a, b, c, d, e, f]: [u8; Self::ENCODED_BYTES]) -> UnicodeVersion {
        UnicodeVersion { segments: (a, b, c), letters: (d, e, f) }
    }
}

impl fmt::Display for UnicodeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (a, b, c) = self.segments;
        write!(f, "{a}.{b}.{c}")?;
        if self.letters != self.segments {
            let (a, b, c) = self.letters;
            write!(f, " with letters of {a}.{b}.{c}")?;
        }
        Ok(())
    }
}
