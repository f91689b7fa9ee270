//! From the bytes of a complete text to its words, lower-cased, one after the other.

use super::cut::is_ascii_space;
use super::mode::Mode;
use super::segment::unicode_words;

/// Calls `word` with every word of a text that is complete or cut at safe places. `scratch` is room for the word,
/// kept by the caller so that no word costs an allocation.
pub(super) fn for_each_word(mode: Mode, text: &[u8], scratch: &mut Vec<u8>, mut word: impl FnMut(&[u8])) {
    if mode == Mode::Ascii {
        return split_at_ascii_space(text, |raw| word(ascii_lowercase(raw, scratch)));
    }
    // Lines fall apart in every mode, so each may take the way that suits it.
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        match (mode, line.is_ascii()) {
            (Mode::Unicode, true) => {
                unicode_words_of_ascii(line, |raw| word(ascii_lowercase(raw, scratch)));
            }
            (Mode::Unicode, false) => {
                unicode_words(&String::from_utf8_lossy(line), |raw| word(lowercase(raw, scratch)));
            }
            (_, true) => split_at_ascii_space(line, |raw| word(ascii_lowercase(raw, scratch))),
            (_, false) => {
                for raw in String::from_utf8_lossy(line).split_whitespace() {
                    word(lowercase(raw, scratch));
                }
            }
        }
    }
}

fn split_at_ascii_space(text: &[u8], word: impl FnMut(&[u8])) {
    text.split(|&byte| is_ascii_space(byte)).filter(|word| !word.is_empty()).for_each(word);
}

/// UAX #29 where every character is ASCII: letters, digits and `_` run on, and an infix needs the right neighbours.
fn unicode_words_of_ascii(line: &[u8], mut word: impl FnMut(&[u8])) {
    let mut at = 0;
    while at < line.len() {
        if !runs_on(line[at]) {
            at += 1;
            continue;
        }
        let start = at;
        let mut is_word = false;
        while at < line.len() && (runs_on(line[at]) || is_ascii_infix(line, at)) {
            is_word |= line[at] != b'_';
            at += 1;
        }
        if is_word {
            word(&line[start..at]);
        }
    }
}

const fn runs_on(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// WB6, WB7, WB11, WB12. `at` is never the first byte of the line: a run stands before it.
fn is_ascii_infix(line: &[u8], at: usize) -> bool {
    let (before, Some(&after)) = (line[at - 1], line.get(at + 1)) else { return false };
    let letters = before.is_ascii_alphabetic() && after.is_ascii_alphabetic();
    let digits = before.is_ascii_digit() && after.is_ascii_digit();
    match line[at] {
        b'.' | b'\'' => letters || digits,
        b':' => letters,
        b',' | b';' => digits,
        _ => false,
    }
}

fn ascii_lowercase<'a>(raw: &[u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    scratch.clear();
    scratch.extend_from_slice(raw);
    scratch.make_ascii_lowercase();
    scratch
}

/// `str::to_lowercase` without its allocation, except where a sigma makes it look at its neighbours.
fn lowercase<'a>(raw: &str, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if raw.is_ascii() {
        return ascii_lowercase(raw.as_bytes(), scratch);
    }
    scratch.clear();
    if raw.contains('Σ') {
        scratch.extend_from_slice(raw.to_lowercase().as_bytes());
        return scratch;
    }
    for character in raw.chars().flat_map(char::to_lowercase) {
        scratch.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    scratch
}
