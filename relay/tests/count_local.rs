//! `wordraft count --local` against references that somebody else wrote, through the real binary.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use unicode_segmentation::UnicodeSegmentation as _;

const MODES: [&str; 3] = ["unicode", "whitespace", "ascii"];

fn wordraft(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wordraft"))
        .args(arguments)
        .env_remove("WORDRAFT_RELAY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    })
}

fn csv_of(mode: &str, text: &[u8]) -> Vec<u8> {
    let output = wordraft(&["count", "--local", "--csv", "--mode", mode, "--threads", "3", "-"], text);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
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

fn reference_csv(words: Vec<Vec<u8>>) -> Vec<u8> {
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

#[test]
fn every_nasty_text_gives_the_reference_s_table() {
    let texts: [(&str, &[u8]); 24] = [
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
    for (name, text) in texts {
        for mode in MODES {
            let (found, expected) = (csv_of(mode, text), reference_csv(reference_words(mode, text)));
            assert_eq!(
                String::from_utf8_lossy(&found),
                String::from_utf8_lossy(&expected),
                "{name}, mode {mode}"
            );
            assert_eq!(found, expected, "{name}, mode {mode}, as bytes");
        }
    }
}

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

#[test]
fn a_word_longer_than_any_buffer_is_one_word() {
    let mut text = b"a ".to_vec();
    text.extend(std::iter::repeat_n(b'X', 10_000_000));
    text.extend(b" a");
    for mode in MODES {
        let report = wordraft(&["count", "--local", "--json", "--mode", mode, "-"], &text);
        assert!(report.status.success());
        let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
        assert_eq!((&report["total"], &report["unique"]), (&3.into(), &2.into()), "{mode}");
        assert_eq!(report["min"]["word"].as_str().unwrap().len(), 10_000_000, "{mode}");
    }
}

#[test]
fn a_large_text_in_many_scripts_gives_the_reference_s_table() {
    let text = wordraft(&["sample", "--bytes", "4MB", "--seed", "5", "--words", "20000"], b"");
    assert!(text.status.success());
    assert_eq!(text.stdout.len(), 4_000_000);
    for mode in MODES {
        let expected = reference_csv(reference_words(mode, &text.stdout));
        assert!(csv_of(mode, &text.stdout) == expected, "{mode}");
    }
}

/// On plain text everybody agrees about what a word is.
#[test]
fn plain_text_has_as_many_words_as_wc_says() {
    let text = "It was the best of times,\nit was the worst of times...\n".repeat(5_000);
    let mut wc = Command::new("wc").arg("-w").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    wc.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let words: u64 =
        String::from_utf8(wc.wait_with_output().unwrap().stdout).unwrap().trim().parse().unwrap();
    for mode in MODES {
        let report = wordraft(&["count", "--local", "--json", "--mode", mode, "-"], text.as_bytes());
        let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
        assert_eq!(report["total"], words, "{mode}");
        assert_eq!(report["lines"], 10_000);
        assert_eq!(report["bytes"], text.len());
    }
}

#[test]
fn files_are_counted_together_and_a_word_ends_with_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("one"), "some").unwrap();
    std::fs::write(path("two"), "thing some").unwrap();
    let output = wordraft(&["count", "--local", "--csv", &path("one"), "-", &path("two")], b"else\n");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "word,count\nsome,2\nelse,1\nthing,1\n");
}

#[test]
fn top_bounds_the_report_and_the_table() {
    let text = b"c c c b b a";
    let csv = wordraft(&["count", "--local", "--csv", "--top", "2", "-"], text);
    assert_eq!(String::from_utf8(csv.stdout).unwrap(), "word,count\nc,3\nb,2\n");
    let report = wordraft(&["count", "--local", "--json", "--top", "1", "-"], text);
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!(report["top"], serde_json::json!([{"word": "c", "count": 3}]));
    assert_eq!(report["min"], serde_json::json!({"word": "a", "count": 1}));
    assert_eq!(report["letters"]["c"], serde_json::json!({"total": 3, "unique": 1}));
}
