//! Lease reads: answered without a round, and never stale.

use crate::changes::wanted;
use crate::kit::*;
use wordraft_shared::ids::NodeId;
use wordraft_shared::raft::*;

fn with_leases() -> Config {
    Config { lease_reads: true, ..Config::default() }
}

/// Three members and a leader that holds a lease.
fn leased(config: Config) -> (Cluster, NodeId) {
    let mut cluster = Cluster::with_config(3, config);
    let leader = cluster.elect();
    cluster.commit("seen");
    cluster.run_for(ms(100));
    (cluster, leader)
}

fn read(cluster: &mut Cluster, id: NodeId) -> Option<Result<Index, ReadError>> {
    let before = cluster.nodes[&id].reads.len();
    let token = ReadToken(before as u64);
    cluster.checker.asked(token);
    cluster.with(id, |raft, now| raft.read(now, token));
    cluster.nodes[&id].reads.get(before).map(|outcome| outcome.result)
}

#[test]
fn a_lease_answers_at_once_and_only_where_it_is_asked_for() {
    let (mut cluster, leader) = leased(with_leases());
    assert_eq!(read(&mut cluster, leader), Some(Ok(Index::new(3))));
    let (mut cluster, leader) = leased(Config::default());
    assert_eq!(read(&mut cluster, leader), None, "off by default");
}

#[test]
fn a_lease_counts_from_the_sending_of_its_round() {
    lease_counts_from_sending(with_leases());
}

pub fn lease_counts_from_sending(config: Config) {
    let (mut cluster, leader) = leased(config);
    // The answers to the next round are on their way for most of an election timeout.
    let sent_at = cluster.nodes[&leader].raft.as_ref().and_then(Raft::deadline).unwrap();
    cluster.now = sent_at;
    cluster.with(leader, |raft, now| raft.tick(now));
    cluster.arrive_next();
    let late_answers = cluster.network.intercept();
    assert!(!late_answers.is_empty());
    cluster.now = sent_at + ms(230);
    for (from, to, message) in late_answers {
        cluster.deliver(from, to, message);
    }
    assert_eq!(cluster.role(leader), Role::Leader);
    assert_eq!(read(&mut cluster, leader), None, "by the sending, three quarters of 300 ms are over");
}

#[test]
fn a_lease_ends_when_leadership_is_handed_over() {
    lease_ends_with_transfer(with_leases());
}

pub fn lease_ends_with_transfer(config: Config) {
    let (mut cluster, old) = leased(config);
    let target = cluster.followers()[0];
    // The old leader hears nothing any more, but what it says arrives.
    for id in cluster.followers() {
        cluster.network.cut_one_way(id, old);
    }
    cluster.with(old, |raft, now| raft.transfer(now, target)).unwrap();
    cluster.run_until("the target leads", |cluster| cluster.status(target).ready);
    cluster.propose(target, "news").unwrap();
    cluster.run_for(ms(5));
    assert_eq!(cluster.role(old), Role::Leader, "it does not know yet");
    assert_eq!(read(&mut cluster, old), None);
}

#[test]
fn no_notice_and_no_restart_breaks_the_promise_behind_a_lease() {
    let (mut cluster, leader) = leased(with_leases());
    let [one, other] = cluster.followers()[..] else { panic!() };
    cluster.network.isolate(leader, [n(1), n(2), n(3)]);
    cluster.with(one, |raft, now| raft.peer_lost(now, leader));
    cluster.crash(other);
    cluster.restart(other);
    let heard_at = cluster.now;
    while cluster.role(leader) == Role::Leader {
        let leads = |id: &NodeId| *id != leader && cluster.role(*id) == Role::Leader;
        assert!(
            !cluster.followers().iter().any(leads),
            "{:?} after the last heartbeat",
            cluster.now - heard_at
        );
        cluster.run_for(ms(5));
    }
    cluster.run_until("somebody else leads", |cluster| cluster.leader().is_some_and(|id| id != leader));
}

/// The old leader may count on a promise that this member made before the configuration in which it votes alone.
#[test]
fn a_lone_voter_keeps_its_promise_through_a_restart() {
    let mut cluster = Cluster::with_config(2, with_leases());
    let leader = cluster.elect();
    cluster.commit("seen");
    cluster.run_for(ms(100));
    let other = cluster.followers()[0];
    wanted(&mut cluster, leader, change(&[other.as_bytes()[0]], &[])).unwrap();
    cluster.run_for(ms(1));
    cluster.network.cut(leader, other);
    assert_eq!(cluster.status(other).membership.voters, [other].into());
    cluster.crash(other);
    cluster.restart(other);
    cluster.run_for(ms(5));
    let _only_a_leader_accepts = cluster.propose(other, "news");
    assert!(matches!(read(&mut cluster, leader), Some(Ok(_))), "it holds its lease, and this is not stale");
    cluster.run_until("it leads alone in the end", |cluster| cluster.status(other).ready);
    assert_eq!(read(&mut cluster, leader), Some(Err(ReadError::NotLeader { leader: None })));
}

/// A term that somebody brings up must not make a member forget its promise.
#[test]
fn a_higher_term_breaks_no_promise() {
    let (mut cluster, leader) = leased(with_leases());
    let [one, other] = cluster.followers()[..] else { panic!() };
    let term = Term::new(9);
    let refusal = Message::PreVoteResponse { term, request: Term::new(3), refusal: Some(Refusal::VoteGiven) };
    cluster.step(one, other, refusal).unwrap();
    assert_eq!((cluster.status(one).term, cluster.status(one).leader), (term, None));
    cluster.network.keeps_sent = true;
    let last = cluster.status(other).last;
    cluster.step(one, other, Message::Vote { term, last, transfer: false }).unwrap();
    let refused = Message::VoteResponse { term, granted: false };
    assert_eq!(cluster.network.sent.pop(), Some((one, other, refused)));
    assert_eq!(cluster.role(leader), Role::Leader);
}
