//! A server that joins a relay's room, as `wordraft node` starts it.

use crate::cli::wordraft_binary;
use crate::cluster::Cluster;
use crate::http::Http;
use crate::process::Process;
use std::process::{Command, ExitStatus};
use tempfile::TempDir;

pub struct TestNode {
    process: Process,
    data: TempDir,
    name: String,
    link: String,
    arguments: Vec<String>,
}

impl TestNode {
    /// Starts a node. That it has joined is for the test to observe, through the relay's `cluster` route.
    pub fn start(link: &str, name: &str) -> TestNode {
        TestNode::start_with(link, name, &[])
    }

    pub fn start_with(link: &str, name: &str, arguments: &[&str]) -> TestNode {
        let data = tempfile::tempdir().expect("a directory for a test can be made");
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let process = launch(&data, link, name, &arguments);
        TestNode { process, data, name: name.to_owned(), link: link.to_owned(), arguments }
    }

    /// The same node again, with its log, after [`TestNode::kill`] or [`TestNode::stop`].
    pub fn restart(&mut self) {
        assert!(self.process.ended().is_some(), "a node must have ended before it can be started again");
        self.process = launch(&self.data, &self.link, &self.name, &self.arguments);
    }

    pub fn kill(&mut self) {
        self.process.kill();
    }

    pub async fn stop(&mut self) -> ExitStatus {
        self.process.stop().await
    }

    /// What it answers where it was started with `--http 127.0.0.1:0`.
    pub async fn cluster(&mut self) -> Cluster {
        let address = self.process.logged("an address", http_in).await;
        Cluster::new(Http::new(&format!("http://{address}/api/v1/rooms/lobby")))
    }

    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

fn launch(data: &TempDir, link: &str, name: &str, arguments: &[String]) -> Process {
    let mut command = Command::new(wordraft_binary());
    command.args(["node", "--relay", link, "--name", name, "--data"]);
    command.arg(data.path()).args(arguments).env("NO_COLOR", "1");
    Process::start(name, command)
}

/// The address in `… answers HTTP http=127.0.0.1:4711`.
pub fn http_in(line: &str) -> Option<String> {
    let (_, address) = line.split_once("http=")?;
    address.split_whitespace().next().map(str::to_owned)
}
