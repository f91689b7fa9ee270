//! The world in which a bad network is survived: a relay in the centre, servers around it, clients that remember.

mod clients;

use clients::Clients;
use serde_json::{Value, json};
use shared::wire::identity::RoomToken;
use std::process::Command;
use std::time::Instant;
use tempfile::TempDir;
use testkit::cli::wordraft_binary;
use testkit::cluster::{PATIENCE, members};
use testkit::network::{CENTRE, Host, Loss, Network, Way};
use testkit::{Http, Process, until};

/// So many operations have to succeed while something is wrong: the cluster goes on, it does not only survive.
const PROGRESS: u64 = 100;

pub struct World {
    network: Network,
    relay: Relay,
    pub servers: Vec<Server>,
    clients: Clients,
}

/// What is wrong while a scene lasts.
pub enum Scene {
    Calm,
    Packets(Vec<Loss>),
    Frames(Vec<Value>),
    Paused(Vec<usize>),
    Killed(Vec<usize>),
    RelayKilled,
}

struct Relay {
    process: Process,
    data: TempDir,
    link: String,
    port: u16,
}

pub struct Server {
    host: Host,
    name: String,
    link: String,
    data: TempDir,
    process: Process,
    id: String,
    http: Http,
}

impl World {
    pub async fn start(size: u8) -> World {
        let network = Network::new();
        let relay = Relay::start().await;
        let mut servers = Vec::new();
        for number in 0..size {
            servers.push(Server::start(network.host(number + 2), &relay).await);
        }
        see(&servers[0].http, "all are voters", |view| {
            view["quorum"]["voters"] == size && view["quorum"]["healthy"] == true
        })
        .await;
        let clients = Clients::start(servers.iter().map(|server| server.http.clone()).collect());
        World { network, relay, servers, clients }
    }

    pub fn id(&self, at: usize) -> String {
        self.servers[at].id.clone()
    }

    pub fn loss(&self, at: usize, way: Way, percent: u8) -> Loss {
        Loss { host: self.servers[at].host.address, way, percent }
    }

    /// Whom most of the servers follow.
    pub async fn leader(&self) -> usize {
        until("a leader that is known to most", PATIENCE, async || {
            let mut votes = vec![0; self.servers.len()];
            for server in &self.servers {
                let view = server.http.get("cluster").await.map_err(|error| error.to_string())?.json();
                let leader = view["leader"].as_str().unwrap_or_default();
                if let Some(at) = self.servers.iter().position(|server| server.id == leader) {
                    votes[at] += 1;
                }
            }
            let most = votes.iter().position(|count| *count * 2 > self.servers.len());
            most.ok_or(format!("{votes:?}"))
        })
        .await
    }

    /// Lets something be wrong until enough was acknowledged meanwhile, and mends it.
    pub async fn scene(&mut self, name: &str, scene: Scene) {
        let began = Instant::now();
        self.begin(&scene).await;
        let acknowledged = self.clients.progress(PROGRESS, name).await;
        self.mend(&scene).await;
        see(&self.servers[0].http, "everybody is back", |view| {
            let is_back = |member: &Value| member["online"] == true && member["lag"].as_u64() < Some(1_000);
            view["quorum"]["healthy"] == true && members(view).iter().filter(|one| is_back(one)).count() >= 5
        })
        .await;
        println!(
            "{:>6} ms, first of {PROGRESS} acknowledged after {:>5} ms: {name}",
            began.elapsed().as_millis(),
            acknowledged.as_millis()
        );
    }

    async fn begin(&mut self, scene: &Scene) {
        match scene {
            Scene::Calm => {}
            Scene::Packets(losses) => self.network.lose(self.relay.port, losses),
            Scene::Frames(faults) => self.relay.set_faults(faults).await,
            Scene::Paused(some) => some.iter().for_each(|at| self.servers[*at].process.pause()),
            Scene::Killed(some) => some.iter().for_each(|at| self.servers[*at].process.kill()),
            Scene::RelayKilled => {
                self.relay.process.kill();
                self.relay.restart().await;
            }
        }
    }

    async fn mend(&mut self, scene: &Scene) {
        match scene {
            Scene::Calm | Scene::RelayKilled => {}
            Scene::Packets(_) => self.network.lose(self.relay.port, &[]),
            Scene::Frames(_) => self.relay.set_faults(&[]).await,
            Scene::Paused(some) => some.iter().for_each(|at| self.servers[*at].process.resume()),
            Scene::Killed(some) => {
                for at in some {
                    self.servers[*at].restart().await;
                    self.clients.reach(*at, self.servers[*at].http.clone());
                }
            }
        }
    }

    /// All clients stop, every key is read once more, and the history is judged.
    pub async fn end(self) {
        let history = self.clients.stop().await;
        let answered = history.iter().filter(|operation| operation.answered.is_some()).count();
        println!("{} operations, {} of them without an answer", history.len(), history.len() - answered);
        linearizability::check(&history).unwrap_or_else(|error| panic!("{error}"));
    }
}

impl Relay {
    async fn start() -> Relay {
        let data = tempfile::tempdir().expect("a directory for a test can be made");
        let mut process = Relay::launch(&data, 0);
        let link = process.logged("a link", |line| Some(line.strip_prefix("open ")?.to_owned())).await;
        let port = port_in(&link).expect("a link has a port");
        Relay { process, data, link, port }
    }

    async fn restart(&mut self) {
        self.process = Relay::launch(&self.data, self.port);
        self.process.logged("a link", |line| line.strip_prefix("open ").map(drop)).await;
    }

    fn launch(data: &TempDir, port: u16) -> Process {
        let mut command = Command::new(wordraft_binary());
        command.args(["relay", "--nodes", "0", "--chaos", "--listen", &format!("{CENTRE}:{port}"), "--data"]);
        command.arg(data.path()).env("NO_COLOR", "1");
        Process::start("relay", command)
    }

    async fn set_faults(&self, faults: &[Value]) {
        let room = format!("http://{CENTRE}:{}/api/v1/rooms/lobby", self.port);
        let answer = Http::with_token(&room, &token_of(&self.link))
            .post_json("cluster/faults", &json!({ "faults": faults }))
            .await;
        answer.expect("the relay answers").ok();
    }
}

/// The port in `http://ADDRESS:PORT/r/ROOM#SECRET`.
fn port_in(link: &str) -> Option<u16> {
    let (_, rest) = link.strip_prefix("http://")?.split_once(':')?;
    rest.split('/').next()?.parse().ok()
}

fn token_of(link: &str) -> String {
    let (_, secret) = link.split_once('#').expect("a relay that others can reach has a secret");
    RoomToken::member(secret).to_text()
}

impl Server {
    async fn start(host: Host, relay: &Relay) -> Server {
        let data = tempfile::tempdir().expect("a directory for a test can be made");
        let name = format!("Server {}", host.address);
        let mut process = launch(&host, &name, &relay.link, &data);
        let http = reach(&mut process, &relay.link).await;
        let view = see(&http, "itself", |view| view["node"].is_string()).await;
        let id = view["node"].as_str().expect("just seen").to_owned();
        Server { host, name, link: relay.link.clone(), data, process, id, http }
    }

    async fn restart(&mut self) {
        self.process = launch(&self.host, &self.name, &self.link, &self.data);
        self.http = reach(&mut self.process, &self.link).await;
    }
}

fn launch(host: &Host, name: &str, link: &str, data: &TempDir) -> Process {
    let mut command = host.command(wordraft_binary());
    command.args([
        "node",
        "--relay",
        link,
        "--name",
        name,
        "--http",
        &format!("{}:0", host.address),
        "--data",
    ]);
    command.arg(data.path()).env("NO_COLOR", "1");
    Process::start(name, command)
}

async fn reach(process: &mut Process, link: &str) -> Http {
    let address = process.logged("an address", testkit::node::http_in).await;
    Http::with_token(&format!("http://{address}/api/v1/rooms/lobby"), &token_of(link))
}

async fn see(http: &Http, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    testkit::Cluster::new(http.clone()).see(what, holds).await
}
