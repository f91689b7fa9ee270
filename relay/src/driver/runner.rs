//! The task that owns a node: takes inputs from everywhere, and carries out what each leads to.

use super::clock::Clock;
use super::compute::ComputePool;
use super::handle::{NodeEnd, NodeHandle};
use super::recording::Recording;
use super::storage::Storage;
use super::transport::{Transport, TransportEvent};
use serde::Serialize;
use shared::ids::{ClusterId, NodeId};
use shared::limits;
use shared::node::api::{Event, Reply, Request, RequestError};
use shared::node::{
    Deadline, Input, Node, Outgoing, PersistOp, PersistSequence, Ready, RelayNotice, RequestId,
};
use shared::storage::StorageError;
use shared::wire;
use shared::wire::session::{ClientFrame, Frame, Profile, RelayFrame};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

type Answer = oneshot::Sender<Result<Reply, RequestError>>;

/// What handles ask of the task.
#[derive(Debug)]
pub(super) enum Order {
    Request { id: RequestId, request: Request, answer: Answer },
    Abandon(RequestId),
    Profile(Profile),
    ShutDown,
}

/// What threads report.
#[derive(Debug)]
pub(super) enum Completion {
    Persisted(PersistSequence),
    StorageFailed(StorageError),
    Input(Input),
}

/// What a runner is put together from.
pub(super) struct Parts {
    pub me: NodeId,
    pub profile: Profile,
    pub node: Node,
    pub recording: Option<Recording>,
    pub clock: Clock,
    pub storage: Storage,
    pub transport: Transport,
    pub pool: Arc<ComputePool>,
    pub completions: mpsc::UnboundedSender<Completion>,
    pub completed: mpsc::UnboundedReceiver<Completion>,
}

pub(super) struct Runner {
    node: Node,
    recording: Option<Recording>,
    clock: Clock,
    storage: Storage,
    transport: Transport,
    pool: Arc<ComputePool>,
    completions: mpsc::UnboundedSender<Completion>,
    completed: mpsc::UnboundedReceiver<Completion>,
    orders: mpsc::UnboundedReceiver<Order>,
    /// Taken out while others were gathered, and next.
    order: Option<Order>,
    event: Option<TransportEvent>,
    events: broadcast::Sender<Event>,
    profile: watch::Sender<Profile>,
    answers: BTreeMap<RequestId, Answer>,
    /// Writes on their way to the disk, in order.
    unwritten: VecDeque<Unwritten>,
    deadline: Option<Deadline>,
}

/// What has to wait for a write.
struct Unwritten {
    sequence: PersistSequence,
    cluster: Option<ClusterId>,
    messages: Vec<Outgoing>,
}

/// What is taken in together: the more there is to do, the less each costs.
struct Gathered<T> {
    all: Vec<T>,
    bytes: usize,
}

impl<T: Serialize> Gathered<T> {
    fn new(first: T) -> Gathered<T> {
        Gathered { bytes: wire::encoded_bytes(&first), all: vec![first] }
    }

    fn has_room(&self) -> bool {
        self.all.len() < limits::INPUTS_AT_ONCE_MAX && self.bytes < limits::INPUTS_AT_ONCE_BYTES_MAX
    }

    /// Gives back what is too large to join the others.
    fn add(&mut self, next: T) -> Result<(), T> {
        let bytes = self.bytes + wire::encoded_bytes(&next);
        if bytes > limits::INPUTS_AT_ONCE_BYTES_MAX {
            return Err(next);
        }
        self.bytes = bytes;
        self.all.push(next);
        Ok(())
    }
}

impl Runner {
    pub fn start(parts: Parts) -> NodeHandle {
        let Parts { me, profile, node, recording, clock, storage, transport, pool, completions, completed } =
            parts;
        let (order_sender, orders) = mpsc::unbounded_channel();
        let (events, _) = broadcast::channel(limits::EVENTS_WAITING_MAX);
        let (profile, shown_profile) = watch::channel(profile);
        let (end_sender, end) = watch::channel(None);
        let handle = NodeHandle {
            me,
            room: transport.room().clone(),
            orders: order_sender,
            requests: Arc::new(AtomicU64::new(1)),
            places: Arc::new(Semaphore::new(limits::REQUESTS_WAITING_MAX)),
            events: events.clone(),
            profile: shown_profile,
            connection: transport.connection(),
            end,
        };
        let runner = Runner {
            node,
            recording,
            clock,
            storage,
            transport,
            pool,
            completions,
            completed,
            orders,
            order: None,
            event: None,
            events,
            profile,
            answers: BTreeMap::new(),
            unwritten: VecDeque::new(),
            deadline: None,
        };
        tokio::spawn(async move {
            let end = runner.run(me).await;
            let _ = end_sender.send(Some(end));
        });
        handle
    }

    async fn run(mut self, me: NodeId) -> NodeEnd {
        let mut ready = Ready::default();
        // The first deadline: a node that nobody speaks to must come to its own.
        let mut input = Some(Input::Deadline);
        let end = loop {
            if let Some(input) = input.take() {
                self.tell(input, &mut ready);
                if let Err(end) = self.carry_out(&mut ready) {
                    break end;
                }
            }
            match self.next_input().await {
                Ok(next) => input = next,
                Err(end) => break end,
            }
        };
        match &end {
            NodeEnd::ShutDown => tracing::info!(node = %me, "stopped"),
            failure => tracing::error!(node = %me, %failure, "stopped"),
        }
        self.close().await;
        end
    }

    fn tell(&mut self, input: Input, ready: &mut Ready) {
        let now = self.clock.now();
        if let Some(recording) = &mut self.recording {
            recording.input(now, &input);
        }
        self.node.handle(now, input, ready);
        if let Some(recording) = &mut self.recording {
            recording.output(ready);
        }
    }

    /// Waits for something to happen. `None`: it concerned only the driver.
    async fn next_input(&mut self) -> Result<Option<Input>, NodeEnd> {
        if let Some(order) = self.order.take() {
            return self.obey(Some(order));
        }
        if let Some(event) = self.event.take() {
            return self.hear(event);
        }
        let deadline = self.deadline.map(|deadline| self.clock.instant_of(deadline.at));
        tokio::select! {
            Some(completion) = self.completed.recv() => self.complete(completion),
            event = self.transport.next() => self.hear(event),
            order = self.orders.recv() => self.obey(order),
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                self.deadline = None;
                Ok(Some(Input::Deadline))
            }
        }
    }

    fn complete(&mut self, completion: Completion) -> Result<Option<Input>, NodeEnd> {
        match completion {
            Completion::Input(input) => Ok(Some(input)),
            Completion::StorageFailed(error) => Err(NodeEnd::Storage(error)),
            Completion::Persisted(sequence) => {
                while self.unwritten.front().is_some_and(|write| write.sequence <= sequence) {
                    let Some(Unwritten { cluster, messages, .. }) = self.unwritten.pop_front() else { break };
                    if let Some(cluster) = cluster {
                        self.transport.belongs_to(cluster);
                    }
                    messages.into_iter().for_each(|message| self.send(message));
                }
                Ok(Some(Input::Persisted(sequence)))
            }
        }
    }

    fn hear(&mut self, event: TransportEvent) -> Result<Option<Input>, NodeEnd> {
        match event {
            TransportEvent::Connected(welcome) => Ok(Some(Input::Connected(welcome))),
            TransportEvent::Disconnected => Ok(Some(Input::Disconnected)),
            TransportEvent::Said(RelayFrame::Deliver { from, frame }) => Ok(Some(self.frames(from, frame))),
            TransportEvent::Said(RelayFrame::Presence(presence)) => Ok(Some(Input::Presence(presence))),
            TransportEvent::Said(RelayFrame::Founded) => Ok(Some(Input::Founded)),
            // Only the beginning and the end of a connection have others, and the transport sees to both.
            TransportEvent::Said(_) => Ok(None),
            TransportEvent::Refused(refusal) => Err(NodeEnd::Refused(refusal)),
        }
    }

    fn obey(&mut self, order: Option<Order>) -> Result<Option<Input>, NodeEnd> {
        match order {
            Some(Order::Request { id, request, answer }) => {
                self.answers.insert(id, answer);
                Ok(Some(self.requests(id, request)))
            }
            Some(Order::Abandon(id)) => Ok(self.answers.remove(&id).map(|_| Input::Abandoned { id })),
            Some(Order::Profile(profile)) => Ok(Some(Input::Profile(profile))),
            Some(Order::ShutDown) | None => Err(NodeEnd::ShutDown),
        }
    }

    /// The frame, with those that wait behind it.
    fn frames(&mut self, from: NodeId, frame: Frame) -> Input {
        let mut gathered = Gathered::new((from, frame));
        while gathered.has_room()
            && let Some(event) = self.transport.try_next()
        {
            match event {
                TransportEvent::Said(RelayFrame::Deliver { from, frame }) => {
                    let Err((from, frame)) = gathered.add((from, frame)) else { continue };
                    self.event = Some(TransportEvent::Said(RelayFrame::Deliver { from, frame }));
                }
                other => self.event = Some(other),
            }
            break;
        }
        Input::Frames(gathered.all)
    }

    /// The request, with those that wait behind it.
    fn requests(&mut self, id: RequestId, request: Request) -> Input {
        let mut gathered = Gathered::new((id, request));
        while gathered.has_room()
            && let Ok(order) = self.orders.try_recv()
        {
            match order {
                Order::Request { id, request, answer } => match gathered.add((id, request)) {
                    Ok(()) => {
                        self.answers.insert(id, answer);
                        continue;
                    }
                    Err((id, request)) => self.order = Some(Order::Request { id, request, answer }),
                },
                other => self.order = Some(other),
            }
            break;
        }
        Input::Requests(gathered.all)
    }

    fn carry_out(&mut self, ready: &mut Ready) -> Result<(), NodeEnd> {
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
        send_now.drain(..).for_each(|message| self.send(message));
        let messages = std::mem::take(send_after_persist);
        match persist.take() {
            None => messages.into_iter().for_each(|message| self.send(message)),
            Some(persist) => {
                let cluster = persist.operations.iter().rev().find_map(|operation| match operation {
                    PersistOp::Cluster(cluster) => Some(*cluster),
                    PersistOp::Raft(_) => None,
                });
                self.unwritten.push_back(Unwritten { sequence: persist.sequence, cluster, messages });
                self.storage.persist(persist);
            }
        }
        to_relay.drain(..).for_each(|notice| self.tell_relay(notice));
        blocks.drain(..).for_each(|operation| self.storage.block(operation));
        for task in compute.drain(..) {
            if let Some(blocks) = self.storage.blocks() {
                self.pool.submit(task, blocks.clone(), self.completions.clone());
            }
        }
        for (id, result) in replies.drain(..) {
            // Whoever asked may be gone.
            let _ = self.answers.remove(&id).map(|answer| answer.send(result));
        }
        let mut fatal = None;
        for event in events.drain(..) {
            if let Event::Fatal(reason) = &event {
                fatal = Some(NodeEnd::Fatal(reason.clone()));
            }
            let _ = self.events.send(event);
        }
        self.deadline = deadline.take();
        fatal.map_or(Ok(()), Err)
    }

    fn send(&self, Outgoing { to, class, frame }: Outgoing) {
        self.transport.send(ClientFrame::Send { to, class, frame });
    }

    fn tell_relay(&self, notice: RelayNotice) {
        match notice {
            RelayNotice::Founded => self.transport.send(ClientFrame::Founded),
            RelayNotice::Profile(profile) => {
                self.transport.introduce(profile.clone());
                let _ = self.profile.send(profile.clone());
                self.transport.send(ClientFrame::Profile(profile));
            }
        }
    }

    /// Leaves the room, then lets the disk finish.
    async fn close(self) {
        let Runner { storage, transport, completed, recording, .. } = self;
        transport.close().await;
        // Tasks that still wait in the pool see that nobody wants them, and let go of the stores.
        drop(completed);
        if tokio::task::spawn_blocking(move || drop((storage, recording))).await.is_err() {
            tracing::error!("the node's files were not closed in order");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gathered_is_bounded_in_number_and_in_bytes() {
        let mut small = Gathered::new(0_u8);
        while small.has_room() {
            small.add(1).unwrap();
        }
        assert_eq!(small.all.len(), limits::INPUTS_AT_ONCE_MAX);

        // A length of up to 2 MiB takes 3 bytes.
        let of_bytes = |bytes: usize| "x".repeat(bytes - 3);
        let mut half = Gathered::new(of_bytes(limits::INPUTS_AT_ONCE_BYTES_MAX / 2));
        assert!(half.add(of_bytes(limits::INPUTS_AT_ONCE_BYTES_MAX / 2 + 1)).is_err());
        assert!(half.add(of_bytes(limits::INPUTS_AT_ONCE_BYTES_MAX / 2)).is_ok());
        assert!(!half.has_room());
        assert!(!Gathered::new(of_bytes(limits::INPUTS_AT_ONCE_BYTES_MAX)).has_room());
    }
}
