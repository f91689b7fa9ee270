//! Word boundaries against the standard's own tests, a crate, and a second reading of the rules.

use super::super::UNICODE_VERSION;
use super::super::segment::{CLASSES, segments};
use super::{reference, texts};
use icu_properties::props::WordBreak;
use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

fn ours(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    segments(text, |segment, _| found.push(segment));
    found
}

/// The vectors of Unicode as Debian's `unicode-data` installs them.
const VECTORS: &str = "/usr/share/unicode/auxiliary/WordBreakTest.txt";

#[test]
fn the_vectors_of_the_standard_hold() {
    let Ok(vectors) = std::fs::read_to_string(VECTORS) else {
        eprintln!("SKIPPED: {VECTORS} is not there; `apt-get install unicode-data` brings it");
        return;
    };
    let mut checked = 0;
    // Unicode 15 still counts U+2701 as a pictograph; later versions of the vectors have U+231A in its place.
    for line in vectors.replace("2701", "231A").lines() {
        let case = line.split('#').next().unwrap_or_default().trim();
        if case.is_empty() {
            continue;
        }
        let expected: Vec<String> = case
            .trim_matches('÷')
            .split('÷')
            .map(|segment| {
                let code =
                    |code: &str| char::from_u32(u32::from_str_radix(code.trim(), 16).unwrap()).unwrap();
                segment.split('×').map(code).collect()
            })
            .collect();
        let text = expected.concat();
        assert_eq!(ours(&text), expected, "{case}");
        assert_eq!(reference::segments(&text), expected, "{case}");
        checked += 1;
    }
    assert!(checked > 1000, "only {checked} vectors in {VECTORS}");
}

#[test]
fn every_character_has_the_class_that_the_crate_gives_it() {
    let (a, b, c) = unicode_segmentation::UNICODE_VERSION;
    assert_eq!(UNICODE_VERSION.segments, (a as u8, b as u8, c as u8));
    let stays_whole = |text: &str| text.split_word_bounds().nth(1).is_none();
    for character in
        ('\0'..=char::MAX).filter(|&c| CLASSES.get(c) != WordBreak::Other || (c as u32).is_multiple_of(7))
    {
        for (left, right) in
            [("a", "é"), ("1", "1\u{301}"), ("カ", ""), ("א", "א"), ("", "é"), ("", "\u{301}"), ("🇩", "")]
        {
            let text = format!("{left}{character}{right}");
            assert_eq!(ours(&text).len() == 1, stays_whole(&text), "{text:?} {:?}", CLASSES.get(character));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn segments_are_those_of_the_rules_and_of_the_crate(text in texts::text(14)) {
        let text = String::from_utf8_lossy(&text);
        let found = ours(&text);
        prop_assert_eq!(&found, &reference::segments(&text));
        if !reference::crate_departs(&text) {
            prop_assert_eq!(found, text.split_word_bounds().collect::<Vec<_>>());
        }
    }
}
