//! Leader election (§3.4) with pre-vote (§9.6), stickiness (§4.2.3) and prompt elections.

use super::leadership::Leadership;
use super::message::{Message, Refusal, StepError};
use super::mutation::Mutation;
use super::quorum::Tally;
use super::types::{HardState, Payload, Position, Term};
use super::{Raft, State, Votes};
use crate::ids::NodeId;
use crate::time::{Duration, Time};
use std::collections::BTreeMap;

/// Pre-votes in quick succession after a notice that the leader is gone. Others may get the notice later, and refuse
/// until then; after these tries, patience is back to normal.
const PROMPT_ATTEMPTS: u8 = 4;

/// A time without a leader, as this member lives through it. It decides nothing; it is there to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Campaign {
    pub since: Time,
    /// How often this member asked who would vote for it.
    pub rounds: u32,
    /// What each voter said last.
    pub answers: BTreeMap<NodeId, Answer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub at: Time,
    pub refusal: Option<Refusal>,
}

impl Campaign {
    pub(super) fn new(now: Time) -> Campaign {
        Campaign { since: now, rounds: 0, answers: BTreeMap::new() }
    }
}

impl Raft {
    /// A fresh random patience (§3.4): drawn once per election, not at every look at the clock, or ties would never end.
    pub(super) fn reset_election_deadline(&mut self) {
        let timeout = self.config.election_timeout;
        let reluctance = timeout / 2 * self.priority.level();
        let latest = if self.config.broken(Mutation::TiesRepeat) { timeout } else { timeout * 2 };
        self.election_deadline = self.now + self.rng.between(timeout, latest) + reluctance;
    }

    /// A peer's connection is gone, says a notice. What it sent before may still be on its way, be it the last word of the
    /// leader or the first of a new one: for an election timeout, its signs of life as a leader are worth no more than an
    /// interval. Only voters come to lead, so nobody else is remembered.
    pub(super) fn doubt(&mut self, peer: NodeId) {
        let now = self.now;
        self.doubted.insert(peer, now + self.config.election_timeout);
        self.doubted.retain(|peer, until| now < *until && self.log.may_be_voter(*peer));
        if self.leader == Some(peer) {
            self.expect_prompt_election(Duration::ZERO);
        }
    }

    fn expect_prompt_election(&mut self, not_before: Duration) {
        self.leader_contact = None;
        self.prompt_attempts = PROMPT_ATTEMPTS;
        let soon = self.now + not_before + self.prompt_patience();
        self.election_deadline = self.election_deadline.min(soon);
    }

    pub(super) fn trust_leader(&mut self, leader: NodeId) {
        self.leader_contact = Some(self.now);
        self.is_in_the_way = false;
        self.prompt_attempts = 0;
        self.reset_election_deadline();
        if self.doubted.get(&leader).is_some_and(|until| self.now < *until) {
            self.expect_prompt_election(self.config.heartbeat_interval);
        }
    }

    fn prompt_patience(&mut self) -> Duration {
        let delay = self.config.prompt_delay;
        self.rng.between(delay, delay * 2) + delay * 2 * self.priority.level()
    }

    /// Patience with an election that is under way. After a notice it is short, and doubles with every try, up to the usual.
    fn await_votes(&mut self) {
        self.reset_election_deadline();
        if self.prompt_attempts > 0 {
            let tries = PROMPT_ATTEMPTS - self.prompt_attempts;
            let soon = self.now + self.prompt_patience() * (2 << tries);
            self.election_deadline = self.election_deadline.min(soon);
        }
    }

    /// Somebody else is about to stand: to do the same at the same time would split the votes. The wait is too short for
    /// a member that can never win to keep this one from standing.
    fn let_stand(&mut self) {
        // Who asked a while ago keeps the grants that it has: with slow links, two would else give way to each other.
        if matches!(self.state, State::PreCandidate(_)) && self.has_just_asked() {
            self.take_role(State::Follower, None);
        }
        let soon = self.now + self.prompt_patience() * 2;
        self.election_deadline = self.election_deadline.max(soon);
    }

    /// Voters stand for election. So does a member that the newest configuration leaves out, as long as that one may
    /// not be committed: it can be the only one that is able to commit it (§4.2.2). And so does one that is in the way.
    /// After the last term there is no next one to stand in.
    pub(super) fn may_stand(&self) -> bool {
        self.hard_state.term < Term::MAX && (self.is_in_the_way || self.log.may_be_voter(self.id))
    }

    /// A candidate needs this vote and does not get it, because its log is behind. By its own log this member has no vote
    /// to stand with; but if nobody else's log is as new, nobody else can win. Voters have a chance first: patience begins.
    fn get_out_of_the_way(&mut self) {
        if !self.may_stand() && !self.config.broken(Mutation::LearnersNeverStand) {
            self.is_in_the_way = true;
            self.reset_election_deadline();
        }
    }

    pub(super) fn election_timeout_passed(&mut self) {
        if self.may_stand() && !self.is_disk_stalled() {
            self.stand_for_pre_vote();
        } else {
            self.reset_election_deadline();
        }
    }

    fn stand_for_pre_vote(&mut self) {
        self.take_role(State::PreCandidate(Votes::from([(self.id, true)])), None);
        if let Some(campaign) = &mut self.campaign {
            campaign.rounds = campaign.rounds.saturating_add(1);
        }
        self.asked_at = self.now;
        self.await_votes();
        self.prompt_attempts = self.prompt_attempts.saturating_sub(1);
        let message = Message::PreVote { term: self.hard_state.term.next(), last: self.log.last() };
        self.ask_voters(message, false);
        self.count_votes();
    }

    /// Stands for election. The own vote counts, and the request leaves, once the vote is on disk.
    pub(super) fn stand(&mut self, transfer: bool) {
        let term = self.hard_state.term.next();
        self.set_hard_state(HardState { term, vote: Some(self.id) });
        self.take_role(State::Candidate(Votes::new()), None);
        self.await_votes();
        self.ask_voters(Message::Vote { term, last: self.log.last(), transfer }, true);
    }

    fn ask_voters(&mut self, message: Message, after_persist: bool) {
        let me = self.id;
        let queue =
            if after_persist { &mut self.output.send_after_persist } else { &mut self.output.send_now };
        let others = self.log.membership().all_voters().into_iter().filter(|id| *id != me);
        queue.extend(others.map(|id| (id, message.clone())));
    }

    /// A candidate's own vote counts once it is durable.
    pub(super) fn own_vote_is_durable(&mut self) {
        if let State::Candidate(votes) = &mut self.state {
            votes.insert(self.id, true);
            self.count_votes();
        }
    }

    fn count_votes(&mut self) {
        let (State::PreCandidate(votes) | State::Candidate(votes)) = &self.state else { return };
        match (self.tally(votes), &self.state) {
            (Tally::Open, _) => {}
            (Tally::Won, State::PreCandidate(_)) => self.stand(false),
            (Tally::Won, _) => self.become_leader(),
            // A refused pre-candidate keeps asking: the grants it has stay good until its patience ends.
            (Tally::Lost, State::PreCandidate(_)) => {}
            (Tally::Lost, _) => self.take_role(State::Follower, None),
        }
    }

    fn tally(&self, votes: &Votes) -> Tally {
        let membership = self.log.membership();
        if self.config.broken(Mutation::HalfIsMajority) {
            let granted = votes.values().filter(|granted| **granted).count();
            return if granted * 2 >= membership.voters.len() { Tally::Won } else { Tally::Open };
        }
        membership.tally(|id| votes.get(&id).copied())
    }

    /// By links of any length that suits the timeout, a question of the same moment has arrived by then.
    pub(super) fn has_just_asked(&self) -> bool {
        self.now.since(self.asked_at) <= self.config.election_timeout / 3
    }

    fn become_leader(&mut self) {
        self.is_in_the_way = false;
        self.prompt_attempts = 0;
        let last = self.log.last();
        let leadership = Leadership::new(self.id, &self.log, last, self.now, self.farewell());
        self.take_role(State::Leader(Box::new(leadership)), Some(self.id));
        self.append(Payload::Noop);
        self.heartbeat_due();
    }

    /// The leader was heard so recently that it would be rash to help anybody else (§4.2.3).
    fn is_leader_alive(&self) -> bool {
        let timeout = self.config.election_timeout;
        match &self.state {
            State::Follower => {
                self.leader.is_some() && self.leader_contact.is_some_and(|at| self.now.since(at) < timeout)
            }
            State::Leader(_) => self.quorum_heard_at().is_some_and(|at| self.now.since(at) < timeout),
            State::PreCandidate(_) | State::Candidate(_) => false,
        }
    }

    /// A leader that asks for votes leads no more.
    fn is_sticky_towards(&self, candidate: NodeId) -> bool {
        self.is_leader_alive() && self.leader != Some(candidate) || self.has_promised_not_to_help(candidate)
    }

    fn is_up_to_date(&self, last: Position) -> bool {
        if self.config.broken(Mutation::LearnersDoNotVote) && !self.log.membership().is_voter(self.id) {
            return false;
        }
        last >= self.log.last() || self.config.broken(Mutation::VoteForAnyLog)
    }

    /// Of two members that ask each other at the same time, the one with the longer log, or else the higher id, goes on,
    /// and the other lets it: if each helped the other, both would stand, and neither would win. Only at the same time:
    /// one that asked a while ago got no majority, and may be the reason why the other does not (it may be the one
    /// member that reaches enough).
    fn stands_before(&self, other: NodeId, request: Term, last: Position) -> bool {
        matches!(self.state, State::PreCandidate(_))
            && request == self.hard_state.term.next()
            && self.has_just_asked()
            && (self.log.last(), self.id) > (last, other)
            && !self.config.broken(Mutation::TiesRepeat)
    }

    /// The answer names the term asked about; a refusal also teaches the own one, which may be higher: a long log with a
    /// low term and a short log with a high term would otherwise refuse each other for ever.
    pub(super) fn handle_pre_vote(&mut self, from: NodeId, request: Term, last: Position) {
        let HardState { term, vote } = self.hard_state;
        let is_free = request > term || (request == term && vote.is_none_or(|vote| vote == from));
        let refusal = if !is_free {
            Some(Refusal::VoteGiven)
        } else if self.is_sticky_towards(from) {
            Some(Refusal::LeaderAlive)
        } else if !self.is_up_to_date(last) {
            self.get_out_of_the_way();
            Some(Refusal::LogBehind)
        } else if self.stands_before(from, request, last) {
            Some(Refusal::Stands)
        } else {
            self.let_stand();
            None
        };
        self.send(from, Message::PreVoteResponse { term, request, refusal });
    }

    pub(super) fn handle_pre_vote_response(
        &mut self,
        from: NodeId,
        term: Term,
        request: Term,
        refusal: Option<Refusal>,
    ) -> Result<(), StepError> {
        if let Some(campaign) = &mut self.campaign {
            campaign.answers.insert(from, Answer { at: self.now, refusal });
        }
        let granted = refusal.is_none();
        if !granted && term > self.hard_state.term && !self.config.broken(Mutation::RefusalTeachesNothing) {
            self.become_follower(term, None);
            return Ok(());
        }
        let expected = self.hard_state.term.next();
        match &mut self.state {
            State::PreCandidate(votes) if request == expected => votes.insert(from, granted),
            _ => return Err(StepError::NotExpected),
        };
        self.count_votes();
        Ok(())
    }

    pub(super) fn handle_vote(
        &mut self,
        from: NodeId,
        term: Term,
        last: Position,
        transfer: bool,
    ) -> Result<(), StepError> {
        if term > self.hard_state.term {
            if !transfer && self.is_sticky_towards(from) {
                return Err(StepError::LeaderAlive);
            }
            self.become_follower(term, None);
        }
        let current = self.hard_state;
        let is_free = term == current.term && current.vote.is_none_or(|vote| vote == from);
        let is_free = is_free && (transfer || !self.has_promised_not_to_help(from));
        if !is_free || !self.is_up_to_date(last) {
            self.send(from, Message::VoteResponse { term: current.term, granted: false });
            return Ok(());
        }
        let granted = Message::VoteResponse { term, granted: true };
        if self.config.broken(Mutation::VoteNotPersisted) {
            self.hard_state.vote = Some(from);
            self.send(from, granted);
        } else {
            self.set_hard_state(HardState { term, vote: Some(from) });
            self.output.send_after_persist.push((from, granted));
        }
        self.reset_election_deadline();
        Ok(())
    }

    pub(super) fn handle_vote_response(&mut self, from: NodeId, granted: bool) -> Result<(), StepError> {
        let State::Candidate(votes) = &mut self.state else { return Err(StepError::NotExpected) };
        // The first answer stands: a doubled or contradicting one changes nothing.
        votes.entry(from).or_insert(granted);
        self.count_votes();
        Ok(())
    }

    /// The leader asks this member to stand at once (§3.10).
    pub(super) fn handle_timeout_now(&mut self, from: NodeId) -> Result<(), StepError> {
        if self.leader != Some(from) || !self.may_stand() || self.is_disk_stalled() {
            return Err(StepError::NotExpected);
        }
        self.stand(true);
        Ok(())
    }
}
