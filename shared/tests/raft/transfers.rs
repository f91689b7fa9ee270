use crate::kit::*;
use wordraft_shared::raft::*;

#[test]
fn leadership_moves_to_the_target_without_waiting_for_a_timeout() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let target = cluster.followers()[1];
    let began = cluster.now;
    cluster.with(leader, |raft, now| raft.transfer(now, target)).unwrap();
    assert_eq!(cluster.propose(leader, "now?"), Err(ProposeError::Transferring));
    cluster.run_until("the target leads", |cluster| cluster.status(target).ready);
    assert!(cluster.now - began < ms(20));
    assert_eq!(cluster.status(leader).leader, Some(target));
}

#[test]
fn a_target_that_lags_catches_up_first() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let target = cluster.followers()[0];
    cluster.network.cut(leader, target);
    for number in 0..50 {
        cluster.propose(leader, &number.to_string()).unwrap();
    }
    cluster.settle();
    cluster.network.heal();
    cluster.with(leader, |raft, now| raft.transfer(now, target)).unwrap();
    cluster.run_until("the target leads", |cluster| cluster.status(target).ready);
    assert_eq!(cluster.applied(target).len(), 50);
}

#[test]
fn only_voters_can_be_handed_leadership() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let follower = cluster.followers()[0];
    let to_self = cluster.with(leader, |raft, now| raft.transfer(now, leader));
    assert_eq!(to_self, Err(TransferError::ToSelf(leader)));
    let to_stranger = cluster.with(leader, |raft, now| raft.transfer(now, n(99)));
    assert_eq!(to_stranger, Err(TransferError::NotVoter(n(99))));
    let from_follower = cluster.with(follower, |raft, now| raft.transfer(now, leader));
    assert_eq!(from_follower, Err(TransferError::NotLeader { leader: Some(leader) }));
}

#[test]
fn a_target_whose_disk_hangs_unseats_nobody() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let target = cluster.followers()[0];
    cluster.nodes.get_mut(&target).unwrap().disk_hangs = true;
    cluster.propose(leader, "on two disks").unwrap();
    cluster.run_for(cluster.config.election_timeout + ms(5));
    let term = cluster.status(leader).term;
    let refused = cluster.step(target, leader, Message::TimeoutNow { term });
    assert_eq!(refused, Err(StepError::NotExpected));
    cluster.run_for(ms(1_000));
    assert_eq!((cluster.leader(), cluster.status(leader).term), (Some(leader), term));
}

#[test]
fn a_leader_in_haste_is_followed_by_a_target_that_has_not_acknowledged_everything() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let target = cluster.followers()[0];
    for number in 0..20 {
        cluster.propose(leader, &number.to_string()).unwrap();
    }
    let began = cluster.now;
    assert!(cluster.status(leader).peers[&target].matched < cluster.status(leader).last.index);
    cluster.with(leader, |raft, now| raft.transfer_in_haste(now, target)).unwrap();
    cluster.crash(leader);
    cluster.run_until("the target leads", |cluster| cluster.status(target).ready);
    assert!(cluster.now - began < ms(30), "{:?}", cluster.now - began);
    assert_eq!(cluster.applied(target).len(), 20, "what was on its way arrived before the word to stand");
}

/// One is being probed after its connection closed, another's window is full.
#[test]
fn a_leader_in_haste_hands_over_to_nobody_that_cannot_win() {
    let config = Config { max_append_bytes: 1, max_inflight_messages: 2, ..Config::default() };
    let mut cluster = Cluster::with_config(4, config);
    let leader = cluster.elect();
    cluster.settle();
    let [lost, full, fit] = cluster.followers()[..] else { panic!() };
    cluster.network.cut(leader, full);
    cluster.with(leader, |raft, now| raft.peer_lost(now, lost));
    cluster.network.cut(leader, lost);
    for number in 0..4 {
        cluster.propose(leader, &number.to_string()).unwrap();
        cluster.settle();
    }
    let in_haste =
        |cluster: &mut Cluster, to| cluster.with(leader, |raft, now| raft.transfer_in_haste(now, to));
    for to in [lost, full] {
        assert_eq!(in_haste(&mut cluster, to), Err(TransferError::CannotWin(to)));
    }
    cluster.propose(leader, "it goes on leading").unwrap();
    cluster.settle();
    in_haste(&mut cluster, fit).unwrap();
    assert_eq!(in_haste(&mut cluster, fit), Err(TransferError::Transferring));
}

#[test]
fn a_leader_in_haste_hands_over_to_nobody_that_is_silent() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.settle();
    let silent = cluster.followers()[0];
    cluster.network.isolate(silent, [1, 2, 3].map(n));
    cluster.run_for(cluster.config.election_timeout + ms(100));
    assert_eq!(cluster.leader(), Some(leader));
    let refused = cluster.with(leader, |raft, now| raft.transfer_in_haste(now, silent));
    assert_eq!(refused, Err(TransferError::CannotWin(silent)));
}
