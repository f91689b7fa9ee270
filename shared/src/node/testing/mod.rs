//! A whole cluster in memory and virtual time: a relay, disks, block stores and pools, for tests of nodes.
//!
//! Messages take [`HOP`], a write to disk takes [`SYNC`]. A crash loses what is not synced. After every input the
//! invariants are checked: one leader in a term, one state at an applied index.

pub(super) mod desk;
mod driver;
mod relay;

use super::api::{Event, Reply, Request, RequestError, What};
use super::{
    BlockName, ComputeTask, Input, Node, NodeConfig, Outgoing, Persist, RequestId, Stored, friendly_name,
};
use crate::ids::{ClusterId, NodeId};
use crate::raft::{Index, Status, Term};
use crate::rng::Rng;
use crate::state_machine::{Command, Stamped};
use crate::time::{Duration, Time};
use crate::wire::session::{Kind, Profile};
use bytes::Bytes;
use relay::Relay;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const HOP: Duration = Duration::from_millis(1);
pub(super) const SYNC: Duration = Duration::from_millis(2);
const COMPUTE: Duration = Duration::from_millis(5);
const RECONNECT: Duration = Duration::from_millis(50);

/// Virtual time after which a test that waits has failed.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Cluster {
    pub now: Time,
    pub config: NodeConfig,
    /// Members whose clocks are ahead of the others', by so much.
    pub ahead: BTreeMap<NodeId, Duration>,
    /// Frames that this says no to are lost.
    pub link: Box<dyn Fn(NodeId, NodeId) -> bool>,
    rng: Rng,
    members: BTreeMap<NodeId, Member>,
    relay: Relay,
    coming: BTreeMap<(Time, u64), (NodeId, Coming)>,
    sequence: u64,
    replies: BTreeMap<RequestId, Result<Reply, RequestError>>,
    requests: u64,
    pub events: Vec<(NodeId, Event)>,
    leaders: BTreeMap<Term, NodeId>,
    digests: BTreeMap<Index, u64>,
    /// Members whose memory was damaged on purpose: their states are not compared.
    damaged: BTreeSet<NodeId>,
}

struct Member {
    node: Option<Node>,
    /// Counts starts: what was under way for an earlier run is lost.
    run: u32,
    profile: Profile,
    disk: Disk,
    deadline: Option<Time>,
    /// A frozen tab: what comes is kept for later, and no deadline is met.
    frozen: Option<Vec<Coming>>,
    /// A disk that hangs: no write to it is acknowledged.
    hung: Option<Vec<Coming>>,
}

#[derive(Default)]
struct Disk {
    cluster: Option<ClusterId>,
    raft: crate::raft::Stored,
    blocks: BTreeMap<BlockName, Bytes>,
}

/// What reaches a node some time later.
enum Coming {
    Hello { run: u32 },
    Input { run: Option<u32>, input: Box<Input> },
    Synced { run: u32, persist: Persist, send: Vec<Outgoing> },
    Compute { run: u32, task: ComputeTask },
}

impl Cluster {
    pub fn new(seed: u64) -> Cluster {
        Cluster {
            now: Time::from_millis(1_000_000),
            config: NodeConfig::default(),
            ahead: BTreeMap::new(),
            link: Box::new(|_, _| true),
            rng: Rng::from_u64(seed),
            members: BTreeMap::new(),
            relay: Relay::default(),
            coming: BTreeMap::new(),
            sequence: 0,
            replies: BTreeMap::new(),
            requests: 0,
            events: Vec::new(),
            leaders: BTreeMap::new(),
            digests: BTreeMap::new(),
            damaged: BTreeSet::new(),
        }
    }

    /// A cluster of so many servers, of which as many vote as may.
    pub fn of_servers(seed: u64, count: usize) -> (Cluster, Vec<NodeId>) {
        Cluster::of_servers_with(NodeConfig::default(), seed, count)
    }

    pub fn of_servers_with(config: NodeConfig, seed: u64, count: usize) -> (Cluster, Vec<NodeId>) {
        let mut cluster = Cluster::new(seed);
        cluster.config = config;
        let nodes: Vec<NodeId> = (0..count).map(|_| cluster.start(Kind::Server)).collect();
        let voters = if count.is_multiple_of(2) { count - 1 } else { count }.min(7);
        cluster.wait("every server to be a member", |cluster| cluster.is_settled(voters, count));
        (cluster, nodes)
    }

    /// A new node with an empty disk.
    pub fn start(&mut self, kind: Kind) -> NodeId {
        let node = NodeId::random(&mut self.rng);
        let profile = Profile {
            name: friendly_name(node),
            kind,
            http: None,
            threads: 2,
            hidden: false,
            domain: self.rng.next_u64(),
        };
        self.members.insert(
            node,
            Member {
                node: None,
                run: 0,
                profile,
                disk: Disk::default(),
                deadline: None,
                frozen: None,
                hung: None,
            },
        );
        self.restart(node);
        node
    }

    pub fn restart(&mut self, id: NodeId) {
        self.restart_cut_off(id);
        self.connect(id);
    }

    pub fn restart_cut_off(&mut self, id: NodeId) {
        let seed = self.rng.bytes();
        let now = self.now + self.ahead_of(id);
        let member = self.members.get_mut(&id).expect("a member of this test");
        assert!(member.node.is_none(), "{id:?} runs already");
        let disk = &member.disk;
        let blocks = disk.blocks.iter().map(|(name, bytes)| (*name, bytes.len() as u64)).collect();
        let stored = Stored { cluster: disk.cluster, raft: disk.raft.clone(), blocks };
        let node = Node::new(id, member.profile.clone(), self.config.clone(), stored, seed, now);
        member.node = Some(node.expect("what this node stored itself"));
        member.run += 1;
        self.handle(id, Input::Deadline);
    }

    /// The process is killed: the relay notices at once, and what was not synced is lost.
    pub fn crash(&mut self, id: NodeId) {
        let member = self.members.get_mut(&id).expect("a member of this test");
        member.node = None;
        member.deadline = None;
        self.drop_connection(id);
    }

    /// All that a node that does not run had on its disk is lost.
    pub fn wipe(&mut self, id: NodeId) {
        self.members.get_mut(&id).expect("a member of this test").disk = Disk::default();
    }

    /// Changes the log of a node that does not run.
    pub fn edit_disk(&mut self, id: NodeId, change: impl FnOnce(&mut crate::raft::Stored)) {
        change(&mut self.members.get_mut(&id).expect("a member of this test").disk.raft);
    }

    /// The browser stops a tab's timers and messages; its connection stays.
    pub fn freeze(&mut self, id: NodeId) {
        self.members.get_mut(&id).expect("a member of this test").frozen = Some(Vec::new());
    }

    pub fn thaw(&mut self, id: NodeId) {
        let held = self.members.get_mut(&id).expect("a member of this test").frozen.take();
        for coming in held.into_iter().flatten() {
            self.later(Duration::ZERO, id, coming);
        }
    }

    pub fn hang_disk(&mut self, id: NodeId) {
        self.members.get_mut(&id).expect("a member of this test").hung = Some(Vec::new());
    }

    pub fn heal_disk(&mut self, id: NodeId) {
        let held = self.members.get_mut(&id).expect("a member of this test").hung.take();
        for coming in held.into_iter().flatten() {
            self.later(Duration::ZERO, id, coming);
        }
    }

    pub fn connect(&mut self, id: NodeId) {
        let run = self.members[&id].run;
        self.later(HOP, id, Coming::Hello { run });
    }

    /// The connection breaks: both sides notice at once.
    pub fn disconnect(&mut self, id: NodeId) {
        self.drop_connection(id);
        self.handle(id, Input::Disconnected);
    }

    /// Changes what a node shows of itself.
    pub fn show(&mut self, id: NodeId, change: impl FnOnce(&mut Profile)) {
        let member = self.members.get_mut(&id).expect("a member of this test");
        change(&mut member.profile);
        let profile = member.profile.clone();
        self.handle(id, Input::Profile(profile));
    }

    pub fn request(&mut self, id: NodeId, request: Request) -> RequestId {
        let request_id = self.next_request();
        self.handle(id, Input::request(request_id, request));
        request_id
    }

    pub fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    /// Reaches into a node, then lets it notice.
    pub fn poke(&mut self, id: NodeId, change: impl FnOnce(&mut Node)) {
        let member = self.members.get_mut(&id).expect("a member of this test");
        change(member.node.as_mut().expect("a running node"));
        self.handle(id, Input::Deadline);
    }

    /// Changes a member's state behind the log's back.
    pub fn damage(&mut self, id: NodeId, command: Command) {
        self.damaged.insert(id);
        let stamped = Stamped { at: self.now, by: id, command };
        self.poke(id, |node| drop(node.around.machine.apply(stamped, &mut Vec::new())));
    }

    pub(super) fn ahead_of(&self, id: NodeId) -> Duration {
        self.ahead.get(&id).copied().unwrap_or_default()
    }

    /// Time goes on, and nothing happens meanwhile.
    pub fn skip(&mut self, duration: Duration) {
        self.now = self.now + duration;
    }

    pub fn is_answered(&self, id: RequestId) -> bool {
        self.replies.contains_key(&id)
    }

    pub fn reply(&mut self, id: RequestId) -> Option<Result<Reply, RequestError>> {
        self.replies.remove(&id)
    }

    pub fn ask(&mut self, id: NodeId, request: Request) -> Result<Reply, RequestError> {
        let request_id = self.request(id, request);
        self.wait("a reply", |cluster| cluster.replies.contains_key(&request_id));
        self.reply(request_id).expect("waited for")
    }

    pub fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.step(until) {}
        self.now = until;
    }

    pub fn wait(&mut self, what: &str, is_so: impl Fn(&Cluster) -> bool) {
        let until = self.now + PATIENCE;
        while !is_so(self) {
            if !self.step(until) {
                panic!("waited in vain for {what}\n{}", self.describe());
            }
        }
    }

    /// A leader that all running members follow, so many voters, so many members.
    pub fn is_settled(&self, voters: usize, members: usize) -> bool {
        let Some(leader) = self.leader() else { return false };
        self.running().all(|node| {
            let status = self.status(node);
            status.leader == Some(leader)
                && status.membership.voters.len() == voters
                && status.membership.members().len() == members
                && !status.membership.is_joint()
        })
    }

    pub fn leader(&self) -> Option<NodeId> {
        let leaders = self.running().filter(|node| self.status(*node).is_leader());
        leaders.max_by_key(|node| self.status(*node).term)
    }

    pub fn follower(&self) -> NodeId {
        let leader = self.leader();
        let voters = self.running().filter(|node| self.status(*node).membership.is_voter(*node));
        voters.into_iter().find(|node| Some(*node) != leader).expect("a follower")
    }

    pub fn running(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.members.iter().filter(|(_, member)| member.node.is_some()).map(|(id, _)| *id)
    }

    pub fn node(&self, id: NodeId) -> &Node {
        self.members[&id].node.as_ref().expect("a running node")
    }

    pub fn status(&self, id: NodeId) -> &Status {
        self.node(id).consensus.status()
    }

    pub fn kind(&self, id: NodeId) -> Kind {
        self.members[&id].profile.kind
    }

    pub fn blocks_of(&self, id: NodeId) -> &BTreeMap<BlockName, Bytes> {
        &self.members[&id].disk.blocks
    }

    /// What a node told on its time line, in order.
    pub fn told_by(&self, id: NodeId) -> Vec<&What> {
        (self.events.iter())
            .filter(|(node, _)| *node == id)
            .filter_map(|(_, event)| match event {
                Event::Happened(happening) => Some(&happening.what),
                _ => None,
            })
            .collect()
    }

    fn describe(&self) -> String {
        let line = |id: NodeId| {
            let status = self.status(id);
            let voters: Vec<String> =
                status.membership.voters.iter().map(|voter| format!("{voter:?}")).collect();
            format!(
                "{id:?} {:?} term {} leader {:?} commit {} last {} voters {voters:?} of {}\n",
                status.role,
                status.term,
                status.leader,
                status.commit,
                status.last,
                status.membership.members().len()
            )
        };
        self.running().map(line).collect()
    }
}
