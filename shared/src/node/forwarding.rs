//! Between a leader and those who ask it: what one input leads to goes to each member as one batch.

use super::context::Context;
use super::contract::Ticket;
use super::ledger::Asker;
use crate::ids::NodeId;
use crate::limits;
use crate::wire;
use crate::wire::peer::{Ask, PeerMessage, Proposal, Verdict};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Forwarding {
    asks: Batches<Ask>,
    verdicts: Batches<Verdict>,
}

impl Forwarding {
    pub fn ask(&mut self, leader: NodeId, ticket: Ticket, ask: Ask) {
        self.asks.add(leader, ticket, ask);
    }

    pub fn answer(&mut self, asker: Asker, verdict: Verdict) {
        self.verdicts.add(asker.node, asker.ticket, verdict);
    }

    pub fn send(self, context: &mut Context<'_>) {
        let asks = self.asks.into_messages().map(|(to, batch)| (to, Proposal::Ask(batch)));
        let verdicts = self.verdicts.into_messages().map(|(to, batch)| (to, Proposal::Answer(batch)));
        for (to, proposal) in asks.chain(verdicts) {
            context.control(to, &PeerMessage::Proposal(proposal));
        }
    }
}

/// For each member, in order; each batch is a message.
#[derive(Debug)]
struct Batches<T>(BTreeMap<NodeId, Vec<Batch<T>>>);

#[derive(Debug)]
struct Batch<T> {
    lines: Vec<(Ticket, T)>,
    bytes: usize,
}

impl<T> Default for Batches<T> {
    fn default() -> Batches<T> {
        Batches(BTreeMap::new())
    }
}

impl<T: Serialize> Batches<T> {
    fn add(&mut self, to: NodeId, ticket: Ticket, what: T) {
        let line = (ticket, what);
        let bytes = wire::encoded_bytes(&line);
        let batches = self.0.entry(to).or_default();
        let has_room = |batch: &&mut Batch<T>| {
            batch.lines.len() < limits::FORWARD_BATCH_MAX
                && batch.bytes + bytes <= limits::FORWARD_BATCH_BYTES
        };
        match batches.last_mut().filter(has_room) {
            Some(batch) => {
                batch.bytes += bytes;
                batch.lines.push(line);
            }
            None => batches.push(Batch { bytes, lines: vec![line] }),
        }
    }

    fn into_messages(self) -> impl Iterator<Item = (NodeId, Vec<(Ticket, T)>)> {
        self.0.into_iter().flat_map(|(to, batches)| batches.into_iter().map(move |batch| (to, batch.lines)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::testing::desk::{Desk, node};
    use crate::raft::Index;
    use crate::state_machine::{Call, Command, KeyChange, Outcome, Sequence, SessionId};
    use bytes::Bytes;

    fn put(bytes: usize) -> Ask {
        let change = KeyChange::put("k".parse().unwrap(), vec![b'v'; bytes].into());
        let first = Sequence::new(1);
        let call = Call { session: SessionId::default(), sequence: first, lowest_open: first };
        Ask::Apply(Command::ChangeKey { call, change })
    }

    /// To whom, and how many lines.
    fn sent(forwarding: Forwarding) -> Vec<(NodeId, usize)> {
        let mut desk = Desk::leader_of(3);
        forwarding.send(&mut desk.around.lend(&mut desk.ready));
        let sent = desk.sent().into_iter().map(|(to, message, _)| match message {
            PeerMessage::Proposal(Proposal::Ask(lines)) => (to, lines.len()),
            PeerMessage::Proposal(Proposal::Answer(lines)) => (to, lines.len()),
            other => panic!("{other:?}"),
        });
        sent.collect()
    }

    #[test]
    fn each_member_gets_one_message_of_a_kind() {
        let mut forwarding = Forwarding::default();
        for ticket in 0..100 {
            forwarding.ask(node(1), Ticket(ticket), put(10));
            let asker = Asker { node: node(1 + ticket as u8 % 2), ticket: Ticket(ticket) };
            forwarding.answer(asker, Verdict::Applied { index: Index::ZERO, outcome: Outcome::Done });
        }
        assert_eq!(sent(forwarding), [(node(1), 100), (node(1), 50), (node(2), 50)]);
        assert_eq!(sent(Forwarding::default()), []);
    }

    #[test]
    fn a_batch_has_a_largest_number_of_lines_that_holds_for_its_reader_too() {
        let mut forwarding = Forwarding::default();
        for ticket in 0..=limits::FORWARD_BATCH_MAX as u64 {
            forwarding.ask(node(1), Ticket(ticket), Ask::ReadIndex);
        }
        assert_eq!(sent(forwarding), [(node(1), limits::FORWARD_BATCH_MAX), (node(1), 1)]);

        let of = |lines| {
            let asks = vec![(Ticket(0), Ask::ReadIndex); lines];
            PeerMessage::from_frame(&PeerMessage::Proposal(Proposal::Ask(asks)).to_frame(Bytes::new()))
        };
        assert!(of(limits::FORWARD_BATCH_MAX).is_ok());
        assert!(of(limits::FORWARD_BATCH_MAX + 1).is_err());
    }

    #[test]
    fn a_batch_is_bounded_and_what_is_larger_goes_alone() {
        let mut forwarding = Forwarding::default();
        for (ticket, bytes) in [10, limits::FORWARD_BATCH_BYTES, 10, limits::FORWARD_BATCH_BYTES - 200, 10]
            .into_iter()
            .enumerate()
        {
            forwarding.ask(node(1), Ticket(ticket as u64), put(bytes));
        }
        assert_eq!(sent(forwarding), [(node(1), 1), (node(1), 1), (node(1), 3)]);
    }
}
