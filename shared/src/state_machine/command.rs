//! Commands as they stand in the log, and what applying one comes to.

use super::key::{KeyChange, Version};
use super::sessions::{Call, SessionId};
use super::state::{BlockRef, JobOptions, JobResult, MemberRecord, Retention};
use crate::ids::{DocumentId, JobId, NodeId};
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// A command with what its leader knows of it. The time is the only clock that the state has, and nobody brings a command in
/// the name of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// When the leader proposed it.
    pub at: Time,
    /// The member that the leader has it from, itself included.
    pub by: NodeId,
    pub command: Command,
}

/// A second copy of the same command changes nothing: either the command names what it makes, or it belongs to a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    AddDocument {
        id: DocumentId,
        name: String,
        blocks: Vec<BlockRef>,
        retention: Retention,
    },
    DeleteDocument {
        id: DocumentId,
    },
    SubmitJob {
        id: JobId,
        documents: Vec<DocumentId>,
        options: JobOptions,
    },
    CancelJob {
        id: JobId,
    },
    FinishJob {
        id: JobId,
        result: Box<JobResult>,
    },
    FailJob {
        id: JobId,
        reason: String,
    },
    SetMember {
        node: NodeId,
        record: MemberRecord,
    },
    ForgetMember {
        node: NodeId,
    },
    /// Documents whose time is over at the command's stamp go.
    Expire,
    /// For the member that brings it. A second copy opens another session, which nobody uses.
    OpenSession,
    ChangeKey {
        call: Call,
        change: KeyChange,
    },
    /// Keys and sessions whose time is over at the command's stamp go: at most [`crate::limits::EXPIRED_KEYS_MAX`] keys.
    ExpireKeys,
}

impl Command {
    /// Whether any member may bring it. All others are the leader's own: what they say, only it can know.
    pub fn is_for_members(&self) -> bool {
        match self {
            Command::AddDocument { .. }
            | Command::DeleteDocument { .. }
            | Command::SubmitJob { .. }
            | Command::CancelJob { .. }
            | Command::OpenSession
            | Command::ChangeKey { .. } => true,
            Command::FinishJob { .. }
            | Command::FailJob { .. }
            | Command::SetMember { .. }
            | Command::ForgetMember { .. }
            | Command::Expire
            | Command::ExpireKeys => false,
        }
    }
}

/// What a command did, told to whoever proposed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    Done,
    Opened(SessionId),
    /// The key has this version now. `created`: it was not there before.
    Put {
        version: Version,
        created: bool,
    },
    Rejected(Rejection),
}

/// Why a command changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    #[error("there is no document {0}")]
    NoDocument(DocumentId),
    #[error("there is no job {0}")]
    NoJob(JobId),
    #[error("this was asked for before, with other contents")]
    OtherRequest,
    #[error("job {job} still counts document {document}: cancel the job first")]
    DocumentInUse { document: DocumentId, job: JobId },
    #[error("the cluster holds {documents_max} documents, its limit: delete some first")]
    TooManyDocuments { documents_max: u32 },
    #[error("the cluster counts {jobs_max} jobs at a time, its limit")]
    TooManyJobs { jobs_max: u32 },
    #[error(
        "what the cluster remembers of its documents, jobs and keys has reached {bytes_max} bytes, its limit"
    )]
    StateFull { bytes_max: u64 },
    #[error("{0}")]
    Invalid(String),
    #[error("there is no such key")]
    NoKey,
    #[error("{}", conflict(*current))]
    KeyConflict { current: Option<Version> },
    #[error("the cluster holds {keys_max} keys, its limit")]
    TooManyKeys { keys_max: u32 },
    #[error("a value has at most {bytes_max} bytes")]
    ValueTooLarge { bytes_max: u32 },
    /// It has expired, or had to make room, or is another member's.
    #[error("the session is not there any more")]
    NoSession,
    /// Its client has given this call up, or is too far ahead of calls that it has not.
    #[error("the call does not belong to those that its session waits for")]
    OutOfSequence,
}

fn conflict(current: Option<Version>) -> String {
    match current {
        Some(version) => format!("the key has version {version}"),
        None => "there is no such key".to_owned(),
    }
}
