//! Texts that catch counters out, and the table that each must give by references that somebody else wrote.

use std::collections::BTreeMap;
use unicode_segmentation::UnicodeSegmentation as _;

pub const MODES: [&str; 3] = ["unicode", "whitespace", "ascii"];

/// What is special about each, and the text.
pub const TEXTS: [(&str, &[u8]); 24] = [
    ("nothing", b""),
    ("only white space", b" \t\r\n\x0b\x0c "),
    ("no newline at the end", b"one two\nthree"),
    ("CRLF", b"one two\r\nTwo three\r\n\r\n"),
    ("lone CR", b"one\rtwo\r"),
    ("BOM", "\u{FEFF}one two \u{FEFF}three".as_bytes()),
    ("NUL", b"a\0b a\0b \0 \0\0 c"),
    ("truncated UTF-8", b"caf\xc3 na\xe2\x82 \xf0\x9f\x98"),
    ("overlong and surrogate UTF-8", b"a\xc0\xafb \xed\xa0\x80 x\xf8\x88\x80\x80\x80y \xff\xfe"),
    (
        "spaces of all kinds",
        "a\u{A0}b\u{2007}c\u{202F}d\u{2060}e\u{2028}f\u{85}g\u{3000}h\u{B}i\u{200B}j".as_bytes(),
    ),
    ("lone combining marks", "\u{301} a\u{301} \u{301}\u{301}b \n\u{301}c".as_bytes()),
    ("ZWJ emoji", "👩\u{200D}👩\u{200D}👧 👍🏽 🇺🇳🇩🇪 a\u{200D}b ❤\u{FE0F} 1\u{FE0F}\u{20E3}".as_bytes()),
    ("case that changes length", "İSTANBUL ẞ STRASSE \u{212A}elvin ΟΔΟΣ ὈΔΥΣΣΕΎΣ Σ ΑΣ.Β ﬁn Ǆ".as_bytes()),
    ("inner punctuation", "can't e.g. 3,4 3.14 a:b a.b x'y' 'x ___ _a_ a_b 1_000 don’t".as_bytes()),
    ("Hebrew quotes", "צה\"ל צה״ל ג'ירפה ג׳ \"א\" א\"".as_bytes()),
    ("scripts without spaces", "我们喜欢数单词。カタカナとひらがな ภาษาไทย ລາວ ខ្មែរ မြန်မာ".as_bytes()),
    ("Devanagari, Arabic, Korean", "हिन्दी में क्ष كِتَابٌ ٱلْعَرَبِيَّة ١٢٣ 한국어 사람들".as_bytes()),
    ("numbers of other scripts", "٣٫١٤ Ⅷ ½ x² ①② 𝟙𝟚".as_bytes()),
    ("commas and quotes", b"a,b a,b \"q\" \"q\"\" ,,, \"\n"),
    ("every byte", &EVERY_BYTE),
    ("every byte twice, apart", &EVERY_BYTE_APART),
    ("control characters", b"\x01\x02 a\x1fb \x7f \x1b[31mred"),
    ("only punctuation", "-- … !? ___ « » 。".as_bytes()),
    ("upper and lower case", "The THE the tHe É é E\u{301}".as_bytes()),
];

const EVERY_BYTE: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut index = 0;
    while index < 256 {
        bytes[index] = index as u8;
        index += 1;
    }
    bytes
};

const EVERY_BYTE_APART: [u8; 512] = {
    let mut bytes = [b' '; 512];
    let mut index = 0;
    while index < 256 {
        bytes[2 * index] = index as u8;
        index += 1;
    }
    bytes
};

/// The complete table as CSV.
pub fn reference_csv(mode: &str, text: &[u8]) -> Vec<u8> {
    csv_of(reference_words(mode, text))
}

/// The words of a text as the reference of each mode sees them.
fn reference_words(mode: &str, text: &[u8]) -> Vec<Vec<u8>> {
    let lossy = String::from_utf8_lossy(text);
    let lowered = |word: &str| word.to_lowercase().into_bytes();
    match mode {
        "unicode" => lossy.unicode_words().map(lowered).collect(),
        "whitespace" => lossy.split_whitespace().map(lowered).collect(),
        _ => text
            .split(|byte| matches!(byte, 0x09..=0x0D | 0x20))
            .filter(|word| !word.is_empty())
            .map(<[u8]>::to_ascii_lowercase)
            .collect(),
    }
}

fn csv_of(words: Vec<Vec<u8>>) -> Vec<u8> {
    let mut counts = BTreeMap::<Vec<u8>, u64>::new();
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    let mut rows: Vec<(Vec<u8>, u64)> = counts.into_iter().collect();
    rows.sort_by(|(word, count), (other, more)| more.cmp(count).then(word.cmp(other)));
    let mut csv = b"word,count\n".to_vec();
    for (word, count) in rows {
        if word.iter().any(|byte| b"\",\r\n".contains(byte)) {
            csv.push(b'"');
            word.iter()
                .for_each(|&byte| csv.extend(std::iter::repeat_n(byte, if byte == b'"' { 2 } else { 1 })));
            csv.push(b'"');
        } else {
            csv.extend(word);
        }
        csv.extend(format!(",{count}\n").bytes());
    }
    csv
}
