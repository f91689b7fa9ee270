//! The most frequent words, and all words by frequency: by count, highest first, then by the order of their bytes.

use super::reader::Cursor;
use super::table::{Entry, Table};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Keeps the first `limit` of what is offered, in the order of counts. Offers come in the order of words, so of equal
/// counts the earlier one stays in front.
#[derive(Clone, Debug)]
pub struct Top<W> {
    limit: usize,
    offered: u64,
    kept: BinaryHeap<Reverse<Candidate<W>>>,
}

#[derive(Clone, Debug)]
struct Candidate<W> {
    count: u64,
    place: u64,
    word: W,
}

impl<W> Candidate<W> {
    fn rank(&self) -> (u64, Reverse<u64>) {
        (self.count, Reverse(self.place))
    }
}

impl<W> Ord for Candidate<W> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl<W> PartialOrd for Candidate<W> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<W> PartialEq for Candidate<W> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<W> Eq for Candidate<W> {}

impl<W> Top<W> {
    pub fn new(limit: usize) -> Top<W> {
        Top { limit, offered: 0, kept: BinaryHeap::new() }
    }

    /// Offers the next word; `word` is made only if it is kept for now.
    pub fn offer(&mut self, count: u64, word: impl FnOnce() -> W) {
        let place = self.offered;
        self.offered += 1;
        if self.kept.len() < self.limit {
            self.kept.push(Reverse(Candidate { count, place, word: word() }));
        } else if let Some(mut last) = self.kept.peek_mut()
            && count > last.0.count
        {
            *last = Reverse(Candidate { count, place, word: word() });
        }
    }

    /// The words that stayed, first one first.
    pub fn finish(self) -> Vec<W> {
        self.kept.into_sorted_vec().into_iter().map(|Reverse(candidate)| candidate.word).collect()
    }
}

/// A whole word with its count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedWord {
    pub word: Vec<u8>,
    pub count: u64,
}

impl Top<CountedWord> {
    /// Offers the next entry of a table, be it in memory or from a [`TableReader`](super::TableReader).
    pub fn add(&mut self, entry: Entry<'_>) {
        self.offer(entry.count, || CountedWord { word: entry.word.to_vec(), count: entry.count });
    }

    /// The `limit` most frequent words of a table.
    pub fn of(table: &Table, limit: usize) -> Vec<CountedWord> {
        let mut top = Top::new(limit);
        let mut entries = table.entries();
        while let Some(entry) = entries.next_entry() {
            top.add(entry);
        }
        top.finish()
    }
}

/// All words of a table by count. One arena and 24 bytes per word.
#[derive(Debug, Default)]
pub struct ByCount {
    arena: Vec<u8>,
    words: Vec<(u64, usize, usize)>,
}

impl ByCount {
    pub fn new() -> ByCount {
        ByCount::default()
    }

    pub fn of(entries: &mut Cursor<'_>) -> ByCount {
        let mut all = ByCount::new();
        while let Some(entry) = entries.next_entry() {
            all.add(entry);
        }
        all.sort();
        all
    }

    /// Takes the next entry of the table.
    pub fn add(&mut self, entry: Entry<'_>) {
        self.words.push((entry.count, self.arena.len(), entry.word.len()));
        self.arena.extend_from_slice(entry.word);
    }

    /// Puts what was added in order.
    pub fn sort(&mut self) {
        self.words.sort_unstable_by_key(|&(count, start, _)| (Reverse(count), start));
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.words.iter().map(|&(count, start, bytes)| (&self.arena[start..start + bytes], count))
    }
}
