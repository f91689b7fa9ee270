//! A cluster in memory with virtual time: links that can be cut, disks that lose what was not synced, and invariants
//! that are checked at every step.

mod checker;
mod given;
mod network;

pub use checker::Checker;
pub use given::{change, disk, ids, ms, n, name};
pub use network::Network;

use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use wordraft_shared::ids::NodeId;
use wordraft_shared::raft::*;
use wordraft_shared::rng::Rng;
use wordraft_shared::time::{Duration, Time};

/// One batch of writes on its way to a disk.
struct Write {
    sequence: PersistSequence,
    ops: Vec<StorageOp>,
    then_send: Vec<(NodeId, Message)>,
    done_at: Time,
}

pub struct Node {
    pub raft: Option<Raft>,
    pub disk: Stored,
    writes: VecDeque<Write>,
    /// Everything applied, as (index, term, command): the state machine.
    pub applied: Vec<(u64, u64, Vec<u8>)>,
    pub installs: usize,
    pub wants_snapshot: bool,
    pub reads: Vec<ReadOutcome>,
    pub disk_hangs: bool,
    pub is_frozen: bool,
}

pub struct Cluster {
    pub now: Time,
    pub config: Config,
    pub nodes: BTreeMap<NodeId, Node>,
    pub network: Network,
    pub disk_delay: Duration,
    pub rng: Rng,
    pub checker: Checker,
    pub story: Vec<String>,
}

impl Cluster {
    /// Members 1 to `size`, all voters, none ever elected.
    pub fn new(size: u8) -> Cluster {
        Cluster::with_config(size, Config::default())
    }

    pub fn with_config(size: u8, config: Config) -> Cluster {
        let voters: Vec<u8> = (1..=size).collect();
        let disks = voters.iter().map(|number| (*number, disk(&voters, &[1], 1)));
        Cluster::from_disks(config, disks.collect::<Vec<_>>())
    }

    pub fn from_disks(config: Config, disks: impl IntoIterator<Item = (u8, Stored)>) -> Cluster {
        let mut cluster = Cluster {
            now: Time::from_millis(1_000),
            config,
            nodes: BTreeMap::new(),
            network: Network::new(1),
            disk_delay: Duration::ZERO,
            rng: Rng::from_u64(1),
            checker: Checker::default(),
            story: Vec::new(),
        };
        for (number, stored) in disks {
            cluster.add(n(number), stored);
        }
        cluster
    }

    /// A fresh start of the randomness: other timeouts, other losses.
    pub fn seeded(mut self, seed: u64) -> Cluster {
        self.rng = Rng::from_u64(seed);
        self.network = Network::new(seed.wrapping_mul(31));
        let all: Vec<NodeId> = self.nodes.keys().copied().collect();
        for id in all {
            self.crash(id);
            self.restart(id);
        }
        self
    }

    pub fn add(&mut self, id: NodeId, stored: Stored) {
        self.checker.disk_has(&stored);
        let node = Node {
            raft: None,
            disk: stored,
            writes: VecDeque::new(),
            applied: Vec::new(),
            installs: 0,
            wants_snapshot: false,
            reads: Vec::new(),
            disk_hangs: false,
            is_frozen: false,
        };
        self.nodes.insert(id, node);
        self.restart(id);
    }

    pub fn restart(&mut self, id: NodeId) {
        let rng = self.rng.fork();
        let node = self.nodes.get_mut(&id).unwrap();
        let stored = node.disk.clone();
        node.applied.clear();
        node.disk_hangs = false;
        node.is_frozen = false;
        node.raft = Some(Raft::new(id, self.config.clone(), stored, rng, self.now).unwrap());
        self.drain(id);
    }

    /// The member stops; what was not synced is lost.
    pub fn crash(&mut self, id: NodeId) {
        let node = self.nodes.get_mut(&id).unwrap();
        node.raft = None;
        node.writes.clear();
        node.reads.clear();
    }

    pub fn status(&self, id: NodeId) -> Status {
        self.nodes[&id].raft.as_ref().expect("it runs").status()
    }

    pub fn role(&self, id: NodeId) -> Role {
        self.status(id).role
    }

    /// An input to a running member, and all that follows from it at once.
    pub fn with<R>(&mut self, id: NodeId, input: impl FnOnce(&mut Raft, Time) -> R) -> R {
        let raft = self.nodes.get_mut(&id).unwrap().raft.as_mut().expect("it runs");
        let result = input(raft, self.now);
        self.drain(id);
        result
    }

    pub fn propose(&mut self, id: NodeId, command: &str) -> Result<Position, ProposeError> {
        let command = Bytes::copy_from_slice(command.as_bytes());
        self.with(id, |raft, now| raft.propose(now, [command])).map(|entries| entries[0].position())
    }

    pub fn step(&mut self, to: NodeId, from: NodeId, message: Message) -> Result<(), StepError> {
        self.with(to, |raft, now| raft.step(now, from, message))
    }

    pub fn deliver(&mut self, from: NodeId, to: NodeId, message: Message) {
        let node = &self.nodes[&to];
        if node.raft.is_some() && !node.is_frozen {
            // A refusal is part of the protocol here; tests that care call `step`.
            let _refused = self.step(to, from, message);
        }
    }

    /// Compacts a member's log up to what it has applied.
    pub fn compact(&mut self, id: NodeId) {
        let node = &self.nodes[&id];
        let applied = node.raft.as_ref().unwrap().status().delivered;
        let data = Bytes::from(postcard::to_stdvec(&node.applied).unwrap());
        let _nothing_new = self.with(id, |raft, now| raft.compact(now, applied, data));
    }

    fn drain(&mut self, id: NodeId) {
        let node = self.nodes.get_mut(&id).unwrap();
        let raft = node.raft.as_mut().unwrap();
        let Output {
            send_now,
            persist,
            send_after_persist,
            install,
            committed,
            reads,
            want_snapshot,
            state_changed,
        } = raft.take_output();
        let status = raft.status();
        for (to, message) in send_now {
            self.network.send(self.now, id, to, message);
        }
        if let Some((sequence, ops)) = persist {
            let done_at = self.now + self.disk_delay;
            node.writes.push_back(Write { sequence, ops, then_send: send_after_persist, done_at });
        } else {
            assert!(send_after_persist.is_empty(), "nothing waits for a write that is none");
        }
        if let Some(snapshot) = install {
            node.installs += 1;
            node.applied = postcard::from_bytes(&snapshot.data).unwrap();
        }
        for entry in committed {
            self.checker.committed(&entry);
            if let Payload::Command(command) = &entry.payload {
                node.applied.push((entry.index.get(), entry.term.get(), command.to_vec()));
            }
        }
        node.wants_snapshot = want_snapshot;
        self.checker.answered(&reads);
        node.reads.extend(reads);
        if state_changed {
            self.checker.leads(&status, &node.disk);
            self.tell(&status);
        }
        if self.disk_delay.is_zero() {
            self.sync(id);
        }
    }

    fn tell(&mut self, status: &Status) {
        let millis = self.now.as_millis() - 1_000;
        let role = format!("{:?}", status.role).to_lowercase();
        let line = format!("{millis:>5} {} {role} term {}", name(status.id), status.term);
        let leader = status.leader.map(|leader| format!(" of {}", name(leader))).unwrap_or_default();
        self.story.push(line + &leader);
    }

    /// Batches that a disk has been given and has not finished.
    pub fn writes_waiting(&self, id: NodeId) -> usize {
        self.nodes[&id].writes.len()
    }

    /// Lets a disk finish what is due.
    fn sync(&mut self, id: NodeId) {
        let node = self.nodes.get_mut(&id).unwrap();
        if node.raft.is_none() || node.disk_hangs || node.is_frozen {
            return;
        }
        let now = self.now;
        if node.writes.front().is_none_or(|write| write.done_at > now) {
            return;
        }
        self.write_next(id);
        self.sync(id);
    }

    /// The oldest batch of writes becomes durable, even on a disk that hangs otherwise.
    pub fn write_next(&mut self, id: NodeId) {
        let now = self.now;
        let node = self.nodes.get_mut(&id).unwrap();
        let Some(write) = node.writes.pop_front() else { return };
        for op in write.ops {
            if let StorageOp::Append(entries) = &op {
                self.checker.written(entries, &node.disk);
            }
            node.disk.apply(op);
        }
        for (to, message) in write.then_send {
            self.network.send(now, id, to, message);
        }
        self.with(id, |raft, now| raft.persisted(now, write.sequence));
    }

    fn next_event(&self, with_ticks: bool) -> Option<Time> {
        let awake = |node: &&Node| node.raft.is_some() && !node.is_frozen;
        let writes = self.nodes.values().filter(awake).filter(|node| !node.disk_hangs);
        let writes = writes.filter_map(|node| node.writes.front().map(|write| write.done_at));
        let ticks = self.nodes.values().filter(awake).filter(|_| with_ticks);
        let ticks = ticks.filter_map(|node| node.raft.as_ref().and_then(Raft::deadline));
        self.network.next_arrival().into_iter().chain(writes).chain(ticks).min()
    }

    fn run_events_at(&mut self, time: Time, with_ticks: bool) {
        self.now = self.now.max(time);
        while let Some((from, to, message)) = self.network.arrive(self.now) {
            if self.nodes.contains_key(&to) {
                self.deliver(from, to, message);
            }
        }
        let all: Vec<NodeId> = self.nodes.keys().copied().collect();
        for id in all {
            self.sync(id);
            let node = &self.nodes[&id];
            let due = node.raft.as_ref().and_then(Raft::deadline).is_some_and(|at| at <= self.now);
            if with_ticks && due && !node.is_frozen {
                self.with(id, |raft, now| raft.tick(now));
            }
        }
    }

    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(time) = self.next_event(true).filter(|time| *time <= end) {
            self.run_events_at(time, true);
        }
        self.now = end;
    }

    /// Runs until it is so; fails with the story after ten virtual seconds.
    pub fn run_until(&mut self, what: &str, is_so: impl Fn(&Cluster) -> bool) {
        let end = self.now + ms(10_000);
        while !is_so(self) {
            let next = self.next_event(true).filter(|time| *time <= end);
            let Some(time) = next else { panic!("never: {what}\n{}", self.story.join("\n")) };
            self.run_events_at(time, true);
        }
    }

    /// Delivers what is under way, and what follows from it, without any timer.
    pub fn settle(&mut self) {
        while let Some(time) = self.next_event(false) {
            self.run_events_at(time, false);
        }
    }

    /// Lets time go by in which nothing happens, and then this member's timer pass.
    pub fn campaign(&mut self, id: NodeId) {
        self.now = self.now + ms(2_000);
        self.with(id, |raft, now| raft.tick(now));
        self.settle();
    }

    /// The same, but nothing happens after it was elected: what it says as a leader is still under way.
    pub fn stand(&mut self, id: NodeId) {
        self.now = self.now + ms(2_000);
        self.with(id, |raft, now| raft.tick(now));
        while self.role(id) != Role::Leader {
            self.arrive_next();
        }
    }

    /// The member that leads the highest term, if it leads a majority of those that run.
    pub fn leader(&self) -> Option<NodeId> {
        let running = self.nodes.iter().filter_map(|(id, node)| Some((*id, node.raft.as_ref()?.status())));
        let leaders = running.filter(|(_, status)| status.is_leader());
        leaders.max_by_key(|(_, status)| status.term).map(|(id, _)| id)
    }

    pub fn elect(&mut self) -> NodeId {
        self.run_until("a leader that is ready", |cluster| {
            cluster.leader().is_some_and(|leader| cluster.status(leader).ready)
        });
        let leader = self.leader().unwrap();
        self.run_until("everybody follows it", |cluster| {
            let term = cluster.status(leader).term;
            cluster
                .nodes
                .values()
                .filter_map(|node| node.raft.as_ref())
                .all(|raft| raft.status().term == term)
        });
        leader
    }

    /// A leader while only these vote.
    pub fn elect_among(&mut self, voters: &[u8]) -> NodeId {
        self.run_until("a leader that is ready", |cluster| {
            voters.iter().any(|number| cluster.status(n(*number)).ready)
        });
        self.settle();
        self.leader().unwrap()
    }

    /// Delivers the next message, or the few that arrive together, without any timer.
    pub fn arrive_next(&mut self) {
        let time = self.network.next_arrival().expect("something is under way");
        self.run_events_at(time, false);
    }

    pub fn applied(&self, id: NodeId) -> Vec<String> {
        let commands = self.nodes[&id].applied.iter();
        commands.map(|(_, _, command)| String::from_utf8_lossy(command).into_owned()).collect()
    }

    pub fn has_applied(&self, id: NodeId, command: &str) -> bool {
        self.nodes[&id].applied.iter().any(|(_, _, applied)| applied == command.as_bytes())
    }

    pub fn followers(&self) -> Vec<NodeId> {
        let leader = self.leader();
        self.nodes.keys().copied().filter(|id| Some(*id) != leader).collect()
    }

    /// Proposes and waits until every running member has applied it.
    pub fn commit(&mut self, command: &str) {
        let leader = self.leader().expect("somebody leads");
        self.propose(leader, command).unwrap();
        self.run_until(command, |cluster| {
            let running = cluster.nodes.iter().filter(|(_, node)| node.raft.is_some());
            running.into_iter().all(|(id, _)| cluster.has_applied(*id, command))
        });
    }
}
