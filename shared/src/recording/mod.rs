//! The flight recorder: everything a node was told, so that it can be told again.
//!
//! A node is a function of its start and its inputs. [`Recorder`] writes both down, and with each input a fingerprint of
//! all that the node had put out before; [`Reader`] reads them back, and [`Replay`] feeds a new node with them and
//! compares. [`Teller`] puts what happens into words.
//!
//! # The file
//!
//! [`MAGIC`], then frames: the length of the body (4 bytes, little-endian), its complement, the first 8 bytes of the
//! body's BLAKE3 hash, the body in postcard. The first body is a [`Maker`], the second a [`Start`], each further one a
//! [`Record`]. An input stands in the file before the node acts on it, so the one that brings a node down is there. A
//! process that is killed leaves a frame cut off at most; a whole recording ends with [`Record::End`].
//!
//! What a node decides by must be there, so texts, keys' values and names are in a recording. Keys and the room's secret
//! are not: a node never gets them.

mod frames;
mod reader;
mod recorder;
mod replay;
mod telling;
#[cfg(test)]
mod tests;

pub use frames::MAGIC;
pub use reader::{ReadError, Reader, Rest};
pub use recorder::{Recorder, StartError, broken_off};
pub use replay::{Divergence, Replay};
pub use telling::{Teller, Told, Topic};

use crate::ids::NodeId;
use crate::node::{Input, Node, NodeConfig, NodeError, Ready, Stored};
use crate::rng::Seed;
use crate::state_machine::STATE_VERSION;
use crate::time::Time;
use crate::wire::PEER_VERSION;
use crate::wire::session::Profile;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which program made a recording. What comes after it is read by the same program only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maker {
    pub program: String,
    pub peer_version: u8,
    pub state_version: u8,
}

impl Maker {
    pub fn this_program() -> Maker {
        Maker {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            peer_version: PEER_VERSION,
            state_version: STATE_VERSION,
        }
    }
}

impl fmt::Display for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Maker { program, peer_version, state_version } = self;
        write!(f, "wordraft {program:?} (peers' protocol {peer_version}, state {state_version})")
    }
}

/// Everything that a node begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    pub me: NodeId,
    pub profile: Profile,
    pub config: NodeConfig,
    pub stored: Stored,
    pub seed: Seed,
    pub at: Time,
}

impl Start {
    pub fn node(self) -> Result<Node, NodeError> {
        let Start { me, profile, config, stored, seed, at } = self;
        Node::new(me, profile, config, stored, seed, at)
    }
}

/// What follows a recording's start. `before` stands for everything that the node had put out so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record<I = Input> {
    Input {
        before: Fingerprint,
        at: Time,
        input: I,
    },
    /// `before` is missing where only the file knew of the end.
    End {
        before: Option<Fingerprint>,
        why: End,
    },
}

/// Why a recording has an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum End {
    #[error("the node stopped")]
    NodeStopped,
    #[error("the recording had reached its limit of size; the node went on")]
    Limit,
    #[error("the disk was too slow for the recording; the node went on")]
    DiskTooSlow,
    #[error("the recording could not be written any more; the node went on")]
    DiskFailed,
}

/// The start of a BLAKE3 hash over everything that a node has put out since its start.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint([u8; 8]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Takes in what a node puts out, byte by byte.
#[derive(Clone, Debug, Default)]
struct Fingerprinting(blake3::Hasher);

impl Fingerprinting {
    fn add(&mut self, ready: &Ready) {
        postcard::to_io(ready, &mut self.0)
            .expect("postcard writes every answer of a node, and a hash takes all");
    }

    fn so_far(&self) -> Fingerprint {
        Fingerprint(first_bytes(self.0.finalize()))
    }
}

fn first_bytes(hash: blake3::Hash) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
    [a, b, c, d, e, f, g, h]
}
