//! One member with its clock and its disk, and what an action does to it.

use crate::action::Action;
use crate::history::Rule;
use crate::scenario::{ELECTION_TIMEOUT, Scenario, n};
use crate::world::{Letter, World};
use bytes::Bytes;
use shared::ids::NodeId;
use shared::raft::{
    Entry, Message, Output, PersistSequence, Raft, ReadToken, Role, StepError, StorageOp, Stored, Term,
};
use shared::rng::Rng;
use shared::time::Time;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub(crate) struct Member {
    raft: Raft,
    now: Time,
    pub disk: Stored,
    /// The disk as it will be when everything is written: what the member holds in memory.
    written: Stored,
    writes: VecDeque<Write>,
    pub disk_is_slow: bool,
    pub role: Role,
    pub term: Term,
    pub leader: Option<NodeId>,
    pub may_stand: bool,
    /// Stands for all of the above.
    pub key: u64,
}

#[derive(Clone, Debug)]
struct Write {
    sequence: PersistSequence,
    ops: Vec<StorageOp>,
    then_send: Vec<(NodeId, Message)>,
}

impl Member {
    pub fn start(scenario: &Scenario, place: usize, disk: Stored) -> Member {
        let now = Time::from_millis(1);
        let rng = Rng::from_u64(0);
        let mut raft = Raft::new(id(place), scenario.config.clone(), disk.clone(), rng, now)
            .expect("a disk that the core wrote is one that it can read");
        raft.take_output();
        let mut member = Member {
            now,
            written: disk.clone(),
            disk,
            writes: VecDeque::new(),
            disk_is_slow: false,
            role: raft.role(),
            term: Term::ZERO,
            leader: None,
            may_stand: false,
            key: 0,
            raft,
        };
        member.summarise();
        member
    }

    pub fn log(&self) -> &[Entry] {
        &self.written.entries
    }

    pub fn writes_under_way(&self) -> usize {
        self.writes.len()
    }

    pub fn agrees_with_disk(&self) -> bool {
        let status = self.raft.status();
        let last = self.written.entries.last().map(Entry::position).unwrap_or_default();
        status.last == last && status.term == self.written.hard_state.term
    }

    fn summarise(&mut self) {
        let status = self.raft.status();
        self.role = status.role;
        self.term = status.term;
        self.leader = status.leader;
        self.may_stand = self.raft.deadline().is_some();
        let mut hasher = DefaultHasher::new();
        self.raft.fingerprint(&mut hasher);
        (&self.disk, self.disk_is_slow, self.writes.len()).hash(&mut hasher);
        for Write { sequence: _, ops, then_send } in &self.writes {
            (ops, then_send).hash(&mut hasher);
        }
        self.key = hasher.finish();
    }
}

fn id(place: usize) -> NodeId {
    n(place as u8 + 1)
}

fn place(id: NodeId) -> usize {
    usize::from(id.as_bytes()[0]) - 1
}

impl World {
    /// False when the action cannot happen after all.
    pub(crate) fn act(&mut self, scenario: &Scenario, action: &Action) -> bool {
        match action {
            Action::ElectionTimeout(place) => self.input(scenario, *place, |member| member.wait_and_tick()),
            Action::Notice(place) => {
                self.left.notices -= 1;
                self.input(scenario, *place, |member| {
                    if let Some(leader) = member.leader {
                        member.raft.peer_lost(member.now, leader);
                    }
                    member.wait_and_tick();
                })
            }
            Action::Heartbeat(place) => {
                self.left.heartbeats -= 1;
                self.input(scenario, *place, |member| member.wait_and_tick())
            }
            Action::Silence(place) => {
                self.left.silences -= 1;
                self.input(scenario, *place, |member| {
                    member.now = member.now + ELECTION_TIMEOUT;
                    member.raft.tick(member.now);
                })
            }
            Action::Propose(place) => {
                self.left.commands -= 1;
                let command = Bytes::from(vec![self.left.commands]);
                self.input(scenario, *place, |member| member.raft.propose(member.now, vec![command]).is_ok())
            }
            Action::Change(place) => {
                let change = scenario.changes[scenario.changes.len() - self.changes_left].clone();
                self.changes_left -= 1;
                self.input(scenario, *place, |member| {
                    member.raft.change_membership(member.now, change).is_ok()
                })
            }
            Action::Read(place) => {
                self.left.reads -= 1;
                Arc::make_mut(&mut self.history).asked();
                self.input(scenario, *place, |member| member.raft.read(member.now, ReadToken(0)))
            }
            Action::Deliver { letter, late } => {
                self.left.late_votes -= u8::from(*late);
                self.deliver(scenario, letter, *late)
            }
            Action::SlowDisk(place) => {
                self.left.slow_disks -= 1;
                self.input(scenario, *place, |member| member.disk_is_slow = true)
            }
            Action::Sync(place) => self.sync(scenario, *place),
            Action::Crash(place) => {
                self.left.crashes -= 1;
                let disk = self.members[*place].disk.clone();
                self.members[*place] = Arc::new(Member::start(scenario, *place, disk));
                true
            }
        }
    }

    /// Leaders get no pre-votes so: one that is asked late has stepped down before.
    pub(crate) fn arrives_at_once(&mut self, scenario: &Scenario, letter: Letter) {
        let asks = matches!(letter.message, Message::PreVote { .. });
        if !asks || self.members[letter.to].role != Role::Leader {
            self.deliver(scenario, &letter, asks);
        }
    }

    fn deliver(&mut self, scenario: &Scenario, letter: &Letter, late: bool) -> bool {
        let Letter { from, to, message } = letter;
        let mut obeys = true;
        self.input(scenario, *to, |member| {
            if late {
                member.now = member.now + ELECTION_TIMEOUT;
            }
            let result = member.raft.step(member.now, id(*from), message.clone());
            obeys = !matches!(result, Err(StepError::Malformed(_) | StepError::SecondLeader(..)));
        });
        if !obeys {
            Arc::make_mut(&mut self.history).breaks(Rule::HonestMembersObey);
        }
        true
    }

    fn input<T: Happened>(
        &mut self,
        scenario: &Scenario,
        place: usize,
        input: impl FnOnce(&mut Member) -> T,
    ) -> bool {
        let mut member = Member::clone(&self.members[place]);
        let happened = input(&mut member).happened();
        if happened {
            self.drain(scenario, place, &mut member);
            while !member.disk_is_slow && self.finish_write(scenario, place, &mut member) {}
            self.keep(scenario, place, member);
        }
        happened
    }

    /// A disk that has caught up is slow no more.
    fn sync(&mut self, scenario: &Scenario, place: usize) -> bool {
        let mut member = Member::clone(&self.members[place]);
        self.finish_write(scenario, place, &mut member);
        member.disk_is_slow = member.writes_under_way() > 0;
        self.keep(scenario, place, member);
        true
    }

    fn keep(&mut self, scenario: &Scenario, place: usize, mut member: Member) {
        member.summarise();
        self.members[place] = Arc::new(member);
        self.drop_stale_mail(scenario, place);
    }

    fn finish_write(&mut self, scenario: &Scenario, place: usize, member: &mut Member) -> bool {
        let Some(Write { sequence, ops, then_send }) = member.writes.pop_front() else { return false };
        ops.into_iter().for_each(|op| member.disk.apply(op));
        self.send(scenario, place, then_send);
        member.raft.persisted(member.now, sequence);
        self.drain(scenario, place, member);
        true
    }

    fn drain(&mut self, scenario: &Scenario, from: usize, member: &mut Member) {
        let Output {
            send_now,
            persist,
            send_after_persist: then_send,
            install,
            committed,
            reads,
            want_snapshot: _,
            state_changed: _,
        } = member.raft.take_output();
        assert!(install.is_none(), "nobody compacts a log here");
        self.send(scenario, from, send_now);
        if let Some((sequence, ops)) = persist {
            ops.iter().for_each(|op| member.written.apply(op.clone()));
            member.writes.push_back(Write { sequence, ops, then_send });
        }
        let term = member.written.hard_state.term;
        let leads = member.raft.role() == Role::Leader;
        if leads || !committed.is_empty() || !reads.is_empty() {
            let history = Arc::make_mut(&mut self.history);
            if leads {
                history.leads(id(from), term);
            }
            committed.iter().for_each(|entry| history.delivered(entry, term));
            reads.iter().for_each(|outcome| history.answered(outcome));
        }
    }

    fn send(&mut self, scenario: &Scenario, from: usize, messages: Vec<(NodeId, Message)>) {
        for (to, message) in messages {
            self.post(scenario, Letter { from, to: place(to), message });
        }
    }
}

impl Member {
    fn wait_and_tick(&mut self) {
        self.now = self.now.max(self.raft.deadline().unwrap_or(self.now));
        self.raft.tick(self.now);
    }
}

/// Some inputs are refused, and then nothing happened.
trait Happened {
    fn happened(self) -> bool;
}

impl Happened for () {
    fn happened(self) -> bool {
        true
    }
}

impl Happened for bool {
    fn happened(self) -> bool {
        self
    }
}
