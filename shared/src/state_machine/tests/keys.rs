//! Keys: what each change does, and that any run of changes comes to what a simple model comes to.

use super::super::*;
use crate::ids::NodeId;
use crate::limits;
use crate::time::{Duration, Time};
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeMap;

const ME: NodeId = NodeId::from_bytes([1; 10]);

/// A machine with a session, and its clock.
struct Store {
    machine: StateMachine,
    session: SessionId,
    sequence: Sequence,
    now: Time,
    changes: Vec<Change>,
}

impl Store {
    fn new() -> Store {
        let mut machine = StateMachine::default();
        let now = Time::from_millis(1_000);
        let opened =
            machine.apply(Stamped { at: now, by: ME, command: Command::OpenSession }, &mut Vec::new());
        let Outcome::Opened(session) = opened else { panic!("{opened:?}") };
        Store { machine, session, sequence: Sequence::default(), now, changes: Vec::new() }
    }

    fn apply(&mut self, command: Command) -> Outcome {
        self.machine.apply(Stamped { at: self.now, by: ME, command }, &mut self.changes)
    }

    fn change(&mut self, key: &Key, condition: Condition, operation: KeyOperation) -> Outcome {
        self.sequence = self.sequence.next();
        let call = Call { session: self.session, sequence: self.sequence, lowest_open: self.sequence };
        let change = KeyChange { key: key.clone(), condition, operation };
        self.apply(Command::ChangeKey { call, change })
    }

    fn put(&mut self, name: &str, value: &'static str) -> Outcome {
        self.change(&key(name), Condition::Any, put(value, None))
    }

    fn value(&self, name: &str) -> Option<Bytes> {
        let state = self.machine.state();
        state.keys.get(&key(name), state.now).map(|entry| entry.value.clone())
    }

    fn names(&self, prefix: &str, after: Option<&str>) -> Vec<String> {
        let state = self.machine.state();
        let after = after.map(key);
        let found = state.keys.with_prefix(prefix, after.as_ref(), state.now);
        found.map(|(key, _)| key.to_string()).collect()
    }
}

fn key(name: &str) -> Key {
    name.parse().unwrap()
}

fn put(value: &'static str, ttl: Option<u64>) -> KeyOperation {
    KeyOperation::Put { value: value.into(), ttl: ttl.map(Duration::from_secs) }
}

fn created(version: u64) -> Outcome {
    Outcome::Put { version: Version::new(version), created: true }
}

fn replaced(version: u64) -> Outcome {
    Outcome::Put { version: Version::new(version), created: false }
}

fn conflict(version: Option<u64>) -> Outcome {
    Outcome::Rejected(Rejection::KeyConflict { current: version.map(Version::new) })
}

#[test]
fn a_change_happens_when_its_condition_holds() {
    use Condition::*;
    let version = Condition::Version(super::super::Version::new(1));
    let other = Condition::Version(super::super::Version::new(9));
    let no_key = Outcome::Rejected(Rejection::NoKey);
    let table = [
        (Any, created(1), replaced(2), no_key.clone(), Outcome::Done),
        (Absent, created(1), conflict(Some(1)), no_key, conflict(Some(1))),
        (Present, conflict(None), replaced(2), conflict(None), Outcome::Done),
        (version, conflict(None), replaced(2), conflict(None), Outcome::Done),
        (other, conflict(None), conflict(Some(1)), conflict(None), conflict(Some(1))),
    ];
    for (condition, put_new, put_old, delete_new, delete_old) in table {
        let check = |exists: bool, operation: KeyOperation, expected: Outcome| {
            let mut store = Store::new();
            if exists {
                store.put("k", "before");
            }
            let before = store.machine.state().keys.clone();
            let outcome = store.change(&key("k"), condition, operation);
            assert_eq!(outcome, expected, "{condition:?}, exists: {exists}");
            if matches!(outcome, Outcome::Rejected(_)) {
                assert_eq!(store.machine.state().keys, before);
            }
        };
        check(false, put("v", None), put_new);
        check(true, put("v", None), put_old);
        check(false, KeyOperation::Delete, delete_new);
        check(true, KeyOperation::Delete, delete_old);
    }
}

#[test]
fn no_version_is_used_twice() {
    let mut store = Store::new();
    assert_eq!(store.put("k", "one"), created(1));
    assert_eq!(store.change(&key("k"), Condition::Any, KeyOperation::Delete), Outcome::Done);
    assert_eq!(store.put("k", "one"), created(3), "the deletion was change 2");
    let stale = Condition::Version(Version::new(1));
    assert_eq!(store.change(&key("k"), stale, put("two", None)), conflict(Some(3)));
}

#[test]
fn a_key_whose_time_is_over_is_gone_before_it_is_taken_out() {
    let mut store = Store::new();
    store.change(&key("short"), Condition::Any, put("v", Some(10)));
    store.change(&key("long"), Condition::Any, put("v", Some(20)));
    store.put("good", "v");
    assert_eq!(store.machine.state().keys.next_end(), Some(store.now + Duration::from_secs(10)));
    store.now = store.now + Duration::from_secs(10);
    store.put("other", "this brings the time on");
    assert_eq!(store.value("short"), None);
    assert_eq!(store.names("", None), ["good", "long", "other"]);
    assert_eq!(store.machine.state().keys.len(), 4, "still in memory");
    assert_eq!(
        store.change(&key("short"), Condition::Absent, put("again", None)),
        created(6),
        "for conditions too, and its end was change 5"
    );
    store.now = store.now + Duration::from_secs(10);
    store.changes.clear();
    store.apply(Command::ExpireKeys);
    let expired = KeyEvent { key: key("long"), version: Version::new(7), happened: KeyHappened::Expired };
    assert_eq!(store.changes, [Change::Key(expired)], "short has a new value, for good");
    assert_eq!(store.machine.state().keys.next_end(), None);
}

#[test]
fn a_key_that_is_put_again_after_its_time_is_told_as_expired_first() {
    let mut store = Store::new();
    store.change(&key("k"), Condition::Any, put("v", Some(10)));
    store.now = store.now + Duration::from_secs(10);
    let stale = Condition::Version(Version::new(1));
    assert_eq!(store.change(&key("k"), stale, put("again", None)), conflict(None));
    store.changes.clear();
    assert_eq!(store.put("k", "again"), created(3));
    let told =
        |version, happened| Change::Key(KeyEvent { key: key("k"), version: Version::new(version), happened });
    let put = KeyHappened::Put { value: "again".into(), expires_at: None };
    assert_eq!(store.changes, [told(2, KeyHappened::Expired), told(3, put)]);
    store.changes.clear();
    store.apply(Command::ExpireKeys);
    assert_eq!(store.changes, [], "once");
}

#[test]
fn an_older_clock_brings_nothing_back() {
    let mut store = Store::new();
    store.change(&key("k"), Condition::Any, put("v", Some(10)));
    store.now = store.now + Duration::from_secs(10);
    store.put("other", "v");
    store.now = Time::from_millis(2_000);
    store.put("other", "from a leader whose clock is behind");
    assert_eq!(store.value("k"), None);
}

#[test]
fn a_new_value_has_a_new_time() {
    let mut store = Store::new();
    store.change(&key("k"), Condition::Any, put("v", Some(10)));
    store.now = store.now + Duration::from_secs(9);
    store.change(&key("k"), Condition::Any, put("v", Some(10)));
    store.now = store.now + Duration::from_secs(9);
    store.apply(Command::ExpireKeys);
    assert!(store.value("k").is_some());
    store.put("k", "for good");
    store.now = store.now + Duration::from_secs(100);
    store.apply(Command::ExpireKeys);
    assert_eq!(store.value("k"), Some("for good".into()));
}

#[test]
fn keys_are_listed_by_prefix_in_order() {
    let mut store = Store::new();
    for name in ["a", "a/1", "a/2", "a/ü", "b", "\u{10ffff}"] {
        store.put(name, "v");
    }
    assert_eq!(store.names("a/", None), ["a/1", "a/2", "a/ü"]);
    assert_eq!(store.names("a/", Some("a/1")), ["a/2", "a/ü"]);
    assert_eq!(store.names("a/", Some("a")), ["a/1", "a/2", "a/ü"], "a place before the prefix");
    assert!(store.names("a/", Some("b")).is_empty());
    assert_eq!(store.names("", None).len(), 6);
    assert!(store.names("c", None).is_empty());
}

#[test]
fn keys_and_values_are_bounded() {
    let longest = "k".repeat(limits::KEY_BYTES_MAX);
    assert_eq!("".parse::<Key>(), Err(KeyError::Empty));
    assert_eq!(format!("{longest}k").parse::<Key>(), Err(KeyError::TooLong));
    let too_long = crate::wire::encode(1, &format!("{longest}k"));
    assert!(crate::wire::decode::<Key>(1, &too_long, 10_000).is_err(), "nor from a peer");

    let mut store = Store::new();
    let largest = |more: usize| KeyOperation::Put {
        value: vec![7; limits::VALUE_BYTES_MAX + more].into(),
        ttl: Some(Duration::MAX),
    };
    let bytes_max = limits::VALUE_BYTES_MAX as u32;
    let refused = Outcome::Rejected(Rejection::ValueTooLarge { bytes_max });
    assert_eq!(store.change(&key(&longest), Condition::Any, largest(1)), refused);
    assert_eq!(store.change(&key(&longest), Condition::Any, largest(0)), created(1));
    let call = Call {
        session: store.session,
        sequence: Sequence::new(u64::MAX),
        lowest_open: Sequence::new(u64::MAX),
    };
    let change = KeyChange { key: key(&longest), condition: Condition::Absent, operation: largest(0) };
    let command =
        Stamped { at: Time::from_micros(u64::MAX), by: ME, command: Command::ChangeKey { call, change } };
    assert!(command.encode().len() <= limits::COMMAND_BYTES_MAX, "the largest fits into the log");
}

#[test]
fn a_full_state_takes_what_makes_it_smaller() {
    let mut store = Store::new();
    let value = Bytes::from(vec![7; limits::VALUE_BYTES_MAX]);
    let large = || KeyOperation::Put { value: value.clone(), ttl: None };
    let full = Outcome::Rejected(Rejection::StateFull { bytes_max: limits::STATE_BYTES_MAX });
    let fits =
        (0..200).take_while(|n| store.change(&key(&format!("{n}")), Condition::Any, large()) != full).count();
    assert!((128..140).contains(&fits), "{fits}");
    assert_eq!(store.put("new", "v"), full);
    assert!(matches!(store.put("1", "small"), Outcome::Put { created: false, .. }));
    assert_eq!(store.change(&key("0"), Condition::Any, KeyOperation::Delete), Outcome::Done);
    assert!(matches!(store.put("new", "v"), Outcome::Put { created: true, .. }));
}

#[test]
fn the_number_of_keys_is_bounded_and_one_command_takes_few_of_them_out() {
    let mut store = Store::new();
    for n in 0..limits::KEYS_MAX {
        store.change(&key(&n.to_string()), Condition::Any, put("", Some(1)));
    }
    let full = Outcome::Rejected(Rejection::TooManyKeys { keys_max: limits::KEYS_MAX as u32 });
    assert_eq!(store.put("one more", ""), full);
    assert_eq!(store.change(&key("0"), Condition::Any, put("", Some(1))), replaced(1_000_001));
    store.now = store.now + Duration::from_secs(1);
    store.changes.clear();
    store.apply(Command::ExpireKeys);
    assert_eq!(store.changes.len(), limits::EXPIRED_KEYS_MAX);
    assert_eq!(store.machine.state().keys.len(), limits::KEYS_MAX - limits::EXPIRED_KEYS_MAX);
}

#[derive(Clone, Debug)]
enum Step {
    Put { key: u8, condition: u8, ttl: Option<u64> },
    Delete { key: u8, condition: u8 },
    Expire,
    Wait(u64),
    Restore,
}

fn step() -> impl Strategy<Value = Step> {
    let (key, condition) = (0..4u8, 0..5u8);
    prop_oneof![
        4 => (key.clone(), condition.clone(), proptest::option::of(1..5u64))
            .prop_map(|(key, condition, ttl)| Step::Put { key, condition, ttl }),
        2 => (key, condition).prop_map(|(key, condition)| Step::Delete { key, condition }),
        1 => Just(Step::Expire),
        2 => (1..4u64).prop_map(Step::Wait),
        1 => Just(Step::Restore),
    ]
}

/// What the store should hold: a version and an end for each key.
#[derive(Default)]
struct Model {
    keys: BTreeMap<u8, (u64, Option<Time>)>,
    version: u64,
}

impl Model {
    fn current(&self, key: u8, now: Time) -> Option<u64> {
        self.keys.get(&key).filter(|(_, end)| end.is_none_or(|end| end > now)).map(|(version, _)| *version)
    }

    fn step(&mut self, step: &Step, now: Time) -> Option<Outcome> {
        match *step {
            Step::Put { key, condition, ttl } => {
                let current = self.current(key, now);
                if !holds(condition, current) {
                    return Some(conflict(current));
                }
                // A key that is over and still in memory ends first.
                let is_over = current.is_none() && self.keys.contains_key(&key);
                self.version += 1 + u64::from(is_over);
                self.keys.insert(key, (self.version, ttl.map(|ttl| now + Duration::from_secs(ttl))));
                Some(if current.is_some() { replaced(self.version) } else { created(self.version) })
            }
            Step::Delete { key, condition } => {
                let current = self.current(key, now);
                if !holds(condition, current) {
                    return Some(conflict(current));
                }
                if current.is_none() {
                    return Some(Outcome::Rejected(Rejection::NoKey));
                }
                self.version += 1;
                self.keys.remove(&key);
                Some(Outcome::Done)
            }
            Step::Expire => {
                let before = self.keys.len();
                self.keys.retain(|_, (_, end)| end.is_none_or(|end| end > now));
                self.version += (before - self.keys.len()) as u64;
                None
            }
            Step::Wait(_) | Step::Restore => None,
        }
    }
}

/// Versions of the model's own, so that it shares nothing with what it checks.
fn holds(condition: u8, current: Option<u64>) -> bool {
    match condition {
        0 => true,
        1 => current.is_none(),
        2 => current.is_some(),
        version => current == Some(u64::from(version) - 2),
    }
}

fn condition(number: u8) -> Condition {
    match number {
        0 => Condition::Any,
        1 => Condition::Absent,
        2 => Condition::Present,
        version => Condition::Version(Version::new(u64::from(version) - 2)),
    }
}

proptest! {
    #[test]
    fn any_run_of_changes_comes_to_what_the_model_says(steps in prop::collection::vec(step(), 1..60)) {
        let mut store = Store::new();
        let mut model = Model::default();
        for step in steps {
            let expected = model.step(&step, store.now);
            let outcome = match step {
                Step::Put { key: k, condition: c, ttl } => {
                    Some(store.change(&key(&k.to_string()), condition(c), put("v", ttl)))
                }
                Step::Delete { key: k, condition: c } => {
                    Some(store.change(&key(&k.to_string()), condition(c), KeyOperation::Delete))
                }
                Step::Expire => {
                    store.apply(Command::ExpireKeys);
                    None
                }
                Step::Wait(seconds) => {
                    store.now = store.now + Duration::from_secs(seconds);
                    None
                }
                Step::Restore => {
                    let restored = StateMachine::restore(&store.machine.snapshot()).unwrap();
                    prop_assert_eq!(&restored, &store.machine, "with the same sums and indexes");
                    store.machine = restored;
                    None
                }
            };
            prop_assert_eq!(outcome, expected);
            let keys = &store.machine.state().keys;
            prop_assert_eq!(keys.version().get(), model.version);
            for k in 0..4 {
                let found = keys.get(&key(&k.to_string()), store.now).map(|entry| entry.version.get());
                prop_assert_eq!(found, model.current(k, store.now));
            }
            prop_assert_eq!(keys.next_end(), model.keys.values().filter_map(|(_, end)| *end).min());
        }
    }
}
