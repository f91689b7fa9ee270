use super::*;
use crate::ids::DocumentId;
use crate::node::testing::desk::{Desk, node};
use crate::state_machine::Command;
use crate::time::Duration;
use crate::wire::peer::PeerMessage;

struct Story {
    desk: Desk,
    blocks: Blocks,
}

const SMALL: &[u8] = b"a small block";

fn content(bytes: &[u8]) -> BlockName {
    BlockName::Content(Hash::of(bytes))
}

const TO_COME: Manifest = Manifest::Document(DocumentId::from_bytes([7; 10]));

fn put(ticket: Ticket, hash: Hash) -> BlockMessage {
    BlockMessage::Put { ticket, hash, manifest: TO_COME }
}

fn copy(ticket: Ticket, hash: Hash, sources: Vec<NodeId>) -> BlockMessage {
    BlockMessage::Copy { ticket, hash, manifest: TO_COME, sources }
}

impl Story {
    fn new() -> Story {
        let desk = Desk::leader_of(3);
        Story { blocks: Blocks::new(BTreeMap::new(), desk.around.now), desk }
    }

    fn fetch(&mut self, name: BlockName, sources: &[u8], user: User) {
        let sources: Vec<NodeId> = sources.iter().copied().map(node).collect();
        self.blocks.fetch(&mut self.desk.lend(), name, &sources, user);
    }

    fn hear(&mut self, from: u8, message: BlockMessage, bulk: &[u8]) {
        self.blocks.message(&mut self.desk.lend(), node(from), message, Bytes::copy_from_slice(bulk));
    }

    /// The one message that was sent, which asks this node for a part of a block.
    fn asked(&mut self, expected: u8) -> (Ticket, u64) {
        match self.desk.sent().as_slice() {
            [(to, PeerMessage::Block(BlockMessage::Get { ticket, offset, .. }), _)] => {
                assert_eq!(*to, node(expected));
                (*ticket, *offset)
            }
            other => panic!("{other:?}"),
        }
    }

    fn answered(&mut self) -> Vec<BlockMessage> {
        let block = |message| match message {
            PeerMessage::Block(message) => message,
            other => panic!("{other:?}"),
        };
        self.desk.sent().into_iter().map(|(_, message, _)| block(message)).collect()
    }

    /// The store carries out what was asked of it last.
    fn store(&mut self, result: Result<BlockOutcome, BlockError>) {
        let ticket = match self.desk.ready.blocks.pop() {
            Some(BlockOp::Put { ticket, .. } | BlockOp::Get { ticket, .. }) => ticket,
            other => panic!("{other:?}"),
        };
        self.blocks.operation_done(&mut self.desk.lend(), ticket, result);
    }

    /// What is collected when so much time has passed.
    fn sweep(&mut self, after: Duration) -> Vec<BlockName> {
        self.desk.pass(after);
        self.blocks.tick(&mut self.desk.lend());
        let names = self.desk.ready.blocks.drain(..).flat_map(|operation| match operation {
            BlockOp::Delete { names } => names,
            other => panic!("{other:?}"),
        });
        names.collect()
    }

    fn fetched(&mut self) -> Option<Result<(), FetchError>> {
        match self.blocks.take_event()? {
            BlockEvent::Fetched { result, .. } => Some(result),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_large_block_comes_in_ranges_and_is_kept() {
    let mut story = Story::new();
    let bytes = vec![7; limits::FETCH_BYTES + 10];
    let total = bytes.len() as u64;
    story.fetch(content(&bytes), &[1], User::Worker);
    let (ticket, offset) = story.asked(1);
    assert_eq!(offset, 0);
    story.hear(1, BlockMessage::Data { ticket, total }, &bytes[..limits::FETCH_BYTES]);
    let (ticket, offset) = story.asked(1);
    assert_eq!(offset, limits::FETCH_BYTES as u64);
    story.hear(1, BlockMessage::Data { ticket, total }, &bytes[limits::FETCH_BYTES..]);
    assert!(story.fetched().is_none(), "not before it is durable");
    story.store(Ok(BlockOutcome::Stored));
    assert_eq!(story.fetched(), Some(Ok(())));
    assert!(story.blocks.inventory.contains(content(&bytes)));
    assert_eq!(story.blocks.inventory.bytes(), total);
}

#[test]
fn sources_that_lack_it_or_are_late_or_gone_or_damaged_give_way_to_the_next() {
    let mut story = Story::new();
    let total = SMALL.len() as u64;
    story.fetch(content(SMALL), &[1, 2, 3], User::Worker);
    let (ticket, _) = story.asked(1);
    story.hear(1, BlockMessage::Missing { ticket }, b"");
    let (late, _) = story.asked(2);
    story.desk.pass(limits::FETCH_TIMEOUT);
    story.blocks.tick(&mut story.desk.lend());
    let (ticket, _) = story.asked(3);
    story.hear(2, BlockMessage::Data { ticket: late, total }, SMALL);
    story.hear(2, BlockMessage::Data { ticket, total }, SMALL);
    assert!(story.desk.ready.blocks.is_empty(), "too late, and not the one who was asked");
    story.hear(3, BlockMessage::Data { ticket, total }, b"another block");
    story.store(Err(BlockError::Damaged));
    let (ticket, _) = story.asked(2);
    story.desk.around.peers.remove(&node(2));
    story.blocks.tick(&mut story.desk.lend());
    story.hear(2, BlockMessage::Data { ticket, total }, SMALL);
    assert_eq!(story.fetched(), Some(Err(FetchError::NoSource)));
}

#[test]
fn answers_out_of_bounds_are_worth_nothing() {
    let total = SMALL.len() as u64;
    let cases: [(u64, &[u8]); 7] = [
        (total - 1, SMALL),
        (total + 1, SMALL),
        (total, &SMALL[1..]),
        (u64::MAX, SMALL),
        (limits::BLOCK_BYTES_MAX as u64 + 1, SMALL),
        (total, b""),
        (0, b""),
    ];
    for (total, bulk) in cases {
        let mut story = Story::new();
        story.fetch(content(SMALL), &[1], User::Worker);
        let (ticket, _) = story.asked(1);
        story.hear(1, BlockMessage::Data { ticket, total }, bulk);
        assert_eq!(story.fetched(), Some(Err(FetchError::NoSource)), "{total} {bulk:?}");
    }
}

#[test]
fn a_busy_source_is_asked_again_a_bounded_number_of_times() {
    let mut story = Story::new();
    story.fetch(content(SMALL), &[1], User::Worker);
    for _ in 0..limits::FETCH_TRIES {
        let (ticket, _) = story.asked(1);
        assert!(story.fetched().is_none());
        story.hear(1, BlockMessage::Refused { ticket, refusal: BlockRefusal::Busy }, b"");
    }
    assert_eq!(story.fetched(), Some(Err(FetchError::NoSource)));
}

#[test]
fn a_reader_gets_only_what_the_hash_names_and_nothing_is_kept() {
    let mut story = Story::new();
    let block = BlockRef { hash: Hash::of(SMALL), bytes: SMALL.len() as u32 };
    let total = SMALL.len() as u64;
    story.blocks.read(&mut story.desk.lend(), RequestId(5), block);
    let mut first = None;
    for bytes in [&b"a false block"[..], SMALL] {
        let sent = story.desk.sent();
        let [(to, PeerMessage::Block(BlockMessage::Get { ticket, .. }), _)] = sent.as_slice() else {
            panic!("{sent:?}")
        };
        assert_ne!(first.replace(*to), Some(*to), "not the same source again");
        let data = BlockMessage::Data { ticket: *ticket, total };
        story.blocks.message(&mut story.desk.lend(), *to, data, Bytes::copy_from_slice(bytes));
    }
    let replies = std::mem::take(&mut story.desk.ready.replies);
    assert_eq!(replies, [(RequestId(5), Ok(Reply::Block(Bytes::from_static(SMALL))))]);
    assert!(story.desk.ready.blocks.is_empty() && story.blocks.inventory.len() == 0);
}

#[test]
fn peers_put_and_get() {
    let mut story = Story::new();
    let (ticket, hash) = (Ticket(9), Hash::of(SMALL));
    let get = BlockMessage::Get { ticket, name: content(SMALL), offset: 2, bytes_max: u32::MAX };
    story.hear(1, get.clone(), b"");
    assert_eq!(story.answered(), [BlockMessage::Missing { ticket }]);

    story.hear(1, put(ticket, hash), SMALL);
    assert_eq!(story.answered(), [], "not before it is durable");
    story.store(Ok(BlockOutcome::Stored));
    assert_eq!(story.answered(), [BlockMessage::Stored { ticket }]);
    story.hear(2, put(ticket, hash), SMALL);
    assert_eq!(story.answered(), [BlockMessage::Stored { ticket }], "it is here already");

    story.hear(1, get.clone(), b"");
    let total = SMALL.len() as u64;
    story.store(Ok(BlockOutcome::Data { bytes: Bytes::from_static(&SMALL[2..]), total }));
    let sent = story.desk.sent();
    assert!(
        matches!(&sent[..], [(_, PeerMessage::Block(BlockMessage::Data { .. }), bulk)] if bulk == &SMALL[2..])
    );

    story.hear(1, get, b"");
    story.store(Err(BlockError::Damaged));
    assert_eq!(story.answered(), [BlockMessage::Missing { ticket }]);
    assert!(!story.blocks.inventory.contains(content(SMALL)));
}

#[test]
fn what_cannot_be_put_is_refused_with_the_reason() {
    let mut story = Story::new();
    let (ticket, hash) = (Ticket(9), Hash::of(SMALL));
    let refused = |refusal| [BlockMessage::Refused { ticket, refusal }];
    story.hear(1, put(ticket, hash), b"");
    assert_eq!(story.answered(), refused(BlockRefusal::Damaged));
    story.hear(1, put(ticket, hash), b"other bytes");
    story.store(Err(BlockError::Damaged));
    assert_eq!(story.answered(), refused(BlockRefusal::Damaged));
    story.hear(1, put(ticket, hash), SMALL);
    story.store(Err(BlockError::Full));
    assert_eq!(story.answered(), refused(BlockRefusal::Full));
    assert_eq!(story.blocks.inventory.len(), 0);
}

#[test]
fn peers_cannot_keep_the_store_busier_than_its_limits() {
    let mut story = Story::new();
    let block = vec![1; limits::BLOCK_BYTES_MAX];
    for n in 0.. {
        let put = put(Ticket(n), Hash::of(&n.to_le_bytes()));
        story.hear(1, put, &block);
        if !story.answered().is_empty() {
            assert_eq!(n, limits::SERVED_BYTES_MAX / limits::BLOCK_BYTES_MAX as u64);
            break;
        }
    }
    story.store(Ok(BlockOutcome::Stored));
    story.answered();
    let put = put(Ticket(0), Hash::of(b"again"));
    story.hear(1, put, &block);
    assert_eq!(story.answered(), [], "there is room again");
}

#[test]
fn a_copy_is_fetched_from_its_sources_and_acknowledged() {
    let mut story = Story::new();
    let (ticket, hash) = (Ticket(9), Hash::of(SMALL));
    story.hear(1, copy(ticket, hash, vec![node(0), node(2)]), b"");
    let (get, _) = story.asked(2);
    story.hear(2, BlockMessage::Data { ticket: get, total: SMALL.len() as u64 }, SMALL);
    story.store(Ok(BlockOutcome::Stored));
    assert_eq!(story.answered(), [BlockMessage::Stored { ticket }]);
    story.hear(1, copy(ticket, Hash::of(b"nowhere"), vec![]), b"");
    assert_eq!(story.answered(), [BlockMessage::Refused { ticket, refusal: BlockRefusal::NoSource }]);
}

#[test]
fn what_a_copy_costs_is_bounded_whatever_its_asker_names() {
    let mut story = Story::new();
    let hash = Hash::of(SMALL);
    let stranger = |n: u32| {
        let mut bytes = [0xaa; 10];
        bytes[..4].copy_from_slice(&n.to_le_bytes());
        NodeId::from_bytes(bytes)
    };
    let strangers = (0..200_000).map(stranger);
    story.hear(1, copy(Ticket(0), hash, strangers.chain([node(2), node(2)]).collect()), b"");
    let (get, _) = story.asked(2);
    for n in 1..=limits::FETCH_USERS_MAX as u64 {
        assert_eq!(story.answered(), [], "{n} askers");
        story.hear(1, copy(Ticket(n), hash, vec![]), b"");
    }
    let ticket = Ticket(limits::FETCH_USERS_MAX as u64);
    assert_eq!(story.answered(), [BlockMessage::Refused { ticket, refusal: BlockRefusal::Busy }]);
    story.hear(2, BlockMessage::Missing { ticket: get }, b"");
    let no_source = |message: &BlockMessage| {
        matches!(message, BlockMessage::Refused { refusal: BlockRefusal::NoSource, .. })
    };
    let answers = story.answered();
    assert!(
        answers.len() == limits::FETCH_USERS_MAX && answers.iter().all(no_source),
        "nobody else is asked"
    );
}

/// Two blocks of a document that is deleted, of which an upload that is still under way wants the second one too.
fn shared_block() -> (Story, [BlockName; 2]) {
    let mut story = Story::new();
    let (document, job) = story.desk.job(1, 2);
    let names = [BlockName::Content(Hash::of(&[1, 0])), BlockName::Content(Hash::of(&[1, 1]))];
    for name in names {
        story.blocks.written(name, 10, story.desk.around.now);
        story.blocks.claim(&story.desk.lend(), name, Manifest::Document(document));
    }
    story.blocks.claim(&story.desk.lend(), names[1], TO_COME);
    story.blocks.leader_changed(&story.desk.lend());
    story.blocks.applied(&story.desk.lend(), &[Change::DocumentAdded(document)]);
    story.sweep(Duration::from_secs(1000));
    assert_eq!(story.blocks.inventory.len(), 2);

    story.desk.apply(Command::CancelJob { id: job });
    story.desk.apply(Command::DeleteDocument { id: document });
    story.blocks.applied(&story.desk.lend(), &[Change::DocumentRemoved(document)]);
    (story, names)
}

#[test]
fn a_block_goes_with_its_manifest_unless_an_upload_counts_on_it() {
    let (mut story, names) = shared_block();
    assert_eq!(story.sweep(Duration::from_secs(10)), [names[0]]);
    assert_eq!(
        story.sweep(limits::UNREFERENCED_BLOCK_AGE_MAX),
        [names[1]],
        "an upload that never came to its end"
    );
    assert_eq!((story.blocks.inventory.len(), story.blocks.inventory.bytes()), (0, 0));
}

#[test]
fn after_a_restart_nobody_knows_what_an_upload_counts_on() {
    let (story, mut names) = shared_block();
    names.sort_unstable();
    let Story { desk, .. } = story;
    let blocks = Blocks::new(names.map(|name| (name, 10)).into(), desk.around.now);
    let mut story = Story { desk, blocks };
    story.blocks.leader_changed(&story.desk.lend());
    assert_eq!(story.sweep(Duration::from_secs(1000)), []);
    assert_eq!(story.sweep(limits::UNREFERENCED_BLOCK_AGE_MAX), names);
}

#[test]
fn without_a_leader_nothing_goes_that_the_log_may_still_name() {
    let mut story = Story::new();
    story.blocks.written(content(SMALL), 10, story.desk.around.now);
    story.blocks.claim(&story.desk.lend(), content(SMALL), TO_COME);
    story.desk.around.leader = None;
    story.blocks.leader_changed(&story.desk.lend());
    assert_eq!(story.sweep(limits::UNREFERENCED_BLOCK_AGE_MAX * 2), []);
}

#[test]
fn partials_that_nobody_used_for_longest_give_way() {
    let mut story = Story::new();
    let partial = |n: u8| BlockName::Partial(Hash::of(&[n]));
    let each = limits::PARTIALS_BYTES_MAX / 4;
    for n in 0..6 {
        story.blocks.written(partial(n), each, story.desk.around.now);
        story.desk.pass(Duration::from_secs(1));
    }
    story.blocks.inventory.touch(partial(0), story.desk.around.now);
    story.desk.pass(Duration::from_secs(3600));
    story.blocks.tick(&mut story.desk.lend());
    let deleted = BlockOp::Delete { names: vec![partial(1), partial(2)] };
    assert_eq!(story.desk.ready.blocks, [deleted]);
}
