//! Changes of keys as server-sent events, each with its version as the id: whoever loses the connection goes on after it.

use super::shape::KeyEventView;
use crate::driver::NodeHandle;
use crate::http::access::ask;
use crate::http::error::{ApiError, ApiResult};
use crate::http::events::event;
use axum::http::StatusCode;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use shared::node::api::{Consistency, KeyQuery, Reply, Request};
use shared::state_machine::{KeyEvent, Version};
use std::collections::VecDeque;
use std::convert::Infallible;

/// `watching` at once, then `put`, `delete` and `expire`; `missed` where changes are not known any more, to be followed by a look
/// at the list.
pub async fn stream(
    node: NodeHandle,
    prefix: String,
    values: bool,
    consistency: Consistency,
    after: Option<Version>,
) -> ApiResult<Response> {
    let after = match after {
        Some(after) => known(&node, after).await?,
        None => version_now(&node, consistency).await?,
    };
    let told = VecDeque::from([told("watching", after, &Base { version: after })]);
    let watch = Watch { node, prefix, values, after, told };
    let stream = futures_util::stream::unfold(watch, Watch::next);
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()).into_response())
}

/// A change that a client says it has seen. A node that lags behind it asks the leader; one that never happened is of another
/// cluster: the room was founded anew.
async fn known(node: &NodeHandle, after: Version) -> ApiResult<Version> {
    let mut latest = version_now(node, Consistency::Stale).await?;
    if after > latest {
        latest = version_now(node, Consistency::Linearizable).await?;
    }
    if after <= latest {
        return Ok(after);
    }
    let message = format!("there is no change {after} of keys here: the latest is {latest}");
    Err(ApiError::new(StatusCode::CONFLICT, "conflict", message)
        .hint("list the keys, and watch on after the version of the list"))
}

/// A linearizable read, so that a watch sees whatever is acknowledged after it began.
async fn version_now(node: &NodeHandle, consistency: Consistency) -> ApiResult<Version> {
    let query = KeyQuery { limit: 1, ..KeyQuery::default() };
    match ask(node, Request::ListKeys { query, consistency }).await? {
        Reply::Keys { version, .. } => Ok(version),
        _ => Err(ApiError::unexpected_reply()),
    }
}

#[derive(serde::Serialize)]
struct Base {
    version: Version,
}

struct Watch {
    node: NodeHandle,
    prefix: String,
    values: bool,
    after: Version,
    told: VecDeque<sse::Event>,
}

impl Watch {
    async fn next(mut self) -> Option<(Result<sse::Event, Infallible>, Watch)> {
        while self.told.is_empty() {
            let (prefix, after) = (self.prefix.clone(), Some(self.after));
            // A node that has stopped, or has too much to do, ends the stream: its client comes back.
            match ask(&self.node, Request::WatchKeys { prefix, after }).await.ok()? {
                Reply::KeyEvents { events, next } => {
                    self.told.extend(events.into_iter().map(|event| show(event, self.values)));
                    self.after = next;
                }
                Reply::KeyEventsMissed { version } => {
                    self.told.push_back(told("missed", version, &Base { version }));
                    self.after = version;
                }
                _ => return None,
            }
        }
        let next = self.told.pop_front()?;
        Some((Ok(next), self))
    }
}

fn show(happened: KeyEvent, values: bool) -> sse::Event {
    let version = happened.version;
    let (name, view) = KeyEventView::of(happened, values);
    told(name, version, &view)
}

fn told(name: &str, version: Version, data: &impl serde::Serialize) -> sse::Event {
    event(name, data).id(version.to_string())
}
