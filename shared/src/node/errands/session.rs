//! This run's own session in the replicated state: opened when the first call needs it, and again when it is gone, or may soon be.
//!
//! Whether a call that finds no session has been applied before, nobody knows: a copy of it may have come while the session was
//! there. So a session is left long before the state lets it go.

use crate::limits;
use crate::node::contract::Ticket;
use crate::state_machine::{Call, Sequence, SessionId};
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

/// A call's place in the session that it was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub session: SessionId,
    pub sequence: Sequence,
}

impl OwnSession {
    /// A place for a new call, if there is a session. If not, `ticket` is called back.
    pub fn take_place(&mut self, ticket: Ticket, now: Time) -> Option<Place> {
        if now.since(self.used_at) >= limits::SESSION_IDLE_MAX / 2 {
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
        Some(Place { session, sequence })
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

    pub fn call(&self, place: Place) -> Call {
        let lowest_open = self.open.first().copied().unwrap_or(place.sequence);
        // A place in a session that is gone: what was open there is not known any more.
        let lowest_open = if self.is_current(place) { lowest_open } else { Sequence::default() };
        Call { session: place.session, sequence: place.sequence, lowest_open }
    }

    /// One call has been open for so long that the state would take none that is further ahead of it.
    pub fn is_full(&self) -> bool {
        let is_far = |first: &Sequence| self.next.get() - first.get() >= limits::SESSION_ANSWERS_MAX as u64;
        matches!(self.state, State::Open(_)) && self.open.first().is_some_and(is_far)
    }

    pub fn answered(&mut self, place: Place) {
        if self.is_current(place) {
            self.open.remove(&place.sequence);
        }
    }

    pub fn is_gone(&mut self, place: Place) {
        if self.is_current(place) {
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

    fn is_current(&self, place: Place) -> bool {
        matches!(self.state, State::Open(session) if session == place.session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    const START: Time = Time::from_millis(1);

    fn opened() -> OwnSession {
        let mut session = OwnSession::default();
        assert!(session.take_place(Ticket(0), START).is_none() && session.begin_to_open());
        session.opened(Some(SessionId::default()), START);
        session
    }

    #[test]
    fn a_full_session_that_is_gone_makes_way_for_another() {
        let mut session = opened();
        let places: Vec<Place> = (0..limits::SESSION_ANSWERS_MAX as u64)
            .map(|number| session.take_place(Ticket(number), START).expect("there is a session"))
            .collect();
        assert!(session.is_full());
        session.is_gone(places[0]);
        assert!(!session.is_full(), "or nobody would ever ask for another");
        assert!(session.take_place(Ticket(1), START).is_none() && session.begin_to_open());
    }

    #[test]
    fn a_session_is_left_long_before_the_state_lets_it_go() {
        let mut session = opened();
        let almost = limits::SESSION_IDLE_MAX / 2 - Duration::from_millis(1);
        assert!(session.take_place(Ticket(1), START + almost).is_some());
        assert!(session.take_place(Ticket(2), START + almost * 2).is_some());
        let late = START + almost * 2 + limits::SESSION_IDLE_MAX / 2;
        assert!(session.take_place(Ticket(3), late).is_none() && session.begin_to_open());
    }
}
