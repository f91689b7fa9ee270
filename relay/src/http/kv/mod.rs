//! Keys: their versions are entity tags, so that HTTP's own conditions compare and set.

mod conditions;
mod shape;
mod watch;

pub use shape::{KeyChanged, KeyEventView, KeyList, KeyRow, TTL_HEADER, Ttl, ValueView, key_path, url_part};

use super::Shared;
use super::access::{Access, path_text};
use super::error::{ApiError, ApiResult};
use super::query::{NoParameters, Parameters, Query};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts;
use axum::extract::rejection::BytesRejection;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use conditions::{Read, tag};
use serde::Deserialize;
use shared::limits;
use shared::node::api::{Consistency, KeyQuery, Reply, Request};
use shared::state_machine::{Condition, Key, KeyChange, KeyOperation, Version};

/// The rest of the path, with slashes in it: any UTF-8, percent-encoded.
pub struct KeyInPath(Key);

impl FromRequestParts<Shared> for KeyInPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> ApiResult<KeyInPath> {
        let text = path_text(parts, state, "key").await?;
        text.parse().map(KeyInPath).map_err(|error| {
            ApiError::bad_request(format!("{error}")).hint("choose a key of 1 to 512 bytes of UTF-8")
        })
    }
}

#[derive(Debug, Deserialize)]
pub struct ReadParameters {
    #[serde(default)]
    consistency: Consistency,
}

impl Parameters for ReadParameters {
    const NAMES: &'static [&'static str] = &["consistency"];
}

pub async fn get(
    access: Access,
    KeyInPath(key): KeyInPath,
    Query(ReadParameters { consistency }): Query<ReadParameters>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let Reply::Key(view) = access.ask(Request::GetKey { key, consistency }).await? else {
        return Err(ApiError::unexpected_reply());
    };
    let mut found = HeaderMap::new();
    found.insert(header::ETAG, tag(view.version));
    found.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Some(ttl) = view.ttl {
        found.insert(TTL_HEADER, HeaderValue::from(Ttl(ttl).seconds()));
    }
    match conditions::of_read(&headers, view.version)? {
        Read::Whole => {}
        Read::NotModified => return Ok((StatusCode::NOT_MODIFIED, found).into_response()),
        Read::Failed => return Err(precondition_failed(Some(view.version))),
    }
    found.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Ok((found, Body::from(view.value.unwrap_or_default())).into_response())
}

#[derive(Debug, Deserialize)]
pub struct PutParameters {
    ttl: Option<Ttl>,
}

impl Parameters for PutParameters {
    const NAMES: &'static [&'static str] = &["ttl"];
}

pub async fn put(
    access: Access,
    KeyInPath(key): KeyInPath,
    Query(PutParameters { ttl }): Query<PutParameters>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<Response> {
    let condition = conditions::of_change(&headers)?;
    let value = body.map_err(|rejection| {
        let hint = format!("a value has at most {} bytes", limits::VALUE_BYTES_MAX);
        ApiError::body(rejection.status(), rejection.body_text()).hint(hint)
    })?;
    let operation = KeyOperation::Put { value, ttl: ttl.map(|Ttl(ttl)| ttl) };
    match change(&access, key.clone(), condition, operation).await? {
        Reply::KeyPut { version, created } => {
            let status = if created { StatusCode::CREATED } else { StatusCode::OK };
            Ok((status, [(header::ETAG, tag(version))], Json(KeyChanged { key, version })).into_response())
        }
        _ => Err(ApiError::unexpected_reply()),
    }
}

pub async fn remove(
    access: Access,
    KeyInPath(key): KeyInPath,
    _: NoParameters,
    headers: HeaderMap,
) -> ApiResult<StatusCode> {
    change(&access, key, conditions::of_change(&headers)?, KeyOperation::Delete).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn change(
    access: &Access,
    key: Key,
    condition: Condition,
    operation: KeyOperation,
) -> ApiResult<Reply> {
    match access.ask(Request::ChangeKey { change: KeyChange { key, condition, operation } }).await? {
        Reply::KeyConflict { current } => Err(precondition_failed(current)),
        reply => Ok(reply),
    }
}

/// The version that the key has is the answer's tag, for the next attempt.
fn precondition_failed(current: Option<Version>) -> ApiError {
    let message = match current {
        Some(version) => format!("the key has version {version}: the condition does not hold"),
        None => "there is no such key: the condition does not hold".to_owned(),
    };
    let error = ApiError::new(StatusCode::PRECONDITION_FAILED, "conflict", message)
        .hint("read the key again, and change what it holds now");
    match current {
        Some(version) => error.header(header::ETAG, tag(version)),
        None => error,
    }
}

#[derive(Debug, Deserialize)]
pub struct ListParameters {
    #[serde(default)]
    prefix: String,
    limit: Option<u32>,
    cursor: Option<Key>,
    #[serde(default)]
    values: bool,
    #[serde(default)]
    consistency: Consistency,
    #[serde(default)]
    watch: bool,
    /// Where a watch begins: after this change. The `Last-Event-ID` of a stream that broke off comes first.
    after: Option<Version>,
}

impl Parameters for ListParameters {
    const NAMES: &'static [&'static str] =
        &["prefix", "limit", "cursor", "values", "consistency", "watch", "after"];
}

pub async fn list(
    access: Access,
    Query(parameters): Query<ListParameters>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let ListParameters { prefix, limit, cursor, values, consistency, watch, after } = parameters;
    let limit = limit.unwrap_or(limits::KEYS_PAGE_DEFAULT);
    if limit == 0 || limit as usize > limits::KEYS_PAGE_MAX {
        let message = format!("a page has 1 to {} keys", limits::KEYS_PAGE_MAX);
        return Err(ApiError::bad_request(message).hint("go on with the cursor of the page before"));
    }
    if prefix.len() > limits::KEY_BYTES_MAX {
        let message = format!("no key begins so: keys have at most {} bytes", limits::KEY_BYTES_MAX);
        return Err(ApiError::bad_request(message).hint("choose a shorter prefix"));
    }
    if watch {
        let after = last_event(&headers)?.or(after);
        return watch::stream(access.node, prefix, values, consistency, after).await;
    }
    let query = KeyQuery { prefix, after: cursor, limit, values };
    match access.ask(Request::ListKeys { query, consistency }).await? {
        Reply::Keys { keys, next, version } => {
            let keys = keys.into_iter().map(KeyRow::from).collect();
            Ok(Json(KeyList { keys, cursor: next, version }).into_response())
        }
        _ => Err(ApiError::unexpected_reply()),
    }
}

fn last_event(headers: &HeaderMap) -> ApiResult<Option<Version>> {
    let Some(id) = headers.get("last-event-id") else { return Ok(None) };
    let version = id.to_str().ok().and_then(|id| id.parse().ok());
    version.map(Some).ok_or_else(|| {
        ApiError::bad_request("this Last-Event-ID is none of an event of keys")
            .hint("leave it out, and list the keys")
    })
}
