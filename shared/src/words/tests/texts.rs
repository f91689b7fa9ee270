//! Texts on which counters of words disagree.

use super::super::{Chunker, Mode, Partial, count_all};
use super::{count_plainly, plain, reference, table_of};
use proptest::prelude::*;

const NASTY: &[(&str, &[u8])] = &[
    ("empty", b""),
    ("one line feed", b"\n"),
    ("no newline at the end", b"the end"),
    ("CRLF", b"one\r\ntwo\r\n\r\nthree\rfour"),
    ("BOM", b"\xef\xbb\xbfbom first\nand \xef\xbb\xbf later"),
    ("NUL", b"a\0b \0 c\0\n\0d"),
    ("truncated UTF-8", b"caf\xc3 \xe2\x82 x\xf0\x9f\x98 \xe2\x82"),
    ("truncated at a line end", b"x\xf0\x9f\n\x98\x80y"),
    ("overlong UTF-8", b"a\xc0\xafb \xe0\x80\x80 \xf0\x80\x80\x80c"),
    ("surrogates", b"a\xed\xa0\x80b \xed\xbf\xbf"),
    ("beyond Unicode", b"\xf4\x90\x80\x80a \xff\xfe b"),
    ("a letter mark after broken bytes", b"\xff\xe0\xa4\xbe x"),
    (
        "spaces",
        "a\u{a0}b\u{2007}c\u{202f}d\u{2060}e\u{2028}f\u{85}g\u{3000}h\u{b}i\u{c}j\u{1680}k".as_bytes(),
    ),
    ("information separators", b"a\x1cb\x1dc\x1ed\x1fe"),
    ("zero width space", "a\u{200b}b \u{200b}".as_bytes()),
    ("lone marks", "\u{301} \u{301}a \u{93e} a \u{308}\u{301}\n\u{301}b".as_bytes()),
    ("marks after a space", "a \u{301}b c".as_bytes()),
    ("ZWJ emoji", "👩\u{200d}👩\u{200d}👧 👍🏽 🏳\u{fe0f}\u{200d}🌈x a\u{200d}🙂".as_bytes()),
    ("ZWJ and letters that are pictographs", "a\u{200d}ℹb x\u{200d}Ⓜy 1\u{200d}🅰2 a'\u{200d}ℹc".as_bytes()),
    ("an infix before a joined pictograph", "a.\u{200d}🙂b 1,\u{200d}🙂2".as_bytes()),
    ("flags", "🇩🇪🇫🇷🇮 a🇩b🇪".as_bytes()),
    ("lower-casing", "İSTANBUL ẞ \u{212a}elvin ΟΔΟΣ ΟΔΟΣ. ΣΑΣ Σ AΣ ΑΣ'Α Ǆ Ⱥ".as_bytes()),
    ("infixes", b"can't e.g. 3,4 3.14 a:b 1:2 a;b 1;2 a,b 3.a a.3 'tis dogs' a''b a.'b x'1'y 1'000 f(x)"),
    ("connectors", b"___ _a a_ _1_ a_.b _ __init__ _'_ a__b"),
    ("Hebrew quotes", "צ\"ל צ' צה\"ל \"א\" א'ב א\"".as_bytes()),
    ("without spaces", "中文字符 ひらがなカタカナ ภาษาไทย ພາສາ ខ្មែរ".as_bytes()),
    ("numbers", "٣٤ ½ Ⅷ ² ①a 1\u{66b}2".as_bytes()),
    ("soft hyphen and formats", "co\u{ad}op a\u{200e}b \u{ad}x".as_bytes()),
    ("quotes and dashes", "“don’t” it’s a—b a-b a\u{2011}b a·b".as_bytes()),
];

#[test]
fn nasty_texts_count_as_the_references_say_in_every_mode() {
    for (name, text) in NASTY {
        for mode in Mode::ALL {
            let table = table_of(mode, text);
            assert_eq!(plain(&table), count_plainly(reference::words(mode, text)), "{name} in {mode}");
            assert_eq!(table.totals().bytes, text.len() as u64, "{name}");
            let lines = text.iter().filter(|&&byte| byte == b'\n').count() as u64;
            assert_eq!(table.totals().lines, lines, "{name}");
        }
    }
}

#[test]
fn some_answers_are_known_without_a_reference() {
    let check = |mode: Mode, text: &[u8], expected: &[&str]| {
        let expected = count_plainly(expected.iter().map(|word| word.as_bytes().to_vec()));
        assert_eq!(plain(&table_of(mode, text)), expected, "{:?}", String::from_utf8_lossy(text));
    };
    let unicode = |text: &str, expected: &[&str]| check(Mode::Unicode, text.as_bytes(), expected);
    unicode("Can't e.g. 3,4 a:b ___ _a", &["can't", "e.g", "3,4", "a:b", "_a"]);
    unicode("ΟΔΟΣ Σ İ ẞ", &["οδος", "σ", "i\u{307}", "ß"]);
    unicode("צה\"ל 中文", &["צה\"ל", "中", "文"]);
    // The standard, where the crate ends the word at the pictograph or draws it in.
    unicode("a\u{200d}ℹb", &["a\u{200d}ℹb"]);
    unicode("1\u{200d}Ⓜ2", &["1\u{200d}ⓜ2"]);
    unicode("a.\u{200d}🙂b", &["a", "b"]);
    check(Mode::Whitespace, "a\u{a0}b\u{200b}c\0 \u{3000}D".as_bytes(), &["a", "b\u{200b}c\0", "d"]);
    check(Mode::Whitespace, b"x\xff\xfe y", &["x\u{fffd}\u{fffd}", "y"]);
    check(Mode::Ascii, "A\u{a0}B É\x1c\x0b-".as_bytes(), &["a\u{a0}b", "É\x1c", "-"]);
}

#[test]
fn on_plain_text_all_modes_find_as_many_words() {
    let text = b"In the beginning God created the heaven and the earth\nAnd God said\n".repeat(50);
    for mode in Mode::ALL {
        let totals = table_of(mode, &text).totals();
        assert_eq!((totals.total, totals.unique, totals.lines), (650, 9, 100), "{mode}");
    }
}

#[test]
fn a_word_of_ten_megabytes_is_one_word() {
    let mut text = b"before ".to_vec();
    text.extend(b"Xy".repeat(5 << 20));
    text.extend(b" after\nlast");
    let mut chunker = Chunker::new();
    chunker.push(&text);
    let mut chunks: Vec<_> = std::iter::from_fn(|| chunker.next_chunk()).collect();
    chunks.extend(chunker.finish());
    assert!(chunks.len() >= 5 && chunks.concat() == text);
    for mode in Mode::ALL {
        let table = count_all(mode, &chunks).unwrap();
        let words = plain(&table);
        assert_eq!(words.len(), 4, "{mode}");
        assert_eq!(words.get(&b"xy".repeat(5 << 20)), Some(&1), "{mode}");
        let parts = chunks.iter().map(|chunk| Partial::of(mode, chunk).unwrap());
        assert_eq!(Partial::join_all(mode, parts).unwrap().close(), table, "{mode}");
    }
}

#[test]
fn large_vocabularies_are_counted_word_by_word() {
    let words: Vec<String> =
        (0..60_000).map(|n: u32| format!("w{}", n.wrapping_mul(2_654_435_761) % 40_009)).collect();
    let text = words.join(" ");
    let expected = count_plainly(words.into_iter().map(String::into_bytes));
    for mode in Mode::ALL {
        assert_eq!(plain(&table_of(mode, text.as_bytes())), expected, "{mode}");
    }
}

/// Bits of text that matter to some rule, valid and not.
pub fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let nasty: Vec<Vec<u8>> = [
        "a",
        "B",
        "z9",
        "3",
        "_",
        "'",
        ".",
        ",",
        ":",
        ";",
        "\"",
        "-",
        " ",
        "  ",
        "\n",
        "\r\n",
        "\r",
        "\t",
        "\u{b}",
        "\0",
        "é",
        "e\u{301}",
        "\u{301}",
        "\u{ad}",
        "\u{200d}",
        "ℹ",
        "Ⓜ",
        "🅰",
        "🙂",
        "🇩",
        "א",
        "カ",
        "字",
        "๙ก",
        "٣",
        "\u{93e}",
        "\u{a0}",
        "\u{2028}",
        "\u{85}",
        "\u{3000}",
        "\u{2060}",
        "\u{feff}",
        "İ",
        "ẞ",
        "\u{212a}",
        "Σ",
        "’",
        "½",
        "\u{202f}",
        "\u{1f3fd}",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([
        b"\xff".to_vec(),
        b"\xe2\x80".to_vec(),
        b"\xed\xa0\x80".to_vec(),
        b"\xc0\x80".to_vec(),
        b"\xf0\x9f".to_vec(),
    ])
    .collect();
    prop_oneof![6 => prop::sample::select(nasty), 1 => prop::collection::vec(any::<u8>(), 1..3)]
}

pub fn text(pieces: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(fragments(), 0..pieces).prop_map(|parts| parts.concat())
}

pub fn mode() -> impl Strategy<Value = Mode> {
    prop::sample::select(Mode::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn random_texts_count_as_the_references_say(text in text(40), mode in mode()) {
        prop_assert_eq!(plain(&table_of(mode, &text)), count_plainly(reference::words(mode, &text)));
    }

    #[test]
    fn random_ascii_counts_as_the_references_say(text in "[ -~\\t\\n\\r\\x00\\x0b]{0,60}", mode in mode()) {
        let text = text.as_bytes();
        prop_assert_eq!(plain(&table_of(mode, text)), count_plainly(reference::words(mode, text)));
    }
}
