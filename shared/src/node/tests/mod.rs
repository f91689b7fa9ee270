//! Whole nodes in a cluster in memory: what they promise their clients and each other.

mod autopilot;
mod bugs;
mod chaos;
mod cluster;
mod counts;
mod keys;
mod leaving;
mod requests;
mod stories;
mod storm;
mod texts;
mod troubles;
