//! Counts words as they come: a hash table over one arena of bytes.
//!
//! The standard map would keep an allocation per word. The hash never shows: what leaves is sorted.

use super::cut;
use super::mode::Mode;
use super::table::{Table, TableWriter};
use super::tokens::for_each_word;

const EMPTY: u32 = u32::MAX;
const SLOTS_AT_FIRST: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Counted {
    start: usize,
    bytes: u32,
    hash: u32,
    count: u64,
}

/// The words of texts that are complete or cut at safe places, with their counts.
#[derive(Debug)]
pub(super) struct Tally {
    mode: Mode,
    bytes: u64,
    lines: u64,
    vocabulary: Vocabulary,
    scratch: Vec<u8>,
}

impl Tally {
    pub(super) fn new(mode: Mode) -> Tally {
        Tally { mode, bytes: 0, lines: 0, vocabulary: Vocabulary::new(), scratch: Vec::new() }
    }

    pub(super) fn count(&mut self, text: &[u8]) {
        self.bytes += text.len() as u64;
        self.lines += cut::count_lines(text);
        for_each_word(self.mode, text, &mut self.scratch, |word| self.vocabulary.add(word));
    }

    pub(super) fn into_table(self) -> Table {
        self.vocabulary.into_table(self.mode, self.bytes, self.lines)
    }
}

/// Open addressing with linear probing; at most three quarters of the slots are taken.
#[derive(Debug)]
struct Vocabulary {
    arena: Vec<u8>,
    words: Vec<Counted>,
    slots: Vec<u32>,
}

impl Vocabulary {
    fn new() -> Vocabulary {
        Vocabulary { arena: Vec::new(), words: Vec::new(), slots: vec![EMPTY; SLOTS_AT_FIRST] }
    }

    fn add(&mut self, word: &[u8]) {
        let hash = hash(word);
        let mut slot = self.home(hash);
        while self.slots[slot] != EMPTY {
            let known = self.words[self.slots[slot] as usize];
            if known.hash == hash && self.bytes_of(known) == word {
                self.words[self.slots[slot] as usize].count += 1;
                return;
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        let bytes = u32::try_from(word.len()).expect("a word is shorter than an open edge may grow");
        assert!(self.words.len() < EMPTY as usize, "a table counts less than four billion different words");
        self.slots[slot] = self.words.len() as u32;
        self.words.push(Counted { start: self.arena.len(), bytes, hash, count: 1 });
        self.arena.extend_from_slice(word);
        if self.words.len() * 4 > self.slots.len() * 3 {
            self.grow();
        }
    }

    fn grow(&mut self) {
        self.slots = vec![EMPTY; self.slots.len() * 2];
        for index in 0..self.words.len() {
            let mut slot = self.home(self.words[index].hash);
            while self.slots[slot] != EMPTY {
                slot = (slot + 1) & (self.slots.len() - 1);
            }
            self.slots[slot] = index as u32;
        }
    }

    fn home(&self, hash: u32) -> usize {
        hash as usize & (self.slots.len() - 1)
    }

    fn bytes_of(&self, word: Counted) -> &[u8] {
        &self.arena[word.start..word.start + word.bytes as usize]
    }

    fn into_table(self, mode: Mode, bytes: u64, lines: u64) -> Table {
        let Vocabulary { arena, mut words, slots } = self;
        drop(slots);
        let bytes_of = |word: &Counted| &arena[word.start..word.start + word.bytes as usize];
        words.sort_unstable_by(|a, b| bytes_of(a).cmp(bytes_of(b)));
        let mut writer = TableWriter::new(mode);
        for word in &words {
            writer.push(bytes_of(word), word.count);
        }
        writer.into_table(bytes, lines)
    }
}

/// Eight bytes at a time through a multiplication whose halves are folded together.
fn hash(word: &[u8]) -> u32 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |state: u64, bytes: u64| {
        let product = u128::from(state ^ bytes) * u128::from(MULTIPLIER);
        (product as u64) ^ (product >> 64) as u64
    };
    let (eights, rest) = word.as_chunks::<8>();
    let mut state = fold(MULTIPLIER, word.len() as u64);
    for eight in eights {
        state = fold(state, u64::from_le_bytes(*eight));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    state = fold(state, u64::from_le_bytes(last));
    (state ^ (state >> 32)) as u32
}
