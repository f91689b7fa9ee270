//! Text made up by rule, for trying things out: a function of its arguments alone, the same natively and in a tab.
//!
//! Words follow Zipf's law (the word of rank *r* comes about 1/*r* times as often as the first) and are drawn from
//! several scripts, in sentences, lines and paragraphs. Whole numbers decide everything: floating point would not be
//! the same everywhere.

mod vocabulary;
mod zipf;

use crate::rng::Rng;
use std::borrow::Cow;
use vocabulary::Vocabulary;
use zipf::Zipf;

/// What a sample is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleOptions {
    /// Length of the text, exactly.
    pub bytes: u64,
    pub seed: u64,
    /// Different words to draw from, at most [`crate::limits::SAMPLE_WORDS_MAX`].
    pub words: u32,
}

impl Default for SampleOptions {
    fn default() -> SampleOptions {
        SampleOptions { bytes: 1 << 20, seed: 1, words: 50_000 }
    }
}

/// Stands between words now and then: no words themselves, and hard on a careless tokenizer.
const ORNAMENTS: [&str; 8] = ["🙂", "👩‍👩‍👧‍👦", "🇺🇳", "👍🏽", "❤️", "—", "…", "§"];

/// Sentences end in one of these; the first is the usual one.
const ENDS: [&str; 4] = [".", "?", "!", "…"];

/// Generates a sample piece by piece.
#[derive(Clone, Debug)]
pub struct Sample {
    rng: Rng,
    vocabulary: Vocabulary,
    zipf: Zipf,
    bytes_left: u64,
    line: String,
}

impl Sample {
    pub fn new(options: SampleOptions) -> Sample {
        let words = options.words.clamp(1, crate::limits::SAMPLE_WORDS_MAX);
        let mut rng = Rng::from_u64(options.seed);
        let vocabulary = Vocabulary::new(words, &mut rng);
        Sample { rng, vocabulary, zipf: Zipf::new(words), bytes_left: options.bytes, line: String::new() }
    }

    /// The next line with its line end; `None` when the text is complete.
    pub fn next_line(&mut self) -> Option<&str> {
        if self.bytes_left == 0 {
            return None;
        }
        self.line.clear();
        self.write_line();
        if self.line.len() as u64 > self.bytes_left {
            self.write_last_line();
        }
        self.bytes_left -= self.line.len() as u64;
        Some(&self.line)
    }

    /// Appends lines until `buffer` holds `bytes` or the text is complete; tells whether there may be more.
    pub fn fill(&mut self, buffer: &mut Vec<u8>, bytes: usize) -> bool {
        while buffer.len() < bytes {
            match self.next_line() {
                Some(line) => buffer.extend_from_slice(line.as_bytes()),
                None => return false,
            }
        }
        true
    }

    /// One to three sentences; once in a while an empty line after them.
    fn write_line(&mut self) {
        let shape = self.rng.next_u64();
        for sentence in 0..1 + shape % 3 {
            if sentence > 0 {
                self.line.push(' ');
            }
            self.write_sentence();
        }
        self.line.push('\n');
        if shape >> 8 & 0xF == 0 {
            self.line.push('\n');
        }
    }

    fn write_sentence(&mut self) {
        let shape = self.rng.next_u64();
        let words = 3 + shape % 12;
        let quoted = shape >> 16 & 0xF == 0;
        if quoted {
            self.line.push('“');
        }
        for position in 0..words {
            if position > 0 {
                self.write_gap();
            }
            self.write_word(position == 0);
        }
        self.line.push_str(if shape >> 24 & 3 == 0 { ENDS[(shape >> 32 & 3) as usize] } else { ENDS[0] });
        if quoted {
            self.line.push('”');
        }
    }

    fn write_gap(&mut self) {
        let choice = self.rng.next_u64();
        match choice & 0xFF {
            0..=20 => self.line.push_str(", "),
            21..=24 => self.line.push_str("; "),
            25..=26 => self.line.push('-'),
            27 => self.line.push('\u{A0}'),
            28..=29 => {
                self.line.push(' ');
                self.line.push_str(ORNAMENTS[(choice >> 8 & 7) as usize]);
                self.line.push(' ');
            }
            _ => self.line.push(' '),
        }
    }

    fn write_word(&mut self, first: bool) {
        let draw = self.rng.next_u64();
        let word = self.vocabulary.word(self.zipf.rank(draw));
        let case = self.rng.next_u64() & 0x7F;
        let word = match (first, case) {
            (_, 0) => Cow::Owned(word.to_uppercase()),
            (true, _) | (false, 1..=3) => capitalised(word),
            _ => Cow::Borrowed(word),
        };
        self.line.push_str(&word);
    }

    /// As many of the words as there is room for, dots up to the last byte, and a line end.
    fn write_last_line(&mut self) {
        let room = self.bytes_left as usize - 1;
        let mut end = room.min(self.line.len());
        while end > 0 && !(self.line.is_char_boundary(end) && self.line[..end].ends_with(' ')) {
            end -= 1;
        }
        self.line.truncate(end);
        self.line.extend(std::iter::repeat_n('.', room - end));
        self.line.push('\n');
    }
}

fn capitalised(word: &str) -> Cow<'_, str> {
    let mut characters = word.chars();
    match characters.next() {
        Some(first) if first.is_lowercase() => {
            Cow::Owned(first.to_uppercase().chain(characters.by_ref()).collect())
        }
        _ => Cow::Borrowed(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn sample(bytes: u64, seed: u64, words: u32) -> Vec<u8> {
        let mut sample = Sample::new(SampleOptions { bytes, seed, words });
        let mut text = Vec::new();
        while sample.fill(&mut text, usize::MAX) {}
        text
    }

    #[test]
    fn the_same_arguments_give_the_same_bytes_however_they_are_taken() {
        let whole = sample(200_000, 7, 1_000);
        let mut pieces = Sample::new(SampleOptions { bytes: 200_000, seed: 7, words: 1_000 });
        let mut text = Vec::new();
        while let Some(line) = pieces.next_line() {
            text.extend_from_slice(line.as_bytes());
        }
        assert_eq!(whole, text);
        assert_ne!(whole, sample(200_000, 8, 1_000));
    }

    /// Tabs, servers of any architecture and later versions must agree: results are compared with this text.
    #[test]
    fn the_text_is_fixed() {
        let text = sample(1 << 20, 1, 50_000);
        assert_eq!(
            crate::ids::Hash::of(&text).to_string(),
            "baa0c8dd42a2b5046ed79a8c171ed350de20db00ae152a5b0a1a1669b1fa614f"
        );
    }

    #[test]
    fn any_length_is_met_exactly_with_valid_text_and_a_last_line() {
        for bytes in (0..300).chain([4_095, 4_096, 100_001]) {
            let text = sample(bytes, bytes, 500);
            assert_eq!(text.len() as u64, bytes);
            let text = String::from_utf8(text).unwrap();
            assert!(bytes == 0 || text.ends_with('\n'), "{bytes}: {text:?}");
        }
    }

    #[test]
    fn many_scripts_take_part_and_the_first_word_is_the_most_frequent() {
        let text = String::from_utf8(sample(500_000, 3, 20_000)).unwrap();
        for letter in ['e', 'é', 'и', 'α', 'ا', 'ש', 'क', '中', 'か', 'ㄱ', '7', '🙂', 'Ι'] {
            let near = |c: char| c == letter || (letter == '中' && ('\u{4E00}'..'\u{9FFF}').contains(&c));
            let near = |c: char| near(c) || (letter == 'ㄱ' && ('\u{AC00}'..'\u{D7A4}').contains(&c));
            assert!(text.chars().any(near), "no {letter:?}");
        }
        let mut counts = std::collections::BTreeMap::<String, u32>::new();
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            *counts.entry(word.to_lowercase()).or_default() += 1;
        }
        let top = counts.iter().max_by_key(|(_, count)| **count).unwrap();
        assert_eq!(top.0, "the");
    }

    #[test]
    fn a_vocabulary_holds_as_many_different_words_as_asked_for() {
        let vocabulary = Vocabulary::new(30_000, &mut Rng::from_u64(5));
        let words: BTreeSet<&str> = (0..30_000).map(|rank| vocabulary.word(rank)).collect();
        assert_eq!(words.len(), 30_000);
        assert_eq!(vocabulary.word(0), "the");
    }
}
