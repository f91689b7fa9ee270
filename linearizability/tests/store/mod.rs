//! Histories of a store that does everything at one moment, and of one that sometimes answers what is not so.

use linearizability::{Answer, Condition, Operation, Request};

pub struct Shape {
    pub operations: usize,
    pub clients: u32,
    pub keys: u64,
    /// Of a hundred operations, those that nobody answers.
    pub unanswered: u64,
    /// One answer is wrong.
    pub errs: bool,
}

impl Shape {
    pub fn small() -> Shape {
        Shape { operations: 7, clients: 3, keys: 1, unanswered: 25, errs: false }
    }

    pub fn large() -> Shape {
        Shape { operations: 10_000, clients: 16, keys: 8, unanswered: 3, errs: false }
    }
}

/// A linear congruential generator: enough to vary tests, the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[derive(Clone, Copy, Default)]
struct Key {
    value: Option<(u64, u64)>,
    /// The version before: what a client that is not up to date asks for.
    earlier: u64,
}

pub fn history(seed: u64, shape: &Shape) -> Vec<Operation> {
    let mut dice = Dice(seed);
    let mut keys = vec![Key::default(); shape.keys as usize];
    let mut version = 0;
    let mut free_at = vec![0; shape.clients as usize];
    let mut history = Vec::new();
    // Operations happen in the order in which they are made here, each at its own moment.
    for moment in 1..=shape.operations as u64 {
        let moment = moment * 10;
        let client = dice.below(u64::from(shape.clients)) as usize;
        let earliest = moment.saturating_sub(10 * u64::from(shape.clients)).max(free_at[client]);
        let called_at = earliest + dice.below(moment.saturating_sub(earliest).max(1));
        let answered_at = moment + 1 + dice.below(10 * u64::from(shape.clients));
        let key = dice.below(shape.keys) as usize;
        let request = request(&mut dice, &keys[key], moment);
        let unanswered = dice.below(100) < shape.unanswered;
        let happens = !unanswered || dice.below(2) == 0;
        let answer = if happens { answer(&mut keys[key], &mut version, request) } else { Answer::NoKey };
        // A client that gave up goes on as another, so its next operation may begin at once.
        free_at[client] = if unanswered { moment + 1 } else { answered_at };
        history.push(Operation {
            client: client as u32,
            key: format!("k{key}"),
            called_at: called_at.min(moment),
            request,
            answered: (!unanswered).then_some((answered_at, answer)),
        });
    }
    if shape.errs {
        err(&mut dice, &mut history);
    }
    history
}

fn request(dice: &mut Dice, key: &Key, value: u64) -> Request {
    let version = key.value.map_or(0, |(_, version)| version);
    let condition = match dice.below(4) {
        0 => Condition::Version(version),
        1 => Condition::Version(key.earlier),
        2 => Condition::Absent,
        _ => Condition::Any,
    };
    match dice.below(8) {
        0..=3 => Request::Get,
        4 => Request::Delete(if condition == Condition::Absent { Condition::Any } else { condition }),
        _ => Request::Put(value, condition),
    }
}

fn answer(key: &mut Key, version: &mut u64, request: Request) -> Answer {
    let current = key.value.map(|(_, version)| version);
    let holds = |condition| match condition {
        Condition::Any => true,
        Condition::Absent => current.is_none(),
        Condition::Version(version) => current == Some(version),
    };
    match request {
        Request::Get => Answer::Found(key.value),
        Request::Put(_, condition) | Request::Delete(condition) if !holds(condition) => {
            Answer::Conflict(current)
        }
        Request::Put(value, _) => {
            *version += 10;
            key.earlier = current.unwrap_or_default();
            key.value = Some((value, *version));
            Answer::Written(*version)
        }
        Request::Delete(_) if current.is_none() => Answer::NoKey,
        Request::Delete(_) => {
            key.value = None;
            Answer::Deleted
        }
    }
}

/// One read finds what was there some time ago, or what never was.
fn err(dice: &mut Dice, history: &mut [Operation]) {
    let start = history.len() / 2 + dice.below(history.len() as u64 / 2) as usize;
    let is_read = |operation: &Operation| operation.request == Request::Get && operation.answered.is_some();
    let Some(at) = (start..history.len()).chain(0..start).find(|at| is_read(&history[*at])) else { return };
    let key = history[at].key.clone();
    let earlier = history[..at / 2].iter().rev().find(|operation| operation.key == key && is_read(operation));
    let stale = earlier.and_then(|operation| operation.answered).map(|(_, answer)| answer);
    let lie = Answer::Found(Some((99_999_999, 5)));
    let honest = history[at].answered;
    let wrong = stale.filter(|stale| Some(*stale) != honest.map(|(_, answer)| answer)).unwrap_or(lie);
    history[at].answered = honest.map(|(moment, _)| (moment, wrong));
}
