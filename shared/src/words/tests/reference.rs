//! The same rules, told by others or written for clearness alone.

use super::super::Mode;
use super::super::segment::{CLASSES, PICTOGRAPHS};
use icu_properties::props::WordBreak;
use unicode_segmentation::UnicodeSegmentation;

/// All words of a text, in order.
pub fn words(mode: Mode, text: &[u8]) -> Vec<Vec<u8>> {
    let lossy = String::from_utf8_lossy(text);
    let lower = |word: &str| word.to_lowercase().into_bytes();
    match mode {
        Mode::Unicode if crate_departs(&lossy) => {
            segments(&lossy).iter().filter(|s| s.contains(char::is_alphanumeric)).map(|s| lower(s)).collect()
        }
        Mode::Unicode => lossy.unicode_words().map(lower).collect(),
        Mode::Whitespace => lossy.split_whitespace().map(lower).collect(),
        Mode::Ascii => python_words(text),
    }
}

/// Python's `bytes.lower().split()`.
fn python_words(text: &[u8]) -> Vec<Vec<u8>> {
    let mut words = vec![Vec::new()];
    for &byte in text {
        match byte {
            b'\t' | b'\n' | b'\r' | b'\x0b' | b'\x0c' | b' ' => words.push(Vec::new()),
            b'A'..=b'Z' => words.last_mut().unwrap().push(byte + 32),
            _ => words.last_mut().unwrap().push(byte),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// After a joiner and a pictograph, unicode-segmentation forgets what stood before: letters that are pictographs too
/// (ℹ, Ⓜ, 🅰 ...) no longer join what follows, and an infix before the joiner is not taken back.
pub fn crate_departs(text: &str) -> bool {
    let mut before = ' ';
    text.chars().any(|character| {
        let departs = before == '\u{200d}' && PICTOGRAPHS.contains(character);
        before = character;
        departs
    })
}

/// UAX #29 section 4.1.1, rule by rule for every place, with all of the text in view.
pub fn segments(text: &str) -> Vec<&str> {
    let characters: Vec<(usize, char)> = text.char_indices().collect();
    let mut starts: Vec<usize> = (0..characters.len())
        .filter(|&at| at == 0 || breaks_at(&characters, at))
        .map(|at| characters[at].0)
        .collect();
    starts.push(text.len());
    starts.windows(2).map(|ends| &text[ends[0]..ends[1]]).collect()
}

fn breaks_at(characters: &[(usize, char)], at: usize) -> bool {
    use WordBreak as W;
    let class = |at: usize| CLASSES.get(characters[at].1);
    let newline = |class| [W::CR, W::LF, W::Newline].contains(&class);
    let hidden = |class| [W::Extend, W::Format, W::ZWJ].contains(&class);
    let (before, after) = (class(at - 1), class(at));
    match (before, after) {
        (W::CR, W::LF) => return false,
        _ if newline(before) || newline(after) => return true,
        (W::ZWJ, _) if PICTOGRAPHS.contains(characters[at].1) => return false,
        (W::WSegSpace, W::WSegSpace) => return false,
        _ if hidden(after) => return false,
        _ => {}
    }
    let mut left = Vec::new();
    for at in 0..at {
        if !hidden(class(at)) || at == 0 || newline(class(at - 1)) {
            left.push(class(at));
        }
    }
    let right: Vec<W> = (at..characters.len()).map(class).filter(|&class| !hidden(class)).collect();
    let l = |back: usize| left.len().checked_sub(back).map(|at| left[at]);
    let r = |forth: usize| right.get(forth - 1).copied();
    let letter = |class: Option<W>| [Some(W::ALetter), Some(W::HebrewLetter)].contains(&class);
    let number = |class: Option<W>| class == Some(W::Numeric);
    let quoted_mid =
        |class: Option<W>, own: W| [Some(own), Some(W::MidNumLet), Some(W::SingleQuote)].contains(&class);
    let hebrew = |class: Option<W>| class == Some(W::HebrewLetter);
    let katakana = |class: Option<W>| class == Some(W::Katakana);
    let connector = |class: Option<W>| class == Some(W::ExtendNumLet);
    let flags = left.iter().rev().take_while(|&&class| class == W::RegionalIndicator).count();
    let joined = letter(l(1)) && letter(r(1)) // WB5
        || letter(l(1)) && quoted_mid(r(1), W::MidLetter) && letter(r(2)) // WB6
        || letter(l(2)) && quoted_mid(l(1), W::MidLetter) && letter(r(1)) // WB7
        || hebrew(l(1)) && r(1) == Some(W::SingleQuote) // WB7a
        || hebrew(l(1)) && r(1) == Some(W::DoubleQuote) && hebrew(r(2)) // WB7b
        || hebrew(l(2)) && l(1) == Some(W::DoubleQuote) && hebrew(r(1)) // WB7c
        || number(l(1)) && number(r(1)) // WB8
        || letter(l(1)) && number(r(1)) // WB9
        || number(l(1)) && letter(r(1)) // WB10
        || number(l(2)) && quoted_mid(l(1), W::MidNum) && number(r(1)) // WB11
        || number(l(1)) && quoted_mid(r(1), W::MidNum) && number(r(2)) // WB12
        || katakana(l(1)) && katakana(r(1)) // WB13
        || (letter(l(1)) || number(l(1)) || katakana(l(1)) || connector(l(1))) && connector(r(1)) // WB13a
        || connector(l(1)) && (letter(r(1)) || number(r(1)) || katakana(r(1))) // WB13b
        || flags % 2 == 1 && r(1) == Some(W::RegionalIndicator); // WB15, WB16
    !joined
}
