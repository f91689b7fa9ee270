//! Changes of keys as server-sent events, each with its version as the id: whoever loses the connection goes on after it.

use super::shape::KeyEventView;
use crate::driver::NodeHandle;
use crate::http::access::ask;
use crate::http::error::{ApiError, ApiResult};
use crate::http::events::event;
use axum::http::StatusCode;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use shared::limits;
use shared::node::api::{Consistency, KeyQuery, Reply, Request};
use shared::state_machine::Version;
use shared::time::Duration;
use std::convert::Infallible;
use tokio::sync::mpsc;

/// `watching` at once, then `put`, `delete` and `expire`; `missed` where changes are not known any more, to be followed by a look
/// at the list; `cut` as the last to a client that does not read.
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
    // One event waits here, and the rest of a page with whoever feeds.
    let (reader, events) = mpsc::channel(1);
    let watch =
        Watch { node, prefix, values, after, told: after, stall_max: limits::WATCH_STALL_MAX, reader };
    tokio::spawn(watch.feed());
    Ok(Sse::new(as_stream(events)).keep_alive(KeepAlive::default()).into_response())
}

fn as_stream(events: mpsc::Receiver<sse::Event>) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    futures_util::stream::unfold(events, |mut events| async move { Some((Ok(events.recv().await?), events)) })
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
struct At {
    version: Version,
}

struct Watch {
    node: NodeHandle,
    prefix: String,
    values: bool,
    /// What comes next is asked for after this.
    after: Version,
    /// The latest that the reader was told.
    told: Version,
    stall_max: Duration,
    reader: mpsc::Sender<sse::Event>,
}

/// Why a stream ends. Its client comes back.
#[derive(Debug, PartialEq)]
enum End {
    Gone,
    TooSlow,
    /// The node has stopped, or has too much to do.
    NoAnswer,
}

impl Watch {
    async fn feed(mut self) {
        let Err(end) = self.follow().await;
        self.say(end).await;
    }

    async fn follow(&mut self) -> Result<Infallible, End> {
        self.tell("watching", self.after, &At { version: self.after }).await?;
        loop {
            let request = Request::WatchKeys { prefix: self.prefix.clone(), after: Some(self.after) };
            let reply = tokio::select! {
                reply = ask(&self.node, request) => reply.map_err(|_| End::NoAnswer)?,
                () = self.reader.closed() => return Err(End::Gone),
            };
            match reply {
                Reply::KeyEvents { events, next } => {
                    for happened in events {
                        let version = happened.version;
                        let (name, view) = KeyEventView::of(happened, self.values);
                        self.tell(name, version, &view).await?;
                    }
                    self.after = next;
                }
                Reply::KeyEventsMissed { version } => {
                    self.tell("missed", version, &At { version }).await?;
                    self.after = version;
                }
                _ => return Err(End::NoAnswer),
            }
        }
    }

    /// Waits until the event before has been taken, but not for ever: what waits behind it takes memory.
    async fn tell(&mut self, name: &str, version: Version, data: &impl serde::Serialize) -> Result<(), End> {
        match tokio::time::timeout(self.stall_max, self.reader.reserve()).await {
            Ok(Ok(place)) => place.send(event(name, data).id(version.to_string())),
            Ok(Err(_closed)) => return Err(End::Gone),
            Err(_elapsed) => return Err(End::TooSlow),
        }
        self.told = version;
        Ok(())
    }

    /// `cut` has no id: who comes back goes on after the last change that it was told.
    async fn say(self, end: End) {
        if end == End::TooSlow {
            let _gone = self.reader.send(event("cut", &At { version: self.told })).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::state_machine::{KeyEvent, KeyHappened};
    use tokio::sync::broadcast;

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_cut_off_and_told_where_to_go_on() {
        let node = NodeHandle::made_up(broadcast::channel(1).0, |_| {
            let put = KeyHappened::Put { value: vec![b'v'; 1000].into(), expires_at: None };
            let event =
                |n| KeyEvent { key: "k".parse().unwrap(), version: Version::new(n), happened: put.clone() };
            Ok(Reply::KeyEvents { events: (8..100).map(event).collect(), next: Version::new(100) })
        });
        let (reader, events) = mpsc::channel(1);
        let after = Version::new(7);
        let (prefix, values, stall_max) = (String::new(), true, Duration::ZERO);
        let mut watch = Watch { node, prefix, values, after, told: after, stall_max, reader };
        assert_eq!(watch.follow().await, Err(End::TooSlow));
        let body = Sse::new(as_stream(events)).into_response().into_body();
        let ((), read) = tokio::join!(watch.say(End::TooSlow), axum::body::to_bytes(body, 1 << 20));
        let expected =
            "event: watching\ndata: {\"version\":7}\nid: 7\n\nevent: cut\ndata: {\"version\":7}\n\n";
        assert_eq!(read.unwrap(), expected);
    }
}
