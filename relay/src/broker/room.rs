//! One room: its cluster, and who is connected.

use super::{Link, Member};
use shared::ids::{ClusterId, NodeId};
use shared::limits;
use shared::wire::session::{Claim, Class, Peer, Presence, Refusal, RelayFrame};
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Room<L> {
    pub cluster: Founding,
    pub members: BTreeMap<NodeId, Member<L>>,
}

/// How far a room is on its way to a cluster of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Founding {
    Unfounded,
    /// This node is making its store durable. Should it go away before, the room is unfounded again.
    Provisional {
        founder: NodeId,
        cluster: ClusterId,
    },
    Founded(ClusterId),
}

/// What a claim comes to.
pub(super) struct Verdict {
    pub cluster: ClusterId,
    pub founder: bool,
    pub next: Founding,
}

impl<L> Default for Room<L> {
    fn default() -> Room<L> {
        Room { cluster: Founding::Unfounded, members: BTreeMap::new() }
    }
}

impl Founding {
    pub fn judge(self, node: NodeId, claim: Claim) -> Result<Verdict, Refusal> {
        match (self, claim) {
            (Founding::Unfounded, Claim::Fresh { proposed: cluster }) => {
                Ok(Verdict { cluster, founder: true, next: Founding::Provisional { founder: node, cluster } })
            }
            (Founding::Unfounded, Claim::Member(cluster)) => {
                Ok(Verdict { cluster, founder: false, next: Founding::Founded(cluster) })
            }
            (Founding::Provisional { .. }, _) => Err(Refusal::Founding),
            (Founding::Founded(room), Claim::Member(node)) if node != room => {
                Err(Refusal::OtherCluster { node, room })
            }
            (Founding::Founded(cluster), _) => Ok(Verdict { cluster, founder: false, next: self }),
        }
    }
}

impl<L: Link> Room<L> {
    pub fn has_place_for(&self, node: NodeId) -> Result<(), Refusal> {
        if self.members.contains_key(&node) {
            return Err(Refusal::AlreadyConnected);
        }
        if self.members.len() >= limits::ROOM_MEMBERS_MAX {
            return Err(Refusal::RoomFull { members_max: limits::ROOM_MEMBERS_MAX as u32 });
        }
        Ok(())
    }

    /// Nobody would miss it.
    pub fn is_idle(&self) -> bool {
        self.members.is_empty() && self.cluster == Founding::Unfounded
    }

    pub fn peers(&self) -> Vec<Peer> {
        self.members.iter().map(|(&node, member)| Peer { node, profile: member.shown() }).collect()
    }

    /// Tells everybody but the one it is about, and returns who is too slow to hear it.
    pub fn tell(&self, about: NodeId, presence: &Presence) -> Vec<NodeId> {
        let others = self.members.iter().filter(|(node, _)| **node != about);
        others
            .filter(|(_, member)| !member.link.offer(Class::Control, RelayFrame::Presence(presence.clone())))
            .map(|(node, _)| *node)
            .collect()
    }
}
