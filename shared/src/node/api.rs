//! What a local client (HTTP, the command line, the page) can ask of a node, and what a node tells on its own.

pub use super::trouble::{Trouble, TroubleCode};
use crate::ids::{ClusterId, DocumentId, Hash, JobId, NodeId, UploadId};
use crate::state_machine::{
    BlockRef, Document, Job, JobOptions, Key, KeyChange, KeyEvent, Retention, Version,
};
use crate::time::{Duration, Time};
use crate::wire::peer::JobProgress;
use crate::wire::session::Kind;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Answered once each, whatever happens; a request that cannot be answered in time ends in [`ErrorCode::Timeout`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Starts to take a text in. `document`: its id, chosen by a client that will choose the same for the same text again, and
    /// then gets what was made the first time; another text under the same id is [`ErrorCode::Reused`].
    OpenUpload {
        name: String,
        retention: Retention,
        document: Option<DocumentId>,
    },
    /// The next piece of the text, cut by `words::Chunker`; `position` counts from 0. Answered when enough members
    /// hold it durably, so a client that keeps at most `limits::UPLOAD_WINDOW_CHUNKS` unanswered is slowed to the cluster's pace.
    UploadChunk {
        upload: UploadId,
        position: u32,
        hash: Hash,
        bytes: Bytes,
    },
    /// More of the text is on its way, though not a whole chunk yet: the upload is not idle.
    KeepUpload {
        upload: UploadId,
    },
    /// Commits the document. From the answer on it survives any minority of failures.
    FinishUpload {
        upload: UploadId,
    },
    AbortUpload {
        upload: UploadId,
    },
    ListDocuments,
    GetDocument {
        document: DocumentId,
    },
    DeleteDocument {
        document: DocumentId,
    },
    /// A block from this node's store or another member's, verified.
    ReadBlock {
        block: BlockRef,
    },
    /// `job` is for this what `document` is for an upload.
    SubmitJob {
        job: Option<JobId>,
        documents: Vec<DocumentId>,
        options: JobOptions,
    },
    ListJobs,
    GetJob {
        job: JobId,
    },
    /// Answered when the job has ended, in whatever way.
    AwaitJob {
        job: JobId,
    },
    CancelJob {
        job: JobId,
    },
    /// Answered with [`Reply::Key`].
    GetKey {
        key: Key,
        consistency: Consistency,
    },
    /// Answered with [`Reply::Keys`].
    ListKeys {
        query: KeyQuery,
        consistency: Consistency,
    },
    /// Happens once, or is told to have an unknown outcome. A condition that does not hold is answered with
    /// [`Reply::KeyConflict`].
    ChangeKey {
        change: KeyChange,
    },
    /// Answered when something happened to keys that begin with `prefix`: after the change `after`, or from now on. A change that has
    /// not happened is a [`ErrorCode::Conflict`]. To watch on, ask again after [`Reply::KeyEvents`]' `next`; who waits too long
    /// before that has missed something, and is told so.
    WatchKeys {
        prefix: String,
        after: Option<Version>,
    },
    Cluster,
    /// Answered when there is a new leader. `None`: the best other voter.
    Transfer {
        to: Option<NodeId>,
    },
    RemoveMember {
        node: NodeId,
    },
    /// This node is about to stop. Answered when nobody waits for it: when another member leads, or none else could.
    Leave,
}

impl Request {
    /// Whether the cluster is not what it was once this is done. Without an answer it may happen or not.
    pub fn is_change(&self) -> bool {
        matches!(
            self,
            Request::FinishUpload { .. }
                | Request::DeleteDocument { .. }
                | Request::SubmitJob { .. }
                | Request::CancelJob { .. }
                | Request::ChangeKey { .. }
                | Request::Transfer { .. }
                | Request::RemoveMember { .. }
        )
    }
}

/// What a read has to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consistency {
    /// Every change that was acknowledged before the read began.
    #[default]
    Linearizable,
    /// What this node has, at once and without a quorum.
    Stale,
}

/// A page of keys: those that begin with `prefix` and come after `after`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyQuery {
    pub prefix: String,
    pub after: Option<Key>,
    /// Up to [`crate::limits::KEYS_PAGE_MAX`].
    pub limit: u32,
    /// Whether their values are wanted.
    pub values: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    pub key: Key,
    pub version: Version,
    pub bytes: u64,
    /// How long it stays, by the latest stamp in the log and what has passed since; `None`: for good.
    pub ttl: Option<Duration>,
    pub value: Option<Bytes>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    Done,
    UploadOpened {
        upload: UploadId,
    },
    Document(Box<Document>),
    Documents(Vec<Document>),
    Block(Bytes),
    Job(Box<Job>),
    Jobs(Vec<Job>),
    Cluster(Box<ClusterView>),
    Key(Box<KeyView>),
    /// `next`: there are more, after this one. `version`: a watch after it misses nothing that is not in here.
    Keys {
        keys: Vec<KeyView>,
        next: Option<Key>,
        version: Version,
    },
    KeyPut {
        version: Version,
        created: bool,
    },
    /// The condition did not hold, and nothing was changed: the version that the key has, if it is there.
    KeyConflict {
        current: Option<Version>,
    },
    KeyEvents {
        events: Vec<KeyEvent>,
        next: Version,
    },
    /// What happened is not known any more: list the keys, and watch on from there.
    KeyEventsMissed {
        version: Version,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    pub code: ErrorCode,
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl RequestError {
    /// For whoever waits for a node that answers no more. A change may be on its way to the leader, or in the log.
    pub fn stopped(is_change: bool, message: impl Into<String>, hint: impl Into<String>) -> RequestError {
        let (code, fate) = match is_change {
            true => (ErrorCode::UnknownOutcome, "; the change may have happened"),
            false => (ErrorCode::NotReady, ""),
        };
        RequestError { code, message: format!("{}{fate}", message.into()), hint: hint.into() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// There is no leader, or it cannot reach a majority.
    NoQuorum,
    /// This node is not part of a cluster yet.
    NotReady,
    NotFound,
    Conflict,
    BadRequest,
    TooLarge,
    /// A named limit of waiting work is reached.
    Busy,
    StorageFull,
    /// The id that the request chose belongs to something that another request made.
    Reused,
    /// Not answered in time. It may still happen.
    Timeout,
    /// Leadership changed under way. It may still happen.
    UnknownOutcome,
    Internal,
}

/// What happens, told to whoever watches this node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The whole picture, when something in it changed, at most a few times a second.
    Cluster(Box<ClusterView>),
    /// Running jobs.
    Progress(Vec<JobProgress>),
    /// A job was submitted or has ended.
    Job(Box<Job>),
    DocumentAdded(Box<Document>),
    DocumentRemoved(DocumentId),
    /// Something for the time line.
    Happened(Happening),
    /// This node cannot go on (its disk failed): the driver stops it, loudly.
    Fatal(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happening {
    pub at: Time,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    MemberJoined {
        node: NodeId,
        name: String,
        kind: Kind,
    },
    MemberLeft {
        node: NodeId,
        name: String,
    },
    MemberPromoted {
        node: NodeId,
        name: String,
    },
    MemberDemoted {
        node: NodeId,
        name: String,
    },
    MemberRemoved {
        node: NodeId,
        name: String,
    },
    LeaderLost {
        node: NodeId,
        name: String,
        term: u64,
    },
    /// `after_micros`: since the former leader was last heard of being lost; 0 for the first leader.
    LeaderElected {
        node: NodeId,
        name: String,
        term: u64,
        after_micros: u64,
    },
    QuorumLost,
    QuorumRestored,
    DocumentAdded {
        document: DocumentId,
        name: String,
        bytes: u64,
    },
    DocumentRemoved {
        document: DocumentId,
    },
    JobSubmitted {
        job: JobId,
    },
    JobDone {
        job: JobId,
        total: u64,
        unique: u64,
        micros: u64,
    },
    JobFailed {
        job: JobId,
        reason: String,
    },
    JobCancelled {
        job: JobId,
    },
    /// Tasks of a member that went away were given to others.
    TasksReassigned {
        job: JobId,
        node: NodeId,
        tasks: u32,
    },
}

/// The cluster as this node sees it. This is also the JSON of `GET cluster` and of `status --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterView {
    pub node: NodeId,
    pub cluster: Option<ClusterId>,
    pub term: u64,
    pub leader: Option<NodeId>,
    pub quorum: QuorumView,
    pub members: Vec<MemberView>,
    /// Why there is no leader or no progress, in plain words; `None` while all is well.
    pub trouble: Option<String>,
    /// What restores it, in plain words.
    pub remedy: Option<String>,
    pub trouble_code: Option<TroubleCode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumView {
    pub voters: u32,
    pub online: u32,
    pub needed: u32,
    /// Voters that may still go away without harm.
    pub can_lose: u32,
    /// A leader is known and a majority of the voters is online.
    pub healthy: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberView {
    pub node: NodeId,
    pub name: String,
    pub kind: Kind,
    pub role: RoleView,
    pub online: bool,
    pub hidden: bool,
    pub http: Option<String>,
    pub term: u64,
    pub last: u64,
    pub commit: u64,
    pub applied: u64,
    /// Entries behind the leader.
    pub lag: u64,
    /// Blocks held, and their bytes.
    pub chunks: u64,
    pub bytes: u64,
    /// Bytes per second that one of its threads counts; 0 before its first task.
    pub speed: u64,
    pub threads: u16,
    pub busy: u16,
    /// Digest of the replicated state at `applied`, 16 hexadecimal digits.
    pub digest: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleView {
    Leader,
    Candidate,
    Follower,
    Learner,
    /// Connected, and not a member yet.
    Joining,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_reads_back_from_bytes_and_shows_its_kind_in_json() {
        let node = NodeId::from_bytes(*b"0123456789");
        let what = What::LeaderLost { node, name: "Quiet Heron".to_owned(), term: 7 };
        let event = Event::Happened(Happening { at: Time::from_millis(5), what: what.clone() });
        let bytes = postcard::to_stdvec(&event).unwrap();
        assert_eq!(postcard::from_bytes(&bytes), Ok(event));
        let json = serde_json::to_value(&what).unwrap();
        assert_eq!(json["leader_lost"]["term"], 7);
    }
}
