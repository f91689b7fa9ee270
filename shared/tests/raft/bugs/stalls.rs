//! What stands still: a disk, a process, a member that leadership was to go to.

use crate::kit::*;
use wordraft_shared::raft::*;

pub fn a_leader_whose_disk_hangs_makes_way(config: Config) {
    let mut cluster = Cluster::with_config(3, config);
    let leader = cluster.elect();
    cluster.nodes.get_mut(&leader).unwrap().disk_hangs = true;
    cluster.propose(leader, "stuck here, but not elsewhere").unwrap();
    cluster.run_until("another leader", |cluster| cluster.leader().is_some_and(|other| other != leader));
    cluster.run_for(ms(2_000));
    assert_ne!(cluster.leader(), Some(leader), "and it does not come back before its disk does");
    cluster.nodes.get_mut(&leader).unwrap().disk_hangs = false;
    cluster.run_for(ms(2_000));
    cluster.commit("all three");
}

/// New writes go on to reach it; what counts is the one that has waited longest.
pub fn a_disk_that_hangs_is_not_forgiven_for_newer_writes(config: Config) {
    let mut cluster = Cluster::with_config(3, config);
    let leader = cluster.elect();
    cluster.settle();
    cluster.nodes.get_mut(&leader).unwrap().disk_hangs = true;
    let began = cluster.now;
    while cluster.propose(leader, "and another").is_ok() {
        assert!(cluster.now - began < ms(400), "it still leads");
        cluster.run_for(ms(10));
    }
    assert!(cluster.writes_waiting(leader) > 20);
}

/// Its ticks stopped with it. Whatever its queue gives it first, it knows that it leads no more.
pub fn a_frozen_leader_doubts_itself_before_it_takes_anything(config: Config) {
    let mut cluster = Cluster::with_config(3, config);
    let frozen = cluster.elect();
    cluster.nodes.get_mut(&frozen).unwrap().is_frozen = true;
    cluster.run_for(ms(3_000));
    assert!(cluster.leader().is_some_and(|leader| leader != frozen));
    cluster.nodes.get_mut(&frozen).unwrap().is_frozen = false;
    assert_eq!(cluster.propose(frozen, "too late"), Err(ProposeError::NotLeader { leader: None }));
    cluster.run_for(ms(1_000));
    assert_eq!(cluster.status(frozen).leader, cluster.leader());
    assert_ne!(cluster.leader(), Some(frozen));
}

pub fn a_dead_target_stops_proposals_for_one_election_timeout_at_most(config: Config) {
    let mut cluster = Cluster::with_config(3, config);
    let leader = cluster.elect();
    let target = cluster.followers()[0];
    cluster.crash(target);
    cluster.with(leader, |raft, now| raft.transfer(now, target)).unwrap();
    let again = cluster.with(leader, |raft, now| raft.transfer(now, target));
    assert_eq!(again, Err(TransferError::Transferring));
    cluster.run_for(cluster.config.election_timeout);
    assert_eq!(cluster.leader(), Some(leader));
    cluster.commit("on we go");

    cluster.with(leader, |raft, now| raft.transfer(now, target)).unwrap();
    cluster.with(leader, |raft, now| raft.peer_lost(now, target));
    cluster.propose(leader, "at once, if its connection closed").unwrap();
}
