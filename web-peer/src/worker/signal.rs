//! Everything that wakes the driver, in one queue.

use super::counting::CounterSignal;
use super::transport::LinkSignal;
use crate::bridge::{Attachment, CallId, ToPage, ToWorker};
use futures_channel::{mpsc, oneshot};
use shared::node::api::{Reply, Request, RequestError};

pub enum Signal {
    Page(ToWorker, Attachment),
    Link(LinkSignal),
    /// The time of the node's deadline has come.
    Deadline,
    /// The event loop has been round once: time for the next piece of storage work.
    StorageTurn,
    /// The same, for what arrived meanwhile to be written together.
    WriteTurn,
    Counter(CounterSignal),
    /// An upload asks the node.
    Call {
        request: Request,
        reply: oneshot::Sender<Result<Reply, RequestError>>,
    },
    /// An upload tells the page.
    Tell(ToPage),
    UploadEnded(CallId),
    Usage(Usage),
}

/// What the browser says about this origin's storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub persistent: bool,
    pub used_bytes: u64,
    pub quota_bytes: u64,
}

/// The sending end. After the driver has ended, signals go nowhere.
#[derive(Clone)]
pub struct Signals(mpsc::UnboundedSender<Signal>);

/// The queue is drained whole whenever the driver runs, so it holds what the browser delivered in one turn at most.
pub fn queue() -> (Signals, mpsc::UnboundedReceiver<Signal>) {
    let (sender, receiver) = mpsc::unbounded();
    (Signals(sender), receiver)
}

impl Signals {
    /// The driver has ended.
    pub fn are_unheard(&self) -> bool {
        self.0.is_closed()
    }

    pub fn send(&self, signal: Signal) {
        let _driver_has_ended = self.0.unbounded_send(signal);
    }
}
