//! The page's side: a handle on the node in the worker.

use super::{
    Attachment, CallId, Connection, READY, SelfView, Start, StorageView, ToPage, ToWorker, UploadOptions,
    UploadProgress, Uploaded, from_value, in_pieces, post, post_with,
};
use futures_channel::oneshot;
use shared::limits;
use shared::node::api::{Event, Reply, Request, RequestError};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::{Blob, MessageEvent, Worker};

/// Where trunk puts the script that loads the node's worker. Absolute, because the page lives under `/r/ROOM`.
const WORKER_SCRIPT: &str = "/worker_loader.js";

/// Requests in one message: far below its own bound, far more than a message costs.
const REQUESTS_BYTES_MAX: usize = 1 << 20;

/// What the node says without being asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    Identity(SelfView),
    Connection(Connection),
    Storage(StorageView),
    Event(Event),
    /// The node has stopped because it could not go on.
    Failed(String),
    /// The node has stopped as it was told to.
    Stopped,
}

/// The node's worker could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the worker that runs this tab's node could not be started: {0}")]
pub struct ClientError(String);

/// The node of this tab. Clones are the same node.
#[derive(Clone)]
pub struct Client(Rc<Inner>);

type Listener = Closure<dyn FnMut(JsValue)>;
type Answers = oneshot::Sender<Vec<Result<Reply, RequestError>>>;

struct Inner {
    worker: Worker,
    next_call: Cell<u64>,
    calls: RefCell<BTreeMap<CallId, Answers>>,
    uploads: RefCell<BTreeMap<CallId, PendingUpload>>,
    on_notice: Box<dyn Fn(Notice)>,
    listeners: RefCell<Vec<Listener>>,
    /// As it was when the page last got it.
    recording: RefCell<Option<Blob>>,
    recording_wanted: RefCell<Vec<oneshot::Sender<Blob>>>,
    ended: Cell<bool>,
}

struct PendingUpload {
    on_progress: Box<dyn Fn(UploadProgress)>,
    done: oneshot::Sender<Result<Uploaded, RequestError>>,
}

impl Client {
    /// Starts this tab's node. `on_notice` is called for everything it says on its own.
    pub fn start(start: Start, on_notice: impl Fn(Notice) + 'static) -> Result<Client, ClientError> {
        let worker = Worker::new(WORKER_SCRIPT).map_err(|error| ClientError(format!("{error:?}")))?;
        let client = Client(Rc::new(Inner {
            worker,
            next_call: Cell::new(0),
            calls: RefCell::default(),
            uploads: RefCell::default(),
            on_notice: Box::new(on_notice),
            listeners: RefCell::default(),
            recording: RefCell::default(),
            recording_wanted: RefCell::default(),
            ended: Cell::new(false),
        }));
        client.listen(start);
        Ok(client)
    }

    /// Asks the node. Every request is answered, at the latest when the node stops.
    pub async fn request(&self, request: Request) -> Result<Reply, RequestError> {
        let is_change = request.is_change();
        self.requests(vec![request]).await.pop().unwrap_or_else(|| Err(stopped(is_change)))
    }

    /// Asks many things at once, which costs the page, the node and the cluster far less than one after the other. Each has an
    /// answer of its own, in the order of the requests; they come when all are there.
    pub async fn requests(&self, requests: Vec<Request>) -> Vec<Result<Reply, RequestError>> {
        if self.0.ended.get() {
            return requests.iter().map(|_| Err(never_asked())).collect();
        }
        let pieces = in_pieces(requests, limits::REQUESTS_WAITING_MAX, REQUESTS_BYTES_MAX);
        // All are sent before the first is waited for.
        let calls: Vec<_> = pieces.into_iter().map(|requests| self.call(requests)).collect();
        let mut results = Vec::new();
        for call in calls {
            results.extend(call.await);
        }
        results
    }

    /// Sends one message at once, and waits for what answers it.
    fn call(&self, requests: Vec<Request>) -> impl Future<Output = Vec<Result<Reply, RequestError>>> {
        let id = self.next_call();
        let are_changes: Vec<bool> = requests.iter().map(Request::is_change).collect();
        let (done, answers) = oneshot::channel();
        self.0.calls.borrow_mut().insert(id, done);
        let abandon = AbandonOnDrop { client: self, id };
        self.post(&ToWorker::Requests { id, requests });
        async move {
            let results = answers.await.unwrap_or_else(|oneshot::Canceled| {
                are_changes.into_iter().map(|is_change| Err(stopped(is_change))).collect()
            });
            drop(abandon);
            results
        }
    }

    /// Stores a text, and counts it if `options` say so. A text that was pasted is a `Blob` as well.
    pub async fn upload(
        &self,
        blob: &Blob,
        options: UploadOptions,
        on_progress: impl Fn(UploadProgress) + 'static,
    ) -> Result<Uploaded, RequestError> {
        if self.0.ended.get() {
            return Err(never_asked());
        }
        let id = self.next_call();
        let (done, answer) = oneshot::channel();
        self.0.uploads.borrow_mut().insert(id, PendingUpload { on_progress: Box::new(on_progress), done });
        let abandon = AbandonOnDrop { client: self, id };
        if post_with(&self.0.worker, &ToWorker::Upload { id, options }, Attachment::Blob(blob.clone()))
            .is_err()
        {
            self.0.uploads.borrow_mut().remove(&id);
        }
        let result = answer.await.unwrap_or_else(|oneshot::Canceled| Err(stopped(true)));
        drop(abandon);
        result
    }

    pub fn rename(&self, name: String) {
        self.post(&ToWorker::Rename { name });
    }

    /// Tells the others whether this tab had better not be relied on.
    pub fn set_hidden(&self, hidden: bool) {
        self.post(&ToWorker::Hidden(hidden));
    }

    /// What the node was told so far, or until its end.
    pub async fn recording(&self) -> Option<Blob> {
        if self.0.ended.get() {
            return self.0.recording.borrow().clone();
        }
        let (done, answer) = oneshot::channel();
        self.0.recording_wanted.borrow_mut().push(done);
        self.post(&ToWorker::Recording);
        answer.await.ok()
    }

    /// Says that this tab may be gone any moment, or that it stays after all.
    pub fn set_leaving(&self, leaving: bool) {
        self.post(&ToWorker::Leaving(leaving));
    }

    /// Stops this tab's node; [`Notice::Stopped`] follows. What it has stored stays.
    pub fn stop(&self) {
        self.post(&ToWorker::Stop);
    }

    fn next_call(&self) -> CallId {
        let id = self.0.next_call.get();
        self.0.next_call.set(id + 1);
        CallId(id)
    }

    fn post(&self, message: &ToWorker) {
        // Posting bytes to a worker of our own fails only when the page is being torn down.
        let _torn_down = post(&self.0.worker, message);
    }

    /// The script that loads the worker listens only once its Wasm runs, and says so; `start` waits for that.
    fn listen(&self, start: Start) {
        let client = self.clone();
        let mut start = Some(start);
        let on_message = Closure::new(move |event: JsValue| {
            let data = event.unchecked_into::<MessageEvent>().data();
            if data.as_string().as_deref() == Some(READY) {
                if let Some(start) = start.take() {
                    client.post(&ToWorker::Start(start));
                }
                return;
            }
            match from_value::<ToPage>(&data) {
                Ok((ToPage::Recording, Attachment::Blob(blob))) => client.take_recording(&blob),
                Ok((message, _)) => client.take(message),
                Err(error) => client.take(ToPage::Failed {
                    message: format!(
                        "the page and its worker do not understand each other ({error}): reload the page"
                    ),
                }),
            }
        });
        let client = self.clone();
        let on_error = Closure::new(move |event: JsValue| {
            let message =
                js_sys::Reflect::get(&event, &"message".into()).ok().and_then(|text| text.as_string());
            client.take(ToPage::Failed {
                message: message
                    .unwrap_or_else(|| "its script could not be loaded: reload the page".to_owned()),
            });
        });
        self.0.worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        self.0.worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        self.0.listeners.borrow_mut().extend([on_message, on_error]);
    }

    fn take(&self, message: ToPage) {
        let notice = match message {
            ToPage::Replies { id, results } => {
                let waiting = self.0.calls.borrow_mut().remove(&id);
                // Whoever asked may have stopped waiting.
                let _gone = waiting.map(|done| done.send(results));
                return;
            }
            ToPage::UploadProgress { id, progress } => {
                if let Some(upload) = self.0.uploads.borrow().get(&id) {
                    (upload.on_progress)(progress);
                }
                return;
            }
            ToPage::Uploaded { id, result } => {
                let waiting = self.0.uploads.borrow_mut().remove(&id);
                let _gone = waiting.map(|upload| upload.done.send(result));
                return;
            }
            // Nothing without its blob.
            ToPage::Recording => return,
            ToPage::Identity(me) => Notice::Identity(me),
            ToPage::Connection(connection) => Notice::Connection(connection),
            ToPage::Storage(storage) => Notice::Storage(storage),
            ToPage::Event(event) => Notice::Event(event),
            ToPage::Failed { message } => {
                self.end();
                Notice::Failed(message)
            }
            ToPage::Stopped => {
                self.end();
                Notice::Stopped
            }
        };
        (self.0.on_notice)(notice);
    }

    fn take_recording(&self, blob: &Blob) {
        self.0.recording.replace(Some(blob.clone()));
        for wanted in self.0.recording_wanted.take() {
            let _gone = wanted.send(blob.clone());
        }
    }

    /// Ends the worker and whoever still waits for it.
    fn end(&self) {
        self.0.ended.set(true);
        self.0.recording_wanted.take();
        self.0.worker.terminate();
        self.0.calls.borrow_mut().clear();
        self.0.uploads.borrow_mut().clear();
    }
}

/// A call whose future is dropped is one that nobody waits for.
struct AbandonOnDrop<'a> {
    client: &'a Client,
    id: CallId,
}

impl Drop for AbandonOnDrop<'_> {
    fn drop(&mut self) {
        let inner = &self.client.0;
        let call = inner.calls.borrow_mut().remove(&self.id);
        let upload = inner.uploads.borrow_mut().remove(&self.id);
        if call.is_some() || upload.is_some() {
            self.client.post(&ToWorker::Abandon { id: self.id });
        }
    }
}

/// As for a question: nothing can have happened.
fn never_asked() -> RequestError {
    stopped(false)
}

fn stopped(is_change: bool) -> RequestError {
    RequestError::stopped(is_change, "this tab's node has stopped", "start it again, or reload the page")
}
