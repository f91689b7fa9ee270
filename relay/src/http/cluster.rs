//! The members and their leader.

use super::access::{Access, Id};
use super::error::{ApiError, ApiResult};
use super::idempotency::IdempotencyKey;
use super::query::NoParameters;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::ids::NodeId;
use shared::node::api::{ClusterView, Reply, Request};

/// The body of `POST cluster/transfer`; an empty one leaves the choice to the leader.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    pub to: Option<NodeId>,
}

pub async fn show(access: Access, _: NoParameters) -> ApiResult<Json<ClusterView>> {
    match access.ask(Request::Cluster).await? {
        Reply::Cluster(view) => Ok(Json(*view)),
        _ => Err(ApiError::unexpected_reply()),
    }
}

/// Answers with the cluster under its new leader.
pub async fn transfer(
    access: Access,
    _: NoParameters,
    key: IdempotencyKey,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<Json<ClusterView>> {
    let hint = r#"send {"to":"NODE"}, or nothing"#;
    let body =
        body.map_err(|rejection| ApiError::body(rejection.status(), rejection.body_text()).hint(hint))?;
    let Transfer { to } = match body.is_empty() {
        true => Transfer::default(),
        false => serde_json::from_slice(&body)
            .map_err(|error| ApiError::bad_request(error.to_string()).hint(hint))?,
    };
    if key.is_given() && to.is_none() {
        let message = "a transfer that may be repeated has to say who is to lead";
        return Err(ApiError::bad_request(message).hint(r#"send {"to":"NODE"}"#));
    }
    access.ask(Request::Transfer { to }).await?;
    show(access, NoParameters).await
}

pub async fn remove(access: Access, Id(node): Id<NodeId>, _: NoParameters) -> ApiResult<StatusCode> {
    access.ask(Request::RemoveMember { node }).await?;
    Ok(StatusCode::NO_CONTENT)
}
