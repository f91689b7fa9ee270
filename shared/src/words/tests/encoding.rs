//! What is written is read back, in blocks too, and what was not written here is refused without a panic.

use super::super::{
    DecodeError, Edges, Entry, Mode, Partial, Summary, Table, TableReader, TableWriter, UNICODE_VERSION,
};
use super::texts::{mode, text};
use super::{Plain, plain, table_of};
use crate::limits;
use proptest::prelude::*;

/// Reads a table in blocks that end at multiples of `size`.
fn read_in_blocks(bytes: &[u8], size: usize) -> Result<Plain, DecodeError> {
    let mut reader = TableReader::new();
    let mut words = Plain::new();
    for block in bytes.chunks(size) {
        reader.push(block);
        while let Some(Entry { word, count, .. }) = reader.next_entry()? {
            words.insert(word.to_vec(), count);
        }
    }
    reader.finish().map(|_| words)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn tables_and_partials_read_back(text in text(60), mode in mode(), size in 1usize..30) {
        let partial = Partial::of(mode, &text).unwrap();
        prop_assert_eq!(&Partial::decode(&partial.encode()).unwrap(), &partial);
        let table = partial.close();
        prop_assert_eq!(&Table::decode(table.as_bytes()).unwrap(), &table);
        prop_assert_eq!(read_in_blocks(table.as_bytes(), size).unwrap(), plain(&table));
    }

    #[test]
    fn a_part_of_an_encoding_is_none(text in text(30), mode in mode()) {
        let partial = Partial::of(mode, &text).unwrap();
        let encoded = partial.encode();
        let table = partial.close().encode();
        for bytes in 0..encoded.len() {
            prop_assert!(Partial::decode(&encoded[..bytes]).is_err());
        }
        for bytes in 0..table.len() {
            prop_assert!(matches!(Table::decode(&table[..bytes]), Err(DecodeError::Truncated(_))));
            prop_assert!(read_in_blocks(&table[..bytes], 5).is_err());
        }
        let longer = [table.as_slice(), b"\0"].concat();
        prop_assert_eq!(Table::decode(&longer), Err(DecodeError::TrailingBytes(1)));
        prop_assert_eq!(read_in_blocks(&longer, 5), Err(DecodeError::TrailingBytes(1)));
    }

    #[test]
    fn a_changed_byte_is_an_error_or_another_value(
        text in text(30), mode in mode(), at in any::<u16>(), to in any::<u8>(),
    ) {
        let mut encoded = Partial::of(mode, &text).unwrap().encode();
        let at = usize::from(at) % encoded.len();
        encoded[at] = to;
        if let Ok(partial) = Partial::decode(&encoded) {
            prop_assert_eq!(partial.encode(), encoded.as_slice(), "one encoding for every value");
        }
        let mut table = table_of(mode, &text).encode();
        let at = at % table.len();
        table[at] = to;
        let whole = Table::decode(&table);
        prop_assert_eq!(whole.as_ref().ok().map(plain), read_in_blocks(&table, 7).ok());
    }

    #[test]
    fn garbage_is_refused(garbage in prop::collection::vec(any::<u8>(), 0..80), mode in 0u8..3) {
        let mut body = TableWriter::new(Mode::ALL[usize::from(mode)]).take_block();
        body.extend_from_slice(&garbage);
        for bytes in [garbage.as_slice(), body.as_slice()] {
            let whole = Table::decode(bytes);
            prop_assert_eq!(whole.is_ok(), read_in_blocks(bytes, 3).is_ok());
            if let Ok(table) = whole {
                let _ = Summary::of(&table, 3);
            }
            let mut partial = bytes.to_vec();
            if let Some(kind) = partial.get_mut(1) {
                *kind = b'p';
            }
            let _ = Partial::decode(&partial);
            let mut resumed = TableReader::resume_at(Mode::Ascii, 100);
            resumed.push(bytes);
            while let Ok(Some(_)) = resumed.next_entry() {}
        }
    }
}

/// A table of raw numbers and bytes behind a good header.
fn forged(body: &[u8]) -> Result<Table, DecodeError> {
    let mut bytes = TableWriter::new(Mode::Ascii).take_block();
    bytes.extend_from_slice(body);
    Table::decode(&bytes)
}

#[test]
fn each_way_to_be_wrong_has_its_name() {
    assert_eq!(plain(&forged(b"\x01\0a\x02\x02\x01bc\x01\0\x02\x03\x09\x00").unwrap()).len(), 2);
    assert_eq!(forged(b"\x01\0b\x01\x01\0a\x01\0\x02\x02\0\0"), Err(DecodeError::Order));
    assert_eq!(forged(b"\x01\0a\x01\x01\0a\x01\0\x02\x02\0\0"), Err(DecodeError::Order));
    assert_eq!(forged(b"\x01\0a\x01\x02\0ab\x01\0\x02\x02\0\0"), Err(DecodeError::NotCanonical));
    assert_eq!(forged(b"\x01\x01a\x01\0\x01\x01\0\0"), Err(DecodeError::NotCanonical));
    assert_eq!(forged(b"\x01\0a\x00\0\x01\0\0\0"), Err(DecodeError::NoCount));
    assert_eq!(forged(b"\x01\0a\x01\0\x02\x01\0\0"), Err(DecodeError::Totals));
    assert_eq!(forged(b"\x01\0a\x01\0\x01\x02\0\0"), Err(DecodeError::Totals));
    assert_eq!(forged(b"\x81\0"), Err(DecodeError::Number));
    let mut long = Vec::new();
    super::super::codec::put_varint(&mut long, limits::WORD_BYTES_MAX as u64 + 1);
    assert!(matches!(forged(&long), Err(DecodeError::TooLong { what: "word", .. })));
    let count_max = b"\x01\0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01\0b\x01";
    assert_eq!(forged(count_max), Err(DecodeError::Totals), "counts beyond 64 bits");
}

#[test]
fn a_partial_has_no_cut_in_its_edges() {
    let encoded = Partial::of(Mode::Ascii, b"open").unwrap().encode();
    assert!(Partial::decode(&encoded).is_ok());
    let at = encoded.windows(4).position(|bytes| bytes == b"open").unwrap();
    let mut cut = encoded.clone();
    cut[at + 1] = b' ';
    assert_eq!(Partial::decode(&cut), Err(DecodeError::NotCanonical));

    let mut edge = encoded[..at - 1].to_vec();
    super::super::codec::put_varint(&mut edge, limits::OPEN_EDGE_BYTES_MAX as u64 + 1);
    assert!(matches!(Partial::decode(&edge), Err(DecodeError::TooLong { what: "open edge", .. })));
    assert_eq!(Edges::Open(b"open".to_vec()).bytes(), 4);
}

#[test]
fn the_encoding_is_pinned() {
    let version = UNICODE_VERSION.to_bytes();
    let table = table_of(Mode::Unicode, b"b an a\nAN and");
    let body = b"\x01\0a\x01\x01\x01n\x02\x01\x02d\x01\x01\0b\x01\0\x04\x05\x0d\x01";
    assert_eq!(table.as_bytes(), [b"\x01t\0", version.as_slice(), body].concat());

    let partial = Partial::of(Mode::Ascii, b"x y z").unwrap().encode();
    let table = [b"\x01t\x02", version.as_slice(), b"\x01\0y\x01\0\x01\x01\x02\0"].concat();
    assert_eq!(partial, [b"\x01p\x02", version.as_slice(), b"\x02x \x01z", &table].concat());
}

#[test]
fn a_writer_gives_away_blocks_and_a_reader_may_begin_at_a_long_word() {
    let long = |letter: &str| letter.repeat(limits::SUMMARY_WORD_BYTES_MAX + 1);
    let mut words: Vec<String> = (0..40_000).map(|n| format!("word{n:06}")).collect();
    words.extend([long("wore"), long("worf") + "x", long("worf") + "y"]);
    let mut writer = TableWriter::new(Mode::Unicode);
    let (mut blocks, mut whole) = (Vec::new(), TableWriter::new(Mode::Unicode));
    for (word, count) in words.iter().zip(1..) {
        writer.push(word.as_bytes(), count);
        whole.push(word.as_bytes(), count);
        if writer.ready_bytes() >= 10_000 {
            blocks.push(writer.take_block());
        }
    }
    blocks.push(writer.finish(7, 1).0);
    assert!(blocks.len() > 10 && blocks.iter().all(|block| block.len() < 12_000));
    let table = Table::decode(&blocks.concat()).unwrap();
    assert_eq!(table, Table::decode(&whole.finish(7, 1).0).unwrap());

    let max = Summary::of(&table, 2).max.unwrap();
    assert_eq!((max.length, max.count, max.is_whole()), (1029, 40_003, false));
    let mut reader = TableReader::resume_at(Mode::Unicode, max.table_offset);
    for block in table.as_bytes()[max.table_offset as usize..].chunks(100) {
        reader.push(block);
        while let Some(entry) = reader.next_entry().unwrap() {
            assert_eq!((entry.word, entry.offset), (words.last().unwrap().as_bytes(), max.table_offset));
        }
    }
    assert_eq!(reader.finish().unwrap(), table.totals());
}
