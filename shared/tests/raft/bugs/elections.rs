//! Elections that nobody wins, and leaders that do not make way.

use crate::kit::*;
use wordraft_shared::raft::*;

pub fn pre_vote_and_check_quorum_together_still_elect(config: Config) {
    // n1 was alone at a higher term: it refuses the leader's messages, and the others refuse its questions.
    let mut cluster = Cluster::with_config(3, config);
    let leader = cluster.elect();
    let odd = cluster.followers()[0];
    cluster.crash(odd);
    let stored = &mut cluster.nodes.get_mut(&odd).unwrap().disk;
    stored.hard_state = HardState { term: Term::new(50), vote: Some(odd) };
    cluster.restart(odd);
    cluster.run_for(ms(3_000));
    let after = cluster.elect();
    assert!(
        cluster.status(after).term > Term::new(50),
        "everybody met in a higher term, {leader:?} gave way"
    );
    cluster.commit("again");
}

pub fn a_long_log_of_a_low_term_and_a_short_log_of_a_high_term_find_a_leader(config: Config) {
    let voters = [1, 2];
    let disks = [(1, disk(&voters, &[1, 2, 2, 2], 2)), (2, disk(&voters, &[1], 9))];
    let mut cluster = Cluster::from_disks(config, disks);
    assert_eq!(
        cluster.elect(),
        n(1),
        "only the longer log can win, and it learns the higher term by being refused"
    );
    assert!(cluster.status(n(1)).term > Term::new(9));
}

/// Everybody still reaches one member, and nobody else: only that one can win, and it hears a leader that cannot.
pub fn a_leader_that_reaches_only_the_bridge_makes_way_for_it(config: Config) {
    let mut cluster = Cluster::with_config(5, config);
    let old = cluster.elect();
    let bridge = cluster.followers()[0];
    for id in (1..=5).map(n).filter(|id| *id != bridge) {
        let others = (1..=5).map(n).filter(|other| *other != bridge);
        cluster.network.isolate(id, others);
    }
    cluster.run_until("the bridge leads", |cluster| cluster.status(bridge).ready);
    cluster.commit("served");
    assert_eq!(cluster.status(old).leader, Some(bridge));
}

pub fn a_leader_that_everybody_hears_and_that_hears_nobody_makes_way(config: Config) {
    let mut cluster = Cluster::with_config(5, config);
    let deaf = cluster.elect();
    for id in cluster.followers() {
        cluster.network.cut_one_way(id, deaf);
    }
    cluster.run_until("somebody else leads", |cluster| {
        cluster.leader().is_some_and(|leader| leader != deaf && cluster.status(leader).ready)
    });
    let leader = cluster.leader();
    cluster.run_for(ms(3_000));
    assert_eq!(cluster.leader(), leader, "and goes on to lead");
}

pub fn a_learner_votes_when_it_is_asked(config: Config) {
    // n3 was promoted without hearing of it: its own log still has it as a learner.
    let promoted = disk(&[1, 2, 3], &[1, 1], 1);
    let mut unaware = disk(&[1, 2], &[1], 1);
    let learner = Membership { voters: ids(&[1, 2]), learners: ids(&[3]), ..Membership::default() };
    unaware.entries[0].payload = Payload::Membership(learner.clone().into());
    let mut aware = unaware.clone();
    aware.entries.push(Entry { index: Index::new(2), ..promoted.entries[0].clone() });
    let disks = [(1, aware), (2, unaware.clone()), (3, unaware)];
    let mut cluster = Cluster::from_disks(config, disks);
    cluster.crash(n(2));
    assert_eq!(cluster.role(n(3)), Role::Learner);
    assert_eq!(cluster.status(n(3)).membership.learners, ids(&[3]));
    cluster.campaign(n(1));
    assert_eq!(cluster.role(n(1)), Role::Leader);
    assert_eq!(cluster.role(n(3)), Role::Follower);
}

/// n3 led last, gave its entry to n4 alone, and lost its disk. n1 had made n4 a voter before, and n4 never heard of it.
/// Of every configuration a majority is left; but n4 gives its vote to no older log, and n1 cannot win without it.
pub fn a_learner_whose_log_is_the_newest_stands_when_its_vote_is_needed(config: Config) {
    let mut behind = disk(&[1, 2, 3], &[1], 3);
    let learner = Membership { voters: ids(&[1, 2, 3]), learners: ids(&[4]), ..Membership::default() };
    behind.entries[0].payload = Payload::Membership(learner.into());
    let second = |of: Stored| Entry { index: Index::new(2), ..of.entries[0].clone() };
    let (mut promoting, mut newest) = (behind.clone(), behind.clone());
    promoting.entries.push(Entry { term: Term::new(2), ..second(disk(&[1, 2, 3, 4], &[1], 1)) });
    newest.entries.push(Entry { term: Term::new(3), payload: Payload::Noop, ..second(behind.clone()) });
    let mut cluster = Cluster::from_disks(config, [(1, promoting), (2, behind), (4, newest)]);
    let voter = cluster.elect_among(&[1, 2]);
    assert_eq!(cluster.role(n(4)), Role::Learner, "it led only as long as it had to, and {voter} leads");
    cluster.commit("again");
}

/// The driver looks at the clock far more often than anything is due.
pub fn looking_at_the_clock_does_not_begin_patience_again(config: Config) {
    let mut cluster = Cluster::with_config(3, config);
    for _ in 0..200 {
        cluster.now = cluster.now + ms(10);
        for number in 1..=3 {
            cluster.with(n(number), |raft, now| raft.tick(now));
        }
        cluster.settle();
    }
    assert!(cluster.leader().is_some());
}

/// All begin at the same moment, over links of the same length, with the same log.
pub fn members_in_lockstep_still_elect(config: Config) {
    for size in 2..=7 {
        let mut cluster = Cluster::with_config(size, config.clone());
        let began = cluster.now;
        cluster.elect();
        assert!(cluster.now - began < config.election_timeout * 4, "{size} took {:?}", cluster.now - began);
    }
}

/// Its disk was lost, and it came back under its old id all the same: nothing on it says that it may vote or lead.
pub fn a_wiped_member_is_no_quorum_of_its_own(config: Config) {
    for size in 1..=3 {
        let mut cluster = Cluster::with_config(size, config.clone());
        let leader = cluster.elect();
        cluster.crash(leader);
        cluster.nodes.get_mut(&leader).unwrap().disk = Stored::default();
        cluster.network.isolate(leader, (1..=size).map(n));
        cluster.restart(leader);
        cluster.run_for(ms(10_000));
        let status = cluster.status(leader);
        assert_eq!((status.role, status.term, status.commit), (Role::Learner, Term::ZERO, Index::ZERO));
    }
}
