//! Entries that would commit too early, too late or never.

use crate::kit::*;
use wordraft_shared::raft::*;
use wordraft_shared::rng::Rng;
use wordraft_shared::time::Time;

pub fn half_of_four_commits_nothing(config: Config) {
    let mut cluster = Cluster::with_config(4, config);
    cluster.campaign(n(1));
    for number in [3, 4] {
        cluster.network.isolate(n(number), [1, 2].map(n));
    }
    let position = cluster.propose(n(1), "on two of four").unwrap();
    cluster.settle();
    assert_eq!(cluster.status(n(2)).last, position, "n2 has it");
    assert!(cluster.applied(n(1)).is_empty() && cluster.applied(n(2)).is_empty());
}

pub fn half_of_four_elects_nobody(config: Config) {
    let mut cluster = Cluster::with_config(4, config);
    for number in [3, 4] {
        cluster.network.isolate(n(number), [1, 2].map(n));
    }
    cluster.campaign(n(1));
    cluster.campaign(n(3));
    assert_eq!(cluster.leader(), None);
}

/// Figure 3.7; Figure 8 of the short paper.
pub fn an_entry_of_an_earlier_term_does_not_commit_by_being_counted(config: Config) {
    // (c) of Figure 3.7: n1 leads again in term 4, and its entry of term 2 is on a majority.
    let voters = [1, 2, 3, 4, 5];
    let logs: [&[u64]; 5] = [&[1, 2], &[1, 2], &[1], &[1], &[1, 3]];
    let disks = voters.iter().zip(logs).map(|(number, log)| (*number, disk(&voters, log, 3)));
    let mut cluster = Cluster::from_disks(config, disks.collect::<Vec<_>>());
    for offline in [n(4), n(5)] {
        cluster.crash(offline);
    }
    // The append that carries n1's own-term entry is lost; only the one of term 2 reaches n3.
    cluster.stand(n(1));
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

/// Acknowledgements and refusals arrive twice and in the wrong order.
pub fn a_late_or_doubled_answer_takes_nothing_back(config: Config) {
    let mut cluster = Cluster::with_config(3, config);
    let leader = cluster.elect();
    let follower = cluster.followers()[0];
    cluster.settle();
    for command in ["one", "two", "three"] {
        cluster.propose(leader, command).unwrap();
    }
    cluster.settle();
    let term = cluster.status(leader).term;
    let before = cluster.status(leader).peers[&follower];
    assert_eq!((before.matched, before.state), (Index::new(5), PeerState::Replicate));
    let accepted = |index| AppendOutcome::Accepted { matched: Index::new(index) };
    let rejected = |index| AppendOutcome::Rejected { previous: Index::new(index), hint: Position::new(1, 1) };
    for outcome in [accepted(4), rejected(5), accepted(5), rejected(3), accepted(3)] {
        cluster.step(leader, follower, Message::AppendResponse { term, outcome }).unwrap();
        let PeerStatus { matched, next, state, .. } = cluster.status(leader).peers[&follower];
        assert_eq!((matched, next, state), (before.matched, before.next, before.state), "{outcome:?}");
    }
}

/// The same index, an earlier term: what n2 acknowledged then was another entry.
pub fn an_acknowledgement_of_an_earlier_term_counts_for_nothing(config: Config) {
    let mut cluster = Cluster::with_config(5, config);
    cluster.campaign(n(1));
    let earlier = cluster.status(n(1)).term;
    cluster.campaign(n(3));
    cluster.campaign(n(1));
    let now = cluster.status(n(1));
    assert!(now.is_leader() && now.term > earlier);
    for number in [2, 4, 5] {
        cluster.network.isolate(n(number), [1, 3].map(n));
    }
    for command in ["a", "b", "c"] {
        cluster.propose(n(1), command).unwrap();
    }
    cluster.settle();
    assert_eq!(cluster.status(n(1)).commit, now.commit, "two of five have them");
    let outcome = AppendOutcome::Accepted { matched: cluster.status(n(1)).last.index };
    let stale = cluster.step(n(1), n(2), Message::AppendResponse { term: earlier, outcome });
    assert_eq!(cluster.status(n(1)).commit, now.commit);
    assert_eq!(stale, Err(StepError::StaleTerm { message: earlier, current: now.term }));
}

/// Acknowledgements of the disk come late and out of order, after what they speak of was replaced.
pub fn an_acknowledgement_of_a_write_says_nothing_about_what_came_to_its_place(config: Config) {
    let now = Time::ZERO;
    let stored = disk(&[1, 2, 3], &[1], 1);
    let mut raft = Raft::new(n(1), config, stored, Rng::from_u64(1), now).unwrap();
    raft.take_output();
    let append = |previous: Position, terms: &[u64]| {
        let entries = terms.iter().zip(previous.index.get() + 1..).map(|(term, index)| Entry {
            term: Term::new(*term),
            index: Index::new(index),
            payload: Payload::Noop,
        });
        let term = Term::new(*terms.last().unwrap());
        Message::Append { term, previous, entries: entries.collect(), commit: Index::ZERO }
    };
    raft.step(now, n(2), append(Position::new(1, 1), &[2, 2, 2])).unwrap();
    let (entries_of_term_2, _) = raft.take_output().persist.unwrap();
    let heartbeat = Message::Heartbeat { term: Term::new(3), commit: Index::ZERO, round: Round(1) };
    raft.step(now, n(3), heartbeat).unwrap();
    let (term_3, _) = raft.take_output().persist.unwrap();
    // The leader of term 3 replaces two of the three entries before they are written.
    let replacement = append(Position::new(2, 2), &[3]);
    raft.step(now, n(3), replacement.clone()).unwrap();
    let output = raft.take_output();
    let (entry_of_term_3, _) = output.persist.unwrap();
    assert_eq!((output.send_now.len(), output.send_after_persist.len()), (0, 1));

    raft.persisted(now, term_3);
    raft.persisted(now, entries_of_term_2);
    // A repeated append is acknowledged behind the write of its entry, not at once: the old entry there was another.
    raft.step(now, n(3), replacement.clone()).unwrap();
    let output = raft.take_output();
    assert_eq!((output.send_now.len(), output.send_after_persist.len()), (0, 1));
    let (barrier, ops) = output.persist.unwrap();
    assert!(ops.is_empty());
    raft.persisted(now, barrier);
    raft.persisted(now, entry_of_term_3);
    raft.step(now, n(3), replacement).unwrap();
    assert_eq!(raft.take_output().send_now.len(), 1, "now it is known to be written");
}

pub fn uncommitted_bytes_are_bounded_and_come_free_again(config: Config) {
    let config = Config { max_uncommitted_bytes: 100, ..config };
    let mut cluster = Cluster::with_config(3, config);
    let leader = cluster.elect();
    cluster.settle();
    for round in 0..50 {
        let large = "x".repeat(500);
        cluster.propose(leader, &large).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(cluster.propose(leader, "more"), Err(ProposeError::Busy));
        cluster.settle();
    }
    // What is lost with a leadership does not count in the next one.
    cluster.network.isolate(leader, cluster.followers());
    cluster.propose(leader, &"x".repeat(500)).unwrap();
    cluster.run_for(ms(2_000));
    cluster.network.heal();
    cluster.run_for(ms(1_000));
    let between = cluster.elect();
    assert_ne!(between, leader);
    cluster.with(between, |raft, now| raft.transfer(now, leader)).unwrap();
    cluster.run_until("it leads again", |cluster| cluster.status(leader).ready);
    cluster.propose(leader, &"x".repeat(500)).unwrap();
}
