//! A version names one change for ever, and every put writes a value that no other writes: so whatever anybody is
//! told, by whichever member, has to agree both ways. A change that is applied twice shows as a value with two versions.

use shared::state_machine::{KeyEvent, KeyHappened, State, Version};
use std::collections::BTreeMap;

use super::{KEYS, key};

#[derive(Default)]
pub struct Chronicle {
    changes: BTreeMap<Version, Change>,
    /// The version under which each value was seen.
    versions: BTreeMap<u64, Version>,
    /// The key that each value was written to.
    called: BTreeMap<u64, usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Change {
    key: usize,
    /// None: the key went.
    value: Option<u64>,
}

impl Chronicle {
    /// Somebody is about to write this.
    pub fn call(&mut self, value: u64, key: usize) {
        self.called.insert(value, key);
    }

    pub fn value_at(&self, version: Version) -> Option<u64> {
        self.changes.get(&version)?.value
    }

    /// Somebody was told that `version` wrote `value` to `key`, or removed what was there.
    pub fn told(&mut self, version: Version, key: usize, value: Option<u64>) -> Result<(), String> {
        let change = Change { key, value };
        let known = *self.changes.entry(version).or_insert(change);
        if known != change {
            return Err(format!("version {version} is told to be {known:?} and {change:?}"));
        }
        let Some(value) = value else { return Ok(()) };
        if self.called.get(&value) != Some(&key) {
            return Err(format!(
                "nobody wrote {value} to key {key}, which version {version} is told to have"
            ));
        }
        let known = *self.versions.entry(value).or_insert(version);
        if known != version {
            return Err(format!("{value} was written once, and is there as versions {known} and {version}"));
        }
        Ok(())
    }

    /// A page of changes after `after`, which leaves none out.
    pub fn watched(&mut self, after: Version, events: &[KeyEvent]) -> Result<(), String> {
        let mut expected = after;
        for event in events {
            expected = expected.next();
            if event.version != expected {
                return Err(format!("a watch told {} where {expected} comes next", event.version));
            }
            let Some(key) = (0..KEYS).find(|number| key(*number) == event.key) else {
                return Err(format!("a watch told of {}, which nobody knows", event.key));
            };
            let value = match &event.happened {
                KeyHappened::Put { value, .. } => Some(number(value)?),
                KeyHappened::Deleted | KeyHappened::Expired => None,
            };
            self.told(event.version, key, value)?;
        }
        Ok(())
    }

    /// Whether the state is what all changes come to. `None`: not all of them were told.
    pub fn agrees(&self, state: &State) -> Option<Result<(), String>> {
        let last = state.keys.version();
        if self.changes.len() as u64 != last.get() {
            let beyond = self.changes.last_key_value().filter(|(version, _)| **version > last);
            return beyond.map(|(version, _)| Err(format!("version {version} was told, and is not there")));
        }
        let mut expected: [Option<(Version, u64)>; KEYS] = [None; KEYS];
        for (version, change) in &self.changes {
            expected[change.key] = change.value.map(|value| (*version, value));
        }
        Some((0..KEYS).try_for_each(|number| {
            // What is over is there until the leader takes it out.
            let entry = state.keys.with_prefix("", None, shared::time::Time::ZERO);
            let mut entry = entry.filter(|(known, _)| **known == key(number));
            let there = match entry.next() {
                Some((_, entry)) => Some((entry.version, self::number(&entry.value)?)),
                None => None,
            };
            if there == expected[number] {
                return Ok(());
            }
            Err(format!("all changes leave key {number} at {:?}, and it is {there:?}", expected[number]))
        }))
    }
}

pub fn number(value: &[u8]) -> Result<u64, String> {
    let text = std::str::from_utf8(value).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| format!("nobody wrote the value {value:?}"))
}
