//! This run's own session in the replicated state: opened when the first call needs it, and again when it is gone, or may soon be.
//!
//! Whether a call that finds no session has been applied before, nobody knows: a copy of it may have come while the session was
//! there. So a session is left long before the state lets it go.

use crate::limits;
use crate::node::contract::Ticket;
use crate::state_machine::{Call, Sequence, SessionId, Sessions};
use crate::time::Time;
use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(super) struct OwnSession {
    state: State,
    next: Sequence,
    used_at: Time,
    /// Calls whose answer is not here yet.
    open: BTreeSet<Sequence>,
    /// Errands that wait for a session.
    waiting: Vec<Ticket>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    None,
    Opening,
    Open(SessionId),
}

impl OwnSession {
    /// The place of a new call, for all its attempts, if there is a session. If not, `ticket` is called back.
    pub fn take_place(&mut self, ticket: Ticket, sessions: &Sessions, now: Time) -> Option<Call> {
        let has_ended = matches!(self.state, State::Open(session) if sessions.has_ended(session));
        if has_ended || now.since(self.used_at) >= limits::SESSION_IDLE_MAX / 2 {
            self.leave();
        }
        let State::Open(session) = self.state else {
            self.waiting.push(ticket);
            return None;
        };
        self.used_at = now;
        let sequence = self.next;
        self.next = sequence.next();
        self.open.insert(sequence);
        let lowest_open = self.open.first().copied().unwrap_or(sequence);
        Some(Call { session, sequence, lowest_open })
    }

    /// Whether a session is wanted and nobody sees to it: whoever asks does.
    pub fn begin_to_open(&mut self) -> bool {
        let wanted = matches!(self.state, State::None) && !self.waiting.is_empty();
        if wanted {
            self.state = State::Opening;
        }
        wanted
    }

    /// Who waits for it: all of them try again.
    pub fn opened(&mut self, session: Option<SessionId>, now: Time) -> Vec<Ticket> {
        self.state = session.map_or(State::None, State::Open);
        self.used_at = now;
        self.next = Sequence::default();
        self.open.clear();
        std::mem::take(&mut self.waiting)
    }

    /// One call has been open for so long that the state would take none that is further ahead of it.
    pub fn is_full(&self) -> bool {
        let is_far = |first: &Sequence| self.next.get() - first.get() >= limits::SESSION_ANSWERS_MAX as u64;
        matches!(self.state, State::Open(_)) && self.open.first().is_some_and(is_far)
    }

    pub fn answered(&mut self, call: Call) {
        if self.is_current(call) {
            self.open.remove(&call.sequence);
        }
    }

    pub fn is_gone(&mut self, call: Call) {
        if self.is_current(call) {
            self.leave();
        }
    }

    /// The next call opens another. Those that are under way keep their places.
    pub fn leave(&mut self) {
        if matches!(self.state, State::Open(_)) {
            self.state = State::None;
            self.open.clear();
        }
    }

    fn is_current(&self, call: Call) -> bool {
        matches!(self.state, State::Open(session) if session == call.session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::NodeId;
    use crate::state_machine::{Command, Outcome, Stamped, StateMachine};
    use crate::time::Duration;

    const ME: NodeId = NodeId::from_bytes([1; 10]);

    const START: Time = Time::from_millis(1);

    fn opened() -> OwnSession {
        let mut session = OwnSession::default();
        assert!(take(&mut session, START).is_none() && session.begin_to_open());
        session.opened(Some(SessionId::FIRST), START);
        session
    }

    fn take(session: &mut OwnSession, now: Time) -> Option<Call> {
        session.take_place(Ticket(0), &Sessions::default(), now)
    }

    #[test]
    fn a_full_session_that_is_gone_makes_way_for_another() {
        let mut session = opened();
        let calls: Vec<Call> = (0..limits::SESSION_ANSWERS_MAX)
            .map(|_| take(&mut session, START).expect("there is a session"))
            .collect();
        assert!(session.is_full());
        session.is_gone(calls[0]);
        assert!(!session.is_full(), "or nobody would ever ask for another");
        assert!(take(&mut session, START).is_none() && session.begin_to_open());
    }

    #[test]
    fn a_session_is_left_long_before_the_state_lets_it_go() {
        let mut session = opened();
        let almost = limits::SESSION_IDLE_MAX / 2 - Duration::from_millis(1);
        assert!(take(&mut session, START + almost).is_some());
        assert!(take(&mut session, START + almost * 2).is_some());
        let late = START + almost * 2 + limits::SESSION_IDLE_MAX / 2;
        assert!(take(&mut session, late).is_none() && session.begin_to_open());
    }

    #[test]
    fn a_session_that_the_own_state_has_seen_end_is_left() {
        let mut state = StateMachine::default();
        let mut apply = |at, command| state.apply(Stamped { at, by: ME, command }, &mut Vec::new());
        let Outcome::Opened(id) = apply(START, Command::OpenSession) else { panic!("a session") };
        let mut session = OwnSession::default();
        assert!(take(&mut session, START).is_none() && session.begin_to_open());
        session.opened(Some(id), START);
        let end = START + limits::SESSION_IDLE_MAX;
        apply(end, Command::ExpireKeys);
        let sessions = &state.state().sessions;
        assert!(session.take_place(Ticket(0), sessions, START).is_none() && session.begin_to_open());
        session.opened(Some(id.next()), START);
        assert!(session.take_place(Ticket(0), sessions, START).is_some(), "not seen to begin yet");
    }
}
