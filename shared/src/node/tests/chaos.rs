//! Random faults from a seed, then calm: whatever was acknowledged is there, and the cluster serves again.

use super::requests::add_document;
use crate::ids::NodeId;
use crate::node::api::{Reply, Request};
use crate::node::testing::Cluster;
use crate::node::{NodeConfig, RequestId};
use crate::rng::Rng;
use crate::time::Duration;
use crate::wire::session::Kind;
use std::cell::RefCell;
use std::collections::BTreeSet;

const FAULTS: u64 = 40;

struct Chaos {
    cluster: Cluster,
    nodes: Vec<NodeId>,
    rng: Rng,
    down: BTreeSet<NodeId>,
    cut: BTreeSet<NodeId>,
    written: Vec<(RequestId, String)>,
}

impl Chaos {
    fn new(seed: u64) -> Chaos {
        let mut cluster = Cluster::new(seed);
        let mut config = NodeConfig::default();
        config.raft.compact_after_entries = 30;
        config.raft.kept_tail_entries = 5;
        cluster.config = config;
        let kinds = [Kind::Server, Kind::Server, Kind::Server, Kind::Tab, Kind::Tab];
        let nodes = kinds.map(|kind| cluster.start(kind)).to_vec();
        cluster.wait("five voters", |cluster| cluster.is_settled(5, 5));
        let loss = RefCell::new(Rng::from_u64(seed));
        cluster.link = Box::new(move |_, _| loss.borrow_mut().below(100) >= 5);
        let rng = Rng::from_u64(seed + 1);
        Chaos { cluster, nodes, rng, down: BTreeSet::new(), cut: BTreeSet::new(), written: Vec::new() }
    }

    fn any_node(&mut self) -> NodeId {
        self.nodes[self.rng.below(self.nodes.len() as u64) as usize]
    }

    /// At most a minority is away at a time; who is killed is any of them, the leader too.
    fn fault(&mut self) {
        let node = self.any_node();
        let away = self.down.len() + self.cut.len();
        match self.rng.below(6) {
            0 | 1 if away < 2 && !self.down.contains(&node) && !self.cut.contains(&node) => {
                self.cluster.crash(node);
                self.down.insert(node);
            }
            2 if away < 2 && !self.down.contains(&node) && !self.cut.contains(&node) => {
                self.cluster.disconnect(node);
                self.cut.insert(node);
            }
            3 => self.restart_one(),
            4 => self.reconnect_one(),
            _ => {}
        }
    }

    fn restart_one(&mut self) {
        if let Some(node) = self.down.pop_first() {
            self.cluster.restart(node);
        }
    }

    fn reconnect_one(&mut self) {
        if let Some(node) = self.cut.pop_first() {
            self.cluster.connect(node);
        }
    }

    fn write(&mut self, number: u64) {
        let node = self.any_node();
        if !self.down.contains(&node) {
            let name = format!("text {number}");
            let request = add_document(&mut self.cluster, node, &name);
            self.written.push((request, name));
        }
    }

    fn calm(&mut self) {
        while !self.down.is_empty() {
            self.restart_one();
        }
        while !self.cut.is_empty() {
            self.reconnect_one();
        }
        self.cluster.link = Box::new(|_, _| true);
        self.cluster.wait("five voters again", |cluster| cluster.is_settled(5, 5));
        self.cluster.run_for(Duration::from_secs(15));
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_the_cluster_recovers() {
    for seed in 0..25 {
        let mut chaos = Chaos::new(seed);
        for number in 0..FAULTS {
            chaos.write(number);
            chaos.fault();
            let pause = Duration::from_millis(chaos.rng.below(1500));
            chaos.cluster.run_for(pause);
        }
        chaos.calm();
        let mut acknowledged = BTreeSet::new();
        for (request, name) in std::mem::take(&mut chaos.written) {
            if let Some(Ok(Reply::Document(document))) = chaos.cluster.reply(request) {
                assert_eq!(document.name, name);
                acknowledged.insert(name);
            }
        }
        assert!(
            acknowledged.len() as u64 > FAULTS / 3,
            "only {} acknowledged, seed {seed}",
            acknowledged.len()
        );
        for node in chaos.nodes.clone() {
            let Ok(Reply::Documents(documents)) = chaos.cluster.ask(node, Request::ListDocuments) else {
                panic!("no answer from {node:?}, seed {seed}");
            };
            let names: BTreeSet<String> = documents.into_iter().map(|document| document.name).collect();
            assert!(
                acknowledged.is_subset(&names),
                "lost {:?}, seed {seed}",
                acknowledged.difference(&names)
            );
        }
    }
}
