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

/// One follower is being probed, and another owes an acknowledgement. Both answer every round.
#[test]
fn reads_repeat_no_question_more_often_than_heartbeats_do() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.settle();
    let [probed, owing] = cluster.followers()[..] else { panic!() };
    cluster.nodes.get_mut(&owing).unwrap().disk_hangs = true;
    cluster.with(leader, |raft, now| raft.peer_lost(now, probed));
    cluster.propose(leader, "unanswered").unwrap();
    let (mut appends, mut rounds, began) = ([0, 0], 0, cluster.now);
    while cluster.now - began < ms(120) {
        read(&mut cluster, leader, rounds);
        rounds += 1;
        while cluster.network.next_arrival().is_some() {
            cluster.now = cluster.network.next_arrival().unwrap();
            for (from, to, message) in cluster.network.intercept() {
                match message {
                    Message::Append { .. } if to == probed => appends[0] += 1,
                    Message::Append { .. } => appends[1] += 1,
                    _ => cluster.deliver(from, to, message),
                }
            }
        }
    }
    assert!(rounds >= 30, "{rounds} rounds");
    assert!(appends.iter().all(|count| (1..=4).contains(count)), "{appends:?} questions in three intervals");
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
