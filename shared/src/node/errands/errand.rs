//! One errand: what it wants, how far it is, and what its end means to whoever asked.

use crate::ids::NodeId;
use crate::limits;
use crate::node::api::RequestError;
use crate::node::context::Surroundings;
use crate::node::contract::RequestId;
use crate::node::failures;
use crate::node::requests::Question;
use crate::raft::Index;
use crate::state_machine::{Call, Command, KeyChange, KeyOperation, Outcome, Rejection};
use crate::time::{Duration, Time};
use crate::wire::peer::ForwardError;

/// A leader that is busy is asked again after this, then after twice as long, and so on.
const BACK_OFF_MIN: Duration = Duration::from_millis(20);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Errand {
    pub what: What,
    pub stage: Stage,
    /// How often it was handed to a leader.
    pub attempts: u32,
    pub refusals: u32,
    /// Since when leaders have had no room for it.
    pub turned_away_since: Option<Time>,
    pub expires_at: Time,
    /// When it is looked at next.
    pub due: Time,
    /// What of its bytes counts as being on the way to the leader.
    pub forwarded: usize,
}

#[derive(Debug)]
pub(super) enum What {
    Write {
        command: Command,
        request: Option<RequestId>,
    },
    Read {
        request: RequestId,
        question: Question,
    },
    /// Has a place from the first attempt on, and every further one names the same.
    Call {
        request: RequestId,
        change: KeyChange,
        place: Option<Call>,
    },
    /// Opens a session for calls.
    Open,
}

#[derive(Debug)]
pub(super) enum Stage {
    Waiting {
        retry_at: Time,
    },
    /// `None`: in this node's own ledger, which is sure to answer.
    Asked {
        leader: NodeId,
        again_at: Option<Time>,
    },
    /// Decided at `index`.
    Decided {
        index: Index,
        outcome: Option<Outcome>,
    },
}

/// An errand that has come to its end.
#[derive(Debug)]
pub(in crate::node) enum Finished {
    Write { command: Command, request: RequestId, result: Result<(), RequestError> },
    Read { request: RequestId, question: Question, result: Result<(), RequestError> },
    Call { request: RequestId, result: Result<Outcome, RequestError> },
}

impl Errand {
    pub fn new(what: What, around: &Surroundings) -> Errand {
        let expires_at = around.now + around.config.request_timeout;
        Errand {
            what,
            stage: Stage::Waiting { retry_at: around.now },
            attempts: 0,
            refusals: 0,
            turned_away_since: None,
            expires_at,
            due: around.now,
            forwarded: 0,
        }
    }

    pub fn request(&self) -> Option<RequestId> {
        match &self.what {
            What::Write { request, .. } => *request,
            What::Read { request, .. } | What::Call { request, .. } => Some(*request),
            What::Open => None,
        }
    }

    pub fn is_for_members(&self) -> bool {
        match &self.what {
            What::Write { command, .. } => command.is_for_members(),
            What::Read { .. } | What::Call { .. } | What::Open => true,
        }
    }

    pub fn next_due(&self, around: &Surroundings) -> Time {
        let next = match self.stage {
            Stage::Waiting { retry_at } if around.leader.is_some() => retry_at,
            Stage::Asked { again_at: Some(again_at), .. } => again_at,
            // A new leader, the ledger, the session or the state will call.
            _ => self.expires_at,
        };
        next.min(self.expires_at)
    }

    /// What it keeps in memory beyond the size of a request.
    pub fn bytes(&self) -> usize {
        match &self.what {
            What::Call { change: KeyChange { operation: KeyOperation::Put { value, .. }, .. }, .. } => {
                value.len()
            }
            _ => 0,
        }
    }

    /// Whether another member has been asked, which may have to be asked again.
    pub fn is_forwarded(&self) -> bool {
        matches!(self.stage, Stage::Asked { again_at: Some(_), .. })
    }

    /// Whether it is to be handed to a leader now.
    pub fn is_due(&self, now: Time) -> bool {
        match self.stage {
            Stage::Waiting { retry_at } => retry_at <= now,
            Stage::Asked { again_at, .. } => again_at.is_some_and(|again_at| again_at <= now),
            Stage::Decided { .. } => false,
        }
    }

    /// Where much is on its way each attempt is given more time: on a slow link the one before may still be coming.
    pub fn patience(&self, ask_again_after: Duration, on_the_way: usize) -> Duration {
        let is_much = on_the_way + self.bytes() > limits::FORWARDED_BYTES_MAX / 16;
        let doublings = if is_much { self.attempts.saturating_sub(1).min(2) } else { 0 };
        ask_again_after.saturating_mul(1 << doublings)
    }

    pub fn refused(&mut self, error: ForwardError, now: Time) {
        match error {
            ForwardError::Busy => drop(self.turned_away_since.get_or_insert(now)),
            ForwardError::NotLeader { .. } | ForwardError::Unknown => self.turned_away_since = None,
        }
        self.back_off(now);
    }

    pub fn back_off(&mut self, now: Time) {
        let wait = BACK_OFF_MIN.saturating_mul(1 << self.refusals.min(10)).min(BACK_OFF_MAX);
        self.refusals += 1;
        self.stage = Stage::Waiting { retry_at: now + wait };
    }

    /// The outcome of a call says all; what else is asked for is read from this node's own state, which has to get there.
    pub fn needs(&self) -> Option<Index> {
        match (&self.stage, &self.what) {
            (Stage::Decided { .. }, What::Call { .. } | What::Open) => Some(Index::ZERO),
            (Stage::Decided { index, .. }, _) => Some(*index),
            _ => None,
        }
    }

    pub fn has_ended(&self, applied: Index, now: Time) -> bool {
        self.needs().is_some_and(|index| index <= applied) || self.expires_at <= now
    }

    /// `None`: nobody waits for it.
    pub fn finish(self, around: &Surroundings, applied: Index) -> Option<Finished> {
        let is_here = self.needs().is_some_and(|index| index <= applied);
        let attempts = self.attempts;
        let decision = match self.stage {
            Stage::Decided { outcome, .. } if is_here => Some(outcome),
            _ => None,
        };
        let out_of_time = || failures::write_out_of_time(around, attempts > 0);
        match self.what {
            What::Write { command, request } => {
                let result = match decision.flatten() {
                    Some(outcome) => settle(&command, outcome, attempts),
                    None => Err(out_of_time()),
                };
                Some(Finished::Write { command, request: request?, result })
            }
            What::Read { request, question } => {
                let result = match decision {
                    Some(_) => Ok(()),
                    None => Err(failures::read_out_of_time(around)),
                };
                Some(Finished::Read { request, question, result })
            }
            What::Call { request, .. } => {
                Some(Finished::Call { request, result: decision.flatten().ok_or_else(out_of_time) })
            }
            What::Open => None,
        }
    }
}

/// What a second attempt finds may be the work of the first.
fn settle(command: &Command, outcome: Outcome, attempts: u32) -> Result<(), RequestError> {
    match (outcome, command) {
        (Outcome::Rejected(Rejection::NoDocument(_)), Command::DeleteDocument { .. }) if attempts > 1 => {
            Ok(())
        }
        (Outcome::Rejected(rejection), _) => Err(failures::rejected(rejection)),
        (Outcome::Done | Outcome::Opened(_) | Outcome::Put { .. }, _) => Ok(()),
    }
}
