//! A node's way to its relay: in this process or over a socket, and again and again when it breaks.

mod dial;
mod pace;

use crate::broker::{Admitted, Offered};
use crate::hub::{Hub, Mailbox};
use dial::Socket;
use pace::Pace;
use shared::ids::{ClusterId, RoomName};
use shared::wire::identity::{Identity, RoomToken};
use shared::wire::session::{Claim, Class, ClientFrame, Profile, Refusal, RelayFrame, Welcome};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use super::handle::Connection;
use super::random_bytes;

/// Frames that wait for the node. Those behind them wait in the relay, which drops bulk before it cuts.
const INBOUND_MAX: usize = 8;

/// A room on a relay somewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct RelayAddress {
    /// `http://HOST:PORT`, without a path.
    pub origin: String,
    pub room: RoomName,
    pub token: Option<RoomToken>,
}

/// How a node gets to its room.
#[derive(Clone, Debug)]
pub enum Way {
    /// Hosted by the relay in this process: frames are handed over, never encoded.
    Hosted {
        hub: Arc<Hub>,
        room: RoomName,
    },
    Remote(RelayAddress),
}

/// The runner's end. The other end is a task that keeps the connection.
#[derive(Debug)]
pub(super) struct Transport {
    room: RoomName,
    events: mpsc::Receiver<TransportEvent>,
    link: Arc<Uplink>,
    connection: watch::Receiver<Connection>,
    connected: bool,
    task: JoinHandle<()>,
}

#[derive(Debug)]
pub(super) enum TransportEvent {
    Connected(Welcome),
    Disconnected,
    Said(RelayFrame),
    /// For good: the transport has given up.
    Refused(Refusal),
}

/// What both ends share.
#[derive(Debug)]
struct Uplink {
    outbox: Mailbox<ClientFrame>,
    introduction: Mutex<Introduction>,
    /// The relay reads so slowly that the connection is better made anew.
    reset: Notify,
}

/// How the node introduces itself at the next handshake.
#[derive(Clone, Debug)]
struct Introduction {
    claim: Claim,
    profile: Profile,
}

/// Why a connection was not made, or has ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Trouble {
    #[error("the relay refused: {0}")]
    Refused(Refusal),
    #[error("the relay cannot be reached: {0}")]
    Unreachable(String),
    #[error("the relay closed the connection: {0}")]
    Closed(String),
    #[error("the connection broke")]
    Broken,
    #[error("the relay has been silent for too long")]
    Silent,
    #[error("what answers is no relay of this kind: {0}")]
    NoRelay(String),
}

/// The task's end.
struct Keeper {
    way: Way,
    identity: Identity,
    link: Arc<Uplink>,
    events: mpsc::Sender<TransportEvent>,
    connection: watch::Sender<Connection>,
}

impl RelayAddress {
    /// A name for a directory that is this room's and nobody else's.
    pub(super) fn directory_name(&self) -> String {
        let host = self.origin.split_once("://").map_or(self.origin.as_str(), |(_, host)| host);
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' };
        format!("{}-{}", self.room, host.chars().map(plain).collect::<String>())
    }
}

pub(super) fn start(way: Way, identity: Identity, profile: Profile, cluster: Option<ClusterId>) -> Transport {
    let room = match &way {
        Way::Hosted { room, .. } => room.clone(),
        Way::Remote(address) => address.room.clone(),
    };
    // One proposal for the whole run: a founder that is cut off before its store is durable comes back with the same.
    let proposed = ClusterId::from_bytes(random_bytes());
    let claim = cluster.map_or(Claim::Fresh { proposed }, Claim::Member);
    let link = Arc::new(Uplink {
        outbox: Mailbox::default(),
        introduction: Mutex::new(Introduction { claim, profile }),
        reset: Notify::new(),
    });
    let (event_sender, events) = mpsc::channel(INBOUND_MAX);
    let (connection_sender, connection) = watch::channel(Connection::Connecting { trouble: None });
    let keeper =
        Keeper { way, identity, link: link.clone(), events: event_sender, connection: connection_sender };
    let task = tokio::spawn(keeper.run());
    Transport { room, events, link, connection, connected: false, task }
}

impl Transport {
    pub fn room(&self) -> &RoomName {
        &self.room
    }

    pub fn connection(&self) -> watch::Receiver<Connection> {
        self.connection.clone()
    }

    pub async fn next(&mut self) -> TransportEvent {
        let Some(event) = self.events.recv().await else {
            // The task has said why it ended, or the process is on its way out.
            return std::future::pending().await;
        };
        self.noted(event)
    }

    /// What has happened already.
    pub fn try_next(&mut self) -> Option<TransportEvent> {
        let event = self.events.try_recv().ok()?;
        Some(self.noted(event))
    }

    fn noted(&mut self, event: TransportEvent) -> TransportEvent {
        match &event {
            TransportEvent::Connected(_) => self.connected = true,
            TransportEvent::Disconnected => self.connected = false,
            TransportEvent::Said(_) | TransportEvent::Refused(_) => {}
        }
        event
    }

    /// Never waits. While there is no connection, what is sent is lost.
    pub fn send(&self, frame: ClientFrame) {
        if !self.connected {
            return;
        }
        let (class, bytes) = match &frame {
            ClientFrame::Send { class, frame, .. } => (*class, frame.bytes()),
            _ => (Class::Control, 0),
        };
        if self.link.outbox.put(class, bytes, frame) == Offered::TooSlow {
            self.link.reset.notify_one();
        }
    }

    /// The store holds the cluster: the next handshake says so.
    pub fn belongs_to(&self, cluster: ClusterId) {
        self.link.introduction().claim = Claim::Member(cluster);
    }

    pub fn introduce(&self, profile: Profile) {
        self.link.introduction().profile = profile;
    }

    /// Leaves the room.
    pub async fn close(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

impl Uplink {
    fn introduction(&self) -> MutexGuard<'_, Introduction> {
        self.introduction.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper {
    /// Connects until it is refused for good, or nobody listens any more.
    async fn run(self) {
        let mut pace = Pace::new(random_bytes());
        loop {
            let trouble = match &self.way {
                Way::Hosted { hub, room } => self.stay_in(hub, room, &mut pace).await,
                Way::Remote(address) => self.stay_on(address, &mut pace).await,
            };
            let trouble = match trouble {
                Ok(()) => return,
                Err(trouble) => trouble,
            };
            if let Some(refusal) = trouble.is_final() {
                let _ = self.connection.send(Connection::Refused(refusal.clone()));
                let _ = self.events.send(TransportEvent::Refused(refusal)).await;
                return;
            }
            self.tell_trouble(&trouble);
            tokio::time::sleep(pace.next()).await;
        }
    }

    fn tell_trouble(&self, trouble: &Trouble) {
        let now = Connection::Connecting { trouble: Some(trouble.to_string()) };
        let is_news = *self.connection.borrow() != now;
        if is_news {
            tracing::info!(node = %self.identity.id(), %trouble, "not connected, trying again");
            let _ = self.connection.send(now);
        }
    }

    /// One connection to the relay of this process. `Ok`: the runner is gone.
    async fn stay_in(&self, hub: &Arc<Hub>, room: &RoomName, pace: &mut Pace) -> Result<(), Trouble> {
        let Introduction { claim, profile } = self.link.introduction().clone();
        let admitted = Admitted { node: self.identity.id(), claim, profile };
        let attachment = hub.attach(room, admitted).map_err(Trouble::Refused)?;
        self.link.outbox.clear();
        let trouble = loop {
            tokio::select! {
                said = attachment.next() => match said {
                    Ok(RelayFrame::Welcome(welcome)) => {
                        if !self.welcomed(welcome, pace).await { return Ok(()) }
                    }
                    Ok(frame) => {
                        if self.events.send(TransportEvent::Said(frame)).await.is_err() { return Ok(()) }
                    }
                    Err(refusal) => break Trouble::Refused(refusal),
                },
                frame = self.link.outbox.next() => {
                    if let Err(refusal) = frame.and_then(|frame| attachment.handle(frame)) {
                        break Trouble::Refused(refusal);
                    }
                }
                () = self.link.reset.notified() => break Trouble::Broken,
            }
        };
        self.left(trouble).await
    }

    /// One connection over a socket. `Ok`: the runner is gone.
    async fn stay_on(&self, address: &RelayAddress, pace: &mut Pace) -> Result<(), Trouble> {
        let introduction = self.link.introduction().clone();
        let (mut socket, welcome) = Socket::connect(address, &self.identity, introduction).await?;
        self.link.outbox.clear();
        if !self.welcomed(welcome, pace).await {
            return Ok(());
        }
        let (sink, stream) = socket.halves();
        let trouble = tokio::select! {
            ended = dial::read(stream, &self.events) => match ended {
                Ok(()) => return Ok(()),
                Err(trouble) => trouble,
            },
            trouble = dial::write(sink, &self.link) => trouble,
            () = self.link.reset.notified() => Trouble::Broken,
        };
        self.left(trouble).await
    }

    async fn welcomed(&self, welcome: Welcome, pace: &mut Pace) -> bool {
        pace.restart();
        tracing::info!(node = %self.identity.id(), cluster = %welcome.cluster, "connected to the relay");
        let _ = self.connection.send(Connection::Connected);
        self.events.send(TransportEvent::Connected(welcome)).await.is_ok()
    }

    async fn left(&self, trouble: Trouble) -> Result<(), Trouble> {
        match self.events.send(TransportEvent::Disconnected).await {
            Ok(()) => Err(trouble),
            Err(_) => Ok(()),
        }
    }
}

impl Trouble {
    fn is_final(&self) -> Option<Refusal> {
        match self {
            Trouble::Refused(refusal) if !refusal.is_temporary() => Some(refusal.clone()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_different_rooms_and_relays_differ_and_are_plain() {
        let name = |origin: &str, room: &str| {
            let address =
                RelayAddress { origin: origin.to_owned(), room: room.parse().unwrap(), token: None };
            address.directory_name()
        };
        assert_eq!(name("http://127.0.0.1:3000", "lobby"), "lobby-127.0.0.1_3000");
        assert_eq!(name("https://[::1]:80/../..", "attic"), "attic-___1__80_.._..");
    }
}
