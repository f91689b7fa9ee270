//! The RPCs of the paper, as messages: requests and answers travel alone, may be lost, doubled and reordered.

use super::entries::Entries;
use super::storage::SnapshotMeta;
use super::types::{Index, Position, Term};
use crate::ids::{Hash, NodeId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Numbers a leader's heartbeats, so that an answer names the round it confirms (§6.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Round(pub u64);

/// What members say to each other. The sender is known from the transport.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Would you vote for me? (§9.6) `term` is the term in which the sender would stand; nobody's term changes.
    PreVote {
        term: Term,
        last: Position,
    },
    /// `request` is the term asked about, `term` the answerer's own, from which a refused sender learns. Without a refusal
    /// the vote would be granted.
    PreVoteResponse {
        term: Term,
        request: Term,
        refusal: Option<Refusal>,
    },
    /// RequestVote (§3.4). `transfer` says that the leader itself asked for this election (§3.10).
    Vote {
        term: Term,
        last: Position,
        transfer: bool,
    },
    VoteResponse {
        term: Term,
        granted: bool,
    },
    /// AppendEntries (§3.5): the entries that follow `previous`; none at all is a probe.
    Append {
        term: Term,
        previous: Position,
        entries: Entries,
        commit: Index,
    },
    AppendResponse {
        term: Term,
        outcome: AppendOutcome,
    },
    /// A leader's sign of life. `commit` is no more than what the leader knows the receiver to hold.
    Heartbeat {
        term: Term,
        commit: Index,
        round: Round,
    },
    HeartbeatResponse {
        term: Term,
        round: Round,
    },
    /// InstallSnapshot (§5.1, Figure 5.3): one piece of a snapshot.
    Snapshot {
        term: Term,
        chunk: Box<SnapshotChunk>,
    },
    /// How many bytes, from the start, the sender holds of the snapshot at `last` with this digest.
    SnapshotResponse {
        term: Term,
        last: Position,
        digest: Hash,
        received: u64,
    },
    /// TimeoutNow (§3.10): stand for election at once, on the leader's word.
    TimeoutNow {
        term: Term,
    },
}

impl Message {
    /// The term that the message carries: the sender's own, but for [`Message::PreVote`].
    pub const fn term(&self) -> Term {
        match self {
            Message::PreVote { term, .. }
            | Message::PreVoteResponse { term, .. }
            | Message::Vote { term, .. }
            | Message::VoteResponse { term, .. }
            | Message::Append { term, .. }
            | Message::AppendResponse { term, .. }
            | Message::Heartbeat { term, .. }
            | Message::HeartbeatResponse { term, .. }
            | Message::Snapshot { term, .. }
            | Message::SnapshotResponse { term, .. }
            | Message::TimeoutNow { term } => *term,
        }
    }
}

/// Why a member would not vote for the one that asks. Nobody decides by it; it tells people why there is no leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Refusal {
    /// It is in a later term, or has given its vote in that one.
    VoteGiven,
    /// It heard a leader just now.
    LeaderAlive,
    /// Its log has more than the sender's.
    LogBehind,
    /// It stands itself, and comes first.
    Stands,
}

/// What a follower says to [`Message::Append`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AppendOutcome {
    /// The sender's log is durable and equal to the leader's up to `matched`.
    Accepted { matched: Index },
    /// The sender does not hold the entry before, at `previous`. Its log may match the leader's up to `hint`.
    Rejected { previous: Index, hint: Position },
}

/// A piece of a snapshot. The digest names the bytes, so pieces of different snapshots never mix.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotChunk {
    pub meta: SnapshotMeta,
    pub digest: Hash,
    /// Bytes of the whole snapshot.
    pub total: u64,
    /// Where `data` begins in it.
    pub offset: u64,
    pub data: Bytes,
}

/// Why a message was not followed. Nothing of its contents was; its sender and its term may have been heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    #[error("a message of term {message} came in term {current}")]
    StaleTerm { message: Term, current: Term },
    #[error("the sender is this member itself")]
    FromSelf,
    #[error("{0:?} is no member that was asked")]
    NotAsked(NodeId),
    #[error("the answer belongs to nothing that is under way")]
    NotExpected,
    #[error("a vote was asked for while the leader is alive")]
    LeaderAlive,
    #[error("{0:?} claims to lead a term that {1:?} leads")]
    SecondLeader(NodeId, NodeId),
    #[error("the message breaks the rules: {0}")]
    Malformed(&'static str),
}
