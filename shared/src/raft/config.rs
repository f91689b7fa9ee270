//! Settings of a member. They may differ between members, and none of them touches safety, but for `lease_reads`.

use super::mutation::Mutation;
use crate::limits;
use crate::time::Duration;
use serde::{Deserialize, Serialize};

/// Members of one configuration, learners included.
pub(super) const MEMBERS_MAX: usize = limits::ROOM_MEMBERS_MAX;

/// Settings; [`Config::default`] suits a local network and browsers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The least silence of a leader after which a member stands for election. The real one is drawn anew each time
    /// from `election_timeout .. 2 * election_timeout` (§3.4, §9.3).
    pub election_timeout: Duration,
    /// The time between a leader's signs of life.
    pub heartbeat_interval: Duration,
    /// After the notice that the leader's connection closed, a member stands after a time drawn from
    /// `prompt_delay .. 2 * prompt_delay`.
    pub prompt_delay: Duration,
    /// So long a commit index waits for an append that takes it along to the followers, before they are told without one.
    pub commit_delay: Duration,
    /// Entries in one message, by bytes. One larger entry still travels, alone.
    pub max_append_bytes: usize,
    /// Messages with entries that are under way to one follower.
    pub max_inflight_messages: usize,
    /// Bytes of entries that are under way to one follower. A single larger message still travels, alone.
    pub max_inflight_bytes: usize,
    /// Bytes of entries that a leader accepts without having committed them. With all committed, a single
    /// larger command is still accepted.
    pub max_uncommitted_bytes: usize,
    /// Bytes of one command.
    pub max_command_bytes: usize,
    /// Reads that wait for their confirmation.
    pub max_pending_reads: usize,
    /// Bytes of one piece of a snapshot.
    pub snapshot_chunk_bytes: usize,
    /// Pieces of a snapshot that are under way to one follower.
    pub snapshot_window_chunks: usize,
    /// Bytes of a snapshot that a follower accepts.
    pub max_snapshot_bytes: usize,
    /// Entries since the last snapshot after which a new one is asked for.
    pub compact_after_entries: u64,
    /// Bytes of entries since the last snapshot after which a new one is asked for.
    pub compact_after_bytes: u64,
    /// Entries before a snapshot that stay in the log for followers that are a little behind.
    pub kept_tail_entries: u64,
    /// Bytes of these entries; the oldest give way.
    pub kept_tail_bytes: u64,
    /// A leader that does not hear a majority for an election timeout steps down (§6.2). So does one whose own writes
    /// are not acknowledged for that long.
    pub check_quorum: bool,
    /// A leader answers reads without asking anybody for three quarters of an election timeout after it *sent* a round
    /// of heartbeats that a majority answered (§6.4.1). Safe only if all members have this set, have the same election
    /// timeout, and clocks whose rates differ by less than a tenth. Votes then wait for the timeout: notices that
    /// the leader is gone start no prompt election. Off by default.
    pub lease_reads: bool,
    /// A rule that is switched off on purpose, to see whether the tests notice.
    #[cfg(feature = "mutations")]
    #[serde(skip)]
    pub mutation: Option<Mutation>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            election_timeout: Duration::from_millis(300),
            heartbeat_interval: Duration::from_millis(60),
            prompt_delay: Duration::from_millis(15),
            commit_delay: Duration::ZERO,
            max_append_bytes: limits::RAFT_APPEND_BYTES,
            max_inflight_messages: 64,
            max_inflight_bytes: 4 << 20,
            max_uncommitted_bytes: limits::RAFT_UNCOMMITTED_BYTES_MAX,
            max_command_bytes: limits::COMMAND_BYTES_MAX,
            max_pending_reads: limits::REQUESTS_WAITING_MAX,
            snapshot_chunk_bytes: limits::RAFT_SNAPSHOT_CHUNK_BYTES,
            snapshot_window_chunks: 4,
            max_snapshot_bytes: limits::RAFT_SNAPSHOT_BYTES_MAX,
            compact_after_entries: 10_000,
            compact_after_bytes: 16 << 20,
            kept_tail_entries: 1_000,
            kept_tail_bytes: limits::RAFT_KEPT_TAIL_BYTES,
            check_quorum: true,
            lease_reads: false,
            #[cfg(feature = "mutations")]
            mutation: None,
        }
    }
}

/// Settings that cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{0} must not be zero")]
    Zero(&'static str),
    #[error(
        "the heartbeat interval must be at most a third of the election timeout, or one lost message elects"
    )]
    HeartbeatTooSlow,
    #[error(
        "the prompt delay must be at most a twelfth of the election timeout, or a notice that the leader is gone saves no time"
    )]
    PromptTooSlow,
    #[error("{0} must be at most {max}", max = limits::RAFT_SETTING_MAX)]
    TooLarge(&'static str),
    #[error("the election timeout must be at most {max:?}", max = limits::RAFT_ELECTION_TIMEOUT_MAX)]
    TimeoutTooLong,
}

impl Config {
    pub fn check(&self) -> Result<(), ConfigError> {
        let sizes = [
            ("max_append_bytes", self.max_append_bytes),
            ("max_inflight_messages", self.max_inflight_messages),
            ("max_inflight_bytes", self.max_inflight_bytes),
            ("max_uncommitted_bytes", self.max_uncommitted_bytes),
            ("max_command_bytes", self.max_command_bytes),
            ("max_pending_reads", self.max_pending_reads),
            ("snapshot_chunk_bytes", self.snapshot_chunk_bytes),
            ("snapshot_window_chunks", self.snapshot_window_chunks),
            ("max_snapshot_bytes", self.max_snapshot_bytes),
        ];
        if let Some((name, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return Err(ConfigError::Zero(name));
        }
        if let Some((name, _)) = sizes.into_iter().find(|(_, size)| *size > limits::RAFT_SETTING_MAX) {
            return Err(ConfigError::TooLarge(name));
        }
        let times = [("heartbeat_interval", self.heartbeat_interval), ("prompt_delay", self.prompt_delay)];
        // A shorter time than the clock can tell is none.
        if let Some((name, _)) = times.into_iter().find(|(_, time)| time.as_micros() == 0) {
            return Err(ConfigError::Zero(name));
        }
        if self.election_timeout > limits::RAFT_ELECTION_TIMEOUT_MAX {
            return Err(ConfigError::TimeoutTooLong);
        }
        if self.heartbeat_interval.saturating_mul(3) > self.election_timeout {
            return Err(ConfigError::HeartbeatTooSlow);
        }
        // The longest that a first prompt try lasts: that of a tab in the background.
        if self.prompt_delay.saturating_mul(12) > self.election_timeout {
            return Err(ConfigError::PromptTooSlow);
        }
        Ok(())
    }

    /// Whether this rule is switched off on purpose. Never outside of tests.
    #[cfg(feature = "mutations")]
    pub(super) fn broken(&self, rule: Mutation) -> bool {
        self.mutation == Some(rule)
    }

    /// Whether this rule is switched off on purpose. Never outside of tests.
    #[cfg(not(feature = "mutations"))]
    pub(super) const fn broken(&self, _rule: Mutation) -> bool {
        false
    }
}

/// How much a member would rather not lead: each level adds half an election timeout to its patience, so a better one
/// stands first. It never refuses anything because of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// A server.
    #[default]
    Preferred,
    /// A tab that somebody looks at.
    Normal,
    /// A tab in the background, whose timers the browser slows down.
    Reluctant,
}

impl Priority {
    pub(super) const fn level(self) -> u32 {
        match self {
            Priority::Preferred => 0,
            Priority::Normal => 1,
            Priority::Reluctant => 2,
        }
    }
}
