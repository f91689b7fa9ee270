use crate::kit::*;
use bytes::Bytes;
use wordraft_shared::limits;
use wordraft_shared::raft::*;

/// The logs of Figure 3.6 (Figure 7 of the short paper): the leader's, and six followers that went astray.
const FIGURE_7: [&[u64]; 7] = [
    &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6],
    &[1, 1, 1, 4, 4, 5, 5, 6, 6],
    &[1, 1, 1, 4],
    &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    &[1, 1, 1, 4, 4, 4, 4],
    &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
];

fn figure_7() -> Cluster {
    let voters = [1, 2, 3, 4, 5, 6, 7];
    let disks = voters.iter().map(|number| (*number, disk(&voters, FIGURE_7[usize::from(*number) - 1], 7)));
    Cluster::from_disks(Config::default(), disks.collect::<Vec<_>>())
}

#[test]
fn figure_7_all_logs_become_the_leaders() {
    let mut cluster = figure_7();
    cluster.campaign(n(1));
    assert_eq!(cluster.role(n(1)), Role::Leader);
    let leader_log = cluster.nodes[&n(1)].disk.entries.clone();
    assert_eq!(leader_log.len(), 11);
    for number in 2..=7 {
        assert_eq!(cluster.nodes[&n(number)].disk.entries, leader_log, "n{number}");
    }
}

#[test]
fn catching_up_takes_one_question_per_term() {
    let mut cluster = figure_7();
    cluster.now = cluster.now + ms(2_000);
    cluster.network.keeps_sent = true;
    cluster.campaign(n(1));
    let questions = |number| {
        let to_it = cluster.network.sent.iter().filter(|(_, to, _)| *to == n(number));
        to_it.filter(|(_, _, message)| matches!(message, Message::Append { .. })).count()
    };
    assert!(questions(6) <= 3, "n6 differs in one term: {}", questions(6));
    assert!(questions(7) <= 3, "n7 differs in two terms: {}", questions(7));
}

#[test]
fn commands_commit_in_order_on_all() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let commands: Vec<Bytes> = (0..100).map(|number| Bytes::from(number.to_string())).collect();
    let entries = cluster.with(leader, |raft, now| raft.propose(now, commands)).unwrap();
    assert_eq!(entries.len(), 100);
    cluster.run_for(ms(20));
    let expected: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    for number in 1..=3 {
        assert_eq!(cluster.applied(n(number)), expected);
    }
}

#[test]
fn one_commit_takes_six_messages_among_three() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.settle();
    cluster.network.keeps_sent = true;
    cluster.propose(leader, "cheap").unwrap();
    cluster.settle();
    assert_eq!(cluster.network.sent.len(), 6, "{:#?}", cluster.network.sent);
    assert!(cluster.followers().into_iter().all(|follower| cluster.has_applied(follower, "cheap")));
}

#[test]
fn followers_hear_of_a_commit_with_the_next_append_or_after_the_delay() {
    let config = Config { commit_delay: ms(20), ..Config::default() };
    let mut cluster = Cluster::with_config(3, config);
    let leader = cluster.elect();
    cluster.run_for(ms(60));
    let [one, other] = cluster.followers()[..] else { panic!() };
    cluster.network.keeps_sent = true;
    cluster.propose(leader, "first").unwrap();
    cluster.settle();
    assert!(cluster.has_applied(leader, "first") && !cluster.has_applied(one, "first"));
    cluster.propose(leader, "second").unwrap();
    cluster.settle();
    assert!(cluster.has_applied(one, "first") && !cluster.has_applied(one, "second"));
    assert_eq!(cluster.network.sent.len(), 8, "{:#?}", cluster.network.sent);

    cluster.with(leader, |raft, _| raft.tell_commit(one));
    cluster.settle();
    assert!(cluster.has_applied(one, "second") && !cluster.has_applied(other, "second"));
    cluster.run_for(ms(20));
    assert!(cluster.has_applied(other, "second"), "without another append");
    assert_eq!(cluster.network.sent.len(), 10, "each is told once: {:#?}", cluster.network.sent);
}

#[test]
fn a_leader_commits_what_others_wrote_before_its_own_disk_did() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    cluster.nodes.get_mut(&leader).unwrap().disk_hangs = true;
    cluster.propose(leader, "written elsewhere").unwrap();
    cluster.settle();
    assert_eq!(cluster.applied(leader), ["written elsewhere"]);
}

#[test]
fn a_leader_does_not_count_what_its_disk_has_not_taken() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let [one, other] = cluster.followers()[..] else { panic!() };
    cluster.nodes.get_mut(&leader).unwrap().disk_hangs = true;
    cluster.network.cut(leader, one);
    cluster.propose(leader, "on one disk").unwrap();
    cluster.settle();
    assert!(cluster.applied(other).is_empty() && cluster.applied(leader).is_empty());
    cluster.nodes.get_mut(&leader).unwrap().disk_hangs = false;
    cluster.settle();
    assert_eq!(cluster.applied(leader), ["on one disk"]);
}

#[test]
fn a_window_whose_messages_were_all_lost_is_sent_again() {
    let config = Config { max_append_bytes: 1, max_inflight_messages: 4, ..Config::default() };
    let mut cluster = Cluster::with_config(3, config);
    let leader = cluster.elect();
    let slow = cluster.followers()[0];
    cluster.network.cut(leader, slow);
    for number in 0..20 {
        cluster.propose(leader, &number.to_string()).unwrap();
    }
    cluster.settle();
    cluster.network.heal();
    cluster.run_for(ms(200));
    assert_eq!(cluster.applied(slow).len(), 20);
}

#[test]
fn entries_travel_in_windows() {
    let config = Config { max_append_bytes: 1, max_inflight_messages: 4, ..Config::default() };
    let mut cluster = Cluster::with_config(2, config);
    let leader = cluster.elect();
    cluster.settle();
    cluster.network.keeps_sent = true;
    let commands = (0..10).map(|number: u8| Bytes::from(vec![number]));
    cluster.with(leader, |raft, now| raft.propose(now, commands)).unwrap();
    assert_eq!(cluster.network.sent.len(), 4, "a full window waits");
    cluster.settle();
    assert_eq!(cluster.applied(leader).len(), 10);
}

#[test]
fn a_restarted_member_applies_its_log_again() {
    let mut cluster = Cluster::new(3);
    cluster.elect();
    for number in 0..5 {
        cluster.commit(&format!("command {number}"));
    }
    for number in 1..=3 {
        cluster.crash(n(number));
    }
    for number in 1..=3 {
        cluster.restart(n(number));
        assert!(cluster.applied(n(number)).is_empty());
    }
    cluster.elect();
    cluster.commit("after");
    for number in 1..=3 {
        assert_eq!(cluster.applied(n(number)).len(), 6);
    }
}

#[test]
fn a_command_that_is_too_large_is_refused() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let max = cluster.config.max_command_bytes;
    let mut propose = |size| cluster.with(leader, |raft, now| raft.propose(now, vec![vec![0; size].into()]));
    assert_eq!(propose(max + 1), Err(ProposeError::TooLarge { size: max + 1, max }));
    assert!(propose(max).is_ok());
}

/// Entries count with what is around them: 24 bytes.
#[test]
fn only_a_single_command_may_go_beyond_what_may_wait() {
    let config = Config { max_uncommitted_bytes: 1_000, ..Config::default() };
    let mut cluster = Cluster::with_config(3, config);
    let leader = cluster.elect();
    cluster.settle();
    let mut propose = |sizes: &[usize]| {
        let commands: Vec<Bytes> = sizes.iter().map(|size| vec![0; *size].into()).collect();
        let outcome =
            cluster.with(leader, |raft, now| raft.propose(now, commands)).map(|entries| entries.len());
        cluster.settle();
        outcome
    };
    assert_eq!(propose(&[476, 477]), Err(ProposeError::Busy));
    assert_eq!(propose(&[476, 476]), Ok(2));
    assert_eq!(propose(&[5_000]), Ok(1));
}

#[test]
fn a_disk_that_hangs_is_not_given_writes_without_end() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let follower = cluster.followers()[0];
    cluster.nodes.get_mut(&follower).unwrap().disk_hangs = true;
    let before = cluster.status(leader);
    cluster.propose(leader, "again and again").unwrap();
    cluster.settle();
    let entry = Entry {
        term: before.term,
        index: before.last.index.next(),
        payload: Payload::Command("again and again".into()),
    };
    let append = Message::Append {
        term: before.term,
        previous: before.last,
        entries: vec![entry].into(),
        commit: before.commit,
    };
    for _ in 0..3 * limits::RAFT_WRITES_IN_FLIGHT_MAX {
        cluster.step(follower, leader, append.clone()).unwrap();
    }
    assert_eq!(cluster.writes_waiting(follower), limits::RAFT_WRITES_IN_FLIGHT_MAX);
    cluster.propose(leader, "on the others").unwrap();
    cluster.settle();
    cluster.nodes.get_mut(&follower).unwrap().disk_hangs = false;
    cluster.commit("on all");
}
