use crate::kit::*;
use wordraft_shared::ids::NodeId;
use wordraft_shared::raft::*;
use wordraft_shared::time::Duration;

#[test]
fn basic_election() {
    let mut cluster = Cluster::new(3);
    cluster.campaign(n(1));
    let story = [
        " 2000 n1 precandidate term 1",
        " 2002 n1 candidate term 2",
        " 2003 n2 follower term 2",
        " 2003 n3 follower term 2",
        " 2004 n1 leader term 2 of n1",
        " 2005 n2 follower term 2 of n1",
        " 2005 n3 follower term 2 of n1",
    ];
    assert_eq!(cluster.story[3..], story);
    let status = cluster.status(n(1));
    assert_eq!((status.role, status.commit, status.last), (Role::Leader, Index::new(2), Position::new(2, 2)));
    assert_eq!(cluster.status(n(2)).commit, Index::new(2), "followers hear of the commit without waiting");
}

#[test]
fn a_cluster_of_one_leads_itself_at_once() {
    let mut cluster = Cluster::from_disks(Config::default(), [(1, Stored::founder(n(1)))]);
    cluster.run_for(ms(1));
    assert!(cluster.status(n(1)).ready);
    cluster.propose(n(1), "alone").unwrap();
    assert_eq!(cluster.applied(n(1)), ["alone"]);
}

#[test]
fn a_cluster_of_two_needs_both() {
    let mut cluster = Cluster::new(2);
    let leader = cluster.elect();
    cluster.commit("both");
    let other = cluster.followers()[0];
    cluster.crash(other);
    cluster.run_for(ms(1_000));
    assert_eq!(cluster.role(leader), Role::PreCandidate, "alone it leads no more");
    cluster.restart(other);
    cluster.elect();
    cluster.commit("both again");
}

#[test]
fn a_minority_never_raises_its_term() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let term = cluster.status(leader).term;
    let cut_off = cluster.followers()[0];
    cluster.network.isolate(cut_off, [n(1), n(2), n(3)]);
    cluster.run_for(ms(5_000));
    assert_eq!(cluster.status(cut_off).term, term);
    cluster.network.heal();
    cluster.run_for(ms(1_000));
    assert_eq!(cluster.leader(), Some(leader), "and disturbs nobody when it comes back");
    assert_eq!(cluster.status(leader).term, term);
}

#[test]
fn pre_vote_with_a_stale_log_is_refused() {
    let voters = [1, 2, 3];
    let disks = [
        (1, disk(&voters, &[1, 1], 1)),
        (2, disk(&voters, &[1, 1, 1], 1)),
        (3, disk(&voters, &[1, 1, 1], 1)),
    ];
    let mut cluster = Cluster::from_disks(Config::default(), disks);
    cluster.campaign(n(1));
    assert_eq!((cluster.role(n(1)), cluster.status(n(1)).term), (Role::PreCandidate, Term::new(1)));
    cluster.campaign(n(2));
    assert_eq!(cluster.role(n(2)), Role::Leader);
    assert_eq!(cluster.status(n(1)).last, cluster.status(n(2)).last);
}

#[test]
fn a_learner_never_stands_unasked() {
    let mut cluster = Cluster::from_disks(Config::default(), [(1, Stored::default())]);
    cluster.run_for(ms(10_000));
    assert_eq!(cluster.role(n(1)), Role::Learner);
    assert_eq!(cluster.nodes[&n(1)].raft.as_ref().unwrap().deadline(), None);
}

/// The leader crashes and everybody is told: how long until there is a leader that has committed something.
fn fail_over(cluster: &mut Cluster) -> Duration {
    let leader = cluster.elect();
    cluster.run_for(ms(500));
    let followers = cluster.followers();
    cluster.crash(leader);
    let lost_at = cluster.now;
    for follower in followers {
        cluster.with(follower, |raft, now| raft.peer_lost(now, leader));
    }
    cluster.run_until("another leader", |cluster| {
        cluster.leader().is_some_and(|other| other != leader && cluster.status(other).ready)
    });
    cluster.now - lost_at
}

/// The middle, the 99th of a hundred and the longest of many fail-overs over links of this delay. What the leader had sent
/// arrives after the notice.
fn slow_fail_overs(size: u8, delay: Duration) -> [Duration; 3] {
    let time = |seed| {
        let mut cluster = Cluster::new(size).seeded(seed);
        cluster.network.delay = delay;
        cluster.network.jitter = ms(3);
        cluster.disk_delay = ms(6);
        fail_over(&mut cluster)
    };
    let mut times: Vec<Duration> = (0..500).map(time).collect();
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    eprintln!("{size} members: median {:?}, 99 of 100 {:?}, longest {:?}", at(50), at(99), at(100));
    [50, 99, 100].map(at)
}

#[test]
fn prompt_election_after_the_leaders_connection_closed() {
    let took = fail_over(&mut Cluster::new(5));
    assert!(took < ms(60), "fail-over took {took:?}");
}

#[test]
fn prompt_elections_do_not_split_their_votes() {
    for size in [3, 5, 7] {
        // The shortest timeout is 300 ms: nobody waited for one.
        let [_, most, longest] = slow_fail_overs(size, ms(2));
        assert!(most < ms(120) && longest < ms(300));
    }
}

/// Each hears that the other stands when it has long asked itself.
#[test]
fn members_far_apart_do_not_both_give_way() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let both = cluster.followers();
    cluster.settle();
    cluster.crash(leader);
    cluster.network.delay = ms(140);
    cluster.now = cluster.now + ms(1_000);
    for id in &both {
        cluster.with(*id, |raft, now| raft.tick(now));
    }
    cluster.arrive_next();
    assert!(both.iter().any(|id| cluster.role(*id) == Role::PreCandidate), "{:?}", cluster.story);
}

/// How long this member, that hears nobody, waits for the answers to its first question.
fn patience_alone(cluster: &mut Cluster, id: NodeId) -> Duration {
    cluster.network.isolate(id, [1, 2, 3].map(n));
    cluster.run_until("it asks", |cluster| cluster.role(id) == Role::PreCandidate);
    cluster.nodes[&id].raft.as_ref().and_then(Raft::deadline).unwrap() - cluster.now
}

#[test]
fn a_wrong_notice_leaves_no_haste_behind() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let misled = cluster.followers()[0];
    cluster.network.cut(leader, misled);
    cluster.with(misled, |raft, now| raft.peer_lost(now, leader));
    cluster.run_until("it asks", |cluster| cluster.role(misled) == Role::PreCandidate);
    cluster.network.heal();
    cluster.run_until("its leader is heard", |cluster| cluster.status(misled).leader.is_some());
    cluster.run_for(cluster.config.election_timeout);
    assert!(patience_alone(&mut cluster, misled) >= cluster.config.election_timeout);
}

#[test]
fn a_leader_that_was_elected_in_haste_has_none_when_it_leads_no_more() {
    let mut cluster = Cluster::new(3);
    fail_over(&mut cluster);
    let leader = cluster.leader().unwrap();
    assert!(patience_alone(&mut cluster, leader) >= cluster.config.election_timeout);
}

/// The least wanted member has the longest prompt tries, and nobody answers it.
#[test]
fn no_try_after_a_notice_takes_longer_than_one_without() {
    for seed in 0..20 {
        let mut cluster = Cluster::new(3).seeded(seed);
        let leader = cluster.elect();
        let alone = cluster.followers()[0];
        cluster.with(alone, |raft, _| raft.set_priority(Priority::Reluctant));
        cluster.network.isolate(alone, [1, 2, 3].map(n));
        cluster.with(alone, |raft, now| raft.peer_lost(now, leader));
        let longest = cluster.config.election_timeout * 3;
        for _ in 0..6 {
            let deadline = cluster.nodes[&alone].raft.as_ref().and_then(Raft::deadline).unwrap();
            assert!(deadline - cluster.now <= longest, "{:?}", deadline - cluster.now);
            cluster.now = deadline;
            cluster.with(alone, |raft, now| raft.tick(now));
        }
    }
}

#[test]
fn prompt_elections_are_prompt_over_slow_links_too() {
    for size in [3, 5] {
        // The last heartbeat takes 50 ms to arrive; pre-vote, vote and commit take a round trip of 100 ms each.
        let [middle, most, longest] = slow_fail_overs(size, ms(50));
        assert!(middle < ms(600) && most < ms(700) && longest < ms(1_500));
    }
}

/// How long this member waits before it stands, when it has just heard `leader` for the last time.
fn patience_after_the_last_word(cluster: &mut Cluster, id: NodeId, leader: NodeId, term: Term) -> Duration {
    let heartbeat = Message::Heartbeat { term, commit: Index::ZERO, round: Round(1) };
    cluster.step(id, leader, heartbeat).unwrap();
    assert_eq!(cluster.status(id).leader, Some(leader));
    cluster.nodes[&id].raft.as_ref().and_then(Raft::deadline).unwrap() - cluster.now
}

/// Whether the peer led when the notice came does not matter: its word may be the first of a new leader, or the last of one
/// that this member had given up already.
#[test]
fn a_notice_counts_against_what_a_leader_said_before_it() {
    let timeout = Config::default().election_timeout;
    for comes_back in [false, true] {
        let mut cluster = Cluster::new(3);
        let leader = cluster.elect();
        let [told, other] = [cluster.followers()[0], cluster.followers()[1]];
        let term = cluster.status(leader).term;
        let is_haste_right = |patience| (patience < timeout) != comes_back;
        let notice = |cluster: &mut Cluster, peer| {
            cluster.with(told, |raft, now| raft.peer_lost(now, peer));
            if comes_back {
                cluster.with(told, |raft, now| raft.peer_back(now, peer));
            }
        };

        cluster.network.isolate(told, [1, 2, 3].map(n));
        cluster.run_until("it stands", |cluster| cluster.role(told) == Role::PreCandidate);
        notice(&mut cluster, leader);
        let patience = patience_after_the_last_word(&mut cluster, told, leader, term);
        assert!(is_haste_right(patience), "the old leader's last word: {patience:?}");

        notice(&mut cluster, other);
        let patience = patience_after_the_last_word(&mut cluster, told, other, term.next());
        assert!(is_haste_right(patience), "a new leader's first word: {patience:?}");
    }
}

#[test]
fn a_wrong_notice_that_the_leader_is_gone_changes_nothing() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let term = cluster.status(leader).term;
    let misled = cluster.followers()[0];
    cluster.with(misled, |raft, now| raft.peer_lost(now, leader));
    cluster.run_for(ms(2_000));
    assert_eq!((cluster.leader(), cluster.status(misled).term), (Some(leader), term));
}

#[test]
fn a_leader_without_a_majority_steps_down() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.network.isolate(leader, [n(1), n(2), n(3)]);
    cluster.run_for(ms(400));
    assert_ne!(cluster.role(leader), Role::Leader);
    assert_eq!(cluster.propose(leader, "lost"), Err(ProposeError::NotLeader { leader: None }));
    cluster.run_until("the others have one", |cluster| cluster.leader().is_some());
    assert_ne!(cluster.leader(), Some(leader));
}

#[test]
fn servers_are_preferred_but_tabs_can_lead() {
    for seed in 0..20 {
        let mut cluster = Cluster::new(3).seeded(seed);
        for tab in [n(2), n(3)] {
            cluster.with(tab, |raft, _| raft.set_priority(Priority::Reluctant));
        }
        let leader = cluster.elect();
        cluster.crash(leader);
        cluster.run_until("a leader", |cluster| cluster.leader().is_some());
        cluster.crash(cluster.leader().unwrap());
        cluster.restart(leader);
        for running in [leader, cluster.followers()[0]] {
            if cluster.nodes[&running].raft.is_some() {
                cluster.with(running, |raft, _| raft.set_priority(Priority::Reluctant));
            }
        }
        cluster.run_until("the least wanted leads if nobody else can", |cluster| cluster.leader().is_some());
    }
}

#[test]
fn a_vote_survives_a_crash() {
    let mut cluster = Cluster::new(3);
    cluster.now = cluster.now + ms(2_000);
    let vote = |last| Message::Vote { term: Term::new(7), last, transfer: false };
    cluster.step(n(1), n(2), vote(Position::new(1, 1))).unwrap();
    cluster.crash(n(1));
    cluster.restart(n(1));
    cluster.network.keeps_sent = true;
    cluster.step(n(1), n(3), vote(Position::new(1, 9))).unwrap();
    let refusal = Message::VoteResponse { term: Term::new(7), granted: false };
    assert_eq!(cluster.network.sent, [(n(1), n(3), refusal)]);
}

#[test]
fn a_member_without_a_leader_can_tell_who_refuses_it_and_why() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let [cut_off, other] = [cluster.followers()[0], cluster.followers()[1]];
    assert_eq!(cluster.status(cut_off).campaign, None);
    cluster.network.cut(leader, cut_off);
    let refusal = |cluster: &Cluster| {
        let campaign = cluster.status(cut_off).campaign?;
        campaign.answers.get(&other)?.refusal
    };
    cluster.run_until("a refusal", |cluster| refusal(cluster).is_some());
    assert_eq!(refusal(&cluster), Some(Refusal::LeaderAlive));
    let campaign = cluster.status(cut_off).campaign.unwrap();
    assert!(campaign.rounds > 0 && !campaign.answers.contains_key(&leader), "{campaign:?}");
    cluster.network.heal();
    cluster.run_until("the leader is heard again", |cluster| cluster.status(cut_off).campaign.is_none());
}
