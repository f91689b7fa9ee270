//! Rules that can be broken on purpose. A simulator that does not notice proves nothing.

use shared::node::NodeConfig;
use shared::raft::Mutation;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sabotage {
    /// Of the consensus core.
    Raft(Mutation),
    /// Tasks of a worker that is gone are not given to others.
    NoReassignment,
}

const NAMED: &[(&str, Sabotage)] = &[
    ("vote-not-persisted", Sabotage::Raft(Mutation::VoteNotPersisted)),
    ("append-not-persisted", Sabotage::Raft(Mutation::AppendNotPersisted)),
    ("leader-counts-unwritten", Sabotage::Raft(Mutation::LeaderCountsUnwritten)),
    ("commit-prior-term", Sabotage::Raft(Mutation::CommitPriorTerm)),
    ("vote-for-any-log", Sabotage::Raft(Mutation::VoteForAnyLog)),
    ("half-is-majority", Sabotage::Raft(Mutation::HalfIsMajority)),
    ("keep-conflicting-tail", Sabotage::Raft(Mutation::KeepConflictingTail)),
    ("no-reassignment", Sabotage::NoReassignment),
];

impl Sabotage {
    pub fn named(name: &str) -> Option<Sabotage> {
        NAMED.iter().find(|(known, _)| *known == name).map(|(_, sabotage)| *sabotage)
    }

    pub fn names() -> Vec<&'static str> {
        NAMED.iter().map(|(name, _)| *name).collect()
    }

    pub fn apply(self, config: &mut NodeConfig) {
        match self {
            Sabotage::Raft(mutation) => config.raft.mutation = Some(mutation),
            Sabotage::NoReassignment => config.mutation = Some(shared::node::Mutation::NoReassignment),
        }
    }
}

impl fmt::Display for Sabotage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMED.iter().find(|(_, sabotage)| sabotage == self).map_or("unnamed", |(name, _)| name);
        f.write_str(name)
    }
}
