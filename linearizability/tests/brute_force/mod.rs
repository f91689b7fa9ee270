//! Every order, one after the other: slow, and too simple to be wrong in the same way as the search.

use linearizability::{Answer, Condition, Operation, Request};

#[derive(Clone, Copy)]
struct Store {
    value: Option<(u64, u64)>,
    last_version: u64,
}

/// Histories of one key. Versions between those that are named are guessed too, if there is room for them.
pub fn explains(history: &[Operation]) -> bool {
    any_order(history, &mut vec![false; history.len()], Store { value: None, last_version: 0 })
}

fn any_order(history: &[Operation], done: &mut Vec<bool>, store: Store) -> bool {
    let is_open = |at: &usize, done: &[bool]| !done[*at] && history[*at].answered.is_some();
    let open: Vec<usize> = (0..history.len()).filter(|at| is_open(at, done)).collect();
    if open.is_empty() {
        return true;
    }
    let first_answer = open.iter().filter_map(|at| history[*at].answered.map(|(moment, _)| moment)).min();
    for at in 0..history.len() {
        if done[at] || first_answer.is_some_and(|first| history[at].called_at > first) {
            continue;
        }
        done[at] = true;
        if outcomes(&store, &history[at], history).into_iter().any(|next| any_order(history, done, next)) {
            return true;
        }
        done[at] = false;
    }
    false
}

/// All that an operation may leave behind if it happens here and leads to this answer, or to any if there is none.
fn outcomes(store: &Store, operation: &Operation, history: &[Operation]) -> Vec<Store> {
    let current = store.value.map(|(_, version)| version);
    let holds = |condition: Condition| match condition {
        Condition::Any => true,
        Condition::Absent => current.is_none(),
        Condition::Version(version) => current == Some(version),
    };
    let answer = operation.answered.map(|(_, answer)| answer);
    let written = |value: u64, version: u64| Store { value: Some((value, version)), last_version: version };
    let is = |wanted: Answer| answer.is_none() || answer == Some(wanted);
    match operation.request {
        Request::Get => Vec::from_iter(is(Answer::Found(store.value)).then_some(*store)),
        Request::Put(_, condition) | Request::Delete(condition) if !holds(condition) => {
            let refusal = match operation.request {
                Request::Delete(Condition::Any) => Answer::NoKey,
                _ => Answer::Conflict(current),
            };
            Vec::from_iter(is(refusal).then_some(*store))
        }
        Request::Put(value, _) => {
            let versions = versions(history).into_iter().chain([store.last_version + 1]);
            let rising = versions.filter(|version| *version > store.last_version);
            rising
                .filter(|version| is(Answer::Written(*version)))
                .map(|version| written(value, version))
                .collect()
        }
        Request::Delete(_) if store.value.is_none() => Vec::from_iter(is(Answer::NoKey).then_some(*store)),
        Request::Delete(_) => Vec::from_iter(is(Answer::Deleted).then_some(Store { value: None, ..*store })),
    }
}

/// All versions that anybody named.
fn versions(history: &[Operation]) -> Vec<u64> {
    let asked = history.iter().filter_map(|operation| match operation.request {
        Request::Put(_, Condition::Version(version)) | Request::Delete(Condition::Version(version)) => {
            Some(version)
        }
        _ => None,
    });
    let told = history.iter().filter_map(|operation| match operation.answered?.1 {
        Answer::Found(Some((_, version))) | Answer::Written(version) | Answer::Conflict(Some(version)) => {
            Some(version)
        }
        _ => None,
    });
    let mut versions: Vec<u64> = asked.chain(told).collect();
    versions.sort_unstable();
    versions.dedup();
    versions
}
