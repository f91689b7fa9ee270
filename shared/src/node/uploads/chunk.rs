//! One chunk on its way to its holders.

use crate::ids::NodeId;
use crate::node::blocks::placement::{self, Copies, Place};
use crate::node::contract::{RequestId, Ticket};
use crate::state_machine::BlockRef;
use crate::time::{Duration, Time};
use crate::wire::peer::BlockRefusal;
use bytes::Bytes;
use std::collections::BTreeMap;

/// A holder that has not answered for so long is replaced; where there is no other, it is asked again.
const PUT_TIMEOUT: Duration = Duration::from_secs(5);

/// A holder that was busy is asked again after so long.
const BUSY_DELAY: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Chunk {
    pub block: BlockRef,
    pub bytes: Bytes,
    pub waiting: Vec<RequestId>,
    pub since: Time,
    holders: BTreeMap<NodeId, Holder>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    /// `ticket`: none for this node's own store, which answers by itself.
    Asked {
        ticket: Option<Ticket>,
        until: Time,
    },
    Durable,
    Busy {
        until: Time,
    },
    /// It did not answer. Others come first.
    Late,
    /// It is full, or cannot be trusted with it.
    Unfit {
        full: bool,
    },
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Give it to these, and tell with [`Chunk::asked`].
    Put(Vec<NodeId>),
    Wait,
    /// As many as possible have it durably, among them enough voters.
    Stored(Vec<NodeId>),
    /// Too few have room.
    Full,
}

impl Chunk {
    pub fn new(block: BlockRef, bytes: Bytes, request: RequestId, now: Time) -> Chunk {
        Chunk { block, bytes, waiting: vec![request], since: now, holders: BTreeMap::new() }
    }

    pub fn next(&self, places: &[Place], copies: Copies, now: Time) -> Next {
        let state = |place: &Place| self.holders.get(&place.node).copied();
        let able: Vec<Place> = (places.iter())
            .filter(|place| !matches!(state(place), Some(Holder::Unfit { .. })))
            .copied()
            .collect();
        let durable: Vec<Place> =
            able.iter().filter(|place| state(place) == Some(Holder::Durable)).copied().collect();
        let lacks_room = |able: &[Place]| {
            let missing = copies.voters_missing(able.iter());
            able.len() < copies.min || missing != copies.voters_missing(places.iter())
        };
        if able.len() < places.len() && lacks_room(&able) {
            return Next::Full;
        }
        let copies = Copies { wanted: copies.wanted.min(able.len()).max(copies.min).max(1), ..copies };
        if durable.len() >= copies.wanted && copies.voters_missing(durable.iter()) == [0, 0] {
            return Next::Stored(durable.into_iter().map(|place| place.node).collect());
        }
        let under_way: Vec<NodeId> = (able.iter())
            .filter(|place| matches!(state(place), Some(Holder::Durable | Holder::Asked { .. })))
            .map(|place| place.node)
            .collect();
        let free: Vec<Place> = (able.into_iter())
            .filter(|place| !matches!(state(place), Some(Holder::Busy { until }) if until > now))
            .collect();
        let prompt: Vec<Place> =
            free.iter().filter(|place| state(place) != Some(Holder::Late)).copied().collect();
        let more = match placement::choose(self.block.hash, &prompt, &under_way, copies) {
            none if none.is_empty() => placement::choose(self.block.hash, &free, &under_way, copies),
            more => more,
        };
        if more.is_empty() { Next::Wait } else { Next::Put(more) }
    }

    pub fn asked(&mut self, node: NodeId, ticket: Option<Ticket>, now: Time) {
        self.holders.insert(node, Holder::Asked { ticket, until: now + PUT_TIMEOUT });
    }

    /// Whether the answer was asked for.
    pub fn answered(
        &mut self,
        node: NodeId,
        ticket: Option<Ticket>,
        result: &Result<(), BlockRefusal>,
        now: Time,
    ) -> bool {
        let asked = self.holders.get(&node);
        if !matches!(asked, Some(Holder::Asked { ticket: open, .. }) if *open == ticket) {
            return false;
        }
        let holder = match result {
            Ok(()) => Holder::Durable,
            Err(BlockRefusal::Busy) => Holder::Busy { until: now + BUSY_DELAY },
            Err(refusal) => Holder::Unfit { full: *refusal == BlockRefusal::Full },
        };
        self.holders.insert(node, holder);
        true
    }

    /// Notes who is late, and forgets who is gone.
    pub fn expire(&mut self, is_online: impl Fn(NodeId) -> bool, now: Time) {
        let is_over = |holder: &Holder| matches!(holder, Holder::Busy { until } if *until <= now);
        self.holders.retain(|node, holder| is_online(*node) && !is_over(holder));
        for holder in self.holders.values_mut() {
            if matches!(holder, Holder::Asked { until, ticket: Some(_) } if *until <= now) {
                *holder = Holder::Late;
            }
        }
    }

    pub fn deadline(&self) -> Option<Time> {
        let until = |holder: &Holder| match holder {
            Holder::Asked { until, ticket: Some(_) } | Holder::Busy { until } => Some(*until),
            _ => None,
        };
        self.holders.values().filter_map(until).min()
    }

    /// A holder said that these are not the bytes of the hash.
    pub fn is_doubted(&self) -> bool {
        self.holders.values().any(|holder| *holder == Holder::Unfit { full: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Hash;
    use crate::node::blocks::placement::Rank;

    const THREE: Copies = Copies { min: 2, wanted: 3, on_voters: [2, 0] };

    const NOW: Time = Time::from_millis(1000);

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 10])
    }

    fn servers(n: u8) -> Vec<Place> {
        let votes = [true, false];
        (0..n).map(|n| Place { node: node(n), rank: Rank::Server, domain: n.into(), votes }).collect()
    }

    fn chunk() -> Chunk {
        let bytes = Bytes::from_static(b"text");
        let block = BlockRef { hash: Hash::of(&bytes), bytes: 4 };
        Chunk::new(block, bytes, RequestId(1), NOW)
    }

    fn ask(chunk: &mut Chunk, places: &[Place]) -> Vec<NodeId> {
        let Next::Put(nodes) = chunk.next(places, THREE, NOW) else {
            panic!("{:?}", chunk.next(places, THREE, NOW))
        };
        for node in &nodes {
            chunk.asked(*node, Some(Ticket(7)), NOW);
        }
        nodes
    }

    #[test]
    fn it_is_stored_when_all_copies_are_durable() {
        let (mut chunk, places) = (chunk(), servers(5));
        let asked = ask(&mut chunk, &places);
        assert_eq!(asked.len(), 3);
        for (n, node) in asked.iter().enumerate() {
            assert_eq!(chunk.next(&places, THREE, NOW), Next::Wait, "{n} of 3");
            assert!(chunk.answered(*node, Some(Ticket(7)), &Ok(()), NOW));
        }
        let Next::Stored(mut holders) = chunk.next(&places, THREE, NOW) else { panic!("not stored") };
        holders.sort_unstable();
        let mut asked = asked;
        asked.sort_unstable();
        assert_eq!(holders, asked);
    }

    #[test]
    fn one_that_goes_away_or_is_late_is_replaced() {
        let (mut chunk, mut places) = (chunk(), servers(5));
        let asked = ask(&mut chunk, &places);
        chunk.answered(asked[0], Some(Ticket(7)), &Ok(()), NOW);
        places.retain(|place| place.node != asked[0]);
        chunk.expire(|node| node != asked[0], NOW);
        let replacement = ask(&mut chunk, &places);
        assert_eq!(replacement.len(), 1);
        assert!(!asked.contains(&replacement[0]));

        let later = NOW + PUT_TIMEOUT;
        chunk.answered(asked[1], Some(Ticket(7)), &Ok(()), later);
        chunk.answered(replacement[0], Some(Ticket(7)), &Ok(()), later);
        chunk.expire(|_| true, later);
        let Next::Put(last) = chunk.next(&places, THREE, later) else {
            panic!("the late one is not replaced")
        };
        assert!(last.len() == 1 && !asked.contains(&last[0]) && last != replacement);
        assert!(!chunk.answered(asked[2], Some(Ticket(7)), &Ok(()), later), "too late");
    }

    #[test]
    fn those_without_room_are_left_out_until_too_few_are_left() {
        let (mut chunk, places) = (chunk(), servers(3));
        let asked = ask(&mut chunk, &places);
        chunk.answered(asked[0], Some(Ticket(7)), &Err(BlockRefusal::Full), NOW);
        assert_eq!(chunk.next(&places, THREE, NOW), Next::Wait);
        chunk.answered(asked[1], Some(Ticket(7)), &Ok(()), NOW);
        assert_eq!(chunk.next(&places, THREE, NOW), Next::Wait);
        chunk.answered(asked[2], Some(Ticket(7)), &Ok(()), NOW);
        assert!(matches!(chunk.next(&places, THREE, NOW), Next::Stored(holders) if holders.len() == 2));
        let mut chunk = super::tests::chunk();
        for node in &ask(&mut chunk, &places)[..2] {
            chunk.answered(*node, Some(Ticket(7)), &Err(BlockRefusal::Full), NOW);
        }
        assert_eq!(chunk.next(&places, THREE, NOW), Next::Full, "one alone is not enough");
    }

    #[test]
    fn a_busy_one_is_asked_again_a_little_later() {
        let (mut chunk, places) = (chunk(), servers(2));
        let asked = ask(&mut chunk, &places);
        chunk.answered(asked[0], Some(Ticket(7)), &Err(BlockRefusal::Busy), NOW);
        assert_eq!(chunk.next(&places, THREE, NOW), Next::Wait);
        assert_eq!(chunk.deadline(), Some(NOW + BUSY_DELAY));
        assert_eq!(chunk.next(&places, THREE, NOW + BUSY_DELAY), Next::Put(vec![asked[0]]));
    }

    #[test]
    fn a_late_one_is_asked_again_where_there_is_no_other() {
        let (mut chunk, places) = (chunk(), servers(3));
        let asked = ask(&mut chunk, &places);
        chunk.expire(|_| true, NOW + PUT_TIMEOUT);
        let Next::Put(mut again) = chunk.next(&places, THREE, NOW + PUT_TIMEOUT) else { panic!("given up") };
        again.sort_unstable();
        let mut asked = asked;
        asked.sort_unstable();
        assert_eq!(again, asked);
    }

    #[test]
    fn one_that_is_cut_off_from_the_others_waits_for_them() {
        assert_eq!(chunk().next(&[], THREE, NOW), Next::Wait);
        let (mut chunk, places) = (chunk(), servers(3));
        let alone = ask(&mut chunk, &places[..1]);
        chunk.answered(alone[0], Some(Ticket(7)), &Ok(()), NOW);
        assert_eq!(chunk.next(&places[..1], THREE, NOW), Next::Wait);
        assert!(matches!(chunk.next(&places, THREE, NOW), Next::Put(more) if more.len() == 2));
    }

    #[test]
    fn copies_on_learners_alone_are_not_enough() {
        let mut places = servers(6);
        for place in &mut places[..3] {
            (place.rank, place.votes) = (Rank::Tab, [true, false]);
        }
        for place in &mut places[3..] {
            place.votes = [false, false];
        }
        let is_voter = |node: &NodeId| places[..3].iter().any(|place| place.node == *node);
        let mut chunk = chunk();
        let asked = ask(&mut chunk, &places);
        let (voters, learners): (Vec<NodeId>, Vec<NodeId>) = asked.into_iter().partition(is_voter);
        assert_eq!(
            (voters.len(), learners.len()),
            (2, 1),
            "better members that do not vote come after those who do"
        );
        chunk.answered(learners[0], Some(Ticket(7)), &Ok(()), NOW);
        chunk.answered(voters[0], Some(Ticket(7)), &Ok(()), NOW);

        // The other voters go away. Learners make up the number, but not the promise.
        let online: Vec<Place> = places
            .iter()
            .filter(|place| !is_voter(&place.node) || place.node == voters[0])
            .copied()
            .collect();
        chunk.expire(|node| online.iter().any(|place| place.node == node), NOW);
        for learner in ask(&mut chunk, &online) {
            chunk.answered(learner, Some(Ticket(7)), &Ok(()), NOW);
        }
        assert_eq!(chunk.next(&online, THREE, NOW), Next::Wait, "three copies, one of them on a voter");
        let last = ask(&mut chunk, &places);
        assert!(last.len() == 1 && is_voter(&last[0]), "the voter that comes back gets it");
        chunk.answered(last[0], Some(Ticket(7)), &Ok(()), NOW);
        assert!(matches!(chunk.next(&places, THREE, NOW), Next::Stored(holders) if holders.len() == 4));
    }
}
