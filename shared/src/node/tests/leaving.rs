//! A node that knows that it goes gives leadership away first.

use super::requests::add_document;
use crate::ids::NodeId;
use crate::node::Input;
use crate::node::api::{Reply, Request, What};
use crate::node::testing::Cluster;
use crate::raft::Priority;
use crate::time::Duration;
use crate::wire::session::Kind;

/// A transfer is a word, a vote on disk, and an answer; all of it with a hop and a sync of a few milliseconds.
const TRANSFER: Duration = Duration::from_millis(15);

fn tabs(seed: u64, count: usize) -> (Cluster, NodeId) {
    let mut cluster = Cluster::new(seed);
    for _ in 0..count {
        cluster.start(Kind::Tab);
    }
    cluster.wait("tabs", |cluster| cluster.is_settled(count, count));
    let leader = cluster.leader().expect("a leader");
    (cluster, leader)
}

fn successor(cluster: &mut Cluster, former: NodeId) -> NodeId {
    cluster.wait("another leader", |cluster| cluster.leader().is_some_and(|leader| leader != former));
    cluster.leader().expect("just seen")
}

#[test]
fn a_leading_tab_that_is_closed_costs_less_than_one_that_is_lost() {
    let time_to_lead = |seed, says_so: bool| {
        let (mut cluster, closed) = tabs(seed, 3);
        let (began, term) = (cluster.now, cluster.status(closed).term);
        if says_so {
            cluster.handle(closed, Input::Leaving(true));
        }
        cluster.crash(closed);
        let next = successor(&mut cluster, closed);
        assert_eq!(cluster.status(next).term.get(), term.get() + 1, "one election");
        cluster.now.since(began)
    };
    for seed in 300..305 {
        let (told, lost) = (time_to_lead(seed, true), time_to_lead(seed, false));
        assert!(told < TRANSFER && told < lost, "{told:?} and {lost:?}");
    }
}

#[test]
fn what_the_closed_tab_had_sent_is_not_lost() {
    let (mut cluster, closed) = tabs(310, 3);
    let writer = cluster.follower();
    let writes: Vec<_> = (0..20).map(|n| add_document(&mut cluster, writer, &n.to_string())).collect();
    cluster.run_for(Duration::from_millis(2));
    cluster.handle(closed, Input::Leaving(true));
    cluster.run_for(Duration::from_millis(3));
    cluster.crash(closed);
    for write in writes {
        cluster.wait("an answer", |cluster| cluster.is_answered(write));
        cluster.reply(write).expect("answered").expect("stored");
    }
    let reply = cluster.ask(writer, Request::ListDocuments).expect("an answer");
    assert!(matches!(reply, Reply::Documents(documents) if documents.len() == 20));
}

#[test]
fn a_frozen_tab_hands_over_and_may_lead_again_when_it_is_back() {
    let (mut cluster, frozen) = tabs(311, 3);
    cluster.handle(frozen, Input::Leaving(true));
    cluster.freeze(frozen);
    let next = successor(&mut cluster, frozen);
    cluster.run_for(Duration::from_secs(1));
    assert_eq!(cluster.leader(), Some(next));
    cluster.thaw(frozen);
    cluster.handle(frozen, Input::Leaving(false));
    cluster.wait("it to follow", |cluster| cluster.status(frozen).leader == Some(next));
    cluster.ask(next, Request::Transfer { to: Some(frozen) }).expect("it takes leadership again");
    assert_eq!(cluster.leader(), Some(frozen));
}

#[test]
fn leadership_does_not_go_round_among_tabs_that_all_leave() {
    let (mut cluster, leader) = tabs(312, 3);
    let term = cluster.status(leader).term.get();
    let all: Vec<NodeId> = cluster.running().collect();
    for tab in all {
        cluster.handle(tab, Input::Leaving(true));
    }
    cluster.run_for(Duration::from_secs(3));
    let leader = cluster.leader().expect("somebody has to");
    assert!(cluster.status(leader).term.get() <= term + 1, "no storm of terms");
    // A transfer that is not taken holds writes up for a while, and does not lose them.
    let write = add_document(&mut cluster, leader, "still");
    cluster.wait("an answer", |cluster| cluster.is_answered(write));
    cluster.reply(write).expect("answered").expect("stored");
}

#[test]
fn a_server_takes_over_from_a_tab_before_other_tabs_do() {
    let mut cluster = Cluster::new(313);
    let tabs = [cluster.start(Kind::Tab), cluster.start(Kind::Tab)];
    let server = cluster.start(Kind::Server);
    cluster.wait("three voters", |cluster| cluster.is_settled(3, 3));
    for tab in tabs {
        if cluster.leader() != Some(tab) {
            cluster.ask(tab, Request::Transfer { to: Some(tab) }).expect("it leads");
        }
        cluster.handle(tab, Input::Leaving(true));
        assert_eq!(successor(&mut cluster, tab), server);
        cluster.handle(tab, Input::Leaving(false));
    }
}

/// The better successor's window is full, so it could not win.
#[test]
fn the_next_best_takes_over_when_the_best_cannot() {
    let mut cluster = Cluster::new(317);
    cluster.config.raft.max_append_bytes = 1;
    cluster.config.raft.max_inflight_messages = 2;
    let servers = [cluster.start(Kind::Server), cluster.start(Kind::Server)];
    let tab = cluster.start(Kind::Tab);
    cluster.wait("three voters", |cluster| cluster.is_settled(3, 3));
    cluster.run_for(Duration::from_secs(1));
    let leader = cluster.leader().expect("a leader");
    let better = servers.into_iter().find(|server| *server != leader).expect("another server");
    assert_ne!(leader, tab);
    // What only the tab acknowledges is not committed while the leader's own disk hangs.
    cluster.link = Box::new(move |from, to| (from, to) != (leader, better));
    cluster.hang_disk(leader);
    for name in ["a", "b", "c", "d"] {
        add_document(&mut cluster, leader, name);
        cluster.run_for(Duration::from_millis(5));
    }
    let status = cluster.status(leader);
    assert!(
        status.peers[&better].next <= status.last.index && status.peers[&better].matched >= status.commit
    );
    let began = cluster.now;
    cluster.handle(leader, Input::Leaving(true));
    assert_eq!(successor(&mut cluster, leader), tab);
    assert!(cluster.now.since(began) < TRANSFER, "{:?}", cluster.now.since(began));
}

#[test]
fn a_server_that_stops_waits_until_another_leads_and_no_longer() {
    let (mut cluster, _) = Cluster::of_servers(314, 3);
    let leader = cluster.leader().expect("a leader");
    let follower = cluster.follower();
    let began = cluster.now;
    assert_eq!(cluster.ask(follower, Request::Leave), Ok(Reply::Done));
    assert_eq!(cluster.now, began, "it does not lead, so nobody needs it");
    cluster.handle(follower, Input::Leaving(false));
    assert_eq!(cluster.ask(leader, Request::Leave), Ok(Reply::Done));
    assert!(cluster.now.since(began) < TRANSFER, "{:?}", cluster.now.since(began));
    let next = cluster.status(leader).leader.expect("it knows who");
    assert!(next != leader && cluster.status(next).is_leader());
    cluster.crash(leader);
    cluster.run_for(Duration::from_secs(1));
    assert_eq!(cluster.leader(), Some(next));
    let lost = |what: &&What| matches!(what, What::LeaderLost { node, .. } if *node == next);
    assert_eq!(cluster.told_by(next).into_iter().filter(lost).count(), 0);
}

#[test]
fn a_leader_that_nobody_can_follow_goes_at_once() {
    let (mut cluster, nodes) = Cluster::of_servers(315, 3);
    let leader = cluster.leader().expect("a leader");
    for node in nodes.into_iter().filter(|node| *node != leader) {
        cluster.crash(node);
    }
    cluster.run_for(Duration::from_millis(2));
    let began = cluster.now;
    assert_eq!(cluster.ask(leader, Request::Leave), Ok(Reply::Done));
    assert_eq!(cluster.now, began);
}

#[test]
fn who_may_go_would_rather_not_lead() {
    let (mut cluster, leader) = tabs(316, 3);
    let shy = cluster.follower();
    cluster.handle(shy, Input::Leaving(true));
    assert_eq!(cluster.node(shy).priority(), Priority::Reluctant);
    cluster.crash(leader);
    let next = successor(&mut cluster, leader);
    assert_ne!(next, shy);
    cluster.handle(shy, Input::Leaving(false));
    assert_eq!(cluster.node(shy).priority(), Priority::Normal);
}
