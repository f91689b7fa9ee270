//! What people do with keys meanwhile, and what they may rely on.
//!
//! Clients put, compare, delete and read a few keys, each one thing after the other, at whichever member they come to. Who
//! is not answered in time turns to another member and will never know what became of it. Watchers listen to all changes.
//!
//! Everything that anybody is told about a version has to agree at once ([`Chronicle`](chronicle::Chronicle)); in the end one order of events
//! has to explain all answers ([`History`](history::History)), and the cluster has to hold what the changes come to.

mod chronicle;
mod clients;
mod history;

pub use clients::{Clients, Turn};
pub use history::Judgement;

use shared::state_machine::Key;

/// Few, so that clients get in each other's way.
const KEYS: usize = 4;

/// Every value of this one has a time to live.
const PASSING: usize = KEYS - 1;

fn key(number: usize) -> Key {
    format!("key-{number}").parse().expect("short, and not empty")
}
