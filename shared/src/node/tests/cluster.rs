//! How a cluster comes to be, and how it lives through losses.

use crate::ids::NodeId;
use crate::node::api::{ErrorCode, Event, Request, RoleView, What};
use crate::node::testing::Cluster;
use crate::rng::Rng;
use crate::time::Duration;
use crate::wire::session::{Frame, Kind};
use bytes::Bytes;
use std::cell::RefCell;

fn tabs_among_voters(cluster: &Cluster) -> usize {
    let leader = cluster.leader().expect("a leader");
    let voters = &cluster.status(leader).membership.voters;
    voters.iter().filter(|voter| cluster.kind(**voter) == Kind::Tab).count()
}

#[test]
fn the_first_node_founds_a_cluster_and_leads_it() {
    let mut cluster = Cluster::new(1);
    let first = cluster.start(Kind::Tab);
    cluster.wait("a leader", |cluster| cluster.leader() == Some(first));
    assert!(cluster.node(first).cluster().is_some());
    assert_eq!(cluster.status(first).membership.voters.len(), 1);
}

#[test]
fn joiners_become_voters_once_there_are_three() {
    let mut cluster = Cluster::new(2);
    let first = cluster.start(Kind::Server);
    let second = cluster.start(Kind::Server);
    cluster.wait("a learner", |cluster| cluster.is_settled(1, 2));
    let third = cluster.start(Kind::Server);
    cluster.wait("three voters", |cluster| cluster.is_settled(3, 3));
    for node in [first, second, third] {
        assert_eq!(cluster.node(node).cluster(), cluster.node(first).cluster());
    }
    let promoted = |what: &&What| matches!(what, What::MemberPromoted { .. });
    assert_eq!(cluster.told_by(first).into_iter().filter(promoted).count(), 2);
}

#[test]
fn a_founder_that_dies_before_its_disk_has_the_cluster_leaves_the_room_to_the_next() {
    let mut cluster = Cluster::new(3);
    let unlucky = cluster.start(Kind::Tab);
    let next = cluster.start(Kind::Tab);
    cluster.run_for(Duration::from_millis(2));
    cluster.crash(unlucky);
    cluster.wait("the next founder", |cluster| cluster.leader() == Some(next));
    cluster.restart(unlucky);
    cluster.wait("both to be members", |cluster| cluster.is_settled(1, 2));
}

#[test]
fn a_founder_that_is_cut_off_before_the_relay_knows_serves_nobody() {
    let mut cluster = Cluster::new(25);
    let cut_off = cluster.start(Kind::Server);
    cluster.run_for(Duration::from_millis(2));
    assert!(cluster.node(cut_off).cluster().is_some() && cluster.leader().is_none(), "not on its disk yet");
    cluster.disconnect(cut_off);
    cluster.wait("a leader of nobody", |cluster| cluster.leader() == Some(cut_off));
    let error = cluster.ask(cut_off, Request::ListDocuments).expect_err("another may found the room");
    assert_eq!(error.code, ErrorCode::NotReady);

    // Nor does it when it is started again and finds the cluster on its disk, until it is let in.
    cluster.crash(cut_off);
    cluster.restart_cut_off(cut_off);
    let request = cluster.request(cut_off, Request::ListDocuments);
    cluster.run_for(Duration::from_secs(1));
    assert!(cluster.leader() == Some(cut_off) && !cluster.is_answered(request));
    cluster.connect(cut_off);
    cluster.wait("an answer", |cluster| cluster.is_answered(request));
    cluster.reply(request).expect("waited for").expect("the room is its cluster's");
}

#[test]
fn a_lost_leader_is_replaced_in_milliseconds_when_the_relay_tells() {
    let (mut cluster, _) = Cluster::of_servers(4, 3);
    let former = cluster.leader().expect("a leader");
    let lost_at = cluster.now;
    cluster.crash(former);
    cluster.wait("a new leader", |cluster| cluster.leader().is_some_and(|leader| leader != former));
    assert!(cluster.now.since(lost_at) < Duration::from_millis(150), "{:?}", cluster.now.since(lost_at));
    cluster.run_for(Duration::from_millis(200));
    let witness = cluster.follower();
    let told = cluster.told_by(witness);
    let lost = told.iter().rposition(|what| matches!(what, What::LeaderLost { node, .. } if *node == former));
    let elected = told.iter().rposition(|what| {
        matches!(what, What::LeaderElected { after_micros, .. } if (1..150_000).contains(after_micros))
    });
    assert!(lost.expect("told of the loss") < elected.expect("told of the election"));
}

#[test]
fn members_that_come_back_find_their_log_and_their_vote() {
    let (mut cluster, nodes) = Cluster::of_servers(5, 3);
    let before = cluster.leader().map(|leader| cluster.status(leader).term).expect("a leader");
    for node in &nodes {
        cluster.crash(*node);
    }
    cluster.run_for(Duration::from_secs(1));
    for node in &nodes {
        cluster.restart(*node);
    }
    cluster.wait("the cluster again", |cluster| cluster.is_settled(3, 3));
    let leader = cluster.leader().expect("a leader");
    assert!(cluster.status(leader).term > before);
    cluster.wait("records of everybody", |cluster| {
        cluster.node(leader).around.machine.state().members.len() == 3
    });
}

#[test]
fn a_dead_voter_gives_its_vote_to_a_live_learner() {
    let (mut cluster, _) = Cluster::of_servers(6, 4);
    let dead = cluster.follower();
    cluster.crash(dead);
    cluster.wait("the swap", |cluster| {
        let leader = cluster.leader().expect("a leader");
        let voters = &cluster.status(leader).membership.voters;
        voters.len() == 3 && !voters.contains(&dead)
    });
    cluster.wait("the dead learner to be removed", |cluster| cluster.is_settled(3, 3));
    cluster.restart(dead);
    cluster.wait("it to come back", |cluster| cluster.is_settled(3, 4));
}

#[test]
fn three_voters_stay_three_when_one_is_gone() {
    let (mut cluster, _) = Cluster::of_servers(7, 3);
    let dead = cluster.follower();
    cluster.crash(dead);
    cluster.run_for(Duration::from_secs(40));
    let leader = cluster.leader().expect("a leader");
    assert_eq!(cluster.status(leader).membership.voters.len(), 3);
    cluster.restart(dead);
    cluster.wait("all three", |cluster| cluster.is_settled(3, 3));
}

#[test]
fn closing_every_tab_at_once_never_loses_the_quorum_of_three_servers() {
    let (mut cluster, _) = Cluster::of_servers(8, 3);
    let tabs: Vec<NodeId> = (0..5).map(|_| cluster.start(Kind::Tab)).collect();
    cluster.wait("tabs among the voters", |cluster| cluster.is_settled(5, 8));
    assert_eq!(tabs_among_voters(&cluster), 2);
    for tab in tabs {
        cluster.crash(tab);
    }
    let leader = cluster.leader().expect("the leader goes on");
    cluster.ask(leader, Request::ListDocuments).expect("a quorum of servers");
}

#[test]
fn servers_take_over_from_tabs() {
    let mut cluster = Cluster::new(9);
    for _ in 0..5 {
        cluster.start(Kind::Tab);
    }
    cluster.wait("five tabs", |cluster| cluster.is_settled(5, 5));
    for _ in 0..3 {
        cluster.start(Kind::Server);
    }
    cluster.wait("an anchored quorum", |cluster| cluster.is_settled(5, 8) && tabs_among_voters(cluster) == 2);
}

#[test]
fn a_node_cut_off_from_the_relay_disturbs_nobody_when_it_is_back() {
    let (mut cluster, _) = Cluster::of_servers(10, 3);
    let leader = cluster.leader().expect("a leader");
    let term = cluster.status(leader).term;
    let cut_off = cluster.follower();
    cluster.disconnect(cut_off);
    cluster.run_for(Duration::from_secs(2));
    cluster.connect(cut_off);
    cluster.run_for(Duration::from_secs(2));
    assert_eq!(cluster.leader(), Some(leader));
    assert_eq!(cluster.status(leader).term, term);
    assert!(cluster.is_settled(3, 3));
}

#[test]
fn the_relay_goes_away_and_everybody_comes_back() {
    let (mut cluster, nodes) = Cluster::of_servers(11, 3);
    for node in &nodes {
        cluster.disconnect(*node);
    }
    cluster.run_for(Duration::from_secs(5));
    for node in &nodes {
        cluster.connect(*node);
    }
    cluster.wait("the cluster again", |cluster| cluster.is_settled(3, 3));
}

#[test]
fn garbage_from_a_peer_is_counted_and_changes_nothing() {
    let (mut cluster, nodes) = Cluster::of_servers(12, 3);
    let [from, to] = [nodes[0], nodes[1]];
    for head in [&b""[..], b"\x01", b"\x01\xff\xff\xff", b"\x07hello"] {
        let frame = Frame { head: Bytes::copy_from_slice(head), bulk: Bytes::new() };
        cluster.handle(to, crate::node::Input::frame(from, frame));
    }
    assert_eq!(cluster.node(to).frames_ignored(), 4);
    cluster.run_for(Duration::from_secs(1));
    assert!(cluster.is_settled(3, 3));
}

#[test]
fn everybody_sees_the_same_cluster() {
    let (mut cluster, nodes) = Cluster::of_servers(13, 3);
    let tab = cluster.start(Kind::Tab);
    cluster.run_for(Duration::from_secs(5));
    for node in nodes.into_iter().chain([tab]) {
        let view = (cluster.events.iter().rev())
            .find_map(|(from, event)| match event {
                Event::Cluster(view) if *from == node => Some(view.clone()),
                _ => None,
            })
            .expect("a picture");
        assert_eq!(view.members.len(), 4);
        assert_eq!(view.trouble, None);
        assert!(view.quorum.healthy);
        assert_eq!((view.quorum.voters, view.quorum.can_lose), (3, 1));
        let learner = view.members.iter().find(|member| member.node == tab).expect("the tab");
        assert_eq!(learner.role, RoleView::Learner);
        assert!(view.members.iter().all(|member| member.online && member.lag == 0), "{view:?}");
        let digests: Vec<&str> = view.members.iter().map(|member| member.digest.as_str()).collect();
        assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    }
}

#[test]
fn a_lost_quorum_is_explained_and_restored() {
    let (mut cluster, nodes) = Cluster::of_servers(14, 3);
    let witness = cluster.leader().expect("a leader");
    let others: Vec<NodeId> = nodes.into_iter().filter(|node| *node != witness).collect();
    for node in &others {
        cluster.crash(*node);
    }
    cluster.run_for(Duration::from_secs(2));
    assert!(cluster.told_by(witness).contains(&&What::QuorumLost));
    let trouble = (cluster.events.iter().rev())
        .find_map(|(from, event)| match event {
            Event::Cluster(view) if *from == witness => Some(view.trouble.clone()),
            _ => None,
        })
        .flatten()
        .expect("an explanation");
    assert!(trouble.contains("1 of 3 voters is online"), "{trouble}");
    cluster.restart(others[0]);
    cluster.wait("the quorum", |cluster| {
        cluster.told_by(witness).contains(&&What::QuorumRestored) && cluster.leader().is_some()
    });
}

#[test]
fn a_frozen_tab_loses_its_vote_and_gets_it_back() {
    let (mut cluster, _) = Cluster::of_servers(15, 3);
    let tabs = [cluster.start(Kind::Tab), cluster.start(Kind::Tab)];
    cluster.wait("tabs among the voters", |cluster| cluster.is_settled(5, 5));
    cluster.freeze(tabs[0]);
    cluster.wait("its vote to be gone", |cluster| {
        let leader = cluster.leader().expect("a leader");
        !cluster.status(leader).membership.is_voter(tabs[0])
    });
    cluster.thaw(tabs[0]);
    cluster.wait("its vote again", |cluster| cluster.is_settled(5, 5));
}

#[test]
fn a_tab_that_nobody_looks_at_makes_room_for_one_that_is_seen() {
    let (mut cluster, _) = Cluster::of_servers(16, 3);
    let seen = [cluster.start(Kind::Tab), cluster.start(Kind::Tab)];
    cluster.wait("tabs among the voters", |cluster| cluster.is_settled(5, 5));
    let third = cluster.start(Kind::Tab);
    cluster.run_for(Duration::from_secs(3));
    cluster.show(seen[0], |profile| profile.hidden = true);
    cluster.wait("the swap", |cluster| {
        let leader = cluster.leader().expect("a leader");
        let membership = &cluster.status(leader).membership;
        cluster.is_settled(5, 6) && membership.is_voter(third) && membership.is_learner(seen[0])
    });
}

#[test]
fn a_new_name_reaches_everybody() {
    let (mut cluster, nodes) = Cluster::of_servers(17, 3);
    cluster.show(nodes[0], |profile| profile.name = "né".repeat(100));
    cluster.wait("the name", |cluster| {
        nodes.iter().all(|node| {
            let members = &cluster.node(*node).around.machine.state().members;
            members.get(&nodes[0]).is_some_and(|record| record.name.starts_with("nén"))
        })
    });
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let story = |seed| {
        let (mut cluster, nodes) = Cluster::of_servers(seed, 3);
        let tab = cluster.start(Kind::Tab);
        cluster.run_for(Duration::from_secs(2));
        cluster.crash(nodes[0]);
        cluster.run_for(Duration::from_secs(10));
        cluster.restart(nodes[0]);
        cluster.run_for(Duration::from_secs(10));
        format!("{tab:?} {:?}", cluster.events)
    };
    assert_eq!(story(18), story(18));
    assert_ne!(story(18), story(19));
}

#[test]
fn a_leader_that_nobody_hears_gives_up_and_another_leads() {
    let (mut cluster, _) = Cluster::of_servers(20, 3);
    let mute = cluster.leader().expect("a leader");
    cluster.link = Box::new(move |from, _| from != mute);
    cluster.wait("another leader", |cluster| cluster.leader().is_some_and(|leader| leader != mute));
    cluster.wait("it to give up", |cluster| !cluster.status(mute).is_leader());
    cluster.link = Box::new(|_, _| true);
    cluster.wait("one cluster", |cluster| cluster.is_settled(3, 3));
}

#[test]
fn a_lossy_network_delays_and_loses_nothing() {
    let mut cluster = Cluster::new(21);
    let rng = RefCell::new(Rng::from_u64(21));
    cluster.link = Box::new(move |_, _| rng.borrow_mut().below(100) >= 20);
    let nodes = [(); 3].map(|()| cluster.start(Kind::Server));
    cluster.wait("three voters", |cluster| cluster.is_settled(3, 3));
    for node in nodes {
        for _ in 0..20 {
            cluster.ask(node, Request::ListJobs).expect("an answer");
        }
    }
}

#[test]
fn a_tab_that_leads_and_is_hidden_hands_over() {
    let mut cluster = Cluster::new(22);
    for _ in 0..3 {
        cluster.start(Kind::Tab);
    }
    cluster.wait("three tabs", |cluster| cluster.is_settled(3, 3));
    let hidden = cluster.leader().expect("a leader");
    cluster.show(hidden, |profile| profile.hidden = true);
    cluster.wait("another leader", |cluster| cluster.leader().is_some_and(|leader| leader != hidden));
    cluster.run_for(Duration::from_secs(20));
    assert_ne!(cluster.leader(), Some(hidden));
}

#[test]
fn a_tab_that_leads_hands_over_when_seven_servers_have_come() {
    let mut cluster = Cluster::new(23);
    cluster.start(Kind::Tab);
    cluster.wait("a leader", |cluster| cluster.leader().is_some());
    for _ in 0..7 {
        cluster.start(Kind::Server);
    }
    cluster.wait("servers to vote, and one of them to lead", |cluster| {
        cluster.is_settled(7, 8)
            && tabs_among_voters(cluster) == 0
            && cluster.leader().is_some_and(|leader| cluster.kind(leader) == Kind::Server)
    });
}

#[test]
fn who_was_there_before_and_after_a_cut_is_no_news() {
    let (mut cluster, _) = Cluster::of_servers(24, 3);
    let cut_off = cluster.follower();
    cluster.events.clear();
    cluster.disconnect(cut_off);
    cluster.run_for(Duration::from_secs(1));
    cluster.connect(cut_off);
    cluster.run_for(Duration::from_secs(1));
    let comings_and_goings =
        |what: &&&What| matches!(what, What::MemberJoined { .. } | What::MemberLeft { .. });
    assert_eq!(cluster.told_by(cut_off).iter().filter(comings_and_goings).count(), 0);
    let leader = cluster.leader().expect("a leader");
    assert_eq!(cluster.told_by(leader).iter().filter(comings_and_goings).count(), 2);
}
