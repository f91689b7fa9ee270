//! What goes wrong, and when: drawn from the seed.

use crate::ambush::Ambush;
use crate::network::Weather;
use shared::ids::NodeId;
use shared::rng::Rng;
use shared::time::Duration;

#[derive(Clone, Debug)]
pub enum Fault {
    /// kill -9, and back after a while.
    Crash {
        node: NodeId,
        down: Duration,
    },
    /// Everybody at once: the power goes.
    CrashAll {
        down: Duration,
    },
    /// A frozen tab, or SIGSTOP; or a machine that sleeps, and its clock with it.
    Freeze {
        node: NodeId,
        time: Duration,
        stops_clock: bool,
    },
    /// Somebody sets a member's wall clock.
    SetClock {
        node: NodeId,
    },
    /// The connection to the relay drops and comes back.
    Disconnect {
        node: NodeId,
        time: Duration,
    },
    /// Nothing passes between two groups, or only in one direction.
    Partition {
        group: Vec<NodeId>,
        one_way: bool,
    },
    /// Nothing passes between two members.
    Cut {
        from: NodeId,
        to: NodeId,
    },
    Heal,
    Weather(Weather),
    /// A member goes for good, disk and all; a new one comes with a new id.
    Replace {
        node: NodeId,
    },
    /// Somebody comes in whose program is of another version.
    Stranger,
    /// A new member comes in.
    Join,
    /// Whoever leads crashes.
    CrashLeader {
        down: Duration,
    },
    /// A series of crashes that wait for their moments.
    Ambush(Ambush),
}

impl Fault {
    pub fn draw(nodes: &[NodeId], rng: &mut Rng) -> Fault {
        let node = pick(nodes, rng);
        match rng.below(128) {
            0..22 => Fault::Crash { node, down: millis(rng, 5, 3000) },
            22..38 => Fault::CrashLeader { down: millis(rng, 5, 3000) },
            38..42 => Fault::CrashAll { down: millis(rng, 5, 800) },
            42..52 => Fault::Freeze { node, time: millis(rng, 10, 4000), stops_clock: rng.below(3) == 0 },
            52..60 => Fault::Disconnect { node, time: millis(rng, 5, 2000) },
            60..70 => Fault::Partition {
                group: nodes.iter().copied().filter(|_| rng.below(2) == 0).collect(),
                one_way: rng.below(3) == 0,
            },
            70..75 => Fault::Cut { from: node, to: pick(nodes, rng) },
            75..86 => Fault::Heal,
            86..94 => Fault::Weather(Weather {
                loss: rng.below(300),
                duplication: rng.below(500),
                latency: Duration::from_micros(100 + rng.below(20_000)),
                straggle: millis(rng, 0, 200),
            }),
            94..97 => Fault::Join,
            97..113 => Fault::Ambush(Ambush::draw(rng)),
            124..128 => Fault::Stranger,
            113..121 => Fault::SetClock { node },
            _ => Fault::Replace { node },
        }
    }
}

fn pick(nodes: &[NodeId], rng: &mut Rng) -> NodeId {
    nodes[rng.below(nodes.len() as u64) as usize]
}

fn millis(rng: &mut Rng, low: u64, high: u64) -> Duration {
    rng.between(Duration::from_millis(low), Duration::from_millis(high))
}
