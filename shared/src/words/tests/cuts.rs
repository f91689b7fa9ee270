//! Any cuts, any grouping, any order: the same table as the whole.

use super::super::{Chunker, CountError, Edges, Lane, Mode, Partial, Seam, Table, count_all, safe_cut};
use super::texts::{mode, text};
use super::{plain, table_of};
use crate::limits;
use proptest::prelude::*;

/// Cuts a text at the given fractions of its length.
fn pieces<'a>(text: &'a [u8], cuts: &[u16]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|&cut| usize::from(cut) % (text.len() + 1)).collect();
    places.extend([0, text.len()]);
    places.sort_unstable();
    places.windows(2).map(|ends| &text[ends[0]..ends[1]]).collect()
}

fn cut_up(text: &[u8], target: usize, max: usize, pushes: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut chunker = Chunker::with_sizes(target, max);
    let mut chunks = Vec::new();
    for push in pushes {
        chunker.push(push);
        while let Some(chunk) = chunker.next_chunk() {
            chunks.push(chunk.to_vec());
        }
    }
    while let Some(chunk) = chunker.finish() {
        chunks.push(chunk.to_vec());
    }
    assert_eq!(chunks.concat(), text);
    chunks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn partials_join_to_the_whole_in_any_grouping(
        text in text(50), mode in mode(), cuts in prop::collection::vec(any::<u16>(), 0..12),
        grouping in prop::collection::vec(any::<u16>(), 16),
    ) {
        let whole = Partial::of(mode, &text).unwrap();
        let mut parts: Vec<Partial> =
            pieces(&text, &cuts).into_iter().map(|piece| Partial::of(mode, piece).unwrap()).collect();
        prop_assert_eq!(&Partial::join_all(mode, parts.clone()).unwrap(), &whole);
        for choice in grouping.iter().cycle() {
            if parts.len() == 1 {
                break;
            }
            let at = usize::from(*choice) % (parts.len() - 1);
            let right = parts.remove(at + 1);
            let left = std::mem::replace(&mut parts[at], Partial::empty(mode));
            parts[at] = left.join(right).unwrap();
        }
        prop_assert_eq!(&parts[0], &whole);
        prop_assert_eq!(whole.bytes(), text.len() as u64);
        prop_assert_eq!(whole.lines(), text.iter().filter(|&&byte| byte == b'\n').count() as u64);
        prop_assert_eq!(parts.remove(0).close(), table_of(mode, &text));
    }

    #[test]
    fn lanes_meet_at_the_seam_in_any_order(
        text in text(50), mode in mode(), cuts in prop::collection::vec(any::<u16>(), 0..12),
        lots in prop::collection::vec(any::<u16>(), 16),
    ) {
        let mut chunks: Vec<(u64, &[u8])> = (0..).zip(pieces(&text, &cuts)).collect();
        let mut lanes = vec![Lane::new(mode), Lane::new(mode)];
        let mut seam = Seam::new(mode);
        for lot in lots.iter().cycle() {
            if chunks.is_empty() {
                break;
            }
            let (index, chunk) = chunks.remove(usize::from(*lot) % chunks.len());
            let edges = lanes[usize::from(lot & 1)].count(chunk).unwrap();
            seam.add(index, edges).unwrap();
        }
        prop_assert_eq!(seam.finish(lanes), table_of(mode, &text));
        prop_assert_eq!(count_all(mode, pieces(&text, &cuts)).unwrap(), table_of(mode, &text));
    }

    #[test]
    fn chunks_depend_on_the_text_alone_and_change_no_count(
        text in text(80), mode in mode(), target in 1usize..40, spare in 0usize..40,
        cuts in prop::collection::vec(any::<u16>(), 0..20),
    ) {
        let max = target + spare;
        let chunks = cut_up(&text, target, max, &[&text]);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        prop_assert_eq!(&chunks, &cut_up(&text, target, max, &pieces(&text, &cuts)));
        prop_assert_eq!(&chunks, &cut_up(&text, target, max, &bytes));
        prop_assert!(chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= max));
        prop_assert!(chunks.iter().rev().skip(1).all(|chunk| chunk.len() >= target));
        prop_assert_eq!(count_all(mode, &chunks).unwrap(), table_of(mode, &text));
    }

    #[test]
    fn where_no_cut_is_forced_chunks_count_apart(text in text(80), mode in mode(), target in 1usize..40) {
        let chunks = cut_up(&text, target, usize::MAX, &[&text]);
        let apart: Vec<Table> = chunks.iter().map(|chunk| table_of(mode, chunk)).collect();
        prop_assert_eq!(Table::merge(mode, &apart), table_of(mode, &text));
    }

    #[test]
    fn tables_merge_in_any_order(texts in prop::collection::vec(text(20), 0..6), mode in mode()) {
        let mut tables: Vec<Table> = texts.iter().map(|text| table_of(mode, text)).collect();
        let merged = Table::merge(mode, &tables);
        tables.reverse();
        prop_assert_eq!(&merged, &Table::merge(mode, &tables));
        let mut sums = super::Plain::new();
        for (word, count) in tables.iter().flat_map(plain) {
            *sums.entry(word).or_default() += count;
        }
        prop_assert_eq!(plain(&merged), sums);
        prop_assert_eq!(merged.totals().bytes, texts.iter().map(|text| text.len() as u64).sum::<u64>());
    }
}

#[test]
fn a_chunk_ends_at_the_first_safe_place_after_its_size() {
    let check = |text: &str, target, max, expected: Option<usize>| {
        assert_eq!(safe_cut(text.as_bytes(), target, max), expected, "{text:?} {target} {max}");
    };
    check("", 4, 8, None);
    check("ab cd ef", 4, 8, Some(6));
    check("ab cd\nef", 6, 8, Some(6));
    check("abcdefgh", 4, 8, Some(8));
    check("abcdefg", 4, 8, None);
    check("abcdefghijk", 4, 8, Some(8));
    check("abcd ", 4, 8, None); // What follows may be a mark.
    check("abcd \u{301}e f", 4, 20, Some(9));
    check("abcd -e", 4, 20, None);
    check("abcd\n", 4, 8, Some(5));
    check("ab\tcd ", 2, 20, None);
    check("abc", 0, 8, None);
    check("a b", 0, 8, Some(2));
}

#[test]
fn a_stretch_without_a_cut_is_bounded_wherever_its_pieces_end() {
    let max = limits::OPEN_EDGE_BYTES_MAX;
    let half = Partial::of(Mode::Unicode, &vec![b'-'; max / 2]).unwrap();
    let full = half.clone().join(half.clone()).unwrap();
    assert_eq!(full.bytes(), max as u64);

    let one_more = Partial::of(Mode::Unicode, b"-\nrest").unwrap();
    let error = full.join(one_more.clone()).unwrap_err();
    assert_eq!(error, CountError::Uncut { mode: Mode::Unicode, max });
    assert!(
        error.to_string().contains("67108864 bytes without a place to cut it in: no line end"),
        "{error}"
    );
    assert_eq!(half.clone().join(half.join(one_more).unwrap()).unwrap_err(), error);

    let mut whole = b"a\n".to_vec();
    whole.resize(max + 2, b'-');
    whole.extend(b"-\nrest");
    assert_eq!(Partial::of(Mode::Unicode, &whole).unwrap_err(), error);
}

#[test]
fn partials_of_different_modes_do_not_join() {
    let error = Partial::empty(Mode::Ascii).join(Partial::empty(Mode::Unicode)).unwrap_err();
    assert_eq!(error, CountError::Modes(Mode::Ascii, Mode::Unicode));
}

#[test]
fn an_edge_is_what_lies_beyond_the_outermost_cuts() {
    let check = |text: &[u8], expected: Edges| {
        assert_eq!(Lane::new(Mode::Unicode).count(text).unwrap(), expected, "{text:?}");
    };
    let cut = |head: &[u8], tail: &[u8]| Edges::Cut { head: head.to_vec(), tail: tail.to_vec() };
    check(b"abc", Edges::Open(b"abc".to_vec()));
    check(b"abc ", Edges::Open(b"abc ".to_vec()));
    check(b"abc\n", cut(b"abc\n", b""));
    check(b"ab cd\nef gh.", cut(b"ab ", b"gh."));
    check(b" a", cut(b" ", b"a"));
}
