//! Raft and the driver: what raft puts out goes into the [`Ready`], what it commits comes out as [`Committed`].

use super::contract::{Outgoing, Persist, PersistOp, PersistSequence, Ready};
use crate::ids::{ClusterId, NodeId};
use crate::raft::{self, Entry, Output, Raft, ReadOutcome, Status};
use crate::rng::Rng;
use crate::time::Time;
use crate::wire::peer::PeerMessage;
use crate::wire::session::Class;
use bytes::Bytes;
use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Consensus {
    pub raft: Raft,
    status: Status,
    output: Output,
    sequence: PersistSequence,
    /// Writes that the driver has not acknowledged yet, and what raft calls them.
    in_flight: VecDeque<(PersistSequence, Option<raft::PersistSequence>)>,
    durable: PersistSequence,
}

/// What one look at raft brought, in the order in which it is to be taken in.
#[derive(Debug, Default)]
pub(super) struct Committed {
    pub install: Option<raft::Snapshot>,
    pub entries: Vec<Entry>,
    pub reads: Vec<ReadOutcome>,
    pub want_snapshot: bool,
    pub state_changed: bool,
}

impl Consensus {
    pub fn new(
        me: NodeId,
        config: &raft::Config,
        stored: raft::Stored,
        rng: Rng,
        now: Time,
    ) -> Result<Consensus, raft::NewError> {
        let raft = Raft::new(me, config.clone(), stored, rng, now)?;
        let status = raft.status();
        Ok(Consensus {
            raft,
            status,
            output: Output::default(),
            sequence: PersistSequence::default(),
            in_flight: VecDeque::new(),
            durable: PersistSequence::default(),
        })
    }

    /// Starts the log of a new cluster on an empty disk.
    pub fn found(
        &mut self,
        me: NodeId,
        config: &raft::Config,
        rng: Rng,
        now: Time,
        ready: &mut Ready,
    ) -> Result<(), raft::NewError> {
        let stored = raft::Stored::founder(me);
        let writes = [
            raft::StorageOp::HardState(stored.hard_state),
            raft::StorageOp::Append(stored.entries.clone().into()),
        ];
        self.raft = Raft::new(me, config.clone(), stored, rng, now)?;
        self.status = self.raft.status();
        // Acknowledgements for the empty log that was here mean nothing to this one.
        for (_, raft_sequence) in &mut self.in_flight {
            *raft_sequence = None;
        }
        self.persist(writes.map(PersistOp::Raft), None, ready);
        Ok(())
    }

    pub fn adopt_cluster(&mut self, cluster: ClusterId, ready: &mut Ready) {
        self.persist([PersistOp::Cluster(cluster)], None, ready);
    }

    /// As of the end of the last [`Consensus::collect`].
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// The persist that carries whatever this `Ready` writes; all that was asked for so far is durable once it is.
    pub fn last_persist(&self) -> PersistSequence {
        self.sequence
    }

    pub fn is_durable(&self, sequence: PersistSequence) -> bool {
        sequence <= self.durable
    }

    pub fn persisted(&mut self, now: Time, sequence: PersistSequence) {
        let mut reached = None;
        while let Some((first, raft_sequence)) = self.in_flight.front()
            && *first <= sequence
        {
            self.durable = *first;
            reached = raft_sequence.or(reached);
            self.in_flight.pop_front();
        }
        if let Some(raft_sequence) = reached {
            self.raft.persisted(now, raft_sequence);
        }
    }

    /// Moves what raft wants done into `ready` and hands out what it has decided; `None` when it is quiet.
    pub fn collect(&mut self, ready: &mut Ready) -> Option<Committed> {
        let mut output = std::mem::take(&mut self.output);
        self.raft.fill_output(&mut output);
        let quiet = output.is_empty();
        envelop(&mut output.send_now, &mut ready.send_now);
        // Raft takes the empty list back with the next output.
        if let Some((sequence, operations)) = &mut output.persist {
            self.persist(operations.drain(..).map(PersistOp::Raft), Some(*sequence), ready);
        }
        envelop(&mut output.send_after_persist, &mut ready.send_after_persist);
        let committed = Committed {
            install: output.install.take(),
            entries: std::mem::take(&mut output.committed),
            reads: std::mem::take(&mut output.reads),
            want_snapshot: output.want_snapshot,
            state_changed: output.state_changed,
        };
        self.output = output;
        if quiet {
            return None;
        }
        self.status = self.raft.status();
        Some(committed)
    }

    /// One `Ready` has one persist: what is asked for later in the same input joins it.
    fn persist(
        &mut self,
        operations: impl IntoIterator<Item = PersistOp>,
        raft_sequence: Option<raft::PersistSequence>,
        ready: &mut Ready,
    ) {
        if ready.persist.is_none() {
            self.sequence = PersistSequence(self.sequence.0 + 1);
            self.in_flight.push_back((self.sequence, None));
        }
        let persist =
            ready.persist.get_or_insert_with(|| Persist { sequence: self.sequence, operations: Vec::new() });
        persist.operations.extend(operations);
        if let Some((_, slot)) = self.in_flight.back_mut() {
            *slot = raft_sequence.or(*slot);
        }
    }

    pub fn deadline(&self) -> Option<Time> {
        self.raft.deadline()
    }
}

/// Messages do not name their receiver: what goes to several peers in a row is encoded once.
fn envelop(messages: &mut Vec<(NodeId, raft::Message)>, outgoing: &mut Vec<Outgoing>) {
    for same in messages.chunk_by(|(_, one), (_, next)| one == next) {
        let frame = PeerMessage::Raft(same[0].1.clone()).to_frame(Bytes::new());
        // Heartbeats pass pieces of snapshots, which are repeated if they get lost.
        let class = match same[0].1 {
            raft::Message::Snapshot { .. } => Class::Bulk,
            _ => Class::Control,
        };
        outgoing.extend(same.iter().map(|(to, _)| Outgoing { to: *to, class, frame: frame.clone() }));
    }
    messages.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_list_of_writes_is_used_again() {
        let me = NodeId::from_bytes([1; 10]);
        let (config, founder) = (raft::Config::default(), raft::Stored::founder(me));
        let mut consensus = Consensus::new(me, &config, founder, Rng::from_u64(1), Time::ZERO).unwrap();
        let places = [1, 2].map(|millis| {
            let now = Time::from_millis(millis);
            consensus.raft.tick(now);
            let _not_yet_leading = consensus.raft.propose(now, [Bytes::new()]);
            let mut ready = Ready::default();
            consensus.collect(&mut ready);
            let persist = ready.persist.expect("something is written");
            consensus.persisted(now, persist.sequence);
            consensus.output.persist.as_ref().map(|(_, list)| (list.as_ptr(), list.capacity()))
        });
        assert!(places[0].is_some_and(|(_, capacity)| capacity > 0));
        assert_eq!(places[0], places[1]);
    }
}
