//! Made-up texts with a reference that shares nothing with the program: what is in a text is noted while it is made.

use std::io::{BufWriter, Write as _};
use std::path::Path;
use tempfile::NamedTempFile;

/// Different words that a text may have.
const VOCABULARY: u64 = 30_000;

/// What stands between two words. None of it holds a letter or a digit, and none joins words in UAX #29.
const SEPARATORS: [&str; 8] = [" ", " ", " ", " ", ", ", "\n", "\r\n", " — "];

/// Three alphabets of 20 consonants and 5 vowels. Each is its own lower case, and has capitals of one letter.
const ALPHABETS: [(&str, &str); 3] =
    [("bcdfghjklmnpqrstvwxz", "aeiou"), ("бвгджзклмнпрстфхцчшщ", "аеиоу"), ("βγδζθκλμνξπρτφχψћђјљ", "αεηιω")];

/// A text in a file, which is gone when this is.
pub struct Text {
    file: NamedTempFile,
    pub bytes: u64,
    pub total: u64,
    pub lines: u64,
    counts: Vec<u64>,
}

impl Text {
    /// At least `bytes` of text, the same for the same seed. Frequent words are few, as in real texts.
    pub fn generate(bytes: u64, seed: u64) -> Text {
        let mut text = Text {
            file: NamedTempFile::with_suffix(".txt").expect("a file for a test can be made"),
            bytes: 0,
            total: 0,
            lines: 0,
            counts: vec![0; VOCABULARY as usize],
        };
        let words: Vec<String> = (0..VOCABULARY).map(word).collect();
        let capitals: Vec<String> = words.iter().map(|word| capital(word)).collect();
        let file = text.file.reopen().expect("the file is ours");
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let mut random = SplitMix(seed);
        while text.bytes < bytes {
            let bound = 1 + random.below(VOCABULARY);
            let chosen = random.below(bound) as usize;
            let shown = if random.below(8) == 0 { &capitals[chosen] } else { &words[chosen] };
            let separator = SEPARATORS[random.below(SEPARATORS.len() as u64) as usize];
            for part in [shown.as_str(), separator] {
                out.write_all(part.as_bytes()).expect("the disk has room");
                text.bytes += part.len() as u64;
            }
            text.total += 1;
            text.lines += u64::from(separator.ends_with('\n'));
            text.counts[chosen] += 1;
        }
        out.flush().expect("the disk has room");
        text
    }

    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The file's, which is also that of the document in the cluster.
    pub fn name(&self) -> String {
        self.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    pub fn unique(&self) -> u64 {
        self.counts.iter().filter(|count| **count > 0).count() as u64
    }

    /// The complete table as `GET jobs/ID/words?format=csv` must give it.
    pub fn csv(&self) -> String {
        let counted = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let mut rows: Vec<(u64, String)> = counted.map(|(at, count)| (*count, word(at as u64))).collect();
        rows.sort_by(|(a, a_word), (b, b_word)| b.cmp(a).then(a_word.cmp(b_word)));
        let mut csv = "word,count\n".to_owned();
        rows.iter().for_each(|(count, word)| csv.push_str(&format!("{word},{count}\n")));
        csv
    }
}

/// Another word for each number: its digits to the base 100 are syllables.
fn word(number: u64) -> String {
    let (consonants, vowels) = ALPHABETS[(number % 3) as usize];
    let mut rest = number / 3;
    let mut syllables = Vec::new();
    loop {
        let (consonant, vowel) = ((rest % 100 / 5) as usize, (rest % 5) as usize);
        syllables.push([consonants.chars().nth(consonant), vowels.chars().nth(vowel)]);
        rest /= 100;
        if rest == 0 {
            break;
        }
    }
    syllables.into_iter().rev().flatten().flatten().collect()
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators (2014), figure 16.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn each_number_has_a_word_of_its_own() {
        let words: BTreeSet<String> = (0..VOCABULARY).map(word).collect();
        assert_eq!(words.len() as u64, VOCABULARY);
        assert!(words.iter().all(|word| capital(word).to_lowercase() == *word));
    }

    #[test]
    fn a_text_holds_what_its_reference_says() {
        let text = Text::generate(100_000, 7);
        let read = std::fs::read_to_string(text.path()).unwrap();
        assert_eq!(read.len() as u64, text.bytes);
        assert_eq!(read.matches('\n').count() as u64, text.lines);
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for word in read.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()) {
            *counts.entry(word.to_lowercase()).or_default() += 1;
        }
        assert_eq!(counts.values().sum::<u64>(), text.total);
        assert_eq!(counts.len() as u64, text.unique());
        let csv = text.csv();
        assert!(counts.iter().all(|(word, count)| csv.contains(&format!("\n{word},{count}\n"))));
    }
}
