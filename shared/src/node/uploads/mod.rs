//! Texts on their way in: each chunk goes to its holders, then the manifest goes into the log.

mod chunk;
mod refusals;
#[cfg(test)]
mod tests;

use super::api::{Reply, Request, RequestError};
use super::blocks::{Blocks, placement};
use super::context::Context;
use super::contract::{RequestId, Ticket};
use crate::ids::{DocumentId, Hash, NodeId, UploadId};
use crate::limits;
use crate::state_machine::{BlockRef, Command, Retention};
use crate::time::Time;
use crate::wire::peer::{BlockMessage, BlockRefusal, Manifest, PeerMessage};
use crate::wire::session::Class;
use chunk::{Chunk, Next};
use std::collections::{BTreeMap, VecDeque};

#[derive(Debug, Default)]
pub(super) struct Uploads {
    uploads: BTreeMap<UploadId, Upload>,
    /// Answers to wait for, and the chunks they are about.
    asked: BTreeMap<Ticket, (UploadId, u32)>,
    waiting_bytes: usize,
    /// Documents that uploads became, for clients that ask twice.
    finished: VecDeque<(UploadId, DocumentId)>,
    wake: Option<Time>,
}

#[derive(Debug)]
struct Upload {
    name: String,
    retention: Retention,
    opened_at: Time,
    fed_at: Time,
    /// By position.
    stored: BTreeMap<u32, Stored>,
    under_way: BTreeMap<u32, Chunk>,
    /// What it will be.
    document: DocumentId,
    /// Its client chose the id, and may send the same text more than once at a time.
    is_named: bool,
    /// The manifest was handed to the log.
    is_finished: bool,
}

#[derive(Clone, Debug)]
struct Stored {
    block: BlockRef,
    holders: Vec<NodeId>,
}

type Answer = Result<Option<Reply>, RequestError>;

impl Uploads {
    /// One of `OpenUpload`, `UploadChunk`, `KeepUpload`, `FinishUpload` and `AbortUpload`.
    pub fn request(
        &mut self,
        context: &mut Context<'_>,
        blocks: &mut Blocks,
        id: RequestId,
        request: Request,
    ) {
        let answer = match request {
            Request::OpenUpload { name, retention, document } => {
                self.open(context, name, retention, document)
            }
            Request::UploadChunk { upload, position, hash, bytes } => {
                let block = BlockRef { hash, bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX) };
                let chunk = Chunk::new(block, bytes, id, context.now);
                self.take(context, blocks, upload, position, chunk)
            }
            Request::KeepUpload { upload } => self.keep(context, upload),
            Request::FinishUpload { upload } => self.finish(context, id, upload),
            Request::AbortUpload { upload } => self.abort(context, upload),
            _ => return,
        };
        match answer {
            Ok(Some(reply)) => context.reply(id, Ok(reply)),
            Ok(None) => {}
            Err(error) => context.reply(id, Err(error)),
        }
    }

    fn open(
        &mut self,
        context: &mut Context<'_>,
        name: String,
        retention: Retention,
        document: Option<DocumentId>,
    ) -> Answer {
        if name.len() > limits::DOCUMENT_NAME_BYTES_MAX {
            return Err(refusals::name_too_long());
        }
        if self.uploads.len() >= limits::UPLOADS_MAX {
            return Err(refusals::too_many_uploads());
        }
        if !context.membership.contains(context.me) {
            return Err(refusals::no_member());
        }
        let upload = UploadId::random(context.rng);
        let is_named = document.is_some();
        let document = document.unwrap_or_else(|| DocumentId::random(context.rng));
        self.uploads.insert(upload, Upload::new(name, retention, document, is_named, context.now));
        self.wake = None;
        Ok(Some(Reply::UploadOpened { upload }))
    }

    fn take(
        &mut self,
        context: &mut Context<'_>,
        blocks: &mut Blocks,
        upload_id: UploadId,
        position: u32,
        chunk: Chunk,
    ) -> Answer {
        let upload = self.uploads.get_mut(&upload_id).ok_or_else(|| refusals::no_upload(upload_id))?;
        let bytes = chunk.bytes.len();
        if bytes == 0 || bytes > limits::CHUNK_BYTES_MAX {
            return Err(refusals::chunk_size(bytes));
        }
        if position as usize >= limits::DOCUMENT_CHUNKS_MAX {
            return Err(refusals::too_many_chunks());
        }
        upload.fed_at = context.now;
        if let Some(known) = upload.at(position) {
            return match known == chunk.block {
                false => Err(refusals::other_chunk(position)),
                true => Ok(upload.join(position, chunk.waiting)),
            };
        }
        if !upload.takes(position) {
            return Err(refusals::out_of_window(position));
        }
        if let Some(twin) = upload.stored.values().find(|stored| stored.block == chunk.block).cloned() {
            upload.stored.insert(position, twin);
            return Ok(Some(Reply::Done));
        }
        if self.waiting_bytes + bytes > limits::UPLOADS_BYTES_MAX {
            return Err(refusals::busy());
        }
        self.waiting_bytes += bytes;
        upload.under_way.insert(position, chunk);
        self.advance(context, blocks, upload_id, position);
        Ok(None)
    }

    fn keep(&mut self, context: &Context<'_>, upload_id: UploadId) -> Answer {
        let upload = self.uploads.get_mut(&upload_id).ok_or_else(|| refusals::no_upload(upload_id))?;
        upload.fed_at = context.now;
        Ok(Some(Reply::Done))
    }

    fn finish(&mut self, context: &mut Context<'_>, id: RequestId, upload_id: UploadId) -> Answer {
        let finished = self.finished.iter().find(|(upload, _)| *upload == upload_id);
        if let Some(document) = finished.and_then(|(_, document)| context.state.documents.get(document)) {
            return Ok(Some(Reply::Document(Box::new(document.clone()))));
        }
        let upload = self.uploads.get_mut(&upload_id).ok_or_else(|| refusals::no_upload(upload_id))?;
        upload.fed_at = context.now;
        let position = upload.next_position();
        if !upload.under_way.is_empty() || position as usize != upload.stored.len() {
            return Err(refusals::chunk_missing(position));
        }
        let lost = |stored: &&Stored| !stored.holders.iter().any(|holder| context.is_online(*holder));
        if let Some(position) = upload.stored.values().position(|stored| lost(&stored)) {
            return Err(refusals::chunk_lost(position));
        }
        upload.is_finished = true;
        // The same document for a client that asks again: the log takes it once.
        let command = Command::AddDocument {
            id: upload.document,
            name: upload.name.clone(),
            blocks: upload.stored.values().map(|stored| stored.block).collect(),
            retention: upload.retention,
        };
        context.submit(command, Some(id));
        if context.state.documents.contains_key(&upload.document) {
            // Its client has sent the same text before: nothing is added that would say that this upload is over.
            self.uploads.remove(&upload_id);
        }
        Ok(None)
    }

    fn abort(&mut self, context: &mut Context<'_>, upload_id: UploadId) -> Answer {
        if !self.uploads.contains_key(&upload_id) {
            return Err(refusals::no_upload(upload_id));
        }
        self.drop_upload(context, upload_id, &refusals::aborted());
        Ok(Some(Reply::Done))
    }

    fn drop_upload(&mut self, context: &mut Context<'_>, upload_id: UploadId, error: &RequestError) {
        let Some(upload) = self.uploads.remove(&upload_id) else { return };
        for chunk in upload.under_way.into_values() {
            self.waiting_bytes -= chunk.bytes.len();
            for request in chunk.waiting {
                context.reply(request, Err(error.clone()));
            }
        }
        self.asked.retain(|_, (upload, _)| *upload != upload_id);
    }

    /// Does whatever is next for a chunk.
    fn advance(
        &mut self,
        context: &mut Context<'_>,
        blocks: &mut Blocks,
        upload_id: UploadId,
        position: u32,
    ) {
        self.wake = None;
        let Some(upload) = self.uploads.get_mut(&upload_id) else { return };
        let Some(chunk) = upload.under_way.get_mut(&position) else { return };
        match chunk.next(&placement::places(context), placement::copies(context), context.now) {
            Next::Wait => {}
            Next::Stored(holders) => {
                let block = chunk.block;
                upload.stored.insert(position, Stored { block, holders });
                self.settle(context, upload_id, position, Ok(Reply::Done));
            }
            Next::Full => self.settle(context, upload_id, position, Err(refusals::full())),
            Next::Put(nodes) => {
                let (block, bytes) = (chunk.block, chunk.bytes.clone());
                let manifest = Manifest::Document(upload.document);
                for node in nodes {
                    if node == context.me {
                        chunk.asked(node, None, context.now);
                        blocks.keep_chunk(context, block, bytes.clone(), manifest, (upload_id, position));
                        continue;
                    }
                    let ticket = context.tickets.next();
                    chunk.asked(node, Some(ticket), context.now);
                    self.asked.insert(ticket, (upload_id, position));
                    let put = PeerMessage::Block(BlockMessage::Put { ticket, hash: block.hash, manifest });
                    context.send(node, &put, Class::Bulk, bytes.clone());
                }
            }
        }
    }

    fn settle(
        &mut self,
        context: &mut Context<'_>,
        upload_id: UploadId,
        position: u32,
        result: Result<Reply, RequestError>,
    ) {
        let upload = self.uploads.get_mut(&upload_id);
        let Some(chunk) = upload.and_then(|upload| upload.under_way.remove(&position)) else { return };
        self.waiting_bytes -= chunk.bytes.len();
        self.asked.retain(|_, about| *about != (upload_id, position));
        for request in chunk.waiting {
            context.reply(request, result.clone());
        }
    }

    /// `Stored` or `Refused`, if it answers one of the puts from here.
    pub fn answered(
        &mut self,
        context: &mut Context<'_>,
        blocks: &mut Blocks,
        from: NodeId,
        ticket: Ticket,
        result: Result<(), BlockRefusal>,
    ) {
        if let Some((upload, position)) = self.asked.remove(&ticket) {
            self.holder_answered(context, blocks, (upload, position), from, Some(ticket), result);
        }
    }

    /// The own store has answered.
    pub fn kept_here(
        &mut self,
        context: &mut Context<'_>,
        blocks: &mut Blocks,
        upload: UploadId,
        position: u32,
        result: Result<(), BlockRefusal>,
    ) {
        self.holder_answered(context, blocks, (upload, position), context.me, None, result);
    }

    fn holder_answered(
        &mut self,
        context: &mut Context<'_>,
        blocks: &mut Blocks,
        (upload_id, position): (UploadId, u32),
        node: NodeId,
        ticket: Option<Ticket>,
        result: Result<(), BlockRefusal>,
    ) {
        let upload = self.uploads.get_mut(&upload_id);
        let Some(chunk) = upload.and_then(|upload| upload.under_way.get_mut(&position)) else { return };
        if !chunk.answered(node, ticket, &result, context.now) {
            return;
        }
        // Whose fault it is shows only the hash, and it is looked at only in doubt.
        if chunk.is_doubted() && Hash::of(&chunk.bytes) != chunk.block.hash {
            self.settle(context, upload_id, position, Err(refusals::wrong_hash(position)));
            return;
        }
        self.advance(context, blocks, upload_id, position);
    }

    /// A document is in the log: the uploads that became it are over. One that its client has not finished did not become
    /// it. Where the client chose the id it goes on, and the log tells in the end whether it is the same text; any other's
    /// id was used by somebody else, and nothing can come of it any more.
    pub fn document_added(&mut self, context: &mut Context<'_>, document: DocumentId) {
        let over = self
            .uploads
            .iter()
            .filter(|(_, upload)| upload.document == document && (upload.is_finished || !upload.is_named));
        let over: Vec<(UploadId, bool)> = over.map(|(id, upload)| (*id, upload.is_finished)).collect();
        for (id, is_finished) in over {
            self.drop_upload(context, id, &refusals::name_taken());
            if is_finished {
                self.finished.push_back((id, document));
            }
        }
        while self.finished.len() > limits::UPLOADS_MAX {
            self.finished.pop_front();
        }
    }

    /// A member came or went.
    pub fn peers_changed(&mut self) {
        self.wake = Some(Time::ZERO);
    }

    pub fn tick(&mut self, context: &mut Context<'_>, blocks: &mut Blocks) {
        if self.deadline().is_none_or(|wake| context.now < wake) {
            return;
        }
        self.drop_stale(context);
        let mut open = Vec::new();
        for (id, upload) in &mut self.uploads {
            for (position, chunk) in &mut upload.under_way {
                chunk.expire(|node| context.is_online(node), context.now);
                open.push((*id, *position, context.now.since(chunk.since)));
            }
        }
        for (upload, position, age) in open {
            if age >= limits::UPLOAD_CHUNK_WAIT_MAX {
                self.settle(context, upload, position, Err(refusals::no_holders()));
            } else {
                self.advance(context, blocks, upload, position);
            }
        }
        self.wake = self.next_wake();
    }

    fn drop_stale(&mut self, context: &mut Context<'_>) {
        let stale: Vec<UploadId> = (self.uploads.iter())
            .filter(|(_, upload)| upload.gives_up_at() <= context.now)
            .map(|(id, _)| *id)
            .collect();
        for upload in stale {
            self.drop_upload(context, upload, &refusals::idle());
        }
    }

    fn next_wake(&self) -> Option<Time> {
        let of_upload = |upload: &Upload| {
            let chunks = upload.under_way.values().map(|chunk| {
                let given_up = chunk.since + limits::UPLOAD_CHUNK_WAIT_MAX;
                chunk.deadline().map_or(given_up, |deadline| deadline.min(given_up))
            });
            chunks.min().map_or(upload.gives_up_at(), |first| first.min(upload.gives_up_at()))
        };
        self.uploads.values().map(of_upload).min()
    }

    pub fn deadline(&self) -> Option<Time> {
        if self.uploads.is_empty() { None } else { self.wake.or_else(|| self.next_wake()) }
    }
}

impl Upload {
    fn new(name: String, retention: Retention, document: DocumentId, is_named: bool, now: Time) -> Upload {
        let (stored, under_way) = (BTreeMap::new(), BTreeMap::new());
        let (opened_at, fed_at, is_finished) = (now, now, false);
        Upload { name, retention, opened_at, fed_at, stored, under_way, document, is_named, is_finished }
    }

    fn at(&self, position: u32) -> Option<BlockRef> {
        let stored = self.stored.get(&position).map(|stored| stored.block);
        stored.or_else(|| self.under_way.get(&position).map(|chunk| chunk.block))
    }

    /// Chunks may come out of order, but not so far that they fill this node while an earlier one is missing.
    fn takes(&self, position: u32) -> bool {
        let window = 2 * limits::UPLOAD_WINDOW_CHUNKS as u32;
        !self.is_finished && position < self.next_position() + window
    }

    /// A client asks again about a chunk that is known.
    fn join(&mut self, position: u32, waiting: Vec<RequestId>) -> Option<Reply> {
        match self.under_way.get_mut(&position) {
            Some(chunk) => {
                chunk.waiting.extend(waiting);
                None
            }
            None => Some(Reply::Done),
        }
    }

    /// The first position that is not stored.
    fn next_position(&self) -> u32 {
        (0..)
            .zip(self.stored.keys())
            .find(|(at, stored)| at != *stored)
            .map_or(self.stored.len() as u32, |(at, _)| at)
    }

    fn gives_up_at(&self) -> Time {
        (self.fed_at + limits::UPLOAD_IDLE_MAX).min(self.opened_at + limits::UPLOAD_AGE_MAX)
    }
}
