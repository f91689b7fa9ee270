//! The search for an order that explains the operations on one key.

use crate::Operation;
use crate::key::State;
use std::collections::HashSet;

pub enum Verdict {
    Linearizable,
    /// The longest order that explains a part, and what it leaves behind.
    Violation {
        order: Vec<usize>,
        state: State,
    },
    TooHard,
}

/// Which operations have happened, and what is there now. Two orders that lead here have the same future.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
struct Point {
    /// All operations with an answer before this one have happened.
    first_open: usize,
    /// Those after it that have, in order.
    ahead: Vec<usize>,
    /// Operations without an answer that have, in order.
    unanswered: Vec<usize>,
    state: State,
}

struct Step {
    point: Point,
    /// What may happen next and has not been tried; the best comes last.
    candidates: Vec<usize>,
}

/// Operations by their calls; the answered ones first.
pub struct Search<'a> {
    answered: Vec<(usize, &'a Operation)>,
    unanswered: Vec<(usize, &'a Operation)>,
}

impl<'a> Search<'a> {
    pub fn new(operations: &[&'a Operation]) -> Search<'a> {
        let mut all: Vec<_> = operations.iter().copied().enumerate().collect();
        all.sort_by_key(|(at, operation)| (operation.called_at, *at));
        let (answered, unanswered) = all.into_iter().partition(|(_, operation)| operation.answered.is_some());
        Search { answered, unanswered }
    }

    pub fn run(&self, steps_max: usize) -> Verdict {
        let mut tried = HashSet::new();
        let mut steps = vec![self.step(Point::default())];
        let mut order: Vec<usize> = Vec::new();
        let mut longest = (0, Vec::new(), State::default());
        while let Some(step) = steps.last_mut() {
            let answered = step.point.first_open + step.point.ahead.len();
            if answered == self.answered.len() {
                return Verdict::Linearizable;
            }
            if answered > longest.0 {
                longest = (answered, order.clone(), step.point.state);
            }
            let Some(candidate) = step.candidates.pop() else {
                steps.pop();
                order.pop();
                continue;
            };
            let Some(next) = self.after(&step.point, candidate) else { continue };
            if tried.contains(&next) {
                continue;
            }
            if tried.len() == steps_max {
                return Verdict::TooHard;
            }
            tried.insert(next.clone());
            order.push(self.place(candidate));
            steps.push(self.step(next));
        }
        Verdict::Violation { order: longest.1, state: longest.2 }
    }

    /// Candidates beyond the answered operations are unanswered ones.
    fn operation(&self, candidate: usize) -> (usize, &'a Operation) {
        match candidate.checked_sub(self.answered.len()) {
            None => self.answered[candidate],
            Some(unanswered) => self.unanswered[unanswered],
        }
    }

    fn place(&self, candidate: usize) -> usize {
        self.operation(candidate).0
    }

    /// Whatever was called before the first open answer may be next. The first to be answered is the best guess,
    /// and that something without an answer happened is the last.
    fn step(&self, point: Point) -> Step {
        let mut open = Vec::new();
        let mut first_answer = u64::MAX;
        for (at, (_, operation)) in self.answered.iter().enumerate().skip(point.first_open) {
            if operation.called_at > first_answer {
                break;
            }
            if point.ahead.binary_search(&at).is_ok() {
                continue;
            }
            let answered_at = operation.answered.map_or(u64::MAX, |(at, _)| at);
            first_answer = first_answer.min(answered_at);
            open.push((answered_at, at));
        }
        open.sort_unstable_by(|one, other| other.cmp(one));
        let unanswered = self.unanswered.iter().enumerate();
        let unanswered = unanswered.take_while(|(_, (_, operation))| operation.called_at <= first_answer);
        let unanswered = unanswered.filter(|(at, _)| point.unanswered.binary_search(at).is_err());
        let mut candidates: Vec<usize> = unanswered.map(|(at, _)| self.answered.len() + at).collect();
        candidates.extend(open.into_iter().map(|(_, at)| at));
        Step { point, candidates }
    }

    fn after(&self, point: &Point, candidate: usize) -> Option<Point> {
        let (_, operation) = self.operation(candidate);
        let state = point.state.after(operation.request, operation.answered.map(|(_, answer)| answer))?;
        let mut next = Point { state, ..point.clone() };
        match candidate.checked_sub(self.answered.len()) {
            Some(unanswered) => insert(&mut next.unanswered, unanswered),
            None => insert(&mut next.ahead, candidate),
        }
        let done =
            next.ahead.iter().zip(next.first_open..).take_while(|(at, expected)| **at == *expected).count();
        next.ahead.drain(..done);
        next.first_open += done;
        Some(next)
    }
}

fn insert(sorted: &mut Vec<usize>, value: usize) {
    if let Err(at) = sorted.binary_search(&value) {
        sorted.insert(at, value);
    }
}
