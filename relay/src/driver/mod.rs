//! The native driver: carries out what a [`Node`](shared::node::Node) asks for, with files, threads, timers and a relay.
//!
//! It decides nothing. Its parts mirror those of the worker in a tab and of the simulator: [`transport`], `storage`,
//! `clock`, `compute`.

mod clock;
mod compute;
pub(crate) mod data_directory;
mod handle;
mod recording;
mod runner;
mod storage;
mod transport;

pub use compute::ComputePool;
pub use data_directory::{DataDirectory, DataError, user_directory};
pub use handle::{Connection, NodeEnd, NodeHandle};
pub use recording::{RecordingError, RecordingOptions};
pub use transport::{RelayAddress, Way};

use clock::Clock;
use recording::Recording;
use runner::Runner;
use shared::ids::NodeId;
use shared::limits;
use shared::node::{NodeConfig, NodeError, friendly_name};
use shared::recording::Start;
use shared::wire::session::{Kind, Profile};
use std::path::PathBuf;
use std::sync::Arc;

/// What a node that joins a relay over the network needs.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    pub relay: RelayAddress,
    /// `None`: the first free slot for this room in the user's data directory.
    pub data: Option<PathBuf>,
    /// `None`: a friendly name made from the id.
    pub name: Option<String>,
    /// Where others find this node's HTTP interface.
    pub http: Option<String>,
    /// Counting threads; `None`: as many as the machine has cores.
    pub threads: Option<usize>,
    /// Everything that the node is told goes into a file.
    pub record: Option<RecordingOptions>,
    pub config: NodeConfig,
}

/// A node of any kind, hosted or remote, about to start.
#[derive(Debug)]
pub struct Launch {
    pub directory: DataDirectory,
    pub way: Way,
    pub name: Option<String>,
    pub http: Option<String>,
    /// Members with the same number die together.
    pub domain: Option<u64>,
    /// This node's share of the pool.
    pub threads: usize,
    pub pool: Arc<ComputePool>,
    pub record: Option<RecordingOptions>,
    pub config: NodeConfig,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Data(#[from] DataError),
    #[error("the node's data cannot be used: {0}")]
    Node(#[from] NodeError),
    #[error("the name has more than {} bytes: choose a shorter one", limits::MEMBER_NAME_BYTES_MAX)]
    NameTooLong,
    #[error("the name has control characters in it: choose one without")]
    NameUnprintable,
    #[error(transparent)]
    Recording(#[from] RecordingError),
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Starts a node that joins a relay over the network. It connects in the background: see [`NodeHandle::connection`].
pub async fn start_node(options: NodeOptions) -> Result<NodeHandle, StartError> {
    let NodeOptions { relay, data, name, http, threads, record, config } = options;
    let directory = match data {
        Some(path) => DataDirectory::open(&path)?,
        None => DataDirectory::open_free_slot(&relay)?,
    };
    let threads = threads.unwrap_or_else(cores).max(1);
    let pool = Arc::new(ComputePool::new(threads)?);
    let way = Way::Remote(relay);
    launch(Launch { directory, way, name, http, domain: None, threads, pool, record, config }).await
}

/// Opens a node's stores and starts it.
pub async fn launch(launch: Launch) -> Result<NodeHandle, StartError> {
    if launch.name.as_ref().is_some_and(|name| name.len() > limits::MEMBER_NAME_BYTES_MAX) {
        return Err(StartError::NameTooLong);
    }
    if launch.name.as_ref().is_some_and(|name| name.chars().any(char::is_control)) {
        return Err(StartError::NameUnprintable);
    }
    // Opening reads and checks whole files.
    tokio::task::spawn_blocking(move || open(launch)).await.map_err(std::io::Error::other)?
}

fn open(launch: Launch) -> Result<NodeHandle, StartError> {
    let Launch { directory, way, name, http, domain, threads, pool, record, config } = launch;
    let (completions, completed) = tokio::sync::mpsc::unbounded_channel();
    let (identity, stored, storage) = storage::open(directory, completions.clone())?;
    let me = identity.id();
    let profile = Profile {
        name: name.unwrap_or_else(|| friendly_name(me)),
        kind: Kind::Server,
        http,
        threads: u16::try_from(threads).unwrap_or(u16::MAX),
        hidden: false,
        domain: domain.unwrap_or_else(|| domain_of(me)),
    };
    let clock = Clock::start();
    let cluster = stored.cluster;
    let (seed, at) = (random_bytes(), clock.now());
    let start = Start { me, profile: profile.clone(), config, stored, seed, at };
    let recording = record.map(|options| Recording::begin(options, &start)).transpose()?;
    let node = start.node()?;
    let transport = transport::start(way, identity, profile.clone(), cluster);
    Ok(Runner::start(runner::Parts {
        me,
        profile,
        node,
        recording,
        clock,
        storage,
        transport,
        pool,
        completions,
        completed,
    }))
}

/// A domain of its own.
fn domain_of(node: NodeId) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&node.as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}

/// Counting threads that make sense here.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Randomness of the operating system, for keys and seeds.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}
