//! Snapshots: log compaction and InstallSnapshot in pieces (§5.1).
//!
//! The follower answers each piece with the number of bytes it holds, and the leader goes on from there: a transfer
//! resumes after loss, after a reconnection and even under another leader, if that one's snapshot has the same digest.

use super::config::Config;
use super::message::{Message, SnapshotChunk, StepError};
use super::mutation::Mutation;
use super::progress::{Flow, SnapshotTransfer};
use super::status::Arrival;
use super::storage::{Snapshot, SnapshotMeta};
use super::types::{Index, Position, Term};
use super::{CompactError, Raft, State};
use crate::ids::{Hash, NodeId};
use bytes::Bytes;
use std::ops::Range;

/// A snapshot that is coming in.
#[derive(Clone, Debug, Hash)]
pub(super) struct Incoming {
    meta: SnapshotMeta,
    digest: Hash,
    total: u64,
    data: Vec<u8>,
}

impl Incoming {
    fn is_of(&self, chunk: &SnapshotChunk) -> bool {
        self.digest == chunk.digest && self.total == chunk.total && self.meta == chunk.meta
    }

    fn received(&self) -> u64 {
        self.data.len() as u64
    }

    pub(super) fn arrival(&self) -> Arrival {
        Arrival { last: self.meta.last.index, bytes: self.received(), bytes_total: self.total }
    }
}

impl SnapshotTransfer {
    pub(super) fn message(&self, term: Term, range: Range<usize>) -> Message {
        let chunk = SnapshotChunk {
            meta: self.snapshot.meta.clone(),
            digest: self.digest,
            total: self.total(),
            offset: range.start as u64,
            data: self.snapshot.data.slice(range),
        };
        Message::Snapshot { term, chunk: Box::new(chunk) }
    }
}

impl Raft {
    /// The log has grown enough since the last snapshot to be worth another.
    pub(super) fn wants_snapshot(&self) -> bool {
        let (entries, bytes) = self.log.since_snapshot();
        entries > 0
            && self.log.delivered() >= self.snapshot_not_before
            && (entries >= self.config.compact_after_entries || bytes >= self.config.compact_after_bytes)
    }

    pub(super) fn take_snapshot(&mut self, applied: Index, data: Bytes) -> Result<(), CompactError> {
        let (delivered, last) = (self.log.delivered(), self.log.snapshot_index());
        if applied > delivered {
            return Err(CompactError::NotDelivered { applied, delivered });
        }
        if applied <= last {
            return Err(CompactError::Stale { last });
        }
        let (size, max) = (data.len(), self.config.max_snapshot_bytes);
        if size > max {
            self.snapshot_not_before = delivered.plus(self.config.compact_after_entries as usize);
            return Err(CompactError::TooLarge { size, max });
        }
        let Config { kept_tail_entries, kept_tail_bytes, .. } = self.config;
        if let Some((snapshot, first_kept)) =
            self.log.compact(applied, data, kept_tail_entries, kept_tail_bytes)
        {
            self.writes.compacted(snapshot, first_kept);
        }
        Ok(())
    }

    pub(super) fn check_chunk(&self, term: Term, chunk: &SnapshotChunk) -> Result<(), StepError> {
        let SnapshotChunk { meta, total, offset, data, .. } = chunk;
        meta.check().map_err(StepError::Malformed)?;
        if meta.last.term > term {
            return Err(StepError::Malformed("a snapshot of a later term than its message"));
        }
        if *total > self.config.max_snapshot_bytes as u64 {
            return Err(StepError::Malformed("a snapshot beyond the limit"));
        }
        if offset.checked_add(data.len() as u64).is_none_or(|end| end > *total) {
            return Err(StepError::Malformed("a piece beyond the end of its snapshot"));
        }
        Ok(())
    }

    pub(super) fn handle_snapshot(&mut self, from: NodeId, chunk: SnapshotChunk) {
        let last = chunk.meta.last;
        if last.index <= self.log.commit() {
            return self.acknowledge(from, self.log.commit());
        }
        // The log holds all that the snapshot covers: now it is known to be committed, and nothing has to travel.
        let is_taken_for_held =
            self.config.broken(Mutation::SnapshotKeepsConflictingTail) && last.index <= self.log.last().index;
        if self.log.holds(last) || is_taken_for_held {
            self.log.commit_to(last.index);
            return self.acknowledge(from, last.index);
        }
        let digest = chunk.digest;
        let received = self.collect(chunk);
        let Some(incoming) = self.incoming.take_if(|incoming| incoming.received() == incoming.total) else {
            let term = self.hard_state.term;
            return self.send(from, Message::SnapshotResponse { term, last, digest, received });
        };
        if Hash::of(&incoming.data) != incoming.digest {
            let term = self.hard_state.term;
            return self.send(from, Message::SnapshotResponse { term, last, digest, received: 0 });
        }
        self.install(Snapshot { meta: incoming.meta, data: incoming.data.into() }, digest);
        self.acknowledge(from, last.index);
    }

    /// Adds a piece if it is the next one. Gives back how many bytes are there.
    fn collect(&mut self, chunk: SnapshotChunk) -> u64 {
        let incoming = match self.incoming.take().filter(|incoming| incoming.is_of(&chunk)) {
            Some(incoming) => incoming,
            None => {
                let SnapshotChunk { meta, digest, total, .. } = chunk;
                Incoming { meta, digest, total, data: Vec::new() }
            }
        };
        let incoming = self.incoming.insert(incoming);
        if chunk.offset == incoming.received() {
            incoming.data.extend_from_slice(&chunk.data);
        }
        incoming.received()
    }

    /// The log came as far without it.
    pub(super) fn drop_late_snapshot(&mut self) {
        let commit = self.log.commit();
        self.incoming.take_if(|incoming| incoming.meta.last.index <= commit);
    }

    fn install(&mut self, snapshot: Snapshot, digest: Hash) {
        let membership = if self.config.broken(Mutation::SnapshotKeepsMembership) {
            (**self.log.membership()).clone()
        } else {
            snapshot.meta.membership.clone()
        };
        self.log.install(snapshot.clone(), digest, membership);
        self.writes.installed(snapshot.clone());
        self.output.install = Some(snapshot);
        self.output.state_changed = true;
    }

    pub(super) fn handle_snapshot_response(
        &mut self,
        from: NodeId,
        last: Position,
        digest: Hash,
        received: u64,
    ) {
        let now = self.now;
        let State::Leader(leadership) = &mut self.state else { return };
        let Some(progress) = leadership.peers.get_mut(&from) else { return };
        if let Flow::Snapshot(transfer) = &mut progress.flow
            && transfer.digest == digest
            && transfer.snapshot.meta.last == last
        {
            transfer.acknowledge(received, now);
            leadership.pump = true;
        }
    }

    /// Transfers that have not moved for two heartbeats or more may have lost a piece or its answer. Nothing is repeated for
    /// whoever has not answered anything for an election timeout.
    pub(super) fn repeat_late_chunks(&mut self) {
        let (now, patience) = (self.now, self.config.heartbeat_interval * 2);
        let State::Leader(leadership) = &mut self.state else { return };
        for progress in leadership.peers.values_mut() {
            if let Flow::Snapshot(transfer) = &mut progress.flow
                && now.since(progress.heard_at) < self.config.election_timeout
                && transfer.is_late(patience, now)
            {
                transfer.repeat(now);
                leadership.pump = true;
            }
        }
    }
}
