//! What clients asked and were told, for the judge of linearizability.

use super::PASSING;
use super::chronicle::Chronicle;
use linearizability::{Answer, Condition, Operation, Request, Unproven, Violation, check_within};
use shared::state_machine::Version;
use shared::time::{Duration, Time};
use std::collections::BTreeMap;

/// Histories of one run take a few steps for each operation. One that takes many more is left without a verdict.
const STEPS_MAX: usize = 200_000;

#[derive(Default)]
pub struct History {
    operations: Vec<Operation>,
}

pub enum Judgement {
    Linearizable,
    Violation(Box<Violation>),
    Undecided,
}

impl History {
    pub fn add(&mut self, operation: Operation) {
        // A read that nobody saw the end of says nothing.
        if operation.request != Request::Get || operation.answered.is_some() {
            self.operations.push(operation);
        }
    }

    /// Values of the passing key stay for `ttl` at least, but for what clocks may be apart.
    pub fn judge(&self, chronicle: &Chronicle, ttl: Duration, apart: Duration) -> Judgement {
        let mut operations = self.operations.clone();
        operations.extend(self.expiries(chronicle, ttl.saturating_sub(apart)));
        match check_within(&operations, STEPS_MAX) {
            Ok(()) => Judgement::Linearizable,
            Err(Unproven::Violation(violation)) => Judgement::Violation(violation),
            Err(Unproven::TooHard { .. }) => Judgement::Undecided,
        }
    }

    /// A value whose time is over goes as if somebody deleted that version and did not hear of it: once, some time after its
    /// time, or never.
    fn expiries(&self, chronicle: &Chronicle, stays: Duration) -> Vec<Operation> {
        let passing = super::key(PASSING).to_string();
        let mut written: BTreeMap<u64, Time> = BTreeMap::new();
        let mut versions: BTreeMap<u64, Time> = BTreeMap::new();
        for operation in self.operations.iter().filter(|operation| operation.key == passing) {
            let called_at = Time::from_micros(operation.called_at);
            if let Request::Put(value, _) = operation.request {
                // Who asks again with the same value may find that the first attempt wrote it.
                written.entry(value).or_insert(called_at);
            }
            let seen = match operation.answered {
                Some((_, Answer::Written(version) | Answer::Conflict(Some(version)))) => version,
                Some((_, Answer::Found(Some((_, version))))) => version,
                _ => continue,
            };
            versions.entry(seen).or_insert(Time::ZERO);
        }
        for (version, from) in &mut versions {
            let value = chronicle.value_at(Version::new(*version));
            *from = value.and_then(|value| written.get(&value)).copied().unwrap_or_default();
        }
        let expiry = |(version, from): (u64, Time)| Operation {
            client: u32::MAX,
            key: passing.clone(),
            called_at: (from + stays).as_micros(),
            request: Request::Delete(Condition::Version(version)),
            answered: None,
        };
        versions.into_iter().map(expiry).collect()
    }
}
