//! What one key is, and what each operation makes of it.

/// What a client wants. Values are told apart by numbers; a history is easier to explain if each is written once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Get,
    Put(u64, Condition),
    Delete(Condition),
}

/// When a write takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Any,
    Absent,
    Version(u64),
}

/// What a client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The value and its version, or that there is none.
    Found(Option<(u64, u64)>),
    /// The version that the put made.
    Written(u64),
    Deleted,
    /// The condition did not hold: the version is another one, or there is no value.
    Conflict(Option<u64>),
    /// There was nothing to delete.
    NoKey,
}

/// A key after some operations. Versions only ever rise. The version of a write without an answer is found out
/// when somebody sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    value: Option<(u64, Option<u64>)>,
    /// The highest version that was seen.
    seen: u64,
    /// The last operation has no answer: it happened only if the next one shows it.
    owes_a_witness: bool,
}

impl State {
    /// What the operation leaves behind; none if it cannot have happened here with this answer. Without an answer it is
    /// meant to have had its effect.
    pub(crate) fn after(&self, request: Request, answer: Option<Answer>) -> Option<State> {
        // Whatever a blind write hides might as well never have happened: so it did not.
        if self.owes_a_witness && is_blind(request, answer) {
            return None;
        }
        let state = State { owes_a_witness: answer.is_none(), ..*self };
        match (request, answer) {
            (Request::Get, Some(Answer::Found(found))) => state.seen_as(found),
            (Request::Get, _) => None,
            (Request::Put(value, condition), Some(Answer::Written(version))) => {
                let state = state.meets(condition)?;
                (version > state.seen).then_some(State {
                    value: Some((value, Some(version))),
                    seen: version,
                    ..state
                })
            }
            (Request::Put(value, condition), None) => {
                Some(State { value: Some((value, None)), ..state.meets(condition)? })
            }
            (Request::Delete(condition), Some(Answer::Deleted) | None) => {
                let state = state.meets(condition)?;
                state.value?;
                Some(State { value: None, ..state })
            }
            (Request::Delete(condition), Some(Answer::NoKey)) => {
                state.meets(condition).filter(|state| state.value.is_none())
            }
            (Request::Put(_, condition) | Request::Delete(condition), Some(Answer::Conflict(current))) => {
                state.has_version(current).filter(|_| !condition.holds(current))
            }
            _ => None,
        }
    }

    fn seen_as(self, found: Option<(u64, u64)>) -> Option<State> {
        if self.value.map(|(value, _)| value) != found.map(|(value, _)| value) {
            return None;
        }
        self.has_version(found.map(|(_, version)| version))
    }

    /// The same if the version is this one, or may be.
    fn has_version(self, seen: Option<u64>) -> Option<State> {
        match (self.value, seen) {
            (None, None) => Some(self),
            (Some((_, Some(version))), Some(seen)) => (version == seen).then_some(self),
            (Some((value, None)), Some(seen)) => {
                (seen > self.seen).then_some(State { value: Some((value, Some(seen))), seen, ..self })
            }
            _ => None,
        }
    }

    fn meets(self, condition: Condition) -> Option<State> {
        match condition {
            Condition::Any => Some(self),
            Condition::Absent => self.has_version(None),
            Condition::Version(version) => self.has_version(Some(version)),
        }
    }

    pub(crate) fn value(&self) -> Option<(u64, Option<u64>)> {
        self.value
    }
}

impl Condition {
    fn holds(self, current: Option<u64>) -> bool {
        match self {
            Condition::Any => true,
            Condition::Absent => current.is_none(),
            Condition::Version(version) => current == Some(version),
        }
    }
}

/// It leaves the same behind, and says the same, whatever was there before.
fn is_blind(request: Request, answer: Option<Answer>) -> bool {
    matches!(
        (request, answer),
        (Request::Put(_, Condition::Any), Some(Answer::Written(_)) | None)
            | (Request::Delete(Condition::Any), None)
    )
}
