//! The log (§3.5) from its base on, held in memory, with what is known about it: commit, delivery, configurations.

mod runs;

use super::entries::Entries;
use super::membership::Membership;
use super::output::NewError;
use super::storage::{Snapshot, SnapshotMeta};
use super::types::{Entry, Index, Payload, Position, Term};
use crate::ids::{Hash, NodeId};
use bytes::Bytes;
use runs::Runs;
use std::sync::Arc;

#[derive(Clone, Debug, Hash)]
pub(super) struct Log {
    /// The newest snapshot. Entries from before its end may still be here, as a tail for slow followers.
    snapshot: Option<Snapshot>,
    /// Of its data: members tell snapshots apart by it.
    digest: Hash,
    snapshot_end: u64,
    /// The entry before the first one here.
    base: Position,
    base_end: u64,
    runs: Runs,
    /// In order, never empty: the configuration of the snapshot, or the last before, and all in later entries.
    configurations: Vec<(Index, Arc<Membership>)>,
    commit: Index,
    delivered: Index,
    /// A rule that is switched off on purpose: see `Mutation::ConfigurationAtCommit`.
    #[cfg(feature = "mutations")]
    pub configuration_at_commit: bool,
}

impl Log {
    /// The log that a disk holds, refused if its parts do not fit together.
    pub fn restore(snapshot: Option<Snapshot>, entries: Vec<Entry>) -> Result<Log, NewError> {
        check_entries(&entries)?;
        if let Some(snapshot) = &snapshot {
            snapshot.meta.check().map_err(NewError::Stored)?;
        }
        let meta = snapshot.as_ref().map(|snapshot| snapshot.meta.clone()).unwrap_or_default();
        let mut log = Log {
            base: restored_base(&meta, &entries)?,
            base_end: 0,
            snapshot_end: 0,
            runs: Runs::default(),
            configurations: vec![(meta.last.index, Arc::new(meta.membership))],
            commit: meta.last.index,
            delivered: meta.last.index,
            digest: snapshot.as_ref().map_or(Hash::of(&[]), |snapshot| Hash::of(&snapshot.data)),
            snapshot,
            #[cfg(feature = "mutations")]
            configuration_at_commit: false,
        };
        let base = log.base.index;
        log.extend(entries.into_iter().filter(|entry| entry.index > base).collect());
        log.snapshot_end = log.end_of(meta.last.index);
        Ok(log)
    }

    /// See `Mutation::EmptyDiskIsCluster`.
    #[cfg(feature = "mutations")]
    pub fn found_if_empty(&mut self, id: crate::ids::NodeId) {
        if self.last() == Position::ZERO {
            self.configurations = vec![(Index::ZERO, Arc::new(Membership::of_voters([id])))];
        }
    }

    pub fn snapshot(&self) -> Option<(&Snapshot, Hash)> {
        self.snapshot.as_ref().map(|snapshot| (snapshot, self.digest))
    }

    pub fn snapshot_index(&self) -> Index {
        self.snapshot.as_ref().map_or(Index::ZERO, |snapshot| snapshot.meta.last.index)
    }

    /// The entry before the first one here: known by position, gone by content.
    pub fn base(&self) -> Position {
        self.base
    }

    pub fn last(&self) -> Position {
        self.runs.last().unwrap_or(self.base)
    }

    pub fn commit(&self) -> Index {
        self.commit
    }

    pub fn delivered(&self) -> Index {
        self.delivered
    }

    /// The configuration in force: the newest in the log, committed or not (§4.1).
    pub fn membership(&self) -> &Arc<Membership> {
        &self.newest_configuration().1
    }

    pub fn membership_index(&self) -> Index {
        self.newest_configuration().0
    }

    fn newest_configuration(&self) -> &(Index, Arc<Membership>) {
        #[cfg(feature = "mutations")]
        if self.configuration_at_commit {
            let committed = self.configurations.partition_point(|(index, _)| *index <= self.commit);
            return &self.configurations[committed.max(2).min(self.configurations.len()) - 1];
        }
        self.configurations.last().expect("the first configuration is never removed")
    }

    /// The configurations of the last change: with a joint one between, there are three.
    pub fn last_change(&self) -> impl Iterator<Item = &Membership> {
        self.configurations.iter().rev().take(3).map(|(_, membership)| &**membership)
    }

    /// Whether this member votes in a configuration that may be the committed one: the newest that surely is, or any after it.
    pub fn may_be_voter(&self, id: NodeId) -> bool {
        let settled = self.configurations.partition_point(|(index, _)| *index <= self.commit);
        self.configurations[settled.saturating_sub(1)..].iter().any(|(_, membership)| membership.is_voter(id))
    }

    /// The term of an entry, or of the base; none where nothing is known.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.runs.get(index).map(|entry| entry.term)
    }

    pub fn holds(&self, position: Position) -> bool {
        self.term_at(position.index) == Some(position.term)
    }

    fn end_of(&self, index: Index) -> u64 {
        self.runs.end_of(index).unwrap_or(self.base_end)
    }

    pub fn uncommitted_bytes(&self) -> u64 {
        self.runs.end(self.base_end) - self.end_of(self.commit)
    }

    /// Entries and bytes that were delivered since the snapshot.
    pub fn since_snapshot(&self) -> (u64, u64) {
        let entries = self.delivered.distance_from(self.snapshot_index());
        (entries, self.end_of(self.delivered).saturating_sub(self.snapshot_end))
    }

    /// Adds the entries that come next.
    pub fn extend(&mut self, entries: Entries) {
        debug_assert!(entries.first().is_none_or(|first| first.index == self.last().index.next()));
        for entry in &entries {
            if let Payload::Membership(membership) = &entry.payload
                && entry.index > self.snapshot_index()
            {
                self.configurations.push((entry.index, membership.clone()));
            }
        }
        self.runs.extend(entries, self.base_end);
    }

    /// Removes the entries from `first` on, and with them their configurations.
    pub fn truncate(&mut self, first: Index) {
        debug_assert!(first > self.commit, "committed entries stay");
        self.runs.truncate(first);
        self.configurations.retain(|(index, _)| *index < first);
    }

    /// Entries from `first` on, up to a number of bytes, but at least one if there is one.
    pub fn entries_from(&self, first: Index, max_bytes: usize) -> Entries {
        self.runs.take(first.max(self.base.index.next()), max_bytes as u64)
    }

    /// All entries from `first` on, as they came.
    pub fn runs_from(&self, first: Index) -> impl Iterator<Item = Entries> {
        self.runs.from(first.max(self.base.index.next()))
    }

    /// Where to look for agreement with a log that has `hint`: our last entry at or before its index whose term is no
    /// higher. Everything after it in either log conflicts, so one question skips a whole term (§3.5).
    pub fn agreement_before(&self, hint: Position) -> Position {
        self.runs.last_not_after(hint).unwrap_or(self.base)
    }

    /// Moves the commit index up to `index`, which this log must hold. Says whether it moved.
    pub fn commit_to(&mut self, index: Index) -> bool {
        debug_assert!(index <= self.last().index);
        let moves = index > self.commit;
        if moves {
            self.commit = index;
        }
        moves
    }

    /// Gives out what is committed and has not been given out.
    pub fn deliver(&mut self, committed: &mut Vec<Entry>) {
        self.runs.copy(self.delivered, self.commit, committed);
        self.delivered = self.commit;
    }

    /// A snapshot of what was delivered up to `applied` takes the place of the entries before, but for a tail of so many
    /// entries and bytes. Gives back what goes to disk: the snapshot and the first entry that stays.
    pub fn compact(
        &mut self,
        applied: Index,
        data: Bytes,
        tail_entries: u64,
        tail_bytes: u64,
    ) -> Option<(Snapshot, Index)> {
        let term = self.term_at(applied)?;
        self.snapshot_end = self.end_of(applied);
        let settled = self.configurations.partition_point(|(index, _)| *index <= applied);
        self.configurations.drain(..settled.saturating_sub(1));
        let meta = SnapshotMeta {
            last: Position { term, index: applied },
            membership: (*self.configurations[0].1).clone(),
        };
        let snapshot = Snapshot { meta, data };
        self.digest = Hash::of(&snapshot.data);
        self.snapshot = Some(snapshot.clone());

        let new_base = self.tail_base(applied, tail_entries, tail_bytes);
        if let Some(last) = self.runs.get(new_base) {
            self.base = last.position();
            self.base_end = self.end_of(new_base);
            self.runs.remove_to(new_base);
        }
        Some((snapshot, self.base.index.next()))
    }

    /// The entry before a tail that ends at `applied`.
    fn tail_base(&self, applied: Index, entries: u64, bytes: u64) -> Index {
        let mut base = Index::new(applied.get().saturating_sub(entries)).max(self.base.index);
        let mut excess = (self.end_of(applied) - self.end_of(base)).saturating_sub(bytes);
        for run in self.runs_from(base.next()) {
            for entry in &run {
                if excess == 0 {
                    return base;
                }
                excess = excess.saturating_sub(entry.size() as u64);
                base = entry.index;
            }
        }
        base
    }

    /// A leader's snapshot takes the place of everything here.
    pub fn install(&mut self, snapshot: Snapshot, digest: Hash, membership: Membership) {
        let last = snapshot.meta.last;
        self.runs.clear();
        self.base = last;
        self.base_end = 0;
        self.snapshot_end = 0;
        self.configurations = vec![(last.index, Arc::new(membership))];
        self.commit = last.index;
        self.delivered = last.index;
        self.snapshot = Some(snapshot);
        self.digest = digest;
    }
}

fn check_entries(entries: &[Entry]) -> Result<(), NewError> {
    for entry in entries {
        if let Payload::Membership(membership) = &entry.payload {
            membership.check().map_err(|_| NewError::Stored("an impossible configuration"))?;
        }
    }
    for pair in entries.windows(2) {
        if pair[1].index != pair[0].index.next() {
            return Err(NewError::Stored("entries are missing between others"));
        }
        if pair[1].term < pair[0].term {
            return Err(NewError::Stored("terms go down"));
        }
    }
    Ok(())
}

/// The first stored entry of a kept tail only tells its position: nothing stored says what comes before it.
fn restored_base(meta: &SnapshotMeta, entries: &[Entry]) -> Result<Position, NewError> {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
        return Ok(meta.last);
    };
    if first.index == Index::ZERO || first.index > meta.last.index.next() {
        return Err(NewError::Stored("entries are missing after the snapshot"));
    }
    if first.index == meta.last.index.next() {
        if first.term < meta.last.term {
            return Err(NewError::Stored("terms go down after the snapshot"));
        }
        return Ok(meta.last);
    }
    let snapshot_offset = meta.last.index.distance_from(first.index) as usize;
    if last.index < meta.last.index || entries[snapshot_offset].term != meta.last.term {
        return Err(NewError::Stored("the snapshot and the entries disagree"));
    }
    Ok(if first.index == Index::new(1) { Position::ZERO } else { first.position() })
}

#[cfg(test)]
mod tests;
