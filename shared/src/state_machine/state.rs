//! The replicated state itself.

use super::keys::Keys;
use super::sessions::Sessions;
use crate::ids::{DocumentId, Hash, JobId, NodeId};
use crate::time::Time;
use crate::wire::session::Kind;
use crate::words::{Mode, Summary};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything a snapshot holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub documents: BTreeMap<DocumentId, Document>,
    /// When documents went that are gone for less than [`crate::limits::REMOVED_DOCUMENT_AGE_MAX`]: a late copy of the
    /// command that made one must not bring it back, without its bytes.
    pub removed: BTreeMap<DocumentId, Time>,
    pub jobs: BTreeMap<JobId, Job>,
    pub members: BTreeMap<NodeId, MemberRecord>,
    pub keys: Keys,
    pub sessions: Sessions,
    /// The latest stamp that was applied.
    pub now: Time,
}

/// A block of bytes named by its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlockRef {
    pub hash: Hash,
    pub bytes: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    pub id: DocumentId,
    pub name: String,
    pub bytes: u64,
    /// The text, in order.
    pub blocks: Vec<BlockRef>,
    pub added_at: Time,
    pub expires_at: Option<Time>,
}

/// How long a document stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Retention {
    Keep,
    /// Until [`crate::limits::TRANSIENT_DOCUMENT_AGE_MAX`] after it was added.
    Transient,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub id: JobId,
    pub documents: Vec<DocumentId>,
    pub options: JobOptions,
    pub submitted_at: Time,
    pub state: JobState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOptions {
    pub mode: Mode,
    /// Words in the summary's `top`, at most [`crate::limits::SUMMARY_TOP_MAX`].
    pub top: u32,
    /// Members that run each task and have to agree; 1 is no verification.
    pub verify: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum JobState {
    Running,
    Done(Box<JobResult>),
    Cancelled { at: Time },
    Failed { at: Time, reason: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobResult {
    pub summary: Summary,
    /// The complete table as an encoded stream (`words::Table`), cut into blocks anywhere.
    pub table: Vec<BlockRef>,
    pub workers: Vec<WorkerShare>,
    /// From the job's submission to its last task, as its leader saw it.
    pub micros: u64,
}

/// What one member did for a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerShare {
    pub node: NodeId,
    pub name: String,
    pub kind: Kind,
    pub bytes: u64,
    pub tasks: u32,
}

/// What the cluster remembers of a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    pub name: String,
    pub kind: Kind,
    pub http: Option<String>,
    pub domain: u64,
}
