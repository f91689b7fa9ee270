//! Every way to connect five members, each direction of each link on its own. Where three can all talk to each other, one
//! member leads, goes on to lead, and serves.
//!
//! Graphs that differ only in the names of the members are one class: 9,608 of the 2^20. Each is tried without a leader and
//! with the first leader at every place in it. Names matter a little all the same, because ties between members that
//! stand at the same moment are broken by id, so each try names the places anew.

use crate::kit::*;
use wordraft_shared::ids::NodeId;
use wordraft_shared::raft::*;
use wordraft_shared::rng::Rng;

const SIZE: usize = 5;
const LINKS: usize = SIZE * (SIZE - 1);

/// A bit for each direction of each link.
type Graph = u32;
/// Which place each place goes to.
type Naming = [usize; SIZE];

fn link(from: usize, to: usize) -> Graph {
    1 << (from * (SIZE - 1) + if to < from { to } else { to - 1 })
}

fn links() -> impl Iterator<Item = (usize, usize)> {
    (0..SIZE).flat_map(|from| (0..SIZE).filter(move |to| *to != from).map(move |to| (from, to)))
}

fn namings() -> Vec<Naming> {
    let mut all: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..SIZE {
        let longer = |naming: &Vec<usize>| {
            let free = (0..SIZE).filter(|place| !naming.contains(place)).collect::<Vec<_>>();
            free.into_iter().map(|place| [&naming[..], &[place]].concat()).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all.into_iter().map(|naming| naming.try_into().unwrap()).collect()
}

/// The first graph of each class.
fn classes() -> Vec<Graph> {
    let moves: Vec<Vec<(Graph, Graph)>> = namings()
        .iter()
        .map(|naming| links().map(|(from, to)| (link(from, to), link(naming[from], naming[to]))).collect())
        .collect();
    let mut is_known = vec![false; 1 << LINKS];
    let mut classes = Vec::new();
    for graph in 0..1 << LINKS {
        if is_known[graph as usize] {
            continue;
        }
        classes.push(graph);
        for naming in &moves {
            let moved = naming.iter().filter(|(link, _)| graph & link != 0).fold(0, |all, (_, to)| all | to);
            is_known[moved as usize] = true;
        }
    }
    classes
}

/// Three of five that hear each other, both ways.
fn has_connected_quorum(graph: Graph) -> bool {
    let talk = |one, other| graph & link(one, other) != 0 && graph & link(other, one) != 0;
    (0..SIZE).any(|a| (a + 1..SIZE).any(|b| (b + 1..SIZE).any(|c| talk(a, b) && talk(b, c) && talk(a, c))))
}

fn leads_and_serves(graph: Graph, first_leader: Option<usize>, naming: Naming, seed: u64) {
    let id = |place: usize| n(naming[place] as u8 + 1);
    let mut cluster = Cluster::new(SIZE as u8).seeded(seed);
    if let Some(place) = first_leader {
        cluster.campaign(id(place));
        assert_eq!(cluster.leader(), Some(id(place)));
    }
    for (from, to) in links().filter(|(from, to)| graph & link(*from, *to) == 0) {
        cluster.network.cut_one_way(id(from), id(to));
    }
    cluster.run_for(ms(4_000));
    let leads = |cluster: &Cluster| -> Option<(NodeId, Term)> {
        let leader = cluster.leader()?;
        Some((leader, cluster.status(leader).term))
    };
    let found = leads(&cluster);
    let what =
        || format!("graph {graph:020b} as {naming:?}, first {first_leader:?}\n{}", cluster.story.join("\n"));
    let (leader, _) = found.unwrap_or_else(|| panic!("nobody leads in {}", what()));
    cluster.run_for(ms(1_500));
    let what =
        || format!("graph {graph:020b} as {naming:?}, first {first_leader:?}\n{}", cluster.story.join("\n"));
    assert_eq!(leads(&cluster), found, "{}", what());
    let position = cluster.propose(leader, "served").unwrap();
    cluster.run_for(ms(200));
    assert!(cluster.checker.committed_up_to() >= position.index, "graph {graph:020b} serves");
}

#[test]
fn every_graph_of_five_with_a_connected_majority_keeps_a_leader() {
    let namings = namings();
    let mut rng = Rng::from_u64(5);
    let classes = classes();
    assert_eq!(classes.len(), 9_608);
    let mut tried = 0;
    for graph in classes.into_iter().filter(|graph| has_connected_quorum(*graph)) {
        for first_leader in (0..SIZE).map(Some).chain([None]) {
            let naming = namings[rng.below(namings.len() as u64) as usize];
            leads_and_serves(graph, first_leader, naming, rng.next_u64());
            tried += 1;
        }
    }
    println!("{tried} tries");
}
