//! Every answer is held against references that work in another way (`reference`), on the cases that are known to go
//! wrong (`texts`) and on random ones.

mod cuts;
mod encoding;
mod reference;
mod results;
mod segments;
mod texts;

use super::{Mode, Table};
use std::collections::BTreeMap;

/// A table in the plainest form, for comparison.
type Plain = BTreeMap<Vec<u8>, u64>;

fn plain(table: &Table) -> Plain {
    let mut words = Plain::new();
    let mut entries = table.entries();
    while let Some(entry) = entries.next_entry() {
        words.insert(entry.word.to_vec(), entry.count);
    }
    words
}

fn table_of(mode: Mode, text: &[u8]) -> Table {
    super::Partial::of(mode, text).expect("no stretch is too long").close()
}

fn count_plainly(words: impl IntoIterator<Item = Vec<u8>>) -> Plain {
    let mut counts = Plain::new();
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    counts
}
