//! The contract between a [`Node`](super::Node) and its driver: one [`Input`] in, one complete [`Ready`] out.
//!
//! A driver carries a `Ready` out in the order of its fields and decides nothing: it branches on no term, no role and no
//! message. It destructures `Ready` without `..`, so that a new field does not compile until every driver handles it.

use super::api::{Event, Reply, Request, RequestError};
use super::compute::{Function, TaskOutput};
use crate::ids::{ClusterId, Hash, NodeId};
use crate::raft;
use crate::state_machine::BlockRef;
use crate::time::Time;
use crate::wire::session::{Class, Frame, Presence, Profile, Welcome};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use crate::wire::peer::Ticket;

/// What happened to a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// The relay admitted this node.
    Connected(Welcome),
    /// The relay has recorded that the room is the cluster that this node has founded.
    Founded,
    /// The connection to the relay is gone; the driver is already trying again.
    Disconnected,
    Presence(Presence),
    /// From peers. Frames that were waiting come together: what they lead to shares a write, and a message to each peer. A
    /// driver bounds their bytes.
    Frames(Vec<(NodeId, Frame)>),
    /// Of local clients. The same.
    Requests(Vec<(RequestId, Request)>),
    /// Whoever asked went away: no reply is wanted any more.
    Abandoned {
        id: RequestId,
    },
    /// The writes of this persist, and of all before it, are durable.
    Persisted(PersistSequence),
    Block {
        ticket: Ticket,
        result: Result<BlockOutcome, BlockError>,
    },
    Computed {
        ticket: Ticket,
        result: Result<TaskOutput, ComputeError>,
    },
    /// The profile this node shows has changed (renamed, hidden, shown).
    Profile(Profile),
    /// This node may be gone any moment (closed, frozen, told to stop), or it is certain again that it stays. One that
    /// leads hands leadership over at once.
    Leaving(bool),
    /// The time of `Ready::deadline` has come. Early and repeated ones do no harm.
    Deadline,
}

impl Input {
    pub fn frame(from: NodeId, frame: Frame) -> Input {
        Input::Frames(vec![(from, frame)])
    }

    pub fn request(id: RequestId, request: Request) -> Input {
        Input::Requests(vec![(id, request)])
    }
}

/// Names a request of a local client until its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// Numbers the persists of one run of a node, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PersistSequence(pub u64);

/// Everything a driver has to do about one input, in this order.
#[derive(Debug, Default, Serialize)]
#[must_use]
pub struct Ready {
    /// Promises nothing that is not durable already.
    pub send_now: Vec<Outgoing>,
    /// Make these writes durable, in order, then answer [`Input::Persisted`]. Several persists may share one sync.
    pub persist: Option<Persist>,
    /// Only once `persist` of this same `Ready` is durable (at once when it is `None`).
    pub send_after_persist: Vec<Outgoing>,
    pub to_relay: Vec<RelayNotice>,
    pub blocks: Vec<BlockOp>,
    /// Pure functions for the pool. Never on the thread that runs the node.
    pub compute: Vec<ComputeTask>,
    pub replies: Vec<(RequestId, Result<Reply, RequestError>)>,
    pub events: Vec<Event>,
    /// When to come back with [`Input::Deadline`]; replaces the deadline before it.
    pub deadline: Option<Deadline>,
}

impl Ready {
    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        let Ready {
            send_now,
            persist,
            send_after_persist,
            to_relay,
            blocks,
            compute,
            replies,
            events,
            deadline,
        } = self;
        send_now.clear();
        *persist = None;
        send_after_persist.clear();
        to_relay.clear();
        blocks.clear();
        compute.clear();
        replies.clear();
        events.clear();
        *deadline = None;
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outgoing {
    pub to: NodeId,
    pub class: Class,
    pub frame: Frame,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Persist {
    pub sequence: PersistSequence,
    pub operations: Vec<PersistOp>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum PersistOp {
    /// The store belongs to this cluster from now on.
    Cluster(ClusterId),
    Raft(raft::StorageOp),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum RelayNotice {
    Founded,
    Profile(Profile),
}

/// An operation on the store of blocks, which is apart from the log's: a megabyte on its way to the disk must not make
/// a vote wait. What is put and deleted takes effect in order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum BlockOp {
    /// Answered when durable. Content whose hash is not its name is refused as [`BlockError::Damaged`].
    Put {
        ticket: Ticket,
        name: BlockName,
        bytes: Bytes,
    },
    /// `bytes_max` bytes from `offset` on. A block that is named by its hash is verified before any of it is given out.
    Get {
        ticket: Ticket,
        name: BlockName,
        offset: u64,
        bytes_max: u32,
    },
    Delete {
        names: Vec<BlockName>,
    },
}

/// What a block is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BlockName {
    /// A part of a text or of a table, named by the hash of its bytes.
    Content(Hash),
    /// The partial of a counting task, named by the hash of the task's inputs and options ([`super::compute::task_key`]).
    Partial(Hash),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BlockOutcome {
    Stored,
    Data { bytes: Bytes, total: u64 },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum BlockError {
    #[error("the block is not here")]
    Missing,
    #[error("the block was damaged and has been dropped")]
    Damaged,
    #[error("the storage is full")]
    Full,
    #[error("the storage failed: {0}")]
    Failed(String),
}

/// Runs [`Function`] over blocks of this node's own store. The pool stores what comes out before it answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComputeTask {
    pub ticket: Ticket,
    pub function: Function,
    pub inputs: Vec<BlockName>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ComputeError {
    /// An input is not in the store, or was damaged and dropped.
    #[error("an input of the task is missing: {0:?}")]
    InputMissing(BlockName),
    /// The same everywhere: no other member could do it either.
    #[error("{0}")]
    Impossible(String),
    #[error("{0}")]
    Unable(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Deadline {
    pub at: Time,
    pub reason: DeadlineReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum DeadlineReason {
    Raft,
    Autopilot,
    Scheduler,
    Blocks,
    Request,
    Gossip,
}

/// What a driver found in its store when it started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    pub cluster: Option<ClusterId>,
    pub raft: raft::Stored,
    /// Blocks and their lengths.
    pub blocks: BTreeMap<BlockName, u64>,
}

impl BlockName {
    pub fn of_ref(block: &BlockRef) -> BlockName {
        BlockName::Content(block.hash)
    }
}
