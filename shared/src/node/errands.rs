//! What this node wants from the log: commands to be applied and reads to be confirmed, wherever the leader is.
//!
//! An errand is tried until it has its answer or its time is over. Trying again is safe even when the fate of the attempt
//! before is unknown: a command names what it makes, so a second copy changes nothing.

use super::api::RequestError;
use super::consensus::Consensus;
use super::context::{Submission, Surroundings};
use super::contract::{Ready, RequestId, Ticket};
use super::failures;
use super::ledger::{Asker, Ledger, Verdict};
use super::requests::Question;
use crate::ids::NodeId;
use crate::limits;
use crate::raft::Index;
use crate::state_machine::{Command, Outcome, Rejection};
use crate::time::{Duration, Time};
use crate::wire::peer::{ForwardError, PeerMessage, Proposal};
use std::collections::BTreeMap;

/// A leader that is busy is asked again after this, then after twice as long, and so on.
const BACK_OFF_MIN: Duration = Duration::from_millis(20);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Errands {
    open: BTreeMap<Ticket, Errand>,
    /// Nothing is to be done before this.
    due: Option<Time>,
}

#[derive(Debug)]
struct Errand {
    what: What,
    stage: Stage,
    /// How often it was handed to a leader.
    attempts: u32,
    refusals: u32,
    expires_at: Time,
}

#[derive(Debug)]
enum What {
    Write { command: Command, request: Option<RequestId> },
    Read { request: RequestId, question: Question },
}

#[derive(Debug)]
enum Stage {
    Waiting {
        retry_at: Time,
    },
    /// `None`: in this node's own ledger, which is sure to answer.
    Asked {
        leader: NodeId,
        again_at: Option<Time>,
    },
    /// Decided, and not yet to be seen in this node's own state.
    Applying {
        index: Index,
        outcome: Option<Outcome>,
    },
}

/// An errand that has come to its end.
#[derive(Debug)]
pub(super) enum Finished {
    Write { command: Command, request: RequestId, result: Result<(), RequestError> },
    Read { request: RequestId, question: Question, result: Result<(), RequestError> },
}

impl Errands {
    pub fn len(&self) -> usize {
        self.open.len()
    }

    pub fn write(&mut self, around: &mut Surroundings, submission: Submission) {
        let Submission { command, request } = submission;
        self.open(around, What::Write { command, request });
    }

    pub fn read(&mut self, around: &mut Surroundings, request: RequestId, question: Question) {
        self.open(around, What::Read { request, question });
    }

    fn open(&mut self, around: &mut Surroundings, what: What) {
        let errand = Errand {
            what,
            stage: Stage::Waiting { retry_at: around.now },
            attempts: 0,
            refusals: 0,
            expires_at: around.now + around.config.request_timeout,
        };
        self.open.insert(around.tickets.next(), errand);
        self.due = Some(around.now);
    }

    /// Whoever asked is gone. A command that is on its way may still happen.
    pub fn abandon(&mut self, id: RequestId) {
        self.open.retain(|_, errand| errand.request() != Some(id));
    }

    /// Whoever leads now has not heard of what the leader before was asked.
    pub fn leader_changed(&mut self, around: &Surroundings) {
        // What was this node's as the leader, the new one does by itself, and would not take from here.
        self.open.retain(|_, errand| errand.is_for_members() || around.leader == Some(around.me));
        self.ask_again_unless(around.now, |leader| Some(leader) == around.leader);
    }

    pub fn peer_left(&mut self, peer: NodeId, now: Time) {
        self.ask_again_unless(now, |leader| leader != peer);
    }

    pub fn disconnected(&mut self, around: &Surroundings) {
        self.ask_again_unless(around.now, |leader| leader == around.me);
    }

    fn ask_again_unless(&mut self, now: Time, still_good: impl Fn(NodeId) -> bool) {
        for errand in self.open.values_mut() {
            if matches!(errand.stage, Stage::Asked { leader, .. } if !still_good(leader)) {
                errand.stage = Stage::Waiting { retry_at: now };
            }
        }
        self.due = Some(now);
    }

    pub fn judged(&mut self, ticket: Ticket, verdict: Verdict, now: Time) {
        let Some(errand) = self.open.get_mut(&ticket) else { return };
        if matches!(errand.stage, Stage::Applying { .. }) {
            return;
        }
        errand.stage = match (verdict, &errand.what) {
            (Verdict::Applied { index, outcome }, What::Write { .. }) => {
                Stage::Applying { index, outcome: Some(outcome) }
            }
            (Verdict::ReadAt { index }, What::Read { .. }) => Stage::Applying { index, outcome: None },
            (Verdict::Failed(ForwardError::Unknown), _) => Stage::Waiting { retry_at: now },
            // An answer to a question that was not asked changes nothing.
            (Verdict::Applied { .. } | Verdict::ReadAt { .. }, _) => return,
            (Verdict::Failed(_), _) => errand.back_off(now),
        };
        self.due = Some(now);
    }

    /// Does what is due: hands errands to the leader, and gives back those that have ended.
    pub fn advance(
        &mut self,
        around: &mut Surroundings,
        consensus: &mut Consensus,
        ledger: &mut Ledger,
        applied: Index,
        ready: &mut Ready,
    ) -> Vec<Finished> {
        let is_due = self.due.is_some_and(|due| due <= around.now);
        if !is_due {
            return Vec::new();
        }
        let mut finished = Vec::new();
        let tickets: Vec<Ticket> = self.open.keys().copied().collect();
        for ticket in tickets {
            let Some(errand) = self.open.get_mut(&ticket) else { continue };
            errand.hand_on(ticket, around, consensus, ledger, ready);
            if errand.has_ended(applied, around.now)
                && let Some(errand) = self.open.remove(&ticket)
            {
                finished.extend(errand.finish(around, applied));
            }
        }
        self.due = self.open.values().filter_map(|errand| errand.due(around)).min();
        finished
    }

    /// The state has moved on: what waits for it is looked at again.
    pub fn applied(&mut self, now: Time) {
        if self.open.values().any(|errand| matches!(errand.stage, Stage::Applying { .. })) {
            self.due = Some(now);
        }
    }

    pub fn deadline(&self) -> Option<Time> {
        self.due
    }
}

impl Errand {
    fn request(&self) -> Option<RequestId> {
        match &self.what {
            What::Write { request, .. } => *request,
            What::Read { request, .. } => Some(*request),
        }
    }

    fn is_for_members(&self) -> bool {
        match &self.what {
            What::Write { command, .. } => command.is_for_members(),
            What::Read { .. } => true,
        }
    }

    fn due(&self, around: &Surroundings) -> Option<Time> {
        let next = match self.stage {
            Stage::Waiting { retry_at } if around.leader.is_some() => retry_at,
            Stage::Asked { again_at: Some(again_at), .. } => again_at,
            // A new leader, the ledger or the state will call.
            _ => self.expires_at,
        };
        Some(next.min(self.expires_at))
    }

    fn back_off(&mut self, now: Time) -> Stage {
        let wait = BACK_OFF_MIN.saturating_mul(1 << self.refusals.min(10)).min(BACK_OFF_MAX);
        self.refusals += 1;
        Stage::Waiting { retry_at: now + wait }
    }

    fn hand_on(
        &mut self,
        ticket: Ticket,
        around: &mut Surroundings,
        consensus: &mut Consensus,
        ledger: &mut Ledger,
        ready: &mut Ready,
    ) {
        let now = around.now;
        let due = match self.stage {
            Stage::Waiting { retry_at } => retry_at <= now,
            Stage::Asked { again_at, .. } => again_at.is_some_and(|again_at| again_at <= now),
            Stage::Applying { .. } => false,
        };
        let Some(leader) = around.leader.filter(|_| due) else { return };
        self.attempts += 1;
        if leader != around.me {
            let message = PeerMessage::Proposal(self.question(ticket));
            let again_at = Some(now + around.config.ask_again_after);
            around.lend(ready).control(leader, &message);
            self.stage = Stage::Asked { leader, again_at };
            return;
        }
        let asker = Asker { node: around.me, ticket };
        let taken = match &self.what {
            What::Write { command, .. } => ledger.propose(around, consensus, asker, command.clone()),
            What::Read { .. } => ledger.read(around, consensus, asker),
        };
        self.stage = match taken {
            Ok(()) => Stage::Asked { leader, again_at: None },
            Err(_) => {
                self.attempts -= 1;
                self.back_off(now)
            }
        };
    }

    fn question(&self, ticket: Ticket) -> Proposal {
        match &self.what {
            What::Write { command, .. } => Proposal::Forward { ticket, command: command.clone() },
            What::Read { .. } => Proposal::ReadIndex { ticket },
        }
    }

    fn has_ended(&self, applied: Index, now: Time) -> bool {
        let decided = matches!(self.stage, Stage::Applying { index, .. } if index <= applied);
        decided || self.expires_at <= now
    }

    /// `None`: nobody waits for it.
    fn finish(self, around: &Surroundings, applied: Index) -> Option<Finished> {
        let attempts = self.attempts;
        let decision = match self.stage {
            Stage::Applying { index, outcome } if index <= applied => Some(outcome),
            _ => None,
        };
        match self.what {
            What::Write { command, request } => {
                let result = match decision.flatten() {
                    Some(outcome) => settle(&command, outcome, attempts),
                    None => Err(failures::write_out_of_time(around, attempts > 0)),
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
        }
    }
}

/// What a second attempt finds may be the work of the first.
fn settle(command: &Command, outcome: Outcome, attempts: u32) -> Result<(), RequestError> {
    match (outcome, command) {
        (Outcome::Done, _) => Ok(()),
        (Outcome::Rejected(Rejection::NoDocument(_)), Command::DeleteDocument { .. }) if attempts > 1 => {
            Ok(())
        }
        (Outcome::Rejected(rejection), _) => Err(failures::rejected(rejection)),
    }
}

/// A command that no log would take.
pub(super) fn is_too_large(command: &Command) -> bool {
    postcard::experimental::serialized_size(command)
        .is_ok_and(|bytes| bytes + STAMP_BYTES_MAX > limits::COMMAND_BYTES_MAX)
}

/// Version byte and time in front of a command.
const STAMP_BYTES_MAX: usize = 16;
