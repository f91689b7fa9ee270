//! What the log means: documents, jobs, keys and members' records, changed by [`Command`]s in log order and by nothing else.
//!
//! The state machine knows nothing of raft, clocks or networks. Time enters only as the stamp that a leader put on a
//! command, so every member that applies the same log holds the same state, bit by bit, and can prove it by
//! [`StateMachine::digest`].

mod apply;
mod command;
mod key;
mod keys;
mod sessions;
mod state;
mod sums;
#[cfg(test)]
mod tests;

pub use apply::{Change, STATE_VERSION, StateMachine};
pub use command::{Command, Outcome, Rejection, Stamped};
pub use key::{Condition, Entry, Key, KeyChange, KeyError, KeyEvent, KeyHappened, KeyOperation, Version};
pub use keys::Keys;
pub use sessions::{Call, Sequence, SessionId, Sessions};
pub use state::{
    BlockRef, Document, Job, JobOptions, JobResult, JobState, MemberRecord, Retention, State, WorkerShare,
};
