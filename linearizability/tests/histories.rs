//! Histories written by hand, histories of a correct store, and histories of a store that errs.

mod brute_force;
mod store;

use linearizability::{Answer, Condition, Moment, Operation, Request, Unproven, check};
use proptest::prelude::*;
use std::time::Instant;

fn operation(client: u32, called_at: Moment, request: Request) -> Operation {
    Operation { client, key: "k".into(), called_at, request, answered: None }
}

/// `client` asks from one moment to another.
fn told(client: u32, called_at: Moment, at: Moment, request: Request, answer: Answer) -> Operation {
    Operation { answered: Some((at, answer)), ..operation(client, called_at, request) }
}

fn get(client: u32, called_at: Moment, at: Moment, found: Option<(u64, u64)>) -> Operation {
    told(client, called_at, at, Request::Get, Answer::Found(found))
}

fn put(client: u32, called_at: Moment, at: Moment, value: u64, version: u64) -> Operation {
    told(client, called_at, at, Request::Put(value, Condition::Any), Answer::Written(version))
}

fn swap(client: u32, called_at: Moment, at: Moment, before: u64, value: u64, answer: Answer) -> Operation {
    told(client, called_at, at, Request::Put(value, Condition::Version(before)), answer)
}

#[test]
fn what_has_an_order_is_accepted() {
    let cases = [
        ("nothing", vec![]),
        ("one after the other", vec![get(1, 0, 1, None), put(1, 2, 3, 7, 1), get(2, 4, 5, Some((7, 1)))]),
        (
            "reads at the same time as a write see it or not",
            vec![put(1, 0, 9, 7, 1), get(2, 1, 2, None), get(3, 3, 4, Some((7, 1)))],
        ),
        (
            "of two who swap the same version, one learns that it lost",
            vec![
                put(1, 0, 1, 7, 1),
                swap(1, 2, 9, 1, 8, Answer::Written(2)),
                swap(2, 2, 9, 1, 9, Answer::Conflict(Some(2))),
            ],
        ),
        (
            "a write without an answer shows up late",
            vec![
                put(1, 0, 1, 7, 1),
                operation(2, 2, Request::Put(8, Condition::Any)),
                get(1, 5, 6, Some((7, 1))),
                get(1, 7, 8, Some((8, 5))),
            ],
        ),
        (
            "or never",
            vec![
                put(1, 0, 1, 7, 1),
                operation(2, 2, Request::Delete(Condition::Any)),
                get(1, 5, 6, Some((7, 1))),
            ],
        ),
        (
            "two without an answer, one on top of the other",
            vec![
                operation(1, 0, Request::Put(7, Condition::Absent)),
                operation(2, 1, Request::Delete(Condition::Any)),
                operation(3, 2, Request::Put(8, Condition::Absent)),
                get(4, 5, 6, Some((7, 1))),
                get(4, 7, 8, Some((8, 3))),
            ],
        ),
        (
            "a deleted key is absent",
            vec![
                put(1, 0, 1, 7, 1),
                told(1, 2, 3, Request::Delete(Condition::Version(1)), Answer::Deleted),
                told(2, 4, 5, Request::Delete(Condition::Any), Answer::NoKey),
                told(2, 6, 7, Request::Put(8, Condition::Absent), Answer::Written(3)),
            ],
        ),
    ];
    for (name, history) in cases {
        assert_eq!(check(&history), Ok(()), "{name}");
        assert!(brute_force::explains(&history), "{name}");
    }
}

#[test]
fn what_has_no_order_is_refused() {
    let cases = [
        ("a stale read", vec![put(1, 0, 1, 7, 1), put(1, 2, 3, 8, 2), get(2, 4, 5, Some((7, 1)))]),
        ("a lost write", vec![put(1, 0, 1, 7, 1), get(2, 2, 3, None)]),
        ("a read from the future", vec![get(2, 0, 1, Some((7, 1))), put(1, 2, 3, 7, 1)]),
        ("a value out of nothing", vec![get(2, 0, 1, Some((7, 1)))]),
        (
            "two who both swapped the same version",
            vec![
                put(1, 0, 1, 7, 1),
                swap(1, 2, 9, 1, 8, Answer::Written(2)),
                swap(2, 2, 9, 1, 9, Answer::Written(3)),
            ],
        ),
        (
            "a conflict with what was the wanted version all the time",
            vec![put(1, 0, 1, 7, 1), swap(1, 2, 3, 1, 8, Answer::Conflict(Some(1)))],
        ),
        (
            "a write without an answer that shows up, vanishes and shows up again",
            vec![
                put(1, 0, 1, 7, 1),
                operation(2, 2, Request::Put(8, Condition::Any)),
                get(1, 3, 4, Some((8, 2))),
                put(1, 5, 6, 9, 3),
                get(1, 7, 8, Some((8, 2))),
            ],
        ),
        (
            "one write with two versions",
            vec![
                operation(2, 0, Request::Put(8, Condition::Any)),
                get(1, 3, 4, Some((8, 2))),
                get(1, 5, 6, Some((8, 3))),
            ],
        ),
        (
            "readers who disagree about the order of two writes",
            vec![
                put(1, 0, 20, 7, 1),
                put(2, 0, 20, 8, 2),
                get(3, 1, 2, Some((8, 2))),
                get(3, 3, 4, Some((7, 1))),
            ],
        ),
        ("versions that go down", vec![put(1, 0, 1, 7, 5), put(1, 2, 3, 8, 4)]),
    ];
    for (name, history) in cases {
        assert!(matches!(check(&history), Err(Unproven::Violation(_))), "{name}");
        assert!(!brute_force::explains(&history), "{name}");
    }
}

#[test]
fn a_violation_shows_what_a_person_needs() {
    let mut history: Vec<_> = (1..500).map(|at| put(1, at * 10, at * 10 + 5, at, at)).collect();
    history.push(operation(3, 4_000, Request::Put(1_000, Condition::Absent)));
    history.push(get(2, 4_991, 4_992, Some((497, 497))));
    history.extend((500..600).map(|at| put(1, at * 10, at * 10 + 5, at, at)));
    let shown = check(&history).unwrap_err().to_string();
    assert!(shown.starts_with(
        "key \"k\": no order of events explains\n    [4991 to 4992] client 2: get: 497, version 497\n"
    ));
    assert!(shown.contains("[4990 to ?] client 1: put 499: no answer"), "{shown}");
    assert!(shown.lines().count() < 20, "{shown}");
}

#[test]
fn keys_are_judged_one_by_one() {
    let other = Operation { key: "other".into(), ..get(2, 4, 5, None) };
    assert_eq!(check(&[put(1, 0, 1, 7, 1), other.clone()]), Ok(()));
    assert!(check(&[put(1, 0, 1, 7, 1), Operation { key: "k".into(), ..other }]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// About half of these histories are wrong.
    #[test]
    fn small_histories_are_judged_as_by_brute_force(seed in any::<u64>(), errs in any::<bool>()) {
        let history = store::history(seed, &store::Shape { errs, ..store::Shape::small() });
        let judged = check(&history);
        let is_judged = !matches!(judged, Err(Unproven::TooHard { .. }));
        prop_assert!(is_judged);
        prop_assert_eq!(judged.is_ok(), brute_force::explains(&history), "{:?} {:#?}", judged, history);
        prop_assert!(errs || judged.is_ok(), "a correct store is refused: {:?}", judged);
    }
}

#[test]
fn ten_thousand_operations_of_sixteen_clients_take_no_time() {
    for seed in 0..4 {
        let history = store::history(seed, &store::Shape::large());
        assert_eq!(history.len(), 10_000);
        let begin = Instant::now();
        assert_eq!(check(&history), Ok(()));
        let accepted = begin.elapsed();
        let begin = Instant::now();
        let wrong = store::history(seed, &store::Shape { errs: true, ..store::Shape::large() });
        let judged = check(&wrong);
        assert!(matches!(judged, Err(Unproven::Violation(_))), "{judged:?}");
        eprintln!("seed {seed}: accepted in {accepted:?}, refused in {:?}", begin.elapsed());
        assert!(begin.elapsed().as_secs() < 20 && accepted.as_secs() < 20);
    }
}
