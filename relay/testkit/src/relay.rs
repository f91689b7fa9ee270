//! A relay with hosted nodes, as `wordraft relay` starts it.

use crate::cli::wordraft_binary;
use crate::cluster::Cluster;
use crate::http::Http;
use crate::process::{Process, port_in};
use crate::wait::{PATIENCE, until};
use std::process::{Command, ExitStatus};
use tempfile::TempDir;

pub struct TestRelay {
    process: Process,
    data: TempDir,
    arguments: Vec<String>,
    nodes: usize,
    port: u16,
}

impl TestRelay {
    /// A relay with `nodes` hosted nodes and a room `lobby`, ready: with any nodes, they have a leader.
    pub async fn start(nodes: usize) -> TestRelay {
        TestRelay::start_with(nodes, &[]).await
    }

    pub async fn start_with(nodes: usize, arguments: &[&str]) -> TestRelay {
        let data = tempfile::tempdir().expect("a directory for a test can be made");
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut process = launch(&data, nodes, &arguments, 0);
        let port = process.logged("a link", port_in).await;
        let mut relay = TestRelay { process, data, arguments, nodes, port };
        relay.ready().await;
        relay
    }

    /// Starts again with the same data and the same port, after [`TestRelay::kill`] or [`TestRelay::stop`].
    pub async fn restart(&mut self) {
        assert!(self.process.ended().is_some(), "a relay must have ended before it can be started again");
        self.process = launch(&self.data, self.nodes, &self.arguments, self.port);
        self.ready().await;
    }

    pub fn kill(&mut self) {
        self.process.kill();
    }

    pub async fn stop(&mut self) -> ExitStatus {
        self.process.stop().await
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What people open in a browser, and give to `--relay`.
    pub fn link(&self) -> String {
        format!("http://127.0.0.1:{}/r/lobby", self.port)
    }

    /// The routes outside of rooms: `/livez`, `/readyz`, the page.
    pub fn http(&self) -> Http {
        Http::new(&format!("http://127.0.0.1:{}", self.port))
    }

    /// The routes of the room: `count`, `documents`, `jobs`, `cluster`.
    pub fn room(&self) -> Http {
        Http::new(&format!("http://127.0.0.1:{}/api/v1/rooms/lobby", self.port))
    }

    pub fn cluster(&self) -> Cluster {
        Cluster::new(self.room())
    }

    /// Without hosted nodes there is no quorum to wait for; being alive is then all there is.
    async fn ready(&mut self) {
        let path = if self.nodes > 0 { "/readyz" } else { "/livez" };
        let http = self.http();
        until("a relay that is ready", PATIENCE, async || {
            if let Some(status) = self.process.ended() {
                panic!("the relay ended with {status} while it started");
            }
            match http.get(path).await {
                Ok(answer) if answer.status == 200 => Ok(()),
                Ok(answer) => Err(format!("{path}: {} {}", answer.status, answer.text())),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }
}

fn launch(data: &TempDir, nodes: usize, arguments: &[String], port: u16) -> Process {
    let mut command = Command::new(wordraft_binary());
    command.args([
        "relay",
        "--listen",
        &format!("127.0.0.1:{port}"),
        "--nodes",
        &nodes.to_string(),
        "--data",
    ]);
    command.arg(data.path()).args(arguments).env("NO_COLOR", "1");
    Process::start("relay", command)
}
