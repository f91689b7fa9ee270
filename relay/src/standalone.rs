//! A node in a process of its own, with the HTTP interface if it is to answer there.

use crate::driver::{self, NodeHandle, NodeOptions, StartError};
use crate::host;
use crate::http::{self, AppState};
use crate::serve::Server;
use axum::response::Redirect;
use axum::routing::get;
use std::io;
use std::net::SocketAddr;

/// A node at work. It runs until [`StandaloneNode::shutdown`].
#[derive(Debug)]
pub struct StandaloneNode {
    pub node: NodeHandle,
    /// Where it answers HTTP.
    pub http: Option<SocketAddr>,
    server: Option<Server>,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StandaloneError {
    #[error("{address} is in use: stop what listens there, or choose another address with --http")]
    AddressInUse { address: SocketAddr },
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error(
        "others can reach {address}, and the room has no secret: use an address of this machine only, or a room with one"
    )]
    SecretNeeded { address: SocketAddr },
    #[error(transparent)]
    Node(#[from] StartError),
}

/// Starts the node, and lets it answer at `listen`, which may be on any free port.
pub async fn start(
    mut options: NodeOptions,
    listen: Option<SocketAddr>,
) -> Result<StandaloneNode, StandaloneError> {
    let Some(address) = listen else {
        let node = driver::start_node(options).await?;
        return Ok(StandaloneNode { node, http: None, server: None });
    };
    let loopback = address.ip().is_loopback();
    let (room, token) = (options.relay.room.clone(), options.relay.token.clone());
    if !loopback && token.is_none() {
        return Err(StandaloneError::SecretNeeded { address });
    }
    let (listener, bound) = host::listen(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => StandaloneError::AddressInUse { address },
        _ => StandaloneError::Listen { address, source },
    })?;
    options.http = Some(host::origin(bound));
    let page = format!("{}/r/{room}", options.relay.origin);
    let node = driver::start_node(options).await?;
    let routes = http::router(AppState { nodes: vec![node.clone()], room, token, loopback, chaos: None });
    // A tab speaks to the relay, so the page comes from there. A browser takes the part after # along by itself.
    let to_relay = get(move || async move { Redirect::temporary(&page) });
    let routes = routes.route("/", to_relay.clone()).route("/r/{room}", to_relay);
    Ok(StandaloneNode { node, http: Some(bound), server: Some(Server::start(listener, routes)) })
}

impl StandaloneNode {
    /// Hands leadership over, answers what has been asked, stops node and server, and returns when all files are closed.
    pub async fn shutdown(mut self) {
        self.node.leave().await;
        if let Some(server) = &mut self.server {
            server.finish().await;
        }
        self.node.shutdown().await;
        if let Some(server) = self.server {
            server.drain().await;
        }
    }
}
