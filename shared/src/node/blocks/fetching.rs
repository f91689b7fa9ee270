//! Getting blocks from other members, a range at a time, source after source.

use crate::ids::{Hash, NodeId};
use crate::limits;
use crate::node::context::Context;
use crate::node::contract::{BlockName, RequestId, Ticket};
use crate::time::Time;
use crate::wire::peer::{BlockMessage, Manifest, PeerMessage};
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Whom a fetched block is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::node) enum User {
    /// Tasks of the own worker wait for it.
    Worker,
    /// A member asked for a copy here.
    Peer { node: NodeId, ticket: Ticket, manifest: Manifest },
    /// The leader, which this node is, wants a copy here.
    Keeper(Ticket),
    /// A local client reads it; it need not be kept.
    Reader(RequestId),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::node) enum FetchError {
    #[error("no member that is online could give the block")]
    NoSource,
    #[error("the storage is full")]
    Full,
    #[error("the storage failed: {0}")]
    Failed(String),
}

/// Why the own store did not take a block that was fetched.
#[derive(Debug)]
pub(super) enum NotKept {
    /// The bytes are not those of the name.
    TryAnother,
    GiveUp(FetchError),
}

/// What became of a block that was under way.
#[derive(Debug)]
pub(super) enum Step {
    Wait,
    /// All bytes are here, and somebody wants them kept.
    Keep(Bytes),
    Done(BTreeSet<User>, Result<Bytes, FetchError>),
}

#[derive(Debug, Default)]
pub(super) struct Fetches {
    fetches: BTreeMap<BlockName, Fetch>,
    queue: VecDeque<BlockName>,
    asked: BTreeMap<Ticket, BlockName>,
}

#[derive(Debug)]
struct Fetch {
    users: BTreeSet<User>,
    sources: VecDeque<(NodeId, u32)>,
    phase: Phase,
    got: BytesMut,
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Queued,
    Asking { ticket: Ticket, source: NodeId, until: Time },
    Storing { bytes: Bytes, source: NodeId },
}

impl User {
    pub fn keeps(&self) -> bool {
        !matches!(self, User::Reader(_))
    }
}

impl Fetches {
    /// `sources`: as a peer may have named them, so only those count that are here.
    pub fn add(&mut self, context: &Context<'_>, name: BlockName, sources: &[NodeId], user: User) {
        let fetch = self.fetches.entry(name).or_insert_with(|| {
            // A reader waits for one block, a task for many.
            match user {
                User::Reader(_) => self.queue.push_front(name),
                _ => self.queue.push_back(name),
            }
            Fetch {
                users: BTreeSet::new(),
                sources: VecDeque::new(),
                phase: Phase::Queued,
                got: BytesMut::new(),
            }
        });
        fetch.users.insert(user);
        let online = sources.iter().filter(|source| context.is_online(**source));
        for source in online.take(limits::ROOM_MEMBERS_MAX) {
            let is_known = fetch.sources.iter().any(|(known, _)| known == source);
            if !is_known && fetch.sources.len() < limits::ROOM_MEMBERS_MAX {
                fetch.sources.push_back((*source, 0));
            }
        }
    }

    /// Whether a peer that wants `name` here has to wait.
    pub fn is_full(&self, name: BlockName) -> bool {
        let users = self.fetches.get(&name).map_or(0, |fetch| fetch.users.len());
        self.fetches.len() >= limits::COPIES_WAITING_MAX || users >= limits::FETCH_USERS_MAX
    }

    pub fn abandon(&mut self, request: RequestId) {
        for fetch in self.fetches.values_mut() {
            fetch.users.remove(&User::Reader(request));
        }
    }

    /// The worker does without these. What nobody else wants gives its place to others.
    pub fn release(&mut self, names: &BTreeSet<BlockName>) {
        for name in names {
            let Some(fetch) = self.fetches.get_mut(name) else { continue };
            let is_needless = fetch.users.remove(&User::Worker) && fetch.users.is_empty();
            match fetch.phase {
                // The store answers, and then it is over.
                Phase::Storing { .. } => continue,
                Phase::Asking { ticket, .. } if is_needless => self.asked.remove(&ticket),
                _ if is_needless => None,
                _ => continue,
            };
            self.fetches.remove(name);
        }
        self.queue.retain(|name| self.fetches.contains_key(name));
    }

    /// Starts what may start. Returns those that cannot.
    pub fn pump(&mut self, context: &mut Context<'_>) -> Vec<(BlockName, Step)> {
        let mut over = Vec::new();
        while self.asked.len() < limits::FETCHES_MAX
            && let Some(name) = self.queue.pop_front()
        {
            match self.ask_next(context, name) {
                Step::Wait => {}
                step => over.push((name, step)),
            }
        }
        over
    }

    /// Asks the next source for what is missing from the beginning on: pieces of two sources are not mixed, or
    /// nobody could tell whose was damaged.
    fn ask_next(&mut self, context: &mut Context<'_>, name: BlockName) -> Step {
        let Some(fetch) = self.fetches.get_mut(&name) else { return Step::Wait };
        fetch.got = BytesMut::new();
        fetch.sources.retain(|(node, tries)| *tries < limits::FETCH_TRIES && *node != context.me);
        let online = fetch.sources.iter().position(|(node, _)| context.is_online(*node));
        let source = online.and_then(|at| fetch.sources.remove(at));
        let Some((source, tries)) = source.filter(|_| !fetch.users.is_empty()) else {
            return self.end(name, Err(FetchError::NoSource));
        };
        fetch.sources.push_back((source, tries + 1));
        self.ask(context, name, source);
        Step::Wait
    }

    fn ask(&mut self, context: &mut Context<'_>, name: BlockName, source: NodeId) {
        let Some(fetch) = self.fetches.get_mut(&name) else { return };
        let ticket = context.tickets.next();
        let offset = fetch.got.len() as u64;
        fetch.phase = Phase::Asking { ticket, source, until: context.now + limits::FETCH_TIMEOUT };
        self.asked.insert(ticket, name);
        let get = BlockMessage::Get { ticket, name, offset, bytes_max: limits::FETCH_BYTES as u32 };
        context.control(source, &PeerMessage::Block(get));
    }

    /// A piece came. What is not asked for, or not as asked, is worth nothing.
    pub fn data(
        &mut self,
        context: &mut Context<'_>,
        from: NodeId,
        ticket: Ticket,
        total: u64,
        bulk: &[u8],
    ) -> Option<(BlockName, Step)> {
        let name = self.answered(from, ticket)?;
        let fetch = self.fetches.get_mut(&name)?;
        let bytes_max = match name {
            BlockName::Content(_) => limits::BLOCK_BYTES_MAX,
            BlockName::Partial(_) => limits::PARTIAL_BYTES_MAX,
        };
        let after = fetch.got.len() as u64 + bulk.len() as u64;
        // All that was asked for, or a source that gives a byte at a time holds a place among the fetches for months.
        let whole_piece = total.saturating_sub(fetch.got.len() as u64).min(limits::FETCH_BYTES as u64);
        let fits = total <= bytes_max as u64 && bulk.len() as u64 == whole_piece;
        if !fits || bulk.is_empty() {
            fetch.reject(from);
            return Some((name, self.ask_next(context, name)));
        }
        fetch.got.extend_from_slice(bulk);
        if after < total {
            self.ask(context, name, from);
            return Some((name, Step::Wait));
        }
        let whole = std::mem::take(&mut fetch.got).freeze();
        if fetch.users.iter().any(User::keeps) {
            fetch.phase = Phase::Storing { bytes: whole.clone(), source: from };
            return Some((name, Step::Keep(whole)));
        }
        if !is_genuine(name, &whole) {
            fetch.reject(from);
            return Some((name, self.ask_next(context, name)));
        }
        Some((name, self.end(name, Ok(whole))))
    }

    /// The source does not have it (`for_good`), or is too busy now.
    pub fn refused(
        &mut self,
        context: &mut Context<'_>,
        from: NodeId,
        ticket: Ticket,
        for_good: bool,
    ) -> Option<(BlockName, Step)> {
        let name = self.answered(from, ticket)?;
        if for_good {
            self.fetches.get_mut(&name)?.reject(from);
        }
        Some((name, self.ask_next(context, name)))
    }

    /// The own store took it, or did not.
    pub fn kept(
        &mut self,
        context: &mut Context<'_>,
        name: BlockName,
        result: Result<(), NotKept>,
    ) -> Option<Step> {
        let fetch = self.fetches.get_mut(&name)?;
        let Phase::Storing { bytes, source } = std::mem::replace(&mut fetch.phase, Phase::Queued) else {
            return None;
        };
        Some(match result {
            Ok(()) => self.end(name, Ok(bytes)),
            Err(NotKept::TryAnother) => {
                fetch.reject(source);
                self.ask_next(context, name)
            }
            Err(NotKept::GiveUp(error)) => self.end(name, Err(error)),
        })
    }

    /// Sources that are late or gone are left for the next.
    pub fn tick(&mut self, context: &mut Context<'_>) -> Vec<(BlockName, Step)> {
        let late: Vec<(Ticket, BlockName)> = (self.asked.iter())
            .filter(|(_, name)| match self.fetches.get(*name).map(|fetch| &fetch.phase) {
                Some(Phase::Asking { until, source, .. }) => {
                    *until <= context.now || !context.is_online(*source)
                }
                _ => true,
            })
            .map(|(ticket, name)| (*ticket, *name))
            .collect();
        let mut steps = Vec::new();
        for (ticket, name) in late {
            self.asked.remove(&ticket);
            steps.push((name, self.ask_next(context, name)));
        }
        steps
    }

    pub fn deadline(&self) -> Option<Time> {
        let until = |name| match self.fetches.get(name).map(|fetch| &fetch.phase) {
            Some(Phase::Asking { until, .. }) => Some(*until),
            _ => None,
        };
        self.asked.values().filter_map(until).min()
    }

    fn answered(&mut self, from: NodeId, ticket: Ticket) -> Option<BlockName> {
        let name = *self.asked.get(&ticket)?;
        let phase = &self.fetches.get(&name)?.phase;
        if !matches!(phase, Phase::Asking { ticket: open, source, .. } if *open == ticket && *source == from)
        {
            return None;
        }
        self.asked.remove(&ticket);
        Some(name)
    }

    fn end(&mut self, name: BlockName, result: Result<Bytes, FetchError>) -> Step {
        match self.fetches.remove(&name) {
            Some(fetch) => Step::Done(fetch.users, result),
            None => Step::Wait,
        }
    }
}

impl Fetch {
    fn reject(&mut self, source: NodeId) {
        self.sources.retain(|(node, _)| *node != source);
    }
}

/// A partial proves itself when it is read; content is what its name says or nothing.
fn is_genuine(name: BlockName, bytes: &[u8]) -> bool {
    match name {
        BlockName::Content(hash) => Hash::of(bytes) == hash,
        BlockName::Partial(_) => true,
    }
}
