//! The count of one piece of a document, which need not begin or end between words.

use super::codec::{self, DecodeError, Decoder, Kind};
use super::cut::count_lines;
use super::edges::{CountError, Edges};
use super::mode::Mode;
use super::table::Table;
use super::tally::Tally;

/// What is known about a contiguous piece of a document: the words that lie wholly in it, and the bytes at its two
/// ends that await their neighbours.
///
/// Joining is associative, down to the encoding: `of(a).join(of(b))` is `of(ab)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    edges: Edges,
    table: Table,
}

impl Partial {
    /// Counts a piece.
    pub fn of(mode: Mode, piece: &[u8]) -> Result<Partial, CountError> {
        let mut tally = Tally::new(mode);
        let (edges, closed) = Edges::of(mode, piece)?;
        tally.count(closed);
        Ok(Partial { edges, table: tally.into_table() })
    }

    /// The piece without bytes: joining it changes nothing.
    pub fn empty(mode: Mode) -> Partial {
        Partial { edges: Edges::Open(Vec::new()), table: Table::empty(mode) }
    }

    pub(super) fn from_parts(edges: Edges, table: Table) -> Partial {
        Partial { edges, table }
    }

    pub fn mode(&self) -> Mode {
        self.table.mode()
    }

    /// Bytes of the piece.
    pub fn bytes(&self) -> u64 {
        self.table.totals().bytes + self.edges.bytes() as u64
    }

    /// Line feeds in the piece.
    pub fn lines(&self) -> u64 {
        let mut lines = self.table.totals().lines;
        self.edges.close(|edge| lines += count_lines(edge));
        lines
    }

    /// Puts the piece that follows in the document behind this one.
    pub fn join(self, next: Partial) -> Result<Partial, CountError> {
        let mode = self.mode();
        Partial::join_all(mode, [self, next])
    }

    /// Joins neighbours in the order of the document, all at once: each word is written once, not once per joint.
    pub fn join_all(mode: Mode, pieces: impl IntoIterator<Item = Partial>) -> Result<Partial, CountError> {
        let mut joints = Tally::new(mode);
        let mut edges = Edges::Open(Vec::new());
        let mut tables = Vec::new();
        for piece in pieces {
            if piece.mode() != mode {
                return Err(CountError::Modes(mode, piece.mode()));
            }
            edges = edges.join(mode, piece.edges, |closed| joints.count(closed))?;
            tables.push(piece.table);
        }
        tables.push(joints.into_table());
        Ok(Partial { edges, table: Table::merge(mode, &tables) })
    }

    /// The counts of the document, when the piece is all of it.
    pub fn close(self) -> Table {
        let mode = self.mode();
        let mut ends = Tally::new(mode);
        self.edges.close(|edge| ends.count(edge));
        Table::merge(mode, &[self.table, ends.into_table()])
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = codec::header(Kind::Partial, self.mode()).to_vec();
        let mut put = |bytes: &[u8]| {
            codec::put_varint(&mut out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        };
        match &self.edges {
            // A head is never empty, so an empty one stands for its absence.
            Edges::Open(open) => {
                put(&[]);
                put(open);
            }
            Edges::Cut { head, tail } => {
                put(head);
                put(tail);
            }
        }
        out.extend_from_slice(self.table.as_bytes());
        out
    }

    /// Reads and checks a partial.
    pub fn decode(bytes: &[u8]) -> Result<Partial, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let mode = decoder.header(Kind::Partial)?;
        let (head, tail) = (decoder.open_edge()?.to_vec(), decoder.open_edge()?.to_vec());
        let edges = if head.is_empty() { Edges::Open(tail) } else { Edges::Cut { head, tail } };
        let table = Table::decode(decoder.rest())?;
        if table.mode() != mode {
            return Err(DecodeError::Mode { theirs: table.mode(), ours: mode });
        }
        let uncounted = matches!(edges, Edges::Open(_)) && table != Table::empty(mode);
        if uncounted || !edges.are_canonical(mode) {
            return Err(DecodeError::NotCanonical);
        }
        Ok(Partial { edges, table })
    }
}
