//! The log: cut off, rotten, written anew.

use crate::ids::{ClusterId, NodeId};
use crate::node::PersistOp;
use crate::raft::{
    Entry, HardState, Index, Membership, Payload, Position, Snapshot, SnapshotMeta, StorageOp, Stored, Term,
};
use crate::rng::Rng;
use crate::storage::{LogStore, MemoryDisk, StorageError};
use bytes::Bytes;

fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; 10])
}

fn entry(index: u64, term: u64, command: &str) -> Entry {
    let payload = Payload::Command(Bytes::copy_from_slice(command.as_bytes()));
    Entry { term: Term::new(term), index: Index::new(index), payload }
}

fn append(entries: &[Entry]) -> PersistOp {
    PersistOp::Raft(StorageOp::Append(entries.to_vec().into()))
}

fn vote(term: u64, vote: u8) -> PersistOp {
    PersistOp::Raft(StorageOp::HardState(HardState { term: Term::new(term), vote: Some(node(vote)) }))
}

fn snapshot(index: u64, data: Vec<u8>) -> Snapshot {
    let membership = Membership::of_voters([node(1), node(2)]);
    Snapshot { meta: SnapshotMeta { last: Position::new(2, index), membership }, data: data.into() }
}

fn open_log(disk: &MemoryDisk) -> (LogStore, Option<ClusterId>, Stored) {
    LogStore::open(disk.backend()).expect("the log opens")
}

#[test]
fn a_fresh_disk_is_a_member_that_waits_to_be_added() {
    let (_log, cluster, stored) = open_log(&MemoryDisk::new());
    assert_eq!((cluster, stored), (None, Stored::default()));
}

#[test]
fn a_restart_finds_cluster_vote_and_entries() {
    let disk = MemoryDisk::new();
    let cluster = ClusterId::from_bytes([9; 10]);
    let (mut log, _, _) = open_log(&disk);
    log.apply(&[PersistOp::Cluster(cluster), vote(3, 2), append(&[entry(1, 1, "a"), entry(2, 3, "b")])])
        .unwrap();
    drop(log);

    let (_log, found, stored) = open_log(&disk);
    assert_eq!(found, Some(cluster));
    assert_eq!(stored.hard_state, HardState { term: Term::new(3), vote: Some(node(2)) });
    assert_eq!(stored.entries, [entry(1, 1, "a"), entry(2, 3, "b")]);
}

#[test]
fn a_new_suffix_replaces_the_old_one() {
    let disk = MemoryDisk::new();
    let (mut log, _, _) = open_log(&disk);
    log.apply(&[append(&[entry(1, 1, "a"), entry(2, 1, "b"), entry(3, 1, "c")])]).unwrap();
    log.apply(&[append(&[entry(2, 2, "B")])]).unwrap();
    drop(log);
    assert_eq!(open_log(&disk).2.entries, [entry(1, 1, "a"), entry(2, 2, "B")]);
}

#[test]
fn compaction_keeps_a_tail_and_a_leaders_snapshot_keeps_nothing() {
    let disk = MemoryDisk::new();
    let (mut log, _, _) = open_log(&disk);
    let entries: Vec<Entry> = (1..=9).map(|index| entry(index, 2, "x")).collect();
    let own = snapshot(6, vec![6; 300_000]);
    let compact = StorageOp::CompactTo { snapshot: own.clone(), first_kept: Index::new(5) };
    log.apply(&[append(&entries), PersistOp::Raft(compact)]).unwrap();
    drop(log);
    let (mut log, _, stored) = open_log(&disk);
    assert_eq!(stored.snapshot, Some(own));
    assert_eq!(stored.entries, entries[4..]);

    let leaders = snapshot(40, vec![4; 70]);
    log.apply(&[PersistOp::Raft(StorageOp::Snapshot(leaders.clone())), append(&[entry(41, 2, "y")])])
        .unwrap();
    drop(log);
    let (_log, _, stored) = open_log(&disk);
    assert_eq!(stored.snapshot, Some(leaders));
    assert_eq!(stored.entries, [entry(41, 2, "y")]);
}

#[test]
fn what_the_store_holds_is_what_raft_means_by_each_write() {
    for seed in 0..20 {
        let mut rng = Rng::from_u64(seed);
        let disk = MemoryDisk::new();
        let mut model = Stored::default();
        let (mut log, _, _) = open_log(&disk);
        for step in 0..30 {
            let operation = random_operation(&mut rng, &model, step);
            log.apply(&[PersistOp::Raft(operation.clone())]).unwrap();
            model.apply(operation);
            if rng.below(8) == 0 {
                drop(log);
                let reopened = open_log(&disk);
                assert_eq!(reopened.2, model, "seed {seed}, step {step}");
                log = reopened.0;
            }
        }
    }
}

/// A write that raft could ask for, given what is stored.
fn random_operation(rng: &mut Rng, stored: &Stored, step: u64) -> StorageOp {
    let first = stored.entries.first().map_or(1, |entry| entry.index.get());
    let last = stored.entries.last().map_or(0, |entry| entry.index.get());
    let snapshot_end = stored.snapshot.as_ref().map_or(0, |snapshot| snapshot.meta.last.index.get());
    let next = last.max(snapshot_end) + 1;
    match rng.below(8) {
        0 => StorageOp::HardState(HardState { term: Term::new(step), vote: Some(node(rng.below(3) as u8)) }),
        1 => StorageOp::Snapshot(snapshot(next + 5, vec![step as u8; rng.below(200_000) as usize])),
        2 if last > snapshot_end => StorageOp::CompactTo {
            snapshot: snapshot(last, vec![step as u8; rng.below(200_000) as usize]),
            first_kept: Index::new(first + rng.below(last - first + 1)),
        },
        _ => {
            let overlap = rng.below(3).min(last.saturating_sub(first.max(snapshot_end)));
            let from = next - overlap;
            let to = from + 1 + rng.below(4);
            StorageOp::Append((from..to).map(|index| entry(index, step + 1, "random")).collect())
        }
    }
}

/// After a crash the log is as of some acknowledged write, or as of one that had not been answered yet: never in between.
#[test]
fn a_crash_loses_whole_unacknowledged_writes_and_nothing_else() {
    for seed in 0..60 {
        let mut rng = Rng::from_u64(seed);
        let disk = MemoryDisk::new();
        let mut acknowledged = 0;
        for _ in 0..3 {
            let (mut log, _, stored) = open_log(&disk);
            assert_eq!(stored.entries.len() as u64, acknowledged, "seed {seed}");
            for _ in 0..rng.below(4) {
                let body = "x".repeat(rng.below(20_000) as usize);
                let entries = [entry(acknowledged + 1, 1, &body), entry(acknowledged + 2, 1, &body)];
                log.apply(&[append(&entries), vote(acknowledged + 1, 1)]).unwrap();
                acknowledged += 2;
            }
            disk.crash(&mut rng);
            drop(log);
            let (_, _, stored) = open_log(&disk);
            assert_eq!(stored.hard_state.term.get(), acknowledged.saturating_sub(1), "seed {seed}");
        }
    }
}

#[test]
fn a_crash_in_the_middle_of_a_write_takes_back_all_of_it() {
    for seed in 0..600 {
        let mut rng = Rng::from_u64(seed);
        let disk = MemoryDisk::new();
        let (mut log, _, _) = open_log(&disk);
        // Headers begin anywhere in a sector, and end in the next one too.
        let before = "durable".repeat(rng.below(200) as usize);
        log.apply(&[append(&[entry(1, 1, &before)]), vote(1, 1)]).unwrap();
        disk.stall_syncs();
        let body = "lost ".repeat(rng.below(3000) as usize);
        let unanswered = log.apply(&[append(&[entry(2, 1, &body)]), vote(2, 2)]);
        assert!(unanswered.is_err());
        disk.crash(&mut rng);
        drop(log);
        let (_, _, stored) = open_log(&disk);
        let terms = (stored.entries.len(), stored.hard_state.term.get());
        assert!(terms == (1, 1) || terms == (2, 2), "seed {seed}: {terms:?}");
    }
}

#[test]
fn several_writes_share_one_sync() {
    let disk = MemoryDisk::new();
    let (mut log, _, _) = open_log(&disk);
    let before = disk.syncs();
    let operations: Vec<PersistOp> =
        (1..=50).flat_map(|index| [append(&[entry(index, 1, "x")]), vote(index, 1)]).collect();
    log.apply(&operations).unwrap();
    assert_eq!(disk.syncs() - before, 1);
}

#[test]
fn a_log_that_rotted_is_refused() {
    let disk = MemoryDisk::new();
    let (mut log, _, _) = open_log(&disk);
    log.apply(&[append(&[entry(1, 1, "first come, first served")])]).unwrap();
    drop(log);
    disk.flip_bit(disk.find(b"first come").unwrap(), 3);
    let error = LogStore::open(disk.backend()).expect_err("a damaged log");
    assert!(matches!(error, StorageError::Damaged(_)), "{error}");
}

/// The last record was acknowledged, the ones before it were too; whichever rots, the log must not go on as if it were shorter.
#[test]
fn a_rotten_record_is_not_taken_for_one_that_was_cut_off() {
    for rotten in ["first", "second", "third"] {
        for bit in 0..8 {
            let disk = MemoryDisk::new();
            let (mut log, _, _) = open_log(&disk);
            for (index, body) in (1..).zip(["first", "second", "third"]) {
                log.apply(&[append(&[entry(index, 1, &body.repeat(300))])]).unwrap();
            }
            drop(log);
            let place = disk.find(rotten.repeat(300).as_bytes()).unwrap();
            // The body, its checksum, and its length.
            for byte in [place + 700, place - 12, place - 19, place - 25] {
                disk.flip_bit(byte, bit);
                let opened = LogStore::open(disk.backend());
                assert!(matches!(opened, Err(StorageError::Damaged(_))), "{rotten}, byte {byte}");
                disk.flip_bit(byte, bit);
            }
            assert_eq!(open_log(&disk).2.entries.len(), 3);
        }
    }
}

/// A disk that loses a sector that it said it had: nothing but what follows gives it away.
#[test]
fn a_hole_in_the_middle_is_not_taken_for_the_end() {
    let disk = MemoryDisk::new();
    let (mut log, _, _) = open_log(&disk);
    for index in 1..=3 {
        log.apply(&[append(&[entry(index, 1, &format!("{index}").repeat(2000))])]).unwrap();
    }
    drop(log);
    let hole = disk.find("2".repeat(2000).as_bytes()).unwrap() - 100;
    redb::StorageBackend::write(&disk.backend(), hole as u64, &[0; 1500]).unwrap();
    let opened = LogStore::open(disk.backend());
    assert!(matches!(opened, Err(StorageError::Damaged(_))), "{opened:?}");
}

#[test]
fn a_crash_while_the_log_is_written_anew_leaves_the_old_or_the_new_one() {
    let entries: Vec<Entry> = (1..=9).map(|index| entry(index, 2, "kept")).collect();
    let mut found = [0, 0];
    for seed in 0..200 {
        let mut rng = Rng::from_u64(seed);
        let disk = MemoryDisk::new();
        let (mut log, _, _) = open_log(&disk);
        log.apply(&[append(&entries)]).unwrap();
        let mut present = None;
        // With an odd number of compactions the new generation stands behind the old one, else before it.
        for round in 0..=rng.below(4) {
            present = Some(snapshot(3 + round, vec![round as u8; 70_000]));
            let (snapshot, first_kept) = (present.clone().unwrap(), Index::new(2));
            log.apply(&[PersistOp::Raft(StorageOp::CompactTo { snapshot, first_kept })]).unwrap();
        }
        disk.fail_syncs_after(rng.below(5));
        let next = snapshot(8, vec![8; rng.below(200_000) as usize]);
        let compact = StorageOp::CompactTo { snapshot: next.clone(), first_kept: Index::new(7) };
        let acknowledged = log.apply(&[PersistOp::Raft(compact)]).is_ok();
        disk.crash(&mut rng);
        drop(log);

        let (mut log, _, stored) = open_log(&disk);
        let is_new = stored.snapshot.as_ref() == Some(&next);
        found[usize::from(is_new)] += 1;
        assert!(is_new || (!acknowledged && stored.snapshot == present), "seed {seed}");
        assert_eq!(stored.entries, entries[if is_new { 6 } else { 1 }..], "seed {seed}");
        log.apply(&[append(&[entry(10, 2, "goes on")])]).unwrap();
        disk.crash(&mut rng);
        assert_eq!(open_log(&disk).2.entries.last(), Some(&entry(10, 2, "goes on")), "seed {seed}");
    }
    assert!(found.iter().all(|times| *times > 20), "{found:?}");
}

#[test]
fn one_slot_that_rotted_costs_nothing() {
    for slot in [0, 4096] {
        let disk = MemoryDisk::new();
        let (mut log, _, _) = open_log(&disk);
        log.apply(&[append(&[entry(1, 1, "a")])]).unwrap();
        drop(log);
        disk.flip_bit(slot + 20, 1);
        assert_eq!(open_log(&disk).2.entries, [entry(1, 1, "a")]);
        disk.flip_bit(4096 - slot + 20, 1);
        assert_eq!(open_log(&disk).2.entries, [entry(1, 1, "a")], "the first one was not mended");
    }
}

#[test]
fn a_log_whose_front_is_gone_is_no_new_log() {
    let disk = MemoryDisk::new();
    let (mut log, _, _) = open_log(&disk);
    log.apply(&[append(&[entry(1, 1, "a"), entry(2, 1, "b")])]).unwrap();
    drop(log);
    redb::StorageBackend::write(&disk.backend(), 0, &[0; 8192]).unwrap();
    let opened = LogStore::open(disk.backend());
    assert!(matches!(opened, Err(StorageError::Damaged(_))), "{opened:?}");
}

/// Of the two slots one may be as old as it likes: what was appended since counts.
#[test]
fn a_slot_that_the_disk_did_not_write_costs_nothing() {
    for slot in [0, 4096] {
        let disk = MemoryDisk::new();
        let (mut log, _, _) = open_log(&disk);
        let mut former = [0; 41];
        redb::StorageBackend::read(&disk.backend(), slot, &mut former).unwrap();
        let entries: Vec<Entry> = (1..=9).map(|index| entry(index, 2, "x")).collect();
        let compact = StorageOp::CompactTo { snapshot: snapshot(6, vec![6; 10]), first_kept: Index::new(5) };
        log.apply(&[append(&entries), PersistOp::Raft(compact)]).unwrap();
        log.apply(&[append(&[entry(10, 2, "since")])]).unwrap();
        drop(log);
        redb::StorageBackend::write(&disk.backend(), slot, &former).unwrap();
        assert_eq!(open_log(&disk).2.entries.last(), Some(&entry(10, 2, "since")), "slot {slot}");
    }
}

#[test]
fn a_log_that_is_never_compacted_takes_a_bounded_file() {
    let disk = MemoryDisk::new();
    let (mut log, _, _) = open_log(&disk);
    let mut largest = 0;
    for term in 1..=40 {
        log.apply(&[append(&[entry(1, term, &"replaced ".repeat(1 << 19))]), vote(term, 1)]).unwrap();
        largest = largest.max(disk.bytes());
    }
    assert!(largest < 100 << 20, "{largest} bytes");
    drop(log);
    let (_, _, stored) = open_log(&disk);
    assert_eq!((stored.hard_state.term.get(), stored.entries[0].term.get()), (40, 40));
}

#[test]
fn a_log_of_a_later_format_is_refused() {
    let disk = MemoryDisk::new();
    drop(open_log(&disk));
    redb::StorageBackend::write(&disk.backend(), 8, &[9]).unwrap();
    let error = LogStore::open(disk.backend()).expect_err("another format");
    assert_eq!(error, StorageError::OtherFormat { theirs: 9, ours: 1 });
}

/// Whatever a file holds: no panic, and memory for what is there at most.
#[test]
fn a_log_full_of_flipped_bits_opens_as_it_was_or_not_at_all() {
    let mut refused = 0;
    for seed in 0..300 {
        let mut rng = Rng::from_u64(seed);
        let disk = MemoryDisk::new();
        let (mut log, _, _) = open_log(&disk);
        for index in 1..=6 {
            log.apply(&[append(&[entry(index, 1, &"rot".repeat(200))]), vote(index, 1)]).unwrap();
        }
        let before = (drop(log), open_log(&disk).2).1;
        for _ in 0..=rng.below(4) {
            disk.flip_bit(rng.below(disk.bytes() as u64) as usize, rng.below(8) as u8);
        }
        match LogStore::open(disk.backend()) {
            Ok((_, _, stored)) => assert_eq!(stored, before, "seed {seed}"),
            Err(error) => {
                refused += 1;
                let is_told = matches!(error, StorageError::Damaged(_) | StorageError::OtherFormat { .. });
                assert!(is_told, "seed {seed}: {error}");
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn a_file_of_something_else_is_refused() {
    let disk = MemoryDisk::new();
    redb::StorageBackend::set_len(&disk.backend(), 8192).unwrap();
    redb::StorageBackend::write(&disk.backend(), 0, &[b'#'; 8192]).unwrap();
    let error = LogStore::open(disk.backend()).expect_err("no database");
    assert!(matches!(error, StorageError::Damaged(_)), "{error}");
}

#[test]
fn a_full_disk_is_told_as_such() {
    let disk = MemoryDisk::new();
    let (mut log, _, _) = open_log(&disk);
    disk.limit(disk.bytes() as u64);
    let big = entry(1, 1, &"x".repeat(8 << 20));
    assert_eq!(log.apply(&[append(&[big])]), Err(StorageError::Full));
    drop(log);
    assert_eq!(open_log(&disk).2, Stored::default());
}
