//! The broker: who is in which room, and whose frame goes where. Pure: no sockets, no clock, no tasks.
//!
//! It never looks inside what it carries, and stamps the sender on it: nobody speaks for another. Every method takes
//! effect at once and tells whom it concerns through their [`Link`]s.

mod handshake;
mod outbox;
mod room;

#[cfg(test)]
mod tests;

pub use handshake::{Admitted, Gate};
pub(crate) use handshake::{decode, protocol};
pub use outbox::{Offered, Outbox};

use room::{Founding, Room};
use shared::ids::{ClusterId, NodeId, RoomName};
use shared::limits;
use shared::wire::session::{Claim, Class, Frame, Peer, Presence, Profile, Refusal, RelayFrame, Welcome};
use std::collections::BTreeMap;

/// The way to one connected node. It queues; the broker never waits.
pub trait Link {
    /// False when the reader is so slow that it has to be cut off. Dropped bulk is no reason for that.
    fn offer(&self, class: Class, frame: RelayFrame) -> bool;

    /// Ends the connection, with the reason as its last frame.
    fn cut(&self, reason: Refusal);
}

/// Names a connection as long as the relay runs: a node that comes back gets a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

#[derive(Debug)]
pub struct Broker<L> {
    rooms: BTreeMap<RoomName, Room<L>>,
    connections: BTreeMap<ConnectionId, Seat>,
    next_connection: u64,
    /// Nobody is let in any more: a newcomer would find rooms that seem to be empty, and found them anew.
    closed: bool,
}

/// Where a connection sits.
#[derive(Clone, Debug)]
struct Seat {
    room: RoomName,
    node: NodeId,
}

#[derive(Debug)]
struct Member<L> {
    connection: ConnectionId,
    profile: Profile,
    /// Its browser answers, the node itself does not.
    frozen: bool,
    link: L,
}

impl<L> Member<L> {
    /// The profile as others see it.
    fn shown(&self) -> Profile {
        Profile { hidden: self.profile.hidden || self.frozen, ..self.profile.clone() }
    }
}

impl<L: Link> Broker<L> {
    /// Starts with the rooms that were founded before.
    pub fn new(founded: impl IntoIterator<Item = (RoomName, ClusterId)>) -> Broker<L> {
        let founded = founded
            .into_iter()
            .map(|(name, cluster)| (name, Room { cluster: Founding::Founded(cluster), ..Room::default() }));
        Broker { rooms: founded.collect(), connections: BTreeMap::new(), next_connection: 0, closed: false }
    }

    /// The cluster that the room is going to be of once a node with this claim is let in: to be recorded before.
    pub fn settles(&self, name: &RoomName, claim: Claim) -> Option<ClusterId> {
        let Claim::Member(cluster) = claim else { return None };
        let is_free = match self.rooms.get(name) {
            Some(room) => room.cluster == Founding::Unfounded,
            None => self.rooms.len() < limits::ROOMS_MAX,
        };
        (is_free && !self.closed).then_some(cluster)
    }

    /// Lets a node in whose identity has been proven: welcomes it, and tells the others.
    pub fn admit(
        &mut self,
        name: &RoomName,
        node: NodeId,
        claim: Claim,
        profile: Profile,
        link: L,
    ) -> Result<ConnectionId, Refusal> {
        if self.closed {
            return Err(Refusal::ShuttingDown);
        }
        if !self.rooms.contains_key(name) && self.rooms.len() >= limits::ROOMS_MAX {
            return Err(Refusal::TooManyRooms { rooms_max: limits::ROOMS_MAX as u32 });
        }
        let room = self.rooms.entry(name.clone()).or_default();
        room.has_place_for(node)?;
        let verdict = room.cluster.judge(node, claim)?;
        room.cluster = verdict.next;

        self.next_connection += 1;
        let connection = ConnectionId(self.next_connection);
        let welcome =
            Welcome { node, cluster: verdict.cluster, founder: verdict.founder, present: room.peers() };
        link.offer(Class::Control, RelayFrame::Welcome(welcome));
        let joined = Presence::Joined(Peer { node, profile: profile.clone() });
        room.members.insert(node, Member { connection, profile, frozen: false, link });
        self.connections.insert(connection, Seat { room: name.clone(), node });
        self.tell(name, node, joined);
        Ok(connection)
    }

    /// Carries a frame to another node of the same room. Nobody hears of one that is not there: the sender learns from
    /// presence.
    pub fn route(&mut self, from: ConnectionId, to: NodeId, class: Class, frame: Frame) {
        let Some(Seat { room: name, node: from }) = self.connections.get(&from).cloned() else { return };
        let Some(receiver) = self.rooms.get(&name).and_then(|room| room.members.get(&to)) else { return };
        if !receiver.link.offer(class, RelayFrame::Deliver { from, frame }) {
            self.cut_slow(&name, vec![to]);
        }
    }

    /// The cluster that this connection's node founds, if it does: to be recorded when its store holds it, before
    /// [`Broker::founded`].
    pub fn founds(&self, connection: ConnectionId) -> Option<ClusterId> {
        let seat = self.connections.get(&connection)?;
        match self.rooms.get(&seat.room)?.cluster {
            Founding::Provisional { founder, cluster } if founder == seat.node => Some(cluster),
            _ => None,
        }
    }

    /// It is recorded: the founder is told, and others are let in.
    pub fn founded(&mut self, connection: ConnectionId) {
        let Some(cluster) = self.founds(connection) else { return };
        let Some(Seat { room: name, node }) = self.connections.get(&connection).cloned() else { return };
        let Some(room) = self.rooms.get_mut(&name) else { return };
        room.cluster = Founding::Founded(cluster);
        let founder = room.members.get(&node);
        if founder.is_some_and(|founder| !founder.link.offer(Class::Control, RelayFrame::Founded)) {
            self.cut_slow(&name, vec![node]);
        }
    }

    /// A node shows itself differently. Repeating the same profile is a sign of life and nothing else.
    pub fn profile(&mut self, connection: ConnectionId, profile: Profile) {
        self.change(connection, |member| member.profile = profile);
    }

    /// A node's browser answers, but the node has not said anything for long; or it has again.
    pub fn frozen(&mut self, connection: ConnectionId, frozen: bool) {
        self.change(connection, |member| member.frozen = frozen);
    }

    /// A connection has ended. A repeated or late call does no harm.
    pub fn leave(&mut self, connection: ConnectionId) {
        let Some(Seat { room: name, node }) = self.connections.get(&connection).cloned() else { return };
        self.remove(&name, node);
        self.tell(&name, node, Presence::Left(node));
    }

    /// Cuts every connection: they come back when the relay does.
    pub fn shut_down(&mut self) {
        for member in self.rooms.values().flat_map(|room| room.members.values()) {
            member.link.cut(Refusal::ShuttingDown);
        }
        self.connections.clear();
        self.rooms.clear();
        self.closed = true;
    }

    fn change(&mut self, connection: ConnectionId, change: impl FnOnce(&mut Member<L>)) {
        let Some(Seat { room: name, node }) = self.connections.get(&connection).cloned() else { return };
        let room = self.rooms.get_mut(&name);
        let Some(member) = room.and_then(|room| room.members.get_mut(&node)) else { return };
        let before = member.shown();
        change(member);
        let profile = member.shown();
        if profile != before {
            self.tell(&name, node, Presence::Changed(Peer { node, profile }));
        }
    }

    fn tell(&mut self, name: &RoomName, about: NodeId, presence: Presence) {
        let slow = self.rooms.get(name).map(|room| room.tell(about, &presence)).unwrap_or_default();
        self.cut_slow(name, slow);
    }

    /// Cuts readers off. Telling the others may find further slow ones.
    fn cut_slow(&mut self, name: &RoomName, mut slow: Vec<NodeId>) {
        while let Some(node) = slow.pop() {
            let Some(member) = self.remove(name, node) else { continue };
            member.link.cut(Refusal::TooSlow);
            if let Some(room) = self.rooms.get(name) {
                slow.extend(room.tell(node, &Presence::Left(node)));
            }
        }
    }

    fn remove(&mut self, name: &RoomName, node: NodeId) -> Option<Member<L>> {
        let room = self.rooms.get_mut(name)?;
        let member = room.members.remove(&node)?;
        self.connections.remove(&member.connection);
        if matches!(room.cluster, Founding::Provisional { founder, .. } if founder == node) {
            room.cluster = Founding::Unfounded;
        }
        if room.is_idle() {
            self.rooms.remove(name);
        }
        Some(member)
    }
}
