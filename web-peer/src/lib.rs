//! A browser tab as a member of the cluster: the page on the main thread, the node in a worker, and counting in
//! further workers.

pub mod bridge;
pub mod counter;
mod failure;
pub mod page;
pub mod worker;
