//! Takes a text from the page into the cluster: reads it slice by slice, cuts it, and keeps a few chunks on their way.

use super::signal::{Signal, Signals};
use super::slots::pause;
use super::storage::text_of;
use crate::bridge::{CallId, ToPage, UploadOptions, UploadProgress, Uploaded};
use bytes::Bytes;
use futures_channel::oneshot;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use js_sys::Uint8Array;
use shared::ids::{Hash, UploadId};
use shared::limits;
use shared::node::api::{ErrorCode, Reply, Request, RequestError};
use shared::time::Duration;
use shared::words::Chunker;
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::Blob;

/// Read at once from a file.
const SLICE_BYTES: u64 = 1 << 20;

/// A text that was dropped before the tab is a member, or while the cluster elects a leader, waits for so long.
const ATTEMPTS_MAX: u32 = 120;
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(500);

/// An upload on its way. Dropping it changes nothing; cancelling ends it at the next chunk.
pub struct Upload {
    cancelled: Rc<Cell<bool>>,
}

impl Upload {
    pub fn start(id: CallId, options: UploadOptions, blob: Blob, signals: Signals) -> Upload {
        let cancelled = Rc::new(Cell::new(false));
        let work = Work { id, blob, signals: signals.clone(), cancelled: cancelled.clone() };
        spawn_local(async move {
            let result = work.carry_out(options).await;
            signals.send(Signal::Tell(ToPage::Uploaded { id, result }));
            signals.send(Signal::UploadEnded(id));
        });
        Upload { cancelled }
    }

    pub fn cancel(&self) {
        self.cancelled.set(true);
    }
}

struct Work {
    id: CallId,
    blob: Blob,
    signals: Signals,
    cancelled: Rc<Cell<bool>>,
}

impl Work {
    async fn carry_out(&self, options: UploadOptions) -> Result<Uploaded, RequestError> {
        let UploadOptions { name, retention, count } = options;
        let upload = match self.ask(Request::OpenUpload { name, retention, document: None }).await? {
            Reply::UploadOpened { upload } => upload,
            other => return Err(unexpected(&other)),
        };
        if let Err(error) = self.send_chunks(upload).await {
            let _best_effort = self.ask_once(Request::AbortUpload { upload }).await;
            return Err(error);
        }
        let document = match self.ask(Request::FinishUpload { upload }).await? {
            Reply::Document(document) => document.id,
            other => return Err(unexpected(&other)),
        };
        let Some(options) = count else { return Ok(Uploaded { document, job: None }) };
        match self.ask(Request::SubmitJob { job: None, documents: vec![document], options }).await? {
            Reply::Job(job) => Ok(Uploaded { document, job: Some(job.id) }),
            other => Err(unexpected(&other)),
        }
    }

    async fn send_chunks(&self, upload: UploadId) -> Result<(), RequestError> {
        let mut progress = UploadProgress { bytes: self.blob.size() as u64, bytes_stored: 0 };
        let mut chunks = Chunks { blob: &self.blob, at: 0, chunker: Chunker::new() };
        let mut on_their_way = FuturesUnordered::new();
        let mut positions = 0u32..;
        self.tell(progress);
        while let Some(chunk) = chunks.next().await? {
            if self.cancelled.get() {
                return Err(error(ErrorCode::Conflict, "the upload was cancelled", "start it again"));
            }
            if on_their_way.len() >= limits::UPLOAD_WINDOW_CHUNKS
                && let Some(stored) = on_their_way.next().await
            {
                progress.bytes_stored += stored?;
                self.tell(progress);
            }
            let position = positions.next().ok_or_else(too_long)?;
            on_their_way.push(self.send_chunk(upload, position, chunk));
            // A chunk leaves when it is looked at for the first time.
            if let Some(Some(stored)) = on_their_way.next().now_or_never() {
                progress.bytes_stored += stored?;
                self.tell(progress);
            }
        }
        while let Some(stored) = on_their_way.next().await {
            progress.bytes_stored += stored?;
            self.tell(progress);
        }
        Ok(())
    }

    async fn send_chunk(&self, upload: UploadId, position: u32, bytes: Bytes) -> Result<u64, RequestError> {
        let length = bytes.len() as u64;
        let hash = Hash::of(&bytes);
        self.ask(Request::UploadChunk { upload, position, hash, bytes }).await.map(|_| length)
    }

    /// Asks until there is an answer that waiting would not change. All requests of an upload may be asked twice.
    async fn ask(&self, request: Request) -> Result<Reply, RequestError> {
        let mut attempt = 1;
        loop {
            let error = match self.ask_once(request.clone()).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let passes = match error.code {
                ErrorCode::NotReady | ErrorCode::NoQuorum | ErrorCode::Busy => true,
                ErrorCode::Timeout | ErrorCode::UnknownOutcome => {
                    matches!(request, Request::UploadChunk { .. } | Request::FinishUpload { .. })
                }
                _ => false,
            };
            if !passes || attempt == ATTEMPTS_MAX || self.cancelled.get() {
                return Err(error);
            }
            attempt += 1;
            pause(ATTEMPT_INTERVAL).await;
        }
    }

    async fn ask_once(&self, request: Request) -> Result<Reply, RequestError> {
        let (reply, answer) = oneshot::channel();
        let is_change = request.is_change();
        self.signals.send(Signal::Call { request, reply });
        answer.await.unwrap_or_else(|oneshot::Canceled| {
            let hint = "start it again, then upload the text again";
            Err(RequestError::stopped(is_change, "this tab's node has stopped", hint))
        })
    }

    fn tell(&self, progress: UploadProgress) {
        self.signals.send(Signal::Tell(ToPage::UploadProgress { id: self.id, progress }));
    }
}

/// The chunks of a blob, of which no more than a slice and a chunk are in memory.
struct Chunks<'a> {
    blob: &'a Blob,
    at: u64,
    chunker: Chunker,
}

impl Chunks<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, RequestError> {
        let size = self.blob.size() as u64;
        loop {
            if let Some(chunk) = self.chunker.next_chunk() {
                return Ok(Some(chunk));
            }
            if self.at >= size {
                return Ok(self.chunker.finish());
            }
            let end = self.at.saturating_add(SLICE_BYTES).min(size);
            self.chunker.push(&self.slice(end).await?);
            self.at = end;
        }
    }

    async fn slice(&self, end: u64) -> Result<Vec<u8>, RequestError> {
        let unreadable = |thrown| {
            let message = format!("the file cannot be read: {}", text_of(&thrown));
            error(
                ErrorCode::BadRequest,
                &message,
                "it may have changed or gone since it was chosen: choose it again",
            )
        };
        let slice = self.blob.slice_with_f64_and_f64(self.at as f64, end as f64).map_err(unreadable)?;
        let buffer = JsFuture::from(slice.array_buffer()).await.map_err(unreadable)?;
        Ok(Uint8Array::new(&buffer).to_vec())
    }
}

fn too_long() -> RequestError {
    error(ErrorCode::TooLarge, "the text has too many chunks", "split the text")
}

fn unexpected(reply: &Reply) -> RequestError {
    let message = format!("the node answered an upload with something else: {reply:.40?}");
    error(ErrorCode::Internal, &message, "this is a defect of the program: please report it")
}

fn error(code: ErrorCode, message: &str, hint: &str) -> RequestError {
    RequestError { code, message: message.to_owned(), hint: hint.to_owned() }
}
