//! The relay as a running thing: the broker behind a lock, a mailbox per connection, and the record of who owns which room.

use crate::broker::{Admitted, Broker, ConnectionId, Gate, Link, Offered, Outbox};
use crate::chaos::{Chaos, Fate};
use crate::rooms::RoomRecords;
use shared::ids::{ClusterId, NodeId, RoomName};
use shared::limits;
use shared::wire::session::{Class, ClientFrame, Frame, Refusal, RelayFrame};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// One relay: shared by its sockets and its hosted nodes.
#[derive(Debug)]
pub struct Hub {
    broker: Mutex<Broker<Mailbox<RelayFrame>>>,
    records: Mutex<RoomRecords>,
    gate: Gate,
    /// Only this machine can reach the relay.
    loopback: bool,
    chaos: Option<Arc<Chaos>>,
    /// Room for frames that a slow link keeps, in KiB.
    late: Arc<Semaphore>,
}

/// Frames on their way to one reader, who may be slower than those who write.
#[derive(Debug)]
pub struct Mailbox<T>(Arc<MailboxState<T>>);

#[derive(Debug)]
struct MailboxState<T> {
    content: Mutex<Content<T>>,
    changed: Notify,
    ended: Notify,
}

#[derive(Debug)]
struct Content<T> {
    outbox: Outbox<T>,
    cut: Option<Refusal>,
}

/// One node's place in a room, from admission to the end of its connection.
#[derive(Debug)]
pub struct Attachment {
    hub: Arc<Hub>,
    room: RoomName,
    node: NodeId,
    connection: ConnectionId,
    mailbox: Mailbox<RelayFrame>,
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Mailbox<T> {
        Mailbox(self.0.clone())
    }
}

impl<T> Default for Mailbox<T> {
    fn default() -> Mailbox<T> {
        let content = Mutex::new(Content { outbox: Outbox::default(), cut: None });
        Mailbox(Arc::new(MailboxState { content, changed: Notify::new(), ended: Notify::new() }))
    }
}

impl<T> Mailbox<T> {
    pub fn put(&self, class: Class, bytes: usize, frame: T) -> Offered {
        let offered = lock(&self.0.content).outbox.offer(class, bytes, frame);
        self.0.changed.notify_one();
        offered
    }

    /// The next frame; or why there will be none. One reader at a time.
    pub async fn next(&self) -> Result<T, Refusal> {
        loop {
            {
                let mut content = lock(&self.0.content);
                if let Some(reason) = &content.cut {
                    return Err(reason.clone());
                }
                if let Some(frame) = content.outbox.take() {
                    return Ok(frame);
                }
            }
            self.0.changed.notified().await;
        }
    }

    /// Nothing waits: whoever gathers had better send.
    pub fn is_empty(&self) -> bool {
        lock(&self.0.content).outbox.is_empty()
    }

    /// Forgets what waits.
    pub fn clear(&self) {
        lock(&self.0.content).outbox.clear();
    }

    fn cut(&self, reason: Refusal) {
        let mut content = lock(&self.0.content);
        content.outbox.clear();
        content.cut = Some(reason);
        self.0.changed.notify_one();
        self.0.ended.notify_one();
    }

    /// Waits until the connection is cut, even while what was taken out last is still being sent. One waiter at a time.
    async fn until_cut(&self) -> Refusal {
        loop {
            if let Some(reason) = lock(&self.0.content).cut.clone() {
                return reason;
            }
            self.0.ended.notified().await;
        }
    }
}

impl Link for Mailbox<RelayFrame> {
    fn offer(&self, class: Class, frame: RelayFrame) -> bool {
        let bytes = match &frame {
            RelayFrame::Deliver { frame, .. } => frame.bytes(),
            _ => 0,
        };
        self.put(class, bytes, frame) != Offered::TooSlow
    }

    fn cut(&self, reason: Refusal) {
        Mailbox::cut(self, reason);
    }
}

impl Hub {
    pub fn new(records: RoomRecords, gate: Gate, loopback: bool, chaos: Option<Arc<Chaos>>) -> Arc<Hub> {
        let broker = Mutex::new(Broker::new(records.all()));
        let late = Arc::new(Semaphore::new(limits::LATE_KIBIBYTES_MAX));
        Arc::new(Hub { broker, records: Mutex::new(records), gate, loopback, chaos, late })
    }

    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Lets a node in whose identity has been proven, or which this process hosts.
    pub fn attach(self: &Arc<Hub>, room: &RoomName, admitted: Admitted) -> Result<Attachment, Refusal> {
        let mailbox = Mailbox::default();
        let Admitted { node, claim, profile } = admitted;
        let settles = || self.broker().settles(room, claim);
        // Whoever settles whose a room is holds the records meanwhile, so that they say what the broker does.
        let mut records = settles().map(|_| lock(&self.records));
        if let (Some(records), Some(cluster)) = (&mut records, settles()) {
            record(records, room.clone(), cluster)?;
        }
        let connection = self.broker().admit(room, node, claim, profile, mailbox.clone())?;
        drop(records);
        tracing::info!(%room, %node, "connected");
        Ok(Attachment { hub: self.clone(), room: room.clone(), node, connection, mailbox })
    }

    /// Ends every connection.
    pub fn shut_down(&self) {
        self.broker().shut_down();
    }

    fn broker(&self) -> MutexGuard<'_, Broker<Mailbox<RelayFrame>>> {
        lock(&self.broker)
    }
}

impl Attachment {
    /// What the node says to its relay.
    pub fn handle(&self, frame: ClientFrame) -> Result<(), Refusal> {
        match frame {
            ClientFrame::Hello(_) => {
                return Err(Refusal::Protocol { reason: "a second Hello on one connection".to_owned() });
            }
            ClientFrame::Send { to, class, frame } => {
                let chaos = self.hub.chaos.as_ref();
                match chaos.map_or(Fate::Delivered, |chaos| chaos.fate(&self.room, self.node, to)) {
                    Fate::Delivered => self.hub.broker().route(self.connection, to, class, frame),
                    Fate::Late(delay) => self.route_late(delay, to, class, frame),
                    Fate::Lost => {}
                }
            }
            ClientFrame::Founded => {
                let mut records = lock(&self.hub.records);
                let founds = self.hub.broker().founds(self.connection);
                if let Some(cluster) = founds {
                    record(&mut records, self.room.clone(), cluster)?;
                    self.hub.broker().founded(self.connection);
                }
            }
            ClientFrame::Profile(profile) => self.hub.broker().profile(self.connection, profile),
        }
        Ok(())
    }

    /// What a slow link has no room for is lost.
    fn route_late(&self, delay: Duration, to: NodeId, class: Class, frame: Frame) {
        let kibibytes = frame.bytes().div_ceil(1024).max(1);
        let place = self.hub.late.clone().try_acquire_many_owned(kibibytes.try_into().unwrap_or(u32::MAX));
        let Ok(place) = place else { return };
        let (hub, connection) = (self.hub.clone(), self.connection);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            hub.broker().route(connection, to, class, frame);
            drop(place);
        });
    }

    pub fn frozen(&self, frozen: bool) {
        self.hub.broker().frozen(self.connection, frozen);
    }

    /// What the relay says to the node; or why it says no more.
    pub async fn next(&self) -> Result<RelayFrame, Refusal> {
        self.mailbox.next().await
    }

    /// Nothing waits to be said.
    pub fn is_silent(&self) -> bool {
        self.mailbox.is_empty()
    }

    /// Waits until the broker cuts this connection.
    pub async fn until_cut(&self) -> Refusal {
        self.mailbox.until_cut().await
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.hub.broker().leave(self.connection);
    }
}

/// A room that is not recorded would be another's after a restart, and what its cluster acknowledged lost.
fn record(records: &mut RoomRecords, room: RoomName, cluster: ClusterId) -> Result<(), Refusal> {
    records.insert(room.clone(), cluster).map_err(|error| {
        tracing::error!(%room, %error, "whose the room is could not be recorded");
        Refusal::NotRecorded
    })?;
    tracing::info!(%room, %cluster, "room founded");
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is valid between any two statements: a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::wire::session::{Claim, Kind, Profile};

    fn admitted(number: u8, claim: Claim) -> Admitted {
        let profile = Profile {
            name: "Ash".to_owned(),
            kind: Kind::Server,
            http: None,
            threads: 1,
            hidden: false,
            domain: 0,
        };
        Admitted { node: NodeId::from_bytes([number; 10]), claim, profile }
    }

    #[tokio::test]
    async fn nobody_is_told_whose_a_room_is_before_that_is_recorded() {
        let directory = tempfile::tempdir().unwrap();
        let records = RoomRecords::open(directory.path()).unwrap();
        let hub = Hub::new(records, Gate::default(), true, None);
        let room = RoomName::default();
        let cluster = ClusterId::from_bytes([7; 10]);
        let fresh = Claim::Fresh { proposed: cluster };
        let founder = hub.attach(&room, admitted(1, fresh)).unwrap();
        let Ok(RelayFrame::Welcome(_)) = founder.next().await else { panic!("a founder is welcome") };

        let path = directory.path().to_owned();
        directory.close().unwrap();
        assert_eq!(founder.handle(ClientFrame::Founded), Err(Refusal::NotRecorded));
        assert!(founder.is_silent());
        drop(founder);
        let member = Claim::Member(cluster);
        assert_eq!(hub.attach(&room, admitted(1, member)).err(), Some(Refusal::NotRecorded));

        std::fs::create_dir(&path).unwrap();
        let member = hub.attach(&room, admitted(1, member)).unwrap();
        let Ok(RelayFrame::Welcome(welcome)) = member.next().await else { panic!("a member is welcome") };
        assert!(!welcome.founder);
        assert_eq!(RoomRecords::open(&path).unwrap().all(), [(room, cluster)]);
        std::fs::remove_dir_all(path).unwrap();
    }
}
