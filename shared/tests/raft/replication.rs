use crate::kit::*;
use bytes::Bytes;
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
fn figure_8_an_entry_of_an_earlier_term_does_not_commit_by_being_counted() {
    figure_8(Config::default());
}

pub fn figure_8(config: Config) {
    // (c) of Figure 3.7: n1 leads again in term 4, and its entry of term 2 is on a majority.
    let voters = [1, 2, 3, 4, 5];
    let logs: [&[u64]; 5] = [&[1, 2], &[1, 2], &[1], &[1], &[1, 3]];
    let disks = voters.iter().zip(logs).map(|(number, log)| (*number, disk(&voters, log, 3)));
    let mut cluster = Cluster::from_disks(config, disks.collect::<Vec<_>>());
    for offline in [n(4), n(5)] {
        cluster.crash(offline);
    }
    cluster.now = cluster.now + ms(2_000);
    cluster.with(n(1), |raft, now| raft.tick(now));
    // The append that carries n1's own-term entry is lost; only the one of term 2 reaches n3.
    while cluster.role(n(1)) != Role::Leader {
        cluster.arrive_next();
    }
    cluster.network.intercept();
    let term = cluster.status(n(1)).term;
    for follower in [n(2), n(3)] {
        let outcome = AppendOutcome::Accepted { matched: Index::new(2) };
        cluster.step(n(1), follower, Message::AppendResponse { term, outcome }).unwrap();
    }
    assert_eq!(cluster.status(n(1)).commit, Index::ZERO, "entry 2 is on three of five and still not safe");
    // (d): n1 crashes, and n5 may overwrite it.
    cluster.network.intercept();
    cluster.crash(n(1));
    for online in [n(4), n(5)] {
        cluster.restart(online);
    }
    cluster.crash(n(2));
    cluster.campaign(n(5));
    cluster.campaign(n(5));
    assert_eq!(cluster.role(n(5)), Role::Leader);
    assert_eq!(cluster.applied(n(5)), ["2@3"]);
}

#[test]
fn commands_commit_in_order_on_all() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let commands: Vec<Bytes> = (0..100).map(|number| Bytes::from(number.to_string())).collect();
    let positions = cluster.with(leader, |raft, now| raft.propose(now, commands)).unwrap();
    assert_eq!(positions.len(), 100);
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
    let commands = (0..10).map(|number: u8| Bytes::from(vec![number])).collect();
    cluster.with(leader, |raft, now| raft.propose(now, commands)).unwrap();
    assert_eq!(cluster.network.sent.len(), 4, "a full window waits");
    cluster.settle();
    assert_eq!(cluster.applied(leader).len(), 10);
}

#[test]
fn uncommitted_bytes_are_bounded_and_come_free_again() {
    let config = Config { max_uncommitted_bytes: 100, ..Config::default() };
    let mut cluster = Cluster::with_config(3, config);
    let leader = cluster.elect();
    cluster.settle();
    for round in 0..50 {
        let large = "x".repeat(500);
        cluster.propose(leader, &large).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(cluster.propose(leader, "more"), Err(ProposeError::Busy));
        cluster.settle();
    }
    let too_large = Bytes::from(vec![0; Config::default().max_command_bytes + 1]);
    let refused = cluster.with(leader, |raft, now| raft.propose(now, vec![too_large]));
    assert!(matches!(refused, Err(ProposeError::TooLarge { .. })));
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
fn acknowledgements_of_the_disk_may_come_late_and_out_of_order() {
    let id = n(1);
    let membership = disk(&[1, 2, 3], &[1], 1);
    let mut raft = Raft::new(
        id,
        Config::default(),
        membership,
        wordraft_shared::rng::Rng::from_u64(1),
        wordraft_shared::time::Time::ZERO,
    )
    .unwrap();
    let now = wordraft_shared::time::Time::ZERO;
    let append = |term, previous, terms: &[u64]| {
        let Position { index, .. } = previous;
        let entries = terms.iter().enumerate().map(|(offset, term)| Entry {
            term: Term::new(*term),
            index: Index::new(index.get() + 1 + offset as u64),
            payload: Payload::Noop,
        });
        Message::Append { term: Term::new(term), previous, entries: entries.collect(), commit: Index::ZERO }
    };
    raft.take_output();
    raft.step(now, n(2), append(2, Position::new(1, 1), &[2, 2, 2])).unwrap();
    let (first, _) = raft.take_output().persist.unwrap();
    // Another leader replaces two of the three before they are written.
    raft.step(now, n(3), append(3, Position::new(2, 2), &[3])).unwrap();
    let output = raft.take_output();
    let (second, _) = output.persist.unwrap();
    assert_eq!(output.send_after_persist.len(), 1);
    raft.persisted(now, first);
    // A repeated append is acknowledged behind the write of entry 3, not at once: the old entry 3 was another.
    raft.step(now, n(3), append(3, Position::new(2, 2), &[3])).unwrap();
    let output = raft.take_output();
    assert!(output.send_now.is_empty());
    let (barrier, ops) = output.persist.unwrap();
    assert!(ops.is_empty() && output.send_after_persist.len() == 1);
    raft.persisted(now, barrier);
    raft.persisted(now, second);
    raft.step(now, n(3), append(3, Position::new(2, 2), &[3])).unwrap();
    assert_eq!(raft.take_output().send_now.len(), 1, "now it is known to be written");
}
