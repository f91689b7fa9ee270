//! Judges a history of operations on key-value pairs: is there one order in which they could have happened, one after
//! the other, each at some moment between its call and its answer, so that every answer is explained?
//!
//! The search is that of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993) with the memory of Lowe
//! ("Testing for linearizability", 2017): what was tried once, the same operations done with the same outcome, is not
//! tried again. Keys are judged one by one, which is enough, because an operation concerns one key (Herlihy and Wing:
//! a history is linearizable if it is so for each object).
//!
//! An operation without an answer may have happened at any moment after its call, once, or never. One that is known to
//! have had no effect does not belong into a history. Reads without an answer say nothing.

mod key;
mod search;
mod violation;

pub use key::{Answer, Condition, Request, State};
pub use violation::Violation;

use std::collections::BTreeMap;

/// A point on the one clock by which a history is recorded; any unit.
pub type Moment = u64;

/// What one client asked for and was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    pub client: u32,
    pub key: String,
    pub called_at: Moment,
    pub request: Request,
    /// None if it is not known what came of it.
    pub answered: Option<(Moment, Answer)>,
}

/// Why a history is not known to be linearizable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// No order explains it.
    Violation(Box<Violation>),
    /// The search was given up for this key after so many steps.
    TooHard { key: String, steps: usize },
}

impl std::fmt::Display for Unproven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unproven::Violation(violation) => violation.fmt(f),
            Unproven::TooHard { key, steps } => write!(f, "key {key:?}: no verdict after {steps} steps"),
        }
    }
}

impl std::error::Error for Unproven {}

/// Steps of the search for one key. Histories of real runs take little more than one for each operation.
pub const STEPS_MAX: usize = 20_000_000;

/// Judges every key by itself; all keys begin without a value.
pub fn check(history: &[Operation]) -> Result<(), Unproven> {
    check_within(history, STEPS_MAX)
}

/// The same, for whoever would rather have no verdict than wait: the search for each key takes `steps_max` steps at most.
pub fn check_within(history: &[Operation], steps_max: usize) -> Result<(), Unproven> {
    let mut keys: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in history {
        keys.entry(&operation.key).or_default().push(operation);
    }
    keys.into_iter().try_for_each(|(key, operations)| violation::judge(key, &operations, steps_max))
}
