//! The key-value pairs.
//!
//! A pair whose time is over is gone for every reader and every condition from the first stamp on that says so; the leader's
//! `ExpireKeys` takes it out of memory. Both look at the stamps in the log alone, so what one reader found gone, no other
//! finds again, whatever the clock of the next leader says.

use super::apply::Change;
use super::command::{Outcome, Rejection};
use super::key::{Condition, Entry, Key, KeyChange, KeyEvent, KeyHappened, KeyOperation, Version};
use super::sums::{Print, Sums};
use crate::limits;
use crate::time::{Duration, Time};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Keys {
    entries: BTreeMap<Key, Entry>,
    /// The number of the latest change.
    version: Version,
    /// Follows from `entries`.
    #[serde(skip)]
    ends: BTreeSet<(Time, Key)>,
}

impl Keys {
    pub fn version(&self) -> Version {
        self.version
    }

    /// Those whose time is over are counted until they are taken out.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn get(&self, key: &Key, now: Time) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| !entry.is_over(now))
    }

    /// In order, those after `after` only.
    pub fn with_prefix(
        &self,
        prefix: &str,
        after: Option<&Key>,
        now: Time,
    ) -> impl Iterator<Item = (&Key, &Entry)> {
        let start = match after.map(Key::as_str).filter(|after| *after >= prefix) {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        self.entries
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(move |(key, _)| key.as_str().starts_with(prefix))
            .filter(move |(_, entry)| !entry.is_over(now))
    }

    /// When the next key's time is over.
    pub fn next_end(&self) -> Option<Time> {
        self.ends.first().map(|(at, _)| *at)
    }

    pub(super) fn change(
        &mut self,
        at: Time,
        change: KeyChange,
        sums: &mut Sums,
        changes: &mut Vec<Change>,
    ) -> Result<Outcome, Rejection> {
        let KeyChange { key, condition, operation } = change;
        let current = self.get(&key, at).map(|entry| entry.version);
        if !condition.holds(current) {
            return Err(Rejection::KeyConflict { current });
        }
        match operation {
            KeyOperation::Put { value, ttl } => {
                let version = self.put(at, key, value, ttl, sums, changes)?;
                Ok(Outcome::Put { version, created: current.is_none() })
            }
            KeyOperation::Delete if current.is_none() => Err(Rejection::NoKey),
            KeyOperation::Delete => {
                self.remove(key, KeyHappened::Deleted, sums, changes);
                Ok(Outcome::Done)
            }
        }
    }

    fn put(
        &mut self,
        at: Time,
        key: Key,
        value: Bytes,
        ttl: Option<Duration>,
        sums: &mut Sums,
        changes: &mut Vec<Change>,
    ) -> Result<Version, Rejection> {
        if value.len() > limits::VALUE_BYTES_MAX {
            return Err(Rejection::ValueTooLarge { bytes_max: limits::VALUE_BYTES_MAX as u32 });
        }
        let before = self.entries.get(&key).map(|entry| print(&key, entry));
        if before.is_none() && self.entries.len() >= limits::KEYS_MAX {
            return Err(Rejection::TooManyKeys { keys_max: limits::KEYS_MAX as u32 });
        }
        let is_over = self.entries.get(&key).is_some_and(|entry| entry.is_over(at));
        // That its time was over is a change of its own, and comes first.
        let version = if is_over { self.version.next().next() } else { self.version.next() };
        let expires_at = ttl.map(|ttl| at + ttl);
        let entry = Entry { value: value.clone(), version, expires_at };
        let after = print(&key, &entry);
        // A full state still takes what makes it smaller.
        let grows = after.bytes > before.map_or(0, |before| before.bytes);
        if grows && sums.bytes > limits::STATE_BYTES_MAX {
            return Err(Rejection::StateFull { bytes_max: limits::STATE_BYTES_MAX });
        }
        if is_over {
            self.remove(key.clone(), KeyHappened::Expired, sums, changes);
        }
        self.version = version;
        sums.count_in(after);
        if let Some(at) = expires_at {
            self.ends.insert((at, key.clone()));
        }
        if let Some(replaced) = self.entries.insert(key.clone(), entry) {
            before.into_iter().for_each(|before| sums.count_out(before));
            if replaced.expires_at != expires_at {
                self.forget_end(&key, &replaced);
            }
        }
        let happened = KeyHappened::Put { value, expires_at };
        changes.push(Change::Key(KeyEvent { key, version, happened }));
        Ok(version)
    }

    fn remove(&mut self, key: Key, happened: KeyHappened, sums: &mut Sums, changes: &mut Vec<Change>) {
        let Some(removed) = self.entries.remove(&key) else { return };
        sums.count_out(print(&key, &removed));
        self.forget_end(&key, &removed);
        self.version = self.version.next();
        changes.push(Change::Key(KeyEvent { key, version: self.version, happened }));
    }

    fn forget_end(&mut self, key: &Key, entry: &Entry) {
        if let Some(at) = entry.expires_at {
            self.ends.remove(&(at, key.clone()));
        }
    }

    /// Takes out keys whose time is over, the oldest first and not too many at a time.
    pub(super) fn expire(&mut self, at: Time, sums: &mut Sums, changes: &mut Vec<Change>) {
        let over = self.ends.iter().take_while(|(end, _)| *end <= at).take(limits::EXPIRED_KEYS_MAX);
        let over: Vec<Key> = over.map(|(_, key)| key.clone()).collect();
        for key in over {
            self.remove(key, KeyHappened::Expired, sums, changes);
        }
    }

    /// Makes what follows from the entries, which come from a snapshot.
    pub(super) fn restore(&mut self, sums: &mut Sums) {
        for (key, entry) in &self.entries {
            sums.count_in(print(key, entry));
            self.ends.extend(entry.expires_at.map(|at| (at, key.clone())));
        }
    }
}

fn print(key: &Key, entry: &Entry) -> Print {
    Print::of("key", key, entry)
}

impl KeyChange {
    pub fn put(key: Key, value: Bytes) -> KeyChange {
        KeyChange { key, condition: Condition::Any, operation: KeyOperation::Put { value, ttl: None } }
    }
}
