//! Real processes and real browser tabs for wordraft's integration tests.
//!
//! Everything listens on port 0, keeps its data in a directory of its own, and ends when its handle is dropped. When a
//! test panics, each process that it started prints the end of its log. Tests wait for what they can observe
//! ([`wait::until`]), never for a time to pass.

pub mod browser;
pub mod cli;
pub mod cluster;
pub mod http;
pub mod network;
pub mod node;
pub mod process;
pub mod relay;
pub mod text;
pub mod wait;

pub use browser::{Browser, Tab};
pub use cli::{Finished, wordraft};
pub use cluster::Cluster;
pub use http::{Answer, Http};
pub use network::Network;
pub use node::TestNode;
pub use process::Process;
pub use relay::TestRelay;
pub use text::Text;
pub use wait::until;

use std::path::PathBuf;

/// Cargo's directory for this build, found from where the running test lies: `target/debug/deps/test-0123`.
fn build_directory() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    test.ancestors().nth(2).expect("cargo puts tests into PROFILE/deps").to_owned()
}

/// Where pictures for people go: `target/screenshots`.
fn screenshots() -> PathBuf {
    let build = build_directory();
    build.parent().expect("a build directory lies in target").join("screenshots")
}
