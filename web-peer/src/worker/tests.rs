//! Storage and slots in a real browser, in a worker as they are used.

use super::blocks::{Blocks, Outcome, Work};
use super::calls::replies;
use super::home::{self, Home};
use super::slots::{Directory, SLOTS_MAX, take_slot};
use crate::bridge::{CallId, Start, StoragePlace, ToPage, fits};
use bytes::Bytes;
use redb::StorageBackend as _;
use shared::ids::{ClusterId, Hash, NodeId, RoomName};
use shared::limits;
use shared::node::api::{ErrorCode, KeyView, Reply};
use shared::node::{BlockError, BlockName, BlockOp, BlockOutcome, Input, PersistOp};
use shared::raft::{self, HardState, StorageOp, Term};
use shared::state_machine::Version;
use shared::storage::{BlockStore, LogStore};
use shared::wire::peer::Ticket;
use simulator::pinned;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

fn room(name: &str) -> RoomName {
    name.parse().expect("a plain name")
}

fn start_in(name: &str) -> Start {
    Start {
        url: String::new(),
        room: room(name),
        token: None,
        name: None,
        hidden: false,
        slot_before_reload: None,
        record: false,
    }
}

/// What the log of a founder holds, as writes.
fn founding(me: NodeId) -> Vec<PersistOp> {
    let stored = raft::Stored::founder(me);
    vec![
        PersistOp::Cluster(ClusterId::from_bytes(*b"test-clust")),
        PersistOp::Raft(StorageOp::HardState(HardState { term: Term::new(3), vote: Some(me) })),
        PersistOp::Raft(StorageOp::Append(stored.entries.into())),
    ]
}

fn content(bytes: &'static [u8]) -> (BlockName, Bytes) {
    (BlockName::Content(Hash::of(bytes)), Bytes::from_static(bytes))
}

#[wasm_bindgen_test]
fn the_core_comes_to_the_same_bytes_as_natively() {
    assert_eq!(pinned::digest(), pinned::DIGEST);
}

#[wasm_bindgen_test]
async fn a_file_reads_back_what_was_written_and_nothing_beyond_its_end() {
    let slot = take_slot(&room("file"), &(0..SLOTS_MAX), None).await.expect("a slot");
    let file = Directory::of_slot(&room("file"), &slot).await.unwrap().open("file").await.unwrap();
    file.clear().unwrap();
    let disk = file.backend();
    disk.set_len(10).unwrap();
    disk.write(4, b"words").unwrap();
    disk.sync_data().unwrap();
    assert_eq!(file.read_all().unwrap(), b"\0\0\0\0words\0");
    assert!(disk.read(6, &mut [0; 5]).is_err(), "past the end");
    drop(file);
    assert!(disk.len().is_err(), "a closed file is not read");
}

#[wasm_bindgen_test]
async fn a_log_survives_its_store() {
    let slot = take_slot(&room("log"), &(0..SLOTS_MAX), None).await.expect("a slot");
    let directory = Directory::of_slot(&room("log"), &slot).await.unwrap();
    let me = NodeId::from_bytes(*b"log-member");
    let file = directory.open("log.journal").await.unwrap();
    file.clear().unwrap();
    let (mut log, cluster, empty) = LogStore::open(file.backend()).unwrap();
    assert_eq!((cluster, empty), (None, raft::Stored::default()));
    log.apply(&founding(me)).unwrap();
    drop((log, file));

    let file = directory.open("log.journal").await.unwrap();
    let (_log, cluster, stored) = LogStore::open(file.backend()).unwrap();
    assert_eq!(cluster, Some(ClusterId::from_bytes(*b"test-clust")));
    assert_eq!(stored.hard_state, HardState { term: Term::new(3), vote: Some(me) });
    assert_eq!(stored.entries, raft::Stored::founder(me).entries);
}

#[wasm_bindgen_test]
async fn blocks_are_written_in_groups_read_in_order_and_found_again() {
    let slot = take_slot(&room("blocks"), &(0..SLOTS_MAX), None).await.expect("a slot");
    let directory = Directory::of_slot(&room("blocks"), &slot).await.unwrap();
    let file = directory.open("blocks.redb").await.unwrap();
    file.clear().unwrap();
    let mut blocks = Blocks::new(BlockStore::open(file.backend()).unwrap().0);
    let (first, second) = (content(b"the first block"), content(b"the second block"));
    for (number, (name, bytes)) in [first.clone(), second.clone()].into_iter().enumerate() {
        blocks.add(Work::Operation(BlockOp::Put { ticket: Ticket(number as u64), name, bytes }));
    }
    let get = BlockOp::Get { ticket: Ticket(2), name: second.0, offset: 4, bytes_max: 6 };
    blocks.add(Work::Operation(get));

    let mut outcomes = Vec::new();
    blocks.turn(Some(&file), &mut outcomes);
    assert_eq!(outcomes.len(), 2, "both writes with one sync");
    blocks.turn(Some(&file), &mut outcomes);
    assert!(blocks.is_idle());
    let Some(Outcome::Node(Input::Block { ticket: Ticket(2), result: Ok(read) })) = outcomes.pop() else {
        panic!("the read is answered last")
    };
    assert_eq!(read, BlockOutcome::Data { bytes: Bytes::from_static(b"second"), total: 16 });
    drop((blocks, file));

    let file = directory.open("blocks.redb").await.unwrap();
    let (_blocks, inventory) = BlockStore::open(file.backend()).unwrap();
    assert_eq!(inventory.into_iter().collect::<Vec<_>>(), {
        let mut expected = vec![(first.0, 15), (second.0, 16)];
        expected.sort();
        expected
    });
}

#[wasm_bindgen_test]
async fn a_block_beyond_the_quota_is_refused_and_smaller_ones_still_fit() {
    let store = BlockStore::open(redb::backends::InMemoryBackend::new()).unwrap().0;
    let mut blocks = Blocks::new(store);
    // What is left is the room that stays free, and 20 bytes.
    blocks.set_room(0, limits::DISK_SPARE_BYTES + 20);
    let results = put_all(&mut blocks, &[b"more than there is room for", b"fits"]);
    assert_eq!(results, [Err(BlockError::Full), Ok(BlockOutcome::Stored)]);
}

#[wasm_bindgen_test]
fn memory_that_a_deleted_block_took_is_used_again() {
    let store = BlockStore::open(redb::backends::InMemoryBackend::new()).unwrap().0;
    let mut blocks = Blocks::bounded(store, 20);
    let mut put = |text| put_all(&mut blocks, &[text]).pop();
    assert_eq!(put(b"fifteen letters"), Some(Ok(BlockOutcome::Stored)));
    assert_eq!(put(b"fifteen letters"), Some(Ok(BlockOutcome::Stored)), "it is there already");
    assert_eq!(put(b"another text"), Some(Err(BlockError::Full)));
    blocks.add(Work::Operation(BlockOp::Delete { names: vec![content(b"fifteen letters").0] }));
    blocks.turn(None, &mut Vec::new());
    assert_eq!(put_all(&mut blocks, &[b"another text"]), [Ok(BlockOutcome::Stored)]);
}

/// Puts blocks together and returns the answers.
fn put_all(blocks: &mut Blocks, texts: &[&'static [u8]]) -> Vec<Result<BlockOutcome, BlockError>> {
    for (number, (name, bytes)) in texts.iter().map(|text| content(text)).enumerate() {
        blocks.add(Work::Operation(BlockOp::Put { ticket: Ticket(number as u64), name, bytes }));
    }
    let mut outcomes = Vec::new();
    blocks.turn(None, &mut outcomes);
    let result = |outcome| match outcome {
        Outcome::Node(Input::Block { result, .. }) => result,
        _ => panic!("writes are answered as blocks"),
    };
    outcomes.into_iter().map(result).collect()
}

#[wasm_bindgen_test]
async fn the_lowest_free_slot_is_taken_and_a_held_one_never() {
    let room = room("slots");
    let first = take_slot(&room, &(0..SLOTS_MAX), None).await.expect("a slot");
    let second = take_slot(&room, &(0..SLOTS_MAX), None).await.expect("a slot");
    assert_eq!((first.number, second.number), (0, 1));
    drop(first);
    // The browser hears of a release a moment later: only who waits gets it for certain.
    let again = take_slot(&room, &(0..SLOTS_MAX), Some(0)).await.expect("a slot");
    assert_eq!(again.number, 0);
    drop((again, second));
    let preferred = take_slot(&room, &(0..SLOTS_MAX), Some(5)).await.expect("a slot");
    assert_eq!(preferred.number, 5);
}

#[wasm_bindgen_test]
async fn a_reloaded_tab_waits_for_its_slot_and_a_copy_gets_another() {
    let room = room("reload");
    let former = take_slot(&room, &(0..SLOTS_MAX), None).await.expect("a slot");
    let (back, ()) =
        futures_util::future::join(take_slot(&room, &(0..SLOTS_MAX), Some(0)), async { drop(former) }).await;
    let back = back.expect("a slot");
    assert_eq!(back.number, 0);
    let copy = take_slot(&room, &(0..SLOTS_MAX), Some(0)).await.expect("a slot");
    assert_eq!(copy.number, 1, "the original is still there");
}

#[wasm_bindgen_test]
async fn a_node_comes_back_as_itself_and_a_lost_log_makes_a_new_one() {
    let start = Start { slot_before_reload: Some(0), ..start_in("home") };
    let Home { identity, place, .. } = home::open(&start, &(0..SLOTS_MAX), [1; 32]).await.unwrap();
    assert!(matches!(place, StoragePlace::Disk { .. }), "{place:?}");

    let back = home::open(&start, &(0..SLOTS_MAX), [2; 32]).await.unwrap();
    assert_eq!((back.identity.id(), back.slot, back.returned), (identity.id(), 0, true));
    assert_eq!(back.remark, None);
    back.files.remember_name("Quiet Heron");
    drop(back);

    let slot = take_slot(&start.room, &(0..SLOTS_MAX), Some(0)).await.expect("a slot");
    let directory = Directory::of_slot(&start.room, &slot).await.unwrap();
    directory.open("log.journal").await.unwrap().clear().unwrap();
    drop(slot);
    let renewed = home::open(&start, &(0..SLOTS_MAX), [3; 32]).await.unwrap();
    assert_ne!(renewed.identity.id(), identity.id());
    assert!(!renewed.returned && renewed.remark.is_some());
    assert_eq!(renewed.name, "Quiet Heron");
}

#[wasm_bindgen_test]
fn answers_that_are_too_large_together_are_refused_and_small_ones_told() {
    let value = Bytes::from(vec![7; limits::VALUE_BYTES_MAX]);
    let read = Ok(Reply::Key(Box::new(KeyView {
        key: "large".parse().expect("a plain key"),
        version: Version::new(1),
        bytes: value.len() as u64,
        ttl: None,
        value: Some(value),
    })));
    let put = Ok(Reply::KeyPut { version: Version::new(2), created: true });
    let told = |reads: usize| {
        let message = replies(CallId(1), [vec![read.clone(); reads], vec![put.clone()]].concat());
        assert!(fits(&message));
        let ToPage::Replies { results, .. } = message else { panic!("replies are told") };
        results
    };
    assert_eq!(told(64), [vec![read.clone(); 64], vec![put.clone()]].concat());
    let mut results = told(65);
    assert_eq!(results.pop(), Some(put.clone()));
    assert_eq!(results.len(), 65);
    assert!(results.iter().all(|result| matches!(result, Err(error) if error.code == ErrorCode::TooLarge)));
}
