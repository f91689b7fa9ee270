//! Where a cluster begins, and how much may happen to it.

use bytes::Bytes;
use shared::ids::NodeId;
use shared::raft::{
    AppendOutcome, Config, Entry, HardState, Index, Membership, MembershipChange, Message, Payload, Round,
    Stored, Term,
};
use shared::time::Duration;
use std::sync::Arc;

/// Long beside everything else: see "What time is".
pub const ELECTION_TIMEOUT: Duration = Duration::from_secs(3600);

/// Writes of one member that may be under way: messages that arrive again and again make barriers without end.
pub const WRITES_MAX: usize = 2;

/// How often each thing may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    pub commands: u8,
    pub crashes: u8,
    /// Disks that turn slow.
    pub slow_disks: u8,
    /// Notices that a leader's connection closed, right or wrong.
    pub notices: u8,
    /// Leaders that hear nobody for an election timeout.
    pub silences: u8,
    /// Votes that are asked for after a leader was last heard.
    pub late_votes: u8,
    pub heartbeats: u8,
    pub reads: u8,
}

#[derive(Clone, Debug)]
pub struct Scenario {
    /// Of members 1, 2 and so on.
    pub disks: Vec<Stored>,
    pub config: Config,
    /// Who may stand for election, in terms one after the other from the disks' term on; after the last nobody does.
    pub stands: Vec<Vec<usize>>,
    /// The term of the disks.
    pub term: u64,
    /// Pre-votes and their answers are messages like others. Otherwise they arrive at once, at all that do not lead and
    /// have not heard a leader for an election timeout.
    pub pre_votes_travel: bool,
    /// Heartbeats and their answers may arrive. Otherwise all are lost but those that tell what is committed.
    pub heartbeats_travel: bool,
    /// Answers that only say no, or that a term is over, may arrive. Otherwise all are lost.
    pub denials_travel: bool,
    /// Members that may crash, and whose disks may turn slow.
    pub troubled: Vec<usize>,
    pub budget: Budget,
    /// Proposed by whoever leads, in this order.
    pub changes: Vec<MembershipChange>,
}

impl Scenario {
    /// All members are new, and know that `voters` vote.
    pub fn new(members: u8, voters: &[u8]) -> Scenario {
        Scenario::from_disks((1..=members).map(|_| disk(voters, &[1], 1)).collect())
    }

    pub fn from_disks(disks: Vec<Stored>) -> Scenario {
        let config = Config {
            election_timeout: ELECTION_TIMEOUT,
            heartbeat_interval: Duration::from_micros(1),
            prompt_delay: Duration::from_micros(1),
            ..Config::default()
        };
        let term = disks.iter().map(|disk| disk.hard_state.term.get()).max().unwrap_or_default();
        Scenario {
            config,
            stands: Vec::new(),
            term,
            pre_votes_travel: false,
            heartbeats_travel: false,
            denials_travel: false,
            troubled: (0..disks.len()).collect(),
            budget: Budget::default(),
            changes: Vec::new(),
            disks,
        }
    }

    /// In one more term, these members may stand for election.
    pub fn stand(mut self, members: &[u8]) -> Scenario {
        self.stands.push(places(members));
        self
    }

    /// Only these members may crash or have slow disks.
    pub fn trouble(self, members: &[u8]) -> Scenario {
        Scenario { troubled: places(members), ..self }
    }

    pub fn term_max(&self) -> u64 {
        self.term + self.stands.len() as u64
    }

    /// Whether this member may stand for election in the term after `term`.
    pub fn may_stand(&self, place: usize, term: u64) -> bool {
        let stands = term.checked_sub(self.term).and_then(|since| self.stands.get(since as usize));
        stands.is_some_and(|stands| stands.contains(&place))
    }

    pub fn is_lost(&self, message: &Message) -> bool {
        let beats = match message {
            Message::Heartbeat { round, .. } => *round != Round::default(),
            Message::HeartbeatResponse { .. } => true,
            _ => false,
        };
        let denies = match message {
            Message::VoteResponse { granted, .. } => !granted,
            Message::AppendResponse { outcome: AppendOutcome::Rejected { previous, .. }, .. } => {
                *previous == Index::ZERO
            }
            _ => false,
        };
        (beats && !self.heartbeats_travel) || (denies && !self.denials_travel)
    }

    pub fn arrives_at_once(&self, message: &Message) -> bool {
        !self.pre_votes_travel && matches!(message, Message::PreVote { .. } | Message::PreVoteResponse { .. })
    }

    pub fn budget(self, budget: Budget) -> Scenario {
        Scenario { budget, ..self }
    }

    pub fn change_to(mut self, voters: &[u8]) -> Scenario {
        let voters = voters.iter().copied().map(n).collect();
        self.changes.push(MembershipChange { voters, ..MembershipChange::default() });
        self
    }
}

fn places(members: &[u8]) -> Vec<usize> {
    members.iter().map(|number| usize::from(*number) - 1).collect()
}

/// Member number `number`.
pub fn n(number: u8) -> NodeId {
    NodeId::from_bytes([number; 10])
}

/// A disk with a log of these terms; the first entry is the configuration of these voters.
pub fn disk(voters: &[u8], terms: &[u64], term: u64) -> Stored {
    let membership = Arc::new(Membership::of_voters(voters.iter().copied().map(n)));
    let payload_at = |offset: usize| match offset {
        0 => Payload::Membership(membership.clone()),
        _ => Payload::Command(Bytes::from(format!("{}@{}", offset + 1, terms[offset]))),
    };
    let entries = terms.iter().enumerate().map(|(offset, term)| Entry {
        term: Term::new(*term),
        index: Index::new(offset as u64 + 1),
        payload: payload_at(offset),
    });
    let hard_state = HardState { term: Term::new(term), vote: None };
    Stored { hard_state, snapshot: None, entries: entries.collect() }
}
