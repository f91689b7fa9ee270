//! The cells, how each is measured, and the table.

use super::cluster::{Cluster, Member};
use super::ours::Ours;
use super::raft_rs::RaftRs;
use crate::allocations::{self, Allocations};
use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};

pub const ROUNDS: usize = 7;

const IN_FLIGHT: [u64; 4] = [1, 64, 1024, 4096];
const PAYLOAD_BYTES: [usize; 3] = [0, 64, 1024];

/// The goals: commits per second at least so many times theirs, and allocations per commit at most so much of theirs.
const SPEED_GOAL: f64 = 2.0;
const ALLOCATIONS_GOAL: f64 = 0.5;

struct Cell {
    in_flight: u64,
    payload: Bytes,
    is_encoded: bool,
}

impl Cell {
    /// Enough for some tens of milliseconds.
    fn commits(&self) -> u64 {
        match self.in_flight {
            1 => 20_000,
            _ => 200_000,
        }
    }

    fn run<M: Member>(&self, cluster: &mut Cluster<M>) {
        cluster.commit(self.commits(), self.in_flight, &self.payload, |_, _| {});
    }

    /// Commits per second of processor time: other programs on the machine count neither way.
    fn speed<M: Member>(&self) -> f64 {
        let mut cluster = Cluster::<M>::new(self.is_encoded);
        let started = processor_seconds();
        self.run(&mut cluster);
        self.commits() as f64 / (processor_seconds() - started)
    }

    /// Messages and allocations, which are the same in each round.
    fn cost<M: Member>(&self) -> (u64, Allocations) {
        let mut cluster = Cluster::<M>::new(self.is_encoded);
        let ((), allocations) = allocations::counted(|| self.run(&mut cluster));
        (cluster.messages, allocations)
    }
}

fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Measures every cell, the two by turns, and prints a table.
pub fn report(rounds: usize) {
    let mut misses = 0;
    for is_encoded in [false, true] {
        println!();
        println!(
            "{}",
            if is_encoded { "Every message encoded and decoded" } else { "Messages handed over as they are" }
        );
        println!();
        println!(
            "| in flight | payload | commits/s | raft-rs | ratio | messages/commit | raft-rs | allocations/commit | raft-rs | ratio | bytes/commit | raft-rs | goals |"
        );
        println!("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|");
        for in_flight in IN_FLIGHT {
            for payload_bytes in PAYLOAD_BYTES {
                let payload = Bytes::from(vec![7; payload_bytes]);
                misses += u32::from(!line(&Cell { in_flight, payload, is_encoded }, rounds));
            }
        }
    }
    println!();
    println!("openraft is left out: it brings its own tasks and runtime, and does not run in this loop.");
    println!(
        "{misses} cells miss a goal (commits/s at least {SPEED_GOAL} x raft-rs, allocations at most {ALLOCATIONS_GOAL} x)"
    );
}

/// Prints one line, and says whether it meets both goals.
fn line(cell: &Cell, rounds: usize) -> bool {
    let pairs: Vec<(f64, f64)> =
        (0..rounds).map(|_| (cell.speed::<Ours>(), cell.speed::<RaftRs>())).collect();
    let ours = median(pairs.iter().map(|(ours, _)| *ours).collect());
    let theirs = median(pairs.iter().map(|(_, theirs)| *theirs).collect());
    let ratio = median(pairs.iter().map(|(ours, theirs)| ours / theirs).collect());
    let (our_messages, our_allocations) = cell.cost::<Ours>();
    let (their_messages, their_allocations) = cell.cost::<RaftRs>();
    let per_commit = |count: u64| count as f64 / cell.commits() as f64;
    let allocations_ratio = our_allocations.count as f64 / their_allocations.count as f64;
    let missed: Vec<&str> =
        [("speed", ratio < SPEED_GOAL), ("allocations", allocations_ratio > ALLOCATIONS_GOAL)]
            .into_iter()
            .filter_map(|(goal, is_missed)| is_missed.then_some(goal))
            .collect();
    println!(
        "| {} | {} | {:.0}k | {:.0}k | {ratio:.2} | {:.3} | {:.3} | {:.3} | {:.3} | {allocations_ratio:.2} | {:.0} | {:.0} | {} |",
        cell.in_flight,
        cell.payload.len(),
        ours / 1e3,
        theirs / 1e3,
        per_commit(our_messages),
        per_commit(their_messages),
        per_commit(our_allocations.count),
        per_commit(their_allocations.count),
        per_commit(our_allocations.bytes),
        per_commit(their_allocations.bytes),
        if missed.is_empty() { "PASS".to_owned() } else { format!("miss: {}", missed.join(", ")) },
    );
    missed.is_empty()
}
