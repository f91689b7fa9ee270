//! What people do on the page, carried to the node.

use super::lifecycle::{self, Watch};
use super::model::{Action, Model, Problem};
use super::place::{self, Place};
use super::script;
use crate::bridge::{Client, ClientError, Notice, Start, UploadOptions};
use futures_util::future::select;
use gloo_timers::future::TimeoutFuture;
use shared::ids::{DocumentId, JobId, NodeId};
use shared::node::api::{ErrorCode, Reply, Request, RequestError};
use shared::state_machine::{JobOptions, JobResult, Retention};
use shared::words::{CSV_HEADER, Mode, TableReader, put_csv_line};
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::{Blob, BlobPropertyBag, HtmlAnchorElement, Url, window};
use yew::UseReducerDispatcher;
use yew::platform::spawn_local;

/// Words in a result's list on the page.
const TOP: u32 = 50;

/// A node that leads gets so long to hand leadership over before it stops.
const LEAVE_TIMEOUT_MS: u32 = 500;

/// Clones are the same hub.
#[derive(Clone)]
pub struct Hub(Rc<Inner>);

struct Inner {
    client: RefCell<Option<Client>>,
    dispatch: UseReducerDispatcher<Model>,
    next_key: Cell<u32>,
    watch: RefCell<Option<Watch>>,
}

impl PartialEq for Hub {
    fn eq(&self, other: &Hub) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Hub {
    pub fn new(dispatch: UseReducerDispatcher<Model>) -> Hub {
        Hub(Rc::new(Inner {
            client: RefCell::default(),
            dispatch,
            next_key: Cell::new(0),
            watch: RefCell::default(),
        }))
    }

    /// Starts this tab's node.
    pub fn start(&self) {
        place::set_theme(&place::remembered_theme());
        match self.connect() {
            Ok(client) => {
                script::offer(&client);
                *self.0.client.borrow_mut() = Some(client.clone());
                *self.0.watch.borrow_mut() = Some(lifecycle::watch(client));
            }
            Err(message) => self.0.dispatch.dispatch(Notice::Failed(message).into()),
        }
    }

    fn connect(&self) -> Result<Client, String> {
        let place = Place::here()?;
        let start = Start {
            url: place.socket_url(),
            room: place.room.clone(),
            token: place.token(),
            name: None,
            hidden: place::is_hidden(),
            slot_before_reload: place::remembered_slot(),
            record: place.record,
        };
        let dispatch = self.0.dispatch.clone();
        let on_notice = move |notice: Notice| {
            if let Notice::Identity(me) = &notice {
                place::remember_slot(me.slot);
            }
            dispatch.dispatch(notice.into());
        };
        Client::start(start, on_notice).map_err(|error: ClientError| error.to_string())
    }

    fn client(&self) -> Option<Client> {
        self.0.client.borrow().clone()
    }

    /// Stops this tab's node for good; the page says so and offers to start it again.
    pub fn stop(&self) {
        let Some(client) = self.client() else { return };
        spawn_local(async move {
            let others_lead = pin!(client.request(Request::Leave));
            select(others_lead, TimeoutFuture::new(LEAVE_TIMEOUT_MS)).await;
            client.stop();
        });
    }

    pub fn restart(&self) {
        if let Some(window) = window() {
            // A page that cannot be reloaded is being torn down.
            let _gone = window.location().reload();
        }
    }

    /// Reads the cluster's documents and jobs.
    pub fn load(&self) {
        let hub = self.clone();
        spawn_local(async move {
            let documents = hub.ask(Request::ListDocuments).await;
            let jobs = hub.ask(Request::ListJobs).await;
            if let (Some(Ok(Reply::Documents(documents))), Some(Ok(Reply::Jobs(jobs)))) = (documents, jobs) {
                hub.0.dispatch.dispatch(Action::Loaded { documents, jobs });
            }
        });
    }

    /// Stores a text and counts it.
    pub fn count(&self, name: String, blob: Blob, mode: Mode) {
        let Some(client) = self.client() else { return };
        place::ask_to_keep_storage();
        let key = self.next_key();
        let dispatch = self.0.dispatch.clone();
        dispatch.dispatch(Action::UploadStarted { key, name: name.clone(), bytes: blob.size() as u64 });
        let options = UploadOptions {
            name,
            retention: Retention::Keep,
            count: Some(JobOptions { mode, top: TOP, verify: 1 }),
        };
        let hub = self.clone();
        spawn_local(async move {
            let progress = dispatch.clone();
            let on_progress = move |to| progress.dispatch(Action::UploadProgress { key, progress: to });
            let uploaded = client.upload(&blob, options, on_progress).await;
            dispatch.dispatch(Action::UploadEnded { key });
            match uploaded {
                Ok(uploaded) => uploaded.job.into_iter().for_each(|job| hub.select(job)),
                Err(error) => hub.complain(&error),
            }
        });
    }

    pub fn count_again(&self, document: DocumentId, mode: Mode) {
        let options = JobOptions { mode, top: TOP, verify: 1 };
        self.send(Request::SubmitJob { job: None, documents: vec![document], options });
    }

    pub fn cancel(&self, job: JobId) {
        self.send(Request::CancelJob { job });
    }

    pub fn delete(&self, document: DocumentId) {
        self.send(Request::DeleteDocument { document });
    }

    pub fn transfer(&self, to: NodeId) {
        self.send(Request::Transfer { to: Some(to) });
    }

    pub fn select(&self, job: JobId) {
        self.0.dispatch.dispatch(Action::Select(job));
    }

    pub fn dismiss(&self, problem: u32) {
        self.0.dispatch.dispatch(Action::ProblemRead { key: problem });
    }

    /// Hands the person what this tab's node was told.
    pub fn download_recording(&self) {
        let Some(client) = self.client() else { return };
        spawn_local(async move {
            if let Some(recording) = client.recording().await {
                save("tab.recording", &recording);
            }
        });
    }

    /// Reads the complete table from the cluster and hands it to the person as a CSV file.
    pub fn download_csv(&self, name: String, result: Rc<JobResult>) {
        let hub = self.clone();
        spawn_local(async move {
            match hub.csv(&result).await {
                Ok(csv) => save(&format!("{name}.csv"), &csv),
                Err(error) => hub.complain(&error),
            }
        });
    }

    /// By count, highest first, then by word. Tables are stored by word, so lines are put by their count, a block at a time.
    async fn csv(&self, result: &JobResult) -> Result<Blob, RequestError> {
        let mut reader = TableReader::new();
        let mut by_count: BTreeMap<Reverse<u64>, Vec<u8>> = BTreeMap::new();
        for &block in &result.table {
            let Some(Reply::Block(bytes)) = self.ask(Request::ReadBlock { block }).await.transpose()? else {
                break;
            };
            reader.push(&bytes);
            while let Some(entry) = reader.next_entry().map_err(broken_table)? {
                let lines = by_count.entry(Reverse(entry.count)).or_default();
                put_csv_line(lines, entry.word, entry.count);
            }
        }
        reader.finish().map_err(broken_table)?;
        let parts = std::iter::once(CSV_HEADER).chain(by_count.values().map(Vec::as_slice));
        let parts: js_sys::Array = parts.map(js_sys::Uint8Array::from).collect();
        let options = BlobPropertyBag::new();
        options.set_type("text/csv;charset=utf-8");
        Blob::new_with_u8_array_sequence_and_options(&parts, &options)
            .map_err(|_| broken_table("the browser has no room for the file"))
    }

    fn send(&self, request: Request) {
        let hub = self.clone();
        spawn_local(async move {
            if let Some(Err(error)) = hub.ask(request).await {
                hub.complain(&error);
            }
        });
    }

    async fn ask(&self, request: Request) -> Option<Result<Reply, RequestError>> {
        Some(self.client()?.request(request).await)
    }

    fn complain(&self, error: &RequestError) {
        let message = describe(error);
        self.0.dispatch.dispatch(Action::Problem(Problem { key: self.next_key(), message }));
    }

    fn next_key(&self) -> u32 {
        self.0.next_key.replace(self.0.next_key.get() + 1)
    }
}

fn broken_table(error: impl std::fmt::Display) -> RequestError {
    RequestError {
        code: ErrorCode::Internal,
        message: format!("the table of this result cannot be read: {error}"),
        hint: "count the text again".to_owned(),
    }
}

pub(super) fn describe(error: &RequestError) -> String {
    match error {
        RequestError { message, hint, .. } if hint.is_empty() => message.clone(),
        RequestError { message, hint, .. } if message.ends_with('.') => format!("{message} {hint}"),
        RequestError { message, hint, .. } => format!("{message}: {hint}"),
    }
}

/// Makes the browser save a file under `name`.
fn save(name: &str, file: &Blob) {
    let saved = Url::create_object_url_with_blob(file).and_then(|url| {
        let document = window().and_then(|window| window.document()).ok_or(JsValue::NULL)?;
        let link: HtmlAnchorElement = document.create_element("a")?.unchecked_into();
        link.set_href(&url);
        link.set_download(name);
        link.click();
        Url::revoke_object_url(&url)
    });
    debug_assert!(saved.is_ok(), "a blob of our own can be offered");
}
