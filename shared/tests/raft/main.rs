//! The consensus core from outside: scenarios as stories on a small cluster in memory, and storms of faults.

mod bugs;
mod changes;
mod elections;
mod graphs;
mod hostile;
mod kit;
mod leases;
#[cfg(feature = "mutations")]
mod mutations;
mod reads;
mod replication;
mod snapshots;
mod storms;
mod transcripts;
mod transfers;
