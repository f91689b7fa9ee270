//! Configurations that change: two quorums that do not meet, and members that do not know where they belong.

use crate::changes::{settled_with, wanted};
use crate::kit::*;
use wordraft_shared::ids::NodeId;
use wordraft_shared::raft::*;

/// Ongaro's example of the single-server change bug: n1 takes n5 in, n2 lets n1 go, and neither change knows of the other.
pub fn a_change_before_the_own_term_commit_would_make_two_disjoint_quorums(config: Config) {
    let mut cluster = Cluster::with_config(4, config);
    cluster.add(n(5), Stored::default());
    cluster.campaign(n(1));
    cluster.network.isolate(n(1), [2, 3, 4].map(n));
    wanted(&mut cluster, n(1), change(&[1, 2, 3, 4, 5], &[])).unwrap();
    cluster.settle();
    assert_eq!(cluster.status(n(5)).membership.voters, ids(&[1, 2, 3, 4, 5]), "n5 has it, and nobody else");

    cluster.stand(n(2));
    cluster.network.cut(n(2), n(4));
    let too_early = wanted(&mut cluster, n(2), change(&[2, 3, 4], &[]));
    cluster.settle();

    // Now n1 meets n4 and n5: a majority of its five, and none of the three that n2 would have made.
    cluster.network.heal();
    cluster.network.isolate(n(2), [1, 4, 5].map(n));
    cluster.network.isolate(n(3), [1, 4, 5].map(n));
    cluster.run_for(ms(3_000));
    assert_eq!(too_early, Err(ChangeError::NotReady));
    cluster.network.heal();
    cluster.run_until("all five", |cluster| {
        (1..=5).all(|number| settled_with(cluster, n(number), &[1, 2, 3, 4, 5]))
    });
}

/// A commit index is forgotten by a crash, a log is not: members that look at the former fall back to old voters.
pub fn a_configuration_counts_from_the_log_and_not_from_its_commit(config: Config) {
    let mut cluster = Cluster::with_config(3, config);
    cluster.add(n(4), Stored::default());
    cluster.add(n(5), Stored::default());
    cluster.campaign(n(1));
    wanted(&mut cluster, n(1), change(&[1, 2, 3, 4, 5], &[])).unwrap();
    cluster.settle();
    assert!(settled_with(&cluster, n(3), &[1, 2, 3, 4, 5]));

    for number in [2, 3] {
        cluster.crash(n(number));
        cluster.restart(n(number));
        cluster.network.isolate(n(number), [1, 4, 5].map(n));
    }
    cluster.run_for(ms(3_000));
    for number in 1..=5 {
        let _only_one_accepts = cluster.propose(n(number), &format!("from n{number}"));
    }
    cluster.settle();
    assert!(cluster.status(n(1)).leader.is_some(), "three of five go on");
    assert!([2, 3].iter().all(|number| cluster.role(n(*number)) != Role::Leader), "two of five do not");
}

pub fn a_new_leader_leaves_the_joint_configuration_of_the_old_one(config: Config) {
    let mut cluster = Cluster::with_config(3, config);
    cluster.add(n(4), Stored::default());
    cluster.add(n(5), Stored::default());
    let leader = cluster.elect_among(&[1, 2, 3]);
    wanted(&mut cluster, leader, change(&[1, 2, 3, 4, 5], &[])).unwrap();
    // The joint configuration reaches everybody, but no acknowledgement comes back.
    for (from, to, message) in cluster.network.intercept() {
        cluster.deliver(from, to, message);
    }
    cluster.network.intercept();
    cluster.crash(leader);
    let survivors: Vec<NodeId> = cluster.followers().into_iter().filter(|id| *id != leader).collect();
    cluster.run_until("a successor", |cluster| {
        survivors.iter().any(|id| cluster.status(*id).ready && settled_with(cluster, *id, &[1, 2, 3, 4, 5]))
    });
}

pub fn the_last_message_to_a_removed_member_may_be_lost(config: Config) {
    let mut cluster = Cluster::with_config(2, config);
    let leader = cluster.elect();
    let other = cluster.followers()[0];
    let number = leader.as_bytes()[0];
    wanted(&mut cluster, leader, change(&[number], &[])).unwrap();
    cluster.network.intercept();
    cluster.run_until("it knows", |cluster| settled_with(cluster, other, &[number]));
    assert_eq!(cluster.role(other), Role::Learner);
    cluster.run_until("the leader lets go of it", |cluster| cluster.status(leader).peers.is_empty());
}

/// All arrives but the word that the removal is committed.
pub fn the_notice_of_a_removal_is_repeated_until_it_is_answered(config: Config) {
    let mut cluster = Cluster::with_config(3, config);
    let leader = cluster.elect();
    let removed = cluster.followers()[0];
    let rest: Vec<u8> = (1..=3).filter(|number| n(*number) != removed).collect();
    wanted(&mut cluster, leader, change(&rest, &[])).unwrap();
    while !settled_with(&cluster, leader, &rest) {
        cluster.arrive_next();
    }
    cluster.network.isolate(removed, [leader]);
    cluster.run_for(ms(500));
    assert_eq!(cluster.status(removed).last, cluster.status(leader).last);
    assert!(!settled_with(&cluster, removed, &rest));
    cluster.network.heal();
    cluster.run_until("it knows", |cluster| settled_with(cluster, removed, &rest));
    cluster.run_until("the leader lets go of it", |cluster| {
        !cluster.status(leader).peers.contains_key(&removed)
    });
}

pub fn a_new_leader_tells_whom_the_old_one_could_not_tell(config: Config) {
    let mut cluster = Cluster::with_config(4, config);
    let leader = cluster.elect();
    let removed = cluster.followers()[0];
    let rest: Vec<u8> = (1..=4).filter(|number| n(*number) != removed).collect();
    cluster.network.cut(leader, removed);
    wanted(&mut cluster, leader, change(&rest, &[])).unwrap();
    cluster
        .run_until("removed", |cluster| rest.iter().all(|number| settled_with(cluster, n(*number), &rest)));
    cluster.crash(leader);
    assert!(!settled_with(&cluster, removed, &rest));
    cluster.run_until("it knows", |cluster| settled_with(cluster, removed, &rest));
}

pub fn a_removed_leader_hands_over_once_its_removal_is_committed(config: Config) {
    let mut cluster = Cluster::with_config(3, config);
    let leader = cluster.elect();
    let rest: Vec<u8> = (1..=3).filter(|number| n(*number) != leader).collect();
    let began = cluster.now;
    wanted(&mut cluster, leader, change(&rest, &[])).unwrap();
    cluster.run_until("one of the rest leads", |cluster| {
        rest.iter().any(|number| cluster.status(n(*number)).ready)
    });
    assert!(cluster.now - began < ms(30), "nobody waited for a timeout: {:?}", cluster.now - began);
    assert_eq!(cluster.role(leader), Role::Learner);
    let new = cluster.leader().unwrap();
    let term = cluster.status(new).term;
    cluster.run_for(ms(3_000));
    assert_eq!((cluster.leader(), cluster.status(new).term), (Some(new), term), "the old one is quiet");
}
