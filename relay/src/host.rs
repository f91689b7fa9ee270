//! A relay with the nodes that it hosts: one process, one address, one directory.

mod secret;

use crate::broker::Gate;
use crate::chaos::Chaos;
use crate::driver::{self, ComputePool, DataDirectory, DataError, Launch, NodeHandle, StartError, Way};
use crate::http::{self, AppState};
use crate::hub::Hub;
use crate::rooms::{RoomRecords, RoomRecordsError};
use crate::serve::Server;
use secret::SecretError;
use shared::ids::RoomName;
use shared::node::NodeConfig;
use shared::wire::identity::RoomToken;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;

#[derive(Clone, Debug)]
pub struct RelayOptions {
    pub listen: SocketAddr,
    /// Nodes hosted in this process.
    pub nodes: usize,
    /// `None`: a directory for this port in the user's data directory.
    pub data: Option<PathBuf>,
    /// The room of the hosted nodes and of the link.
    pub room: RoomName,
    /// A file with the room's secret. `None`: none on loopback; elsewhere one that the relay makes and keeps.
    pub secret_file: Option<PathBuf>,
    /// Whoever may use the room may break its links on purpose.
    pub chaos: bool,
    /// Counting threads of all hosted nodes together; `None`: as many as the machine has cores.
    pub threads: Option<usize>,
    pub config: NodeConfig,
}

/// A relay at work. It runs until [`RunningRelay::shutdown`].
#[derive(Debug)]
pub struct RunningRelay {
    pub addr: SocketAddr,
    /// Opens the room, with the secret if it has one.
    pub link: String,
    pub nodes: Vec<NodeHandle>,
    hub: Arc<Hub>,
    server: Server,
    _directory: DataDirectory,
}

/// Why a relay does not start.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("{address} is in use: stop what listens there, or choose another address with --listen")]
    AddressInUse { address: SocketAddr },
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Rooms(#[from] RoomRecordsError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Node(#[from] StartError),
}

/// Listens, opens the directory, starts the nodes, and serves.
pub async fn start(options: RelayOptions) -> Result<RunningRelay, HostError> {
    let RelayOptions { listen, nodes, data, room, secret_file, chaos, threads, config } = options;
    let (listener, addr) = bind(listen).await?;
    let data = match data {
        Some(path) => path,
        None => driver::user_directory()?.join(format!("relay-{}", addr.port())),
    };
    let directory = DataDirectory::open(&data.join("relay"))?;
    let loopback = addr.ip().is_loopback();
    let secret = secret::of_room(loopback, secret_file.as_deref(), directory.path())?;
    let token = secret.as_deref().map(RoomToken::member);
    let chaos = chaos.then(|| Arc::new(Chaos::new(driver::random_bytes())));
    let records = RoomRecords::open(directory.path())?;
    let hub = Hub::new(records, Gate::new(token.clone()), loopback, chaos.clone());

    let origin = origin(addr);
    let hosting = Hosting { hub: hub.clone(), room: room.clone(), http: origin.clone(), data, config };
    let nodes = start_nodes(hosting, nodes, threads).await?;
    let state = AppState { nodes: nodes.clone(), room: room.clone(), token, loopback, chaos };
    let routes = http::router(state).merge(crate::socket::router(hub.clone()));
    let server = Server::start(listener, routes);
    let link = link(&origin, &room, secret.as_deref());
    tracing::info!(%addr, nodes = nodes.len(), %room, "the relay is up");
    Ok(RunningRelay { addr, link, nodes, hub, server, _directory: directory })
}

impl RunningRelay {
    /// Answers what has been asked, stops nodes, connections and server, and returns when all files are closed.
    pub async fn shutdown(mut self) {
        self.server.finish().await;
        for node in &self.nodes {
            node.shutdown().await;
        }
        self.hub.shut_down();
        self.server.drain().await;
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), HostError> {
    let refused = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => HostError::AddressInUse { address },
        _ => HostError::Listen { address, source },
    };
    listen(address).await.map_err(refused)
}

pub(crate) async fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

/// What the hosted nodes have in common.
struct Hosting {
    hub: Arc<Hub>,
    room: RoomName,
    /// The relay's address answers for each of them.
    http: String,
    data: PathBuf,
    config: NodeConfig,
}

async fn start_nodes(
    hosting: Hosting,
    count: usize,
    threads: Option<usize>,
) -> Result<Vec<NodeHandle>, HostError> {
    let Hosting { hub, room, http, data, config } = hosting;
    let threads = if count == 0 { 0 } else { threads.unwrap_or_else(driver::cores).max(1) };
    let pool = Arc::new(ComputePool::new(threads).map_err(StartError::from)?);
    let domain = u64::from_le_bytes(driver::random_bytes());
    let mut nodes = Vec::with_capacity(count);
    for number in 0..count {
        let launch = Launch {
            directory: DataDirectory::open(&data.join(format!("node-{}", number + 1)))?,
            way: Way::Hosted { hub: hub.clone(), room: room.clone() },
            name: None,
            http: Some(http.clone()),
            domain: Some(domain),
            threads: share(threads, count, number),
            pool: pool.clone(),
            record: None,
            config: config.clone(),
        };
        nodes.push(driver::launch(launch).await?);
    }
    Ok(nodes)
}

/// What one of `count` nodes says it has of `threads`: at least one, and all of them together.
fn share(threads: usize, count: usize, number: usize) -> usize {
    (threads / count + usize::from(number < threads % count)).max(1)
}

/// Where others reach the relay, even if it listens on every address.
pub(crate) fn origin(addr: SocketAddr) -> String {
    let ip = if addr.ip().is_unspecified() { outward_ip() } else { addr.ip() };
    format!("http://{}", SocketAddr::new(ip, addr.port()))
}

fn link(origin: &str, room: &RoomName, secret: Option<&str>) -> String {
    let fragment = secret.map(|secret| format!("#{secret}")).unwrap_or_default();
    format!("{origin}/r/{room}{fragment}")
}

/// The address from which this machine would speak to the world. Nothing is sent to find out.
fn outward_ip() -> IpAddr {
    let route = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        Ok::<IpAddr, io::Error>(socket.local_addr()?.ip())
    };
    route().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn what_was_asked_is_answered_before_the_nodes_stop() {
        let data = tempfile::tempdir().unwrap();
        let relay = start(RelayOptions {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            nodes: 1,
            data: Some(data.path().to_owned()),
            room: RoomName::default(),
            secret_file: None,
            chaos: false,
            threads: Some(1),
            config: NodeConfig::default(),
        });
        let relay = relay.await.unwrap();
        let mut client = TcpStream::connect(relay.addr).await.unwrap();
        let head = "PUT /api/v1/rooms/lobby/kv/k HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n";
        client.write_all(head.as_bytes()).await.unwrap();
        let mut go_on = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
        client.read_exact(&mut go_on).await.unwrap();
        let rest = async {
            client.write_all(b"value").await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let ((), answer) = tokio::join!(relay.shutdown(), rest);
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    }

    #[test]
    fn threads_are_shared_out_and_nobody_goes_without() {
        let shares =
            |threads, count| (0..count).map(|number| share(threads, count, number)).collect::<Vec<_>>();
        assert_eq!(shares(8, 3), [3, 3, 2]);
        assert_eq!(shares(2, 3), [1, 1, 1]);
    }

    #[test]
    fn a_link_names_room_and_secret() {
        let origin_of = |addr: &str| origin(addr.parse().unwrap());
        let lobby = RoomName::default();
        assert_eq!(link(&origin_of("127.0.0.1:3000"), &lobby, None), "http://127.0.0.1:3000/r/lobby");
        assert_eq!(link(&origin_of("[::1]:80"), &lobby, Some("abc")), "http://[::1]:80/r/lobby#abc");
        let everywhere = origin_of("0.0.0.0:80");
        assert!(!everywhere.contains("0.0.0.0"), "{everywhere}");
    }
}
