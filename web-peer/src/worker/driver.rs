//! Takes inputs from everywhere, and carries out what each leads to.

use super::blocks::{Blocks, Outcome, Work};
use super::calls::Calls;
use super::clock::{Alarm, Clock, Turns};
use super::counting::Pool;
use super::home::{Files, is_name};
use super::recording;
use super::signal::{Signal, Signals, Usage};
use super::tell_page;
use super::transport::{Link, LinkOutcome};
use super::upload::Upload;
use crate::bridge::{Attachment, CallId, SelfView, StoragePlace, StorageView, ToPage, ToWorker, in_pieces};
use futures_channel::mpsc::UnboundedReceiver;
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use shared::ids::ClusterId;
use shared::limits;
use shared::node::api::{Event, Request};
use shared::node::{
    Deadline, Input, Node, Outgoing, Persist, PersistOp, PersistSequence, Ready, RelayNotice, RequestId,
};
use shared::storage::{BlockStore, LogStore, StorageError};
use shared::wire::session::{ClientFrame, Profile, RelayFrame};
use std::collections::BTreeMap;
use wasm_bindgen::JsValue;

/// Signals that share one sync of the log at most.
const SIGNALS_PER_SYNC_MAX: usize = 256;

/// Why a driver ended.
pub enum End {
    Stopped,
    /// The room belongs to another cluster than this node's log.
    OtherCluster {
        hidden: bool,
    },
    Fatal(String),
    Disk(StorageError),
}

/// What a driver is put together from.
pub struct Parts {
    pub node: Node,
    pub clock: Clock,
    pub log: LogStore,
    pub blocks: BlockStore,
    pub files: Files,
    pub place: StoragePlace,
    pub remark: Option<String>,
    pub link: Link,
    pub pool: Pool,
    pub profile: Profile,
    pub view: SelfView,
    pub cluster: Option<ClusterId>,
    pub signals: Signals,
}

/// The order of the fields matters at the end: stores go before the files that they are in.
pub struct Driver {
    node: Node,
    clock: Clock,
    link: Link,
    pool: Pool,
    log: LogStore,
    blocks: Blocks,
    files: Files,
    turns: Turns,
    write_turns: Turns,
    alarm: Alarm,
    signals: Signals,
    calls: Calls,
    /// By the page, and not given to the node yet.
    asked: Vec<(RequestId, Request)>,
    uploads: BTreeMap<CallId, Upload>,
    ready: Ready,
    unsynced: Unsynced,
    deadline: Option<Deadline>,
    /// As the node last showed it.
    profile: Profile,
    view: SelfView,
    storage: StorageView,
    /// The cluster that the log is of, durably.
    cluster: Option<ClusterId>,
}

/// Writes that the next sync makes durable, and what waits for them.
#[derive(Default)]
struct Unsynced {
    last: Option<PersistSequence>,
    operations: Vec<PersistOp>,
    messages: Vec<Outgoing>,
}

impl Driver {
    pub fn new(parts: Parts) -> Result<Driver, JsValue> {
        let Parts {
            node,
            clock,
            log,
            blocks,
            files,
            place,
            remark,
            link,
            pool,
            profile,
            view,
            cluster,
            signals,
        } = parts;
        let turns_for = |signal: fn() -> Signal| {
            let signals = signals.clone();
            Turns::new(move || signals.send(signal()))
        };
        let (turns, write_turns) = (turns_for(|| Signal::StorageTurn)?, turns_for(|| Signal::WriteTurn)?);
        let storage = StorageView { place, used_bytes: 0, quota_bytes: 0, remark };
        tell_page(&ToPage::Storage(storage.clone()));
        Ok(Driver {
            node,
            clock,
            link,
            pool,
            log,
            blocks: Blocks::new(blocks),
            files,
            turns,
            write_turns,
            alarm: Alarm::default(),
            signals,
            calls: Calls::default(),
            asked: Vec::new(),
            uploads: BTreeMap::new(),
            ready: Ready::default(),
            unsynced: Unsynced::default(),
            deadline: None,
            profile,
            view,
            storage,
            cluster,
        })
    }

    /// Runs until the node ends. `page` outlives it, should another node follow.
    pub async fn run(
        mut self,
        inbox: UnboundedReceiver<Signal>,
        page: &mut UnboundedReceiver<Signal>,
    ) -> End {
        let mut signals = stream::select(inbox, page);
        // The first deadline: a node that nobody speaks to must come to its own.
        let mut outcome = self.feed(Input::Deadline).and_then(|()| self.settle());
        while outcome.is_ok() {
            outcome = self.gather(&mut signals).await;
            outcome = outcome.and_then(|()| self.ask()).and_then(|()| self.settle());
        }
        self.link.close();
        outcome.err().unwrap_or(End::Stopped)
    }

    /// Waits for a signal and takes it, with all that share a sync with it. The browser delivers each message by itself and wakes
    /// this driver for it; so when there is something to write, whatever has arrived is waited for, once round the event loop.
    async fn gather(&mut self, signals: &mut (impl Stream<Item = Signal> + Unpin)) -> Result<(), End> {
        let first = signals.next().await.ok_or(End::Stopped)?;
        self.take(first)?;
        let mut has_waited = false;
        for _ in 1..SIGNALS_PER_SYNC_MAX {
            let writes = self.unsynced.last.is_some() || !self.asked.is_empty();
            if writes && !std::mem::replace(&mut has_waited, true) {
                self.write_turns.request();
            }
            let next = match self.write_turns.is_awaited() {
                true => signals.next().await,
                false => match signals.next().now_or_never() {
                    Some(next) => next,
                    None => return Ok(()),
                },
            };
            self.take(next.ok_or(End::Stopped)?)?;
        }
        Ok(())
    }

    fn take(&mut self, signal: Signal) -> Result<(), End> {
        match signal {
            Signal::Page(message, attachment) => return self.obey(message, attachment),
            Signal::Link(signal) => {
                let outcome = self.link.take(signal, self.cluster, &self.profile);
                return self.hear(outcome);
            }
            Signal::Deadline => {
                self.alarm.rang();
                return self.feed(Input::Deadline);
            }
            Signal::StorageTurn => {
                self.turns.came();
                return self.storage_turn();
            }
            Signal::WriteTurn => self.write_turns.came(),
            Signal::Call { request, reply } => {
                if let Some(id) = self.calls.add_upload(&request, reply) {
                    return self.feed(Input::request(id, request));
                }
            }
            Signal::Counter(signal) => self.pool.take(signal, &mut self.blocks),
            Signal::Tell(message) => tell_page(&message),
            Signal::UploadEnded(id) => {
                self.uploads.remove(&id);
            }
            Signal::Usage(usage) => self.show_usage(usage),
        }
        Ok(())
    }

    /// Gives the node all that the page asked since the last time.
    fn ask(&mut self) -> Result<(), End> {
        let asked = std::mem::take(&mut self.asked);
        in_pieces(asked, limits::INPUTS_AT_ONCE_MAX, limits::INPUTS_AT_ONCE_BYTES_MAX)
            .into_iter()
            .try_for_each(|requests| self.feed(Input::Requests(requests)))
    }

    fn obey(&mut self, message: ToWorker, attachment: Attachment) -> Result<(), End> {
        if let ToWorker::Requests { id, requests } = message {
            self.asked.extend(self.calls.add_page(id, requests));
            return Ok(());
        }
        self.ask()?;
        match message {
            ToWorker::Abandon { id } => {
                if let Some(upload) = self.uploads.get(&id) {
                    upload.cancel();
                }
                for id in self.calls.abandon(id) {
                    self.feed(Input::Abandoned { id })?;
                }
            }
            ToWorker::Upload { id, options } => {
                if let Attachment::Blob(blob) = attachment {
                    self.uploads.insert(id, Upload::start(id, options, blob, self.signals.clone()));
                }
            }
            ToWorker::Rename { name } if is_name(&name) => {
                self.files.remember_name(&name);
                return self.feed(Input::Profile(Profile { name, ..self.profile.clone() }));
            }
            ToWorker::Hidden(hidden) if hidden != self.profile.hidden => {
                return self.feed(Input::Profile(Profile { hidden, ..self.profile.clone() }));
            }
            ToWorker::Recording => recording::hand_over(),
            ToWorker::Leaving(leaving) => return self.feed(Input::Leaving(leaving)),
            ToWorker::Stop => return Err(End::Stopped),
            ToWorker::Start(_)
            | ToWorker::Requests { .. }
            | ToWorker::Rename { .. }
            | ToWorker::Hidden(_) => {}
        }
        Ok(())
    }

    fn hear(&mut self, outcome: LinkOutcome) -> Result<(), End> {
        match outcome {
            LinkOutcome::Nothing => Ok(()),
            LinkOutcome::Lost => self.feed(Input::Disconnected),
            LinkOutcome::OtherCluster => Err(End::OtherCluster { hidden: self.profile.hidden }),
            LinkOutcome::Frame(RelayFrame::Welcome(welcome)) => self.feed(Input::Connected(welcome)),
            LinkOutcome::Frame(RelayFrame::Deliver { from, frame }) => self.feed(Input::frame(from, frame)),
            LinkOutcome::Frame(RelayFrame::Presence(presence)) => self.feed(Input::Presence(presence)),
            LinkOutcome::Frame(RelayFrame::Founded) => self.feed(Input::Founded),
            // The link has dealt with these.
            LinkOutcome::Frame(RelayFrame::Challenge { .. } | RelayFrame::Refused(_)) => Ok(()),
        }
    }

    fn feed(&mut self, input: Input) -> Result<(), End> {
        let mut ready = std::mem::take(&mut self.ready);
        let now = self.clock.now();
        recording::input(now, &input);
        self.node.handle(now, input, &mut ready);
        recording::output(&ready);
        let outcome = self.carry_out(&mut ready);
        self.ready = ready;
        outcome
    }

    fn carry_out(&mut self, ready: &mut Ready) -> Result<(), End> {
        let Ready {
            send_now,
            persist,
            send_after_persist,
            to_relay,
            blocks,
            compute,
            replies,
            events,
            deadline,
        } = ready;
        send_now.drain(..).for_each(|message| self.link.send(message));
        match persist.take() {
            None => send_after_persist.drain(..).for_each(|message| self.link.send(message)),
            Some(Persist { sequence, operations }) => {
                self.unsynced.last = Some(sequence);
                self.unsynced.operations.extend(operations);
                self.unsynced.messages.append(send_after_persist);
            }
        }
        to_relay.drain(..).for_each(|notice| self.tell_relay(notice));
        blocks.drain(..).for_each(|operation| self.blocks.add(Work::Operation(operation)));
        compute.drain(..).for_each(|task| self.pool.add(task, &mut self.blocks));
        replies.drain(..).for_each(|(id, result)| self.calls.answer(id, result));
        self.deadline = deadline.take();
        events.drain(..).try_for_each(|event| match event {
            Event::Fatal(reason) => Err(End::Fatal(reason)),
            event => {
                tell_page(&ToPage::Event(event));
                Ok(())
            }
        })
    }

    fn tell_relay(&mut self, notice: RelayNotice) {
        match notice {
            RelayNotice::Founded => self.link.notify(&ClientFrame::Founded),
            RelayNotice::Profile(profile) => {
                self.profile = profile.clone();
                if self.view.name != profile.name {
                    self.view.name.clone_from(&profile.name);
                    tell_page(&ToPage::Identity(self.view.clone()));
                }
                self.link.notify(&ClientFrame::Profile(profile));
            }
        }
    }

    /// What a batch of signals leaves behind: one sync for all its writes, too many blocks, news, the next deadline.
    fn settle(&mut self) -> Result<(), End> {
        self.sync()?;
        while self.blocks.is_overfull() {
            self.storage_turn()?;
            self.sync()?;
        }
        if let Some(connection) = self.link.news.take() {
            tell_page(&ToPage::Connection(connection));
        }
        if !self.blocks.is_idle() {
            self.turns.request();
        }
        let signals = self.signals.clone();
        self.alarm.set(self.deadline, self.clock.now(), move || signals.send(Signal::Deadline));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), End> {
        // What becomes durable can lead to more that has to, a commit to a snapshot for one.
        while let Some(last) = self.unsynced.last.take() {
            let operations = std::mem::take(&mut self.unsynced.operations);
            self.log.apply(&operations).map_err(End::Disk)?;
            for operation in &operations {
                if let PersistOp::Cluster(cluster) = operation {
                    self.cluster = Some(*cluster);
                }
            }
            let messages = std::mem::take(&mut self.unsynced.messages);
            messages.into_iter().for_each(|message| self.link.send(message));
            self.feed(Input::Persisted(last))?;
        }
        Ok(())
    }

    fn storage_turn(&mut self) -> Result<(), End> {
        let mut outcomes = Vec::new();
        self.blocks.turn(self.files.blocks.as_ref(), &mut outcomes);
        for outcome in outcomes {
            match outcome {
                Outcome::Node(input) => self.feed(input)?,
                Outcome::Loaded { ticket, name, result } => {
                    self.pool.bring(ticket, name, result, &mut self.blocks)
                }
            }
        }
        Ok(())
    }

    fn show_usage(&mut self, usage: Usage) {
        let Usage { persistent, used_bytes, quota_bytes } = usage;
        let mut view = StorageView { used_bytes, quota_bytes, ..self.storage.clone() };
        if let StoragePlace::Disk { persistent: shown } = &mut view.place {
            *shown = persistent;
            self.blocks.set_room(used_bytes, quota_bytes);
        }
        if view != self.storage {
            tell_page(&ToPage::Storage(view.clone()));
            self.storage = view;
        }
    }
}
