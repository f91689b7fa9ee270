//! Reads tables, out of memory or block by block as they come.

use super::codec::{self, DecodeError, Decoder, Kind};
use super::mode::Mode;
use super::table::{Entry, Totals, is_restart, shared_prefix};
use crate::limits;

/// Where a reader stands in a table.
#[derive(Clone, Debug)]
enum Stage {
    Header,
    Entries,
    End(Totals),
}

/// The words read so far, in as much as the next one depends on them.
#[derive(Clone, Debug)]
struct Position {
    stage: Stage,
    mode: Option<Mode>,
    word: Vec<u8>,
    count: u64,
    offset: u64,
    entry_offset: Option<u64>,
    /// A reader that starts in the middle cannot check the totals.
    sums: Option<(u64, u64)>,
}

impl Position {
    fn new() -> Position {
        Position {
            stage: Stage::Header,
            mode: None,
            word: Vec::new(),
            count: 0,
            offset: 0,
            entry_offset: None,
            sums: Some((0, 0)),
        }
    }

    /// Reads the next entry at the front of `input`. Returns the bytes used and whether there was an entry;
    /// changes nothing if `input` ends before that is known.
    fn step(&mut self, input: &[u8]) -> Result<(usize, bool), DecodeError> {
        let mut decoder = Decoder::new(input);
        if matches!(self.stage, Stage::End(_)) {
            return Ok((0, false));
        }
        if matches!(self.stage, Stage::Header) {
            let mode = decoder.header(Kind::Table)?;
            self.mode = Some(mode);
            self.stage = Stage::Entries;
            self.offset = codec::HEADER_BYTES as u64;
            let (used, found) = match self.step(decoder.rest()) {
                Err(DecodeError::Truncated(_)) => return Ok((codec::HEADER_BYTES, false)),
                other => other?,
            };
            return Ok((codec::HEADER_BYTES + used, found));
        }
        let suffix_bytes = decoder.length("word", limits::WORD_BYTES_MAX)?;
        let found = if suffix_bytes == 0 {
            self.totals(&mut decoder)?;
            false
        } else {
            self.entry(&mut decoder, suffix_bytes)?;
            true
        };
        let used = input.len() - decoder.rest().len();
        self.offset += used as u64;
        Ok((used, found))
    }

    fn entry(&mut self, decoder: &mut Decoder<'_>, suffix_bytes: usize) -> Result<(), DecodeError> {
        let shared = decoder.length("word", limits::WORD_BYTES_MAX)?;
        let suffix = decoder.take(suffix_bytes, "word")?;
        let count = decoder.varint("count")?;
        if count == 0 {
            return Err(DecodeError::NoCount);
        }
        let word_bytes = shared + suffix_bytes;
        if word_bytes > limits::WORD_BYTES_MAX {
            let (bytes, max) = (word_bytes as u64, limits::WORD_BYTES_MAX);
            return Err(DecodeError::TooLong { what: "word", bytes, max });
        }
        let restart = is_restart(self.entry_offset, self.offset, word_bytes);
        self.check_order(shared, suffix, restart)?;
        if let Some((unique, total)) = &mut self.sums {
            *unique += 1;
            *total = total.checked_add(count).ok_or(DecodeError::Totals)?;
        }
        self.word.truncate(shared);
        self.word.extend_from_slice(suffix);
        (self.count, self.entry_offset) = (count, Some(self.offset));
        Ok(())
    }

    fn check_order(&self, shared: usize, suffix: &[u8], restart: bool) -> Result<(), DecodeError> {
        if shared > self.word.len() || (restart && shared > 0) {
            return Err(DecodeError::NotCanonical);
        }
        let before = &self.word[shared..];
        if suffix <= before {
            return Err(DecodeError::Order);
        }
        if !restart && shared_prefix(before, suffix) > 0 {
            return Err(DecodeError::NotCanonical);
        }
        Ok(())
    }

    fn totals(&mut self, decoder: &mut Decoder<'_>) -> Result<(), DecodeError> {
        let mut next = || decoder.varint("totals");
        let (unique, total, bytes, lines) = (next()?, next()?, next()?, next()?);
        if self.sums.is_some_and(|sums| sums != (unique, total)) {
            return Err(DecodeError::Totals);
        }
        self.stage = Stage::End(Totals { total, unique, bytes, lines });
        Ok(())
    }
}

/// Goes through the words of a table in memory.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    position: Position,
}

impl<'a> Cursor<'a> {
    /// The bytes are those of a table that was written or checked here.
    pub(super) fn over_checked(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { rest: bytes, position: Position::new() }
    }

    /// Moves on to the next word, if there is one.
    pub fn advance(&mut self) -> bool {
        let (used, found) = self.position.step(self.rest).expect("a table is checked when it is made");
        self.rest = &self.rest[used..];
        found
    }

    pub(super) fn word(&self) -> &[u8] {
        &self.position.word
    }

    pub(super) fn count(&self) -> u64 {
        self.position.count
    }

    /// The next word, if there is one.
    pub fn next_entry(&mut self) -> Option<Entry<'_>> {
        self.advance().then(|| self.position.as_entry())
    }
}

impl Position {
    fn as_entry(&self) -> Entry<'_> {
        Entry { word: &self.word, count: self.count, offset: self.entry_offset.unwrap_or_default() }
    }
}

/// Reads a table that comes in blocks, cut anywhere. Holds one block and one word.
///
/// [`push`](TableReader::push) a block, take all entries with [`next_entry`](TableReader::next_entry), and so on;
/// at the end [`finish`](TableReader::finish) tells whether the table was complete.
#[derive(Debug)]
pub struct TableReader {
    buffer: Vec<u8>,
    used: usize,
    position: Position,
}

impl Default for TableReader {
    fn default() -> TableReader {
        TableReader::new()
    }
}

impl TableReader {
    pub fn new() -> TableReader {
        TableReader { buffer: Vec::new(), used: 0, position: Position::new() }
    }

    /// Reads from the middle of a table: from the entry of a word that a summary shows only in part.
    pub fn resume_at(mode: Mode, offset: u64) -> TableReader {
        let position =
            Position { stage: Stage::Entries, mode: Some(mode), offset, sums: None, ..Position::new() };
        TableReader { buffer: Vec::new(), used: 0, position }
    }

    pub fn push(&mut self, block: &[u8]) {
        self.buffer.drain(..self.used);
        self.used = 0;
        self.buffer.extend_from_slice(block);
    }

    /// The next word. `None`: the next block is needed, or the table is at its end.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_>>, DecodeError> {
        match self.position.step(&self.buffer[self.used..]) {
            Ok((used, found)) => {
                self.used += used;
                Ok(found.then(|| self.position.as_entry()))
            }
            Err(DecodeError::Truncated(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The mode in which the words were counted, once the header is there.
    pub fn mode(&self) -> Option<Mode> {
        self.position.mode
    }

    /// Whether the end of the table has been read.
    pub fn is_finished(&self) -> bool {
        matches!(self.position.stage, Stage::End(_))
    }

    /// What stands at the end of the table.
    pub fn finish(&self) -> Result<Totals, DecodeError> {
        match (&self.position.stage, self.buffer.len() - self.used) {
            (Stage::End(totals), 0) => Ok(*totals),
            (Stage::End(_), more) => Err(DecodeError::TrailingBytes(more)),
            _ => Err(DecodeError::Truncated("table")),
        }
    }

    /// Goes through a whole table.
    pub(super) fn check(bytes: &[u8]) -> Result<(Mode, Totals), DecodeError> {
        let mut position = Position::new();
        let mut rest = bytes;
        loop {
            let (used, found) = position.step(rest)?;
            rest = &rest[used..];
            match (&position.stage, position.mode, found) {
                (_, _, true) => {}
                (Stage::End(_), _, _) if !rest.is_empty() => {
                    return Err(DecodeError::TrailingBytes(rest.len()));
                }
                (Stage::End(totals), Some(mode), _) => return Ok((mode, *totals)),
                _ => return Err(DecodeError::Truncated("table")),
            }
        }
    }
}
