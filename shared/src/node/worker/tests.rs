use super::*;
use crate::ids::Hash;
use crate::node::testing::desk::{Desk, node};
use crate::raft::Term;
use crate::wire::peer::{BlockMessage, PeerMessage};
use crate::words::Mode;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Node 0 is a worker, node 1 leads in term 1, node 2 does not, and node 3 holds every text.
struct Story {
    desk: Desk,
    blocks: Blocks,
    worker: Worker,
}

const LEADER: u8 = 1;
const LIAR: u8 = 2;
const SOURCE: u8 = 3;

fn attempt(job: u32, term: u64) -> Attempt {
    let mut bytes = [0; 10];
    bytes[..4].copy_from_slice(&job.to_be_bytes());
    Attempt { job: JobId::from_bytes(bytes), task: 0, number: 1, term: Term::new(term) }
}

fn text(n: u32) -> BlockName {
    BlockName::Content(Hash::of(&n.to_be_bytes()))
}

/// To count these texts; the first one says which task it is.
fn assign(attempt: Attempt, texts: &[u32]) -> TaskMessage {
    let key = Hash::of(&texts[0].to_le_bytes());
    TaskMessage::Assign {
        attempt,
        function: Function::Count { mode: Mode::Ascii, key },
        inputs: texts.iter().map(|n| text(*n)).collect(),
        sources: vec![vec![node(SOURCE)]; texts.len()],
    }
}

impl Story {
    fn new() -> Story {
        let mut desk = Desk::leader_of(3);
        desk.around.leader = Some(node(LEADER));
        let blocks = Blocks::new(BTreeMap::new(), desk.around.now);
        Story { desk, blocks, worker: Worker::default() }
    }

    fn hear(&mut self, from: u8, message: TaskMessage) {
        self.worker.message(&mut self.desk.lend(), &mut self.blocks, node(from), message);
    }

    fn leads(&mut self, leader: Option<u8>, term: u64) {
        (self.desk.around.leader, self.desk.around.term) = (leader.map(node), Term::new(term));
        self.worker.leader_changed(&mut self.desk.lend(), &mut self.blocks);
    }

    /// The blocks that were asked for since the last time.
    fn asked(&mut self) -> Vec<(Ticket, BlockName)> {
        let get = |message| match message {
            PeerMessage::Block(BlockMessage::Get { ticket, name, .. }) => (ticket, name),
            other => panic!("{other:?}"),
        };
        self.desk.sent().into_iter().map(|(_, message, _)| get(message)).collect()
    }

    fn names(&mut self) -> Vec<BlockName> {
        self.asked().into_iter().map(|(_, name)| name).collect()
    }

    /// The source does not have this one.
    fn missing(&mut self, ticket: Ticket) {
        let message = BlockMessage::Missing { ticket };
        self.blocks.message(&mut self.desk.lend(), node(SOURCE), message, Bytes::new());
    }
}

#[test]
fn tasks_come_from_the_leader() {
    let mut story = Story::new();
    story.hear(LIAR, assign(attempt(1, 1), &[1]));
    story.hear(LEADER, assign(attempt(1, 0), &[1]));
    assert!(story.worker.tasks.is_empty());
    story.hear(LEADER, assign(attempt(1, 1), &[1]));
    assert_eq!(story.names(), [text(1)]);
    story.hear(LIAR, TaskMessage::Cancel { attempt: attempt(1, 1) });
    assert_eq!(story.worker.tasks.len(), 1, "and only the leader takes them back");
    story.hear(LEADER, TaskMessage::Cancel { attempt: attempt(1, 1) });
    assert!(story.worker.tasks.is_empty());
}

#[test]
fn a_leader_that_is_not_known_yet_is_believed_for_a_while() {
    let mut story = Story::new();
    for n in 0..=limits::EARLY_TASKS_MAX as u32 {
        story.hear(LIAR, assign(attempt(n, 2), &[n]));
    }
    assert_eq!(story.worker.tasks.len(), limits::EARLY_TASKS_MAX);
    assert_eq!(story.asked().len(), limits::FETCHES_MAX);
    story.hear(LEADER, assign(attempt(500, 1), &[500]));
    assert_eq!(story.worker.tasks.len(), limits::EARLY_TASKS_MAX + 1, "the known one has its own room");
    story.leads(None, 2);
    assert_eq!(story.worker.tasks.len(), limits::EARLY_TASKS_MAX, "of the new term, whoever leads it");
    story.leads(Some(SOURCE), 2);
    assert!(story.worker.tasks.is_empty(), "it was another one");
    story.hear(SOURCE, assign(attempt(1, 2), &[1_000]));
    assert_eq!(story.names(), [text(1_000)], "what the tasks waited for is not fetched any more");

    let furthest = 2 + limits::RAFT_TERM_JUMP_MAX;
    story.hear(LIAR, assign(attempt(2, furthest + 1), &[2]));
    assert_eq!(story.worker.tasks.len(), 1);
    story.hear(LIAR, assign(attempt(2, furthest), &[2]));
    assert_eq!(story.worker.tasks.len(), 2);
}

#[test]
fn inputs_and_askers_of_a_task_are_bounded() {
    let mut story = Story::new();
    let texts: Vec<u32> = (0..=limits::TASK_INPUTS_MAX as u32).collect();
    story.hear(LEADER, assign(attempt(1, 1), &texts));
    assert!(story.worker.tasks.is_empty());
    story.hear(LEADER, assign(attempt(1, 1), &texts[1..]));
    assert_eq!(story.worker.tasks.len(), 1);

    let mut story = Story::new();
    for job in 0..=limits::WORKER_TASKS_MAX as u32 {
        story.hear(LEADER, assign(attempt(job, 1), &[1]));
    }
    assert_eq!(story.worker.tasks.len(), 1);
    let last = attempt(limits::WORKER_TASKS_MAX as u32, 1);
    match story.worker.take_outbox().as_slice() {
        [(_, TaskMessage::Failed { attempt, failure: TaskFailure::Unable(_) })] => assert_eq!(*attempt, last),
        other => panic!("{other:?}"),
    }
}

#[test]
fn fetches_end_with_the_last_task_that_waits_for_them() {
    let mut story = Story::new();
    story.hear(LEADER, assign(attempt(1, 1), &[1, 2, 3]));
    story.hear(LEADER, assign(attempt(2, 1), &[2, 4]));
    let asked = story.asked();
    assert_eq!(asked.len(), 4);
    story.worker.job_ended(&mut story.desk.lend(), &mut story.blocks, attempt(1, 1).job);
    let ticket = |n: u32| asked.iter().find(|(_, name)| *name == text(n)).unwrap().0;
    for (n, is_wanted) in [(1, false), (2, true), (3, false)] {
        story.missing(ticket(n));
        assert_eq!(story.blocks.take_event().is_some(), is_wanted, "text {n}");
    }
    // The second task cannot be done without its first text, so it does not need the other either.
    let result = Err(FetchError::NoSource);
    story.worker.fetched(&mut story.desk.lend(), &mut story.blocks, text(2), &result);
    assert!(story.worker.tasks.is_empty());
    story.missing(ticket(4));
    assert!(story.blocks.take_event().is_none());

    let many: Vec<u32> = (10..100).collect();
    story.hear(LEADER, assign(attempt(3, 1), &many));
    assert_eq!(story.asked().len(), limits::FETCHES_MAX);
    story.hear(LEADER, TaskMessage::Cancel { attempt: attempt(3, 1) });
    assert_eq!(story.names(), [], "those that had not begun do not begin");
    story.hear(LEADER, assign(attempt(4, 1), &many));
    assert_eq!(story.asked().len(), limits::FETCHES_MAX, "and each begins once when it is wanted again");
}
