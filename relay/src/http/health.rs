//! For whoever watches the process: whether it lives, and whether it can serve.

use super::{Shared, access};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::node::api::{ClusterView, Reply, Request, TroubleCode};
use std::time::Duration;

/// A node that does not say how it is within this time is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// A lost quorum is no reason to restart the process.
pub async fn live() -> &'static str {
    "ok\n"
}

/// Ready: every node here knows a leader and a majority, and nothing keeps it from serving. A relay without nodes only
/// carries messages, and is ready.
pub async fn ready(State(state): State<Shared>) -> (StatusCode, Json<Value>) {
    let mut views = Vec::new();
    for node in &state.nodes {
        match tokio::time::timeout(PATIENCE, access::ask(node, Request::Cluster)).await {
            Ok(Ok(Reply::Cluster(view))) => views.push(view),
            _ => return unready(json!({"reason": "a node of this process does not answer"})),
        }
    }
    match views
        .iter()
        .find(|view| !view.quorum.healthy || view.trouble_code.is_some_and(TroubleCode::is_unready))
    {
        Some(view) => unready(why(view)),
        None => (StatusCode::OK, Json(json!({"ready": true, "nodes": views.len()}))),
    }
}

fn why(view: &ClusterView) -> Value {
    let reason = view.trouble.as_deref().unwrap_or("there is no leader, or no majority");
    json!({"reason": reason, "remedy": view.remedy, "code": view.trouble_code})
}

fn unready(mut why: Value) -> (StatusCode, Json<Value>) {
    why["ready"] = false.into();
    (StatusCode::SERVICE_UNAVAILABLE, Json(why))
}
