//! What the parts of a node share while one input is handled.

use super::api::{Event, Reply, RequestError, Trouble};
use super::clock::ClusterClock;
use super::config::NodeConfig;
use super::contract::{BlockOp, ComputeTask, Outgoing, Ready, RequestId, Ticket};
use super::forwarding::Forwarding;
use crate::ids::NodeId;
use crate::raft::{Membership, Term};
use crate::rng::Rng;
use crate::state_machine::{Command, State, StateMachine};
use crate::time::Time;
use crate::wire::peer::PeerMessage;
use crate::wire::session::{Class, Profile};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everybody else who is connected to the room right now.
pub(super) type Peers = BTreeMap<NodeId, Profile>;

/// Handed from part to part: what they may know, and where they leave what has to be done.
pub(super) struct Context<'a> {
    pub now: Time,
    pub me: NodeId,
    pub rng: &'a mut Rng,
    pub profile: &'a Profile,
    pub peers: &'a Peers,
    /// The replicated state as applied here.
    pub state: &'a State,
    pub clock: &'a ClusterClock,
    pub leader: Option<NodeId>,
    pub term: Term,
    /// The configuration in force here.
    pub membership: &'a Membership,
    pub config: &'a NodeConfig,
    pub tickets: &'a mut Tickets,
    pub ready: &'a mut Ready,
    /// Commands on their way into the log; the node proposes or forwards them when the input has been handled.
    pub submissions: &'a mut Vec<Submission>,
}

/// The node's side of a [`Context`]: what it lends out while one part is at work.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub now: Time,
    pub me: NodeId,
    pub rng: Rng,
    pub profile: Profile,
    pub peers: Peers,
    pub machine: StateMachine,
    pub clock: ClusterClock,
    pub leader: Option<NodeId>,
    pub term: Term,
    pub membership: Arc<Membership>,
    /// This node may be gone any moment.
    pub leaving: bool,
    pub config: NodeConfig,
    pub tickets: Tickets,
    /// What was wrong at the latest look.
    pub trouble: Option<Trouble>,
    pub submissions: Vec<Submission>,
    pub forwarding: Forwarding,
}

impl Surroundings {
    pub fn is_online(&self, node: NodeId) -> bool {
        node == self.me || self.peers.contains_key(&node)
    }

    /// The cluster's time, if this node leads.
    pub fn stamp(&self) -> Time {
        self.clock.stamp(self.now)
    }

    /// The state has moved on, and with it the cluster's time.
    pub fn time_applied(&mut self) {
        let leads = self.leader == Some(self.me);
        self.clock.applied(self.machine.state().now, self.now, leads);
    }

    /// Of whoever is connected, this node included.
    pub fn profile_of(&self, node: NodeId) -> Option<&Profile> {
        if node == self.me { Some(&self.profile) } else { self.peers.get(&node) }
    }

    pub fn lend<'a>(&'a mut self, ready: &'a mut Ready) -> Context<'a> {
        Context {
            now: self.now,
            me: self.me,
            rng: &mut self.rng,
            profile: &self.profile,
            peers: &self.peers,
            state: self.machine.state(),
            clock: &self.clock,
            leader: self.leader,
            term: self.term,
            membership: &self.membership,
            config: &self.config,
            tickets: &mut self.tickets,
            ready,
            submissions: &mut self.submissions,
        }
    }
}

/// A command that a part wants in the log.
#[derive(Debug)]
pub(super) struct Submission {
    pub command: Command,
    /// Who is answered when it has been applied: with the document or job that the command names, or `Done`.
    pub request: Option<RequestId>,
}

/// One source of tickets for all parts of a node, so that an answer finds its one owner.
#[derive(Debug)]
pub(super) struct Tickets(u64);

impl Tickets {
    /// Each run of a node begins somewhere else: an answer to the run before must find no owner.
    pub fn new(rng: &mut Rng) -> Tickets {
        Tickets(rng.next_u64() >> 1)
    }

    pub fn next(&mut self) -> Ticket {
        self.0 += 1;
        Ticket(self.0)
    }
}

impl Context<'_> {
    pub fn is_leader(&self) -> bool {
        self.leader == Some(self.me)
    }

    pub fn is_online(&self, node: NodeId) -> bool {
        node == self.me || self.peers.contains_key(&node)
    }

    /// The cluster's time as it should be at the leader.
    pub fn cluster_time(&self) -> Time {
        if self.is_leader() { self.clock.stamp(self.now) } else { self.clock.estimate(self.now) }
    }

    /// Sends a message that promises nothing about this node's log.
    pub fn send(&mut self, to: NodeId, message: &PeerMessage, class: Class, bulk: Bytes) {
        debug_assert_ne!(to, self.me, "a node does not talk to itself over the network");
        self.ready.send_now.push(Outgoing { to, class, frame: message.to_frame(bulk) });
    }

    pub fn control(&mut self, to: NodeId, message: &PeerMessage) {
        self.send(to, message, Class::Control, Bytes::new());
    }

    pub fn block(&mut self, operation: BlockOp) {
        self.ready.blocks.push(operation);
    }

    pub fn compute(&mut self, task: ComputeTask) {
        self.ready.compute.push(task);
    }

    pub fn reply(&mut self, id: RequestId, result: Result<Reply, RequestError>) {
        self.ready.replies.push((id, result));
    }

    pub fn event(&mut self, event: Event) {
        self.ready.events.push(event);
    }

    pub fn submit(&mut self, command: Command, request: Option<RequestId>) {
        self.submissions.push(Submission { command, request });
    }
}
