//! Three `wordraft node` and the relay that carries their messages, with the default settings.

use crate::client::Client;
use crate::servers::MEMBERS;
use testkit::cluster::members;
use testkit::{Cluster, TestNode, TestRelay};

const NAMES: [&str; MEMBERS] = ["Ash", "Birch", "Cedar"];

pub struct Wordraft {
    // The nodes end before their relay.
    nodes: Vec<Node>,
    _relay: TestRelay,
}

struct Node {
    process: TestNode,
    cluster: Cluster,
}

impl Wordraft {
    pub async fn start() -> Wordraft {
        let relay = TestRelay::start(0).await;
        let mut nodes = Vec::new();
        for name in NAMES {
            let mut process = TestNode::start_with(&relay.link(), name, &["--http", "127.0.0.1:0"]);
            let cluster = process.cluster().await;
            nodes.push(Node { process, cluster });
        }
        Wordraft { nodes, _relay: relay }
    }

    pub fn client(&self, member: usize) -> Client {
        Client::wordraft(&self.nodes[member].cluster.room().url("kv"))
    }

    pub async fn leader(&self) -> usize {
        let asked = &self.nodes[0].cluster;
        let view = (asked.see("three voters that have caught up", |view| {
            view["quorum"]["voters"] == MEMBERS
                && view["quorum"]["online"] == MEMBERS
                && view["quorum"]["healthy"] == true
                && members(view).iter().all(|member| member["lag"] == 0)
        }))
        .await;
        for node in &self.nodes {
            node.cluster.see("the same leader", |other| other["leader"] == view["leader"]).await;
        }
        let leader = members(&view).iter().find(|member| member["role"] == "leader");
        let name = leader.and_then(|leader| leader["name"].as_str()).expect("a healthy quorum has a leader");
        NAMES.iter().position(|other| name == *other).expect("one of ours")
    }

    pub fn kill(&mut self, member: usize) {
        self.nodes[member].process.kill();
    }

    pub async fn restart(&mut self, member: usize) {
        let node = &mut self.nodes[member];
        node.process.restart();
        node.cluster = node.process.cluster().await;
    }
}
