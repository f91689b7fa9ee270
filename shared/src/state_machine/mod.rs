//! What the log means: documents, jobs and members' records, changed by [`Command`]s in log order and by nothing else.
//!
//! The state machine knows nothing of raft, clocks or networks. Time enters only as the stamp that a leader put on a
//! command, so every member that applies the same log holds the same state, bit by bit, and can prove it by
//! [`StateMachine::digest`].

mod apply;
mod command;
mod state;
#[cfg(test)]
mod tests;

pub use apply::{Change, StateMachine};
pub use command::{Command, Outcome, Rejection, Stamped};
pub use state::{
    BlockRef, Document, Job, JobOptions, JobResult, JobState, MemberRecord, Retention, State, WorkerShare,
};
