//! Which members keep a block: rendezvous hashing, so that everybody who knows the members comes to the same answer
//! and one that comes or goes moves few blocks.

use crate::ids::{Hash, NodeId};
use crate::node::context::Context;
use crate::raft::Membership;
use crate::wire::session::{Kind, Profile};
use std::collections::BTreeSet;

/// A member that is connected and may keep blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::node) struct Place {
    pub node: NodeId,
    pub rank: Rank,
    /// Members of one failure domain die together.
    pub domain: u64,
    /// Whether it votes in the configuration, and in the one that is on its way out while voters change.
    pub votes: [bool; 2],
}

/// The better, the smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::node) enum Rank {
    Server,
    Tab,
    /// May be frozen at any moment.
    HiddenTab,
}

impl Place {
    pub fn of(node: NodeId, profile: &Profile, membership: &Membership) -> Place {
        let rank = match profile {
            Profile { kind: Kind::Server, .. } => Rank::Server,
            Profile { hidden: false, .. } => Rank::Tab,
            Profile { hidden: true, .. } => Rank::HiddenTab,
        };
        let votes = [&membership.voters, &membership.outgoing].map(|half| half.contains(&node));
        Place { node, rank, domain: profile.domain, votes }
    }
}

/// How many copies a block needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::node) struct Copies {
    /// Fewer do not survive the loss of a minority. A node that is cut off must not think itself enough.
    pub min: usize,
    /// As many as there should be, if there are members for them.
    pub wanted: usize,
    /// How many of them have to be on voters, in each half of the configuration: so many that every majority has one.
    /// Learners may all be gone while the cluster goes on.
    pub on_voters: [usize; 2],
}

impl Copies {
    /// How many voters of each half are still to get a copy when these have one.
    pub fn voters_missing<'a>(&self, holding: impl Iterator<Item = &'a Place>) -> [usize; 2] {
        let mut missing = self.on_voters;
        holding.for_each(|place| place.count_in(&mut missing));
        missing
    }
}

impl Place {
    fn is_in(&self, missing: [usize; 2]) -> bool {
        missing.iter().zip(self.votes).any(|(missing, votes)| *missing > 0 && votes)
    }

    fn count_in(&self, missing: &mut [usize; 2]) {
        for (missing, votes) in missing.iter_mut().zip(self.votes) {
            *missing = missing.saturating_sub(votes.into());
        }
    }
}

pub(in crate::node) fn copies(context: &Context<'_>) -> Copies {
    let Membership { voters, outgoing, .. } = context.membership;
    let wanted = context.config.copies.max(1);
    let majority = voters.len() / 2 + 1;
    // One more than there can be outside of a majority.
    let on_voters = [voters, outgoing].map(|half| half.len().div_ceil(2));
    // The loss of a learner costs no majority, so it must not cost the only copy either.
    let min = if context.membership.is_voter(context.me) { majority } else { majority.max(2) };
    Copies { min: wanted.min(min), wanted: on_voters.into_iter().fold(wanted, usize::max), on_voters }
}

/// All members that are online, in the order of their ids.
pub(in crate::node) fn places(context: &Context<'_>) -> Vec<Place> {
    let me = (context.me, context.profile);
    let mut places: Vec<Place> = (context.peers.iter())
        .map(|(node, profile)| (*node, profile))
        .chain([me])
        .filter(|(node, _)| context.membership.contains(*node))
        .map(|(node, profile)| Place::of(node, profile, context.membership))
        .collect();
    places.sort_unstable_by_key(|place| place.node);
    places
}

/// Whether `holding` are enough, or all that there can be at the moment.
pub(in crate::node) fn is_enough(places: &[Place], holding: &[NodeId], copies: Copies) -> bool {
    let holds = |place: &&Place| holding.contains(&place.node);
    let missing = copies.voters_missing(places.iter().filter(holds));
    let can_have_more = |place: &Place| place.is_in(missing) && !holds(&place);
    holding.len() >= copies.wanted.min(places.len()) && !places.iter().any(can_have_more)
}

/// The members to give a block to, besides `holding` which have it, so that there are `copies`: as many voters as it
/// takes, then anybody; in other failure domains first, servers before tabs.
pub(in crate::node) fn choose(
    hash: Hash,
    places: &[Place],
    holding: &[NodeId],
    copies: Copies,
) -> Vec<NodeId> {
    let held = places.iter().filter(|place| holding.contains(&place.node));
    let mut missing = copies.voters_missing(held.clone());
    let mut domains: BTreeSet<u64> = held.map(|place| place.domain).collect();
    let mut left: Vec<Place> = ranked(hash, places);
    left.retain(|place| !holding.contains(&place.node));
    let mut chosen = Vec::new();
    loop {
        let lacks_voters = left.iter().any(|place| place.is_in(missing));
        if !lacks_voters && holding.len() + chosen.len() >= copies.wanted {
            return chosen;
        }
        let fits = |place: &Place| !lacks_voters || place.is_in(missing);
        // Another domain is worth a tab instead of a server, but not a tab that may be frozen.
        let apart = |place: &Place| place.rank < Rank::HiddenTab && !domains.contains(&place.domain);
        let best = left.iter().position(|place| fits(place) && apart(place));
        let Some(at) = best.or_else(|| left.iter().position(fits)) else { return chosen };
        let place = left.remove(at);
        place.count_in(&mut missing);
        domains.insert(place.domain);
        chosen.push(place.node);
    }
}

/// All places in the order in which this block goes to them.
pub(in crate::node) fn ranked(hash: Hash, places: &[Place]) -> Vec<Place> {
    let mut ranked = places.to_vec();
    ranked.sort_by_cached_key(|place| (place.rank, weight(hash, place.node), place.node));
    ranked
}

/// How a node stands to a hash: as good as random, and the same for everybody.
pub(in crate::node) fn weight(hash: Hash, node: NodeId) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(hash.as_bytes());
    hasher.update(node.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 10])
    }

    fn block(n: u32) -> Hash {
        Hash::of(&n.to_le_bytes())
    }

    const THREE: Copies = Copies { min: 2, wanted: 3, on_voters: [2, 0] };

    fn place(n: u8, rank: Rank, domain: u64) -> Place {
        Place { node: node(n), rank, domain, votes: [true, false] }
    }

    fn learner(n: u8, rank: Rank, domain: u64) -> Place {
        Place { votes: [false, false], ..place(n, rank, domain) }
    }

    fn ranks(chosen: &[NodeId], places: &[Place]) -> Vec<Rank> {
        chosen.iter().map(|id| places.iter().find(|place| place.node == *id).unwrap().rank).collect()
    }

    #[test]
    fn servers_come_before_tabs_and_other_domains_before_the_same() {
        use Rank::*;
        let apart = [
            place(1, Tab, 1),
            place(2, Server, 2),
            place(3, HiddenTab, 3),
            place(4, Server, 4),
            place(5, Server, 5),
        ];
        let one_machine = [
            place(1, Server, 9),
            place(2, Server, 9),
            place(3, Server, 9),
            place(4, Tab, 1),
            place(5, Tab, 1),
        ];
        let hidden = [place(1, Server, 9), place(2, Server, 9), place(3, HiddenTab, 1)];
        let tabs = [place(1, HiddenTab, 1), place(2, Tab, 1), place(3, Tab, 1)];
        for n in 0..50 {
            let check = |places: &[Place], expected: &[Rank]| {
                assert_eq!(ranks(&choose(block(n), places, &[], THREE), places), expected);
            };
            check(&apart, &[Server, Server, Server]);
            check(&one_machine, &[Server, Tab, Server]);
            check(&hidden, &[Server, Server, HiddenTab]);
            check(&tabs, &[Tab, Tab, HiddenTab]);
            check(&tabs[..1], &[HiddenTab]);
            check(&[], &[]);
        }
    }

    #[test]
    fn what_is_held_already_counts() {
        use Rank::*;
        let places = [place(1, Server, 1), place(2, Server, 1), place(3, Tab, 2), place(4, Tab, 3)];
        for n in 0..50 {
            let more = choose(block(n), &places, &[node(1), node(3)], THREE);
            assert_eq!(more, [node(4)], "the only other domain");
            assert_eq!(choose(block(n), &places, &[node(1), node(3), node(4)], THREE), []);
        }
    }

    #[test]
    fn learners_do_not_take_the_place_of_voters() {
        use Rank::*;
        let places = [
            learner(1, Server, 1),
            learner(2, Server, 2),
            learner(3, Server, 3),
            place(4, Tab, 4),
            place(5, HiddenTab, 5),
            place(6, Tab, 4),
        ];
        let learners = [node(1), node(2), node(3)];
        for n in 0..50 {
            let chosen = choose(block(n), &places, &[], THREE);
            assert_eq!(ranks(&chosen, &places), [Tab, Tab, Server], "two voters of three, then the best");
            let more = choose(block(n), &places, &learners, THREE);
            assert_eq!(ranks(&more, &places), [Tab, Tab], "though there are three copies already");
        }
        let holding = |nodes: &[u8]| nodes.iter().copied().map(node).collect::<Vec<_>>();
        for (nodes, expected) in [
            (&[1, 2, 3][..], false),
            (&[1, 2, 3, 4], false),
            (&[3, 4, 5], true),
            (&[4, 5], false),
            (&[4, 5, 6], true),
        ] {
            assert_eq!(is_enough(&places, &holding(nodes), THREE), expected, "{nodes:?}");
        }
        assert!(is_enough(&places[..4], &holding(&[1, 2, 4]), THREE), "no other voter is there");
    }

    #[test]
    fn while_voters_change_both_halves_get_their_copies() {
        let halves = |n: u8, votes| Place { votes, ..place(n, Rank::Server, n.into()) };
        let both = [true, true];
        let old = [false, true];
        let new = [true, false];
        let places = [halves(1, both), halves(2, old), halves(3, old), halves(4, new), halves(5, new)];
        let copies = Copies { min: 2, wanted: 3, on_voters: [2, 2] };
        for n in 0..50 {
            let chosen = choose(block(n), &places, &[], copies);
            let held = places.iter().filter(|place| chosen.contains(&place.node));
            assert_eq!(copies.voters_missing(held), [0, 0], "{chosen:?}");
        }
    }

    #[test]
    fn blocks_spread_evenly_and_few_move_when_a_member_goes() {
        let places: Vec<Place> = (0..10).map(|n| place(n, Rank::Server, n.into())).collect();
        let fewer: Vec<Place> = places[1..].to_vec();
        let mut load = BTreeMap::new();
        let mut moved = 0;
        for n in 0..1000 {
            let before = choose(block(n), &places, &[], THREE);
            let after = choose(block(n), &fewer, &[], THREE);
            moved += after.iter().filter(|id| !before.contains(id)).count();
            for id in before {
                *load.entry(id).or_insert(0) += 1;
            }
        }
        assert!(load.values().all(|blocks| (230..370).contains(blocks)), "{load:?}");
        assert_eq!(moved, load[&node(0)], "only what the lost one held");
    }
}
