//! Breaking links on purpose, where the relay was started with `--chaos`.

use super::Shared;
use super::access::Permit;
use super::error::{ApiError, ApiResult};
use super::query::NoParameters;
use crate::chaos::{Chaos, Fault};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

/// The faults in force: the answer of `GET cluster/faults`, and the body of `POST`, which replaces them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultList {
    pub faults: Vec<Fault>,
}

pub async fn show(
    _permit: Permit,
    _: NoParameters,
    State(state): State<Shared>,
) -> ApiResult<Json<FaultList>> {
    Ok(Json(FaultList { faults: chaos(&state)?.of(&state.room) }))
}

/// Puts the given faults in the place of those before; an empty list heals.
pub async fn set(
    _permit: Permit,
    _: NoParameters,
    State(state): State<Shared>,
    body: Result<Bytes, BytesRejection>,
) -> ApiResult<Json<FaultList>> {
    let hint = r#"send {"faults":[{"fault":"cut","from":"NODE","to":"NODE"}]}, or an empty list to heal"#;
    let chaos = chaos(&state)?;
    let body =
        body.map_err(|rejection| ApiError::body(rejection.status(), rejection.body_text()).hint(hint))?;
    let list: FaultList =
        serde_json::from_slice(&body).map_err(|error| ApiError::bad_request(error.to_string()).hint(hint))?;
    chaos
        .set(&state.room, list.faults.clone())
        .map_err(|error| ApiError::bad_request(error.to_string()).hint(hint))?;
    Ok(Json(list))
}

fn chaos(state: &Shared) -> ApiResult<&Chaos> {
    state.chaos.as_deref().ok_or_else(|| {
        ApiError::new(StatusCode::FORBIDDEN, "no_chaos", "nobody may break links here")
            .hint("start the relay with --chaos, and ask the relay itself")
    })
}
