//! `wordraft relay`.

use super::failure::Failure;
use super::output::Output;
use super::{LogFormat, signals};
use ::relay::driver::{DataError, NodeHandle, StartError};
use ::relay::host::{self, HostError, RelayOptions, RunningRelay};
use shared::ids::RoomName;
use shared::node::NodeConfig;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Run a relay, with nodes of its own
///
/// Browsers open the link that it prints; `wordraft node --relay LINK` joins from another machine.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// How many nodes to run beside the relay
    #[arg(long, value_name = "N", default_value_t = 3)]
    nodes: usize,
    /// Where to keep data [default: a directory for this port, in the user's data directory]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The room of the relay's nodes
    #[arg(long, value_name = "ROOM", default_value_t)]
    room: RoomName,
    /// A file with the room's secret [default: none on this machine's own address, elsewhere one that is made]
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Let whoever may use the room break its links on purpose, to see what happens
    #[arg(long)]
    chaos: bool,
}

pub async fn run(arguments: Arguments, format: LogFormat, output: &mut Output) -> Result<(), Failure> {
    let Arguments { listen, nodes, data, room, secret_file, chaos } = arguments;
    let config = NodeConfig::default();
    let options = RelayOptions { listen, nodes, data, room, secret_file, chaos, threads: None, config };
    let running = host::start(options).await.map_err(not_started)?;
    announce(&running, format, output)?;
    for node in running.nodes.clone() {
        tokio::spawn(tell_of_end(node));
    }
    signals::received().await;
    signals::stop("stopping; a second time stops at once", running.shutdown()).await
}

fn announce(running: &RunningRelay, format: LogFormat, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        let nodes: Vec<String> = running.nodes.iter().map(|node| node.id().to_string()).collect();
        output.json(&serde_json::json!({"link": running.link, "listen": running.addr, "nodes": nodes}))?;
        output.flush()?;
    }
    match format {
        LogFormat::Text => eprintln!("open {}", running.link),
        LogFormat::Json => tracing::info!(link = running.link, "open"),
    }
    Ok(())
}

/// The other nodes go on when one cannot; whoever runs the relay has to know.
async fn tell_of_end(node: NodeHandle) {
    let end = node.ended().await;
    if end != relay::driver::NodeEnd::ShutDown {
        tracing::error!(node = %node.id(), "a node has stopped: {end}");
    }
}

fn not_started(error: HostError) -> Failure {
    match error {
        HostError::Data(error) | HostError::Node(StartError::Data(error)) => unusable(&error),
        HostError::AddressInUse { .. } => Failure::conflict(error.to_string()),
        _ => Failure::failed(error.to_string()),
    }
}

/// A directory that cannot be used as it is.
pub fn unusable(error: &DataError) -> Failure {
    match error {
        DataError::InUse { .. } | DataError::NoFreeSlot { .. } => Failure::conflict(error.to_string()),
        DataError::Unwritable { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            Failure::not_allowed(error.to_string())
        }
        _ => Failure::failed(error.to_string()),
    }
}
