//! How texts get into a cluster, stay there, and go.

use super::stories::{put_chunk, text_of_words, upload, with_servers};
use crate::ids::{DocumentId, Hash, NodeId, UploadId};
use crate::limits;
use crate::node::api::{ErrorCode, Reply, Request};
use crate::node::testing::Cluster;
use crate::node::{BlockName, RequestId};
use crate::state_machine::{BlockRef, Document, Retention};
use crate::time::Duration;
use crate::wire::session::Kind;
use bytes::Bytes;

fn open(cluster: &mut Cluster, at: NodeId) -> UploadId {
    let request = Request::OpenUpload { name: "a text".into(), retention: Retention::Keep, document: None };
    match cluster.ask(at, request) {
        Ok(Reply::UploadOpened { upload }) => upload,
        other => panic!("{other:?}"),
    }
}

fn code(reply: Result<Reply, crate::node::api::RequestError>) -> ErrorCode {
    match reply {
        Err(error) => error.code,
        Ok(reply) => panic!("an error was expected: {reply:?}"),
    }
}

fn finish(cluster: &mut Cluster, at: NodeId, upload: UploadId) -> Document {
    match cluster.ask(at, Request::FinishUpload { upload }) {
        Ok(Reply::Document(document)) => *document,
        other => panic!("{other:?}"),
    }
}

fn holders(cluster: &Cluster, hash: Hash) -> Vec<NodeId> {
    let has = |node: &NodeId| cluster.blocks_of(*node).contains_key(&BlockName::Content(hash));
    cluster.running().filter(has).collect()
}

fn stored(cluster: &mut Cluster, at: NodeId, upload: UploadId, position: u32, bytes: &'static [u8]) {
    let request = put_chunk(cluster, at, upload, position, Bytes::from_static(bytes));
    cluster.wait("a chunk to be stored", |cluster| cluster.is_answered(request));
    assert_eq!(cluster.reply(request), Some(Ok(Reply::Done)));
}

#[test]
fn every_chunk_is_with_three_members_before_it_is_acknowledged() {
    let (mut cluster, nodes) = with_servers(101, 5);
    let upload = open(&mut cluster, nodes[4]);
    let request = put_chunk(&mut cluster, nodes[4], upload, 0, Bytes::from_static(b"some words"));
    cluster.wait("a chunk to be stored", |cluster| {
        let copies = holders(cluster, Hash::of(b"some words")).len();
        assert!(copies >= 3 || !cluster.is_answered(request), "acknowledged with {copies} copies");
        cluster.is_answered(request)
    });
    let document = finish(&mut cluster, nodes[4], upload);
    assert_eq!(document.blocks, [BlockRef { hash: Hash::of(b"some words"), bytes: 10 }]);
    for node in nodes {
        let block = document.blocks[0];
        let read = cluster.ask(node, Request::ReadBlock { block });
        assert_eq!(read, Ok(Reply::Block(Bytes::from_static(b"some words"))), "also where it is not stored");
    }
}

/// How many copies a majority of the voters cannot miss all of, and how many the voters have.
fn on_voters(cluster: &Cluster, hash: Hash) -> (usize, usize) {
    let voters = &cluster.status(cluster.leader().expect("a leader")).membership.voters;
    let held = holders(cluster, hash).iter().filter(|node| voters.contains(node)).count();
    (voters.len().div_ceil(2), held)
}

#[test]
fn every_majority_of_the_voters_has_a_copy_of_every_chunk() {
    let (mut cluster, nodes) = with_servers(113, 3);
    let early = upload(&mut cluster, nodes[0], &text_of_words(11, 5_000));
    for _ in 0..6 {
        cluster.start(Kind::Server);
    }
    cluster.wait("seven voters of nine members", |cluster| cluster.is_settled(7, 9));
    let late = upload(&mut cluster, nodes[1], &text_of_words(12, 5_000));
    for block in &late.blocks {
        let (needed, held) = on_voters(&cluster, block.hash);
        assert!((needed, held) >= (4, 4), "acknowledged with {held} copies on voters, of {needed}");
    }
    cluster.wait("as many copies of what was there before", |cluster| {
        early.blocks.iter().all(|block| on_voters(cluster, block.hash).1 >= 4)
    });
}

#[test]
fn chunks_arrive_in_any_order_and_equal_ones_are_stored_once() {
    let (mut cluster, nodes) = with_servers(102, 3);
    let upload = open(&mut cluster, nodes[0]);
    for (position, bytes) in [(2, &b"b "[..]), (0, b"a "), (1, b"a "), (3, b"a ")] {
        stored(&mut cluster, nodes[0], upload, position, bytes);
    }
    stored(&mut cluster, nodes[0], upload, 1, b"a ");
    let document = finish(&mut cluster, nodes[0], upload);
    let hashes: Vec<Hash> = document.blocks.iter().map(|block| block.hash).collect();
    let (a, b) = (Hash::of(b"a "), Hash::of(b"b "));
    assert_eq!(hashes, [a, a, b, a]);
    assert_eq!(document.bytes, 8);
    assert!(nodes.iter().all(|node| cluster.blocks_of(*node).len() == 2));
    assert_eq!(finish(&mut cluster, nodes[0], upload), document, "a second answer, not a second document");
}

#[test]
fn an_empty_text_is_a_document_too() {
    let (mut cluster, nodes) = with_servers(103, 1);
    let upload = open(&mut cluster, nodes[0]);
    let document = finish(&mut cluster, nodes[0], upload);
    assert_eq!((document.bytes, document.blocks.len()), (0, 0));
}

#[test]
fn what_is_wrong_with_an_upload_is_told() {
    let (mut cluster, nodes) = with_servers(104, 3);
    let at = nodes[0];
    let nowhere = UploadId::from_bytes([9; 10]);
    assert_eq!(code(cluster.ask(at, Request::FinishUpload { upload: nowhere })), ErrorCode::NotFound);
    assert_eq!(code(cluster.ask(at, Request::AbortUpload { upload: nowhere })), ErrorCode::NotFound);
    let upload = open(&mut cluster, at);
    let mut chunk = |position, hash, bytes: Bytes| {
        code(cluster.ask(at, Request::UploadChunk { upload, position, hash, bytes }))
    };
    let abc = Bytes::from_static(b"abc");
    assert_eq!(chunk(0, Hash::of(b"xyz"), abc.clone()), ErrorCode::BadRequest);
    assert_eq!(chunk(0, Hash::of(b""), Bytes::new()), ErrorCode::TooLarge);
    let long = Bytes::from(vec![b'a'; limits::CHUNK_BYTES_MAX + 1]);
    assert_eq!(chunk(0, Hash::of(&long), long), ErrorCode::TooLarge);
    let max = limits::DOCUMENT_CHUNKS_MAX as u32;
    assert_eq!(chunk(max, Hash::of(b"abc"), abc.clone()), ErrorCode::TooLarge);
    assert_eq!(chunk(100, Hash::of(b"abc"), abc), ErrorCode::Conflict);
    stored(&mut cluster, at, upload, 1, b"second");
    assert_eq!(code(cluster.ask(at, Request::FinishUpload { upload })), ErrorCode::Conflict);
    stored(&mut cluster, at, upload, 0, b"first ");
    let other = Request::UploadChunk {
        upload,
        position: 0,
        hash: Hash::of(b"other"),
        bytes: Bytes::from_static(b"other"),
    };
    assert_eq!(code(cluster.ask(at, other)), ErrorCode::Conflict);
    assert_eq!(finish(&mut cluster, at, upload).bytes, 12);
}

#[test]
fn uploads_are_bounded_and_idle_ones_end() {
    let (mut cluster, nodes) = with_servers(105, 1);
    let uploads: Vec<UploadId> = (0..limits::UPLOADS_MAX).map(|_| open(&mut cluster, nodes[0])).collect();
    let one_more = || Request::OpenUpload { name: String::new(), retention: Retention::Keep, document: None };
    assert_eq!(code(cluster.ask(nodes[0], one_more())), ErrorCode::Busy);
    assert_eq!(cluster.ask(nodes[0], Request::AbortUpload { upload: uploads[0] }), Ok(Reply::Done));
    assert!(cluster.ask(nodes[0], one_more()).is_ok());
    let half = limits::UPLOAD_IDLE_MAX / 2 + Duration::from_secs(1);
    cluster.run_for(half);
    let keep = |upload| Request::KeepUpload { upload };
    assert_eq!(cluster.ask(nodes[0], keep(uploads[2])), Ok(Reply::Done));
    cluster.run_for(half);
    let late = Request::FinishUpload { upload: uploads[1] };
    assert_eq!(code(cluster.ask(nodes[0], late)), ErrorCode::NotFound);
    assert_eq!(code(cluster.ask(nodes[0], keep(uploads[1]))), ErrorCode::NotFound);
    assert_eq!(cluster.ask(nodes[0], keep(uploads[2])), Ok(Reply::Done));
    assert!(cluster.ask(nodes[0], one_more()).is_ok());
}

#[test]
fn a_holder_that_goes_away_is_replaced_while_the_client_waits() {
    let (mut cluster, nodes) = with_servers(106, 5);
    let upload = open(&mut cluster, nodes[0]);
    let requests: Vec<RequestId> = (0..8u32)
        .map(|n| put_chunk(&mut cluster, nodes[0], upload, n, Bytes::from(text_of_words(n.into(), 500))))
        .collect();
    let victim = *nodes.iter().find(|node| **node != nodes[0] && Some(**node) != cluster.leader()).unwrap();
    cluster.crash(victim);
    cluster.wait("all chunks to be stored", |cluster| {
        requests.iter().all(|request| cluster.is_answered(*request))
    });
    let document = finish(&mut cluster, nodes[0], upload);
    for block in &document.blocks {
        assert!(holders(&cluster, block.hash).len() >= 3);
    }
}

#[test]
fn an_upload_goes_on_when_the_leader_dies() {
    let (mut cluster, _) = with_servers(107, 5);
    let (at, leader) = (cluster.follower(), cluster.leader().unwrap());
    let upload = open(&mut cluster, at);
    stored(&mut cluster, at, upload, 0, b"before ");
    cluster.crash(leader);
    stored(&mut cluster, at, upload, 1, b"after");
    assert_eq!(finish(&mut cluster, at, upload).bytes, 12);
}

#[test]
fn a_lost_copy_is_made_again_elsewhere() {
    let (mut cluster, nodes) = with_servers(108, 5);
    let text = text_of_words(8, 40_000);
    let document = upload(&mut cluster, nodes[0], &text);
    let victim = cluster.follower();
    let lost = document.blocks.iter().filter(|block| holders(&cluster, block.hash).contains(&victim)).count();
    assert!(lost > 0, "a victim that held something");
    cluster.crash(victim);
    let is_whole =
        |cluster: &Cluster| document.blocks.iter().all(|block| holders(cluster, block.hash).len() >= 3);
    assert!(!is_whole(&cluster));
    cluster.wait("three copies of everything", is_whole);
}

#[test]
fn members_that_come_later_take_copies_until_there_are_three() {
    let (mut cluster, nodes) = with_servers(109, 1);
    let document = upload(&mut cluster, nodes[0], &text_of_words(9, 5_000));
    cluster.start(Kind::Server);
    cluster.start(Kind::Tab);
    cluster.wait("three copies of everything", |cluster| {
        document.blocks.iter().all(|block| holders(cluster, block.hash).len() == 3)
    });
}

#[test]
fn a_member_that_answers_nothing_does_not_keep_the_others_waiting_for_copies() {
    let mut cluster = Cluster::new(114);
    let first = cluster.start(Kind::Tab);
    cluster.wait("a leader", |cluster| cluster.leader() == Some(first));
    let document = upload(&mut cluster, first, &text_of_words(13, 100_000));
    let silent = cluster.start(Kind::Tab);
    cluster.wait("a learner", |cluster| cluster.is_settled(1, 2));
    cluster.freeze(silent);
    cluster.start(Kind::Tab);
    cluster.start(Kind::Tab);
    let began = cluster.now;
    cluster.wait("three copies of everything", |cluster| {
        document.blocks.iter().all(|block| holders(cluster, block.hash).len() >= 3)
    });
    assert!(cluster.blocks_of(silent).is_empty());
    let waited = cluster.now.since(began);
    assert!(waited > limits::COPY_TIMEOUT, "the silent one was asked: {waited:?}");
    assert!(waited < 2 * limits::COPY_TIMEOUT, "once, not for every few blocks: {waited:?}");
}

#[test]
fn a_deleted_document_leaves_no_blocks_but_shared_ones() {
    let (mut cluster, nodes) = with_servers(110, 3);
    let text = text_of_words(10, 20_000);
    let first = upload(&mut cluster, nodes[0], &text);
    let second = upload(&mut cluster, nodes[1], &text[..text.len() / 2]);
    let delete = |document: DocumentId| Request::DeleteDocument { document };
    assert_eq!(cluster.ask(nodes[2], delete(first.id)), Ok(Reply::Done));
    let mut kept: Vec<Hash> = second.blocks.iter().map(|block| block.hash).collect();
    kept.sort_unstable();
    kept.dedup();
    cluster.wait("unshared blocks to go", |cluster| {
        nodes.iter().all(|node| cluster.blocks_of(*node).len() == kept.len())
    });
    assert!(kept.iter().all(|hash| holders(&cluster, *hash).len() == 3));
    assert_eq!(cluster.ask(nodes[2], delete(second.id)), Ok(Reply::Done));
    cluster.wait("all blocks to go", |cluster| nodes.iter().all(|node| cluster.blocks_of(*node).is_empty()));
}

#[test]
fn a_node_that_is_cut_off_does_not_take_itself_for_enough() {
    let (mut cluster, nodes) = with_servers(111, 3);
    let at = cluster.follower();
    let upload = open(&mut cluster, at);
    cluster.disconnect(at);
    let request = put_chunk(&mut cluster, at, upload, 0, Bytes::from_static(b"some words"));
    cluster.run_for(Duration::from_secs(5));
    assert!(!cluster.is_answered(request));
    cluster.connect(at);
    cluster.wait("a chunk to be stored", |cluster| cluster.is_answered(request));
    assert_eq!(cluster.reply(request), Some(Ok(Reply::Done)));
    assert!(holders(&cluster, Hash::of(b"some words")).len() > nodes.len() / 2);
}

#[test]
fn a_learner_that_is_cut_off_does_not_take_itself_for_enough_either() {
    let mut cluster = Cluster::new(112);
    cluster.start(Kind::Server);
    cluster.wait("a leader", |cluster| cluster.leader().is_some());
    let learner = cluster.start(Kind::Tab);
    cluster.wait("a learner", |cluster| cluster.is_settled(1, 2));
    let upload = open(&mut cluster, learner);
    cluster.disconnect(learner);
    let request = put_chunk(&mut cluster, learner, upload, 0, Bytes::from_static(b"some words"));
    cluster.run_for(Duration::from_secs(5));
    assert!(!cluster.is_answered(request));
    cluster.connect(learner);
    cluster.wait("a chunk to be stored", |cluster| cluster.is_answered(request));
    assert_eq!(cluster.reply(request), Some(Ok(Reply::Done)));
    assert_eq!(holders(&cluster, Hash::of(b"some words")).len(), 2);
}
