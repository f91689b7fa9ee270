//! What this node wants from the log: commands to be applied and reads to be confirmed, wherever the leader is.
//!
//! An errand is tried until it has its answer or its time is over. Trying again is safe even when the fate of the attempt
//! before is unknown: a command names what it makes, or has its place in a session, so a second copy changes nothing.
//!
//! Errands are looked at when something concerns them: none is in the way of another, however many are open.

mod errand;
mod session;
#[cfg(test)]
mod tests;

pub(super) use errand::Finished;

use super::config::Mutation;
use super::consensus::Consensus;
use super::context::{Submission, Surroundings};
use super::contract::{RequestId, Ticket};
use super::ledger::{Asker, Ledger};
use super::requests::Question;
use crate::ids::NodeId;
use crate::limits;
use crate::raft::Index;
use crate::state_machine::{Command, KeyChange, Outcome, Rejection};
use crate::time::Time;
use crate::wire;
use crate::wire::peer::{Ask, ForwardError, Verdict};
use errand::{Errand, Stage, What};
use session::OwnSession;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Errands {
    open: BTreeMap<Ticket, Errand>,
    by_request: BTreeMap<RequestId, Ticket>,
    /// When each is looked at next.
    due: BTreeSet<(Time, Ticket)>,
    /// Decided, and not yet to be seen in this node's own state.
    applying: BTreeSet<(Index, Ticket)>,
    session: OwnSession,
    /// Values of all that is open.
    bytes: usize,
    /// Values on their way to the leader.
    forwarded: usize,
    /// Wait until fewer are.
    held: BTreeSet<Ticket>,
}

impl Errands {
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Since when a leader has had no room for something of this node's.
    pub fn turned_away_since(&self) -> Option<Time> {
        let waiting = self.open.values().filter(|errand| matches!(errand.stage, Stage::Waiting { .. }));
        waiting.filter_map(|errand| errand.turned_away_since).min()
    }

    /// What is open keeps so many values in memory that no further one is taken for the moment.
    pub fn is_full(&self) -> bool {
        self.bytes >= limits::REQUESTS_BYTES_MAX
    }

    pub fn write(&mut self, around: &mut Surroundings, submission: Submission) {
        let Submission { command, request } = submission;
        self.open(around, What::Write { command, request });
    }

    pub fn read(&mut self, around: &mut Surroundings, request: RequestId, question: Question) {
        self.open(around, What::Read { request, question });
    }

    /// A change that is applied once, however often it takes to bring it there.
    pub fn call(&mut self, around: &mut Surroundings, request: RequestId, change: KeyChange) {
        self.open(around, What::Call { request, change, place: None });
    }

    fn open(&mut self, around: &mut Surroundings, what: What) {
        let ticket = around.tickets.next();
        let errand = Errand::new(what, around);
        self.bytes += errand.bytes();
        if let Some(request) = errand.request() {
            self.by_request.insert(request, ticket);
        }
        self.due.insert((errand.due, ticket));
        self.open.insert(ticket, errand);
    }

    fn close(&mut self, ticket: Ticket) -> Option<Errand> {
        let errand = self.open.remove(&ticket)?;
        self.bytes -= errand.bytes();
        self.forwarded -= errand.forwarded;
        self.held.remove(&ticket);
        self.due.remove(&(errand.due, ticket));
        if let Some(index) = errand.needs() {
            self.applying.remove(&(index, ticket));
        }
        if let Some(request) = errand.request() {
            self.by_request.remove(&request);
        }
        if let What::Call { place: Some(place), .. } = errand.what {
            self.session.answered(place);
        }
        Some(errand)
    }

    /// Whoever asked is gone. A command that is on its way may still happen.
    pub fn abandon(&mut self, id: RequestId) {
        if let Some(ticket) = self.by_request.get(&id).copied() {
            self.close(ticket);
        }
    }

    /// Whoever leads now has not heard of what the leader before was asked.
    pub fn leader_changed(&mut self, around: &Surroundings) {
        let leads = around.leader == Some(around.me);
        // What was this node's as the leader, the new one does by itself, and would not take from here.
        let outdated = self.open.iter().filter(|(_, errand)| !errand.is_for_members() && !leads);
        let outdated: Vec<Ticket> = outdated.map(|(ticket, _)| *ticket).collect();
        for ticket in outdated {
            self.close(ticket);
        }
        self.ask_again_unless(around.now, |leader| Some(leader) == around.leader);
    }

    pub fn peer_left(&mut self, peer: NodeId, now: Time) {
        self.ask_again_unless(now, |leader| leader != peer);
    }

    pub fn disconnected(&mut self, around: &Surroundings) {
        self.session.leave();
        self.ask_again_unless(around.now, |leader| leader == around.me);
    }

    fn ask_again_unless(&mut self, now: Time, still_good: impl Fn(NodeId) -> bool) {
        for (ticket, errand) in &mut self.open {
            if matches!(errand.stage, Stage::Asked { leader, .. } if !still_good(leader)) {
                errand.stage = Stage::Waiting { retry_at: now };
            }
            if matches!(errand.stage, Stage::Waiting { .. }) {
                look_at(&mut self.due, *ticket, errand, now);
            }
        }
    }

    /// What `from` says became of an errand. Nobody but the member that was asked last is believed; what another one, asked
    /// before, says too late is asked again.
    pub fn judged(&mut self, from: NodeId, ticket: Ticket, verdict: Verdict, now: Time) {
        let Some(errand) = self.open.get_mut(&ticket) else { return };
        if !matches!(errand.stage, Stage::Asked { leader, .. } if leader == from) {
            return;
        }
        match (verdict, &mut errand.what) {
            (Verdict::Applied { index, outcome }, What::Write { .. } | What::Call { .. } | What::Open) => {
                if let (
                    Outcome::Rejected(Rejection::NoSession | Rejection::OutOfSequence),
                    What::Call { place: Some(place), .. },
                ) = (&outcome, &errand.what)
                {
                    // A copy may have found it while it was there, so no other session takes this call.
                    self.session.is_gone(*place);
                }
                errand.stage = Stage::Decided { index, outcome: Some(outcome) };
            }
            (Verdict::ReadAt { index }, What::Read { .. }) => {
                errand.stage = Stage::Decided { index, outcome: None };
            }
            (Verdict::Failed(ForwardError::Unknown), _) => errand.stage = Stage::Waiting { retry_at: now },
            // An answer to a question that was not asked changes nothing.
            (Verdict::Applied { .. } | Verdict::ReadAt { .. }, _) => return,
            (Verdict::Failed(error), _) => errand.refused(error, now),
        }
        look_at(&mut self.due, ticket, errand, now);
    }

    /// Does what is due: hands errands to the leader, and gives back those that have ended.
    pub fn advance(
        &mut self,
        around: &mut Surroundings,
        consensus: &mut Consensus,
        ledger: &mut Ledger,
        applied: Index,
    ) -> Vec<Finished> {
        let mut finished = Vec::new();
        while let Some(ticket) = self.next_due(around.now) {
            let Some(mut errand) = self.open.remove(&ticket) else { continue };
            self.forwarded -= std::mem::take(&mut errand.forwarded);
            self.hand_on(ticket, &mut errand, around, consensus, ledger);
            if errand.is_forwarded() {
                errand.forwarded = errand.bytes();
                self.forwarded += errand.forwarded;
            }
            let has_ended = errand.has_ended(applied, around.now);
            if !has_ended && let Some(index) = errand.needs() {
                self.applying.insert((index, ticket));
            }
            errand.due = errand.next_due(around);
            if !has_ended {
                self.due.insert((errand.due, ticket));
            }
            self.open.insert(ticket, errand);
            if has_ended && let Some(errand) = self.close(ticket) {
                self.session_opened(&errand, around.now);
                finished.extend(errand.finish(around, applied));
            }
            if self.session.begin_to_open() {
                self.open(around, What::Open);
            }
        }
        finished
    }

    fn next_due(&mut self, now: Time) -> Option<Ticket> {
        if self.forwarded < limits::FORWARDED_BYTES_MAX
            && let Some(ticket) = self.held.pop_first()
            && let Some(errand) = self.open.get_mut(&ticket)
        {
            errand.stage = Stage::Waiting { retry_at: now };
            look_at(&mut self.due, ticket, errand, now);
        }
        let (_, ticket) = self.due.first().copied().filter(|(at, _)| *at <= now)?;
        self.due.pop_first();
        Some(ticket)
    }

    /// An errand that opens a session has ended, in whatever way: those who wait for one go on.
    fn session_opened(&mut self, errand: &Errand, now: Time) {
        if !matches!(errand.what, What::Open) {
            return;
        }
        let session = match errand.stage {
            Stage::Decided { outcome: Some(Outcome::Opened(session)), .. } => Some(session),
            _ => None,
        };
        for ticket in self.session.opened(session, now) {
            if let Some(errand) = self.open.get_mut(&ticket) {
                errand.stage = Stage::Waiting { retry_at: now };
                look_at(&mut self.due, ticket, errand, now);
            }
        }
    }

    fn hand_on(
        &mut self,
        ticket: Ticket,
        errand: &mut Errand,
        around: &mut Surroundings,
        consensus: &mut Consensus,
        ledger: &mut Ledger,
    ) {
        let now = around.now;
        // Whoever slept through its time is not sent on its way to happen late.
        let is_wanted = errand.is_due(now) && errand.expires_at > now;
        let Some(leader) = around.leader.filter(|_| is_wanted) else { return };
        let is_full = leader != around.me && self.forwarded >= limits::FORWARDED_BYTES_MAX;
        if is_full && errand.bytes() > 0 {
            self.held.insert(ticket);
            errand.stage = Stage::Waiting { retry_at: errand.expires_at };
            return;
        }
        let ask = match &mut errand.what {
            What::Write { command, .. } => Ask::Apply(command.clone()),
            What::Read { .. } => Ask::ReadIndex,
            What::Open => Ask::Apply(Command::OpenSession),
            What::Call { change, place, .. } => {
                if place.is_none() && self.session.is_full() {
                    errand.back_off(now);
                    return;
                }
                if around.config.broken(Mutation::RetryIsAnotherCall) {
                    *place = None;
                }
                *place =
                    place.or_else(|| self.session.take_place(ticket, &around.machine.state().sessions, now));
                let Some(place) = *place else {
                    // Until there is a session.
                    errand.stage = Stage::Waiting { retry_at: errand.expires_at };
                    return;
                };
                Ask::Apply(Command::ChangeKey { call: place, change: change.clone() })
            }
        };
        errand.attempts += 1;
        if leader != around.me {
            let again_at = Some(now + errand.patience(around.config.ask_again_after, self.forwarded));
            around.forwarding.ask(leader, ticket, ask);
            errand.stage = Stage::Asked { leader, again_at };
            return;
        }
        let asker = Asker { node: around.me, ticket };
        let taken = match ask {
            Ask::Apply(command) => ledger.propose(around, consensus, asker, command),
            Ask::ReadIndex => ledger.read(around, consensus, asker),
        };
        match taken {
            Ok(()) => errand.stage = Stage::Asked { leader, again_at: None },
            Err(error) => {
                errand.attempts -= 1;
                errand.refused(error, now);
            }
        }
    }

    /// The state has moved on: what waits for it is looked at again.
    pub fn applied(&mut self, now: Time, applied: Index) {
        while let Some((_, ticket)) = self.applying.first().copied().filter(|(index, _)| *index <= applied) {
            self.applying.pop_first();
            if let Some(errand) = self.open.get_mut(&ticket) {
                look_at(&mut self.due, ticket, errand, now);
            }
        }
    }

    pub fn deadline(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }
}

fn look_at(due: &mut BTreeSet<(Time, Ticket)>, ticket: Ticket, errand: &mut Errand, now: Time) {
    due.remove(&(errand.due, ticket));
    due.insert((now, ticket));
    errand.due = now;
}

/// A command that no log would take.
pub(super) fn is_too_large(command: &Command) -> bool {
    wire::encoded_bytes(command) + STAMP_BYTES_MAX > limits::COMMAND_BYTES_MAX
}

/// Version byte, time and member in front of a command.
const STAMP_BYTES_MAX: usize = 32;
