//! The surroundings of one node without the node: for tests of single parts, message by message.

use crate::ids::{DocumentId, Hash, JobId, NodeId};
use crate::node::clock::ClusterClock;
use crate::node::context::{Context, Surroundings, Tickets};
use crate::node::forwarding::Forwarding;
use crate::node::{NodeConfig, Ready};
use crate::raft::{Membership, Term};
use crate::rng::Rng;
use crate::state_machine::{BlockRef, Command, JobOptions, Outcome, Retention, Stamped, StateMachine};
use crate::time::{Duration, Time};
use crate::wire::peer::PeerMessage;
use crate::wire::session::{Kind, Profile};
use crate::words::Mode;
use bytes::Bytes;
use std::sync::Arc;

pub(in crate::node) struct Desk {
    pub around: Surroundings,
    pub ready: Ready,
}

pub(in crate::node) fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 10])
}

fn profile(n: u8) -> Profile {
    let name = format!("node {n}");
    Profile { name, kind: Kind::Server, http: None, threads: 1, hidden: false, domain: n.into() }
}

impl Desk {
    /// Node 0, which leads in term 1, among so many other servers, all of them members.
    pub fn leader_of(others: u8) -> Desk {
        let mut rng = Rng::from_u64(7);
        let around = Surroundings {
            now: Time::from_millis(1000),
            me: node(0),
            tickets: Tickets::new(&mut rng),
            rng,
            profile: profile(0),
            peers: (1..=others).map(|n| (node(n), profile(n))).collect(),
            machine: StateMachine::default(),
            clock: ClusterClock::default(),
            leader: Some(node(0)),
            term: Term::new(1),
            membership: Arc::new(Membership::of_voters((0..=others).map(node))),
            config: NodeConfig::default(),
            leaving: false,
            trouble: None,
            submissions: Vec::new(),
            forwarding: Forwarding::default(),
        };
        Desk { around, ready: Ready::default() }
    }

    pub fn lend(&mut self) -> Context<'_> {
        self.around.lend(&mut self.ready)
    }

    pub fn pass(&mut self, duration: Duration) {
        self.around.now = self.around.now + duration;
    }

    /// What was sent since the last time, in order.
    pub fn sent(&mut self) -> Vec<(NodeId, PeerMessage, Bytes)> {
        let sent = self.ready.send_now.drain(..).map(|outgoing| {
            let message = PeerMessage::from_frame(&outgoing.frame).expect("a frame of this node");
            (outgoing.to, message, outgoing.frame.bulk)
        });
        sent.collect()
    }

    pub fn apply(&mut self, command: Command) {
        let stamped = Stamped { at: self.around.now, by: self.around.me, command };
        assert_eq!(self.around.machine.apply(stamped, &mut Vec::new()), Outcome::Done);
    }

    /// A document of so many blocks, each a task of its own, and a job that counts it.
    pub fn job(&mut self, n: u8, blocks: u8) -> (DocumentId, JobId) {
        let (document, job) = (DocumentId::from_bytes([n; 10]), JobId::from_bytes([n; 10]));
        let task_bytes = self.around.config.task_bytes as u32;
        let blocks = (0..blocks).map(|block| BlockRef { hash: Hash::of(&[n, block]), bytes: task_bytes });
        let (name, retention) = (String::new(), Retention::Keep);
        self.apply(Command::AddDocument { id: document, name, blocks: blocks.collect(), retention });
        let options = JobOptions { mode: Mode::Ascii, top: 3, verify: 1 };
        self.apply(Command::SubmitJob { id: job, documents: vec![document], options });
        (document, job)
    }
}
