//! Links that delay, lose, double and reorder, each direction on its own.

use std::collections::{BTreeMap, BTreeSet};
use wordraft_shared::ids::NodeId;
use wordraft_shared::raft::Message;
use wordraft_shared::rng::Rng;
use wordraft_shared::time::{Duration, Time};

type Parcel = (NodeId, NodeId, Message);

pub struct Network {
    under_way: BTreeMap<(Time, u64), Parcel>,
    count: u64,
    cut: BTreeSet<(NodeId, NodeId)>,
    rng: Rng,
    pub delay: Duration,
    pub jitter: Duration,
    pub lost_percent: u64,
    pub doubled_percent: u64,
    /// Everything that was sent, for tests that look at messages.
    pub sent: Vec<Parcel>,
    pub keeps_sent: bool,
}

impl Network {
    pub fn new(seed: u64) -> Network {
        Network {
            under_way: BTreeMap::new(),
            count: 0,
            cut: BTreeSet::new(),
            rng: Rng::from_u64(seed),
            delay: Duration::from_millis(1),
            jitter: Duration::ZERO,
            lost_percent: 0,
            doubled_percent: 0,
            sent: Vec::new(),
            keeps_sent: false,
        }
    }

    pub fn send(&mut self, now: Time, from: NodeId, to: NodeId, message: Message) {
        // Messages cross the wire, so what they cannot say there they cannot say here.
        let bytes = postcard::to_stdvec(&message).expect("every message can be written");
        let message: Message = postcard::from_bytes(&bytes).expect("and read back");
        if self.keeps_sent {
            self.sent.push((from, to, message.clone()));
        }
        let copies = if self.rng.below(100) < self.doubled_percent { 2 } else { 1 };
        for _ in 0..copies {
            if self.rng.below(100) < self.lost_percent {
                continue;
            }
            let at = now + self.delay + self.rng.between(Duration::ZERO, self.jitter);
            self.count += 1;
            self.under_way.insert((at, self.count), (from, to, message.clone()));
        }
    }

    pub fn next_arrival(&self) -> Option<Time> {
        self.under_way.keys().next().map(|(at, _)| *at)
    }

    /// The next message that arrives by now over a link that is up.
    pub fn arrive(&mut self, now: Time) -> Option<Parcel> {
        while let Some(first) = self.under_way.first_entry().filter(|first| first.key().0 <= now) {
            let (from, to, message) = first.remove();
            if !self.cut.contains(&(from, to)) {
                return Some((from, to, message));
            }
        }
        None
    }

    /// Takes what is under way out of the network.
    pub fn intercept(&mut self) -> Vec<Parcel> {
        std::mem::take(&mut self.under_way).into_values().collect()
    }

    pub fn cut_one_way(&mut self, from: NodeId, to: NodeId) {
        self.cut.insert((from, to));
    }

    pub fn cut(&mut self, one: NodeId, other: NodeId) {
        self.cut_one_way(one, other);
        self.cut_one_way(other, one);
    }

    pub fn isolate(&mut self, id: NodeId, others: impl IntoIterator<Item = NodeId>) {
        others.into_iter().filter(|other| *other != id).for_each(|other| self.cut(id, other));
    }

    pub fn heal(&mut self) {
        self.cut.clear();
    }
}
