//! Who should vote, as tables. A line such as `S+L S+v T+l T-l` lists nodes: kind (**S**erver, **T**ab, **H**idden tab),
//! `+` online and stable, `*` online and new, `~` gone a moment ago, `-` gone for long; then **L**eader, **v**oter,
//! **l**earner or `.` for a stranger. The answer lists the same nodes with their new roles, or is empty for no change.

use super::requests::add_document;
use crate::ids::NodeId;
use crate::limits;
use crate::node::NodeConfig;
use crate::node::api::{Reply, Request};
use crate::node::autopilot::{Candidate, Facts, Link, decide};
use crate::node::testing::Cluster;
use crate::raft::Membership;
use crate::time::{Duration, Time};
use crate::wire::session::Kind;
use std::collections::{BTreeMap, BTreeSet};

const NOW: Time = Time::from_millis(1_000_000);

fn node(number: usize) -> NodeId {
    let mut bytes = [0; 10];
    bytes[..2].copy_from_slice(&(number as u16 + 1).to_be_bytes());
    NodeId::from_bytes(bytes)
}

fn ago(duration: Duration) -> Time {
    Time::from_micros(NOW.as_micros() - duration.as_micros() as u64)
}

fn plan(before: &str, unwanted: &[usize]) -> String {
    plan_with(&NodeConfig::default(), before, unwanted)
}

fn plan_with(config: &NodeConfig, before: &str, unwanted: &[usize]) -> String {
    let mut membership = Membership::default();
    let mut candidates = BTreeMap::new();
    let mut leader = node(0);
    let words: Vec<&str> = before.split_whitespace().collect();
    for (number, word) in words.iter().enumerate() {
        let [kind, link, role] = word.as_bytes() else { panic!("{word}") };
        match role {
            b'L' | b'v' => membership.voters.insert(node(number)),
            b'l' => membership.learners.insert(node(number)),
            _ => false,
        };
        if *role == b'L' {
            leader = node(number);
        }
        let long_ago = ago(Duration::from_secs(100));
        candidates.insert(
            node(number),
            Candidate {
                kind: if *kind == b'S' { Kind::Server } else { Kind::Tab },
                link: match link {
                    b'+' => Link::Online { since: long_ago },
                    b'*' => Link::Online { since: ago(Duration::from_millis(500)) },
                    b'~' => Link::Gone { since: ago(Duration::from_millis(500)) },
                    b'5' => Link::Gone { since: ago(Duration::from_secs(5)) },
                    _ => Link::Gone { since: long_ago },
                },
                caught_up_since: matches!(link, b'+' | b'*').then_some(long_ago),
                hidden_since: (*kind == b'H').then_some(long_ago),
            },
        );
    }
    let unwanted: BTreeSet<NodeId> = unwanted.iter().map(|number| node(*number)).collect();
    let facts =
        Facts { now: NOW, leader, membership: &membership, candidates: &candidates, unwanted: &unwanted };
    let Some(change) = decide(&facts, config) else { return String::new() };
    let role = |number: usize| match node(number) {
        node if change.voters.contains(&node) => 'v',
        node if change.learners.contains(&node) => 'l',
        _ => '.',
    };
    words
        .iter()
        .enumerate()
        .map(|(number, word)| format!("{}{}", &word[..2], role(number)))
        .collect::<Vec<_>>()
        .join(" ")
}

fn check(table: &[(&str, &str)]) {
    for (before, after) in table {
        assert_eq!(plan(before, &[]), *after, "after {before}");
    }
}

#[test]
fn strangers_become_learners_and_learners_voters() {
    check(&[
        ("S+L", ""),
        ("S+L S+.", "S+v S+l"),
        ("S+L T*. T+.", "S+v T*l T+l"),
        // Two voters need both; one and a learner do as well.
        ("S+L S+l", ""),
        ("S+L S+l S+l", "S+v S+v S+v"),
        // Not before it has stayed a while.
        ("S+L S+l S*l", ""),
        ("S+L S+v S+v S+l", ""),
        ("S+L S+v S+v S+l S+l", "S+v S+v S+v S+v S+v"),
        // A single voter stays the one it is.
        ("T+L S+l", ""),
    ]);
}

#[test]
fn seven_vote_at_most() {
    check(&[("S+L S+l S+l S+l S+l S+l S+l S+l S+l", "S+v S+v S+v S+v S+v S+v S+v S+l S+l")]);
}

#[test]
fn a_full_room_takes_those_who_are_there() {
    let line = |voters: usize, gone: usize, strangers: usize, roles: [&str; 4]| {
        let [leader, voter, learner, stranger] = roles;
        let others = [vec![voter; voters - 1], vec![learner; gone], vec![stranger; strangers]].concat();
        [vec![leader], others].concat().join(" ")
    };
    let full = limits::ROOM_MEMBERS_MAX - 7;
    let before = ["S+L", "S+v", "T~l", "T+."];
    assert_eq!(plan(&line(7, full, 0, before), &[]), "", "all of them fit");
    let after = plan(&line(7, full, 9, before), &[]);
    let count = |what: &str| after.split(' ').filter(|word| *word == what).count();
    assert_eq!((count("S+v"), count("T+l"), count("T~l"), count("T~.")), (7, 9, full - 9, 9));
    assert_eq!(count("T+."), 0);
}

#[test]
fn servers_come_first_then_tabs_that_are_seen() {
    check(&[
        ("T+L T+v T+v S+l S+l S+l", "T+v T+v T+l S+v S+v S+v"),
        ("S+L S+v S+v T+l H+l T+l", "S+v S+v S+v T+v H+l T+v"),
        // Two tabs are as many as three servers carry.
        ("S+L S+v S+v T+v T+v T+l T+l", ""),
        ("S+L S+v S+v T+v H+v T+l T+l", "S+v S+v S+v T+v H+l T+v T+l"),
        ("S+L S+v S+v T+v T+v S+l S+l", "S+v S+v S+v T+v T+v S+v S+v"),
        ("S+L S+v S+v S+v T+l T+l T+l T+l", "S+v S+v S+v S+v T+v T+v T+v T+l"),
        // Without three servers there is nothing to anchor to.
        ("S+L T+l T+l T+l T+l", "S+v T+v T+v T+v T+v"),
    ]);
}

#[test]
fn dead_voters_are_swapped_or_demoted_and_never_below_three() {
    check(&[
        ("S+L S~v S+v S+l", ""),
        ("S+L S5v S+v S+l", "S+v S5l S+v S+v"),
        // Gone for so long that it is not even a learner any more.
        ("S+L S-v S+v S+l", "S+v S-. S+v S+v"),
        ("S+L S-v S+v", ""),
        ("S+L S5v S+v S+v S+v", "S+v S5l S+v S+v S+l"),
        ("S+L S5v S5v S+v S+v", "S+v S5l S5l S+v S+v"),
        ("S+L S+v S+v S+v S5v S5v S5v", "S+v S+v S+v S+l S5l S5l S5l"),
        // More than a minority is gone: nothing is decided without them.
        ("S+L S-v S-v", ""),
        ("S+L S-v S-v S+l S+l", ""),
    ]);
}

#[test]
fn dead_learners_are_removed_after_a_while() {
    check(&[("S+L S5l", ""), ("S+L S-l", "S+v S-."), ("S+L S-.", "")]);
}

#[test]
fn an_unwanted_member_goes_unless_too_few_would_be_left() {
    assert_eq!(plan("S+L S~v S+v S+l", &[1]), "S+v S~. S+v S+v");
    assert_eq!(plan("S+L S~v S+v", &[1]), "");
    assert_eq!(plan("S+L S~l S+l", &[1]), "S+v S~. S+l");
}

#[test]
fn with_three_servers_among_the_voters_they_are_a_majority_whatever_came_before() {
    for servers in 3..=9 {
        for tabs in 0..=9 {
            for voters in 1..=3 {
                let server = |number| {
                    if number == 0 {
                        "S+L"
                    } else if number < voters {
                        "S+v"
                    } else {
                        "S+l"
                    }
                };
                let words: Vec<&str> = (0..servers).map(server).chain((0..tabs).map(|_| "T+l")).collect();
                let before = words.join(" ");
                let after = plan(&before, &[]);
                let after = if after.is_empty() { before.replace('L', "v") } else { after };
                let count = |kind: &str| {
                    after.split(' ').filter(|word| word.starts_with(kind) && word.ends_with('v')).count()
                };
                let (servers, tabs) = (count("S"), count("T"));
                assert!((servers + tabs) % 2 == 1 && servers + tabs <= 7, "{after}");
                assert!(servers > tabs, "{after}");
            }
        }
    }
}

/// How many voters are left after each death, when every voter but the leader dies, one after the other, and the autopilot has
/// its say in between.
fn voters_after_each_death(config: &NodeConfig) -> Vec<usize> {
    let mut members = "S+L S+v S+v S+v S+v".to_owned();
    let mut voters = Vec::new();
    while let Some(victim) = members.rfind("S+v") {
        members.replace_range(victim..victim + 3, "S5v");
        let after = plan_with(config, &members, &[]);
        if !after.is_empty() {
            members = after.replacen("S+v", "S+L", 1);
        }
        voters.push(members.matches(['v', 'L']).count());
    }
    voters
}

/// Bug 22 of `docs/raft-proofs.md`: 5 voters become 3, then 1, and the next failure is the last.
pub fn five_that_die_one_after_the_other_never_leave_fewer_than_three_voters(config: NodeConfig) {
    assert_eq!(voters_after_each_death(&config), [3, 3, 3, 3]);
}

/// The other half of bug 22: who is restarted is back before its vote is given away.
pub fn a_rolling_restart_changes_no_voter(config: NodeConfig) {
    let restarts = [
        "S+L S~v S+v S+l",
        "S+L S+v S~v S+l",
        "S+L S~v S+v S+v S+v S+l",
        "S+L S+v S~v S+v S+v S+l",
        "S+L S+v S+v S~v S+v S+l",
        "S+L S+v S+v S+v S~v S+l",
    ];
    for restart in restarts {
        assert_eq!(plan_with(&config, restart, &[]), "", "{restart}");
    }
}

#[test]
fn the_examples_of_the_document_hold() {
    // Servers, and how many of them and of twenty tabs vote (docs/autopilot.md).
    let table = [(0, (0, 7)), (1, (1, 6)), (2, (2, 5)), (3, (3, 2)), (4, (4, 3)), (5, (5, 2)), (7, (7, 0))];
    for (servers, expected) in table {
        let all = [vec!["S+l"; servers], vec!["T+l"; 20]].concat().join(" ");
        let after = plan(&all.replacen('l', "L", 1), &[]);
        let votes =
            |kind| after.split(' ').filter(|word| word.starts_with(kind) && word.ends_with('v')).count();
        assert_eq!((votes('S'), votes('T')), expected, "{servers} servers");
    }
    check(&[
        // All tabs are closed, one server dies, one tab is closed, one is hidden, two more servers come.
        ("S+L S+v S+v T5v T5v T5l", "S+v S+v S+v T5l T5l T5l"),
        ("S+L S+v S5v T+v T+v T+l T+l T+l", "S+v S+v S5l T+v T+v T+v T+v T+v"),
        ("S+L S+v S+v T5v T+v T+l", "S+v S+v S+v T5l T+v T+v"),
        ("S+L S+v S+v H+v T+v T+l", "S+v S+v S+v H+l T+v T+v"),
        ("S+L S+v S+v T+v T+v S+l S+l", "S+v S+v S+v T+v T+v S+v S+v"),
    ]);
}

pub fn one_pass_prunes_a_minority_at_most(config: NodeConfig) {
    for voters in [3, 5, 7] {
        for gone in 0..voters {
            let others = [vec!["S+v"; voters - 1 - gone], vec!["S-v"; gone]].concat();
            let before = [vec!["S+L"], others].concat().join(" ");
            let after = plan_with(&config, &before, &[]);
            if after.is_empty() {
                continue;
            }
            let count = |kind| after.split(' ').filter(|w| w.starts_with(kind) && w.ends_with('v')).count();
            let (live, dead) = (count("S+"), count("S-"));
            assert!(gone <= (voters - 1) / 2 && live + dead >= 3, "{before} -> {after}");
            // One that is there may have to step back, so that the number stays odd.
            assert!(voters - gone - live <= 1, "{before} -> {after}");
        }
    }
}

/// Steps through `duration` and looks at the voters in force at every member, all the time.
fn live(cluster: &mut Cluster, duration: Duration) {
    let until = cluster.now + duration;
    while cluster.now < until {
        cluster.run_for(Duration::from_millis(20));
        for node in cluster.running() {
            let voters = cluster.status(node).membership.voters.len();
            assert!(voters >= 3, "{voters} voters are left");
        }
    }
}

/// Bug 22, first half: autopilots that follow every loss go from five to three to one, and then a single loss is the end.
pub fn a_cluster_that_loses_one_after_the_other_never_has_fewer_than_three_voters(config: NodeConfig) {
    for seed in 400..404 {
        let (mut cluster, _) = Cluster::of_servers_with(config.clone(), seed, 5);
        let mut dead = Vec::new();
        for expected in [3, 3, 3] {
            let victim = cluster.follower();
            cluster.crash(victim);
            dead.push(victim);
            live(&mut cluster, Duration::from_secs(40));
            let leader = cluster.leader().expect("a majority of the voters is there");
            let voters = &cluster.status(leader).membership.voters;
            assert_eq!(voters.len(), expected, "after {} losses", dead.len());
            cluster.ask(leader, Request::ListDocuments).expect("it goes on");
        }
        // Two of three voters are there; the next loss costs the majority, and nobody decides without it.
        let last = cluster.follower();
        cluster.crash(last);
        live(&mut cluster, Duration::from_secs(40));
        assert_eq!(cluster.leader(), None);
        cluster.restart(last);
        cluster.wait("the cluster again", |cluster| cluster.leader().is_some());
        for node in dead {
            cluster.restart(node);
        }
        cluster.wait("everybody", |cluster| cluster.is_settled(5, 5));
    }
}

#[test]
fn five_that_lose_two_at_once_go_on_and_prune_no_more_than_two() {
    let (mut cluster, nodes) = Cluster::of_servers(410, 5);
    let leader = cluster.leader().expect("a leader");
    let victims: Vec<NodeId> = nodes.into_iter().filter(|node| *node != leader).take(2).collect();
    for victim in &victims {
        cluster.crash(*victim);
    }
    live(&mut cluster, Duration::from_secs(40));
    let leader = cluster.leader().expect("three of five");
    assert_eq!(cluster.status(leader).membership.voters.len(), 3);
    for victim in victims {
        cluster.restart(victim);
    }
    cluster.wait("all five", |cluster| cluster.is_settled(5, 5));
}

/// Bug 22, second half: a rolling restart, in which never more than one is away, must not lose the cluster.
#[test]
fn a_rolling_restart_of_five_keeps_the_cluster_whatever_its_pace() {
    let millis = Duration::from_millis;
    // How long each is away, and how long it is back before it is the next one's turn: shorter and longer than voters and
    // learners are waited for, and no time at all to come back.
    let paces = [
        (millis(50), millis(50)),
        (millis(500), millis(10)),
        (millis(2_900), millis(100)),
        (millis(3_300), millis(100)),
        (millis(3_300), millis(5_000)),
        (millis(35_000), millis(500)),
    ];
    for (seed, (away, back)) in (420..).zip(paces) {
        let (mut cluster, nodes) = Cluster::of_servers(seed, 5);
        let mut names = Vec::new();
        for node in &nodes {
            cluster.crash(*node);
            live(&mut cluster, away);
            let asked = *nodes.iter().find(|other| *other != node).expect("five");
            let name = format!("{node:?}");
            let write = add_document(&mut cluster, asked, &name);
            cluster.wait("an answer", |cluster| cluster.is_answered(write));
            cluster.reply(write).expect("answered").unwrap_or_else(|error| panic!("{away:?}: {error:?}"));
            names.push(name);
            cluster.restart(*node);
            live(&mut cluster, back);
        }
        cluster.wait("everybody", |cluster| cluster.is_settled(5, 5));
        let Ok(Reply::Documents(documents)) = cluster.ask(nodes[0], Request::ListDocuments) else {
            panic!("an answer")
        };
        assert!(names.iter().all(|name| documents.iter().any(|document| document.name == *name)));
    }
}

/// Bug 21: a node that lost its disk and kept its id could found a cluster of its own, or vote twice in a term. It comes
/// back as somebody else; even one that cheats finds no quorum in itself.
#[test]
fn a_wiped_node_is_not_its_own_quorum_and_comes_back_as_a_new_member() {
    let (mut cluster, nodes) = Cluster::of_servers(430, 3);
    let victim = cluster.follower();
    let leader = cluster.leader().expect("a leader");
    let write = add_document(&mut cluster, leader, "kept");
    cluster.wait("an answer", |cluster| cluster.is_answered(write));
    cluster.crash(victim);
    cluster.wipe(victim);
    let fresh = cluster.start(Kind::Server);
    assert_ne!(fresh, victim);
    cluster.wait("the new one to vote", |cluster| {
        let leader = cluster.leader().expect("a leader");
        let membership = &cluster.status(leader).membership;
        membership.is_voter(fresh) && !membership.is_voter(victim) && membership.voters.len() == 3
    });
    let Ok(Reply::Documents(documents)) = cluster.ask(fresh, Request::ListDocuments) else {
        panic!("an answer")
    };
    assert_eq!(documents.len(), 1);

    // With its old id, nothing on its disk and nobody else there.
    for node in nodes.into_iter().chain([fresh]).filter(|node| *node != victim) {
        cluster.crash(node);
    }
    cluster.restart(victim);
    cluster.run_for(Duration::from_secs(10));
    assert!(!cluster.status(victim).is_leader());
    assert!(cluster.status(victim).membership.voters.is_empty());
}
