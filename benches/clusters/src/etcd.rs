//! Three members of etcd, with the default settings.

use crate::client::Client;
use crate::client::grpc::Grpc;
use crate::servers::MEMBERS;
use anyhow::{Context as _, ensure};
use std::net::TcpListener;
use std::process::Command;
use tempfile::TempDir;
use testkit::cluster::PATIENCE;
use testkit::{Process, until};

pub struct Etcd {
    members: Vec<Member>,
    cluster: String,
}

struct Member {
    process: Process,
    name: String,
    /// For clients, and for the other members.
    addresses: [String; 2],
    data: TempDir,
}

impl Etcd {
    pub async fn start() -> Etcd {
        let addresses = free_addresses();
        let names = ["e0", "e1", "e2"];
        let cluster: Vec<String> = (names.iter().zip(&addresses))
            .map(|(name, [_, peers])| format!("{name}=http://{peers}"))
            .collect();
        let cluster = cluster.join(",");
        let start = |(name, addresses): (&str, [String; 2])| {
            let data = tempfile::tempdir().expect("a directory for a benchmark can be made");
            let process = launch(name, &addresses, &data, &cluster);
            Member { process, name: name.to_owned(), addresses, data }
        };
        Etcd { members: names.into_iter().zip(addresses).map(start).collect(), cluster }
    }

    pub fn client(&self, member: usize) -> Client {
        Client::etcd(&self.members[member].addresses[0])
    }

    pub async fn leader(&self) -> usize {
        let mut asked: Vec<Grpc> =
            self.members.iter().map(|member| Grpc::new(&member.addresses[0])).collect();
        until("three members that agree", PATIENCE, async || {
            let mut statuses = Vec::new();
            for member in &mut asked {
                statuses.push(member.status().await?);
            }
            let same = |one: &[u64]| one.iter().all(|value| *value == one[0]);
            ensure!(same(&statuses.iter().map(|status| status.leader).collect::<Vec<_>>()), "{statuses:?}");
            ensure!(same(&statuses.iter().map(|status| status.applied).collect::<Vec<_>>()), "{statuses:?}");
            statuses.iter().position(|status| status.is_leader()).context("no leader")
        })
        .await
    }

    pub fn kill(&mut self, member: usize) {
        self.members[member].process.kill();
    }

    pub fn restart(&mut self, member: usize) {
        let member = &mut self.members[member];
        member.process = launch(&member.name, &member.addresses, &member.data, &self.cluster);
    }
}

/// Members have to know each other's addresses before any of them listens.
fn free_addresses() -> [[String; 2]; MEMBERS] {
    let listeners: [[TcpListener; 2]; MEMBERS] = std::array::from_fn(|_| {
        std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("there are free ports"))
    });
    listeners.map(|pair| pair.map(|listener| listener.local_addr().expect("it listens").to_string()))
}

fn launch(name: &str, [clients, peers]: &[String; 2], data: &TempDir, cluster: &str) -> Process {
    let [clients, peers] = [clients, peers].map(|address| format!("http://{address}"));
    let mut command = Command::new("etcd");
    command.args(["--name", name, "--initial-cluster", cluster, "--data-dir"]).arg(data.path());
    command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
    command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
    Process::start(name, command)
}
