//! The HTTP interface: the same on the relay and on every `wordraft node --http`.
//!
//! Whatever is asked goes through a [`NodeHandle`] to a node of this process; any node answers for the whole cluster.
//! Handlers hold at most a few chunks of a text and one block of a table at a time, however large those are.

mod access;
mod cluster;
mod count;
mod documents;
mod error;
mod events;
mod faults;
mod health;
mod idempotency;
mod jobs;
mod kv;
pub(crate) mod linger;
pub(crate) mod page;
mod query;
mod redirect;
mod report;
mod table;
#[cfg(test)]
mod tests;
mod upload;
mod words;

use crate::chaos::Chaos;
use crate::driver::NodeHandle;
use axum::Router;
use axum::routing::{delete, get, post};
use shared::ids::RoomName;
use shared::wire::identity::RoomToken;
use std::sync::Arc;

pub use cluster::Transfer;
pub use documents::{DocumentList, DocumentView};
pub use error::ApiError;
pub(crate) use error::ApiResult;
pub use faults::FaultList;
pub use jobs::{JobList, JobView, Options, StateView, Submission};
pub use kv::{KeyChanged, KeyEventView, KeyList, KeyRow, TTL_HEADER, Ttl, ValueView, key_path, url_part};
pub use words::WordList;

/// What the routes work with.
#[derive(Clone, Debug)]
pub struct AppState {
    /// Nodes of this process in the room. Any of them answers.
    pub nodes: Vec<NodeHandle>,
    pub room: RoomName,
    /// Asked of every request; `None` where the room has no secret.
    pub token: Option<RoomToken>,
    /// Only this machine can reach the server.
    pub loopback: bool,
    /// Links may be broken on purpose, at a relay that was asked to allow it.
    pub chaos: Option<Arc<Chaos>>,
}

type Shared = Arc<AppState>;

/// All routes but the peers' socket. What concerns every request and answer alike stands around the router
/// ([`crate::serve`]): each layer within it would cost every request several allocations.
pub fn router(state: AppState) -> Router {
    let in_room = |path: &str| format!("/api/v1/rooms/{{room}}{path}");
    Router::new()
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route(&in_room("/count"), post(count::count))
        .route(&in_room("/documents"), get(documents::list).post(documents::add))
        .route(&in_room("/documents/{document}"), get(documents::show).delete(documents::remove))
        .route(&in_room("/documents/{document}/content"), get(documents::content))
        .route(&in_room("/jobs"), get(jobs::list).post(jobs::submit))
        .route(&in_room("/jobs/{job}"), get(jobs::show).delete(jobs::cancel))
        .route(&in_room("/jobs/{job}/words"), get(words::words))
        .route(&in_room("/jobs/{job}/events"), get(events::of_job))
        .route(&in_room("/kv"), get(kv::list))
        .route(&in_room("/kv/{*key}"), get(kv::get).put(kv::put).delete(kv::remove))
        .route(&in_room("/cluster"), get(cluster::show))
        .route(&in_room("/cluster/events"), get(events::of_cluster))
        .route(&in_room("/cluster/faults"), get(faults::show).post(faults::set))
        .route(&in_room("/cluster/transfer"), post(cluster::transfer))
        .route(&in_room("/cluster/members/{node}"), delete(cluster::remove))
        .fallback(page::serve)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Arc::new(state))
}

async fn wrong_method(method: axum::http::Method) -> ApiError {
    ApiError::new(
        axum::http::StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{method} is not possible here"),
    )
    .hint("the Allow header names the methods that are")
}
