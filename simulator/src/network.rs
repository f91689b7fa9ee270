//! Who is connected, who hears whom, and how long it takes: the relay as its members see it on a bad day.

use shared::ids::{ClusterId, NodeId};
use shared::rng::Rng;
use shared::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Odds are in thousandths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weather {
    pub loss: u64,
    pub duplication: u64,
    pub latency: Duration,
    /// Now and then a frame takes this much longer, and others overtake it.
    pub straggle: Duration,
}

impl Weather {
    pub const CALM: Weather =
        Weather { loss: 0, duplication: 0, latency: Duration::from_micros(500), straggle: Duration::ZERO };
}

pub struct Network {
    pub weather: Weather,
    /// From the first to the second nothing comes through.
    cut: BTreeSet<(NodeId, NodeId)>,
    connections: BTreeMap<NodeId, Connection>,
    next_connection: u64,
    /// How many frames of a connection that broke had got out.
    last_words: BTreeMap<u64, u64>,
    pub room: Room,
}

/// One node's connection to the relay.
struct Connection {
    number: u64,
    /// Frames that the node has sent on it.
    sent: u64,
    /// The latest of them that has arrived.
    arrived: u64,
}

/// Which frame of which connection.
#[derive(Clone, Copy, Debug)]
pub struct Postmark {
    connection: u64,
    number: u64,
}

/// What the relay remembers of the room.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Room {
    Empty,
    /// Until the founder says that its disk holds the cluster.
    Founding(NodeId, ClusterId),
    Founded(ClusterId),
}

impl Network {
    pub fn new() -> Network {
        Network {
            weather: Weather::CALM,
            cut: BTreeSet::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            last_words: BTreeMap::new(),
            room: Room::Empty,
        }
    }

    pub fn connect(&mut self, node: NodeId) {
        self.next_connection += 1;
        self.connections.insert(node, Connection { number: self.next_connection, sent: 0, arrived: 0 });
    }

    /// The connection breaks. It is a queue, on this side of the relay and on the way there: of what has not arrived, often
    /// all is lost, or else some of the first frames have got out.
    pub fn disconnect(&mut self, node: NodeId, rng: &mut Rng) {
        if let Some(Connection { number, sent, arrived }) = self.connections.remove(&node) {
            let got_out = if rng.below(2) == 0 { 0 } else { rng.below(sent - arrived + 1) };
            self.last_words.insert(number, arrived + got_out);
        }
        if matches!(self.room, Room::Founding(founder, _) if founder == node) {
            self.room = Room::Empty;
        }
    }

    pub fn connection_of(&self, node: NodeId) -> Option<u64> {
        self.connections.get(&node).map(|connection| connection.number)
    }

    /// `node` sends a frame.
    pub fn post(&mut self, node: NodeId) -> Option<Postmark> {
        let connection = self.connections.get_mut(&node)?;
        connection.sent += 1;
        Some(Postmark { connection: connection.number, number: connection.sent })
    }

    /// Whether a frame from `node` that is about to arrive had got out.
    pub fn arrives(&mut self, node: NodeId, postmark: Postmark) -> bool {
        let current = self.connections.get_mut(&node);
        if let Some(connection) = current.filter(|current| current.number == postmark.connection) {
            connection.arrived = connection.arrived.max(postmark.number);
            return true;
        }
        self.last_words.get(&postmark.connection).is_some_and(|last| postmark.number <= *last)
    }

    pub fn connected(&self) -> Vec<NodeId> {
        self.connections.keys().copied().collect()
    }

    /// One-way: `from` is no longer heard by `to`.
    pub fn cut(&mut self, from: NodeId, to: NodeId) {
        self.cut.insert((from, to));
    }

    pub fn heal(&mut self) {
        self.cut.clear();
        self.weather = Weather::CALM;
    }

    /// How long each copy of a frame takes; no copy for a frame that is lost.
    pub fn deliveries(&self, from: NodeId, to: NodeId, rng: &mut Rng) -> Vec<Duration> {
        let passes = self.connections.contains_key(&to) && !self.cut.contains(&(from, to));
        if !passes || rng.below(1000) < self.weather.loss {
            return Vec::new();
        }
        let copies = if rng.below(1000) < self.weather.duplication { 2 } else { 1 };
        (0..copies).map(|_| self.delay(rng)).collect()
    }

    fn delay(&self, rng: &mut Rng) -> Duration {
        let latency = self.weather.latency;
        let straggle = if rng.below(8) == 0 { self.weather.straggle } else { Duration::ZERO };
        latency / 2 + rng.between(Duration::ZERO, latency) + rng.between(Duration::ZERO, straggle)
    }
}

/// What is wrong with it.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connected: {:?}", self.connected())?;
        if self.weather != Weather::CALM {
            write!(f, "; {:?}", self.weather)?;
        }
        self.cut.iter().try_for_each(|(from, to)| write!(f, "; {from:?} is not heard by {to:?}"))
    }
}
