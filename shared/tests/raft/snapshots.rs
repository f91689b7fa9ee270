use crate::kit::*;
use bytes::Bytes;
use wordraft_shared::ids::NodeId;
use wordraft_shared::raft::*;

pub fn small(config: Config) -> Config {
    Config { compact_after_entries: 10, kept_tail_entries: 2, snapshot_chunk_bytes: 64, ..config }
}

/// Three members, one of which missed so much that only a snapshot helps.
fn one_behind() -> (Cluster, NodeId, NodeId) {
    one_behind_with(small(Config::default()))
}

fn one_behind_with(config: Config) -> (Cluster, NodeId, NodeId) {
    let mut cluster = Cluster::with_config(3, config);
    let leader = cluster.elect();
    let behind = cluster.followers()[0];
    cluster.crash(behind);
    for number in 0..30 {
        cluster.commit(&format!("command number {number}"));
    }
    assert!(cluster.nodes[&leader].wants_snapshot);
    cluster.compact(leader);
    assert!(!cluster.nodes[&leader].wants_snapshot);
    (cluster, leader, behind)
}

#[test]
fn a_slow_follower_gets_a_snapshot_in_pieces() {
    let (mut cluster, leader, behind) = one_behind();
    assert!(cluster.status(leader).first > Index::new(20));
    cluster.network.keeps_sent = true;
    cluster.restart(behind);
    cluster.run_until("it caught up", |cluster| cluster.applied(behind).len() == 30);
    assert_eq!(cluster.nodes[&behind].installs, 1);
    assert!(pieces(&cluster) > 5, "{}", pieces(&cluster));
    cluster.commit("and goes on from there");
    cluster.crash(behind);
    cluster.restart(behind);
    assert_eq!(cluster.applied(behind).len(), 30, "its own disk holds the snapshot");
    cluster.run_until("the rest comes again", |cluster| cluster.applied(behind).len() == 31);
}

fn pieces(cluster: &Cluster) -> usize {
    cluster.network.sent.iter().filter(|(_, _, message)| matches!(message, Message::Snapshot { .. })).count()
}

#[test]
fn a_member_that_is_gone_gets_no_pieces() {
    let mut cluster = Cluster::with_config(3, small(Config::default()));
    let leader = cluster.elect();
    let gone = cluster.followers()[0];
    cluster.crash(gone);
    cluster.with(leader, |raft, now| raft.peer_lost(now, gone));
    cluster.network.keeps_sent = true;
    for number in 0..30 {
        cluster.commit(&format!("command number {number}"));
    }
    cluster.compact(leader);
    cluster.commit("one more");
    cluster.run_for(ms(1_000));
    assert_eq!(pieces(&cluster), 0);

    cluster.restart(gone);
    cluster.with(leader, |raft, now| raft.peer_back(now, gone));
    cluster.run_until("pieces are on their way", |cluster| pieces(cluster) > 2);
    cluster.crash(gone);
    cluster.run_for(ms(1_000));
    let before = pieces(&cluster);
    cluster.run_for(ms(10_000));
    assert_eq!(pieces(&cluster), before, "nobody told the leader, who noticed");
    cluster.restart(gone);
    cluster.run_until("it caught up", |cluster| cluster.applied(gone).len() == 31);
}

/// Entries count with what is around them: 24 bytes.
#[test]
fn the_tail_that_is_kept_is_bounded_in_bytes_too() {
    let kept = |bytes| {
        let config = Config { kept_tail_entries: 20, kept_tail_bytes: bytes, ..small(Config::default()) };
        let mut cluster = Cluster::with_config(3, config);
        let leader = cluster.elect();
        for number in 10..40 {
            cluster.commit(&format!("command {number}"));
        }
        cluster.compact(leader);
        let status = cluster.status(leader);
        status.snapshot.get() + 1 - status.first.get()
    };
    assert_eq!([0, 3 * 34 - 1, 3 * 34, u64::MAX].map(kept), [0, 2, 3, 20]);
}

/// Another leader has all that is missing in its log.
#[test]
fn a_snapshot_that_is_overtaken_by_the_log_is_not_kept() {
    let (mut cluster, leader, behind) = one_behind();
    cluster.restart(behind);
    cluster.run_until("pieces", |cluster| cluster.status(behind).arriving.is_some());
    cluster.crash(leader);
    cluster.run_until("it caught up", |cluster| cluster.applied(behind).len() == 30);
    assert_eq!((cluster.nodes[&behind].installs, cluster.status(behind).arriving), (0, None));
}

#[test]
fn a_transfer_survives_lost_doubled_and_reordered_pieces() {
    for seed in 0..20 {
        let (mut cluster, _, behind) = one_behind();
        cluster.network.jitter = ms(5);
        cluster.network.lost_percent = 30;
        cluster.network.doubled_percent = 30;
        cluster.rng = wordraft_shared::rng::Rng::from_u64(seed);
        cluster.restart(behind);
        cluster.run_until("it caught up", |cluster| cluster.applied(behind).len() == 30);
    }
}

#[test]
fn a_transfer_begins_again_when_the_follower_restarts_in_the_middle() {
    let (mut cluster, leader, behind) = one_behind();
    cluster.restart(behind);
    cluster.run_until("a snapshot is under way", |cluster| {
        cluster.status(leader).peers[&behind].state == PeerState::Snapshot
    });
    cluster.run_for(ms(3));
    cluster.crash(behind);
    cluster.run_for(ms(50));
    cluster.restart(behind);
    cluster.with(leader, |raft, now| raft.peer_back(now, behind));
    cluster.run_until("it caught up", |cluster| cluster.applied(behind).len() == 30);
}

#[test]
fn a_transfer_goes_on_under_another_leader_with_the_same_snapshot() {
    let (mut cluster, leader, behind) =
        one_behind_with(Config { snapshot_chunk_bytes: 8, ..small(Config::default()) });
    let other = cluster.followers().into_iter().find(|id| *id != behind).unwrap();
    cluster.compact(other);
    cluster.restart(behind);
    cluster.run_until("a snapshot is under way", |cluster| {
        cluster.status(leader).peers[&behind].state == PeerState::Snapshot
    });
    cluster.run_for(ms(20));
    cluster.with(leader, |raft, now| raft.transfer(now, other)).unwrap();
    cluster.network.keeps_sent = true;
    cluster.run_until("it caught up", |cluster| cluster.applied(behind).len() == 30);
    assert_eq!(cluster.leader(), Some(other));
    let sent = cluster.network.sent.iter().filter(|(from, _, _)| *from == other);
    let chunks = sent.filter(|(_, _, message)| matches!(message, Message::Snapshot { .. })).count();
    let total = cluster.nodes[&other].disk.snapshot.as_ref().unwrap().data.len();
    assert!(chunks < total / 8, "it went on where the first leader stopped: {chunks} of {}", total / 8);
}

#[test]
fn a_log_that_holds_all_of_a_snapshot_stays() {
    let mut cluster =
        Cluster::from_disks(small(Config::default()), [(1, disk(&[1, 2, 3], &[1, 1, 1, 1], 1))]);
    let chunk = SnapshotChunk {
        meta: SnapshotMeta { last: Position::new(1, 3), membership: Membership::of_voters(ids(&[1, 2, 3])) },
        digest: wordraft_shared::ids::Hash::of(b""),
        total: 1_000,
        offset: 0,
        data: Bytes::new(),
    };
    cluster.step(n(1), n(2), Message::Snapshot { term: Term::new(2), chunk: Box::new(chunk) }).unwrap();
    let status = cluster.status(n(1));
    assert_eq!((status.last, status.commit), (Position::new(1, 4), Index::new(3)));
    assert_eq!(cluster.nodes[&n(1)].installs, 0);
}

#[test]
fn bytes_that_do_not_match_their_digest_are_not_installed() {
    let mut cluster = Cluster::from_disks(small(Config::default()), [(1, disk(&[1, 2, 3], &[1], 1))]);
    let chunk = SnapshotChunk {
        meta: SnapshotMeta { last: Position::new(1, 30), membership: Membership::of_voters(ids(&[1, 2])) },
        digest: wordraft_shared::ids::Hash::of(b"right"),
        total: 5,
        offset: 0,
        data: Bytes::from_static(b"wrong"),
    };
    cluster.step(n(1), n(2), Message::Snapshot { term: Term::new(2), chunk: Box::new(chunk) }).unwrap();
    assert_eq!(cluster.nodes[&n(1)].installs, 0);
    assert_eq!(cluster.status(n(1)).commit, Index::ZERO);
}

#[test]
fn a_snapshot_carries_the_configuration_of_its_moment() {
    let config = Config { kept_tail_entries: 0, ..small(Config::default()) };
    let mut cluster = Cluster::with_config(3, config);
    cluster.add(n(4), Stored::default());
    let leader = cluster.elect_among(&[1, 2, 3]);
    for number in 0..12 {
        cluster.propose(leader, &format!("command number {number}")).unwrap();
    }
    cluster.settle();
    cluster.with(leader, |raft, now| raft.change_membership(now, change(&[1, 2, 3], &[4]))).unwrap();
    cluster.compact(leader);
    let in_snapshot = cluster.nodes[&leader].disk.snapshot.as_ref().unwrap().meta.membership.clone();
    assert!(in_snapshot.learners.is_empty(), "the change came after it");
    cluster
        .run_until("the learner got it all", |cluster| cluster.status(n(4)).membership.learners == ids(&[4]));
    assert_eq!((cluster.applied(n(4)).len(), cluster.nodes[&n(4)].installs), (12, 1));
}

#[test]
fn snapshots_of_the_future_and_of_the_past_are_refused() {
    let (mut cluster, leader, _) = one_behind();
    let last = cluster.status(leader).snapshot;
    let stale = cluster.with(leader, |raft, now| raft.compact(now, last, Bytes::new()));
    assert_eq!(stale, Err(CompactError::Stale { last }));
    let applied = Index::new(1_000);
    let early = cluster.with(leader, |raft, now| raft.compact(now, applied, Bytes::new()));
    assert_eq!(early, Err(CompactError::NotDelivered { applied, delivered: last }));
}

#[test]
fn a_snapshot_that_is_too_large_is_not_asked_for_at_once_again() {
    let mut cluster =
        Cluster::with_config(3, Config { max_snapshot_bytes: 1000, ..small(Config::default()) });
    let leader = cluster.elect();
    let mut numbers = 0..;
    let mut commit = |cluster: &mut Cluster| cluster.commit(&format!("command {}", numbers.next().unwrap()));
    (0..10).for_each(|_| commit(&mut cluster));
    assert!(cluster.nodes[&leader].wants_snapshot);
    let applied = cluster.status(leader).commit;
    let refused = cluster.with(leader, |raft, now| raft.compact(now, applied, vec![0; 1001].into()));
    assert_eq!(refused, Err(CompactError::TooLarge { size: 1001, max: 1000 }));
    cluster.settle();
    assert!(!cluster.nodes[&leader].wants_snapshot, "it would ask for ever");
    (0..12).for_each(|_| commit(&mut cluster));
    assert!(cluster.nodes[&leader].wants_snapshot, "the state may have shrunk");
}

#[test]
fn a_damaged_disk_does_not_start() {
    let start = |stored| {
        let rng = wordraft_shared::rng::Rng::from_u64(1);
        Raft::new(n(1), Config::default(), stored, rng, wordraft_shared::time::Time::ZERO).map(|_| ())
    };
    let whole = disk(&[1], &[1, 2, 2, 3], 3);
    assert_eq!(start(whole.clone()), Ok(()));
    let mut gap = whole.clone();
    gap.entries.remove(1);
    assert!(matches!(start(gap), Err(NewError::Stored(_))));
    let mut headless = whole.clone();
    headless.entries.remove(0);
    assert!(matches!(start(headless), Err(NewError::Stored(_))));
    let mut forgetful = whole;
    forgetful.hard_state.term = Term::new(2);
    assert!(matches!(start(forgetful), Err(NewError::Stored(_))));
}
