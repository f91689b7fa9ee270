//! Frames between members. The relay carries them and never looks inside.

use super::session::Frame;
use super::{DecodeError, PEER_VERSION, decode_in_place, encode};
use crate::ids::{Hash, JobId, NodeId};
use crate::limits;
use crate::node::{BlockName, Function, TaskOutput};
use crate::raft;
use crate::state_machine::{Command, Outcome};
use crate::time::Time;
use bytes::Bytes;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::marker::PhantomData;

/// Pairs an answer with its question, chosen by whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket(pub u64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PeerMessage {
    Raft(raft::Message),
    Proposal(Proposal),
    Block(BlockMessage),
    Task(TaskMessage),
    Gossip(Gossip),
}

/// A follower's way to the leader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Proposal {
    /// Each is answered by itself, with others or alone.
    Ask(#[serde(deserialize_with = "batch")] Vec<(Ticket, Ask)>),
    Answer(#[serde(deserialize_with = "batch")] Vec<(Ticket, Verdict)>),
    Transfer {
        to: NodeId,
    },
    RemoveMember {
        node: NodeId,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// This command is to be in the log.
    Apply(Command),
    /// From which index on is a read linearizable (dissertation §6.4)?
    ReadIndex,
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Verdict {
    /// From `index` on the asker's own state shows the outcome.
    Applied {
        index: raft::Index,
        outcome: Outcome,
    },
    ReadAt {
        index: raft::Index,
    },
    Failed(ForwardError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForwardError {
    /// Certainly not proposed: ask the leader named here, or whoever turns up.
    NotLeader { leader: Option<NodeId> },
    /// Certainly not proposed: ask again in a moment.
    Busy,
    /// Proposed, and its fate is unknown: leadership was lost before it committed.
    Unknown,
}

/// Blocks travel as the frame's bulk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BlockMessage {
    /// Bulk: the whole block, to which `manifest` refers or will refer. Answered by `Stored` once it is durable, or by
    /// `Refused`.
    Put {
        ticket: Ticket,
        hash: Hash,
        manifest: Manifest,
    },
    /// Asks to fetch this content from one of `sources` and to keep it. Answered as a `Put` is.
    Copy {
        ticket: Ticket,
        hash: Hash,
        manifest: Manifest,
        sources: Vec<NodeId>,
    },
    Stored {
        ticket: Ticket,
    },
    Refused {
        ticket: Ticket,
        refusal: BlockRefusal,
    },
    /// Asks for `bytes_max` bytes from `offset` on.
    Get {
        ticket: Ticket,
        name: BlockName,
        offset: u64,
        bytes_max: u32,
    },
    /// Bulk: the part asked for, of a block of `total` bytes.
    Data {
        ticket: Ticket,
        total: u64,
    },
    Missing {
        ticket: Ticket,
    },
    /// To the leader: which of each manifest's blocks the sender holds, a bit each, lowest first. Replaces what it
    /// said about the same manifest before; nothing said means that it holds none. Answered by `Heard`.
    Holdings {
        ticket: Ticket,
        held: Vec<(Manifest, Bytes)>,
    },
    Heard {
        ticket: Ticket,
    },
}

/// Why a member does not take or give a block now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum BlockRefusal {
    #[error("too many blocks are on their way already")]
    Busy,
    #[error("the storage is full")]
    Full,
    #[error("the bytes are not those that the hash names")]
    Damaged,
    #[error("no source could give the block")]
    NoSource,
    #[error("the storage failed: {0}")]
    Failed(String),
}

/// Something replicated that refers to blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Manifest {
    Document(crate::ids::DocumentId),
    Table(JobId),
    /// The partials of a running job, in the order of its tasks. Cached, never copied.
    Partials(JobId),
}

/// A leader's orders to a worker, and the worker's answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TaskMessage {
    /// `sources[i]` lists members that hold input `i`, the best first; empty when the worker itself does.
    Assign {
        attempt: Attempt,
        function: Function,
        inputs: Vec<BlockName>,
        sources: Vec<Vec<NodeId>>,
    },
    Cancel {
        attempt: Attempt,
    },
    Finished {
        attempt: Attempt,
        output: TaskOutput,
    },
    Failed {
        attempt: Attempt,
        failure: TaskFailure,
    },
}

/// One try at one task. A new leader starts new attempts; answers to old ones still name their task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attempt {
    pub job: JobId,
    pub task: u32,
    pub number: u32,
    pub term: raft::Term,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskFailure {
    /// No source could give this input.
    InputMissing(BlockName),
    /// The task itself cannot be done, by nobody: a limit is exceeded.
    Impossible(String),
    /// This worker cannot do it now (storage full, pool gone, work queue full).
    Unable(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Gossip {
    /// To the leader, a few times a second.
    Status(NodeStatus),
    /// From the leader to everybody.
    Statuses(Vec<(NodeId, NodeStatus)>),
    /// From the leader to everybody while jobs run.
    Progress(Vec<JobProgress>),
}

/// How a member is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    pub term: u64,
    pub last: u64,
    pub commit: u64,
    pub applied: u64,
    /// Digest of the replicated state at `applied`.
    pub digest: u64,
    pub blocks: u64,
    pub bytes: u64,
    /// Counting speed over the last tasks, bytes per second of one thread; 0 before the first.
    pub speed: u64,
    pub threads: u16,
    pub busy: u16,
    pub hidden: bool,
}

/// How far a running job is, as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobProgress {
    pub job: JobId,
    pub stage: Stage,
    pub tasks: u32,
    pub tasks_done: u32,
    pub bytes: u64,
    pub bytes_done: u64,
    pub started_at: Time,
    /// Tasks taken back from members that went away.
    pub reassigned: u32,
    pub workers: Vec<WorkerProgress>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    Waiting,
    Counting,
    Reducing,
    Committing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerProgress {
    pub node: NodeId,
    pub running: u32,
    pub tasks_done: u32,
    pub bytes_done: u64,
}

/// A list of no more than [`limits::FORWARD_BATCH_MAX`]: in memory, its items are much larger than on the wire.
fn batch<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Batch<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Batch<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {} items", limits::FORWARD_BATCH_MAX)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut batch = Vec::new();
            while let Some(item) = items.next_element()? {
                if batch.len() == limits::FORWARD_BATCH_MAX {
                    return Err(A::Error::invalid_length(batch.len() + 1, &self));
                }
                batch.push(item);
            }
            Ok(batch)
        }
    }

    deserializer.deserialize_seq(Batch(PhantomData))
}

impl PeerMessage {
    pub fn to_frame(&self, bulk: Bytes) -> Frame {
        Frame { head: encode(PEER_VERSION, self).into(), bulk }
    }

    pub fn from_frame(frame: &Frame) -> Result<PeerMessage, DecodeError> {
        if frame.bulk.len() > limits::FRAME_BULK_BYTES_MAX {
            return Err(DecodeError::TooLarge {
                bytes: frame.bulk.len(),
                bytes_max: limits::FRAME_BULK_BYTES_MAX,
            });
        }
        decode_in_place(PEER_VERSION, frame.head.clone(), limits::FRAME_HEAD_BYTES_MAX)
    }
}
