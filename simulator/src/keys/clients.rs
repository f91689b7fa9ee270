//! Clients and watchers, and how they understand what they are told.

use super::chronicle::{Chronicle, number};
use super::history::{History, Judgement};
use super::{KEYS, PASSING, key};
use crate::checker::Violation;
use crate::workload::Call;
use crate::world::START;
use bytes::Bytes;
use linearizability::{Answer, Condition, Operation, Request};
use shared::ids::NodeId;
use shared::node::api::{Consistency, ErrorCode, Reply, RequestError};
use shared::node::{self, Input, RequestId};
use shared::rng::Rng;
use shared::state_machine::{self, KeyChange, KeyOperation, State, Version};
use shared::time::{Duration, Time};
use std::collections::{BTreeMap, BTreeSet};

const WATCHERS: usize = 2;

/// Their requests are told from those of others by their numbers.
const FIRST_REQUEST: u64 = 1_000_000;

/// When it is somebody's turn. Turns that were planned before the latest are off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    pub at: Time,
    who: usize,
    number: u64,
}

pub struct Clients {
    /// One for each key, and then the watchers.
    all: Vec<Client>,
    /// Who waits for which answer.
    open: BTreeMap<RequestId, usize>,
    /// Nobody waits for these any more, and an answer may be on its way.
    given_up: BTreeSet<RequestId>,
    next_request: u64,
    next_value: u64,
    ttl: Duration,
    history: History,
    chronicle: Chronicle,
    /// The newest version of each key that each process has shown.
    shown: BTreeMap<(NodeId, usize), Version>,
    troubled: bool,
    pub answered: u64,
    pub unknown: u64,
}

#[derive(Default)]
struct Client {
    turn: u64,
    open: Option<Open>,
    /// What it read or wrote last of each key.
    versions: [Option<u64>; KEYS],
    /// What it will ask once more, somewhere else.
    again: Option<(usize, Request)>,
    /// A watcher: up to where it knows everything.
    watched: Version,
    /// After all faults: what it has done of a put and a read of its key.
    done: u8,
}

struct Open {
    request: RequestId,
    node: NodeId,
    called_at: Time,
    what: What,
}

enum What {
    Operation { key: usize, request: Request },
    StaleRead { key: usize },
    Watch,
}

impl Clients {
    pub fn new(rng: &mut Rng) -> Clients {
        Clients {
            all: (0..KEYS + WATCHERS).map(|_| Client::default()).collect(),
            open: BTreeMap::new(),
            given_up: BTreeSet::new(),
            next_request: FIRST_REQUEST,
            next_value: 0,
            ttl: rng.between(Duration::from_millis(100), Duration::from_secs(4)),
            history: History::default(),
            chronicle: Chronicle::default(),
            shown: BTreeMap::new(),
            troubled: true,
            answered: 0,
            unknown: 0,
        }
    }

    /// Everybody begins some time soon.
    pub fn begin(&mut self, now: Time, rng: &mut Rng) -> Vec<Turn> {
        (0..self.all.len()).map(|who| self.next_turn(who, now, (100, 1_500), rng)).collect()
    }

    /// From now on each client puts its key and reads it, and that has to succeed.
    pub fn trouble_over(&mut self, now: Time, rng: &mut Rng) -> Vec<Turn> {
        self.troubled = false;
        (0..self.all.len()).map(|who| self.next_turn(who, now, (0, 500), rng)).collect()
    }

    fn next_turn(&mut self, who: usize, now: Time, millis: (u64, u64), rng: &mut Rng) -> Turn {
        let client = &mut self.all[who];
        client.turn += 1;
        let wait = rng.between(Duration::from_millis(millis.0), Duration::from_millis(millis.1));
        Turn { at: now + wait, who, number: client.turn }
    }

    /// Somebody's time has come: what it waited for it gives up, and asks the next.
    pub fn act(&mut self, turn: Turn, up: &[NodeId], rng: &mut Rng) -> (Vec<Call>, Option<Turn>) {
        let Turn { at, who, number } = turn;
        if self.all[who].turn != number {
            return (Vec::new(), None);
        }
        let mut calls = Vec::new();
        if let Some(open) = self.all[who].open.take() {
            calls.push(Call { node: open.node, input: Input::Abandoned { id: open.request } });
            self.open.remove(&open.request);
            self.given_up.insert(open.request);
            self.never_known(who, open, rng);
        }
        if up.is_empty() {
            return (calls, Some(self.next_turn(who, at, (100, 500), rng)));
        }
        let Some(what) = self.choose(who, rng) else { return (calls, None) };
        let node = up[rng.below(up.len() as u64) as usize];
        self.next_request += 1;
        let request = RequestId(self.next_request);
        calls.push(Call { node, input: Input::request(request, self.ask(&what, who)) });
        self.open.insert(request, who);
        self.all[who].open = Some(Open { request, node, called_at: at, what });
        (calls, Some(self.next_turn(who, at, (500, 5_000), rng)))
    }

    fn choose(&mut self, who: usize, rng: &mut Rng) -> Option<What> {
        if who >= KEYS {
            return Some(What::Watch);
        }
        if !self.troubled {
            let request = match self.all[who].done {
                0 => Request::Put(self.new_value(who), Condition::Any),
                1 => Request::Get,
                _ => return None,
            };
            return Some(What::Operation { key: who, request });
        }
        if let Some((key, request)) = self.all[who].again.take() {
            return Some(What::Operation { key, request });
        }
        let key = rng.below(KEYS as u64) as usize;
        let known = match self.all[who].versions[key].take() {
            Some(version) => Condition::Version(version),
            None => Condition::Absent,
        };
        let request = match rng.below(20) {
            0..5 => Request::Put(self.new_value(key), Condition::Any),
            5..10 => Request::Put(self.new_value(key), known),
            10..12 => Request::Delete(Condition::Any),
            12 => Request::Delete(known),
            13..16 => return Some(What::StaleRead { key }),
            _ => Request::Get,
        };
        Some(What::Operation { key, request })
    }

    fn new_value(&mut self, key: usize) -> u64 {
        self.next_value += 1;
        self.chronicle.call(self.next_value, key);
        self.next_value
    }

    fn ask(&self, what: &What, who: usize) -> node::api::Request {
        use node::api::Request::{ChangeKey, GetKey, WatchKeys};
        let change = |number: usize, condition: &Condition, operation| ChangeKey {
            change: KeyChange { key: key(number), condition: condition_of(*condition), operation },
        };
        match what {
            What::Watch => WatchKeys { prefix: String::new(), after: Some(self.all[who].watched) },
            What::StaleRead { key: number } => GetKey { key: key(*number), consistency: Consistency::Stale },
            What::Operation { key: number, request: Request::Get } => {
                GetKey { key: key(*number), consistency: Consistency::Linearizable }
            }
            What::Operation { key, request: Request::Put(value, condition) } => {
                let value = Bytes::from(value.to_string());
                let ttl = (*key == PASSING).then_some(self.ttl);
                change(*key, condition, KeyOperation::Put { value, ttl })
            }
            What::Operation { key, request: Request::Delete(condition) } => {
                change(*key, condition, KeyOperation::Delete)
            }
        }
    }

    /// Whether this is an answer for one of us.
    pub fn is_ours(id: RequestId) -> bool {
        id.0 >= FIRST_REQUEST
    }

    pub fn answer(
        &mut self,
        now: Time,
        id: RequestId,
        result: Result<Reply, RequestError>,
        rng: &mut Rng,
    ) -> Result<Option<Turn>, Violation> {
        if self.given_up.remove(&id) {
            return Ok(None);
        }
        let open = self.open.remove(&id).and_then(|who| Some((who, self.all[who].open.take()?)));
        let Some((who, open)) = open else {
            return Err(Violation::Workload(format!("request {} was answered twice", id.0)));
        };
        self.understand(now, who, open, result, rng).map_err(Violation::Keys)?;
        let pause = if self.troubled { (50, 1_000) } else { (0, 100) };
        let pause = if who < KEYS { pause } else { (0, 20) };
        Ok(Some(self.next_turn(who, now, pause, rng)))
    }

    fn understand(
        &mut self,
        now: Time,
        who: usize,
        open: Open,
        result: Result<Reply, RequestError>,
        rng: &mut Rng,
    ) -> Result<(), String> {
        let code = result.as_ref().err().map(|error| error.code);
        match code {
            Some(ErrorCode::Timeout | ErrorCode::UnknownOutcome) => {
                self.never_known(who, open, rng);
                return Ok(());
            }
            // It certainly changed nothing.
            Some(ErrorCode::NoQuorum | ErrorCode::NotReady | ErrorCode::Busy) => return Ok(()),
            _ => self.answered += 1,
        }
        let Open { node, called_at, what, .. } = open;
        let (key, request) = match what {
            What::Watch => return self.watched(who, result),
            What::StaleRead { key } => return self.read(node, key, result).map(drop),
            What::Operation { key, request } => (key, request),
        };
        let answer = match (request, result) {
            (Request::Get, result) => Answer::Found(self.read(node, key, result)?),
            (Request::Put(value, _), Ok(Reply::KeyPut { version, .. })) => {
                self.chronicle.told(version, key, Some(value))?;
                Answer::Written(version.get())
            }
            (Request::Put(..) | Request::Delete(_), Ok(Reply::KeyConflict { current })) => {
                Answer::Conflict(current.map(Version::get))
            }
            (Request::Delete(_), Ok(Reply::Done)) => Answer::Deleted,
            (Request::Delete(_), Err(RequestError { code: ErrorCode::NotFound, .. })) => Answer::NoKey,
            (request, result) => return Err(format!("nobody expected {result:?} to {request:?}")),
        };
        let client = &mut self.all[who];
        client.done += u8::from(!self.troubled);
        client.versions[key] = match answer {
            Answer::Found(found) => found.map(|(_, version)| version),
            Answer::Written(version) => Some(version),
            Answer::Conflict(current) => current,
            Answer::Deleted | Answer::NoKey => None,
        };
        self.note(who, key, called_at, request, Some((moment(now), answer)));
        Ok(())
    }

    /// A member's state only ever goes on, so what it shows does too, however old it is.
    fn read(
        &mut self,
        node: NodeId,
        key: usize,
        result: Result<Reply, RequestError>,
    ) -> Result<Option<(u64, u64)>, String> {
        let view = match result {
            Ok(Reply::Key(view)) => view,
            Err(RequestError { code: ErrorCode::NotFound, .. }) => return Ok(None),
            other => return Err(format!("nobody expected {other:?} to a read")),
        };
        let value = number(view.value.as_deref().unwrap_or_default())?;
        self.chronicle.told(view.version, key, Some(value))?;
        let shown = self.shown.entry((node, key)).or_default();
        if view.version < *shown {
            return Err(format!("{node:?} shows version {} of key {key} after {shown}", view.version));
        }
        *shown = view.version;
        Ok(Some((value, view.version.get())))
    }

    fn watched(&mut self, who: usize, result: Result<Reply, RequestError>) -> Result<(), String> {
        let watched = &mut self.all[who].watched;
        match result {
            Ok(Reply::KeyEvents { events, next }) => {
                self.chronicle.watched(*watched, &events)?;
                *watched = next;
            }
            Ok(Reply::KeyEventsMissed { version }) => *watched = version.max(*watched),
            other => return Err(format!("nobody expected {other:?} to a watch")),
        }
        Ok(())
    }

    /// It may have happened, may happen later, or never.
    fn never_known(&mut self, who: usize, open: Open, rng: &mut Rng) {
        let What::Operation { key, request } = open.what else { return };
        self.unknown += 1;
        self.note(who, key, open.called_at, request, None);
        // A condition on a version holds once, so a second attempt does no harm.
        if matches!(request, Request::Put(_, Condition::Version(_))) && rng.below(2) == 0 {
            self.all[who].again = Some((key, request));
        }
    }

    fn note(
        &mut self,
        who: usize,
        number: usize,
        called_at: Time,
        request: Request,
        answered: Option<(u64, Answer)>,
    ) {
        let (client, key) = (who as u32, key(number).to_string());
        let called_at = moment(called_at);
        self.history.add(Operation { client, key, called_at, request, answered });
    }

    /// The process died: it answers nothing any more, and the next one may begin with an older state.
    pub fn lost(&mut self, node: NodeId, now: Time, rng: &mut Rng) -> Vec<Turn> {
        self.shown.retain(|(shown_by, _), _| *shown_by != node);
        let mut turns = Vec::new();
        for who in 0..self.all.len() {
            if let Some(open) = self.all[who].open.take_if(|open| open.node == node) {
                self.open.remove(&open.request);
                self.never_known(who, open, rng);
                turns.push(self.next_turn(who, now, (10, 500), rng));
            }
        }
        turns
    }

    /// What was not done after all faults.
    pub fn missing(&self, state: &State) -> Result<Option<String>, Violation> {
        let (clients, watchers) = self.all.split_at(KEYS);
        if let Some(number) = clients.iter().position(|client| client.done < 2) {
            let what = if clients[number].done == 0 { "put" } else { "read" };
            return Ok(Some(format!("a {what} of key {number}")));
        }
        let last = state.keys.version();
        if watchers.iter().any(|watcher| watcher.watched < last) {
            return Ok(Some(format!("the news of version {last} to those who watch")));
        }
        self.chronicle.agrees(state).transpose().map_err(Violation::Keys)?;
        Ok(None)
    }

    pub fn is_told_in_full(&self, state: &State) -> bool {
        self.chronicle.agrees(state).is_some()
    }

    pub fn judge(&self, apart: Duration) -> Judgement {
        self.history.judge(&self.chronicle, self.ttl, apart)
    }
}

/// Since the run began.
fn moment(time: Time) -> u64 {
    time.since(START).as_micros() as u64
}

fn condition_of(condition: Condition) -> state_machine::Condition {
    match condition {
        Condition::Any => state_machine::Condition::Any,
        Condition::Absent => state_machine::Condition::Absent,
        Condition::Version(version) => state_machine::Condition::Version(Version::new(version)),
    }
}
