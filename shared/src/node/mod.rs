//! A node: raft, the state machine, the autopilot, the scheduler and the replication of blocks behind one
//! [`Node::handle`].
//!
//! `handle` passes the input to the part that it concerns, then lets raft and its consequences settle, then says what
//! there is to see. Parts never call each other: what one wants from another goes through the node.

pub mod api;
mod autopilot;
mod blocks;
mod clock;
pub mod compute;
mod config;
mod consensus;
mod context;
mod contract;
mod diagnosis;
mod errands;
mod failures;
mod forwarding;
mod founding;
mod friendly;
mod gossip;
mod happenings;
mod inputs;
mod keys;
mod leaving;
mod ledger;
mod moves;
mod replica;
mod requests;
mod scheduler;
mod settling;
mod steward;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text_plane;
mod trouble;
mod uploads;
mod view;
mod worker;

pub use autopilot::AutopilotConfig;
pub use compute::{Function, TaskOutput};
#[cfg(feature = "mutations")]
pub use config::Mutation;
pub use config::NodeConfig;
pub use contract::*;
pub use friendly::friendly_name;

use crate::ids::{ClusterId, NodeId};
use crate::raft::{self, Index};
use crate::rng::{Rng, Seed};
use crate::state_machine::{State, StateMachine};
use crate::time::Time;
use crate::wire::session::Profile;
use api::{ClusterView, Trouble};
use clock::ClusterClock;
use consensus::Consensus;
use context::{Peers, Surroundings, Tickets};
use diagnosis::Pulse;
use errands::Errands;
use forwarding::Forwarding;
use founding::Founding;
use gossip::Gossip;
use happenings::Happenings;
use ledger::Ledger;
use moves::Moves;
use requests::Requests;
use steward::Steward;
use text_plane::TextPlane;
use view::{Display, Sight};

/// One member of a cluster, or one that is about to be.
#[derive(Debug)]
pub struct Node {
    around: Surroundings,
    connected: bool,
    /// Who was connected when this node lost its own connection; `None` before the first.
    before_the_cut: Option<Peers>,
    /// Why this node is kept out of its room, in plain words.
    refused: Option<String>,
    /// Its log cannot be followed: it takes no further part.
    halted: bool,
    frames_ignored: u64,
    consensus: Consensus,
    applied: Index,
    founding: Founding,
    ledger: Ledger,
    errands: Errands,
    requests: Requests,
    moves: Moves,
    steward: Steward,
    gossip: Gossip,
    happenings: Happenings,
    pulse: Pulse,
    display: Display,
    text: TextPlane,
}

/// Why a node does not start from what its driver found.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error(transparent)]
    Raft(#[from] raft::NewError),
}

/// A node seen from inside.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspection {
    pub raft: raft::Status,
    pub applied: Index,
    /// Digest of the replicated state at `applied`.
    pub digest: u64,
}

impl Node {
    /// A node as its stores left it. `seed` must differ from run to run: two runs that draw the same would meet in
    /// ids and in election timeouts.
    pub fn new(
        me: NodeId,
        profile: Profile,
        config: NodeConfig,
        stored: Stored,
        seed: Seed,
        now: Time,
    ) -> Result<Node, NodeError> {
        let mut rng = Rng::new(seed);
        let mut consensus = Consensus::new(me, &config.raft, stored.raft, rng.fork(), now)?;
        let profile = inputs::within_limits(profile);
        consensus.raft.set_priority(inputs::priority_of(&profile));
        let text = TextPlane::new(stored.blocks, now);
        let membership = consensus.status().membership.clone();
        let around = Surroundings {
            now,
            me,
            tickets: Tickets::new(&mut rng),
            rng,
            profile,
            peers: Default::default(),
            machine: StateMachine::default(),
            clock: ClusterClock::default(),
            leader: None,
            term: consensus.status().term,
            membership: membership.clone(),
            config,
            leaving: false,
            trouble: None,
            submissions: Vec::new(),
            forwarding: Forwarding::default(),
        };
        Ok(Node {
            around,
            connected: false,
            before_the_cut: None,
            refused: None,
            halted: false,
            frames_ignored: 0,
            consensus,
            applied: Index::ZERO,
            founding: Founding::new(stored.cluster),
            ledger: Ledger::default(),
            errands: Errands::default(),
            requests: Requests::default(),
            moves: Moves::default(),
            steward: Steward::default(),
            gossip: Gossip::default(),
            happenings: Happenings::new(membership),
            pulse: Pulse::default(),
            display: Display::default(),
            text,
        })
    }

    /// Takes one input in and fills `ready` with everything that has to be done about it.
    pub fn handle(&mut self, now: Time, input: Input, ready: &mut Ready) {
        ready.clear();
        if self.halted {
            return;
        }
        self.around.now = self.around.now.max(now);
        self.take(input, ready);
        self.consensus.raft.tick(self.around.now);
        self.settle(ready);
        self.advance(ready);
        self.settle(ready);
        self.show(ready);
        ready.deadline = self.deadline();
    }

    pub fn id(&self) -> NodeId {
        self.around.me
    }

    /// What stands inside, for checkers; a driver decides nothing by it.
    pub fn inspect(&self) -> Inspection {
        Inspection {
            raft: self.consensus.status().clone(),
            applied: self.applied,
            digest: self.around.machine.digest(),
        }
    }

    /// The replicated state as applied here.
    pub fn state(&self) -> &State {
        self.around.machine.state()
    }

    /// The cluster that this node belongs to, once it has been let into one.
    pub fn cluster(&self) -> Option<ClusterId> {
        self.founding.cluster()
    }

    /// Frames that could not be read, or broke the rules, since the start.
    pub fn frames_ignored(&self) -> u64 {
        self.frames_ignored
    }

    /// What is due by itself, whatever the input was.
    fn advance(&mut self, ready: &mut Ready) {
        self.steward.advance(&mut self.around, &mut self.consensus);
        self.text.tick(&mut self.around.lend(ready));
        self.gossip.advance(&mut self.around, &self.consensus, &self.text, ready);
    }

    fn show(&mut self, ready: &mut Ready) {
        self.founding.announce(&self.consensus, ready);
        self.happenings.look(&self.around, self.connected, ready);
        self.pulse.look(self.around.now, self.consensus.status());
        let now = self.around.now;
        if self.display.is_due(now) {
            self.around.trouble = self.diagnosis();
            let view = self.picture();
            self.display.show(view, now + self.around.config.view_interval, ready);
        }
    }

    /// Why there is no leader, or no progress; `None` while all is well.
    pub fn diagnosis(&self) -> Option<Trouble> {
        diagnosis::diagnose(&self.around, &self.sight(&self.consensus.raft.status()))
    }

    fn picture(&self) -> ClusterView {
        view::picture(&self.around, &self.sight(&self.consensus.raft.status()))
    }

    fn sight<'a>(&'a self, raft: &'a raft::Status) -> Sight<'a> {
        Sight {
            cluster: self.founding.cluster(),
            connected: self.connected,
            refused: self.refused.as_deref(),
            raft,
            own: gossip::own_status(&self.around, &self.consensus, &self.text),
            statuses: self.gossip.statuses(),
            stuck_since: self.pulse.stuck_since(),
            turned_away_since: self.errands.turned_away_since(),
        }
    }

    fn deadline(&self) -> Option<Deadline> {
        let parts = [
            (self.consensus.deadline(), DeadlineReason::Raft),
            (self.steward.deadline(), DeadlineReason::Autopilot),
            (self.errands.deadline(), DeadlineReason::Request),
            (self.moves.deadline(self.around.leader), DeadlineReason::Request),
            (self.gossip.deadline(), DeadlineReason::Gossip),
            (self.display.deadline(), DeadlineReason::Gossip),
        ];
        let own = parts.into_iter().filter_map(|(at, reason)| Some(Deadline { at: at?, reason }));
        own.chain(self.text.deadline()).min_by_key(|deadline| deadline.at)
    }
}
