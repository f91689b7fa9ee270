//! Keys as clients see them: what the state holds, and its changes as they happen.

use super::api::{KeyQuery, KeyView, Reply, RequestError};
use super::context::Context;
use super::contract::RequestId;
use super::failures;
use crate::limits;
use crate::state_machine::{
    Change, Entry, Key, KeyChange, KeyEvent, KeyHappened, KeyOperation, Outcome, Rejection, Version,
};
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(super) fn get(context: &Context<'_>, key: &Key, now: Time) -> Result<Reply, RequestError> {
    let entry = context.state.keys.get(key, now).ok_or_else(|| failures::rejected(Rejection::NoKey))?;
    Ok(Reply::Key(Box::new(view(context, key, entry, true))))
}

/// A page: at least one key, and no more than the limits allow.
pub(super) fn list(context: &Context<'_>, query: &KeyQuery) -> Reply {
    let state = context.state;
    let limit = (query.limit as usize).clamp(1, limits::KEYS_PAGE_MAX);
    let mut rest = state.keys.with_prefix(&query.prefix, query.after.as_ref(), state.now).peekable();
    let mut keys: Vec<KeyView> = Vec::new();
    let mut bytes = 0;
    while let Some((key, entry)) = rest.peek() {
        bytes += if query.values { entry.value.len() } else { 0 };
        if keys.len() >= limit || (bytes > limits::KEYS_PAGE_BYTES_MAX && !keys.is_empty()) {
            break;
        }
        keys.push(view(context, key, entry, query.values));
        rest.next();
    }
    let next = rest.peek().and(keys.last()).map(|last| last.key.clone());
    Reply::Keys { keys, next, version: state.keys.version() }
}

fn view(context: &Context<'_>, key: &Key, entry: &Entry, with_value: bool) -> KeyView {
    KeyView {
        key: key.clone(),
        version: entry.version,
        bytes: entry.value.len() as u64,
        ttl: entry.expires_at.map(|at| at.since(context.cluster_time())),
        value: with_value.then(|| entry.value.clone()),
    }
}

/// What the log would refuse, or not take at all.
pub(super) fn check(change: &KeyChange) -> Result<(), RequestError> {
    match &change.operation {
        KeyOperation::Put { value, .. } if value.len() > limits::VALUE_BYTES_MAX => {
            Err(failures::rejected(Rejection::ValueTooLarge { bytes_max: limits::VALUE_BYTES_MAX as u32 }))
        }
        _ => Ok(()),
    }
}

/// A condition that did not hold is an answer, not an error.
pub(super) fn changed(outcome: Outcome) -> Result<Reply, RequestError> {
    match outcome {
        Outcome::Put { version, created } => Ok(Reply::KeyPut { version, created }),
        Outcome::Rejected(Rejection::KeyConflict { current }) => Ok(Reply::KeyConflict { current }),
        Outcome::Rejected(rejection) => Err(failures::rejected(rejection)),
        Outcome::Done | Outcome::Opened(_) => Ok(Reply::Done),
    }
}

/// A node that has not joined yet knows of no key, which says nothing.
pub(super) fn is_known_here(context: &Context<'_>) -> Result<(), RequestError> {
    if context.membership.contains(context.me) {
        return Ok(());
    }
    Err(failures::not_a_member())
}

/// The latest changes, and whoever waits for the next.
#[derive(Debug, Default)]
pub(super) struct Watches {
    history: VecDeque<KeyEvent>,
    /// Of the values in it.
    bytes: usize,
    /// The history has every change after this one.
    since: Version,
    waiting: BTreeMap<RequestId, Watch>,
    by_prefix: BTreeMap<String, BTreeSet<RequestId>>,
}

#[derive(Debug)]
struct Watch {
    prefix: String,
    after: Version,
}

impl Watches {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Answered as soon as there is a change after `after`, or from now on.
    pub fn watch(
        &mut self,
        context: &mut Context<'_>,
        id: RequestId,
        prefix: String,
        after: Option<Version>,
    ) {
        let now = context.state.keys.version();
        let watch = Watch { prefix, after: after.unwrap_or(now) };
        if watch.after > now {
            context.reply(id, Err(failures::no_such_version(watch.after, now)));
            return;
        }
        if watch.after < self.since {
            context.reply(id, Ok(Reply::KeyEventsMissed { version: now }));
            return;
        }
        match self.events(&watch, now) {
            Some(reply) => context.reply(id, Ok(reply)),
            None => {
                self.by_prefix.entry(watch.prefix.clone()).or_default().insert(id);
                self.waiting.insert(id, Watch { after: now, ..watch });
            }
        }
    }

    pub fn applied(&mut self, context: &mut Context<'_>, changes: &[Change]) {
        let mut concerned = BTreeSet::new();
        let mut before = None;
        for change in changes {
            let Change::Key(event) = change else { continue };
            before.get_or_insert(Version::new(event.version.get() - 1));
            self.concerned(event, &mut concerned);
            self.keep(event.clone());
        }
        let Some(before) = before else { return };
        for id in concerned {
            let Some(mut watch) = self.waiting.remove(&id) else { continue };
            // Nothing before these changes concerned it, or it would not wait.
            watch.after = watch.after.max(before);
            let now = context.state.keys.version();
            let missed = watch.after < self.since;
            match self.events(&watch, now) {
                _ if missed => self.answer(context, id, &watch, Reply::KeyEventsMissed { version: now }),
                Some(reply) => self.answer(context, id, &watch, reply),
                None => drop(self.waiting.insert(id, watch)),
            }
        }
    }

    /// A snapshot took the place of the state: what lies between is not known.
    pub fn restored(&mut self, context: &mut Context<'_>) {
        let version = context.state.keys.version();
        self.history.clear();
        self.bytes = 0;
        self.since = version;
        self.by_prefix.clear();
        for id in std::mem::take(&mut self.waiting).into_keys() {
            context.reply(id, Ok(Reply::KeyEventsMissed { version }));
        }
    }

    pub fn abandon(&mut self, id: RequestId) {
        if let Some(watch) = self.waiting.remove(&id) {
            self.forget_prefix(id, &watch.prefix);
        }
    }

    fn answer(&mut self, context: &mut Context<'_>, id: RequestId, watch: &Watch, reply: Reply) {
        self.forget_prefix(id, &watch.prefix);
        context.reply(id, Ok(reply));
    }

    fn forget_prefix(&mut self, id: RequestId, prefix: &str) {
        if let Some(ids) = self.by_prefix.get_mut(prefix) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_prefix.remove(prefix);
            }
        }
    }

    /// Only those are looked at whom the change concerns.
    fn concerned(&self, event: &KeyEvent, ids: &mut BTreeSet<RequestId>) {
        if self.by_prefix.is_empty() {
            return;
        }
        let key = event.key.as_str();
        let ends = key.char_indices().map(|(end, _)| end).chain([key.len()]);
        ids.extend(ends.filter_map(|end| self.by_prefix.get(&key[..end])).flatten());
    }

    fn keep(&mut self, event: KeyEvent) {
        self.bytes += value_bytes(&event);
        self.history.push_back(event);
        while self.history.len() > limits::KEY_EVENTS_KEPT_MAX || self.bytes > limits::KEY_EVENTS_BYTES_MAX {
            let Some(oldest) = self.history.pop_front() else { return };
            self.bytes -= value_bytes(&oldest);
            self.since = oldest.version;
        }
    }

    /// What happened after `watch.after`, a page of it; `None` if nothing that concerns it.
    fn events(&self, watch: &Watch, now: Version) -> Option<Reply> {
        let start = self.history.partition_point(|event| event.version <= watch.after);
        let mut rest =
            self.history.range(start..).filter(|event| event.key.as_str().starts_with(&watch.prefix));
        let mut events: Vec<KeyEvent> = Vec::new();
        let mut bytes = 0;
        let mut next = now;
        for event in &mut rest {
            bytes += value_bytes(event);
            let full = events.len() >= limits::KEYS_PAGE_MAX || bytes > limits::KEYS_PAGE_BYTES_MAX;
            if full && let Some(last) = events.last() {
                next = last.version;
                break;
            }
            events.push(event.clone());
        }
        (!events.is_empty()).then_some(Reply::KeyEvents { events, next })
    }
}

fn value_bytes(event: &KeyEvent) -> usize {
    match &event.happened {
        KeyHappened::Put { value, .. } => value.len(),
        KeyHappened::Deleted | KeyHappened::Expired => 0,
    }
}
