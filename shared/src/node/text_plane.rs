//! The way of texts through a node: uploads, blocks, the worker and, on the leader, the scheduler and the repair.
//!
//! These parts never call each other's insides: what one has for another goes through here, and what a leader orders
//! from itself takes the same way as orders to others, without the network.

use super::api::Request;
use super::blocks::holdings::HolderMap;
use super::blocks::repair::Repair;
use super::blocks::{BlockEvent, Blocks};
use super::compute::TaskOutput;
use super::context::Context;
use super::contract::{
    BlockError, BlockName, BlockOutcome, ComputeError, Deadline, DeadlineReason, RequestId, Ticket,
};
use super::scheduler::Scheduler;
use super::uploads::Uploads;
use super::worker::Worker;
use crate::ids::NodeId;
use crate::state_machine::{Change, JobState};
use crate::time::Time;
use crate::wire::peer::{BlockMessage, BlockRefusal, JobProgress, Manifest, PeerMessage, TaskMessage};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Rounds of messages that a node sends itself within one input: an order and its answer, and what follows from it.
const ROUNDS_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct TextPlane {
    blocks: Blocks,
    uploads: Uploads,
    worker: Worker,
    leading: Option<Leading>,
    threads: u16,
}

/// What only the leader has.
#[derive(Debug, Default)]
struct Leading {
    scheduler: Scheduler,
    holders: HolderMap,
    repair: Repair,
}

/// What the members hear about this node's part in the work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub blocks: u64,
    pub bytes: u64,
    pub speed: u64,
    pub busy: u16,
}

impl TextPlane {
    pub fn new(stored: BTreeMap<BlockName, u64>, now: Time) -> TextPlane {
        TextPlane {
            blocks: Blocks::new(stored, now),
            uploads: Uploads::default(),
            worker: Worker::default(),
            leading: None,
            threads: 1,
        }
    }

    /// One of `OpenUpload`, `UploadChunk`, `KeepUpload`, `FinishUpload`, `AbortUpload` and `ReadBlock`.
    pub fn request(&mut self, context: &mut Context<'_>, id: RequestId, request: Request) {
        match request {
            Request::ReadBlock { block } => self.blocks.read(context, id, block),
            request => self.uploads.request(context, &mut self.blocks, id, request),
        }
    }

    pub fn abandoned(&mut self, _context: &mut Context<'_>, id: RequestId) {
        self.blocks.abandoned(id);
    }

    pub fn block_message(
        &mut self,
        context: &mut Context<'_>,
        from: NodeId,
        message: BlockMessage,
        bulk: Bytes,
    ) {
        match message {
            BlockMessage::Stored { ticket } => self.copy_answered(context, from, ticket, Ok(())),
            BlockMessage::Refused { ticket, refusal } => {
                self.copy_answered(context, from, ticket, Err(refusal.clone()));
                self.blocks.message(context, from, BlockMessage::Refused { ticket, refusal }, bulk);
            }
            BlockMessage::Holdings { ticket, held } => {
                if self.leading.is_some() {
                    self.hear_holdings(context, from, held);
                    context.control(from, &PeerMessage::Block(BlockMessage::Heard { ticket }));
                }
            }
            BlockMessage::Heard { ticket } => self.blocks.announcer.heard(ticket),
            message => self.blocks.message(context, from, message, bulk),
        }
    }

    /// Tickets are unique within a node, so at most one of these asked.
    fn copy_answered(
        &mut self,
        context: &mut Context<'_>,
        from: NodeId,
        ticket: Ticket,
        result: Result<(), BlockRefusal>,
    ) {
        self.worker.copy_answered(context, from, ticket, &result);
        if let Some(leading) = &mut self.leading {
            leading.repair.answered(from, ticket, &result, &mut leading.holders);
        }
        self.uploads.answered(context, &mut self.blocks, from, ticket, result);
    }

    fn hear_holdings(&mut self, context: &Context<'_>, from: NodeId, held: Vec<(Manifest, Bytes)>) {
        let Some(leading) = &mut self.leading else { return };
        for (manifest, bits) in held {
            leading.holders.hear(context.state, from, manifest, &bits);
            if !matches!(manifest, Manifest::Partials(_)) {
                leading.repair.look_at(manifest, context.now);
            }
        }
        leading.scheduler.stir();
    }

    pub fn task_message(&mut self, context: &mut Context<'_>, from: NodeId, message: TaskMessage) {
        match &message {
            TaskMessage::Assign { .. } | TaskMessage::Cancel { .. } => {
                self.worker.message(context, &mut self.blocks, from, message);
            }
            TaskMessage::Finished { .. } | TaskMessage::Failed { .. } => {
                if let Some(leading) = &mut self.leading {
                    leading.scheduler.message(context, from, message);
                }
            }
        }
    }

    /// The block store has answered.
    pub fn block_done(
        &mut self,
        context: &mut Context<'_>,
        ticket: Ticket,
        result: Result<BlockOutcome, BlockError>,
    ) {
        self.blocks.operation_done(context, ticket, result);
    }

    /// The pool has answered.
    pub fn computed(
        &mut self,
        context: &mut Context<'_>,
        ticket: Ticket,
        result: Result<TaskOutput, ComputeError>,
    ) {
        self.worker.computed(context, &mut self.blocks, ticket, result);
    }

    pub fn peer_joined(&mut self, context: &mut Context<'_>, peer: NodeId) {
        if context.leader == Some(peer) {
            self.blocks.announcer.everything(context.now);
        }
        self.uploads.peers_changed();
        if let Some(leading) = &mut self.leading {
            leading.scheduler.stir();
            leading.repair.look_everywhere(context.now);
        }
    }

    pub fn peer_left(&mut self, context: &mut Context<'_>, peer: NodeId) {
        self.uploads.peers_changed();
        if let Some(leading) = &mut self.leading {
            leading.scheduler.peer_left(context, peer);
            leading.repair.look_everywhere(context.now);
        }
    }

    /// The replicated state has changed; `context.state` is the new one.
    pub fn applied(&mut self, context: &mut Context<'_>, changes: &[Change]) {
        self.blocks.applied(context, changes);
        for change in changes {
            match change {
                Change::DocumentAdded(id) => {
                    self.uploads.document_added(context, *id);
                    let manifest = Manifest::Document(*id);
                    self.leading.iter_mut().for_each(|leading| leading.repair.look_at(manifest, context.now));
                }
                Change::DocumentRemoved(id) => {
                    let manifest = Manifest::Document(*id);
                    self.leading.iter_mut().for_each(|leading| leading.holders.forget(manifest));
                }
                Change::JobSubmitted(id) => {
                    self.leading.iter_mut().for_each(|leading| leading.scheduler.add(context, *id));
                }
                Change::JobEnded(id) => self.job_ended(context, *id),
                Change::JobForgotten(id) => {
                    let manifest = Manifest::Table(*id);
                    self.leading.iter_mut().for_each(|leading| leading.holders.forget(manifest));
                }
                Change::MemberChanged(_) => {
                    self.leading.iter_mut().for_each(|leading| leading.scheduler.stir());
                }
                Change::Key(_) => {}
            }
        }
    }

    fn job_ended(&mut self, context: &mut Context<'_>, id: crate::ids::JobId) {
        self.worker.job_ended(context, &mut self.blocks, id);
        if let Some(leading) = &mut self.leading {
            leading.scheduler.job_ended(id);
            leading.holders.forget(Manifest::Partials(id));
            leading.repair.look_at(Manifest::Table(id), context.now);
        }
    }

    /// The whole replicated state was replaced by a snapshot.
    pub fn restored(&mut self, context: &mut Context<'_>) {
        self.blocks.restored(context);
        let ended = context.state.jobs.values().filter(|job| job.state != JobState::Running);
        for id in ended.map(|job| job.id).collect::<Vec<_>>() {
            self.job_ended(context, id);
        }
        let state = context.state;
        for id in state.documents.keys() {
            self.uploads.document_added(context, *id);
        }
        if let Some(leading) = &mut self.leading {
            leading.scheduler.start(context);
        }
    }

    /// `context.leader` or `context.term` is not what it was. Called before [`TextPlane::applied`] in the same input.
    pub fn leader_changed(&mut self, context: &mut Context<'_>) {
        self.blocks.leader_changed(context);
        self.worker.leader_changed(context, &mut self.blocks);
        self.leading = context.is_leader().then(Leading::default);
        if let Some(leading) = &mut self.leading {
            leading.scheduler.start(context);
            leading.repair.look_everywhere(context.now);
        }
    }

    /// Time went on. Called after every input.
    pub fn tick(&mut self, context: &mut Context<'_>) {
        self.threads = context.profile.threads.max(1);
        self.blocks.tick(context);
        self.uploads.tick(context, &mut self.blocks);
        self.worker.tick(context);
        if let Some(Leading { scheduler, holders, repair }) = &mut self.leading {
            scheduler.tick(context, holders);
            repair.tick(context, &mut self.blocks, holders);
        }
        self.settle(context);
    }

    /// Carries what the parts have for each other, and for the network, until there is nothing more.
    fn settle(&mut self, context: &mut Context<'_>) {
        for _ in 0..ROUNDS_MAX {
            let mut is_quiet = true;
            while let Some(event) = self.blocks.take_event() {
                self.block_event(context, event);
                is_quiet = false;
            }
            for held in self.blocks.announcements(context) {
                self.announce(context, held);
                is_quiet = false;
            }
            if let Some(leading) = &mut self.leading {
                leading.scheduler.assign(context, &leading.holders);
            }
            let orders = self.leading.as_mut().map(|leading| leading.scheduler.take_outbox());
            for (to, message) in orders.into_iter().flatten().chain(self.worker.take_outbox()) {
                is_quiet = false;
                if to == context.me {
                    self.task_message(context, to, message);
                } else if context.is_online(to) {
                    context.control(to, &PeerMessage::Task(message));
                }
            }
            if is_quiet {
                return;
            }
        }
    }

    fn block_event(&mut self, context: &mut Context<'_>, event: BlockEvent) {
        match event {
            BlockEvent::Fetched { name, result } => {
                self.worker.fetched(context, &mut self.blocks, name, &result);
            }
            BlockEvent::Copied { ticket, result } => {
                if let Some(leading) = &mut self.leading {
                    leading.repair.answered(context.me, ticket, &result, &mut leading.holders);
                }
            }
            BlockEvent::Uploaded { upload, position, result } => {
                self.uploads.kept_here(context, &mut self.blocks, upload, position, result);
            }
        }
    }

    fn announce(&mut self, context: &mut Context<'_>, held: Vec<(Manifest, Bytes)>) {
        match context.leader {
            Some(leader) if leader == context.me => self.hear_holdings(context, leader, held),
            Some(leader) => {
                let ticket = context.tickets.next();
                self.blocks.announcer.told(ticket, &held, context.now);
                if context.is_online(leader) {
                    context.control(leader, &PeerMessage::Block(BlockMessage::Holdings { ticket, held }));
                }
            }
            None => {}
        }
    }

    pub fn deadline(&self) -> Option<Deadline> {
        let scheduler = self.leading.as_ref().and_then(|leading| leading.scheduler.deadline());
        let repair = self.leading.as_ref().and_then(|leading| leading.repair.deadline());
        let parts = [
            (scheduler, DeadlineReason::Scheduler),
            (repair, DeadlineReason::Blocks),
            (self.blocks.deadline(), DeadlineReason::Blocks),
            (self.uploads.deadline(), DeadlineReason::Blocks),
            (self.worker.deadline(), DeadlineReason::Blocks),
        ];
        let deadlines = parts.into_iter().filter_map(|(at, reason)| Some(Deadline { at: at?, reason }));
        deadlines.min_by_key(|deadline| deadline.at)
    }

    pub fn load(&self) -> Load {
        Load {
            blocks: self.blocks.inventory.len() as u64,
            bytes: self.blocks.inventory.bytes(),
            speed: self.worker.speed(),
            busy: self.worker.busy(self.threads),
        }
    }

    /// As the leader: the running jobs, for gossip and for this node's own watchers.
    pub fn progress(&self) -> Vec<JobProgress> {
        self.leading.as_ref().map(|leading| leading.scheduler.progress()).unwrap_or_default()
    }
}
