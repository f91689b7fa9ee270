//! The consensus core beside `raft` 0.7.0 (raft-rs).

pub mod cluster;
pub mod ours;
pub mod raft_rs;
mod report;

pub use report::{ROUNDS, report};
