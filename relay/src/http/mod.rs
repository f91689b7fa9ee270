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
mod linger;
mod page;
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
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use axum::{Router, middleware};
use shared::ids::RoomName;
use shared::limits;
use shared::wire::identity::RoomToken;
use std::sync::Arc;
use tower::util::{MapRequestLayer, MapResponseLayer};

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

/// All routes but the peers' socket.
pub fn router(state: AppState) -> Router {
    let state = Arc::new(state);
    let values = DefaultBodyLimit::max(limits::VALUE_BYTES_MAX);
    let room = Router::new()
        .route("/count", post(count::count))
        .route("/documents", get(documents::list).post(documents::add))
        .route("/documents/{document}", get(documents::show).delete(documents::remove))
        .route("/documents/{document}/content", get(documents::content))
        .route("/jobs", get(jobs::list).post(jobs::submit))
        .route("/jobs/{job}", get(jobs::show).delete(jobs::cancel))
        .route("/jobs/{job}/words", get(words::words))
        .route("/jobs/{job}/events", get(events::of_job))
        .route("/kv", get(kv::list))
        .route("/kv/{*key}", get(kv::get).put(kv::put).delete(kv::remove).layer(values))
        .route("/cluster", get(cluster::show))
        .route("/cluster/events", get(events::of_cluster))
        .route("/cluster/faults", get(faults::show).post(faults::set))
        .route("/cluster/transfer", post(cluster::transfer))
        .route("/cluster/members/{node}", delete(cluster::remove))
        .layer(middleware::from_fn_with_state(state.clone(), redirect::to_leader))
        .layer(MapRequestLayer::new(linger::read_to_the_end));
    Router::new()
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .nest("/api/v1/rooms/{room}", room)
        .fallback(page::serve)
        .method_not_allowed_fallback(wrong_method)
        .layer(MapResponseLayer::new(page::secure))
        .with_state(state)
}

async fn wrong_method(method: axum::http::Method) -> ApiError {
    ApiError::new(
        axum::http::StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{method} is not possible here"),
    )
    .hint("the Allow header names the methods that are")
}
