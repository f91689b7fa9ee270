//! What a member knows about itself and its followers, for callers and people.

use super::election::Campaign;
use super::membership::Membership;
use super::progress::Progress;
use super::snapshot::Incoming;
use super::types::{Index, Position, Term};
use super::{Raft, State};
use crate::ids::NodeId;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Follower,
    PreCandidate,
    Candidate,
    Leader,
    /// A follower without a vote, or one that is in no configuration (yet, or any more).
    Learner,
}

/// A view of one member at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub id: NodeId,
    pub term: Term,
    pub role: Role,
    pub leader: Option<NodeId>,
    pub commit: Index,
    /// The last entry that `Output::committed` or `Output::install` has given out.
    pub delivered: Index,
    /// The last entry of the log.
    pub last: Position,
    /// The first entry that is still in the log.
    pub first: Index,
    /// The last entry that the newest snapshot covers.
    pub snapshot: Index,
    /// The newest configuration in the log, which is the one in force.
    pub membership: Arc<Membership>,
    /// Where it stands in the log; it is committed once `commit` is there.
    pub membership_index: Index,
    /// A leader that has committed an entry of its own term: reads and configuration changes go through.
    pub ready: bool,
    /// While there is no leader: how the search for one goes.
    pub campaign: Option<Campaign>,
    /// The snapshot that is coming in.
    pub arriving: Option<Arrival>,
    /// Since when the disk owes an acknowledgement.
    pub writing_since: Option<Time>,
    /// To whom leadership is being handed over.
    pub transferring: Option<NodeId>,
    /// A leader's view of each other member; empty on others.
    pub peers: BTreeMap<NodeId, PeerStatus>,
}

impl Status {
    pub fn is_leader(&self) -> bool {
        self.role == Role::Leader
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Durable on the peer and equal to the leader's log up to here.
    pub matched: Index,
    /// The next entry that goes to it.
    pub next: Index,
    pub state: PeerState,
    /// When it last answered in this term; the start of the term before it did.
    pub heard_at: Time,
    /// It answered within an election timeout.
    pub active: bool,
}

/// How much of a snapshot has come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The last entry that it covers.
    pub last: Index,
    pub bytes: u64,
    pub bytes_total: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerState {
    /// Where the logs agree is being found out, one message at a time.
    Probe,
    /// Entries are streamed.
    Replicate,
    /// A snapshot is under way.
    Snapshot,
}

impl Raft {
    pub fn status(&self) -> Status {
        let log = &self.log;
        let leadership = match &self.state {
            State::Leader(leadership) => Some(&**leadership),
            _ => None,
        };
        let peers = leadership.map(|leadership| &leadership.peers).into_iter().flatten();
        Status {
            id: self.id,
            term: self.hard_state.term,
            role: self.role(),
            leader: self.leader,
            commit: log.commit(),
            delivered: log.delivered(),
            last: log.last(),
            first: log.base().index.next(),
            snapshot: log.snapshot_index(),
            membership: log.membership().clone(),
            membership_index: log.membership_index(),
            ready: leadership.is_some_and(|leadership| leadership.is_ready(log)),
            campaign: self.campaign.clone(),
            arriving: self.incoming.as_ref().map(Incoming::arrival),
            writing_since: self.writes.waiting_since(),
            transferring: leadership.and_then(|leadership| leadership.transfer).map(|transfer| transfer.to),
            peers: peers.map(|(id, progress)| (*id, self.peer_status(progress))).collect(),
        }
    }

    pub fn role(&self) -> Role {
        match &self.state {
            State::Follower if !self.log.membership().is_voter(self.id) => Role::Learner,
            State::Follower => Role::Follower,
            State::PreCandidate(_) => Role::PreCandidate,
            State::Candidate(_) => Role::Candidate,
            State::Leader(_) => Role::Leader,
        }
    }

    fn peer_status(&self, progress: &Progress) -> PeerStatus {
        PeerStatus {
            matched: progress.matched,
            next: progress.next,
            state: progress.state(),
            heard_at: progress.heard_at,
            active: self.now.since(progress.heard_at) < self.config.election_timeout,
        }
    }
}
