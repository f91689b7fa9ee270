//! The pure core of wordraft: everything that must be the same in a browser tab, on a server and in the simulator.
//!
//! Nothing here opens a socket or a file, reads a clock or asks for randomness. Drivers supply all four.

pub mod ids;
pub mod in_place;
pub mod limits;
pub mod node;
pub mod raft;
pub mod recording;
pub mod rng;
pub mod state_machine;
pub mod storage;
pub mod time;
pub mod wire;
pub mod words;
