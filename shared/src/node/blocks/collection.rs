//! Deleting what nothing refers to any more.
//!
//! Who puts a block says for which manifest. As long as that manifest has not come, its upload may still be under way,
//! and the block stays for a long time, whatever became of others that referred to it. Once it has come, it alone
//! decides: when the last manifest that refers to a block goes, the block goes.

use super::holdings;
use super::inventory::Inventory;
use crate::limits;
use crate::node::context::Context;
use crate::node::contract::{BlockName, BlockOp};
use crate::time::{Duration, Time};
use crate::wire::peer::Manifest;
use std::collections::BTreeSet;

const SWEEP_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// A node that has had a leader for so long knows what the log says.
const CATCH_UP: Duration = Duration::from_secs(60);

/// Several documents that go one after the other are swept together.
const SWEEP_DELAY: Duration = Duration::from_secs(2);

/// A partial that was used so recently is part of a running job, or was a moment ago.
const PARTIAL_IN_USE: Duration = Duration::from_secs(10 * 60);

#[derive(Debug)]
pub(super) struct Collection {
    due: Time,
    /// Since when there is a leader to hear from.
    led_since: Option<Time>,
}

impl Collection {
    pub fn new(now: Time) -> Collection {
        Collection { due: now + SWEEP_INTERVAL, led_since: None }
    }

    /// A manifest is gone.
    pub fn soon(&mut self, now: Time) {
        self.due = self.due.min(now + SWEEP_DELAY);
    }

    pub fn leader_changed(&mut self, context: &Context<'_>) {
        self.led_since = context.leader.map(|_| self.led_since.unwrap_or(context.now));
    }

    pub fn deadline(&self) -> Option<Time> {
        Some(self.due)
    }

    pub fn sweep(&mut self, context: &mut Context<'_>, inventory: &mut Inventory) {
        if context.now < self.due {
            return;
        }
        self.due = context.now + SWEEP_INTERVAL;
        let up_to_date = self.led_since.is_some_and(|since| context.now.since(since) >= CATCH_UP);
        let names = collect(context, inventory, up_to_date);
        for name in &names {
            inventory.remove(*name);
        }
        if !names.is_empty() {
            context.block(BlockOp::Delete { names });
        }
    }
}

fn collect(context: &Context<'_>, inventory: &Inventory, up_to_date: bool) -> Vec<BlockName> {
    let referenced: BTreeSet<BlockName> = holdings::manifests(context.state)
        .filter(|manifest| !matches!(manifest, Manifest::Partials(_)))
        .flat_map(|manifest| holdings::blocks_of(context.state, manifest, context.config.task_bytes))
        .collect();
    let mut names = Vec::new();
    let mut partials = Vec::new();
    for (name, held) in inventory.iter() {
        let age = context.now.since(held.touched);
        match name {
            BlockName::Partial(_) if age >= limits::PARTIAL_AGE_MAX => names.push(name),
            BlockName::Partial(_) => partials.push((held.touched, name, held.bytes)),
            BlockName::Content(_) if referenced.contains(&name) => {}
            BlockName::Content(_) if held.is_unclaimed() => names.push(name),
            BlockName::Content(_) if up_to_date && !held.is_claimed(context.now) => names.push(name),
            BlockName::Content(_) => {}
        }
    }
    names.extend(least_used(context.now, partials));
    names
}

/// The partials that are too many, those that nobody used for longest.
fn least_used(now: Time, mut partials: Vec<(Time, BlockName, u64)>) -> Vec<BlockName> {
    partials.sort_unstable_by_key(|(touched, name, _)| (*touched, *name));
    let mut all_bytes: u64 = partials.iter().map(|(_, _, bytes)| bytes).sum();
    let mut names = Vec::new();
    for (touched, name, bytes) in partials {
        if all_bytes <= limits::PARTIALS_BYTES_MAX || now.since(touched) < PARTIAL_IN_USE {
            break;
        }
        all_bytes -= bytes;
        names.push(name);
    }
    names
}
