//! How many words begin with which letter.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;
use unicode_normalization::char::{decompose_compatible, is_combining_mark};

const KEYS: [&str; 27] = [
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u",
    "v", "w", "x", "y", "z", "other",
];
const OTHER: usize = KEYS.len() - 1;

/// Words under one letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LetterCount {
    pub total: u64,
    pub unique: u64,
}

/// The words by their first character after NFKD, without marks, with case folded: `a` to `z`, and `other` for
/// everything else, such as digits, other scripts and punctuation. A map with 27 keys in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letters([LetterCount; 27]);

impl Letters {
    pub(super) fn add(&mut self, word: &[u8], count: u64) {
        let letter = &mut self.0[key_of(word)];
        letter.unique += 1;
        letter.total = letter.total.saturating_add(count);
    }

    /// The letters in order, `other` last.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, LetterCount)> {
        KEYS.into_iter().zip(self.0)
    }

    pub fn get(&self, key: &str) -> Option<LetterCount> {
        KEYS.iter().position(|&known| known == key).map(|at| self.0[at])
    }
}

fn key_of(word: &[u8]) -> usize {
    if let Some(first @ (b'a'..=b'z' | b'A'..=b'Z')) = word.first() {
        return usize::from(first.to_ascii_lowercase() - b'a');
    }
    match first_base(word).map(fold) {
        Some(letter @ 'a'..='z') => letter as usize - 'a' as usize,
        _ => OTHER,
    }
}

/// The first character of the decomposed word that is not a mark. Bytes that are not UTF-8 end the search.
fn first_base(word: &[u8]) -> Option<char> {
    let text = word.utf8_chunks().next()?.valid();
    text.chars().find_map(|character| {
        let mut base = None;
        decompose_compatible(character, |part| {
            if base.is_none() && !is_combining_mark(part) {
                base = Some(part);
            }
        });
        base
    })
}

/// Case folding as far as it leads into `a` to `z`: where it differs from lower case, only ß is left after NFKD.
fn fold(character: char) -> char {
    match character {
        'ß' | 'ẞ' => 's',
        other => other.to_lowercase().next().unwrap_or(other),
    }
}

impl Serialize for Letters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return self.0.serialize(serializer);
        }
        let mut map = serializer.serialize_map(Some(KEYS.len()))?;
        for (key, count) in self.iter() {
            map.serialize_entry(key, &count)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Letters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Letters, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_map(LettersVisitor)
        } else {
            <[LetterCount; 27]>::deserialize(deserializer).map(Letters)
        }
    }
}

struct LettersVisitor;

impl<'de> Visitor<'de> for LettersVisitor {
    type Value = Letters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map with the keys a to z and other")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Letters, A::Error> {
        let mut letters = Letters::default();
        while let Some((key, count)) = map.next_entry::<String, LetterCount>()? {
            match KEYS.iter().position(|&known| known == key) {
                Some(at) => letters.0[at] = count,
                None => return Err(serde::de::Error::unknown_field(&key, &KEYS)),
            }
        }
        Ok(letters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stands_under_its_first_letter_without_case_and_accents() {
        let check = |word: &str, expected: &str| {
            assert_eq!(KEYS[key_of(word.as_bytes())], expected, "{word:?}");
        };
        for (word, expected) in [
            ("the", "t"),
            ("The", "t"),
            ("élan", "e"),
            ("e\u{301}lan", "e"),
            ("\u{301}elan", "e"),
            ("i̇stanbul", "i"),
            ("ﬁne", "f"),
            ("ßa", "s"),
            ("ſo", "s"),
            ("\u{212a}m", "k"),
            ("ⓐ", "a"),
            ("Ⅷ", "v"),
            ("ǆ", "d"),
            ("ª", "a"),
            ("æ", "other"),
            ("ø", "other"),
            ("ı", "other"),
            ("7up", "other"),
            ("_a", "other"),
            ("'tis", "other"),
            ("слово", "other"),
            ("字", "other"),
            ("\u{301}", "other"),
            ("", "other"),
        ] {
            check(word, expected);
        }
        assert_eq!(KEYS[key_of(b"\xe9lan")], "other", "not UTF-8");
        assert_eq!(KEYS[key_of(b"\xcc\x81\xffa")], "other", "a mark, then no UTF-8");
    }
}
