//! The entries of a log as the runs in which they came, so that they go on as they came: shared, not copied.

use super::super::entries::Entries;
use super::super::types::{Entry, Index, Position};
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

/// A run that is not empty, and the bytes of all entries up to its end: any range is measured from there, and sums
/// that are never kept cannot leak.
#[derive(Clone, Debug)]
struct Run {
    first: Index,
    entries: Entries,
    end: u64,
}

impl Run {
    fn last(&self) -> Position {
        self.entries[self.entries.len() - 1].position()
    }

    /// The bytes of all entries up to the one at `offset`.
    fn end_of(&self, offset: usize) -> u64 {
        self.end - size(&self.entries[offset + 1..])
    }
}

/// Runs that are looked at one by one before the search begins.
const NEWEST: usize = 4;

fn size(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.size() as u64).sum()
}

/// Without gaps, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    runs: VecDeque<Run>,
}

/// Where one run ends and the next begins makes no difference.
impl Hash for Runs {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.runs.iter().flat_map(|run| &run.entries).for_each(|entry| entry.hash(hasher));
    }
}

impl Runs {
    pub fn last(&self) -> Option<Position> {
        self.runs.back().map(Run::last)
    }

    /// The bytes of all entries, and of `before` what is gone already.
    pub fn end(&self, before: u64) -> u64 {
        self.runs.back().map_or(before, |run| run.end)
    }

    /// The run with this entry, and where it is in there. Most questions are about the newest few.
    fn find(&self, index: Index) -> Option<(usize, usize)> {
        let newest = self.runs.iter().rev().take(NEWEST);
        let number = match newest.take_while(|run| run.first > index).count() {
            NEWEST => self.runs.partition_point(|run| run.first <= index),
            later => self.runs.len() - later,
        };
        let number = number.checked_sub(1)?;
        let run = &self.runs[number];
        let offset = usize::try_from(index.distance_from(run.first)).ok()?;
        (offset < run.entries.len()).then_some((number, offset))
    }

    pub fn get(&self, index: Index) -> Option<&Entry> {
        self.find(index).map(|(number, offset)| &self.runs[number].entries[offset])
    }

    /// The bytes of all entries up to this one.
    pub fn end_of(&self, index: Index) -> Option<u64> {
        self.find(index).map(|(number, offset)| self.runs[number].end_of(offset))
    }

    /// Adds the entries that come next, if `before` bytes are gone already.
    pub fn extend(&mut self, entries: Entries, before: u64) {
        if !entries.is_empty() {
            let end = self.end(before) + size(&entries);
            self.runs.push_back(Run { first: entries[0].index, entries, end });
        }
    }

    /// Removes the entries from `first` on.
    pub fn truncate(&mut self, first: Index) {
        while self.runs.back().is_some_and(|run| run.first >= first) {
            self.runs.pop_back();
        }
        if let Some((number, offset)) = self.find(first) {
            let run = &mut self.runs[number];
            run.end = run.end_of(offset - 1);
            run.entries = run.entries.part(0..offset);
        }
    }

    /// Removes the entries up to `last`.
    pub fn remove_to(&mut self, last: Index) {
        while self.runs.front().is_some_and(|run| run.last().index <= last) {
            self.runs.pop_front();
        }
        if let Some((number, offset)) = self.find(last) {
            let run = &mut self.runs[number];
            run.entries = run.entries.part(offset + 1..run.entries.len());
            run.first = last.next();
        }
    }

    pub fn clear(&mut self) {
        self.runs.clear();
    }

    /// All entries from `first` on.
    pub fn from(&self, first: Index) -> impl Iterator<Item = Entries> {
        let (number, offset) = self.find(first).unwrap_or((self.runs.len(), 0));
        self.runs.range(number..).enumerate().map(move |(number, run)| match number {
            0 => run.entries.part(offset..run.entries.len()),
            _ => run.entries.clone(),
        })
    }

    /// Entries from `first` on, up to a number of bytes, but at least one if there is one. Copied only where a run
    /// ends before the bytes do.
    pub fn take(&self, first: Index, max_bytes: u64) -> Entries {
        let Some((number, offset)) = self.find(first) else { return Entries::default() };
        let run = &self.runs[number];
        let start = run.end_of(offset) - run.entries[offset].size() as u64;
        let limit = start.saturating_add(max_bytes);
        let end = offset + fitting(&run.entries[offset..], start, run.end, limit).max(1);
        let goes_on =
            |next: &&Run| end == run.entries.len() && run.end + next.entries[0].size() as u64 <= limit;
        if self.runs.get(number + 1).filter(goes_on).is_none() {
            return run.entries.part(offset..end);
        }
        let mut taken = run.entries[offset..].to_vec();
        let mut start = run.end;
        for run in self.runs.range(number + 1..) {
            let fitting = fitting(&run.entries, start, run.end, limit);
            taken.extend_from_slice(&run.entries[..fitting]);
            if fitting < run.entries.len() {
                break;
            }
            start = run.end;
        }
        taken.into()
    }

    /// Adds the entries after `delivered`, up to `commit`, to `committed`.
    pub fn copy(&self, delivered: Index, commit: Index, committed: &mut Vec<Entry>) {
        let mut next = delivered.next();
        while next <= commit
            && let Some((number, offset)) = self.find(next)
        {
            let entries = &self.runs[number].entries[offset..];
            let wanted = commit.distance_from(next.previous());
            let count = usize::try_from(wanted).unwrap_or(usize::MAX).min(entries.len());
            committed.extend_from_slice(&entries[..count]);
            next = next.plus(count);
        }
    }

    /// The last entry at or before the hint's index whose term is no higher.
    pub fn last_not_after(&self, hint: Position) -> Option<Position> {
        let not_after = |position: Position| position.index <= hint.index && position.term <= hint.term;
        let number = self.runs.partition_point(|run| not_after(run.entries[0].position())).checked_sub(1)?;
        let entries = &self.runs[number].entries;
        let count = entries.partition_point(|entry| not_after(entry.position()));
        Some(entries[count - 1].position())
    }
}

/// How many of these entries, which begin at byte `start` and end at byte `end`, end at or before `limit`.
fn fitting(entries: &[Entry], start: u64, end: u64, limit: u64) -> usize {
    if end <= limit {
        return entries.len();
    }
    let mut reached = start;
    let ends = entries.iter().map(|entry| {
        reached += entry.size() as u64;
        reached
    });
    ends.take_while(|end| *end <= limit).count()
}
