//! A program of a version that is not ours has come into the room: it sends frames of a newer protocol, messages of
//! unknown kinds and broken ones, and answers nothing. Nobody may fall over it or wait for it.

use super::{Due, World};
use crate::checker::Violation;
use bytes::Bytes;
use shared::ids::NodeId;
use shared::node::Outgoing;
use shared::time::Duration;
use shared::wire::PEER_VERSION;
use shared::wire::session::{Class, Frame, Kind, Peer, Presence, Profile};

impl World {
    pub(super) fn stranger_comes(&mut self) {
        if self.stranger.is_some() {
            return;
        }
        let node = NodeId::random(&mut self.rng);
        let name = self.transcript.next_name();
        let profile = Profile { name, kind: Kind::Tab, http: None, threads: 1, hidden: false, domain: 0 };
        self.transcript.meet(node, &profile);
        self.network.connect(node);
        let peer = Peer { node, profile };
        self.tell(node, &Presence::Joined(peer.clone()));
        self.stranger = Some(peer);
        self.agenda.plan(self.now, Due::Stranger);
    }

    pub(super) fn stranger_speaks(&mut self) -> Result<(), Violation> {
        let Some(stranger) = self.stranger.as_ref().map(|peer| peer.node) else { return Ok(()) };
        let next = self.now + self.rng.between(Duration::from_millis(50), Duration::from_millis(1_500));
        self.agenda.plan(next, Due::Stranger);
        let others = self.network.connected().into_iter().filter(|node| *node != stranger);
        let outgoing = others.collect::<Vec<_>>().into_iter().map(|to| {
            let frame = Frame { head: self.strange_head(), bulk: Bytes::new() };
            Outgoing { to, class: Class::Control, frame }
        });
        let outgoing = outgoing.collect();
        self.send(stranger, outgoing)
    }

    fn strange_head(&mut self) -> Bytes {
        // Behind the version comes the number of the message's kind; ours are 0 to 4, and 0 is raft's.
        let start = match self.rng.below(3) {
            0 => vec![PEER_VERSION + 1, self.rng.below(8) as u8],
            1 => vec![PEER_VERSION, 5 + self.rng.below(100) as u8],
            _ => vec![PEER_VERSION, 0, 120],
        };
        let rest = self.rng.below(20);
        start.into_iter().chain((0..rest).map(|_| self.rng.next_u64() as u8)).collect()
    }
}
