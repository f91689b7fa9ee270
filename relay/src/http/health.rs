//! For whoever watches the process: whether it lives, and whether it can serve.

use super::{Shared, access};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::node::api::{ClusterView, Reply, Request};
use std::time::Duration;

/// A node that does not say how it is within this time is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// A lost quorum is no reason to restart the process.
pub async fn live() -> &'static str {
    "ok\n"
}

/// Ready: every node here knows a leader and a majority. A relay without nodes only carries messages, and is ready.
pub async fn ready(State(state): State<Shared>) -> (StatusCode, Json<Value>) {
    let mut views = Vec::new();
    for node in &state.nodes {
        match tokio::time::timeout(PATIENCE, access::ask(node, Request::Cluster)).await {
            Ok(Ok(Reply::Cluster(view))) => views.push(view),
            _ => return unready("a node of this process does not answer"),
        }
    }
    match views.iter().find(|view| !view.quorum.healthy) {
        Some(view) => unready(trouble(view)),
        None => (StatusCode::OK, Json(json!({"ready": true, "nodes": views.len()}))),
    }
}

fn trouble(view: &ClusterView) -> &str {
    view.trouble.as_deref().unwrap_or("there is no leader, or no majority")
}

fn unready(reason: &str) -> (StatusCode, Json<Value>) {
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"ready": false, "reason": reason})))
}
