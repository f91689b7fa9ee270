//! Stored texts.

use super::access::{Access, Id, ask};
use super::error::{ApiError, ApiResult};
use super::idempotency::IdempotencyKey;
use super::query::{self, NoParameters, Query};
use super::upload;
use crate::driver::NodeHandle;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::ids::DocumentId;
use shared::node::api::{Reply, Request};
use shared::state_machine::{BlockRef, Document, Retention};
use shared::time::Time;

/// A document as JSON shows it. Times are microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DocumentView {
    pub id: DocumentId,
    pub name: String,
    pub bytes: u64,
    pub chunks: u64,
    pub added_at: Time,
    /// None for one that is kept for good.
    pub expires_at: Option<Time>,
}

impl From<&Document> for DocumentView {
    fn from(document: &Document) -> DocumentView {
        DocumentView {
            id: document.id,
            name: document.name.clone(),
            bytes: document.bytes,
            chunks: document.blocks.len() as u64,
            added_at: document.added_at,
            expires_at: document.expires_at,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DocumentList {
    pub documents: Vec<DocumentView>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct AddParameters {
    #[serde(default = "unnamed")]
    name: String,
    /// `false`: for a day, as a text that is only counted.
    #[serde(default = "yes")]
    keep: bool,
}

impl query::Parameters for AddParameters {
    const NAMES: &'static [&'static str] = &["name", "keep"];
}

fn unnamed() -> String {
    "text".to_owned()
}

fn yes() -> bool {
    true
}

pub async fn list(access: Access, _: NoParameters) -> ApiResult<Json<DocumentList>> {
    match access.ask(Request::ListDocuments).await? {
        Reply::Documents(documents) => {
            Ok(Json(DocumentList { documents: documents.iter().map(DocumentView::from).collect() }))
        }
        _ => Err(ApiError::unexpected_reply()),
    }
}

pub async fn add(
    access: Access,
    Query(parameters): Query<AddParameters>,
    key: IdempotencyKey,
    body: Body,
) -> ApiResult<Response> {
    let retention = if parameters.keep { Retention::Keep } else { Retention::Transient };
    let document =
        upload::store(&access.node, parameters.name, retention, key.document("documents"), body).await?;
    let location = format!("{}/documents/{}", access.base, document.id);
    let view = Json(DocumentView::from(&document));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], view).into_response())
}

pub async fn show(
    access: Access,
    Id(document): Id<DocumentId>,
    _: NoParameters,
) -> ApiResult<Json<DocumentView>> {
    find(&access.node, document).await.map(|document| Json(DocumentView::from(&document)))
}

pub async fn remove(access: Access, Id(document): Id<DocumentId>, _: NoParameters) -> ApiResult<StatusCode> {
    access.ask(Request::DeleteDocument { document }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn find(node: &NodeHandle, document: DocumentId) -> ApiResult<Document> {
    match ask(node, Request::GetDocument { document }).await? {
        Reply::Document(document) => Ok(*document),
        _ => Err(ApiError::unexpected_reply()),
    }
}

/// The text, block by block.
pub async fn content(access: Access, Id(document): Id<DocumentId>, _: NoParameters) -> ApiResult<Response> {
    let document = find(&access.node, document).await?;
    let mut blocks = document.blocks.clone().into_iter();
    // With the first one at hand, a document that cannot be read is told of by a status, not by a broken stream.
    let first = match blocks.next() {
        Some(block) => Some(read_block(&access.node, block).await?),
        None => None,
    };
    let rest = futures_util::stream::unfold((access.node, blocks), |(node, mut blocks)| async move {
        let block = blocks.next()?;
        let bytes = read_block(&node, block).await.map_err(|error| std::io::Error::other(error.code()));
        Some((bytes, (node, blocks)))
    });
    let stream = futures_util::StreamExt::chain(futures_util::stream::iter(first.map(Ok)), rest);
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(document.bytes));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, attachment(&document.name));
    Ok((headers, Body::from_stream(stream)).into_response())
}

pub async fn read_block(node: &NodeHandle, block: BlockRef) -> ApiResult<Bytes> {
    match ask(node, Request::ReadBlock { block }).await? {
        Reply::Block(bytes) => Ok(bytes),
        _ => Err(ApiError::unexpected_reply()),
    }
}

/// Asks a browser to save what comes under this name (RFC 6266, RFC 8187).
pub fn attachment(name: &str) -> HeaderValue {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let encoded: String = (name.bytes())
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    HeaderValue::try_from(format!("attachment; filename*=UTF-8''{encoded}"))
        .unwrap_or(HeaderValue::from_static("attachment"))
}
