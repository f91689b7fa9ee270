//! `wordraft node`.

use super::failure::{Failure, Kind};
use super::output::Output;
use super::relay::unusable;
use super::{Global, signals, size};
use ::relay::driver::{NodeEnd, NodeOptions, RecordingError, RecordingOptions, RelayAddress, StartError};
use ::relay::standalone::{self, StandaloneError, StandaloneNode};
use shared::node::NodeConfig;
use shared::wire::session::Refusal;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Run a node that joins the cluster in the room of a relay
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where to keep data [default: a free slot for this room, in the user's data directory]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What others call this node [default: a friendly name]
    #[arg(long)]
    name: Option<String>,
    /// Answer HTTP there too
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    /// Counting threads [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Record everything that the node is told, texts included, in a new file for `wordraft replay`
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Where the recording ends, and the node goes on
    #[arg(long, value_name = "SIZE", requires = "record", value_parser = size::parse,
          default_value = "1GiB")]
    record_limit: u64,
}

pub async fn run(global: &Global, arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    let Arguments { data, name, http, threads, record, record_limit } = arguments;
    let relay = RelayAddress {
        origin: global.relay.origin().to_owned(),
        room: global.relay.room().clone(),
        token: global.relay.token(),
    };
    let threads = threads.map(NonZeroUsize::get);
    let record = record.map(|path| RecordingOptions { path, bytes_max: record_limit });
    let config = NodeConfig::default();
    let options = NodeOptions { relay, data, name, http: None, threads, record, config };
    let running = standalone::start(options, http).await.map_err(not_started)?;
    announce(global, &running, output)?;
    tokio::select! {
        end = running.node.ended() => Err(ended(&end)),
        () = signals::received() => signals::stop("stopping; a second time stops at once", running.shutdown()).await,
    }
}

fn announce(global: &Global, running: &StandaloneNode, output: &mut Output) -> Result<(), Failure> {
    let (node, name, http) = (running.node.id(), running.node.profile().name, running.http);
    tracing::info!(%node, name, relay = %global.relay, "the node runs");
    if let Some(http) = http {
        tracing::info!(%http, "answers HTTP");
    }
    if output.is_json() {
        output.json(&serde_json::json!({"node": node, "name": name, "http": http}))?;
        output.flush()?;
    }
    Ok(())
}

fn not_started(error: StandaloneError) -> Failure {
    match error {
        StandaloneError::Node(StartError::Data(error)) => unusable(&error),
        StandaloneError::Node(StartError::NameTooLong | StartError::NameUnprintable)
        | StandaloneError::SecretNeeded { .. } => Failure::usage(error.to_string()),
        StandaloneError::Node(StartError::Recording(error @ RecordingError::Exists { .. })) => {
            Failure::conflict(error.to_string())
        }
        StandaloneError::AddressInUse { .. } => Failure::conflict(error.to_string()),
        _ => Failure::failed(error.to_string()),
    }
}

fn ended(end: &NodeEnd) -> Failure {
    let kind = match end {
        NodeEnd::Refused(Refusal::SecretNeeded | Refusal::WrongSecret | Refusal::BadProof) => {
            Kind::NotAllowed
        }
        NodeEnd::Refused(Refusal::OtherCluster { .. } | Refusal::AlreadyConnected) => Kind::NotFound,
        _ => Kind::Failed,
    };
    Failure::new(kind, end.to_string())
}
