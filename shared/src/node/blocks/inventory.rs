//! What this node's store holds.

use crate::limits;
use crate::node::contract::BlockName;
use crate::time::Time;
use crate::wire::peer::Manifest;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(in crate::node) struct Inventory {
    blocks: BTreeMap<BlockName, Held>,
    bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub bytes: u64,
    /// When it was last put or used.
    pub touched: Time,
    claims: Vec<Claim>,
}

/// Somebody keeps this block for a manifest that is not in the log yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Claim {
    /// `None`: this node has forgotten for which, because it started after it took the block.
    manifest: Option<Manifest>,
    at: Time,
}

impl Held {
    /// Whether some manifest that may still come is likely to refer to it.
    pub fn is_claimed(&self, now: Time) -> bool {
        self.claims.iter().any(|claim| now.since(claim.at) < limits::UNREFERENCED_BLOCK_AGE_MAX)
    }

    pub fn is_unclaimed(&self) -> bool {
        self.claims.is_empty()
    }
}

impl Inventory {
    pub fn new(stored: BTreeMap<BlockName, u64>, now: Time) -> Inventory {
        let mut inventory = Inventory::default();
        for (name, bytes) in stored {
            inventory.insert(name, bytes, now);
            if let Some(held) = inventory.blocks.get_mut(&name) {
                held.claims.push(Claim { manifest: None, at: now });
            }
        }
        inventory
    }

    pub fn contains(&self, name: BlockName) -> bool {
        self.blocks.contains_key(&name)
    }

    pub fn insert(&mut self, name: BlockName, bytes: u64, now: Time) {
        let held = self.blocks.entry(name).or_insert(Held { bytes: 0, touched: now, claims: Vec::new() });
        self.bytes = self.bytes - held.bytes + bytes;
        (held.bytes, held.touched) = (bytes, now);
    }

    pub fn claim(&mut self, name: BlockName, manifest: Manifest, now: Time) {
        if let Some(held) = self.blocks.get_mut(&name) {
            held.claims.retain(|claim| claim.manifest != Some(manifest));
            held.claims.push(Claim { manifest: Some(manifest), at: now });
        }
    }

    /// The manifest is in the log: from now on it speaks for itself.
    pub fn redeem(&mut self, names: impl IntoIterator<Item = BlockName>, manifest: Manifest) {
        for name in names {
            if let Some(held) = self.blocks.get_mut(&name) {
                held.claims.retain(|claim| claim.manifest != Some(manifest));
            }
        }
    }

    pub fn touch(&mut self, name: BlockName, now: Time) {
        if let Some(held) = self.blocks.get_mut(&name) {
            held.touched = now;
        }
    }

    pub fn remove(&mut self, name: BlockName) -> bool {
        let before = self.blocks.remove(&name);
        self.bytes -= before.as_ref().map_or(0, |held| held.bytes);
        before.is_some()
    }

    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (BlockName, &Held)> {
        self.blocks.iter().map(|(name, held)| (*name, held))
    }
}
