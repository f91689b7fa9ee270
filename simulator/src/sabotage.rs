//! Rules that can be broken on purpose. A simulator that does not notice proves nothing.

use crate::checker::Violation;
use shared::node::NodeConfig;
use shared::raft::Mutation;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sabotage {
    pub name: &'static str,
    rule: Rule,
    /// So many seeds in a row are enough to notice.
    pub seeds_max: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    /// Of the consensus core.
    Raft(Mutation),
    /// Tasks of a worker that is gone are given to others.
    Reassignment,
}

const ALL: &[Sabotage] = &[
    raft("vote-not-persisted", Mutation::VoteNotPersisted, 100),
    raft("append-not-persisted", Mutation::AppendNotPersisted, 100),
    raft("leader-counts-unwritten", Mutation::LeaderCountsUnwritten, 200),
    raft("commit-prior-term", Mutation::CommitPriorTerm, 200),
    raft("vote-for-any-log", Mutation::VoteForAnyLog, 100),
    raft("half-is-majority", Mutation::HalfIsMajority, 500),
    raft("keep-conflicting-tail", Mutation::KeepConflictingTail, 100),
    Sabotage { name: "no-reassignment", rule: Rule::Reassignment, seeds_max: 200 },
];

const fn raft(name: &'static str, mutation: Mutation, seeds_max: u64) -> Sabotage {
    Sabotage { name, rule: Rule::Raft(mutation), seeds_max }
}

impl Sabotage {
    pub fn all() -> &'static [Sabotage] {
        ALL
    }

    pub fn named(name: &str) -> Option<Sabotage> {
        ALL.iter().find(|known| known.name == name).copied()
    }

    pub fn apply(self, config: &mut NodeConfig) {
        match self.rule {
            Rule::Raft(mutation) => config.raft.mutation = Some(mutation),
            Rule::Reassignment => config.mutation = Some(shared::node::Mutation::NoReassignment),
        }
    }

    /// Whether a violation is what comes of the broken rule. Consensus without one of its rules is unsafe: that a cluster
    /// came to a stop would not show it. A task that nobody counts stops its job, and does no other harm.
    pub fn shows_in(self, violation: &Violation) -> bool {
        let stopped = matches!(violation, Violation::NoRecovery(_));
        match self.rule {
            Rule::Raft(_) => !stopped,
            Rule::Reassignment => stopped,
        }
    }
}

impl fmt::Display for Sabotage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
