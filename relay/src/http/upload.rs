//! Takes a text in as it comes: cuts it, names the chunks, and keeps a few of them on their way to their holders.

use super::access::ask;
use super::error::{ApiError, ApiResult};
use crate::driver::NodeHandle;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use shared::ids::{DocumentId, Hash, UploadId};
use shared::limits;
use shared::node::api::{Reply, Request};
use shared::state_machine::{Document, Retention};
use shared::time::Duration;
use shared::words::Chunker;
use std::future::Future;
use std::pin::Pin;
use tokio::time::Instant;

/// Stores the body as a document. It is durable, and survives any minority of failures, when this returns.
/// `id`: what the document is to be called, where that must not be by chance.
pub async fn store(
    node: &NodeHandle,
    name: String,
    retention: Retention,
    id: Option<DocumentId>,
    body: Body,
) -> ApiResult<Document> {
    check_name(&name)?;
    let open = Request::OpenUpload { name, retention, document: id };
    store_telling(limits::UPLOAD_KEEP_INTERVAL, node, open, body).await
}

async fn store_telling(
    keep_interval: Duration,
    node: &NodeHandle,
    open: Request,
    body: Body,
) -> ApiResult<Document> {
    let Reply::UploadOpened { upload } = ask(node, open).await? else {
        return Err(ApiError::unexpected_reply());
    };
    let mut open = OpenUpload { node, upload, finished: false };
    let (window, told_at) = (FuturesUnordered::new(), Instant::now());
    let mut flight = Flight { node, upload, position: 0, window, told_at };
    let mut chunker = Chunker::new();
    let mut pieces = body.into_data_stream();
    loop {
        let piece = tokio::select! {
            // First of all: a chunk is on its way only when it has been looked at.
            biased;
            Some(landed) = flight.window.next() => {
                landed?;
                continue;
            }
            piece = next_piece(&mut pieces) => piece?,
        };
        let Some(piece) = piece else { break };
        chunker.push(&piece);
        while let Some(chunk) = chunker.next_chunk() {
            flight.send(chunk).await?;
        }
        flight.keep(keep_interval).await?;
    }
    while let Some(chunk) = chunker.finish() {
        flight.send(chunk).await?;
    }
    flight.land().await?;
    let finished = ask(node, Request::FinishUpload { upload }).await?;
    open.finished = true;
    match finished {
        Reply::Document(document) => Ok(*document),
        _ => Err(ApiError::unexpected_reply()),
    }
}

fn check_name(name: &str) -> ApiResult<()> {
    if name.len() > limits::DOCUMENT_NAME_BYTES_MAX {
        let max = limits::DOCUMENT_NAME_BYTES_MAX;
        return Err(
            ApiError::bad_request(format!("a document's name has at most {max} bytes")).hint("shorten it")
        );
    }
    Ok(())
}

async fn next_piece(pieces: &mut axum::body::BodyDataStream) -> ApiResult<Option<Bytes>> {
    match tokio::time::timeout(limits::UPLOAD_IDLE_MAX, pieces.next()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(piece))) => Ok(Some(piece)),
        Ok(Some(Err(error))) => {
            Err(ApiError::bad_request(format!("the text broke off: {error}")).hint("send it again"))
        }
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            format!("nothing of the text came for {} s", limits::UPLOAD_IDLE_MAX.as_secs()),
        )
        .hint("send it again, and without long pauses")),
    }
}

type Landing<'a> = Pin<Box<dyn Future<Output = ApiResult<Reply>> + Send + 'a>>;

/// The chunks that are on their way. The client is slowed down to what the cluster takes.
struct Flight<'a> {
    node: &'a NodeHandle,
    upload: UploadId,
    position: u32,
    window: FuturesUnordered<Landing<'a>>,
    /// When the node last heard of the upload.
    told_at: Instant,
}

impl Flight<'_> {
    async fn send(&mut self, bytes: Bytes) -> ApiResult<()> {
        if self.position as usize >= limits::DOCUMENT_CHUNKS_MAX {
            let (chunks, bytes) = (limits::DOCUMENT_CHUNKS_MAX, limits::CHUNK_BYTES);
            return Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("a document has at most {chunks} chunks of {bytes} bytes"),
            )
            .hint("split the text and count its parts together: a job counts many documents"));
        }
        while self.window.len() >= limits::UPLOAD_WINDOW_CHUNKS {
            self.land_one().await?;
        }
        let (upload, position, hash) = (self.upload, self.position, Hash::of(&bytes));
        let chunk = Request::UploadChunk { upload, position, hash, bytes };
        self.window.push(Box::pin(ask(self.node, chunk)));
        self.position += 1;
        self.told_at = Instant::now();
        Ok(())
    }

    /// The text comes, if slowly: the node, which sees whole chunks only, must not take it for one that nobody sends.
    async fn keep(&mut self, interval: Duration) -> ApiResult<()> {
        if self.told_at.elapsed() >= interval {
            self.told_at = Instant::now();
            ask(self.node, Request::KeepUpload { upload: self.upload }).await?;
        }
        Ok(())
    }

    async fn land_one(&mut self) -> ApiResult<()> {
        self.window.next().await.map_or(Ok(()), |landed| landed.map(drop))
    }

    async fn land(&mut self) -> ApiResult<()> {
        while !self.window.is_empty() {
            self.land_one().await?;
        }
        Ok(())
    }
}

/// Tells the node when nobody goes on with an upload: an error came between, or the client went away.
struct OpenUpload<'a> {
    node: &'a NodeHandle,
    upload: UploadId,
    finished: bool,
}

impl Drop for OpenUpload<'_> {
    fn drop(&mut self) {
        if !self.finished {
            let (node, upload) = (self.node.clone(), self.upload);
            tokio::spawn(async move {
                // One that is not told drops the upload when it has been idle for long enough.
                let _told = node.request(Request::AbortUpload { upload }).await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::node::api::{ErrorCode, RequestError};
    use std::convert::Infallible;
    use tokio::sync::{broadcast, mpsc};

    /// Longer than anything here takes on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A text of which one piece is there and the end never comes, and what the node hears meanwhile.
    async fn heard_of(piece: Vec<u8>, keep_interval: Duration, wanted: impl Fn(&Request) -> bool) {
        let (heard, mut hears) = mpsc::unbounded_channel();
        let node = NodeHandle::made_up(broadcast::channel(1).0, move |request| {
            let reply = match &request {
                Request::OpenUpload { .. } => Reply::UploadOpened { upload: UploadId::from_bytes([1; 10]) },
                _ => Reply::Done,
            };
            // The test may have heard enough.
            let _ = heard.send(request);
            Ok(reply)
        });
        let pieces = futures_util::stream::iter([Ok::<_, Infallible>(piece)]);
        let body = Body::from_stream(pieces.chain(futures_util::stream::pending()));
        let open =
            Request::OpenUpload { name: "text".to_owned(), retention: Retention::Keep, document: None };
        let until_heard = async {
            while let Some(request) = hears.recv().await {
                if wanted(&request) {
                    return;
                }
            }
        };
        tokio::select! {
            stored = store_telling(keep_interval, &node, open, body) => panic!("{stored:?}"),
            heard = tokio::time::timeout(PATIENCE, until_heard) => heard.expect("the node hears of it"),
        }
    }

    #[tokio::test]
    async fn a_chunk_leaves_before_the_text_goes_on() {
        let piece = b"word ".repeat(limits::CHUNK_BYTES_MAX / 5 + 1);
        let is_chunk = |request: &Request| matches!(request, Request::UploadChunk { position: 0, .. });
        heard_of(piece, limits::UPLOAD_KEEP_INTERVAL, is_chunk).await;
    }

    #[tokio::test]
    async fn a_text_that_is_refused_in_the_end_gives_its_place_free() {
        let (heard, mut hears) = mpsc::unbounded_channel();
        let node = NodeHandle::made_up(broadcast::channel(1).0, move |request| {
            let reply = match &request {
                Request::OpenUpload { .. } => {
                    Ok(Reply::UploadOpened { upload: UploadId::from_bytes([1; 10]) })
                }
                Request::FinishUpload { .. } => Err(RequestError {
                    code: ErrorCode::Reused,
                    message: "another text has this key".to_owned(),
                    hint: String::new(),
                }),
                _ => Ok(Reply::Done),
            };
            // The test may have heard enough.
            let _ = heard.send(request);
            reply
        });
        let stored = store(&node, "text".to_owned(), Retention::Keep, None, Body::from("words")).await;
        assert_eq!(stored.expect_err("refused").code(), "key_reused");
        let aborted = async {
            while let Some(request) = hears.recv().await {
                if matches!(request, Request::AbortUpload { .. }) {
                    return;
                }
            }
            panic!("nobody told the node");
        };
        tokio::time::timeout(PATIENCE, aborted).await.expect("the node hears of it");
    }

    #[tokio::test]
    async fn a_text_that_comes_slowly_is_kept() {
        let is_kept = |request: &Request| matches!(request, Request::KeepUpload { .. });
        heard_of(b"no chunk yet".to_vec(), Duration::ZERO, is_kept).await;
    }
}
