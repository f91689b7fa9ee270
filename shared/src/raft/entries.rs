//! Entries that follow each other, as they travel, go to disk and lie in the log.

use super::types::Entry;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::sync::Arc;

/// A run of entries, shared: the log, the disk and each follower get the same one, and nothing is copied.
#[derive(Clone, Default)]
pub struct Entries {
    shared: Arc<[Entry]>,
    start: usize,
    end: usize,
}

impl Entries {
    /// A part of it, shared as well.
    pub(super) fn part(&self, range: Range<usize>) -> Entries {
        debug_assert!(range.start <= range.end && range.end <= self.len());
        let (start, end) = (self.start + range.start, self.start + range.end);
        Entries { shared: self.shared.clone(), start, end }
    }
}

impl From<Vec<Entry>> for Entries {
    fn from(entries: Vec<Entry>) -> Entries {
        Entries { start: 0, end: entries.len(), shared: entries.into() }
    }
}

impl FromIterator<Entry> for Entries {
    fn from_iter<T: IntoIterator<Item = Entry>>(entries: T) -> Entries {
        let shared: Arc<[Entry]> = entries.into_iter().collect();
        Entries { start: 0, end: shared.len(), shared }
    }
}

impl Deref for Entries {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        &self.shared[self.start..self.end]
    }
}

impl<'a> IntoIterator for &'a Entries {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Entries) -> bool {
        std::ptr::eq(&**self, &**other) || **self == **other
    }
}

impl Eq for Entries {}

impl Hash for Entries {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (**self).hash(hasher);
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entries, D::Error> {
        Vec::deserialize(deserializer).map(Entries::from)
    }
}
