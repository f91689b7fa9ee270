//! Three nodes of wordraft and the relay that carries their messages, with the default settings.

use crate::client::Client;
use crate::servers::MEMBERS;
use testkit::{Cluster, TestNode, TestRelay};

const NAMES: [&str; MEMBERS] = ["Ash", "Birch", "Cedar"];

/// Where the relay runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `wordraft relay --nodes 1` and two `wordraft node`: three processes, as on three machines.
    Within,
    /// `wordraft relay --nodes 0` and three `wordraft node`: four processes, and any node can be killed alone.
    Apart,
}

pub struct Wordraft {
    // The nodes end before their relay.
    members: Vec<Member>,
    _relay: TestRelay,
}

struct Member {
    cluster: Cluster,
    /// None: the relay's own.
    process: Option<TestNode>,
}

impl Wordraft {
    pub async fn start(layout: Layout) -> Wordraft {
        let hosted = usize::from(layout == Layout::Within);
        let relay = TestRelay::start(hosted).await;
        let mut members = Vec::new();
        if layout == Layout::Within {
            members.push(Member { cluster: relay.cluster(), process: None });
        }
        for name in &NAMES[hosted..] {
            let mut process = TestNode::start_with(&relay.link(), name, &["--http", "127.0.0.1:0"]);
            let cluster = process.cluster().await;
            members.push(Member { cluster, process: Some(process) });
        }
        Wordraft { members, _relay: relay }
    }

    pub fn name(&self) -> &'static str {
        match self.members[0].process {
            None => "wordraft",
            Some(_) => "wordraft, relay apart",
        }
    }

    pub fn client(&self, member: usize) -> Client {
        Client::wordraft(&self.members[member].cluster.room().url("kv"))
    }

    pub async fn leader(&self) -> usize {
        let asked = &self.members[0].cluster;
        let view = (asked.see("three voters that have caught up", |view| {
            let members = testkit::cluster::members(view);
            view["quorum"]["voters"] == MEMBERS
                && view["quorum"]["online"] == MEMBERS
                && view["quorum"]["healthy"] == true
                && members.iter().all(|member| member["lag"] == 0)
        }))
        .await;
        let mut leader = None;
        for (index, member) in self.members.iter().enumerate() {
            let seen = member.cluster.see("the same leader", |other| other["leader"] == view["leader"]).await;
            if seen["node"] == view["leader"] {
                leader = Some(index);
            }
        }
        leader.expect("a healthy quorum has a leader")
    }

    pub fn kill(&mut self, member: usize) {
        self.process(member).kill();
    }

    pub async fn restart(&mut self, member: usize) {
        self.process(member).restart();
        let cluster = self.process(member).cluster().await;
        self.members[member].cluster = cluster;
    }

    fn process(&mut self, member: usize) -> &mut TestNode {
        self.members[member].process.as_mut().expect("a process of its own")
    }
}
