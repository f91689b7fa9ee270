//! What the relay does by itself: lets in, founds the room, tells who is there.

use super::{Due, World};
use crate::network::Room;
use shared::ids::NodeId;
use shared::node::{Input, RelayNotice};
use shared::time::Duration;
use shared::wire::session::{Claim, Peer, Presence, Welcome};

/// From what the relay learns to whom it tells, a connection that opens or closes for one.
const NEWS_DELAY: Duration = Duration::from_millis(1);

impl World {
    /// The relay's side of a handshake.
    pub(super) fn admit(&mut self, node: NodeId, claim: Claim) -> Option<Welcome> {
        let (cluster, founder) = match (self.network.room, claim) {
            (Room::Empty, Claim::Fresh { proposed }) => {
                self.network.room = Room::Founding(node, proposed);
                (proposed, true)
            }
            (Room::Empty, Claim::Member(cluster)) => {
                self.network.room = Room::Founded(cluster);
                (cluster, false)
            }
            (Room::Founding(..), _) => return None,
            (Room::Founded(cluster), Claim::Member(own)) if own != cluster => {
                self.start_over(node);
                return None;
            }
            (Room::Founded(cluster), _) => (cluster, false),
        };
        let present = (self.network.connected().into_iter())
            .filter(|other| *other != node)
            .filter_map(|other| self.members.get(&other))
            .map(|member| Peer { node: member.id, profile: member.profile.clone() })
            .chain(self.stranger.clone())
            .collect();
        Some(Welcome { node, cluster, founder, present })
    }

    pub(super) fn notice(&mut self, node: NodeId, notice: RelayNotice) {
        match notice {
            RelayNotice::Founded => {
                if let Room::Founding(founder, cluster) = self.network.room
                    && founder == node
                {
                    self.network.room = Room::Founded(cluster);
                    self.tell_one(node, Input::Founded);
                }
            }
            RelayNotice::Profile(profile) => {
                if let Some(member) = self.members.get_mut(&node) {
                    member.profile = profile.clone();
                }
                self.tell(node, &Presence::Changed(Peer { node, profile }));
            }
        }
    }

    /// Tells everybody else who is connected.
    pub(super) fn tell(&mut self, about: NodeId, presence: &Presence) {
        for to in self.network.connected().into_iter().filter(|to| *to != about) {
            self.tell_one(to, Input::Presence(presence.clone()));
        }
    }

    /// The relay puts what it has to say itself into the queue of each connection, one after the other and under one lock, and
    /// drops none of it while the connection lives. So it is never overtaken by what it says later, whatever becomes of frames:
    /// all of it takes the same time here.
    fn tell_one(&mut self, to: NodeId, news: Input) {
        let Some(connection) = self.network.connection_of(to) else { return };
        self.agenda.plan(self.now + NEWS_DELAY, Due::Told { to, connection, news });
    }
}
