//! Reads that would be stale.

use crate::kit::*;
use crate::reads::{answers, read};
use wordraft_shared::raft::*;

pub fn a_late_answer_to_an_earlier_round_confirms_no_later_read(config: Config) {
    let mut cluster = Cluster::with_config(3, config);
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

pub fn reads_after_a_pause_are_refused_not_answered_stale(config: Config) {
    let mut cluster = Cluster::with_config(3, config);
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

pub fn a_fresh_leader_answers_nothing_before_it_knows_what_is_committed(config: Config) {
    let mut cluster = Cluster::with_config(3, config);
    cluster.campaign(n(1));
    cluster.commit("committed under n1");
    cluster.crash(n(1));
    cluster.stand(n(2));
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
