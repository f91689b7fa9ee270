//! The words of the paper as types: term, index, entry, and what else a log is made of.

use super::membership::Membership;
use crate::ids::NodeId;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Raft's logical clock (§3.3): at most one leader per term. Zero means "before the first".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Term(u64);

/// A place in the log (§3.5). The first entry has index 1; zero means "before the first".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Index(u64);

macro_rules! counter {
    ($name:ident) => {
        impl $name {
            pub const ZERO: $name = $name(0);

            pub const fn new(value: u64) -> $name {
                $name(value)
            }

            pub const fn get(self) -> u64 {
                self.0
            }

            /// The one after this; the last one stays itself.
            pub const fn next(self) -> $name {
                $name(self.0.saturating_add(1))
            }

            /// The one before this; zero stays zero.
            pub const fn previous(self) -> $name {
                $name(self.0.saturating_sub(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter!(Term);
counter!(Index);
counter!(PersistSequence);

impl Term {
    /// The last one. No cluster lives to see it, unless somebody lies; after it nobody can stand for election.
    pub const MAX: Term = Term(u64::MAX / 2);
}

impl Index {
    pub(super) const fn plus(self, count: usize) -> Index {
        Index(self.0.saturating_add(count as u64))
    }

    /// How many entries lie in `(earlier, self]`.
    pub(super) const fn distance_from(self, earlier: Index) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// What identifies an entry: two logs that hold the same position hold the same entries up to it (Log Matching, §3.5).
///
/// The order (term first, then index) is the order of "more up to date" in §3.6.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    pub term: Term,
    pub index: Index,
}

impl Position {
    /// Before the first entry of every log.
    pub const ZERO: Position = Position { term: Term::ZERO, index: Index::ZERO };

    pub const fn new(term: u64, index: u64) -> Position {
        Position { term: Term::new(term), index: Index::new(index) }
    }
}

impl fmt::Display for Position {
    /// Index before term, as transcripts show it: `7@2` is index 7 of term 2.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

/// One entry of the replicated log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    pub term: Term,
    pub index: Index,
    pub payload: Payload,
}

impl Entry {
    pub const fn position(&self) -> Position {
        Position { term: self.term, index: self.index }
    }

    /// What this entry counts in every limit by bytes: its payload and a fixed share for its frame.
    pub fn size(&self) -> usize {
        ENTRY_OVERHEAD_BYTES + self.payload.size()
    }
}

/// Term, index and tags of an entry on the wire, rounded up.
const ENTRY_OVERHEAD_BYTES: usize = 24;

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Payload {
    /// A leader's first entry: with it, all entries of earlier terms commit (§3.6.2, §6.4).
    Noop,
    /// A command of the state machine. Raft never looks inside.
    Command(#[serde(deserialize_with = "crate::in_place::deserialize")] Bytes),
    /// A configuration of the cluster, in force from the moment it is in a log (§4.1).
    Membership(Arc<Membership>),
}

impl Payload {
    pub(super) fn size(&self) -> usize {
        match self {
            Payload::Noop => 0,
            Payload::Command(command) => command.len(),
            Payload::Membership(membership) => membership.size(),
        }
    }
}

/// What a member must not forget (§3.8): its term, and whom it gave its vote in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HardState {
    pub term: Term,
    pub vote: Option<NodeId>,
}

/// Numbers the batches of writes that a member hands to its driver; one more for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersistSequence(u64);

/// The caller's name for a read; it comes back with the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadToken(pub u64);
