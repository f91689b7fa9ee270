//! Who does what next: a pure choice among the tasks that wait and the members that have room.

use super::run::Run;
use crate::ids::NodeId;
use crate::node::blocks::holdings::HolderMap;
use crate::node::blocks::placement::{self, Rank};
use crate::time::Time;
use crate::wire::peer::Manifest;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Tasks that are compared for one choice. The next ones have their turn when these are given away.
const TASKS_COMPARED: usize = 64;

/// A member that may be given work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hand {
    pub rank: Rank,
    pub threads: u32,
    /// Tasks that it has and has not answered.
    pub load: u32,
    /// It has not answered for too long: it gets nothing more until it does.
    pub stuck: bool,
}

pub(super) type Hands = BTreeMap<NodeId, Hand>;

impl Hand {
    /// One task more than threads, so that its inputs come while the others are counted.
    pub fn room(&self) -> u32 {
        if self.stuck { 0 } else { (self.threads + 1).saturating_sub(self.load) }
    }

    pub fn is_idle(&self) -> bool {
        !self.stuck && self.load < self.threads
    }
}

/// A counting task of this job for one of the hands.
pub(super) fn choose(run: &Run, map: &HolderMap, hands: &Hands, now: Time) -> Option<(u32, NodeId)> {
    let mut elsewhere = None;
    let ready = |task: &&u32| run.states[**task as usize].not_before <= now;
    for &task in run.waiting.iter().filter(ready).take(TASKS_COMPARED) {
        let Some(local) = local_blocks(run, map, hands, task) else { continue };
        let best = candidates(run, hands, task)
            .filter(|(_, hand)| hand.room() > 0)
            .max_by_key(|(node, hand)| suitability(run, map, &local, task, **node, hand));
        let Some((node, hand)) = best else { continue };
        let blocks = run.slice(task).map_or(0, |slice| slice.blocks.len() as u32);
        if is_cached(run, map, task, *node) || local.get(node).is_some_and(|held| *held == blocks) {
            return Some((task, *node));
        }
        if elsewhere.is_none() && hand.is_idle() {
            elsewhere = Some((task, *node));
        }
    }
    elsewhere
}

/// Somebody else for a task that takes too long where it is.
pub(super) fn second(run: &Run, map: &HolderMap, hands: &Hands, task: u32) -> Option<NodeId> {
    let local = local_blocks(run, map, hands, task)?;
    candidates(run, hands, task)
        .filter(|(node, hand)| hand.is_idle() && !is_at(run, task, **node))
        .max_by_key(|(node, hand)| suitability(run, map, &local, task, **node, hand))
        .map(|(node, _)| *node)
}

/// Who puts the partials together: whoever holds most of them, and is not at it already.
pub(super) fn reducer(run: &Run, hands: &Hands) -> Option<NodeId> {
    let mut bytes: BTreeMap<NodeId, u64> = BTreeMap::new();
    for (slice, state) in run.cut.slices.iter().zip(&run.states) {
        for holder in &state.holders {
            *bytes.entry(*holder).or_default() += slice.bytes;
        }
    }
    candidates(run, hands, run.reduce_task())
        .filter(|(node, hand)| !hand.stuck && !is_at(run, run.reduce_task(), **node))
        .max_by_key(|(node, hand)| {
            let held = bytes.get(node).copied().unwrap_or_default();
            (Reverse(hand.rank == Rank::HiddenTab), held, Reverse(hand.rank), Reverse(**node))
        })
        .map(|(node, _)| *node)
}

fn is_at(run: &Run, task: u32, node: NodeId) -> bool {
    run.running.values().any(|running| running.task == task && running.node == node)
}

/// All hands but the one that failed at it last, if there are others.
fn candidates<'a>(run: &Run, hands: &'a Hands, task: u32) -> impl Iterator<Item = (&'a NodeId, &'a Hand)> {
    let avoid = run.states[task as usize]
        .avoid
        .filter(|avoid| hands.iter().any(|(node, hand)| node != avoid && !hand.stuck));
    hands.iter().filter(move |(node, _)| Some(**node) != avoid)
}

/// How many of the task's blocks each member holds. `None`: some block is with nobody who is here.
fn local_blocks(run: &Run, map: &HolderMap, hands: &Hands, task: u32) -> Option<BTreeMap<NodeId, u32>> {
    let slice = run.slice(task)?;
    let manifest = Manifest::Document(slice.document);
    let mut local = BTreeMap::new();
    for index in slice.first..slice.first + slice.blocks.len() as u32 {
        let mut is_here = false;
        for node in map.holders(manifest, index).filter(|node| hands.contains_key(node)) {
            *local.entry(node).or_insert(0) += 1;
            is_here = true;
        }
        if !is_here {
            return holder_of_partial(run, map, hands, task).map(|_| local);
        }
    }
    Some(local)
}

/// A partial that is still there makes up for blocks that are not.
fn holder_of_partial(run: &Run, map: &HolderMap, hands: &Hands, task: u32) -> Option<NodeId> {
    map.holders(Manifest::Partials(run.job.id), task).find(|node| hands.contains_key(node))
}

fn is_cached(run: &Run, map: &HolderMap, task: u32, node: NodeId) -> bool {
    map.holds(node, Manifest::Partials(run.job.id), task)
}

/// The greater, the better: who has counted it before, who holds most of it, who is no tab that nobody looks at, who
/// has least to do; and among equals the one that it would fall to the next time too.
fn suitability(
    run: &Run,
    map: &HolderMap,
    local: &BTreeMap<NodeId, u32>,
    task: u32,
    node: NodeId,
    hand: &Hand,
) -> impl Ord + use<> {
    let blocks = local.get(&node).copied().unwrap_or_default();
    let key = run.slice(task).map(|slice| placement::weight(slice.key, node));
    (is_cached(run, map, task, node), blocks, hand.rank != Rank::HiddenTab, hand.room(), key)
}
