//! What a member asks of its driver, and how it answers its caller.

use super::membership::MembershipError;
use super::message::Message;
use super::storage::{Snapshot, StorageOp};
use super::types::{Entry, Index, PersistSequence, ReadToken};
use crate::ids::NodeId;

/// Everything that inputs led to since the last output. The driver carries it out in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Messages that promise nothing about the disk.
    pub send_now: Vec<(NodeId, Message)>,
    /// Writes, to be made durable together, after those of all earlier outputs. `Raft::persisted` wants the sequence back.
    /// Without operations it is a barrier: acknowledge it once everything earlier is durable.
    pub persist: Option<(PersistSequence, Vec<StorageOp>)>,
    /// Messages that may leave only when `persist` is durable. Empty when `persist` is none.
    pub send_after_persist: Vec<(NodeId, Message)>,
    /// The state machine is to be replaced by this. Comes before `committed`, which goes on from there.
    pub install: Option<Snapshot>,
    /// Entries that are durable on a majority: in order, without gaps, each once in the life of this `Raft`.
    pub committed: Vec<Entry>,
    /// Answers to `Raft::read`.
    pub reads: Vec<ReadOutcome>,
    /// The log has grown: give `Raft::compact` a snapshot of the state machine. Said again until it is done.
    pub want_snapshot: bool,
    /// Role, term, leader or configuration is not what it was.
    pub state_changed: bool,
}

impl Output {
    pub fn is_empty(&self) -> bool {
        self.send_now.is_empty()
            && self.persist.is_none()
            && self.send_after_persist.is_empty()
            && self.install.is_none()
            && self.committed.is_empty()
            && self.reads.is_empty()
            && !self.want_snapshot
            && !self.state_changed
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.send_now.clear();
        self.persist = None;
        self.send_after_persist.clear();
        self.install = None;
        self.committed.clear();
        self.reads.clear();
        self.want_snapshot = false;
        self.state_changed = false;
    }
}

/// The answer to one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOutcome {
    pub token: ReadToken,
    /// A state machine that has applied everything up to this index answers the read linearizably (§6.4).
    pub result: Result<Index, ReadError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("this member does not lead")]
    NotLeader { leader: Option<NodeId> },
    #[error("too many reads are waiting")]
    Busy,
}

/// Why nothing was appended. An accepted proposal may still be lost with its leader: watch `Output::committed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    #[error("this member does not lead")]
    NotLeader { leader: Option<NodeId> },
    #[error("too much is waiting to be committed")]
    Busy,
    #[error("leadership is being handed over")]
    Transferring,
    #[error("a command of {size} bytes is larger than {max}")]
    TooLarge { size: usize, max: usize },
}

/// Why the configuration does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    #[error("this member does not lead")]
    NotLeader { leader: Option<NodeId> },
    #[error("leadership is being handed over")]
    Transferring,
    #[error("the leader has not committed an entry of its own term yet")]
    NotReady,
    #[error("another change is under way")]
    Pending,
    #[error(transparent)]
    Invalid(#[from] MembershipError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    #[error("this member does not lead")]
    NotLeader { leader: Option<NodeId> },
    #[error("leadership is being handed over already")]
    Transferring,
    #[error("{0:?} leads already")]
    ToSelf(NodeId),
    #[error("{0:?} is not a voter")]
    NotVoter(NodeId),
    #[error("{0:?} does not answer, or its log is behind: it could not win")]
    CannotWin(NodeId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompactError {
    #[error("index {applied} has not been delivered yet; {delivered} has")]
    NotDelivered { applied: Index, delivered: Index },
    #[error("there is a snapshot at {last} already")]
    Stale { last: Index },
    #[error("a snapshot of {size} bytes is larger than {max}")]
    TooLarge { size: usize, max: usize },
}

/// Why a member does not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NewError {
    #[error(transparent)]
    Config(#[from] super::config::ConfigError),
    #[error("the stored log is damaged: {0}")]
    Stored(&'static str),
}
