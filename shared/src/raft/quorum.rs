//! Majorities: what a set of voters has reached, and what its votes decide. Pure functions.

use crate::ids::NodeId;
use std::collections::BTreeSet;

/// What the votes given so far decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    Won,
    Lost,
    Open,
}

impl Tally {
    /// Both halves of a joint configuration must be won (§4.3).
    pub fn and(self, other: Tally) -> Tally {
        match (self, other) {
            (Tally::Lost, _) | (_, Tally::Lost) => Tally::Lost,
            (Tally::Won, Tally::Won) => Tally::Won,
            _ => Tally::Open,
        }
    }
}

/// How many of `voters` are a majority.
pub fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// Sets up to this size are sorted on the stack.
const ON_STACK_MAX: usize = 9;

/// The highest value that a majority of `voters` has reached. None for an empty set, which decides nothing.
pub fn reached<T: Ord + Copy>(voters: &BTreeSet<NodeId>, value_of: impl Fn(NodeId) -> T) -> Option<T> {
    let first = value_of(*voters.first()?);
    if voters.len() <= ON_STACK_MAX {
        let mut values = [first; ON_STACK_MAX];
        for (slot, voter) in values.iter_mut().zip(voters) {
            *slot = value_of(*voter);
        }
        return Some(nth_highest(&mut values[..voters.len()]));
    }
    let mut values: Vec<T> = voters.iter().map(|voter| value_of(*voter)).collect();
    Some(nth_highest(&mut values))
}

/// The value at the place of a majority, counted from the highest.
fn nth_highest<T: Ord + Copy>(values: &mut [T]) -> T {
    values.sort_unstable();
    values[values.len() - majority(values.len())]
}

/// What the votes decide; `None` is a voter that has not answered. An empty set is never won.
pub fn tally(voters: &BTreeSet<NodeId>, vote_of: impl Fn(NodeId) -> Option<bool>) -> Tally {
    let granted = voters.iter().filter(|voter| vote_of(**voter) == Some(true)).count();
    let refused = voters.iter().filter(|voter| vote_of(**voter) == Some(false)).count();
    let needed = majority(voters.len());
    if granted >= needed {
        Tally::Won
    } else if voters.len() - refused < needed {
        Tally::Lost
    } else {
        Tally::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn voter(number: u8) -> NodeId {
        NodeId::from_bytes([number; 10])
    }

    /// Straight from the definition: the highest value that more than half of the voters are at or above.
    fn reached_by_counting(values: &[u64]) -> Option<u64> {
        let majority_is_at =
            |value: &&u64| values.iter().filter(|other| other >= value).count() * 2 > values.len();
        values.iter().filter(majority_is_at).max().copied()
    }

    proptest! {
        #[test]
        fn the_sort_finds_what_counting_finds(values in proptest::collection::vec(0u64..8, 0..20)) {
            let voters: BTreeSet<NodeId> = (0..values.len() as u8).map(voter).collect();
            let found = reached(&voters, |id| values[usize::from(id.as_bytes()[0])]);
            prop_assert_eq!(found, reached_by_counting(&values));
        }

        #[test]
        fn a_vote_is_won_by_more_than_half_and_lost_when_that_is_out_of_reach(
            votes in proptest::collection::vec(proptest::option::of(any::<bool>()), 0..12),
        ) {
            let voters: BTreeSet<NodeId> = (0..votes.len() as u8).map(voter).collect();
            let granted = votes.iter().filter(|vote| **vote == Some(true)).count();
            let open = votes.iter().filter(|vote| vote.is_none()).count();
            let expected = if granted * 2 > votes.len() {
                Tally::Won
            } else if (granted + open) * 2 > votes.len() {
                Tally::Open
            } else {
                Tally::Lost
            };
            prop_assert_eq!(tally(&voters, |id| votes[usize::from(id.as_bytes()[0])]), expected);
        }
    }

    #[test]
    fn nobody_decides_nothing() {
        let nobody = BTreeSet::new();
        assert_eq!(reached(&nobody, |_| 7), None);
        assert_eq!(tally(&nobody, |_| Some(true)), Tally::Lost);
    }
}
