//! The blocks of one node: what its store holds, what it gives to and takes from others, what it fetches.
//!
//! All use of the store goes through here, so the inventory is always what the store has acknowledged.

mod collection;
mod fetching;
pub(in crate::node) mod holdings;
mod inventory;
pub(in crate::node) mod placement;
pub(in crate::node) mod repair;
mod serving;
#[cfg(test)]
mod tests;

pub(in crate::node) use fetching::{FetchError, User};

use super::api::{ErrorCode, Reply, RequestError};
use super::context::Context;
use super::contract::{BlockError, BlockName, BlockOp, BlockOutcome, RequestId, Ticket};
use crate::ids::{Hash, NodeId, UploadId};
use crate::limits;
use crate::state_machine::{BlockRef, Change, JobState};
use crate::time::Time;
use crate::wire::peer::{BlockMessage, BlockRefusal, Manifest};
use bytes::Bytes;
use collection::Collection;
use fetching::{Fetches, NotKept, Step};
use holdings::Announcer;
use inventory::Inventory;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[derive(Debug)]
pub(super) struct Blocks {
    pub inventory: Inventory,
    pub announcer: Announcer,
    operations: BTreeMap<Ticket, Operation>,
    /// Bytes of operations for peers.
    served_bytes: u64,
    fetches: Fetches,
    collection: Collection,
    events: VecDeque<BlockEvent>,
}

/// What other parts of the node want to know.
#[derive(Debug)]
pub(super) enum BlockEvent {
    /// A block that the worker wants is here, or cannot be had.
    Fetched { name: BlockName, result: Result<(), FetchError> },
    /// A copy that the leader, which this node is, wanted here.
    Copied { ticket: Ticket, result: Result<(), BlockRefusal> },
    /// A chunk of an upload is durable here, or is not.
    Uploaded { upload: UploadId, position: u32, result: Result<(), BlockRefusal> },
}

#[derive(Debug)]
struct Operation {
    name: BlockName,
    bytes: u64,
    purpose: Purpose,
}

/// What an operation on the store is for.
#[derive(Debug)]
enum Purpose {
    Give { to: NodeId, ticket: Ticket },
    Take { from: NodeId, ticket: Ticket, manifest: Manifest },
    Keep,
    Upload { upload: UploadId, position: u32, manifest: Manifest },
    Read { request: RequestId },
}

impl Blocks {
    pub fn new(stored: BTreeMap<BlockName, u64>, now: Time) -> Blocks {
        Blocks {
            inventory: Inventory::new(stored, now),
            announcer: Announcer::default(),
            operations: BTreeMap::new(),
            served_bytes: 0,
            fetches: Fetches::default(),
            collection: Collection::new(now),
            events: VecDeque::new(),
        }
    }

    pub fn take_event(&mut self) -> Option<BlockEvent> {
        self.events.pop_front()
    }

    /// Gets a block for `user` unless it is here; the answer comes as an event, message or reply.
    pub fn fetch(&mut self, context: &mut Context<'_>, name: BlockName, sources: &[NodeId], user: User) {
        if self.inventory.contains(name) && user.keeps() {
            self.inventory.touch(name, context.now);
            self.finish_fetch(context, name, [user].into(), Ok(Bytes::new()));
            return;
        }
        self.fetches.add(context, name, sources, user);
        self.pump(context);
    }

    /// Puts a chunk of an upload into the own store.
    pub fn keep_chunk(
        &mut self,
        context: &mut Context<'_>,
        block: BlockRef,
        bytes: Bytes,
        manifest: Manifest,
        (upload, position): (UploadId, u32),
    ) {
        let name = BlockName::of_ref(&block);
        if self.inventory.contains(name) {
            self.claim(context, name, manifest);
            self.events.push_back(BlockEvent::Uploaded { upload, position, result: Ok(()) });
            return;
        }
        self.put(context, name, bytes, Purpose::Upload { upload, position, manifest });
    }

    /// Keeps a block for a manifest that may still be on its way into the log.
    pub fn claim(&mut self, context: &Context<'_>, name: BlockName, manifest: Manifest) {
        let has_come = match manifest {
            Manifest::Document(id) => context.state.documents.contains_key(&id),
            Manifest::Table(id) | Manifest::Partials(id) => {
                context.state.jobs.get(&id).is_some_and(|job| job.state != JobState::Running)
            }
        };
        if !has_come {
            self.inventory.claim(name, manifest, context.now);
        }
    }

    /// What the pool wrote.
    pub fn written(&mut self, name: BlockName, bytes: u64, now: Time) {
        self.inventory.insert(name, bytes, now);
    }

    /// The store does not have it after all, or not whole.
    pub fn lost(&mut self, context: &mut Context<'_>, name: BlockName) {
        context.block(BlockOp::Delete { names: vec![name] });
        self.note_lost(context, name);
    }

    fn note_lost(&mut self, context: &Context<'_>, name: BlockName) {
        if self.inventory.remove(name) {
            for manifest in holdings::manifests(context.state) {
                if holdings::blocks_of(context.state, manifest, context.config.task_bytes).contains(&name) {
                    self.announcer.at_once(manifest, context.now);
                }
            }
        }
    }

    pub fn read(&mut self, context: &mut Context<'_>, request: RequestId, block: BlockRef) {
        let name = BlockName::of_ref(&block);
        if self.inventory.contains(name) {
            self.inventory.touch(name, context.now);
            self.get(context, name, 0, limits::BLOCK_BYTES_MAX as u32, Purpose::Read { request });
        } else {
            self.read_elsewhere(context, request, block.hash);
        }
    }

    fn read_elsewhere(&mut self, context: &mut Context<'_>, request: RequestId, hash: Hash) {
        let places = placement::places(context);
        let sources: Vec<NodeId> = (placement::ranked(hash, &places).iter())
            .map(|place| place.node)
            .filter(|node| *node != context.me)
            .collect();
        self.fetch(context, BlockName::Content(hash), &sources, User::Reader(request));
    }

    /// No task of the own worker waits for these any more.
    pub fn release(&mut self, context: &mut Context<'_>, names: &BTreeSet<BlockName>) {
        if !names.is_empty() {
            self.fetches.release(names);
            self.pump(context);
        }
    }

    pub fn abandoned(&mut self, request: RequestId) {
        self.fetches.abandon(request);
    }

    /// The store has answered one of the operations of this node.
    pub fn operation_done(
        &mut self,
        context: &mut Context<'_>,
        ticket: Ticket,
        result: Result<BlockOutcome, BlockError>,
    ) {
        let Some(Operation { name, bytes, purpose }) = self.operations.remove(&ticket) else { return };
        if matches!(purpose, Purpose::Give { .. } | Purpose::Take { .. }) {
            self.served_bytes -= bytes;
        }
        let stored = match &result {
            Ok(BlockOutcome::Stored) => {
                self.inventory.insert(name, bytes, context.now);
                Ok(())
            }
            Ok(BlockOutcome::Data { .. }) => Ok(()),
            Err(error) => Err(refusal(error)),
        };
        match purpose {
            Purpose::Take { from, ticket, manifest } => match stored {
                Ok(()) => {
                    self.claim(context, name, manifest);
                    self.tell(context, from, BlockMessage::Stored { ticket });
                }
                Err(refusal) => self.refuse(context, from, ticket, refusal),
            },
            Purpose::Keep => self.kept(context, name, result),
            Purpose::Upload { upload, position, manifest } => {
                self.claim(context, name, manifest);
                self.events.push_back(BlockEvent::Uploaded { upload, position, result: stored });
            }
            Purpose::Give { to, ticket } => self.given(context, name, to, ticket, result),
            Purpose::Read { request } => self.was_read(context, name, request, result),
        }
    }

    fn was_read(
        &mut self,
        context: &mut Context<'_>,
        name: BlockName,
        request: RequestId,
        result: Result<BlockOutcome, BlockError>,
    ) {
        match (result, name) {
            (Ok(BlockOutcome::Data { bytes, .. }), _) => context.reply(request, Ok(Reply::Block(bytes))),
            (Err(_), BlockName::Content(hash)) => {
                self.note_lost(context, name);
                self.read_elsewhere(context, request, hash);
            }
            _ => context.reply(request, Err(no_block())),
        }
    }

    fn kept(&mut self, context: &mut Context<'_>, name: BlockName, result: Result<BlockOutcome, BlockError>) {
        let result = match result {
            Ok(_) => Ok(()),
            Err(BlockError::Damaged | BlockError::Missing) => Err(NotKept::TryAnother),
            Err(BlockError::Full) => Err(NotKept::GiveUp(FetchError::Full)),
            Err(BlockError::Failed(reason)) => Err(NotKept::GiveUp(FetchError::Failed(reason))),
        };
        let step = self.fetches.kept(context, name, result);
        self.follow(context, step.map(|step| (name, step)));
    }

    fn follow(&mut self, context: &mut Context<'_>, step: Option<(BlockName, Step)>) {
        match step {
            None | Some((_, Step::Wait)) => {}
            Some((name, Step::Keep(bytes))) => self.put(context, name, bytes, Purpose::Keep),
            Some((name, Step::Done(users, result))) => self.finish_fetch(context, name, users, result),
        }
        self.pump(context);
    }

    fn pump(&mut self, context: &mut Context<'_>) {
        loop {
            let over = self.fetches.pump(context);
            if over.is_empty() {
                return;
            }
            for (name, step) in over {
                if let Step::Done(users, result) = step {
                    self.finish_fetch(context, name, users, result);
                }
            }
        }
    }

    fn finish_fetch(
        &mut self,
        context: &mut Context<'_>,
        name: BlockName,
        users: BTreeSet<User>,
        result: Result<Bytes, FetchError>,
    ) {
        for user in users {
            let stored = result.as_ref().map(|_| ()).map_err(Clone::clone);
            let copied = stored.clone().map_err(|error| match error {
                FetchError::NoSource => BlockRefusal::NoSource,
                FetchError::Full => BlockRefusal::Full,
                FetchError::Failed(reason) => BlockRefusal::Failed(reason),
            });
            match user {
                User::Worker => self.events.push_back(BlockEvent::Fetched { name, result: stored }),
                User::Keeper(ticket) => self.events.push_back(BlockEvent::Copied { ticket, result: copied }),
                User::Peer { node, ticket, manifest } => match copied {
                    Ok(()) => {
                        self.claim(context, name, manifest);
                        self.tell(context, node, BlockMessage::Stored { ticket });
                    }
                    Err(refusal) => self.refuse(context, node, ticket, refusal),
                },
                User::Reader(request) => match &result {
                    Ok(bytes) => context.reply(request, Ok(Reply::Block(bytes.clone()))),
                    Err(_) => context.reply(request, Err(no_block())),
                },
            }
        }
    }

    fn put(&mut self, context: &mut Context<'_>, name: BlockName, bytes: Bytes, purpose: Purpose) {
        let ticket = self.start(context, name, bytes.len() as u64, purpose);
        context.block(BlockOp::Put { ticket, name, bytes });
    }

    fn get(
        &mut self,
        context: &mut Context<'_>,
        name: BlockName,
        offset: u64,
        bytes_max: u32,
        purpose: Purpose,
    ) {
        let ticket = self.start(context, name, bytes_max.into(), purpose);
        context.block(BlockOp::Get { ticket, name, offset, bytes_max });
    }

    fn start(&mut self, context: &mut Context<'_>, name: BlockName, bytes: u64, purpose: Purpose) -> Ticket {
        if matches!(purpose, Purpose::Give { .. } | Purpose::Take { .. }) {
            self.served_bytes += bytes;
        }
        let ticket = context.tickets.next();
        self.operations.insert(ticket, Operation { name, bytes, purpose });
        ticket
    }

    /// New manifests are announced, and what nothing refers to any more is found.
    pub fn applied(&mut self, context: &Context<'_>, changes: &[Change]) {
        for change in changes {
            match change {
                Change::DocumentAdded(id) => self.has_come(context, Manifest::Document(*id)),
                Change::JobSubmitted(id) => self.announcer.at_once(Manifest::Partials(*id), context.now),
                Change::JobEnded(id) => {
                    let job = context.state.jobs.get(id);
                    if job.is_some_and(|job| matches!(job.state, JobState::Done(_))) {
                        self.has_come(context, Manifest::Table(*id));
                    }
                }
                Change::DocumentRemoved(_) | Change::JobForgotten(_) => self.collection.soon(context.now),
                Change::MemberChanged(_) | Change::Key(_) => {}
            }
        }
    }

    fn has_come(&mut self, context: &Context<'_>, manifest: Manifest) {
        let blocks = holdings::blocks_of(context.state, manifest, context.config.task_bytes);
        self.inventory.redeem(blocks, manifest);
        self.announcer.at_once(manifest, context.now);
    }

    /// The whole replicated state is another one.
    pub fn restored(&mut self, context: &Context<'_>) {
        for manifest in holdings::manifests(context.state) {
            let blocks = holdings::blocks_of(context.state, manifest, context.config.task_bytes);
            self.inventory.redeem(blocks, manifest);
        }
        self.announcer.everything(context.now);
        self.collection.soon(context.now);
    }

    pub fn leader_changed(&mut self, context: &Context<'_>) {
        self.announcer.everything(context.now);
        self.collection.leader_changed(context);
    }

    /// What the leader has to hear now, in messages.
    pub fn announcements(&mut self, context: &Context<'_>) -> Vec<Vec<(Manifest, Bytes)>> {
        self.announcer.take(context, &self.inventory)
    }

    pub fn tick(&mut self, context: &mut Context<'_>) {
        for (name, step) in self.fetches.tick(context) {
            self.follow(context, Some((name, step)));
        }
        self.collection.sweep(context, &mut self.inventory);
    }

    pub fn deadline(&self) -> Option<Time> {
        let deadlines = [self.fetches.deadline(), self.announcer.deadline(), self.collection.deadline()];
        deadlines.into_iter().flatten().min()
    }
}

fn refusal(error: &BlockError) -> BlockRefusal {
    match error {
        BlockError::Full => BlockRefusal::Full,
        BlockError::Damaged | BlockError::Missing => BlockRefusal::Damaged,
        BlockError::Failed(reason) => BlockRefusal::Failed(reason.clone()),
    }
}

fn no_block() -> RequestError {
    RequestError {
        code: ErrorCode::NotFound,
        message: "no member that is online holds this block whole".to_owned(),
        hint: "try again when the members that stored it are back".to_owned(),
    }
}
