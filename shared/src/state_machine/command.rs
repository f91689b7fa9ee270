//! Commands as they stand in the log, and what applying one comes to.

use super::state::{BlockRef, JobOptions, JobResult, MemberRecord, Retention};
use crate::ids::{DocumentId, JobId, NodeId};
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// A command with the time its leader proposed it at. The stamp is the only clock that the state knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    pub at: Time,
    pub command: Command,
}

/// Every command names what it makes, so a second copy of the same command changes nothing.
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
}

impl Command {
    /// Whether any member may bring it. All others are the leader's own: what they say, only it can know.
    pub fn is_for_members(&self) -> bool {
        match self {
            Command::AddDocument { .. }
            | Command::DeleteDocument { .. }
            | Command::SubmitJob { .. }
            | Command::CancelJob { .. } => true,
            Command::FinishJob { .. }
            | Command::FailJob { .. }
            | Command::SetMember { .. }
            | Command::ForgetMember { .. }
            | Command::Expire => false,
        }
    }
}

/// What a command did, told to whoever proposed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    Done,
    Rejected(Rejection),
}

/// Why a command changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    #[error("there is no document {0}")]
    NoDocument(DocumentId),
    #[error("there is no job {0}")]
    NoJob(JobId),
    #[error("job {job} still counts document {document}: cancel the job first")]
    DocumentInUse { document: DocumentId, job: JobId },
    #[error("the cluster holds {documents_max} documents, its limit: delete some first")]
    TooManyDocuments { documents_max: u32 },
    #[error("the cluster counts {jobs_max} jobs at a time, its limit")]
    TooManyJobs { jobs_max: u32 },
    #[error("what the cluster remembers of its documents and jobs has reached {bytes_max} bytes, its limit")]
    StateFull { bytes_max: u64 },
    #[error("{0}")]
    Invalid(String),
}
