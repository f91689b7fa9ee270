//! Sessions: a command that is sent twice is applied once (§6.3 of Ongaro's dissertation).
//!
//! A client opens a session through the log and numbers its commands in it. The state keeps the outcome of each until the
//! client has it, so a second copy gets the first one's outcome. Each command says below which number all is answered.
//! A session that nobody uses for a while goes, by the stamps of the log; so do the longest unused ones when there are too many.
//! It belongs to the member that opened it: what any other does with it finds no session, and no member has so many that
//! those of others would have to make room.

use super::command::{Outcome, Rejection};
use super::sums::{Print, Sums};
use crate::ids::NodeId;
use crate::limits;
use crate::time::{Duration, Time};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Sessions are counted as they are opened, so no id is ever used twice: a late copy of the command that opened one
/// opens another, which nobody uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionId(u64);

/// Numbers the commands of one session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sequence(u64);

/// Which command of which session this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    pub session: SessionId,
    pub sequence: Sequence,
    /// The client has, or has given up, the outcome of everything below.
    pub lowest_open: Sequence,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sessions {
    open: BTreeMap<SessionId, Session>,
    last: SessionId,
    /// These follow from `open`.
    #[serde(skip)]
    by_use: BTreeSet<(Time, SessionId)>,
    #[serde(skip)]
    answers: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Session {
    owner: NodeId,
    /// To [`USE_GRAIN`], so that not every command moves it.
    used_at: Time,
    lowest_open: Sequence,
    answers: BTreeMap<Sequence, Outcome>,
}

/// What is known of a call.
pub(super) enum Admission {
    New,
    /// It has been applied, and came to this.
    Again(Outcome),
}

const USE_GRAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
impl SessionId {
    pub const FIRST: SessionId = SessionId(1);

    pub const fn next(self) -> SessionId {
        SessionId(self.0 + 1)
    }
}

impl Sequence {
    pub const fn new(number: u64) -> Sequence {
        Sequence(number)
    }

    pub const fn get(self) -> u64 {
        self.0
    }

    pub const fn next(self) -> Sequence {
        Sequence(self.0 + 1)
    }
}

impl Sessions {
    pub fn len(&self) -> usize {
        self.open.len()
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether it was there once and is no more.
    pub fn has_ended(&self, id: SessionId) -> bool {
        id <= self.last && !self.open.contains_key(&id)
    }

    /// The last that was opened.
    pub fn opened(&self) -> SessionId {
        self.last
    }

    /// When the session that was used least lately has been idle for too long.
    pub fn next_end(&self) -> Option<Time> {
        self.by_use.first().map(|(used_at, _)| *used_at + limits::SESSION_IDLE_MAX)
    }

    pub(super) fn open(&mut self, at: Time, owner: NodeId, sums: &mut Sums) -> SessionId {
        let own = self.by_use.iter().filter(|(_, id)| self.open[id].owner == owner);
        let own: Vec<(Time, SessionId)> = own.copied().collect();
        if own.len() >= limits::SESSIONS_OF_A_MEMBER_MAX {
            self.close(own[0], sums);
        } else if self.open.len() >= limits::SESSIONS_MAX {
            self.close_least_used(sums);
        }
        self.last.0 += 1;
        let session = Session { owner, used_at: at, lowest_open: Sequence(0), answers: BTreeMap::new() };
        sums.count_in(session_print(self.last, &session));
        self.by_use.insert((at, self.last));
        self.open.insert(self.last, session);
        self.last
    }

    /// A call of a session that is not there changes nothing, nor does one that nobody can wait for any more.
    pub(super) fn admit(
        &mut self,
        at: Time,
        by: NodeId,
        call: &Call,
        sums: &mut Sums,
    ) -> Result<Admission, Rejection> {
        let id = call.session;
        let session = self.open.get_mut(&id).filter(|session| session.owner == by);
        let session = session.ok_or(Rejection::NoSession)?;
        let beyond = call.lowest_open.0.saturating_add(limits::SESSION_ANSWERS_MAX as u64);
        if call.sequence < session.lowest_open
            || call.sequence < call.lowest_open
            || call.sequence.0 >= beyond
        {
            return Err(Rejection::OutOfSequence);
        }
        if at.since(session.used_at) >= USE_GRAIN {
            sums.count_out(session_print(id, session));
            self.by_use.remove(&(session.used_at, id));
            session.used_at = at;
            self.by_use.insert((at, id));
            sums.count_in(session_print(id, session));
        }
        session.lowest_open = session.lowest_open.max(call.lowest_open);
        while let Some(answer) = session.answers.first_entry()
            && *answer.key() < session.lowest_open
        {
            let (sequence, outcome) = answer.remove_entry();
            sums.count_out(answer_print(id, sequence, &outcome));
            self.answers -= 1;
        }
        Ok(session.answers.get(&call.sequence).cloned().map_or(Admission::New, Admission::Again))
    }

    pub(super) fn remember(&mut self, call: &Call, outcome: &Outcome, sums: &mut Sums) {
        let Some(session) = self.open.get_mut(&call.session) else { return };
        session.answers.insert(call.sequence, outcome.clone());
        sums.count_in(answer_print(call.session, call.sequence, outcome));
        self.answers += 1;
        let owner = session.owner;
        while self.answers > limits::ANSWERS_MAX {
            // Its member's others first: the answers of other members are not theirs to end.
            let is_spare = |id: &SessionId| *id != call.session && self.open[id].owner == owner;
            match self.by_use.iter().find(|(_, id)| is_spare(id)).copied() {
                Some(spare) => self.close(spare, sums),
                None => self.close_least_used(sums),
            }
        }
    }

    pub(super) fn expire(&mut self, at: Time, sums: &mut Sums) {
        while self.next_end().is_some_and(|end| end <= at) {
            self.close_least_used(sums);
        }
    }

    fn close_least_used(&mut self, sums: &mut Sums) {
        if let Some(least_used) = self.by_use.first().copied() {
            self.close(least_used, sums);
        }
    }

    fn close(&mut self, (used_at, id): (Time, SessionId), sums: &mut Sums) {
        self.by_use.remove(&(used_at, id));
        let Some(session) = self.open.remove(&id) else { return };
        sums.count_out(session_print(id, &session));
        for (sequence, outcome) in &session.answers {
            sums.count_out(answer_print(id, *sequence, outcome));
        }
        self.answers -= session.answers.len();
    }

    /// Makes what follows from the sessions, which come from a snapshot.
    pub(super) fn restore(&mut self, sums: &mut Sums) {
        for (id, session) in &self.open {
            sums.count_in(session_print(*id, session));
            for (sequence, outcome) in &session.answers {
                sums.count_in(answer_print(*id, *sequence, outcome));
            }
            self.by_use.insert((session.used_at, *id));
            self.answers += session.answers.len();
        }
    }
}

fn session_print(id: SessionId, session: &Session) -> Print {
    Print::of("session", &id, &(session.owner, session.used_at))
}

fn answer_print(id: SessionId, sequence: Sequence, outcome: &Outcome) -> Print {
    Print::of("answer", &(id, sequence), outcome)
}
