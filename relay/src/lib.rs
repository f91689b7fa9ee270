//! The native side of wordraft: the relay, the nodes that run on servers, and their HTTP interface.
//!
//! - [`broker`] is pure: rooms, routing, presence, queues. [`hub`] runs it, [`socket`] puts it on the network,
//!   and [`chaos`] breaks links on purpose.
//! - [`driver`] runs a node: files, threads, timers, and its way to a relay.
//! - [`host`] puts a relay and the nodes that it hosts together; [`standalone`] is a node in a process of its own.
//! - [`http`] is the interface for programs, and serves the page.

pub mod broker;
pub mod chaos;
pub mod driver;
pub mod host;
pub mod http;
pub mod hub;
pub mod origin;
pub mod rooms;
mod serve;
pub mod socket;
pub mod standalone;
