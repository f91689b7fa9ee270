//! What the page and its node's worker tell each other.
//!
//! A message is postcard behind a version byte in a `Uint8Array` whose buffer is transferred, so nothing is copied on the
//! way. What is better not packed rides beside its message as an [`Attachment`]. Page and worker are served together; the
//! version byte notices a tab that got one of them from an old cache.

mod client;
mod message;
mod pieces;
#[cfg(all(test, target_arch = "wasm32"))]
mod tests;

pub use client::{Client, ClientError, Notice};
pub use message::{Attachment, READY, fits, from_value, post, post_with};
pub use pieces::in_pieces;

use serde::{Deserialize, Serialize};
use shared::ids::{DocumentId, JobId, NodeId, RoomName};
use shared::node::api::{Event, Reply, Request, RequestError};
use shared::state_machine::{JobOptions, Retention};
use shared::time::Duration;
use shared::wire::identity::RoomToken;

/// From the page to the worker. The first message is `Start`, and there is one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToWorker {
    Start(Start),
    /// Many in one message, which costs more than most requests. Answered by [`ToPage::Replies`].
    Requests {
        id: CallId,
        requests: Vec<Request>,
    },
    /// Nobody waits for the reply to this call any more.
    Abandon {
        id: CallId,
    },
    /// The text comes with this message, as a blob.
    Upload {
        id: CallId,
        options: UploadOptions,
    },
    Rename {
        name: String,
    },
    /// Whether the tab had better not be relied on: nobody looks at it, or its battery is low.
    Hidden(bool),
    /// Answered by [`ToPage::Recording`], if there is one.
    Recording,
    /// The tab may be gone any moment, because it is closed or frozen; or it stays after all.
    Leaving(bool),
    /// Leaves the cluster's room and gives the slot free. Answered by [`ToPage::Stopped`].
    Stop,
}

/// From the worker to the page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToPage {
    /// First, and again after a new name.
    Identity(SelfView),
    Connection(Connection),
    Storage(StorageView),
    /// To each request of the call, in order, once all of them are answered.
    Replies {
        id: CallId,
        results: Vec<Result<Reply, RequestError>>,
    },
    Event(Event),
    UploadProgress {
        id: CallId,
        progress: UploadProgress,
    },
    Uploaded {
        id: CallId,
        result: Result<Uploaded, RequestError>,
    },
    /// All that the node was told so far, as a blob: asked for, or the last of it.
    Recording,
    /// The node cannot go on and has stopped: a defect of ours or a broken disk.
    Failed {
        message: String,
    },
    Stopped,
}

/// Pairs an answer with its question within one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallId(pub u64);

/// How a tab enters its room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The relay's socket, `ws://HOST:PORT/ws/ROOM`.
    pub url: String,
    pub room: RoomName,
    pub token: Option<RoomToken>,
    /// Instead of the name this node had before, or the one that follows from its id.
    pub name: Option<String>,
    pub hidden: bool,
    /// The slot this very tab held before it was reloaded. Its lock may take a moment to come free.
    pub slot_before_reload: Option<u32>,
    /// Whether to write down what the node is told.
    pub record: bool,
}

/// Who this tab is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfView {
    pub node: NodeId,
    pub name: String,
    /// Which of this browser's identities in the room the tab has taken up, from 0.
    pub slot: u32,
    /// Counting workers.
    pub threads: u16,
    /// The identity was on disk already: this is a known node started again.
    pub returned: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Connection {
    Connecting,
    Connected,
    /// The connection is gone or did not come about; the next attempt is at hand.
    Waiting {
        reconnect_in: Duration,
        reason: String,
    },
    /// The relay will not have this node, and trying again would not help. The reason says what to do.
    Refused {
        reason: String,
    },
}

/// Where this tab keeps its log and blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageView {
    pub place: StoragePlace,
    /// Used and granted, for all of this origin.
    pub used_bytes: u64,
    pub quota_bytes: u64,
    /// Something a user should know: data that was lost, a new identity because of it.
    pub remark: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoragePlace {
    /// On disk in the browser's private file system. `persistent`: the browser has promised not to evict it.
    Disk { persistent: bool },
    /// In memory only, gone with the tab, because the browser gives no disk.
    Memory { reason: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UploadOptions {
    pub name: String,
    pub retention: Retention,
    /// Count the text as soon as it is stored.
    pub count: Option<JobOptions>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadProgress {
    /// The text's length.
    pub bytes: u64,
    /// Stored durably by enough members.
    pub bytes_stored: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uploaded {
    pub document: DocumentId,
    pub job: Option<JobId>,
}
