//! Deterministic simulation of whole clusters.
//!
//! The third driver beside the native one and the browser's: the same `Node`, on virtual time, over a network and disks
//! that lose, delay, double and reorder, with members that crash, freeze, vanish and join. A seed decides everything, so
//! a run can be repeated.
//!
//! A run has two parts. First a workload (texts come in, counts are asked for, documents go) under faults, with the
//! invariants of [`checker`] looked at after every input. Then all faults end, and the cluster has to converge, to answer, and to
//! have kept everything it acknowledged.
//!
//! The simulator proves itself: [`Sabotage`] breaks one rule of the core, and a stated number of seeds has to notice.

mod ambush;
mod checker;
mod clock;
mod disk;
mod faults;
mod keys;
mod local_clock;
mod member;
mod network;
pub mod pinned;
mod promises;
mod sabotage;
mod transcript;
mod workload;
mod world;

pub use sabotage::Sabotage;
pub use world::{Options, Recording, Verdict, run};

/// Seeds that failed once, from `simulator/seeds.txt`: a seed in each line, and why it is kept.
pub fn saved_seeds() -> Vec<u64> {
    let lines = include_str!("../seeds.txt").lines();
    let seeds = lines.map(|line| line.split('#').next().unwrap_or_default().trim());
    seeds.filter(|seed| !seed.is_empty()).map(|seed| seed.parse().expect("a number in seeds.txt")).collect()
}
