//! Tells a node again what it was told, and compares what comes of it.

use super::{Fingerprint, Fingerprinting, Start};
use crate::node::{Input, Inspection, Node, NodeError, Ready};
use crate::time::Time;

/// A recorded node, on its way through its recording.
#[derive(Debug)]
pub struct Replay {
    node: Node,
    ready: Ready,
    fingerprint: Fingerprinting,
    inputs: u64,
}

/// The node did something else than it did when it was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("after input {inputs} the node has put out {replayed}, and when it was recorded {recorded}")]
pub struct Divergence {
    /// The last of them led to something else.
    pub inputs: u64,
    pub recorded: Fingerprint,
    pub replayed: Fingerprint,
}

impl Replay {
    pub fn new(start: Start) -> Result<Replay, NodeError> {
        let node = start.node()?;
        Ok(Replay { node, ready: Ready::default(), fingerprint: Fingerprinting::default(), inputs: 0 })
    }

    /// Whether the node has put out the same bytes so far.
    pub fn compare(&self, recorded: Fingerprint) -> Result<(), Divergence> {
        let replayed = self.fingerprint();
        if replayed == recorded {
            return Ok(());
        }
        Err(Divergence { inputs: self.inputs, recorded, replayed })
    }

    /// The next input, and what comes of it.
    pub fn step(&mut self, at: Time, input: Input) -> &Ready {
        self.inputs += 1;
        self.node.handle(at, input, &mut self.ready);
        self.fingerprint.add(&self.ready);
        &self.ready
    }

    pub fn inspect(&self) -> Inspection {
        self.node.inspect()
    }

    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint.so_far()
    }

    pub fn inputs(&self) -> u64 {
        self.inputs
    }
}
