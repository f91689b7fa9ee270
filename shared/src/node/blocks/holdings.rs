//! Who holds what: every member tells the leader, the leader remembers.

use crate::ids::NodeId;
use crate::limits;
use crate::node::blocks::inventory::Inventory;
use crate::node::context::Context;
use crate::node::contract::{BlockName, Ticket};
use crate::node::scheduler::tasks;
use crate::state_machine::{JobState, State};
use crate::time::{Duration, Time};
use crate::wire::peer::Manifest;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// Bits of the longest manifest.
const HOLDINGS_BYTES_MAX: usize = limits::JOB_TASKS_MAX / 8;

/// The blocks of a manifest, in order; none if it is not there.
pub(in crate::node) fn blocks_of(state: &State, manifest: Manifest, task_bytes: u64) -> Vec<BlockName> {
    let content = |blocks: &[crate::state_machine::BlockRef]| blocks.iter().map(BlockName::of_ref).collect();
    match manifest {
        Manifest::Document(id) => {
            state.documents.get(&id).map(|document| content(&document.blocks)).unwrap_or_default()
        }
        Manifest::Table(id) => match state.jobs.get(&id).map(|job| &job.state) {
            Some(JobState::Done(result)) => content(&result.table),
            _ => Vec::new(),
        },
        Manifest::Partials(id) => (state.jobs.get(&id))
            .filter(|job| job.state == JobState::Running)
            .and_then(|job| tasks::cut(state, job, task_bytes).ok())
            .map(|cut| cut.slices.iter().map(tasks::Slice::partial).collect())
            .unwrap_or_default(),
    }
}

/// All manifests of the state.
pub(in crate::node) fn manifests(state: &State) -> impl Iterator<Item = Manifest> {
    let jobs = state.jobs.values().filter_map(|job| match job.state {
        JobState::Running => Some(Manifest::Partials(job.id)),
        JobState::Done(_) => Some(Manifest::Table(job.id)),
        JobState::Cancelled { .. } | JobState::Failed { .. } => None,
    });
    state.documents.keys().copied().map(Manifest::Document).chain(jobs)
}

/// Manifests that members may tell of before the leader has applied what they are about.
const AHEAD_MAX: usize = 1024;

/// The leader's memory of who said to hold what.
#[derive(Debug, Default)]
pub(in crate::node) struct HolderMap {
    held: BTreeMap<Manifest, BTreeMap<NodeId, Vec<u8>>>,
    /// Those that were not in the state when somebody told of them.
    ahead: BTreeSet<Manifest>,
}

impl HolderMap {
    /// A node says what it holds of a manifest, which may be one that is not applied here yet, or that never will be.
    pub fn hear(&mut self, state: &State, node: NodeId, manifest: Manifest, bits: &[u8]) {
        if !is_in(state, manifest) {
            if self.ahead.len() >= AHEAD_MAX {
                // Whoever told the truth tells it again before long.
                let never_came =
                    std::mem::take(&mut self.ahead).into_iter().filter(|ahead| !is_in(state, *ahead));
                never_came.for_each(|manifest| self.forget(manifest));
            }
            self.ahead.insert(manifest);
        }
        self.set(node, manifest, bits);
    }

    /// Replaces what a node said about a manifest before.
    pub fn set(&mut self, node: NodeId, manifest: Manifest, bits: &[u8]) {
        if bits.iter().all(|byte| *byte == 0) || bits.len() > HOLDINGS_BYTES_MAX {
            if let Some(nodes) = self.held.get_mut(&manifest) {
                nodes.remove(&node);
            }
            return;
        }
        self.held.entry(manifest).or_default().insert(node, bits.to_vec());
    }

    pub fn add(&mut self, node: NodeId, manifest: Manifest, index: u32) {
        let bits = self.held.entry(manifest).or_default().entry(node).or_default();
        let byte = index as usize / 8;
        if byte < HOLDINGS_BYTES_MAX {
            bits.resize(bits.len().max(byte + 1), 0);
            bits[byte] |= 1 << (index % 8);
        }
    }

    pub fn holds(&self, node: NodeId, manifest: Manifest, index: u32) -> bool {
        let bits = self.held.get(&manifest).and_then(|nodes| nodes.get(&node));
        bits.is_some_and(|bits| bit(bits, index))
    }

    pub fn holders(&self, manifest: Manifest, index: u32) -> impl Iterator<Item = NodeId> {
        let nodes = self.held.get(&manifest).into_iter().flatten();
        nodes.filter(move |(_, bits)| bit(bits, index)).map(|(node, _)| *node)
    }

    pub fn forget(&mut self, manifest: Manifest) {
        self.held.remove(&manifest);
    }
}

fn is_in(state: &State, manifest: Manifest) -> bool {
    match manifest {
        Manifest::Document(id) => state.documents.contains_key(&id),
        Manifest::Table(id) | Manifest::Partials(id) => state.jobs.contains_key(&id),
    }
}

fn bit(bits: &[u8], index: u32) -> bool {
    bits.get(index as usize / 8).is_some_and(|byte| byte & (1 << (index % 8)) != 0)
}

/// Decides what this member has to tell the leader, and when.
#[derive(Debug, Default)]
pub(in crate::node) struct Announcer {
    everything: bool,
    changed: BTreeSet<Manifest>,
    due: Option<Time>,
    /// What was told and when, until the leader says that it heard.
    unheard: BTreeMap<Ticket, (Time, Vec<Manifest>)>,
    /// When to tell all of it once more.
    refresh_at: Option<Time>,
}

/// Changes that come one by one are told together.
const ANNOUNCE_DELAY: Duration = Duration::from_millis(200);

/// What the leader has not heard by then is told again.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

/// Messages that overtake each other can leave the leader with an older word than the last one. Telling it all from
/// time to time puts that right, whatever caused it.
const REFRESH_INTERVAL: Duration = Duration::from_secs(15);

/// What one message tells.
const ANNOUNCEMENT_BYTES: usize = 64 << 10;

impl Announcer {
    /// The leader is another one, or may have missed something.
    pub fn everything(&mut self, now: Time) {
        self.everything = true;
        self.due = Some(now);
        self.unheard.clear();
    }

    pub fn told(&mut self, ticket: Ticket, held: &[(Manifest, Bytes)], now: Time) {
        self.unheard.insert(ticket, (now, held.iter().map(|(manifest, _)| *manifest).collect()));
    }

    pub fn heard(&mut self, ticket: Ticket) {
        self.unheard.remove(&ticket);
    }

    fn tell_again(&mut self, now: Time) {
        let is_late = |_: &Ticket, (at, _): &mut (Time, Vec<Manifest>)| now.since(*at) >= HEARD_WITHIN;
        for (_, manifests) in self.unheard.extract_if(.., is_late).map(|(_, told)| told) {
            self.changed.extend(manifests);
            self.due = Some(now);
        }
    }

    fn refresh(&mut self, context: &Context<'_>) {
        if self.refresh_at.is_some_and(|at| at <= context.now) {
            self.changed.extend(manifests(context.state));
            self.due = Some(context.now);
        }
        if self.refresh_at.is_none_or(|at| at <= context.now) {
            self.refresh_at = Some(context.now + REFRESH_INTERVAL);
        }
    }

    /// A manifest is new here: work waits for the answer.
    pub fn at_once(&mut self, manifest: Manifest, now: Time) {
        self.changed.insert(manifest);
        self.due = Some(now);
    }

    pub fn soon(&mut self, manifest: Manifest, now: Time) {
        self.changed.insert(manifest);
        self.due.get_or_insert(now + ANNOUNCE_DELAY);
    }

    pub fn deadline(&self) -> Option<Time> {
        let again = self.unheard.values().map(|(at, _)| *at + HEARD_WITHIN);
        again.chain(self.due).chain(self.refresh_at).min()
    }

    /// What to tell now, in messages. Without a leader it waits for one.
    pub fn take(&mut self, context: &Context<'_>, inventory: &Inventory) -> Vec<Vec<(Manifest, Bytes)>> {
        self.tell_again(context.now);
        self.refresh(context);
        if context.leader.is_none() || self.due.is_none_or(|due| due > context.now) {
            if context.leader.is_none() {
                self.due = None;
            }
            return Vec::new();
        }
        self.due = None;
        let changed = std::mem::take(&mut self.changed);
        if !std::mem::take(&mut self.everything) {
            return batches(changed.into_iter().map(|manifest| held(context, inventory, manifest)));
        }
        // A leader that knows nothing yet need not hear about what is not here, unless it heard otherwise before.
        let all = manifests(context.state).map(|manifest| held(context, inventory, manifest));
        let worth_telling = |told: &(Manifest, Bytes)| !told.1.is_empty() || changed.contains(&told.0);
        batches(all.filter(worth_telling))
    }
}

/// No bits at all when nothing is held.
fn held(context: &Context<'_>, inventory: &Inventory, manifest: Manifest) -> (Manifest, Bytes) {
    let blocks = blocks_of(context.state, manifest, context.config.task_bytes);
    let mut bits = vec![0u8; blocks.len().div_ceil(8)];
    for (index, name) in blocks.into_iter().enumerate() {
        if inventory.contains(name) {
            bits[index / 8] |= 1 << (index % 8);
        }
    }
    if bits.iter().all(|byte| *byte == 0) {
        bits.clear();
    }
    (manifest, bits.into())
}

fn batches(told: impl Iterator<Item = (Manifest, Bytes)>) -> Vec<Vec<(Manifest, Bytes)>> {
    let mut batches: Vec<Vec<(Manifest, Bytes)>> = Vec::new();
    let mut room = 0usize;
    for (manifest, bits) in told {
        let bytes = bits.len() + 16;
        match batches.last_mut() {
            Some(batch) if room >= bytes => batch.push((manifest, bits)),
            _ => {
                batches.push(vec![(manifest, bits)]);
                room = ANNOUNCEMENT_BYTES;
            }
        }
        room = room.saturating_sub(bytes);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{DocumentId, JobId};
    use crate::state_machine::Document;

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 10])
    }

    #[test]
    fn the_leader_remembers_the_last_word_of_each_member() {
        let manifest = Manifest::Document(DocumentId::from_bytes([1; 10]));
        let mut map = HolderMap::default();
        map.set(node(1), manifest, &[0b101]);
        map.set(node(2), manifest, &[0b100, 0b1]);
        let holders = |map: &HolderMap, index| map.holders(manifest, index).collect::<Vec<_>>();
        assert_eq!(holders(&map, 0), [node(1)]);
        assert_eq!(holders(&map, 1), []);
        assert_eq!(holders(&map, 2), [node(1), node(2)]);
        assert_eq!(holders(&map, 8), [node(2)]);
        assert_eq!(holders(&map, u32::MAX), []);
        map.add(node(1), manifest, 20);
        assert!(map.holds(node(1), manifest, 20));
        map.set(node(1), manifest, &[0b10]);
        assert_eq!((holders(&map, 1), holders(&map, 20)), (vec![node(1)], vec![]));
        map.set(node(2), manifest, &[]);
        assert_eq!(holders(&map, 2), []);
    }

    #[test]
    fn what_is_said_is_bounded() {
        let manifest = Manifest::Partials(JobId::from_bytes([1; 10]));
        let mut map = HolderMap::default();
        map.set(node(1), manifest, &vec![1; HOLDINGS_BYTES_MAX + 1]);
        assert_eq!(map.holders(manifest, 0).count(), 0);
        map.add(node(1), manifest, u32::MAX);
        assert!(!map.holds(node(1), manifest, u32::MAX));
    }

    #[test]
    fn manifests_that_nobody_made_do_not_crowd_out_the_others() {
        let (mut map, mut state) = (HolderMap::default(), State::default());
        let document = |n: u16| {
            let mut id = [0; 10];
            id[..2].copy_from_slice(&n.to_be_bytes());
            DocumentId::from_bytes(id)
        };
        let known = Manifest::Document(document(u16::MAX));
        map.hear(&state, node(1), known, &[1]);
        let blocks = Vec::new();
        let Manifest::Document(id) = known else { unreachable!("made above") };
        let (name, at) = (String::new(), Time::ZERO);
        state.documents.insert(id, Document { id, name, bytes: 0, blocks, added_at: at, expires_at: None });
        for n in 0..3 * AHEAD_MAX as u16 {
            map.hear(&state, node(2), Manifest::Document(document(n)), &[1]);
            assert!(map.held.len() <= AHEAD_MAX + 1);
        }
        assert!(map.holds(node(1), known, 0), "what came to be is kept");
    }

    #[test]
    fn many_small_announcements_share_a_message() {
        let one = |n: u8| (Manifest::Table(JobId::from_bytes([n; 10])), Bytes::from(vec![1; 2000]));
        let batches = batches((0..100).map(one));
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [32, 32, 32, 4]);
    }
}
