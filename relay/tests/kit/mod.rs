//! A relay on a free port.

use relay::driver::RelayAddress;
use relay::host::{self, RelayOptions, RunningRelay};
use shared::ids::RoomName;
use shared::node::NodeConfig;
use std::path::Path;
use std::time::Duration;

/// Longer than anything here takes on a busy machine: a test that waits for so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct TestRelay {
    pub relay: RunningRelay,
    pub directory: tempfile::TempDir,
}

impl TestRelay {
    pub async fn start(nodes: usize) -> TestRelay {
        TestRelay::start_with(nodes, |_, _| ()).await
    }

    /// `adjust` may change the options before the start.
    pub async fn start_with(nodes: usize, adjust: impl FnOnce(&mut RelayOptions, &Path)) -> TestRelay {
        let directory = tempfile::tempdir().unwrap();
        let mut options = options(nodes, directory.path());
        adjust(&mut options, directory.path());
        let relay = host::start(options).await.unwrap();
        TestRelay { relay, directory }
    }

    pub fn address(&self) -> RelayAddress {
        RelayAddress { origin: format!("http://{}", self.relay.addr), room: RoomName::default(), token: None }
    }
}

pub fn options(nodes: usize, directory: &Path) -> RelayOptions {
    RelayOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        nodes,
        data: Some(directory.to_owned()),
        room: RoomName::default(),
        secret_file: None,
        chaos: false,
        threads: Some(2),
        config: NodeConfig::default(),
    }
}
