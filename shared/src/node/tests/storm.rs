//! Uploads and counts while members crash, freeze and are cut off: whatever happens, the results are exact.

use super::stories::{assert_exact, result, submit, text_of_words, upload, with_servers};
use crate::ids::NodeId;
use crate::node::testing::Cluster;
use crate::rng::Rng;
use crate::time::Duration;
use crate::wire::session::Kind;
use crate::words::Mode;
use std::collections::BTreeSet;

/// At most two of five are away at a time, so there is always a majority.
#[derive(Default)]
struct Away {
    crashed: BTreeSet<NodeId>,
    cut: BTreeSet<NodeId>,
    frozen: BTreeSet<NodeId>,
}

impl Away {
    fn count(&self) -> usize {
        self.crashed.len() + self.cut.len() + self.frozen.len()
    }

    fn is_away(&self, node: NodeId) -> bool {
        self.crashed.contains(&node) || self.cut.contains(&node) || self.frozen.contains(&node)
    }

    fn strike(&mut self, cluster: &mut Cluster, rng: &mut Rng, nodes: &[NodeId]) {
        let node = nodes[rng.below(nodes.len() as u64) as usize];
        if self.count() >= 2 || self.is_away(node) {
            return self.heal_one(cluster);
        }
        match rng.below(3) {
            0 => {
                cluster.crash(node);
                self.crashed.insert(node);
            }
            1 => {
                cluster.disconnect(node);
                self.cut.insert(node);
            }
            _ => {
                cluster.freeze(node);
                self.frozen.insert(node);
            }
        }
    }

    fn heal_one(&mut self, cluster: &mut Cluster) {
        if let Some(node) = self.crashed.pop_first() {
            cluster.restart(node);
        } else if let Some(node) = self.cut.pop_first() {
            cluster.connect(node);
        } else if let Some(node) = self.frozen.pop_first() {
            cluster.thaw(node);
        }
    }
}

#[test]
fn counts_are_exact_whatever_happens_to_the_members() {
    for seed in 0..12 {
        let (mut cluster, mut nodes) = with_servers(1000 + seed, 5);
        nodes.push(cluster.start(Kind::Tab));
        let mut rng = Rng::from_u64(seed);
        let texts: Vec<Vec<u8>> = (0..2).map(|n| text_of_words(100 * seed + n, 60_000)).collect();
        let documents: Vec<_> = texts.iter().map(|text| upload(&mut cluster, nodes[0], text).id).collect();
        let first = submit(&mut cluster, nodes[1], &documents, Mode::Unicode);
        let second = submit(&mut cluster, nodes[2], &documents[1..], Mode::Whitespace);
        let mut away = Away::default();
        for _ in 0..12 {
            away.strike(&mut cluster, &mut rng, &nodes);
            let pause = [5, 20, 100, 400][rng.below(4) as usize];
            cluster.run_for(Duration::from_millis(pause));
        }
        while away.count() > 0 {
            away.heal_one(&mut cluster);
        }
        let at = nodes[rng.below(5) as usize];
        let whole = result(&mut cluster, at, first);
        assert_exact(&mut cluster, at, &whole, Mode::Unicode, &[&texts[0], &texts[1]]);
        let part = result(&mut cluster, at, second);
        assert_exact(&mut cluster, at, &part, Mode::Whitespace, &[&texts[1]]);
    }
}
