//! Which members keep a block: rendezvous hashing, so that everybody who knows the members comes to the same answer
//! and one that comes or goes moves few blocks.

use crate::ids::{Hash, NodeId};
use crate::node::context::Context;
use crate::wire::session::{Kind, Profile};
use std::collections::BTreeSet;

/// A member that is connected and may keep blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::node) struct Place {
    pub node: NodeId,
    pub rank: Rank,
    /// Members of one failure domain die together.
    pub domain: u64,
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
    pub fn of(node: NodeId, profile: &Profile) -> Place {
        let rank = match profile {
            Profile { kind: Kind::Server, .. } => Rank::Server,
            Profile { hidden: false, .. } => Rank::Tab,
            Profile { hidden: true, .. } => Rank::HiddenTab,
        };
        Place { node, rank, domain: profile.domain }
    }
}

/// How many copies a block needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::node) struct Copies {
    /// Fewer do not survive the loss of a minority. A node that is cut off must not think itself enough.
    pub min: usize,
    /// As many as there should be, if there are members for them.
    pub wanted: usize,
}

pub(in crate::node) fn copies(context: &Context<'_>) -> Copies {
    let wanted = context.config.copies.max(1);
    let majority = context.membership.voters.len() / 2 + 1;
    // The loss of a learner costs no majority, so it must not cost the only copy either.
    let min = if context.membership.is_voter(context.me) { majority } else { majority.max(2) };
    Copies { min: wanted.min(min), wanted }
}

/// All members that are online, in the order of their ids.
pub(in crate::node) fn places(context: &Context<'_>) -> Vec<Place> {
    let me = (context.me, context.profile);
    let mut places: Vec<Place> = (context.peers.iter())
        .map(|(node, profile)| (*node, profile))
        .chain([me])
        .filter(|(node, _)| context.membership.contains(*node))
        .map(|(node, profile)| Place::of(node, profile))
        .collect();
    places.sort_unstable_by_key(|place| place.node);
    places
}

/// The members to give a block to, besides `holding` which have it, so that there are `copies`: in other failure
/// domains first, servers before tabs.
pub(in crate::node) fn choose(
    hash: Hash,
    places: &[Place],
    holding: &[NodeId],
    copies: usize,
) -> Vec<NodeId> {
    let mut domains: BTreeSet<u64> =
        places.iter().filter(|place| holding.contains(&place.node)).map(|place| place.domain).collect();
    let mut left: Vec<Place> = ranked(hash, places);
    left.retain(|place| !holding.contains(&place.node));
    let mut chosen = Vec::new();
    while holding.len() + chosen.len() < copies && !left.is_empty() {
        // Another domain is worth a tab instead of a server, but not a tab that may be frozen.
        let apart = |place: &Place| place.rank < Rank::HiddenTab && !domains.contains(&place.domain);
        let place = left.remove(left.iter().position(apart).unwrap_or(0));
        domains.insert(place.domain);
        chosen.push(place.node);
    }
    chosen
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

    fn place(n: u8, rank: Rank, domain: u64) -> Place {
        Place { node: node(n), rank, domain }
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
                assert_eq!(ranks(&choose(block(n), places, &[], 3), places), expected);
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
            let more = choose(block(n), &places, &[node(1), node(3)], 3);
            assert_eq!(more, [node(4)], "the only other domain");
            assert_eq!(choose(block(n), &places, &[node(1), node(3), node(4)], 3), []);
        }
    }

    #[test]
    fn blocks_spread_evenly_and_few_move_when_a_member_goes() {
        let places: Vec<Place> = (0..10).map(|n| place(n, Rank::Server, n.into())).collect();
        let fewer: Vec<Place> = places[1..].to_vec();
        let mut load = BTreeMap::new();
        let mut moved = 0;
        for n in 0..1000 {
            let before = choose(block(n), &places, &[], 3);
            let after = choose(block(n), &fewer, &[], 3);
            moved += after.iter().filter(|id| !before.contains(id)).count();
            for id in before {
                *load.entry(id).or_insert(0) += 1;
            }
        }
        assert!(load.values().all(|blocks| (230..370).contains(blocks)), "{load:?}");
        assert_eq!(moved, load[&node(0)], "only what the lost one held");
    }
}
