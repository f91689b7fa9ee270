//! The log beside a plain list of all entries that were ever in it.

use super::*;
use crate::ids::NodeId;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Change {
    Push { term_grows: bool, bytes: usize },
    PushMembership(u8),
    Truncate(u64),
    Commit(u64),
    Deliver,
    Compact { back: u64, tail: u64 },
    Restart,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let one = prop_oneof![
        6 => (any::<bool>(), 0usize..50).prop_map(|(term_grows, bytes)| Change::Push { term_grows, bytes }),
        1 => (0u8..9).prop_map(Change::PushMembership),
        1 => (0u64..6).prop_map(Change::Truncate),
        2 => (0u64..6).prop_map(Change::Commit),
        2 => Just(Change::Deliver),
        1 => (0u64..4, 0u64..4).prop_map(|(back, tail)| Change::Compact { back, tail }),
        1 => Just(Change::Restart),
    ];
    proptest::collection::vec(one, 0..80)
}

/// What the log must be equal to: entry 1 is the first of the list.
#[derive(Default)]
struct Model {
    entries: Vec<Entry>,
    commit: usize,
    delivered: usize,
    snapshot: usize,
}

fn push(log: &mut Log, model: &mut Model, term_grows: bool, payload: Payload) {
    let last = log.last();
    let term = if term_grows || last.term == Term::ZERO { last.term.next() } else { last.term };
    let entry = Entry { term, index: last.index.next(), payload };
    model.entries.push(entry.clone());
    log.extend(vec![entry].into());
}

fn apply(log: &mut Log, model: &mut Model, change: Change) {
    match change {
        Change::Push { term_grows, bytes } => {
            push(log, model, term_grows, Payload::Command(Bytes::from(vec![0; bytes])));
        }
        Change::PushMembership(voter) => {
            let membership = Membership::of_voters([NodeId::from_bytes([voter; 10])]);
            push(log, model, false, Payload::Membership(Arc::new(membership)));
        }
        Change::Truncate(back) => {
            // The configuration that a log begins with stays, committed here or not.
            let first =
                (model.entries.len() as u64 + 1).saturating_sub(back).max(model.commit as u64 + 1).max(2);
            log.truncate(Index::new(first));
            model.entries.truncate(first as usize - 1);
        }
        Change::Commit(ahead) => {
            let commit = (model.commit + ahead as usize).min(model.entries.len());
            assert_eq!(log.commit_to(Index::new(commit as u64)), commit > model.commit);
            model.commit = commit;
        }
        Change::Deliver => {
            let mut delivered = Vec::new();
            log.deliver(&mut delivered);
            assert_eq!(delivered, model.entries[model.delivered..model.commit]);
            model.delivered = model.commit;
        }
        Change::Compact { back, tail } => {
            let applied = model.delivered.saturating_sub(back as usize);
            if applied > model.snapshot {
                log.compact(Index::new(applied as u64), Bytes::new(), tail, u64::MAX).unwrap();
                model.snapshot = applied;
            }
        }
        Change::Restart => {
            let kept = log.entries_from(log.base().index.next(), usize::MAX).to_vec();
            *log = Log::restore(log.snapshot().map(|(snapshot, _)| snapshot.clone()), kept).unwrap();
            model.commit = model.snapshot;
            model.delivered = model.snapshot;
        }
    }
}

fn check(log: &Log, model: &Model) {
    let base = log.base().index.get() as usize;
    let first_kept = &model.entries[base..];
    assert_eq!(log.last(), model.entries.last().map(Entry::position).unwrap_or_default());
    assert_eq!(*log.entries_from(Index::new(base as u64 + 1), usize::MAX), *first_kept);
    for entry in first_kept {
        assert!(log.holds(entry.position()));
    }
    assert_eq!(log.term_at(log.last().index.next()), None);
    let uncommitted: usize = model.entries[model.commit..].iter().map(Entry::size).sum();
    assert_eq!(log.uncommitted_bytes(), uncommitted as u64);
    let since: usize = model.entries[model.snapshot..model.delivered].iter().map(Entry::size).sum();
    assert_eq!(log.since_snapshot(), ((model.delivered - model.snapshot) as u64, since as u64));
    check_membership(log, model);
}

fn check_membership(log: &Log, model: &Model) {
    let newest = model.entries.iter().rev().find_map(|entry| match &entry.payload {
        Payload::Membership(membership) => Some(membership.clone()),
        _ => None,
    });
    assert_eq!(*log.membership(), newest.unwrap_or_default());
}

proptest! {
    #[test]
    fn the_log_is_the_list_without_its_beginning(changes in changes()) {
        let mut log = Log::restore(None, Vec::new()).unwrap();
        let mut model = Model::default();
        // A log begins with a configuration, or no snapshot of it could be read back.
        apply(&mut log, &mut model, Change::PushMembership(0));
        log.commit_to(Index::new(1));
        model.commit = 1;
        for change in changes {
            apply(&mut log, &mut model, change);
            check(&log, &model);
        }
    }

    #[test]
    fn a_message_takes_as_many_entries_as_fit_but_at_least_one(
        sizes in proptest::collection::vec(0usize..50, 1..20),
        first in 0usize..20,
        max_bytes in 0usize..400,
    ) {
        let mut log = Log::restore(None, Vec::new()).unwrap();
        let mut model = Model::default();
        for bytes in &sizes {
            push(&mut log, &mut model, false, Payload::Command(Bytes::from(vec![0; *bytes])));
        }
        let available = &model.entries[first.min(sizes.len())..];
        let taken = log.entries_from(Index::new(first as u64 + 1), max_bytes);
        prop_assert_eq!(&*taken, &available[..taken.len()]);
        let total: usize = taken.iter().map(Entry::size).sum();
        prop_assert!(taken.len() <= 1 || total <= max_bytes);
        if let Some(next) = available.get(taken.len()) {
            prop_assert!(!taken.is_empty() && total + next.size() > max_bytes);
        }
    }

    #[test]
    fn agreement_is_looked_for_at_the_last_entry_of_no_higher_term(
        grows in proptest::collection::vec(any::<bool>(), 0..20),
        term in 0u64..10,
        index in 0u64..25,
    ) {
        let mut log = Log::restore(None, Vec::new()).unwrap();
        let mut model = Model::default();
        for term_grows in grows {
            push(&mut log, &mut model, term_grows, Payload::Noop);
        }
        let hint = Position::new(term, index);
        let naive = model.entries.iter().rev().map(Entry::position);
        let naive = naive.into_iter().find(|entry| entry.index <= hint.index && entry.term <= hint.term);
        prop_assert_eq!(log.agreement_before(hint), naive.unwrap_or_default());
    }
}
