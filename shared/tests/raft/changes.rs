use crate::kit::*;
use wordraft_shared::ids::NodeId;
use wordraft_shared::raft::*;

pub fn wanted(cluster: &mut Cluster, leader: NodeId, to: MembershipChange) -> Result<Position, ChangeError> {
    cluster.with(leader, |raft, now| raft.change_membership(now, to))
}

pub fn settled_with(cluster: &Cluster, id: NodeId, voters: &[u8]) -> bool {
    let status = cluster.status(id);
    let is_committed = status.membership_index <= status.commit;
    is_committed && !status.membership.is_joint() && status.membership.voters == ids(voters)
}

#[test]
fn a_founder_takes_in_a_learner_and_then_a_voter() {
    let disks = [(1, Stored::founder(n(1))), (2, Stored::default())];
    let mut cluster = Cluster::from_disks(Config::default(), disks);
    cluster.run_until("the founder leads", |cluster| cluster.status(n(1)).ready);
    cluster.propose(n(1), "before anybody came").unwrap();
    wanted(&mut cluster, n(1), change(&[1], &[2])).unwrap();
    cluster.run_until("the learner catches up", |cluster| cluster.has_applied(n(2), "before anybody came"));
    assert_eq!(cluster.role(n(2)), Role::Learner);
    cluster.run_until("that is settled", |cluster| settled_with(cluster, n(1), &[1]));
    wanted(&mut cluster, n(1), change(&[1, 2], &[])).unwrap();
    cluster.run_until("both vote", |cluster| settled_with(cluster, n(2), &[1, 2]));
    assert_eq!(cluster.role(n(2)), Role::Follower);
    cluster.commit("both");
}

#[test]
fn two_voters_join_through_a_joint_configuration() {
    let disks = [(1, Stored::founder(n(1))), (2, Stored::default()), (3, Stored::default())];
    let mut cluster = Cluster::from_disks(Config::default(), disks);
    cluster.run_until("the founder leads", |cluster| cluster.status(n(1)).ready);
    wanted(&mut cluster, n(1), change(&[1, 2, 3], &[])).unwrap();
    let joint = cluster.status(n(1)).membership;
    assert_eq!((joint.voters.clone(), joint.outgoing.clone()), (ids(&[1, 2, 3]), ids(&[1])));
    for number in 1..=3 {
        cluster.run_until("it is left by itself", |cluster| settled_with(cluster, n(number), &[1, 2, 3]));
    }
    cluster.commit("all three");
}

#[test]
fn a_dead_voter_is_replaced_in_one_change() {
    let mut cluster = Cluster::new(3);
    cluster.add(n(4), Stored::default());
    let leader = cluster.elect_among(&[1, 2, 3]);
    let dead = cluster.followers().into_iter().find(|id| *id != n(4)).unwrap();
    cluster.crash(dead);
    let keep: Vec<u8> = (1..=4).filter(|number| n(*number) != dead).collect();
    wanted(&mut cluster, leader, change(&keep, &[])).unwrap();
    assert!(cluster.status(leader).membership.is_joint());
    cluster.run_until("replaced", |cluster| settled_with(cluster, n(4), &keep));
    cluster.commit("with the new one");
}

#[test]
fn no_change_before_an_entry_of_the_own_term_is_committed() {
    let mut cluster = Cluster::new(3);
    cluster.stand(n(1));
    assert_eq!(wanted(&mut cluster, n(1), change(&[1, 2], &[])), Err(ChangeError::NotReady));
    cluster.settle();
    wanted(&mut cluster, n(1), change(&[1, 2], &[])).unwrap();
    assert_eq!(wanted(&mut cluster, n(1), change(&[1, 2, 3], &[])), Err(ChangeError::Pending));
}

#[test]
fn impossible_configurations_are_refused() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let mut refused = |to| match wanted(&mut cluster, leader, to) {
        Err(ChangeError::Invalid(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(change(&[], &[1])), MembershipError::NoVoters);
    assert_eq!(refused(change(&[1, 2], &[2])), MembershipError::VoterAndLearner(n(2)));
    assert_eq!(refused(change(&[1, 2, 3], &[])), MembershipError::Unchanged);
    let many: Vec<u8> = (1..=255).collect();
    let crowd = MembershipChange {
        voters: ids(&many),
        learners: [NodeId::from_bytes(*b"stranger 1"), NodeId::from_bytes(*b"stranger 2")].into(),
    };
    assert!(matches!(refused(crowd), MembershipError::TooMany { .. }));
}

#[test]
fn of_two_members_the_leader_can_leave_even_if_the_news_is_lost_at_first() {
    let mut cluster = Cluster::new(2);
    let leader = cluster.elect();
    let other = cluster.followers()[0];
    let other_number = other.as_bytes()[0];
    wanted(&mut cluster, leader, change(&[other_number], &[])).unwrap();
    cluster.network.intercept();
    cluster.run_until("the other leads alone", |cluster| cluster.status(other).ready);
    assert!(settled_with(&cluster, other, &[other_number]));
    cluster.propose(other, "alone").unwrap();
    cluster.run_for(ms(10));
    assert!(cluster.has_applied(other, "alone"));
}

#[test]
fn a_leader_that_removed_itself_and_crashed_before_anybody_knew_can_still_finish() {
    let mut cluster = Cluster::new(2);
    let leader = cluster.elect();
    let other = cluster.followers()[0];
    wanted(&mut cluster, leader, change(&[other.as_bytes()[0]], &[])).unwrap();
    cluster.network.intercept();
    cluster.crash(leader);
    cluster.restart(leader);
    cluster.run_until("the other leads alone", |cluster| cluster.status(other).ready);
    assert!(settled_with(&cluster, other, &[other.as_bytes()[0]]));
}

#[test]
fn a_removed_member_with_a_high_term_disturbs_nobody() {
    let mut cluster = Cluster::new(4);
    let leader = cluster.elect();
    let removed = cluster.followers()[0];
    let rest: Vec<u8> = (1..=4).filter(|number| n(*number) != removed).collect();
    cluster.crash(removed);
    wanted(&mut cluster, leader, change(&rest, &[])).unwrap();
    cluster.run_until("removed", |cluster| settled_with(cluster, leader, &rest));
    cluster.run_for(ms(5_000));
    let stored = &mut cluster.nodes.get_mut(&removed).unwrap().disk;
    stored.hard_state.term = Term::new(1_000);
    cluster.restart(removed);
    let term = cluster.status(leader).term;
    cluster.run_for(ms(5_000));
    assert_eq!((cluster.leader(), cluster.status(leader).term), (Some(leader), term));
}

/// It is told of its removal for a while, and answers with its own term.
#[test]
fn a_member_that_is_being_told_of_its_removal_disturbs_nobody() {
    let mut cluster = Cluster::new(4);
    let leader = cluster.elect();
    let removed = cluster.followers()[0];
    let rest: Vec<u8> = (1..=4).filter(|number| n(*number) != removed).collect();
    cluster.crash(removed);
    cluster.nodes.get_mut(&removed).unwrap().disk.hard_state.term = Term::new(1_000);
    let term = cluster.status(leader).term;
    wanted(&mut cluster, leader, change(&rest, &[])).unwrap();
    cluster.run_until("removed", |cluster| settled_with(cluster, leader, &rest));
    cluster.restart(removed);
    assert!(cluster.status(leader).peers.contains_key(&removed), "it is still being told");
    cluster.run_for(ms(5_000));
    assert_eq!((cluster.leader(), cluster.status(leader).term), (Some(leader), term));
}

#[test]
fn a_joint_configuration_needs_both_majorities() {
    let mut cluster = Cluster::new(3);
    for number in 4..=6 {
        cluster.add(n(number), Stored::default());
    }
    let leader = cluster.elect_among(&[1, 2, 3]);
    for dead in 4..=6 {
        cluster.crash(n(dead));
    }
    let joint = wanted(&mut cluster, leader, change(&[4, 5, 6], &[])).unwrap();
    cluster.settle();
    assert!(cluster.status(leader).commit < joint.index, "the old majority alone decides nothing");
    cluster.run_for(ms(1_000));
    for back in 4..=6 {
        cluster.restart(n(back));
    }
    cluster.run_until("the new ones lead", |cluster| {
        (4..=6).any(|number| cluster.status(n(number)).ready && settled_with(cluster, n(number), &[4, 5, 6]))
    });
}

#[test]
fn a_configuration_that_was_never_committed_is_taken_back() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.network.isolate(leader, [n(1), n(2), n(3)]);
    wanted(&mut cluster, leader, change(&[1, 2, 3], &[9])).unwrap();
    assert_eq!(cluster.status(leader).membership.learners, ids(&[9]));
    cluster.run_for(ms(2_000));
    cluster.network.heal();
    cluster.run_for(ms(1_000));
    assert!(cluster.status(leader).membership.learners.is_empty());
    cluster.commit("without the stranger");
}

#[test]
fn a_voter_becomes_a_learner_after_the_joint_configuration() {
    let mut cluster = Cluster::new(5);
    let leader = cluster.elect();
    let [one, two, ..] = cluster.followers()[..] else { panic!() };
    let (one, two) = (one.as_bytes()[0], two.as_bytes()[0]);
    let voters: Vec<u8> = (1..=5).filter(|number| ![one, two].contains(number)).collect();
    wanted(&mut cluster, leader, change(&voters, &[one, two])).unwrap();
    assert_eq!(cluster.status(leader).membership.learners_next, ids(&[one, two]));
    cluster.run_until("demoted", |cluster| settled_with(cluster, n(one), &voters));
    assert_eq!(cluster.role(n(one)), Role::Learner);
    cluster.commit("learners get it too");
}

/// A member holds a configuration that never became law, and the next leader has something else in its place.
#[test]
fn a_configuration_that_is_taken_back_is_noticed() {
    let voters = [1, 2, 3];
    let wide = || Payload::Membership(Membership::of_voters(ids(&[1, 2, 3, 4])).into());
    let narrow = || Payload::Membership(Membership::of_voters(ids(&[1, 2])).into());
    let at = |index, term, payload| Entry { term: Term::new(term), index: Index::new(index), payload };
    for (instead, expected) in [(Payload::Noop, ids(&voters)), (narrow(), ids(&[1, 2]))] {
        let now = wordraft_shared::time::Time::from_millis(1_000);
        let rng = wordraft_shared::rng::Rng::from_u64(1);
        let mut stored = disk(&voters, &[1], 1);
        stored.entries.push(at(2, 1, wide()));
        let mut raft = Raft::new(n(1), Config::default(), stored, rng, now).unwrap();
        assert_eq!(raft.status().membership.voters, ids(&[1, 2, 3, 4]));
        let term = Term::new(2);
        raft.step(now, n(2), Message::Heartbeat { term, commit: Index::ZERO, round: Round(1) }).unwrap();
        let _the_leader_is_news = raft.take_output();
        let (previous, commit) = (Position::new(1, 1), Index::ZERO);
        let append = Message::Append { term, previous, entries: vec![at(2, 2, instead)].into(), commit };
        raft.step(now, n(2), append).unwrap();
        assert!(raft.take_output().state_changed);
        assert_eq!(raft.status().membership.voters, expected);
    }
}
