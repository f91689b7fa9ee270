//! Summaries, lists and reports.

use super::super::{
    ByCount, CSV_HEADER, CountReport, CountedWord, Mode, ReportWord, Summary, Table, Top, put_csv_line,
};
use super::texts::{mode, text};
use super::{plain, table_of};
use crate::limits;
use proptest::prelude::*;
use std::cmp::Reverse;

/// All words in the order of a result, by sorting them.
fn ranked(table: &Table) -> Vec<(Vec<u8>, u64)> {
    let mut words: Vec<_> = plain(table).into_iter().collect();
    words.sort_by_key(|(word, count)| (Reverse(*count), word.clone()));
    words
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_summary_tells_what_sorting_finds(text in text(80), mode in mode(), limit in 0usize..8) {
        let table = table_of(mode, &text);
        let (summary, ranked) = (Summary::of(&table, limit), ranked(&table));
        let pairs = |words: &[CountedWord]| words.iter().map(|w| (w.word.clone(), w.count)).collect::<Vec<_>>();
        prop_assert_eq!(pairs(&Top::of(&table, limit)), &ranked[..limit.min(ranked.len())]);
        let top: Vec<_> = summary.top.iter().map(|word| (word.prefix.clone(), word.count)).collect();
        prop_assert_eq!(top, &ranked[..limit.min(ranked.len())]);
        prop_assert_eq!(summary.max.map(|word| word.prefix), ranked.first().map(|(word, _)| word.clone()));
        let min = ranked.iter().min_by_key(|(word, count)| (*count, word.clone()));
        prop_assert_eq!(summary.min.map(|word| word.prefix), min.map(|(word, _)| word.clone()));
        prop_assert_eq!(summary.totals.total, ranked.iter().map(|(_, count)| count).sum::<u64>());
        prop_assert_eq!(summary.totals.unique, ranked.len() as u64);
        prop_assert_eq!(summary.letters.iter().map(|(_, n)| n.total).sum::<u64>(), summary.totals.total);
        prop_assert_eq!(summary.letters.iter().map(|(_, n)| n.unique).sum::<u64>(), summary.totals.unique);
        let by_count = ByCount::of(&mut table.entries());
        prop_assert_eq!(by_count.iter().map(|(word, n)| (word.to_vec(), n)).collect::<Vec<_>>(), ranked);
    }
}

#[test]
fn a_summary_shows_long_words_cut_between_characters() {
    let max = limits::SUMMARY_WORD_BYTES_MAX;
    let whole = |word: &str| {
        let summary = Summary::of(&table_of(Mode::Whitespace, word.as_bytes()), 1);
        (summary.top[0].prefix.len(), summary.top[0].is_whole())
    };
    assert_eq!(whole(&"x".repeat(max)), (max, true));
    assert_eq!(whole(&"x".repeat(max + 1)), (max, false));
    assert_eq!(whole(&("x".to_owned() + &"é".repeat(max))), (max - 1, false));
    let many: String = (0..limits::SUMMARY_TOP_MAX + 1).map(|n| format!("{n} ")).collect();
    let summary = Summary::of(&table_of(Mode::Ascii, many.as_bytes()), usize::MAX);
    assert_eq!(summary.top.len(), limits::SUMMARY_TOP_MAX);
}

#[test]
fn a_report_is_one_json_object() {
    let table = table_of(Mode::Ascii, b"The the Zebra\n\xe9t\xe9 the\n");
    let report = CountReport::new(Mode::Ascii, vec!["story".to_owned()], &Summary::of(&table, 2), None);
    let json = serde_json::to_string(&report).unwrap();
    let start =
        r#"{"job":null,"mode":"ascii","documents":["story"],"bytes":22,"lines":2,"total":5,"unique":3,"#;
    let words = r#""max":{"word":"the","count":3},"min":{"word":"zebra","count":1},"#;
    let top = r#""top":[{"word":"the","count":3},{"word":"zebra","count":1}],"letters":{"a":{"total":0,"unique":0},"#;
    assert!(json.starts_with(&format!("{start}{words}{top}")), "{json}");
    let end = r#""z":{"total":1,"unique":1},"other":{"total":1,"unique":1}},"seconds":0.0,"workers":[]}"#;
    assert!(json.ends_with(end), "{json}");
    assert_eq!(serde_json::from_str::<CountReport>(&json).unwrap(), report);

    let all = Top::of(&table, 10);
    let report = CountReport::new(Mode::Ascii, Vec::new(), &Summary::of(&table, 0), Some(&all));
    let json = serde_json::to_string(&report.top[2]).unwrap();
    assert_eq!(json, "{\"word\":\"\u{fffd}t\u{fffd}\",\"hex\":\"e974e9\",\"count\":1}");

    let empty = Summary::of(&Table::empty(Mode::Unicode), 10);
    assert_eq!(empty, Summary::default());
    let json = serde_json::to_string(&CountReport::new(Mode::Unicode, Vec::new(), &empty, None)).unwrap();
    assert!(json.contains(r#""max":null,"min":null,"top":[]"#), "{json}");

    let long = table_of(Mode::Ascii, &[b'q'; 300]);
    let word = ReportWord::from(&Summary::of(&long, 1).top[0]);
    assert_eq!((word.word.len(), word.length), (limits::SUMMARY_WORD_BYTES_MAX, Some(300)));
}

#[test]
fn summaries_travel_in_the_log() {
    let summary = Summary::of(&table_of(Mode::Unicode, "Ägypten und und\n".as_bytes()), 10);
    let bytes = postcard::to_stdvec(&summary).unwrap();
    assert_eq!(postcard::from_bytes::<Summary>(&bytes).unwrap(), summary);
    assert_eq!(summary.letters.get("a").map(|letter| letter.total), Some(1));
}

#[test]
fn csv_quotes_what_needs_it_and_keeps_bytes() {
    let mut csv = CSV_HEADER.to_vec();
    for word in [&b"plain"[..], b"3,4", b"say \"hi\"", b"\xe9", b"a\nb"] {
        put_csv_line(&mut csv, word, 2);
    }
    let expected: &[u8] = b"word,count\nplain,2\n\"3,4\",2\n\"say \"\"hi\"\"\",2\n\xe9,2\n\"a\nb\",2\n";
    assert_eq!(csv, expected);
}

#[test]
fn modes_read_back_what_they_print() {
    for mode in Mode::ALL {
        assert_eq!(mode.to_string().parse(), Ok(mode));
        assert_eq!(serde_json::to_string(&mode).unwrap(), format!("\"{mode}\""));
    }
    assert_eq!(Mode::default(), Mode::Unicode);
    let error = "Unicode".parse::<Mode>().unwrap_err();
    assert_eq!(error.to_string(), "\"Unicode\" is not a mode: expected unicode, whitespace or ascii");
}
