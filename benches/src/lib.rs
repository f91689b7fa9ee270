//! wordraft beside others: the same work, measured in the same run. What is measured and what came out is in
//! `docs/benchmarks.md`.

pub mod allocations;
pub mod raft;
pub mod size;
