//! Rules that can be broken on purpose. A simulator that does not notice proves nothing.

use crate::checker::Violation;
use shared::node::{self, NodeConfig};
use shared::raft::Mutation;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sabotage {
    pub name: &'static str,
    rule: Rule,
    /// So many seeds in a row are enough to notice.
    pub seeds_max: u64,
}

/// What comes of a broken rule.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    /// Consensus without one of its rules is unsafe. That a cluster came to a stop would not show it.
    Safety(Mutation),
    /// Logs and states stay the same everywhere: only what clients of the keys are told shows it.
    Reads(Mutation),
    Keys(node::Mutation),
    /// A task that nobody counts stops its job, and does no other harm.
    Reassignment,
}

const ALL: &[Sabotage] = &[
    safety("vote-not-persisted", Mutation::VoteNotPersisted, 100),
    safety("append-not-persisted", Mutation::AppendNotPersisted, 100),
    safety("leader-counts-unwritten", Mutation::LeaderCountsUnwritten, 200),
    safety("commit-prior-term", Mutation::CommitPriorTerm, 200),
    safety("vote-for-any-log", Mutation::VoteForAnyLog, 100),
    safety("half-is-majority", Mutation::HalfIsMajority, 3000),
    safety("keep-conflicting-tail", Mutation::KeepConflictingTail, 100),
    broken("read-without-round", Rule::Reads(Mutation::ReadWithoutRound), 200),
    broken("read-before-own-commit", Rule::Reads(Mutation::ReadBeforeOwnCommit), 200),
    broken("retry-applied-twice", Rule::Keys(node::Mutation::RetryIsAnotherCall), 100),
    broken("own-clock-expires-keys", Rule::Keys(node::Mutation::OwnClockExpiresKeys), 1000),
    broken("no-reassignment", Rule::Reassignment, 200),
];

const fn safety(name: &'static str, mutation: Mutation, seeds_max: u64) -> Sabotage {
    broken(name, Rule::Safety(mutation), seeds_max)
}

const fn broken(name: &'static str, rule: Rule, seeds_max: u64) -> Sabotage {
    Sabotage { name, rule, seeds_max }
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
            Rule::Safety(mutation) | Rule::Reads(mutation) => config.raft.mutation = Some(mutation),
            Rule::Keys(mutation) => config.mutation = Some(mutation),
            Rule::Reassignment => config.mutation = Some(node::Mutation::NoReassignment),
        }
    }

    /// Whether a violation is what comes of the broken rule.
    pub fn shows_in(self, violation: &Violation) -> bool {
        match self.rule {
            Rule::Safety(_) => !matches!(violation, Violation::NoRecovery(_)),
            Rule::Reads(_) | Rule::Keys(_) => {
                matches!(violation, Violation::Keys(_) | Violation::NotLinearizable(_))
            }
            Rule::Reassignment => matches!(violation, Violation::NoRecovery(_)),
        }
    }
}

impl fmt::Display for Sabotage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
