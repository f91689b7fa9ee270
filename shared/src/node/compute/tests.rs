use super::*;
use crate::words::{TableReader, safe_cut};
use std::cell::Cell;
use std::collections::BTreeMap;

#[derive(Default)]
struct Store(BTreeMap<BlockName, Bytes>);

impl Blocks for Store {
    fn read(&mut self, name: BlockName) -> Result<Bytes, ComputeError> {
        self.0.get(&name).cloned().ok_or(ComputeError::InputMissing(name))
    }

    fn write(&mut self, name: BlockName, bytes: Bytes) -> Result<(), ComputeError> {
        self.0.insert(name, bytes);
        Ok(())
    }
}

impl Store {
    fn put(&mut self, bytes: &[u8]) -> Hash {
        let hash = Hash::of(bytes);
        self.0.insert(BlockName::Content(hash), Bytes::copy_from_slice(bytes));
        hash
    }

    fn count(&mut self, mode: Mode, blocks: &[Hash]) -> Result<(BlockName, TaskOutput), ComputeError> {
        let key = task_key(mode, blocks);
        let inputs: Vec<BlockName> = blocks.iter().map(|hash| BlockName::Content(*hash)).collect();
        let output = run(&Function::Count { mode, key }, &inputs, self, &|| Time::ZERO)?;
        Ok((BlockName::Partial(key), output))
    }

    fn reduce(
        &mut self,
        mode: Mode,
        documents: Vec<u32>,
        inputs: &[BlockName],
    ) -> Result<TaskOutput, ComputeError> {
        let options = JobOptions { mode, top: 5, verify: 1 };
        run(&Function::Reduce { options, documents }, inputs, self, &|| Time::ZERO)
    }

    /// The table that the blocks hold together, read as a stream.
    fn table(&mut self, blocks: &[BlockRef]) -> Vec<u8> {
        let mut reader = TableReader::new();
        let mut whole = Vec::new();
        for block in blocks {
            let bytes = self.read(BlockName::of_ref(block)).unwrap();
            reader.push(&bytes);
            while reader.next_entry().unwrap().is_some() {}
            whole.extend_from_slice(&bytes);
        }
        reader.finish().unwrap();
        whole
    }
}

fn cut_text(text: &[u8], target: usize, max: usize) -> Vec<&[u8]> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let at = safe_cut(rest, target, max).unwrap_or(rest.len());
        pieces.push(&rest[..at]);
        rest = &rest[at..];
    }
    pieces
}

#[test]
fn a_document_counted_in_tasks_gives_the_table_of_the_whole() {
    let text = "The cat sat. The CAT isn't\nhere — naïve İstanbul, 3,4 and 東京.\r\nEnd".repeat(40);
    for mode in Mode::ALL {
        let whole = Partial::of(mode, text.as_bytes()).unwrap().close();
        for (target, max, blocks_per_task) in [(64, 128, 3), (7, 9, 4), (1000, 2000, 1), (10_000, 20_000, 8)]
        {
            let mut store = Store::default();
            let blocks: Vec<Hash> =
                cut_text(text.as_bytes(), target, max).into_iter().map(|piece| store.put(piece)).collect();
            let partials: Vec<BlockName> =
                (blocks.chunks(blocks_per_task)).map(|blocks| store.count(mode, blocks).unwrap().0).collect();
            let output = store.reduce(mode, vec![partials.len() as u32], &partials).unwrap();
            let TaskOutput::Reduced { summary, table } = output else { panic!("{output:?}") };
            assert_eq!(*summary, Summary::of(&whole, 5), "{mode} {target}");
            assert_eq!(store.table(&table), whole.as_bytes(), "{mode} {target}");
        }
    }
}

#[test]
fn words_do_not_grow_together_where_documents_meet() {
    let mut store = Store::default();
    let texts: [&[u8]; 4] = [b"one tw", b"", b"o three", b"one"];
    let (mut inputs, mut documents) = (Vec::new(), Vec::new());
    for text in texts {
        let blocks: Vec<Hash> = (!text.is_empty()).then(|| store.put(text)).into_iter().collect();
        documents.push(blocks.len() as u32);
        if !blocks.is_empty() {
            inputs.push(store.count(Mode::Unicode, &blocks).unwrap().0);
        }
    }
    let output = store.reduce(Mode::Unicode, documents, &inputs).unwrap();
    let TaskOutput::Reduced { summary, .. } = output else { panic!("{output:?}") };
    assert_eq!((summary.totals.total, summary.totals.unique), (5, 4));
}

#[test]
fn no_tasks_at_all_give_the_table_of_an_empty_text() {
    let mut store = Store::default();
    let output = store.reduce(Mode::Ascii, vec![0], &[]).unwrap();
    let TaskOutput::Reduced { summary, table } = output else { panic!("{output:?}") };
    assert_eq!(*summary, Summary::default());
    assert_eq!(store.table(&table), Table::empty(Mode::Ascii).as_bytes());
}

#[test]
fn a_second_count_finds_the_partial_and_a_damaged_one_is_counted_again() {
    let mut store = Store::default();
    let blocks = [store.put(b"a b a\n"), store.put(b"c")];
    let ticks = Cell::new(0);
    let clock = || {
        ticks.set(ticks.get() + 5);
        Time::from_micros(ticks.get())
    };
    let key = task_key(Mode::Ascii, &blocks);
    let function = Function::Count { mode: Mode::Ascii, key };
    let inputs = blocks.map(BlockName::Content);
    let count = |store: &mut Store| match run(&function, &inputs, store, &clock) {
        Ok(TaskOutput::Counted { digest, input_bytes, micros, .. }) => (digest, input_bytes, micros),
        other => panic!("{other:?}"),
    };
    let (digest, bytes, micros) = count(&mut store);
    assert_eq!((bytes, micros), (7, 15));

    store.0.remove(&inputs[0]);
    assert_eq!(count(&mut store), (digest, 7, 0), "its inputs are not even looked at");

    let partial = BlockName::Partial(key);
    let mut damaged = store.0[&partial].to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    store.0.insert(partial, damaged.into());
    let reduced = store.reduce(Mode::Ascii, vec![1], &[partial]);
    assert_eq!(reduced, Err(ComputeError::InputMissing(partial)));

    store.put(b"a b a\n");
    let (again, _, micros) = count(&mut store);
    assert_eq!((again, micros), (digest, 15));
}

#[test]
fn nothing_is_counted_under_the_key_of_something_else() {
    let mut store = Store::default();
    let blocks = [store.put(b"a b a\n"), store.put(b"c")];
    let inputs = blocks.map(BlockName::Content);
    let key = task_key(Mode::Ascii, &blocks);
    store.count(Mode::Ascii, &blocks).unwrap();
    let partials = blocks.map(BlockName::Partial);
    let cases: [(Mode, Hash, &[BlockName]); 5] = [
        (Mode::Ascii, key, &inputs[..1]),
        (Mode::Ascii, key, &[inputs[1], inputs[0]]),
        (Mode::Ascii, key, &partials),
        (Mode::Unicode, key, &inputs),
        (Mode::Ascii, task_key(Mode::Ascii, &blocks[..1]), &inputs),
    ];
    let before = store.0.clone();
    for (mode, key, inputs) in cases {
        let refused = run(&Function::Count { mode, key }, inputs, &mut store, &|| Time::ZERO);
        assert!(matches!(refused, Err(ComputeError::Impossible(_))), "{inputs:?}: {refused:?}");
    }
    assert_eq!(store.0, before);
}

#[test]
fn a_key_depends_on_mode_blocks_and_their_order() {
    let (a, b) = (Hash::of(b"a"), Hash::of(b"b"));
    let keys = [
        task_key(Mode::Ascii, [&a, &b]),
        task_key(Mode::Unicode, [&a, &b]),
        task_key(Mode::Ascii, [&b, &a]),
        task_key(Mode::Ascii, [&a]),
    ];
    for (i, key) in keys.iter().enumerate() {
        assert!(!keys[i + 1..].contains(key));
    }
    assert_eq!(keys[0], task_key(Mode::Ascii, &[a, b]));
}

#[test]
fn what_cannot_be_done_says_so() {
    let mut store = Store::default();
    let missing = Hash::of(b"nowhere");
    assert_eq!(
        store.count(Mode::Ascii, &[missing]),
        Err(ComputeError::InputMissing(BlockName::Content(missing)))
    );
    for documents in [vec![], vec![2], vec![u32::MAX]] {
        let inputs = [BlockName::Partial(missing)];
        assert!(store.reduce(Mode::Ascii, documents, &inputs).is_err());
    }
}
