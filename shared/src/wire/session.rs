//! Frames between a node and its relay.
//!
//! The relay speaks first: [`RelayFrame::Challenge`]. The node answers with [`ClientFrame::Hello`], the relay with
//! [`RelayFrame::Welcome`] or [`RelayFrame::Refused`]. From then on the node sends [`ClientFrame::Send`] and notices about itself,
//! the relay [`RelayFrame::Deliver`] with the sender stamped on, presence, and once to a founder [`RelayFrame::Founded`].
//!
//! A node that has nothing to say repeats its [`ClientFrame::Profile`] every [`limits::SIGN_OF_LIFE_INTERVAL`]: browsers answer pings
//! for pages that are frozen, and such a node is shown as hidden. A refusal is also the text of the close frame that follows it,
//! so that nodes of any version can tell people why.

use super::identity::{Nonce, Proof, PublicKey, RoomToken};
use super::{DecodeError, SESSION_VERSION, decode, encode};
use crate::ids::{ClusterId, NodeId};
use crate::limits;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ClientFrame {
    Hello(Hello),
    Send {
        to: NodeId,
        class: Class,
        frame: Frame,
    },
    /// The founder's store now holds the cluster: the room is founded for good.
    Founded,
    /// What others should know about this node has changed.
    Profile(Profile),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    pub public_key: PublicKey,
    pub proof: Proof,
    /// Needed where the room has a secret.
    pub token: Option<RoomToken>,
    pub claim: Claim,
    pub profile: Profile,
}

/// What a node's store says about the cluster it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Claim {
    Member(ClusterId),
    /// An empty store. Should the room have no cluster yet, this node founds one under the proposed id.
    Fresh {
        proposed: ClusterId,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Tab,
    Server,
}

/// What a node tells about itself. Nothing here is proven; none of it decides about safety.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    pub name: String,
    pub kind: Kind,
    /// Where this node answers HTTP, if it does.
    pub http: Option<String>,
    /// Counting threads or workers.
    pub threads: u16,
    /// A tab that nobody looks at, or one whose battery is low: it had better not be relied on.
    pub hidden: bool,
    /// Members in one failure domain die together: one machine's relay process, or one browser.
    pub domain: u64,
}

/// Whether a frame may be dropped when its receiver is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Class {
    /// Passes before bulk and is never dropped while the connection lives.
    Control,
    /// Dropped first; its sender asks again.
    Bulk,
}

/// What one member sends another: a postcard head, and bytes that nobody on the way has to copy or parse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    pub head: Bytes,
    pub bulk: Bytes,
}

impl Frame {
    pub fn bytes(&self) -> usize {
        self.head.len() + self.bulk.len()
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RelayFrame {
    Challenge {
        nonce: Nonce,
    },
    Welcome(Welcome),
    /// Answers [`ClientFrame::Founded`], once it is recorded.
    Founded,
    Refused(Refusal),
    Deliver {
        from: NodeId,
        frame: Frame,
    },
    Presence(Presence),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    pub node: NodeId,
    pub cluster: ClusterId,
    /// This node starts the cluster: its proposal was taken.
    pub founder: bool,
    /// Everybody else who is connected to the room.
    pub present: Vec<Peer>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    pub node: NodeId,
    pub profile: Profile,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Presence {
    Joined(Peer),
    Changed(Peer),
    Left(NodeId),
}

/// Why a relay closes a connection. `Display` says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    #[error(
        "the relay speaks protocol version {relay}, this node version {node}: update the older of the two"
    )]
    Version { relay: u8, node: u8 },
    #[error("the room asks for its secret: use the whole link, with the part after #")]
    SecretNeeded,
    #[error("the room's secret is wrong: copy the whole link again")]
    WrongSecret,
    #[error("the proof of identity does not hold")]
    BadProof,
    #[error("this identity is connected already: stop the other node, or use another data directory")]
    AlreadyConnected,
    #[error(
        "this node's data belongs to cluster {node}, the room to cluster {room}: use another room or another data directory"
    )]
    OtherCluster { node: ClusterId, room: ClusterId },
    #[error("the room is being founded by another node: try again in a moment")]
    Founding,
    #[error("the relay cannot record whose room this is: see its log, its disk may be full")]
    NotRecorded,
    #[error("the room is full ({members_max} members)")]
    RoomFull { members_max: u32 },
    #[error("the relay has too many rooms ({rooms_max})")]
    TooManyRooms { rooms_max: u32 },
    #[error("malformed or unexpected frame: {reason}")]
    Protocol { reason: String },
    #[error("this connection reads too slowly and was cut")]
    TooSlow,
    #[error("the relay is shutting down")]
    ShuttingDown,
}

impl Refusal {
    /// Whether trying again with the same store and link can succeed.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Refusal::AlreadyConnected
                | Refusal::Founding
                | Refusal::NotRecorded
                | Refusal::RoomFull { .. }
                | Refusal::TooManyRooms { .. }
                | Refusal::TooSlow
                | Refusal::ShuttingDown
        )
    }
}

macro_rules! coded {
    ($name:ident) => {
        impl $name {
            pub fn encode(&self) -> Vec<u8> {
                encode(SESSION_VERSION, self)
            }

            pub fn decode(bytes: &[u8]) -> Result<$name, DecodeError> {
                decode(SESSION_VERSION, bytes, limits::SOCKET_MESSAGE_BYTES_MAX)
            }
        }
    };
}

coded!(ClientFrame);
coded!(RelayFrame);
