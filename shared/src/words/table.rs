//! The counts of a text: each word once, in the order of its bytes.
//!
//! A table is held as its encoding, in memory, in a store and on the wire alike. That is a third of what separate
//! words would take, and two tables are equal exactly when their bytes are.
//!
//! ```text
//! table  = header entry* 0 unique total bytes lines          numbers are varints
//! entry  = length-of-suffix shared-with-word-before suffix count
//! ```
//!
//! A word shares nothing with the one before it, and can so be read on its own, if it is the first to begin in its
//! 64 KiB of the stream or is longer than a summary shows.

use super::codec::{self, DecodeError, Kind};
use super::mode::Mode;
use super::reader::{Cursor, TableReader};
use crate::limits;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Distance of the words that can be read without the one before them.
const RESTART_BYTES: u64 = 64 << 10;

/// The sums over a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Totals {
    /// Words, each as often as it occurs.
    pub total: u64,
    /// Words, each once.
    pub unique: u64,
    /// Bytes of the text.
    pub bytes: u64,
    /// Line feeds in the text.
    pub lines: u64,
}

/// A word of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub word: &'a [u8],
    pub count: u64,
    /// Where the entry begins, in bytes from the beginning of the table.
    pub offset: u64,
}

/// A complete table, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    mode: Mode,
    totals: Totals,
    encoded: Vec<u8>,
}

impl Table {
    /// The table of an empty text.
    pub fn empty(mode: Mode) -> Table {
        TableWriter::new(mode).into_table(0, 0)
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The words in the order of their bytes.
    pub fn entries(&self) -> Cursor<'_> {
        Cursor::over_checked(&self.encoded)
    }

    /// The table as bytes, to be cut anywhere and read with a [`TableReader`].
    pub fn as_bytes(&self) -> &[u8] {
        &self.encoded
    }

    pub fn encode(self) -> Vec<u8> {
        self.encoded
    }

    /// Reads and checks a whole table.
    pub fn decode(bytes: &[u8]) -> Result<Table, DecodeError> {
        let (mode, totals) = TableReader::check(bytes)?;
        Ok(Table { mode, totals, encoded: bytes.to_vec() })
    }

    /// The table of several texts together. All are of the same mode.
    pub fn merge(mode: Mode, tables: &[Table]) -> Table {
        match tables {
            [] => return Table::empty(mode),
            [only] => return only.clone(),
            _ => {}
        }
        assert!(tables.iter().all(|table| table.mode == mode), "tables of one mode are merged");
        let mut heads: BinaryHeap<Head> =
            tables.iter().filter_map(|table| Head::of(table.entries())).collect();
        let mut writer = TableWriter::new(mode);
        let mut word = Vec::new();
        while let Some(first) = heads.peek() {
            word.clear();
            word.extend_from_slice(first.0.word());
            let mut count = 0u64;
            while let Some(mut head) = heads.peek_mut() {
                if head.0.word() != word {
                    break;
                }
                count = count.saturating_add(head.0.count());
                if !head.0.advance() {
                    std::collections::binary_heap::PeekMut::pop(head);
                }
            }
            writer.push(&word, count);
        }
        let sum =
            |part: fn(Totals) -> u64| tables.iter().map(|t| part(t.totals)).fold(0, u64::saturating_add);
        writer.into_table(sum(|totals| totals.bytes), sum(|totals| totals.lines))
    }
}

/// A table in a merge; the greatest is the one whose word comes first.
struct Head<'a>(Cursor<'a>);

impl<'a> Head<'a> {
    fn of(mut cursor: Cursor<'a>) -> Option<Head<'a>> {
        cursor.advance().then_some(Head(cursor))
    }
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.word().cmp(self.0.word())
    }
}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head<'_> {}

/// Whether an entry must stand on its own. `before` is where the previous one begins.
pub(super) fn is_restart(before: Option<u64>, offset: u64, word_bytes: usize) -> bool {
    word_bytes > limits::SUMMARY_WORD_BYTES_MAX
        || before.is_none_or(|before| before / RESTART_BYTES != offset / RESTART_BYTES)
}

pub(super) fn shared_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Writes a table word by word. What is ready can be taken away at any time, so that it never grows large.
#[derive(Debug)]
pub struct TableWriter {
    mode: Mode,
    out: Vec<u8>,
    taken_bytes: u64,
    previous: Vec<u8>,
    previous_offset: Option<u64>,
    total: u64,
    unique: u64,
}

impl TableWriter {
    pub fn new(mode: Mode) -> TableWriter {
        TableWriter {
            mode,
            out: codec::header(Kind::Table, mode).to_vec(),
            taken_bytes: 0,
            previous: Vec::new(),
            previous_offset: None,
            total: 0,
            unique: 0,
        }
    }

    /// Adds a word that comes after all words so far, with a count that is not 0.
    pub fn push(&mut self, word: &[u8], count: u64) {
        assert!(
            word > self.previous.as_slice() && count > 0,
            "words come in ascending order and were counted"
        );
        let offset = self.taken_bytes + self.out.len() as u64;
        let shared = if is_restart(self.previous_offset, offset, word.len()) {
            0
        } else {
            shared_prefix(&self.previous, word)
        };
        codec::put_varint(&mut self.out, (word.len() - shared) as u64);
        codec::put_varint(&mut self.out, shared as u64);
        self.out.extend_from_slice(&word[shared..]);
        codec::put_varint(&mut self.out, count);
        self.previous.truncate(shared);
        self.previous.extend_from_slice(&word[shared..]);
        self.previous_offset = Some(offset);
        self.unique += 1;
        self.total = self.total.saturating_add(count);
    }

    /// Bytes that wait to be taken.
    pub fn ready_bytes(&self) -> usize {
        self.out.len()
    }

    /// Takes what has been written since the last time.
    pub fn take_block(&mut self) -> Vec<u8> {
        self.taken_bytes += self.out.len() as u64;
        std::mem::take(&mut self.out)
    }

    /// Closes the table of a text of so many bytes and line feeds; returns its last block.
    pub fn finish(mut self, bytes: u64, lines: u64) -> (Vec<u8>, Totals) {
        let totals = Totals { total: self.total, unique: self.unique, bytes, lines };
        for number in [0, totals.unique, totals.total, totals.bytes, totals.lines] {
            codec::put_varint(&mut self.out, number);
        }
        (self.out, totals)
    }

    /// Closes a table of which nothing was taken.
    pub(super) fn into_table(self, bytes: u64, lines: u64) -> Table {
        assert_eq!(self.taken_bytes, 0, "a table in memory is whole");
        let mode = self.mode;
        let (mut encoded, totals) = self.finish(bytes, lines);
        encoded.shrink_to_fit();
        Table { mode, totals, encoded }
    }
}
