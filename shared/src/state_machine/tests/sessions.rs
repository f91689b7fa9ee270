//! Sessions: a copy of a command that was applied changes nothing, and gets the first one's outcome.

use super::super::*;
use crate::ids::NodeId;
use crate::limits;
use crate::time::{Duration, Time};

const ME: NodeId = NodeId::from_bytes([1; 10]);
const OTHER: NodeId = NodeId::from_bytes([2; 10]);

fn apply_of(by: NodeId, machine: &mut StateMachine, at: Time, command: Command) -> Outcome {
    machine.apply(Stamped { at, by, command }, &mut Vec::new())
}

fn apply(machine: &mut StateMachine, at: Time, command: Command) -> Outcome {
    apply_of(ME, machine, at, command)
}

fn open(machine: &mut StateMachine, at: Time) -> SessionId {
    open_of(ME, machine, at)
}

fn open_of(by: NodeId, machine: &mut StateMachine, at: Time) -> SessionId {
    match apply_of(by, machine, at, Command::OpenSession) {
        Outcome::Opened(session) => session,
        other => panic!("{other:?}"),
    }
}

fn call(session: SessionId, sequence: u64, lowest_open: u64) -> Call {
    Call { session, sequence: Sequence::new(sequence), lowest_open: Sequence::new(lowest_open) }
}

fn put(call: Call) -> Command {
    Command::ChangeKey { call, change: KeyChange::put("k".parse().unwrap(), "v".into()) }
}

const START: Time = Time::from_millis(1_000);
const NO_SESSION: Outcome = Outcome::Rejected(Rejection::NoSession);
const OUT_OF_SEQUENCE: Outcome = Outcome::Rejected(Rejection::OutOfSequence);

#[test]
fn bug_23_a_retry_is_applied_once_and_gets_the_same_answer() {
    let mut machine = StateMachine::default();
    let session = open(&mut machine, START);
    let if_absent =
        KeyChange { condition: Condition::Absent, ..KeyChange::put("k".parse().unwrap(), "v".into()) };
    let create =
        |sequence| Command::ChangeKey { call: call(session, sequence, 0), change: if_absent.clone() };
    let first = apply(&mut machine, START, create(0));
    assert!(matches!(first, Outcome::Put { created: true, .. }));
    let conflict = apply(&mut machine, START, create(1));
    assert!(matches!(conflict, Outcome::Rejected(Rejection::KeyConflict { .. })));
    // Through a snapshot, which another member may have got meanwhile.
    let mut machine = StateMachine::restore(&machine.snapshot()).unwrap();
    let before = machine.clone();
    let mut changes = Vec::new();
    let retry = machine.apply(Stamped { at: START, by: ME, command: create(0) }, &mut changes);
    assert_eq!((retry, changes), (first, Vec::new()));
    assert_eq!(apply(&mut machine, START, create(1)), conflict, "a rejection is an answer, too");
    assert_eq!(machine, before);
}

#[test]
fn an_answer_is_kept_until_its_client_has_it() {
    let mut machine = StateMachine::default();
    let session = open(&mut machine, START);
    let first = apply(&mut machine, START, put(call(session, 0, 0)));
    apply(&mut machine, START, put(call(session, 2, 0)));
    assert_eq!(apply(&mut machine, START, put(call(session, 0, 0))), first);
    let digest = machine.digest();
    apply(&mut machine, START, put(call(session, 1, 1)));
    assert_eq!(apply(&mut machine, START, put(call(session, 0, 0))), OUT_OF_SEQUENCE, "nobody waits for it");
    assert_ne!(machine.digest(), digest);
}

#[test]
fn a_session_is_not_further_ahead_than_it_may_be() {
    let mut machine = StateMachine::default();
    let session = open(&mut machine, START);
    let max = limits::SESSION_ANSWERS_MAX as u64;
    assert_eq!(apply(&mut machine, START, put(call(session, max, 0))), OUT_OF_SEQUENCE);
    assert!(matches!(apply(&mut machine, START, put(call(session, max - 1, 0))), Outcome::Put { .. }));
    assert!(matches!(apply(&mut machine, START, put(call(session, max, 1))), Outcome::Put { .. }));
    let nonsense = put(call(session, u64::MAX - 1, u64::MAX));
    assert_eq!(apply(&mut machine, START, nonsense), OUT_OF_SEQUENCE);
    assert!(matches!(apply(&mut machine, START, put(call(session, max + 1, 2))), Outcome::Put { .. }));
}

#[test]
fn an_idle_session_goes_and_its_late_commands_change_nothing() {
    let mut machine = StateMachine::default();
    let (idle, used) = (open(&mut machine, START), open(&mut machine, START));
    apply(&mut machine, START, put(call(idle, 0, 0)));
    let almost = START + (limits::SESSION_IDLE_MAX - Duration::from_secs(1));
    apply(&mut machine, almost, put(call(used, 0, 0)));
    let end = START + limits::SESSION_IDLE_MAX;
    assert_eq!(machine.state().sessions.next_end(), Some(end));
    apply(&mut machine, end, Command::ExpireKeys);
    assert_eq!(machine.state().sessions.len(), 1);
    let keys = machine.state().keys.clone();
    assert_eq!(apply(&mut machine, end, put(call(idle, 0, 0))), NO_SESSION);
    assert_eq!(machine.state().keys, keys);
    assert!(matches!(apply(&mut machine, end, put(call(used, 1, 1))), Outcome::Put { .. }));
    assert!(open(&mut machine, end) > used, "an id is never used again");
}

#[test]
fn one_session_too_many_takes_the_place_of_the_least_used() {
    let mut machine = StateMachine::default();
    let first = open(&mut machine, START);
    let later = START + Duration::from_secs(5);
    let second = open(&mut machine, later);
    for n in 2..limits::SESSIONS_MAX as u64 {
        let mut member = [3; 10];
        member[..8].copy_from_slice(&n.to_le_bytes());
        open_of(NodeId::from_bytes(member), &mut machine, later);
    }
    let latest = later + Duration::from_secs(5);
    assert!(matches!(apply(&mut machine, latest, put(call(first, 0, 0))), Outcome::Put { .. }));
    assert_eq!(machine.state().sessions.len(), limits::SESSIONS_MAX);
    open_of(OTHER, &mut machine, latest);
    assert_eq!(machine.state().sessions.len(), limits::SESSIONS_MAX);
    assert_eq!(apply(&mut machine, latest, put(call(second, 0, 0))), NO_SESSION);
    assert!(matches!(apply(&mut machine, latest, put(call(first, 1, 1))), Outcome::Put { .. }));
}

#[test]
fn a_session_of_another_member_is_none() {
    let mut machine = StateMachine::default();
    let session = open(&mut machine, START);
    let first = apply(&mut machine, START, put(call(session, 0, 0)));
    let before = machine.clone();
    for stolen in [call(session, 0, 0), call(session, 1, 0), call(session, 9, 9)] {
        assert_eq!(apply_of(OTHER, &mut machine, START, put(stolen)), NO_SESSION);
    }
    assert_eq!(machine, before, "neither used nor moved on");
    assert_eq!(apply(&mut machine, START, put(call(session, 0, 0))), first);
}

#[test]
fn one_session_too_many_of_a_member_takes_the_place_of_its_own() {
    let mut machine = StateMachine::default();
    let others = open_of(OTHER, &mut machine, START);
    let own: Vec<SessionId> = (0..=limits::SESSIONS_OF_A_MEMBER_MAX as u64)
        .map(|n| open(&mut machine, START + Duration::from_secs(n)))
        .collect();
    assert_eq!(machine.state().sessions.len(), limits::SESSIONS_OF_A_MEMBER_MAX + 1);
    assert_eq!(apply(&mut machine, START, put(call(own[0], 0, 0))), NO_SESSION);
    assert!(matches!(apply(&mut machine, START, put(call(own[1], 0, 0))), Outcome::Put { .. }));
    let outcome = apply_of(OTHER, &mut machine, START, put(call(others, 0, 0)));
    assert!(matches!(outcome, Outcome::Put { .. }), "the oldest of all, and not theirs to end");
}

#[test]
fn kept_answers_are_bounded_over_all_sessions() {
    let mut machine = StateMachine::default();
    let each = limits::SESSION_ANSWERS_MAX as u64;
    let sessions: Vec<(NodeId, SessionId)> = (0..=limits::ANSWERS_MAX.div_ceil(limits::SESSION_ANSWERS_MAX))
        .map(|n| {
            let member = NodeId::from_bytes([n as u8; 10]);
            (member, open_of(member, &mut machine, START + Duration::from_secs(n as u64)))
        })
        .collect();
    let mut kept = 0;
    'full: for (member, session) in &sessions[1..] {
        for sequence in 0..each {
            if kept == limits::ANSWERS_MAX {
                break 'full;
            }
            let outcome = apply_of(*member, &mut machine, START, put(call(*session, sequence, 0)));
            assert!(matches!(outcome, Outcome::Put { .. }));
            kept += 1;
        }
    }
    assert_eq!(machine.state().sessions.len(), sessions.len());
    let (member, session) = sessions[0];
    apply_of(member, &mut machine, START, put(call(session, 0, 0)));
    assert_eq!(machine.state().sessions.len(), sessions.len() - 1, "the least used gave way");
    assert_eq!(machine, StateMachine::restore(&machine.snapshot()).unwrap());
}

#[test]
fn a_member_with_too_many_answers_makes_room_among_its_own() {
    let mut machine = StateMachine::default();
    let others = open_of(OTHER, &mut machine, START);
    let first = apply_of(OTHER, &mut machine, START, put(call(others, 0, 0)));
    let later = START + Duration::from_secs(5);
    let each = limits::SESSION_ANSWERS_MAX;
    let mut sessions = Vec::new();
    for n in 0..limits::ANSWERS_MAX / each {
        let member = NodeId::from_bytes([10 + (n / limits::SESSIONS_OF_A_MEMBER_MAX) as u8; 10]);
        let session = open_of(member, &mut machine, later);
        sessions.push((member, session));
        for sequence in 0..each as u64 {
            apply_of(member, &mut machine, later, put(call(session, sequence, 0)));
        }
    }
    assert_eq!(machine.state().sessions.len(), sessions.len(), "one was too many");
    assert_eq!(apply_of(OTHER, &mut machine, later, put(call(others, 0, 0))), first);
    let (member, last) = sessions[sessions.len() - 1];
    let (_, spare) = sessions[sessions.len() - limits::SESSIONS_OF_A_MEMBER_MAX];
    assert_eq!(apply_of(member, &mut machine, later, put(call(spare, 0, 0))), NO_SESSION);
    let again = apply_of(member, &mut machine, later, put(call(last, each as u64 - 1, 0)));
    assert!(matches!(again, Outcome::Put { .. }), "{again:?}");
}
