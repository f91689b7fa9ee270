//! What a result says at a glance, small enough for a log entry whatever the text was.

use super::letters::Letters;
use super::table::{Entry, Table, Totals};
use super::top::Top;
use crate::limits;
use serde::{Deserialize, Serialize};

/// A word as far as a summary shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SummaryWord {
    /// The word, or its first `SUMMARY_WORD_BYTES_MAX` bytes or few less, so that no character is parted.
    pub prefix: Vec<u8>,
    /// Bytes of the whole word.
    pub length: u64,
    pub count: u64,
    /// Where its entry begins in the table. A word that is cut here can be read from there with
    /// [`TableReader::resume_at`](super::TableReader::resume_at).
    pub table_offset: u64,
}

impl SummaryWord {
    fn of(entry: Entry<'_>) -> SummaryWord {
        SummaryWord {
            prefix: shown(entry.word).to_vec(),
            length: entry.word.len() as u64,
            count: entry.count,
            table_offset: entry.offset,
        }
    }

    /// Whether `prefix` is the whole word.
    pub fn is_whole(&self) -> bool {
        self.prefix.len() as u64 == self.length
    }
}

fn shown(word: &[u8]) -> &[u8] {
    let Some(cut) = word.get(..limits::SUMMARY_WORD_BYTES_MAX).filter(|cut| cut.len() < word.len()) else {
        return word;
    };
    match std::str::from_utf8(cut) {
        Err(error) if error.error_len().is_none() => &cut[..error.valid_up_to()],
        _ => cut,
    }
}

/// The figures of a count. The default is the summary of an empty text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub totals: Totals,
    /// The highest count, first in byte order; none in a text without words.
    pub max: Option<SummaryWord>,
    /// The lowest count, first in byte order; none in a text without words.
    pub min: Option<SummaryWord>,
    /// By count, highest first, then by word in byte order.
    pub top: Vec<SummaryWord>,
    pub letters: Letters,
}

impl Summary {
    /// The summary of a table, with the `top` most frequent words.
    pub fn of(table: &Table, top: usize) -> Summary {
        let mut builder = SummaryBuilder::new(top);
        let mut entries = table.entries();
        while let Some(entry) = entries.next_entry() {
            builder.add(entry);
        }
        builder.finish(table.totals())
    }
}

/// Makes a summary while a table streams by.
#[derive(Clone, Debug)]
pub struct SummaryBuilder {
    max: Option<SummaryWord>,
    min: Option<SummaryWord>,
    top: Top<SummaryWord>,
    letters: Letters,
}

impl SummaryBuilder {
    /// `top` is bounded by `SUMMARY_TOP_MAX`.
    pub fn new(top: usize) -> SummaryBuilder {
        SummaryBuilder {
            max: None,
            min: None,
            top: Top::new(top.min(limits::SUMMARY_TOP_MAX)),
            letters: Letters::default(),
        }
    }

    /// Takes the next entry of the table.
    pub fn add(&mut self, entry: Entry<'_>) {
        self.letters.add(entry.word, entry.count);
        self.top.offer(entry.count, || SummaryWord::of(entry));
        if self.max.as_ref().is_none_or(|max| entry.count > max.count) {
            self.max = Some(SummaryWord::of(entry));
        }
        if self.min.as_ref().is_none_or(|min| entry.count < min.count) {
            self.min = Some(SummaryWord::of(entry));
        }
    }

    /// Closes the summary with the totals from the table's end.
    pub fn finish(self, totals: Totals) -> Summary {
        let SummaryBuilder { max, min, top, letters } = self;
        Summary { totals, max, min, top: top.finish(), letters }
    }
}
