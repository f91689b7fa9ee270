//! What a relay does: founds rooms, carries frames, tells who is there.

use super::{Cluster, Coming, HOP, RECONNECT};
use crate::ids::{ClusterId, NodeId};
use crate::node::{Input, Outgoing, RelayNotice};
use crate::wire::session::{Peer, Presence, Welcome};
use std::collections::BTreeSet;

#[derive(Default)]
pub(super) struct Relay {
    pub cluster: Option<ClusterId>,
    pub founder: Option<NodeId>,
    pub connected: BTreeSet<NodeId>,
}

impl Cluster {
    /// What a relay does with a room that may not have its cluster yet.
    pub(super) fn hello(&mut self, id: NodeId, run: u32) {
        let claimed = self.members[&id].disk.cluster;
        if self.relay.founder.is_some() {
            self.later(RECONNECT, id, Coming::Hello { run });
            return;
        }
        let founder = self.relay.cluster.is_none() && claimed.is_none();
        if founder {
            self.relay.founder = Some(id);
        }
        let rng = &mut self.rng;
        let cluster =
            *(self.relay.cluster).get_or_insert_with(|| claimed.unwrap_or_else(|| ClusterId::random(rng)));
        assert!(claimed.is_none_or(|claimed| claimed == cluster), "a node of another cluster");
        let peer = |node: &NodeId| Peer { node: *node, profile: self.members[node].profile.clone() };
        let present = self.relay.connected.iter().map(peer).collect();
        let me = peer(&id);
        self.relay.connected.insert(id);
        self.tell_others(id, Presence::Joined(me));
        self.handle(id, Input::Connected(Welcome { node: id, cluster, founder, present }));
    }

    pub(super) fn drop_connection(&mut self, id: NodeId) {
        if self.relay.founder == Some(id) {
            (self.relay.founder, self.relay.cluster) = (None, None);
        }
        if self.relay.connected.remove(&id) {
            self.tell_others(id, Presence::Left(id));
        }
    }

    fn tell_others(&mut self, id: NodeId, presence: Presence) {
        let others: Vec<NodeId> =
            self.relay.connected.iter().filter(|other| **other != id).copied().collect();
        for other in others {
            let input = Box::new(Input::Presence(presence.clone()));
            self.later(HOP, other, Coming::Input { run: None, input });
        }
    }

    pub(super) fn notice(&mut self, id: NodeId, notice: RelayNotice) {
        match notice {
            RelayNotice::Founded if self.relay.founder == Some(id) => {
                self.relay.founder = None;
                let run = Some(self.members[&id].run);
                self.later(HOP, id, Coming::Input { run, input: Box::new(Input::Founded) });
            }
            RelayNotice::Founded => {}
            RelayNotice::Profile(profile) => {
                if self.relay.connected.contains(&id) {
                    self.tell_others(id, Presence::Changed(Peer { node: id, profile }));
                }
            }
        }
    }

    pub(super) fn send(&mut self, from: NodeId, outgoing: Vec<Outgoing>) {
        for Outgoing { to, class: _, frame } in outgoing {
            if self.relay.connected.contains(&from) && (self.link)(from, to) {
                let input = Box::new(Input::frame(from, frame));
                self.later(HOP, to, Coming::Input { run: None, input });
            }
        }
    }
}
