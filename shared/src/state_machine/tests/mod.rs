mod keys;
mod sessions;

use super::*;
use crate::ids::{DocumentId, Hash, JobId, NodeId};
use crate::limits;
use crate::time::Time;
use crate::wire::session::Kind;
use crate::words::Mode;
use Command::*;

const ME: NodeId = NodeId::from_bytes([1; 10]);

fn document(n: u8) -> DocumentId {
    DocumentId::from_bytes([n; 10])
}

fn job(n: u8) -> JobId {
    JobId::from_bytes([n; 10])
}

fn add(n: u8, retention: Retention) -> Command {
    let blocks =
        vec![BlockRef { hash: Hash::of(&[n]), bytes: 10 }, BlockRef { hash: Hash::of(b"more"), bytes: 5 }];
    AddDocument { id: document(n), name: format!("text {n}"), blocks, retention }
}

fn submit(n: u8, documents: &[u8]) -> Command {
    let options = JobOptions { mode: Mode::Unicode, top: 10, verify: 1 };
    SubmitJob { id: job(n), documents: documents.iter().map(|&n| document(n)).collect(), options }
}

/// Applies commands a second apart and returns the last outcome.
fn run(machine: &mut StateMachine, commands: Vec<Command>) -> Outcome {
    let mut last = Outcome::Done;
    for command in commands {
        let at = Time::from_millis(machine.state().now.as_millis() + 1000);
        last = machine.apply(Stamped { at, by: ME, command }, &mut Vec::new());
    }
    last
}

#[test]
fn a_second_copy_of_a_command_changes_nothing() {
    let mut once = StateMachine::default();
    run(&mut once, vec![add(1, Retention::Keep), submit(1, &[1]), CancelJob { id: job(1) }]);
    let mut twice = once.clone();
    for command in [add(1, Retention::Keep), submit(1, &[1]), FailJob { id: job(1), reason: "late".into() }] {
        let mut changes = Vec::new();
        let at = twice.state().now;
        assert_eq!(twice.apply(Stamped { at, by: ME, command }, &mut changes), Outcome::Done);
        assert_eq!(changes, []);
    }
    assert_eq!(once, twice);
}

#[test]
fn an_id_that_another_request_has_used_is_refused() {
    let mut machine = StateMachine::default();
    run(&mut machine, vec![add(1, Retention::Keep), add(2, Retention::Keep), submit(1, &[1])]);
    let AddDocument { name, blocks, .. } = add(1, Retention::Keep) else { unreachable!() };
    let SubmitJob { documents, options, .. } = submit(1, &[1]) else { unreachable!() };
    let other_name =
        AddDocument { id: document(1), name: "x".into(), blocks: blocks.clone(), retention: Retention::Keep };
    let other_text =
        AddDocument { id: document(1), name, blocks: blocks[..1].to_vec(), retention: Retention::Keep };
    let other_mode =
        SubmitJob { id: job(1), documents, options: JobOptions { mode: Mode::Ascii, ..options } };
    for other in [add(1, Retention::Transient), other_name, other_text, other_mode, submit(1, &[2])] {
        let before = machine.state().clone();
        assert_eq!(run(&mut machine, vec![other]), Outcome::Rejected(Rejection::OtherRequest));
        assert_eq!((&before.documents, &before.jobs), (&machine.state().documents, &machine.state().jobs));
    }
}

#[test]
fn a_document_that_a_job_counts_stays_until_the_job_ends() {
    let mut machine = StateMachine::default();
    let refused = run(
        &mut machine,
        vec![add(1, Retention::Transient), submit(1, &[1]), DeleteDocument { id: document(1) }],
    );
    assert_eq!(refused, Outcome::Rejected(Rejection::DocumentInUse { document: document(1), job: job(1) }));

    let later = machine.state().now + limits::TRANSIENT_DOCUMENT_AGE_MAX;
    machine.apply(Stamped { at: later, by: ME, command: Expire }, &mut Vec::new());
    assert!(machine.state().documents.contains_key(&document(1)), "in use");

    run(&mut machine, vec![CancelJob { id: job(1) }, Expire]);
    assert!(machine.state().documents.is_empty());
}

#[test]
fn only_what_was_meant_to_go_expires() {
    let mut machine = StateMachine::default();
    run(&mut machine, vec![add(1, Retention::Keep), add(2, Retention::Transient), Expire]);
    assert_eq!(machine.state().documents.len(), 2);
    let at = machine.state().now + limits::TRANSIENT_DOCUMENT_AGE_MAX;
    let mut changes = Vec::new();
    machine.apply(Stamped { at, by: ME, command: Expire }, &mut changes);
    assert_eq!(changes, [Change::DocumentRemoved(document(2))]);
}

#[test]
fn a_job_needs_documents_that_exist() {
    let mut machine = StateMachine::default();
    assert_eq!(
        run(&mut machine, vec![submit(1, &[9])]),
        Outcome::Rejected(Rejection::NoDocument(document(9)))
    );
    assert!(matches!(run(&mut machine, vec![submit(1, &[])]), Outcome::Rejected(Rejection::Invalid(_))));
    assert_eq!(
        run(&mut machine, vec![CancelJob { id: job(1) }]),
        Outcome::Rejected(Rejection::NoJob(job(1)))
    );
}

#[test]
fn the_oldest_finished_job_gives_way_at_the_limit() {
    let mut machine = StateMachine::default();
    run(&mut machine, vec![add(1, Retention::Keep), submit(0, &[1])]);
    for n in 0..limits::JOBS_MAX as u16 + 5 {
        let mut id = [1; 10];
        id[..2].copy_from_slice(&n.to_be_bytes());
        let SubmitJob { documents, options, .. } = submit(0, &[1]) else { unreachable!() };
        let id = JobId::from_bytes(id);
        run(&mut machine, vec![SubmitJob { id, documents, options }, CancelJob { id }]);
    }
    assert_eq!(machine.state().jobs.len(), limits::JOBS_MAX);
    assert!(machine.state().jobs.contains_key(&job(0)), "a running job is never forgotten");
}

#[test]
fn a_late_copy_does_not_bring_a_deleted_document_back() {
    let mut machine = StateMachine::default();
    run(&mut machine, vec![add(1, Retention::Keep), DeleteDocument { id: document(1) }]);
    let mut machine = StateMachine::restore(&machine.snapshot()).unwrap();
    let gone = Outcome::Rejected(Rejection::NoDocument(document(1)));
    assert_eq!(run(&mut machine, vec![add(1, Retention::Keep)]), gone);

    let at = machine.state().now + limits::REMOVED_DOCUMENT_AGE_MAX;
    machine.apply(Stamped { at, by: ME, command: Expire }, &mut Vec::new());
    assert!(machine.state().removed.is_empty(), "not remembered for ever");
}

#[test]
fn a_job_beyond_those_that_may_run_is_refused() {
    let mut machine = StateMachine::default();
    run(&mut machine, vec![add(1, Retention::Keep)]);
    let numbered = |n: usize| JobId::from_bytes([&n.to_be_bytes()[..], &[0; 2]].concat().try_into().unwrap());
    for n in 0..=limits::JOBS_RUNNING_MAX {
        let SubmitJob { documents, options, .. } = submit(0, &[1]) else { unreachable!() };
        let outcome = run(&mut machine, vec![SubmitJob { id: numbered(n), documents, options }]);
        let full = Rejection::TooManyJobs { jobs_max: limits::JOBS_RUNNING_MAX as u32 };
        let fits = n < limits::JOBS_RUNNING_MAX;
        assert_eq!(outcome, if fits { Outcome::Done } else { Outcome::Rejected(full) });
    }
}

#[test]
fn a_full_state_takes_no_document_and_forgets_old_jobs_first() {
    let mut machine = StateMachine::default();
    run(&mut machine, vec![add(1, Retention::Keep), submit(1, &[1]), CancelJob { id: job(1) }]);
    let large = |n: u8| {
        let block = BlockRef { hash: Hash::of(&[n]), bytes: 1 };
        let (id, name) = (document(n), "large".to_owned());
        AddDocument { id, name, blocks: vec![block; limits::DOCUMENT_CHUNKS_MAX], retention: Retention::Keep }
    };
    let full = Outcome::Rejected(Rejection::StateFull { bytes_max: limits::STATE_BYTES_MAX });
    let added = (2..=u8::MAX).take_while(|n| run(&mut machine, vec![large(*n)]) == Outcome::Done).count();
    assert!((100..250).contains(&added), "{added} of half a megabyte");
    assert_eq!(run(&mut machine, vec![submit(2, &[1])]), full);
    assert!(machine.state().jobs.is_empty(), "the ended job made room, though not enough");
    assert!((machine.snapshot().len() as u64) < limits::STATE_BYTES_MAX + (2 << 20));
    assert_eq!(run(&mut machine, vec![DeleteDocument { id: document(2) }, large(u8::MAX)]), Outcome::Done);
}

#[test]
fn a_restored_snapshot_is_the_same_state_with_the_same_digest() {
    let mut machine = StateMachine::default();
    let record = MemberRecord { name: "Amber Otter".into(), kind: Kind::Tab, http: None, domain: 7 };
    let node = NodeId::from_bytes([3; 10]);
    run(
        &mut machine,
        vec![
            add(1, Retention::Keep),
            add(2, Retention::Transient),
            submit(1, &[1, 2]),
            FailJob { id: job(1), reason: "no worker".into() },
            SetMember { node, record },
            DeleteDocument { id: document(2) },
        ],
    );
    let restored = StateMachine::restore(&machine.snapshot()).unwrap();
    assert_eq!(restored, machine);
    assert_ne!(machine.digest(), 0);
    run(&mut machine, vec![ForgetMember { node }, DeleteDocument { id: document(1) }]);
    assert_ne!(restored.digest(), machine.digest());
}

#[test]
fn garbage_is_no_snapshot_and_no_command() {
    for bytes in [&b""[..], b"\x00", b"\x01", b"\x01\xff\xff\xff\xff\xff", &[1; 100]] {
        let _ = StateMachine::restore(bytes);
        let _ = Stamped::decode(bytes);
    }
    let whole = Stamped { at: Time::ZERO, by: ME, command: add(1, Retention::Keep) }.encode();
    for cut in 0..whole.len() {
        assert!(Stamped::decode(&whole[..cut]).is_err());
    }
}

#[test]
fn what_a_member_says_of_itself_is_bounded() {
    let record = |name: usize, http: usize| MemberRecord {
        name: "n".repeat(name),
        kind: Kind::Server,
        http: Some("h".repeat(http)),
        domain: 7,
    };
    let (name, http) = (limits::MEMBER_NAME_BYTES_MAX, limits::ADDRESS_BYTES_MAX);
    let mut machine = StateMachine::default();
    let node = NodeId::from_bytes([3; 10]);
    for record in [record(name + 1, http), record(name, http + 1)] {
        let stamped = Stamped { at: Time::ZERO, by: ME, command: SetMember { node, record } };
        let outcome = machine.apply(stamped, &mut Vec::new());
        assert!(matches!(outcome, Outcome::Rejected(Rejection::Invalid(_))), "{outcome:?}");
    }
    assert_eq!(machine, StateMachine::default());
    run(&mut machine, vec![SetMember { node, record: record(name, http) }]);
}
