//! Each trouble is brought about for real, told in words, and gone when what it asks for is done.

use super::requests::add_document;
use crate::ids::{ClusterId, NodeId};
use crate::node::Input;
use crate::node::api::{ErrorCode, Event, Request, Trouble, TroubleCode};
use crate::node::testing::Cluster;
use crate::node::view::name_of;
use crate::raft::{Index, Term};
use crate::state_machine::{Command, MemberRecord};
use crate::time::Duration;
use crate::wire::session::{Kind, Welcome};

fn trouble(cluster: &Cluster, node: NodeId) -> Option<Trouble> {
    cluster.node(node).diagnosis()
}

fn code(cluster: &Cluster, node: NodeId) -> Option<TroubleCode> {
    trouble(cluster, node).map(|trouble| trouble.code())
}

fn wait_for(cluster: &mut Cluster, node: NodeId, what: TroubleCode) -> Trouble {
    cluster.wait(&format!("{what:?}"), |cluster| code(cluster, node) == Some(what));
    trouble(cluster, node).expect("just seen")
}

fn wait_until_well(cluster: &mut Cluster) {
    cluster.wait("everybody to be well", |cluster| {
        cluster.running().all(|node| trouble(cluster, node).is_none())
    });
}

fn name(cluster: &Cluster, node: NodeId) -> String {
    let witness = cluster.running().next().expect("somebody runs");
    name_of(&cluster.node(witness).around, node)
}

/// Three servers: the leader, and the others.
fn three(seed: u64) -> (Cluster, NodeId, [NodeId; 2]) {
    let (mut cluster, nodes) = Cluster::of_servers(seed, 3);
    wait_until_well(&mut cluster);
    let leader = cluster.leader().expect("a leader");
    let others: Vec<NodeId> = nodes.into_iter().filter(|node| *node != leader).collect();
    (cluster, leader, [others[0], others[1]])
}

#[test]
fn a_node_without_a_relay_says_so() {
    let (mut cluster, _, [cut_off, _]) = three(201);
    cluster.disconnect(cut_off);
    assert_eq!(trouble(&cluster, cut_off), Some(Trouble::NotConnected));
    let error = cluster.ask(cut_off, Request::ListDocuments).expect_err("nobody to ask");
    assert_eq!(
        (error.code, error.message.as_str()),
        (ErrorCode::NotReady, &*Trouble::NotConnected.to_string())
    );
    assert!(error.hint.contains("relay"), "{error:?}");
    cluster.connect(cut_off);
    wait_until_well(&mut cluster);
}

#[test]
fn a_node_that_is_refused_says_why() {
    let (mut cluster, _, [node, _]) = three(202);
    let other = ClusterId::from_bytes([9; 10]);
    let welcome = Welcome { node, cluster: other, founder: false, present: Vec::new() };
    cluster.handle(node, Input::Connected(welcome));
    let said = trouble(&cluster, node).expect("a trouble").to_string();
    assert!(said.starts_with("This node cannot take part: ") && said.contains(&other.to_string()), "{said}");
}

#[test]
fn a_newcomer_without_a_leader_waits_to_be_let_in() {
    let (mut cluster, leader, others) = three(203);
    for node in [leader, others[0], others[1]] {
        cluster.crash(node);
    }
    let newcomer = cluster.start(Kind::Server);
    cluster.run_for(Duration::from_secs(5));
    let said = wait_for(&mut cluster, newcomer, TroubleCode::NotLetIn);
    assert_eq!(said.to_string(), "This node has waited 5 s for a leader to let it in.");
    for node in [leader, others[0], others[1]] {
        cluster.restart(node);
    }
    wait_until_well(&mut cluster);
}

#[test]
fn a_member_that_is_far_behind_says_how_far() {
    let mut cluster = Cluster::new(204);
    // An entry in each round trip, so that catching up takes long enough to be seen.
    cluster.config.raft.max_append_bytes = 1;
    cluster.config.raft.max_inflight_messages = 1;
    let nodes = [(); 3].map(|()| cluster.start(Kind::Server));
    cluster.wait("three voters", |cluster| cluster.is_settled(3, 3));
    let leader = cluster.leader().expect("a leader");
    let late = cluster.follower();
    cluster.disconnect(late);
    let waiting: Vec<_> =
        (0..400).map(|number| add_document(&mut cluster, leader, &number.to_string())).collect();
    for request in waiting {
        cluster.wait("a document", |cluster| cluster.is_answered(request));
    }
    cluster.connect(late);
    let said = wait_for(&mut cluster, late, TroubleCode::CatchingUp);
    let Trouble::CatchingUp { behind: Some(behind) } = said else { panic!("{said:?}") };
    let behind_now = cluster.status(leader).commit.get() - cluster.node(late).inspect().applied.get();
    assert!(behind > 64 && behind <= behind_now, "{behind} of {behind_now}");
    wait_until_well(&mut cluster);
    cluster.wait("everybody to have everything", |cluster| {
        nodes.iter().all(|node| cluster.node(*node).inspect().applied == cluster.status(leader).commit)
    });
}

#[test]
fn members_without_a_term_to_elect_a_leader_in_say_so() {
    let (mut cluster, leader, [one, other]) = three(206);
    let nodes = [leader, one, other];
    for node in nodes {
        cluster.crash(node);
        cluster.edit_disk(node, |disk| disk.hard_state.term = Term::MAX);
    }
    for node in nodes {
        cluster.restart(node);
    }
    cluster.run_for(Duration::from_secs(10));
    for node in nodes {
        let said = trouble(&cluster, node).expect("a trouble").to_string();
        assert!(said.starts_with("No leader can be elected any more"), "{said}");
        assert_eq!(cluster.status(node).term, Term::MAX);
    }
}

#[test]
fn a_snapshot_on_its_way_is_told_in_percent() {
    let (mut cluster, nodes) = Cluster::of_servers(205, 1);
    let leader = nodes[0];
    for number in 0..80 {
        let request = add_document(&mut cluster, leader, &format!("{number}").repeat(100));
        cluster.wait("a document", |cluster| cluster.is_answered(request));
    }
    cluster.crash(leader);
    cluster.config.raft.compact_after_entries = 10;
    cluster.config.raft.kept_tail_entries = 0;
    cluster.config.raft.snapshot_chunk_bytes = 100;
    cluster.config.raft.snapshot_window_chunks = 1;
    cluster.restart(leader);
    cluster.wait("a snapshot", |cluster| cluster.status(leader).snapshot > Index::ZERO);
    let newcomer = cluster.start(Kind::Server);
    cluster.wait("half of it", |cluster| {
        matches!(trouble(cluster, newcomer), Some(Trouble::Installing { percent: 50.. }))
    });
    let said = trouble(&cluster, newcomer).expect("a trouble").to_string();
    assert_eq!(said, "This node is taking in the cluster's state: 50 % is here.");
    wait_until_well(&mut cluster);
}

#[test]
fn a_lost_majority_names_who_must_come_back() {
    let (mut cluster, witness, others) = three(206);
    others.into_iter().for_each(|node| cluster.crash(node));
    let lost = wait_for(&mut cluster, witness, TroubleCode::NoMajority);
    assert_eq!(lost.to_string(), "Only 1 of 3 voters is online, and 2 are needed.");
    let [one, other] = others.map(|node| name(&cluster, node));
    let remedy = lost.remedy();
    assert!(remedy.contains(&one) && remedy.contains(&other) && remedy.contains("1 of "), "{remedy}");
    cluster.restart(others[0]);
    cluster.wait("the one to be enough", |cluster| trouble(cluster, witness).is_none());
}

#[test]
fn in_the_middle_of_a_change_it_says_whose_majority_is_missing() {
    let (mut cluster, leader, others) = three(207);
    let newcomers = [cluster.start(Kind::Server), cluster.start(Kind::Server)];
    cluster.wait("a change of voters", |cluster| {
        newcomers.iter().all(|node| cluster.status(leader).membership.is_voter(*node))
            && cluster.status(leader).membership.is_joint()
    });
    others.into_iter().for_each(|node| cluster.crash(node));
    let lost = wait_for(&mut cluster, leader, TroubleCode::NoMajority);
    assert!(cluster.status(leader).membership.is_joint());
    let said = lost.to_string();
    assert!(said.contains("the old ones have to agree. Only 1 of 3 voters is online"), "{said}");
    cluster.restart(others[0]);
    wait_until_well(&mut cluster);
}

#[test]
fn voters_that_are_connected_and_mute_are_named() {
    let (mut cluster, witness, others) = three(208);
    others.into_iter().for_each(|node| cluster.freeze(node));
    let mute = wait_for(&mut cluster, witness, TroubleCode::Mute);
    let said = mute.to_string();
    assert!(others.iter().all(|node| said.contains(&name(&cluster, *node))), "{said}");
    assert!(said.ends_with("not answered for 2 s. Only 1 of 3 voters answers, and 2 are needed."), "{said}");
    cluster.run_for(Duration::from_secs(5));
    let said = trouble(&cluster, witness).expect("still").to_string();
    assert!(said.contains("for 7 s"), "{said}");
    others.into_iter().for_each(|node| cluster.thaw(node));
    wait_until_well(&mut cluster);
}

#[test]
fn a_link_that_carries_one_way_only_is_found_out() {
    let (mut cluster, leader, others) = three(209);
    // What the leader says arrives, and nothing comes back to it.
    cluster.link = Box::new(move |_, to| to != leader);
    let mute = wait_for(&mut cluster, leader, TroubleCode::Mute);
    assert!(matches!(&mute, Trouble::Mute { silent, answering: 1, .. } if silent.len() == 2), "{mute:?}");
    assert!(others.iter().any(|node| cluster.status(*node).is_leader()), "the others go on");
    cluster.link = Box::new(|_, _| true);
    wait_until_well(&mut cluster);
}

#[test]
fn an_election_that_lasts_says_who_refuses_and_why() {
    let (mut cluster, leader, [cut_off, other]) = three(210);
    cluster.link = Box::new(move |from, to| ![[leader, cut_off], [cut_off, leader]].contains(&[from, to]));
    cluster.wait("a long election", |cluster| {
        matches!(trouble(cluster, cut_off), Some(Trouble::Electing { lasting, .. }) if lasting.as_secs() == 3)
    });
    let election = trouble(&cluster, cut_off).expect("just seen");
    let said = election.to_string();
    assert!(
        said.starts_with("The members are electing a leader, for 3 s now: this node has asked "),
        "{said}"
    );
    let reason = format!("{} hears a leader that this node does not hear.", name(&cluster, other));
    assert!(said.ends_with(&reason), "{said}");
    assert!(election.remedy().contains("leader's messages reach it"), "{election:?}");
    cluster.link = Box::new(|_, _| true);
    wait_until_well(&mut cluster);
}

#[test]
fn who_knows_more_than_the_one_that_wants_to_lead_is_named() {
    let (mut cluster, leader, [behind, other]) = three(211);
    // The other has the change, though not on its disk, so it does not stand and cannot be outrun either.
    cluster.link = Box::new(move |from, to| ![from, to].contains(&behind) || ![from, to].contains(&leader));
    cluster.hang_disk(other);
    add_document(&mut cluster, leader, "known to some");
    cluster.run_for(Duration::from_millis(5));
    cluster.crash(leader);
    cluster.wait("a long election", |cluster| {
        matches!(trouble(cluster, behind), Some(Trouble::Electing { lasting, .. }) if lasting.as_secs() == 1)
    });
    let said = trouble(&cluster, behind).expect("just seen").to_string();
    assert!(
        said.contains(&format!("{} knows changes that this node does not have", name(&cluster, other))),
        "{said}"
    );
    cluster.heal_disk(other);
    cluster.wait("the one who knows to lead", |cluster| cluster.leader() == Some(other));
}

#[test]
fn a_disk_that_hangs_is_told_by_the_node_that_has_it() {
    let (mut cluster, leader, [victim, _]) = three(212);
    cluster.hang_disk(victim);
    add_document(&mut cluster, leader, "on two of three disks");
    let stalled = wait_for(&mut cluster, victim, TroubleCode::DiskStalled);
    assert_eq!(stalled.to_string(), "This node's disk has not confirmed a write for a second.");
    assert_eq!(trouble(&cluster, leader), None, "the cluster goes on");
    cluster.run_for(Duration::from_millis(4500));
    assert!(trouble(&cluster, victim).expect("still").to_string().contains("for 5 s"));
    cluster.heal_disk(victim);
    wait_until_well(&mut cluster);
}

#[test]
fn a_leader_whose_entries_are_not_confirmed_names_those_who_lag() {
    let (mut cluster, leader, others) = three(213);
    others.into_iter().for_each(|node| cluster.hang_disk(node));
    let write = add_document(&mut cluster, leader, "waits");
    let stuck = wait_for(&mut cluster, leader, TroubleCode::NotCommitting);
    assert_eq!(cluster.leader(), Some(leader));
    let Trouble::NotCommitting { lagging, .. } = &stuck else { panic!("{stuck:?}") };
    assert_eq!(*lagging, {
        let mut both = others;
        both.sort_unstable();
        both.map(|node| name(&cluster, node))
    });
    cluster.wait("an answer", |cluster| cluster.is_answered(write));
    let error = cluster.reply(write).expect("answered").expect_err("never confirmed");
    assert_eq!(error.code, ErrorCode::Timeout);
    assert!(error.message.contains("have waited 9 s for a majority to confirm them"), "{error:?}");
    assert!(error.message.ends_with("The change may still happen."), "{error:?}");
    assert!(error.hint.contains("disk or the connection"), "{error:?}");
    others.into_iter().for_each(|node| cluster.heal_disk(node));
    wait_until_well(&mut cluster);
}

#[test]
fn a_leader_that_takes_no_more_says_so() {
    let mut cluster = Cluster::new(214);
    // Room for a single unconfirmed change.
    cluster.config.raft.max_uncommitted_bytes = 1;
    let nodes = [(); 3].map(|()| cluster.start(Kind::Server));
    cluster.wait("three voters", |cluster| cluster.is_settled(3, 3));
    let leader = cluster.leader().expect("a leader");
    for (number, node) in nodes.iter().cycle().take(600).enumerate() {
        add_document(&mut cluster, *node, &number.to_string());
    }
    let turned_away = wait_for(&mut cluster, leader, TroubleCode::TurnedAway);
    assert_eq!(
        turned_away.to_string(),
        "The leader has not taken a change for a second: it holds as many unconfirmed ones as it may."
    );
    wait_until_well(&mut cluster);
}

#[test]
fn leadership_on_its_way_is_told() {
    let (mut cluster, leader, [target, _]) = three(215);
    cluster.link = Box::new(move |from, to| (from, to) != (leader, target));
    cluster.request(leader, Request::Transfer { to: Some(target) });
    let moving = wait_for(&mut cluster, leader, TroubleCode::HandingOver);
    assert_eq!(moving.to_string(), format!("The leader is handing over to {}.", name(&cluster, target)));
    cluster.link = Box::new(|_, _| true);
    cluster.wait("the target to lead", |cluster| cluster.leader() == Some(target));
    wait_until_well(&mut cluster);
}

#[test]
fn members_whose_states_differ_are_both_named() {
    let (mut cluster, leader, [victim, bystander]) = three(216);
    let record = MemberRecord { name: "nobody".to_owned(), kind: Kind::Tab, http: None, domain: 0 };
    let forged = Command::SetMember { node: NodeId::from_bytes([7; 10]), record };
    cluster.damage(victim, forged);
    for witness in [leader, victim, bystander] {
        let differ = wait_for(&mut cluster, witness, TroubleCode::StatesDiffer);
        let said = differ.to_string();
        assert!(said.contains(&name(&cluster, victim)), "{said}");
        assert!(differ.code().is_unready());
    }
}

#[test]
fn what_is_shown_gets_older_by_itself_and_goes_away_by_itself() {
    let (mut cluster, witness, others) = three(217);
    others.into_iter().for_each(|node| cluster.freeze(node));
    cluster.run_for(Duration::from_secs(8));
    others.into_iter().for_each(|node| cluster.thaw(node));
    wait_until_well(&mut cluster);
    cluster.run_for(Duration::from_secs(1));
    let shown: Vec<Option<String>> = (cluster.events.iter())
        .filter_map(|(node, event)| match event {
            Event::Cluster(view) if *node == witness => Some(view.trouble.clone()),
            _ => None,
        })
        .collect();
    let says = |words: &str| shown.iter().flatten().any(|trouble| trouble.contains(words));
    assert!(says("for 3 s") && says("for 7 s"), "{shown:?}");
    assert_eq!(shown.last(), Some(&None));
    let troubled = shown.iter().flatten().count();
    assert!(troubled < 40, "a picture each second, not each moment: {troubled}");
}
