use crate::kit::*;
use wordraft_shared::ids::NodeId;
use wordraft_shared::raft::*;

fn read(cluster: &mut Cluster, id: NodeId, token: u64) {
    let token = ReadToken(token);
    cluster.checker.asked(token);
    cluster.with(id, |raft, now| raft.read(now, token));
}

fn answers(cluster: &Cluster, id: NodeId) -> Vec<Result<u64, ReadError>> {
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
fn a_fresh_leader_answers_nothing_before_it_knows_what_is_committed() {
    let mut cluster = Cluster::new(3);
    cluster.campaign(n(1));
    cluster.commit("committed under n1");
    cluster.crash(n(1));
    cluster.now = cluster.now + ms(2_000);
    cluster.with(n(2), |raft, now| raft.tick(now));
    while cluster.role(n(2)) != Role::Leader {
        cluster.arrive_next();
    }
    // n3 answers heartbeats, but no entry comes through.
    let heartbeats = |cluster: &mut Cluster| {
        for (from, to, message) in cluster.network.intercept() {
            if !matches!(message, Message::Append { .. } | Message::AppendResponse { .. }) {
                cluster.deliver(from, to, message);
            }
        }
    };
    read(&mut cluster, n(2), 1);
    for _ in 0..4 {
        heartbeats(&mut cluster);
    }
    assert!(answers(&cluster, n(2)).is_empty());
    cluster.run_for(ms(200));
    assert_eq!(answers(&cluster, n(2)).len(), 1);
}

#[test]
fn a_late_answer_to_an_earlier_round_confirms_no_later_read() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.settle();
    read(&mut cluster, leader, 1);
    let round_1 = cluster.network.intercept();
    for (from, to, message) in round_1 {
        cluster.deliver(from, to, message);
    }
    let late_answers = cluster.network.intercept();
    assert!(!late_answers.is_empty());
    // The leader is paused for less than a timeout, so that it does not step down, and a second read comes in.
    cluster.now = cluster.now + ms(10);
    read(&mut cluster, leader, 2);
    for (from, to, message) in late_answers {
        cluster.deliver(from, to, message);
    }
    assert_eq!(answers(&cluster, leader).len(), 1, "only the first read is confirmed");
}

#[test]
fn reads_after_a_pause_are_refused_not_answered_stale() {
    let mut cluster = Cluster::new(3);
    let old = cluster.elect();
    cluster.settle();
    read(&mut cluster, old, 1);
    cluster.nodes.get_mut(&old).unwrap().is_frozen = true;
    let waiting: Vec<_> = cluster.network.intercept();
    cluster.run_for(ms(2_000));
    let new = cluster.leader().filter(|leader| *leader != old);
    let new =
        new.or_else(|| cluster.followers().into_iter().find(|id| cluster.role(*id) == Role::Leader)).unwrap();
    cluster.propose(new, "written meanwhile").unwrap();
    cluster.run_for(ms(50));
    // It wakes up, and first of all finds a read and old answers in its queue.
    cluster.nodes.get_mut(&old).unwrap().is_frozen = false;
    read(&mut cluster, old, 2);
    for (from, to, message) in waiting {
        cluster.deliver(from, to, message);
    }
    cluster.run_for(ms(500));
    assert_eq!(answers(&cluster, old).len(), 2);
    assert!(answers(&cluster, old).iter().all(|answer| matches!(answer, Err(ReadError::NotLeader { .. }))));
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
