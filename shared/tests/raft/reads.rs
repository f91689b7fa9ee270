use crate::kit::*;
use wordraft_shared::ids::NodeId;
use wordraft_shared::raft::*;

pub fn read(cluster: &mut Cluster, id: NodeId, token: u64) {
    let token = ReadToken(token);
    cluster.checker.asked(token);
    cluster.with(id, |raft, now| raft.read(now, token));
}

pub fn answers(cluster: &Cluster, id: NodeId) -> Vec<Result<u64, ReadError>> {
    cluster.nodes[&id].reads.iter().map(|outcome| outcome.result.map(Index::get)).collect()
}

#[test]
fn a_read_waits_for_one_round_of_heartbeats() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.commit("seen");
    cluster.settle();
    read(&mut cluster, leader, 1);
    assert!(answers(&cluster, leader).is_empty());
    cluster.settle();
    assert_eq!(answers(&cluster, leader), [Ok(3)]);
}

#[test]
fn a_leader_alone_answers_at_once() {
    let mut cluster = Cluster::from_disks(Config::default(), [(1, Stored::founder(n(1)))]);
    cluster.run_for(ms(1));
    read(&mut cluster, n(1), 1);
    assert_eq!(answers(&cluster, n(1)), [Ok(2)]);
}

#[test]
fn a_follower_says_who_leads() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let follower = cluster.followers()[0];
    read(&mut cluster, follower, 1);
    assert_eq!(answers(&cluster, follower), [Err(ReadError::NotLeader { leader: Some(leader) })]);
}

#[test]
fn waiting_reads_are_bounded() {
    let config = Config { max_pending_reads: 2, ..Config::default() };
    let mut cluster = Cluster::with_config(3, config);
    let leader = cluster.elect();
    for token in 0..3 {
        read(&mut cluster, leader, token);
    }
    assert_eq!(answers(&cluster, leader), [Err(ReadError::Busy)]);
    cluster.settle();
    assert_eq!(answers(&cluster, leader).len(), 3);
}

#[test]
fn a_lost_round_is_repeated_by_the_next_heartbeat() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.settle();
    read(&mut cluster, leader, 1);
    cluster.network.intercept();
    cluster.run_for(ms(100));
    assert_eq!(answers(&cluster, leader), [Ok(2)]);
}

/// Every round for a read is a heartbeat too; the leader's doubts about itself must come in between all the same.
#[test]
fn a_steady_stream_of_reads_hides_no_disk_that_hangs() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.nodes.get_mut(&leader).unwrap().disk_hangs = true;
    cluster.propose(leader, "never written here").unwrap();
    let end = cluster.now + ms(1_000);
    for token in 0.. {
        if cluster.role(leader) != Role::Leader {
            break;
        }
        assert!(cluster.now < end, "it still leads");
        read(&mut cluster, leader, token);
        cluster.run_for(ms(5));
    }
}
