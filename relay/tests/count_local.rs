//! `wordraft count --local` against references that somebody else wrote, through the real binary.

mod nasty;

use nasty::{MODES, TEXTS, reference_csv};
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

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

#[test]
fn every_nasty_text_gives_the_reference_s_table() {
    for (name, text) in TEXTS {
        for mode in MODES {
            let (found, expected) = (csv_of(mode, text), reference_csv(mode, text));
            assert_eq!(
                String::from_utf8_lossy(&found),
                String::from_utf8_lossy(&expected),
                "{name}, mode {mode}"
            );
            assert_eq!(found, expected, "{name}, mode {mode}, as bytes");
        }
    }
}

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
        let expected = reference_csv(mode, &text.stdout);
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
