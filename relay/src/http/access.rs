//! Who may ask: the room in the path, its token, and where a write comes from.

use super::error::{ApiError, ApiResult};
use super::redirect;
use super::{AppState, Shared};
use crate::driver::NodeHandle;
use crate::origin;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use shared::ids::RoomName;
use shared::node::api::{Reply, Request};
use shared::wire::identity::RoomToken;
use std::str::FromStr;

/// A request that may be carried out, with the node that does so.
pub struct Access {
    pub node: NodeHandle,
    /// `/api/v1/rooms/ROOM`
    pub base: String,
}

impl Access {
    pub async fn ask(&self, request: Request) -> ApiResult<Reply> {
        ask(&self.node, request).await
    }
}

pub async fn ask(node: &NodeHandle, request: Request) -> ApiResult<Reply> {
    node.request(request).await.map_err(ApiError::from)
}

impl FromRequestParts<Shared> for Access {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> ApiResult<Access> {
        let room: RoomName = path_parameter(parts, state, "room").await?;
        let node = admit(state, &room, &parts.method, &parts.headers)?;
        redirect::to_leader(&node, parts).await?;
        Ok(Access { node, base: format!("/api/v1/rooms/{room}") })
    }
}

/// A request that may be carried out by the server itself.
pub struct Permit;

impl FromRequestParts<Shared> for Permit {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> ApiResult<Permit> {
        let room: RoomName = path_parameter(parts, state, "room").await?;
        check(state, &room, &parts.method, &parts.headers).map(|()| Permit)
    }
}

/// The node that answers for a room, if this request may ask it.
fn admit(state: &AppState, room: &RoomName, method: &Method, headers: &HeaderMap) -> ApiResult<NodeHandle> {
    check(state, room, method, headers)?;
    state.nodes.iter().find(|node| !node.has_ended()).cloned().ok_or_else(|| {
        ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no_node",
            format!("this relay carries the messages of room \"{room}\" and runs no node that could answer"),
        )
        .hint("start the relay with --nodes 1 or more, or ask a node that was started with `wordraft node --http ADDRESS`")
    })
}

fn check(state: &AppState, room: &RoomName, method: &Method, headers: &HeaderMap) -> ApiResult<()> {
    check_origin(state.loopback, method, headers)?;
    if *room != state.room {
        return Err(ApiError::not_found(format!("nobody here answers for room \"{room}\""))
            .hint(format!("check the link; this address answers for room \"{}\"", state.room)));
    }
    if let Some(token) = &state.token {
        check_token(token, headers)?;
    }
    Ok(())
}

/// Reading is left to the browser's own rules, except where a foreign name was made to point at this machine.
fn check_origin(loopback: bool, method: &Method, headers: &HeaderMap) -> ApiResult<()> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text(header::ORIGIN).filter(|_| !method.is_safe());
    if origin::may_connect(origin, text(header::HOST), loopback) {
        return Ok(());
    }
    Err(ApiError::wrong_origin())
}

fn check_token(token: &RoomToken, headers: &HeaderMap) -> ApiResult<()> {
    let hint = "use the whole link, with the part after #";
    let Some(given) = headers.get(header::AUTHORIZATION) else {
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "secret_needed", "the room asks for its secret")
            .hint(hint)
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
    };
    let given =
        given.to_str().ok().and_then(|given| given.strip_prefix("Bearer ")).and_then(RoomToken::from_text);
    match given {
        Some(given) if token.admits(&given) => Ok(()),
        _ => Err(ApiError::new(StatusCode::FORBIDDEN, "wrong_secret", "the room's secret is another one")
            .hint(hint)),
    }
}

/// The part of the path that a route calls `name`.
pub async fn path_text(parts: &mut Parts, state: &Shared, name: &str) -> ApiResult<String> {
    let parameters = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
    let text = parameters.iter().find(|(key, _)| *key == name).map(|(_, text)| text);
    Ok(text.unwrap_or_default().to_owned())
}

async fn path_parameter<T>(parts: &mut Parts, state: &Shared, name: &str) -> ApiResult<T>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    let text = path_text(parts, state, name).await?;
    text.parse().map_err(|error| ApiError::not_found(format!("{error}")))
}

/// Names the path parameter that an identifier is read from.
pub trait InPath: FromStr {
    const PARAMETER: &'static str;
}

impl InPath for shared::ids::DocumentId {
    const PARAMETER: &'static str = "document";
}

impl InPath for shared::ids::JobId {
    const PARAMETER: &'static str = "job";
}

impl InPath for shared::ids::NodeId {
    const PARAMETER: &'static str = "node";
}

/// An identifier in the path. What cannot be one names nothing that exists.
pub struct Id<T>(pub T);

impl<T: InPath> FromRequestParts<Shared> for Id<T>
where
    T::Err: std::fmt::Display,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> ApiResult<Id<T>> {
        path_parameter(parts, state, T::PARAMETER).await.map(Id)
    }
}
