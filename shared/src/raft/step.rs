//! Messages as they come in: who may say what, and what their terms mean (§3.3). Nothing changes before a message has
//! passed the checks that need no log; one that the log contradicts has been heard, and does no more.

use super::election::Campaign;
use super::follower::check_append;
use super::message::{AppendOutcome, Message, StepError};
use super::mutation::Mutation;
use super::types::{HardState, Index, Position, Term};
use super::{Raft, State};
use crate::ids::NodeId;
use crate::limits;

impl Raft {
    pub(super) fn dispatch(&mut self, from: NodeId, message: Message) -> Result<(), StepError> {
        if from == self.id {
            return Err(StepError::FromSelf);
        }
        if message.term() > Term::MAX || self.is_jump(&message) {
            return Err(StepError::Malformed("an impossible term"));
        }
        match message {
            Message::PreVote { term, last } => {
                self.handle_pre_vote(from, term, last);
                Ok(())
            }
            Message::Vote { term, last, transfer } => self.handle_vote(from, term, last, transfer),
            Message::PreVoteResponse { term, request, refusal } => {
                self.check_asked(from)?;
                self.handle_pre_vote_response(from, term, request, refusal)
            }
            Message::VoteResponse { term, granted } => {
                self.check_asked(from)?;
                if self.is_current(term)? { self.handle_vote_response(from, granted) } else { Ok(()) }
            }
            Message::Append { .. } | Message::Heartbeat { .. } | Message::Snapshot { .. } => {
                self.dispatch_from_leader(from, message)
            }
            Message::AppendResponse { .. }
            | Message::HeartbeatResponse { .. }
            | Message::SnapshotResponse { .. } => self.dispatch_from_follower(from, message),
            Message::TimeoutNow { term } => {
                if term != self.hard_state.term {
                    return Err(self.stale(term));
                }
                self.handle_timeout_now(from)
            }
        }
    }

    /// No member gets ahead of the others by so many terms; somebody who wants to use them all up does. Whoever is new knows
    /// no term yet, and takes that of a leader: a lie keeps a newcomer out, where a bound would keep out all of them after a few.
    fn is_jump(&self, message: &Message) -> bool {
        let is_new = self.log.last() == Position::ZERO;
        let is_leaders =
            matches!(message, Message::Append { .. } | Message::Heartbeat { .. } | Message::Snapshot { .. });
        let ahead = message.term().get().saturating_sub(self.hard_state.term.get());
        ahead > limits::RAFT_TERM_JUMP_MAX && !(is_new && is_leaders)
    }

    /// Only members that were asked may answer: a removed one with a high term disturbs nobody.
    fn check_asked(&self, from: NodeId) -> Result<(), StepError> {
        if self.log.membership().is_voter(from) { Ok(()) } else { Err(StepError::NotAsked(from)) }
    }

    /// True for the own term. A higher one ends whatever this member was; a lower one is an error.
    fn is_current(&mut self, term: Term) -> Result<bool, StepError> {
        if term < self.hard_state.term && !self.config.broken(Mutation::OldTermsAnswer) {
            return Err(self.stale(term));
        }
        if term > self.hard_state.term {
            self.become_follower(term, None);
            return Ok(false);
        }
        Ok(true)
    }

    fn stale(&self, message: Term) -> StepError {
        StepError::StaleTerm { message, current: self.hard_state.term }
    }

    fn dispatch_from_leader(&mut self, from: NodeId, message: Message) -> Result<(), StepError> {
        match &message {
            Message::Append { term, previous, entries, .. } => check_append(*term, *previous, entries)?,
            Message::Snapshot { term, chunk } => self.check_chunk(*term, chunk)?,
            _ => {}
        }
        self.hear_leader(from, message.term())?;
        match message {
            Message::Append { previous, entries, commit, .. } => {
                self.handle_append(from, previous, entries, commit)
            }
            Message::Heartbeat { commit, round, .. } => self.handle_heartbeat(from, commit, round),
            Message::Snapshot { chunk, .. } => {
                self.handle_snapshot(from, *chunk);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Someone claims to lead `term`.
    fn hear_leader(&mut self, from: NodeId, term: Term) -> Result<(), StepError> {
        if term < self.hard_state.term {
            self.teach_term(from);
            return Err(self.stale(term));
        }
        if let Some(leader) = self.leader.filter(|leader| *leader != from && term == self.hard_state.term) {
            return Err(StepError::SecondLeader(from, leader));
        }
        self.become_follower(term, Some(from));
        self.promise_lease();
        self.trust_leader(from);
        Ok(())
    }

    /// Tells a leader of an earlier term that it is over. If it were not told, and this member not heard, neither could
    /// ever follow the other (pre-vote and check-quorum together).
    fn teach_term(&mut self, to: NodeId) {
        if self.config.broken(Mutation::LowTermsGetNoAnswer) {
            return;
        }
        let outcome = AppendOutcome::Rejected { previous: Index::ZERO, hint: Position::ZERO };
        self.send(to, Message::AppendResponse { term: self.hard_state.term, outcome });
    }

    fn dispatch_from_follower(&mut self, from: NodeId, message: Message) -> Result<(), StepError> {
        let State::Leader(leadership) = &self.state else { return Err(StepError::NotExpected) };
        let Some(progress) = leadership.peers.get(&from) else { return Err(StepError::NotAsked(from)) };
        // Who has left still gets the news, but its term is nobody's any more.
        if progress.departure.is_some() && message.term() > self.hard_state.term {
            return Err(StepError::NotAsked(from));
        }
        if !self.is_current(message.term())? {
            return Ok(());
        }
        self.hear_follower(from);
        match message {
            Message::AppendResponse { outcome, .. } => return self.handle_append_response(from, outcome),
            Message::HeartbeatResponse { round, .. } => self.handle_heartbeat_response(from, round),
            Message::SnapshotResponse { last, digest, received, .. } => {
                self.handle_snapshot_response(from, last, digest, received);
            }
            _ => {}
        }
        Ok(())
    }

    fn hear_follower(&mut self, from: NodeId) {
        let now = self.now;
        if let State::Leader(leadership) = &mut self.state
            && let Some(progress) = leadership.peers.get_mut(&from)
        {
            progress.heard_at = now;
        }
    }

    /// Follows, in a term that is not lower than the own: with `leader`, or until one is heard.
    pub(super) fn become_follower(&mut self, term: Term, leader: Option<NodeId>) {
        let was_follower = matches!(self.state, State::Follower);
        if term > self.hard_state.term {
            self.set_hard_state(HardState { term, vote: None });
        } else if was_follower && self.leader == leader {
            return;
        }
        self.take_role(State::Follower, leader);
        if !was_follower {
            self.reset_election_deadline();
        }
    }

    /// The one place where role and leader change.
    pub(super) fn take_role(&mut self, state: State, leader: Option<NodeId>) {
        self.output.state_changed = true;
        self.leader = leader;
        self.campaign = match leader {
            Some(_) => None,
            None => self.campaign.take().or_else(|| Some(Campaign::new(self.now))),
        };
        self.leader_contact = None;
        if let State::Leader(leadership) = std::mem::replace(&mut self.state, state) {
            leadership.reads.refuse(leader, &mut self.output);
        }
    }

    pub(super) fn set_hard_state(&mut self, hard_state: HardState) {
        if self.hard_state != hard_state {
            self.output.state_changed |= self.hard_state.term != hard_state.term;
            self.hard_state = hard_state;
            self.writes.hard_state_changed();
        }
    }

    pub(super) fn send(&mut self, to: NodeId, message: Message) {
        self.output.send_now.push((to, message));
    }
}
