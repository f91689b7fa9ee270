use super::*;
use crate::ids::DocumentId;
use crate::node::testing::desk::{Desk, node};
use crate::raft;
use crate::state_machine::SessionId;
use crate::time::Duration;
use crate::wire::peer::{PeerMessage, Proposal};
use bytes::Bytes;
use std::collections::VecDeque;

/// Not yet to be seen in the node's own state.
const SESSION: SessionId = SessionId::FIRST;

/// A node that follows node 1.
struct Story {
    desk: Desk,
    consensus: Consensus,
    errands: Errands,
    ledger: Ledger,
}

impl Story {
    fn new() -> Story {
        let mut desk = Desk::leader_of(2);
        desk.around.leader = Some(node(1));
        let around = &mut desk.around;
        let (rng, now) = (around.rng.fork(), around.now);
        let consensus =
            Consensus::new(around.me, &around.config.raft, raft::Stored::default(), rng, now).unwrap();
        Story { desk, consensus, errands: Errands::default(), ledger: Ledger::default() }
    }

    fn advance(&mut self) -> Vec<Finished> {
        let around = &mut self.desk.around;
        self.errands.advance(around, &mut self.consensus, &mut self.ledger, Index::ZERO)
    }

    fn put(&mut self, request: u64, bytes: usize) {
        let change = KeyChange::put("k".parse().unwrap(), Bytes::from(vec![b'v'; bytes]));
        self.errands.call(&mut self.desk.around, RequestId(request), change);
    }

    /// The leader opens the session that it is asked for; what it is asked then.
    fn session_opens(&mut self) -> Vec<Ticket> {
        self.advance();
        let [opening] = self.asked()[..] else { panic!("a session comes first") };
        self.judged(node(1), opening, Outcome::Opened(SESSION));
        self.asked()
    }

    /// What the leader is asked.
    fn asked(&mut self) -> Vec<Ticket> {
        self.asks().into_iter().map(|(ticket, _)| ticket).collect()
    }

    fn asks(&mut self) -> Vec<(Ticket, Ask)> {
        let Desk { around, ready } = &mut self.desk;
        std::mem::take(&mut around.forwarding).send(&mut around.lend(ready));
        let asks = self.desk.sent().into_iter().flat_map(|(to, message, _)| match message {
            PeerMessage::Proposal(Proposal::Ask(asks)) if to == node(1) => asks,
            other => panic!("{other:?}"),
        });
        asks.collect()
    }

    fn judged(&mut self, from: NodeId, ticket: Ticket, outcome: Outcome) -> usize {
        let verdict = Verdict::Applied { index: Index::ZERO, outcome };
        self.errands.judged(from, ticket, verdict, self.desk.around.now);
        self.advance().len()
    }
}

#[test]
fn only_the_member_that_was_asked_is_believed() {
    let mut story = Story::new();
    let command = Command::DeleteDocument { id: DocumentId::from_bytes([1; 10]) };
    story.errands.write(&mut story.desk.around, Submission { command, request: Some(RequestId(1)) });
    assert_eq!(story.advance().len(), 0, "on its way");
    let ticket = *story.errands.open.keys().next().expect("just opened");
    assert_eq!(story.judged(node(2), ticket, Outcome::Done), 0, "a lie");
    assert_eq!(story.judged(node(1), ticket, Outcome::Done), 1);
}

#[test]
fn values_go_to_the_leader_in_portions_and_are_repeated_less_and_less() {
    const CALLS: u64 = 40;
    let mut story = Story::new();
    for request in 0..CALLS {
        story.put(request, limits::VALUE_BYTES_MAX);
    }
    let portion = story.session_opens();
    assert_eq!(portion.len(), limits::FORWARDED_BYTES_MAX.div_ceil(limits::VALUE_BYTES_MAX));

    story.put(CALLS, 0);
    story.advance();
    let [small] = story.asked()[..] else { panic!("what has no value waits for none") };
    assert_eq!(story.judged(node(1), small, Outcome::Done), 1);

    for seconds in [1, 2, 4] {
        story.desk.pass(Duration::from_secs(seconds) - Duration::from_millis(1));
        story.advance();
        assert_eq!(story.asked(), [], "each has {seconds} s");
        story.desk.pass(Duration::from_millis(1));
        story.advance();
        assert_eq!(story.asked(), portion);
    }

    let mut on_their_way = VecDeque::from(portion);
    let mut finished = 0;
    while let Some(ticket) = on_their_way.pop_front() {
        finished += story.judged(node(1), ticket, Outcome::Done);
        on_their_way.extend(story.asked());
    }
    assert_eq!(finished as u64, CALLS);
    assert_eq!((story.errands.forwarded, story.errands.held.len(), story.errands.len()), (0, 0, 0));
}

#[test]
fn a_node_that_becomes_the_leader_holds_nothing_back() {
    let mut story = Story::new();
    for request in 0..8 {
        story.put(request, limits::VALUE_BYTES_MAX);
    }
    story.session_opens();
    assert!(!story.errands.held.is_empty());
    story.desk.around.leader = Some(node(0));
    story.errands.leader_changed(&story.desk.around);
    story.advance();
    assert_eq!((story.errands.forwarded, story.errands.held.len()), (0, 0));
}

#[test]
fn a_call_that_finds_no_session_may_have_happened_and_is_not_made_in_another() {
    let mut story = Story::new();
    story.put(1, 1);
    let [call] = story.session_opens()[..] else { panic!("the call") };
    let verdict = Verdict::Applied { index: Index::ZERO, outcome: Outcome::Rejected(Rejection::NoSession) };
    story.errands.judged(node(1), call, verdict, story.desk.around.now);
    let finished = story.advance();
    let [Finished::Call { result: Ok(outcome), .. }] = &finished[..] else { panic!("{finished:?}") };
    assert_eq!(
        *outcome,
        Outcome::Rejected(Rejection::NoSession),
        "which is an unknown outcome to whoever asked"
    );
    assert_eq!(story.asked(), []);
}

#[test]
fn whoever_was_cut_off_begins_another_session() {
    let mut story = Story::new();
    story.put(1, 1);
    let [call] = story.session_opens()[..] else { panic!("the call") };
    assert_eq!(story.judged(node(1), call, Outcome::Done), 1);

    story.put(2, 1);
    assert_eq!((story.advance().len(), story.asked().len()), (0, 1), "the same session");
    story.errands.disconnected(&story.desk.around);
    assert_eq!((story.advance().len(), story.asked().len()), (0, 1), "that call again, in its place");
    story.put(3, 1);
    assert_eq!(story.session_opens().len(), 1, "another session, and then the call");
}

#[test]
fn a_call_under_way_keeps_its_place_when_its_node_is_cut_off() {
    let mut story = Story::new();
    story.put(0, 1);
    let mut asked = story.session_opens();
    let mut sent = Vec::new();
    for request in 1..=limits::SESSION_ANSWERS_MAX as u64 {
        let [call] = asked[..] else { panic!("the call before") };
        assert_eq!(story.judged(node(1), call, Outcome::Done), 1);
        story.put(request, 1);
        story.advance();
        sent = story.asks();
        asked = vec![sent[0].0];
    }
    let (_, Ask::Apply(Command::ChangeKey { call, .. })) = &sent[0] else { panic!("{sent:?}") };
    assert_eq!(call.lowest_open, call.sequence, "all others are answered");
    story.errands.disconnected(&story.desk.around);
    story.advance();
    assert_eq!(story.asks(), sent, "or the state would take it for one that is too far ahead");
}
