//! Settings of a node. They may differ between members; none of them touches safety.

use super::autopilot::AutopilotConfig;
use crate::limits;
use crate::raft;
use crate::time::Duration;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeConfig {
    pub raft: raft::Config,
    pub autopilot: AutopilotConfig,
    /// Copies of every block, or as many as there are members.
    pub copies: usize,
    /// Input of one counting task.
    pub task_bytes: u64,
    /// A request that cannot be answered for so long ends in an error.
    pub request_timeout: Duration,
    /// A question to the leader that is not answered for so long is asked again.
    pub ask_again_after: Duration,
    /// The least time between two status messages of a node, and between two that its leader sends round.
    pub gossip_interval: Duration,
    /// The longest time between them when nothing changes.
    pub gossip_idle_interval: Duration,
    /// The least time between two pictures of the cluster.
    pub view_interval: Duration,
    /// How often the leader looks for documents whose time is over.
    pub expiry_interval: Duration,
    /// The name and kind of a member that was removed are kept for so long.
    pub forget_after: Duration,
    /// A rule that is switched off on purpose, to see whether the tests notice.
    #[cfg(feature = "mutations")]
    #[serde(skip)]
    pub mutation: Option<Mutation>,
}

/// Rules of a node that can be switched off, named after what happens then, to see whether tests and simulator notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Tasks stay with a worker that went away or does not answer.
    NoReassignment,
    /// A change of a key that is brought to a leader again is not known again.
    RetryIsAnotherCall,
    /// Keys are over by the clock of whoever is asked.
    OwnClockExpiresKeys,
    /// The number of voters follows every loss.
    VotersShrinkToOne,
    /// A voter that is away for a moment loses its vote.
    AbsentVotersArePruned,
    /// So many voters are pruned at once that a minority is left.
    MajoritiesArePruned,
}

impl NodeConfig {
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

impl Default for NodeConfig {
    fn default() -> NodeConfig {
        NodeConfig {
            raft: raft::Config { commit_delay: Duration::from_millis(1), ..raft::Config::default() },
            autopilot: AutopilotConfig::default(),
            copies: limits::COPIES,
            task_bytes: limits::TASK_BYTES,
            request_timeout: Duration::from_secs(10),
            ask_again_after: Duration::from_secs(1),
            gossip_interval: Duration::from_millis(500),
            gossip_idle_interval: Duration::from_secs(2),
            view_interval: Duration::from_millis(200),
            expiry_interval: Duration::from_secs(10),
            forget_after: Duration::from_secs(60 * 60),
            #[cfg(feature = "mutations")]
            mutation: None,
        }
    }
}
