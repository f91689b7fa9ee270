//! Counting a whole text in one process, with a table per thread instead of one per chunk.
//!
//! Every thread owns a [`Lane`] and gives it chunks as they come. What a lane cannot decide about a chunk, its
//! edges, goes to the [`Seam`] that all share. The pieces may arrive there in any order.

use super::edges::{CountError, Edges};
use super::mode::Mode;
use super::partial::Partial;
use super::table::Table;
use super::tally::Tally;
use std::collections::BTreeMap;

/// The count of one thread.
#[derive(Debug)]
pub struct Lane {
    mode: Mode,
    tally: Tally,
}

impl Lane {
    pub fn new(mode: Mode) -> Lane {
        Lane { mode, tally: Tally::new(mode) }
    }

    /// Counts what is closed in a chunk and returns what is not.
    pub fn count(&mut self, chunk: &[u8]) -> Result<Edges, CountError> {
        let (edges, closed) = Edges::of(self.mode, chunk)?;
        self.tally.count(closed);
        Ok(edges)
    }

    pub fn finish(self) -> Table {
        self.tally.into_table()
    }
}

/// Joins the edges of all chunks, numbered from 0 in the order of the text. Holds those that wait for an earlier
/// one, and one stretch of text between two cuts.
#[derive(Debug)]
pub struct Seam {
    mode: Mode,
    joined: Edges,
    next: u64,
    waiting: BTreeMap<u64, Edges>,
    tally: Tally,
}

impl Seam {
    pub fn new(mode: Mode) -> Seam {
        let joined = Edges::Open(Vec::new());
        Seam { mode, joined, next: 0, waiting: BTreeMap::new(), tally: Tally::new(mode) }
    }

    /// Takes the edges of chunk `index`. Every chunk is given once.
    pub fn add(&mut self, index: u64, edges: Edges) -> Result<(), CountError> {
        self.waiting.insert(index, edges);
        while let Some(edges) = self.waiting.remove(&self.next) {
            let joined = std::mem::replace(&mut self.joined, Edges::Open(Vec::new()));
            self.joined = joined.join(self.mode, edges, |closed| self.tally.count(closed))?;
            self.next += 1;
        }
        Ok(())
    }

    /// The table of the whole text, when every chunk has been given.
    pub fn finish(self, lanes: Vec<Lane>) -> Table {
        self.into_partial(lanes).close()
    }

    /// The same for a text that goes on before or after.
    pub fn into_partial(self, lanes: Vec<Lane>) -> Partial {
        assert!(self.waiting.is_empty(), "chunks {:?} wait for an earlier one", self.waiting.keys());
        let mut tables: Vec<Table> = lanes.into_iter().map(Lane::finish).collect();
        tables.push(self.tally.into_table());
        Partial::from_parts(self.joined, Table::merge(self.mode, &tables))
    }
}

/// Counts a text that comes in pieces, cut anywhere.
pub fn count_all<P: AsRef<[u8]>>(
    mode: Mode,
    pieces: impl IntoIterator<Item = P>,
) -> Result<Table, CountError> {
    let mut lane = Lane::new(mode);
    let mut seam = Seam::new(mode);
    for (index, piece) in (0..).zip(pieces) {
        seam.add(index, lane.count(piece.as_ref())?)?;
    }
    Ok(seam.finish(vec![lane]))
}
