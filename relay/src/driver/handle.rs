//! What the rest of the process holds of a running node.

use super::runner::Order;
use shared::ids::{NodeId, RoomName};
use shared::limits;
use shared::node::RequestId;
use shared::node::api::{ErrorCode, Event, Reply, Request, RequestError};
use shared::storage::StorageError;
#[cfg(test)]
use shared::wire::session::Kind;
use shared::wire::session::{Profile, Refusal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};

/// A transfer takes some milliseconds, and is given up by the cluster after 300.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(500);

/// A running node. Clones are the same node; it runs until [`NodeHandle::shutdown`], or until it fails.
#[derive(Clone, Debug)]
pub struct NodeHandle {
    pub(super) me: NodeId,
    pub(super) room: RoomName,
    pub(super) orders: mpsc::UnboundedSender<Order>,
    pub(super) requests: Arc<AtomicU64>,
    pub(super) places: Arc<Semaphore>,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) profile: watch::Receiver<Profile>,
    pub(super) connection: watch::Receiver<Connection>,
    pub(super) end: watch::Receiver<Option<NodeEnd>>,
}

/// How a node stands with its relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Not yet, or not any more; it keeps trying. `trouble`: what went wrong last.
    Connecting {
        trouble: Option<String>,
    },
    Connected,
    /// Refused for a reason that trying again does not change.
    Refused(Refusal),
}

/// Why a node runs no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeEnd {
    #[error("the node was shut down")]
    ShutDown,
    #[error("{0}")]
    Refused(Refusal),
    #[error("the node's disk failed: {0}")]
    Storage(StorageError),
    #[error("the node cannot go on: {0}")]
    Fatal(String),
}

impl NodeHandle {
    pub fn id(&self) -> NodeId {
        self.me
    }

    pub fn room(&self) -> &RoomName {
        &self.room
    }

    /// What others see of this node.
    pub fn profile(&self) -> Profile {
        self.profile.borrow().clone()
    }

    /// Asks the node. Dropping the future takes the question back.
    pub async fn request(&self, request: Request) -> Result<Reply, RequestError> {
        let Ok(_place) = self.places.clone().try_acquire_owned() else { return Err(busy()) };
        let id = RequestId(self.requests.fetch_add(1, Ordering::Relaxed));
        let is_change = request.is_change();
        let (answer, answered) = oneshot::channel();
        if self.orders.send(Order::Request { id, request, answer }).is_err() {
            return Err(self.stopped_error(false));
        }
        let mut question = Question { id, orders: &self.orders, open: true };
        let reply = answered.await;
        question.open = false;
        reply.unwrap_or_else(|_| Err(self.stopped_error(is_change)))
    }

    /// What happens from now on. A watcher that is slow misses the oldest.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Shows this node differently.
    pub fn set_profile(&self, profile: Profile) {
        let _ = self.orders.send(Order::Profile(profile));
    }

    pub fn connection(&self) -> watch::Receiver<Connection> {
        self.connection.clone()
    }

    /// Hands leadership over, if this node has it, before it is stopped. A cluster that is in no state to take it is not
    /// waited for.
    pub async fn leave(&self) {
        let _late_or_stopped = tokio::time::timeout(LEAVE_TIMEOUT, self.request(Request::Leave)).await;
    }

    /// Stops the node, and returns when its files are closed.
    pub async fn shutdown(&self) -> NodeEnd {
        let _ = self.orders.send(Order::ShutDown);
        self.ended().await
    }

    /// Whether the node runs no more.
    pub fn has_ended(&self) -> bool {
        self.end.borrow().is_some()
    }

    /// Waits until the node runs no more, for whatever reason.
    pub async fn ended(&self) -> NodeEnd {
        let mut end = self.end.clone();
        match end.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or(NodeEnd::ShutDown),
            Err(_) => NodeEnd::Fatal("its task is gone".to_owned()),
        }
    }

    fn stopped_error(&self, is_change: bool) -> RequestError {
        let end = self.end.borrow().clone();
        let message = end.map_or_else(|| "the node has stopped".to_owned(), |end| end.to_string());
        RequestError::stopped(is_change, message, "ask another node")
    }
}

#[cfg(test)]
impl NodeHandle {
    /// A node that is made up, for tests of what stands on nodes: `answer` says what it says.
    pub fn made_up(
        events: broadcast::Sender<Event>,
        mut answer: impl FnMut(Request) -> Result<Reply, RequestError> + Send + 'static,
    ) -> NodeHandle {
        let me = NodeId::from_bytes([1; 10]);
        let profile = Profile {
            name: String::new(),
            kind: Kind::Server,
            http: None,
            threads: 1,
            hidden: false,
            domain: 0,
        };
        let (orders, mut ordered) = mpsc::unbounded_channel();
        let (end_sender, end) = watch::channel(None);
        tokio::spawn(async move {
            while let Some(order) = ordered.recv().await {
                match order {
                    // Whoever asked may have gone.
                    Order::Request { request, answer: reply, .. } => drop(reply.send(answer(request))),
                    Order::ShutDown => break,
                    Order::Abandon(_) | Order::Profile(_) => {}
                }
            }
            end_sender.send_replace(Some(NodeEnd::ShutDown));
        });
        NodeHandle {
            me,
            room: RoomName::default(),
            orders,
            requests: Arc::default(),
            places: Arc::new(Semaphore::new(limits::REQUESTS_WAITING_MAX)),
            events,
            profile: watch::channel(profile).1,
            connection: watch::channel(Connection::Connected).1,
            end,
        }
    }
}

fn busy() -> RequestError {
    RequestError {
        code: ErrorCode::Busy,
        message: format!("{} requests are waiting on this node", limits::REQUESTS_WAITING_MAX),
        hint: "try again in a moment, or ask another node".to_owned(),
    }
}

/// Takes a question back when whoever asked goes away before the answer.
struct Question<'a> {
    id: RequestId,
    orders: &'a mpsc::UnboundedSender<Order>,
    open: bool,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if self.open {
            let _ = self.orders.send(Order::Abandon(self.id));
        }
    }
}
