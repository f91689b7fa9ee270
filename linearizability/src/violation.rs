//! What a person has to see of a history that no order explains.

use crate::key::{Answer, Condition, Request, State};
use crate::search::{Search, Verdict};
use crate::{Operation, Unproven};
use std::fmt;

/// Operations shown of the part that can be explained.
const SHOWN_MAX: usize = 8;

/// The first answer that cannot be explained, and what was known until then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub key: String,
    /// Until its answer, everything can be explained; with it, nothing can.
    pub contradiction: Operation,
    /// The end of the longest order that explains what was answered before.
    pub explained: Vec<Operation>,
    pub state: State,
    /// What was called and is not in that order: it may have happened.
    pub open: Vec<Operation>,
}

pub(crate) fn judge(key: &str, operations: &[&Operation], steps_max: usize) -> Result<(), Unproven> {
    match Search::new(operations).run(steps_max) {
        Verdict::Linearizable => Ok(()),
        Verdict::TooHard => Err(Unproven::TooHard { key: key.to_owned(), steps: steps_max }),
        Verdict::Violation { .. } => {
            Err(Unproven::Violation(Box::new(first_violation(key, operations, steps_max))))
        }
    }
}

/// A history that is linearizable is so up to every moment, so the first answer too many is found by halving.
fn first_violation(key: &str, operations: &[&Operation], steps_max: usize) -> Violation {
    let mut answers: Vec<_> = operations.iter().filter(|operation| operation.answered.is_some()).collect();
    answers.sort_by_key(|operation| operation.answered.map(|(at, _)| at));
    let (mut explained, mut contradicted) = (0, answers.len());
    while contradicted - explained > 1 {
        let middle = (explained + contradicted) / 2;
        let past = up_to(operations, answers[..middle].last().and_then(|last| moment(last)));
        match Search::new(&past.iter().collect::<Vec<_>>()).run(steps_max) {
            Verdict::Violation { .. } => contradicted = middle,
            _ => explained = middle,
        }
    }
    let contradiction = Operation::clone(answers[contradicted - 1]);
    let past = up_to(operations, moment(&contradiction));
    let (order, state) = match Search::new(&past.iter().collect::<Vec<_>>()).run(steps_max) {
        Verdict::Violation { order, state } => (order, state),
        _ => (Vec::new(), State::default()),
    };
    let is_open = |(at, operation): &(usize, &Operation)| {
        !order.contains(at) && **operation != contradiction && operation.request != Request::Get
    };
    Violation {
        key: key.to_owned(),
        explained: order.iter().rev().take(SHOWN_MAX).rev().map(|at| past[*at].clone()).collect(),
        state,
        open: past.iter().enumerate().filter(is_open).map(|(_, operation)| operation.clone()).collect(),
        contradiction,
    }
}

fn moment(operation: &Operation) -> Option<u64> {
    operation.answered.map(|(at, _)| at)
}

/// The history as it was at that moment: later answers are not known yet.
fn up_to(operations: &[&Operation], moment: Option<u64>) -> Vec<Operation> {
    let end = moment.unwrap_or(0);
    let called = operations.iter().filter(|operation| operation.called_at <= end);
    let known = called.map(|operation| Operation {
        answered: operation.answered.filter(|(at, _)| *at <= end),
        ..Operation::clone(operation)
    });
    known.collect()
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "key {:?}: no order of events explains", self.key)?;
        writeln!(f, "    {}", self.contradiction)?;
        writeln!(f, "  the longest order that explains what was answered before ends with")?;
        for operation in &self.explained {
            writeln!(f, "    {operation}")?;
        }
        match self.state.value() {
            None => writeln!(f, "  and leaves no value")?,
            Some((value, None)) => writeln!(f, "  and leaves value {value} of an unknown version")?,
            Some((value, Some(version))) => writeln!(f, "  and leaves value {value} of version {version}")?,
        }
        if !self.open.is_empty() {
            writeln!(f, "  these writes are not in it, and may have happened or not")?;
        }
        self.open.iter().rev().take(SHOWN_MAX).try_for_each(|operation| writeln!(f, "    {operation}"))
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Operation { client, key: _, called_at, request, answered } = self;
        match answered {
            Some((at, _)) => write!(f, "[{called_at} to {at}] ")?,
            None => write!(f, "[{called_at} to ?] ")?,
        }
        write!(f, "client {client}: ")?;
        let condition = match request {
            Request::Get => {
                write!(f, "get")?;
                Condition::Any
            }
            Request::Put(value, condition) => {
                write!(f, "put {value}")?;
                *condition
            }
            Request::Delete(condition) => {
                write!(f, "delete")?;
                *condition
            }
        };
        match condition {
            Condition::Any => {}
            Condition::Absent => write!(f, " if absent")?,
            Condition::Version(version) => write!(f, " if version {version}")?,
        }
        match answered.map(|(_, answer)| answer) {
            None => write!(f, ": no answer"),
            Some(Answer::Found(None)) => write!(f, ": nothing"),
            Some(Answer::Found(Some((value, version)))) => write!(f, ": {value}, version {version}"),
            Some(Answer::Written(version)) => write!(f, ": version {version}"),
            Some(Answer::Deleted) => write!(f, ": deleted"),
            Some(Answer::Conflict(None)) => write!(f, ": conflict, no value"),
            Some(Answer::Conflict(Some(version))) => write!(f, ": conflict with version {version}"),
            Some(Answer::NoKey) => write!(f, ": no such key"),
        }
    }
}
