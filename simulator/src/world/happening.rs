//! What is due, happens.

use super::{Due, World};
use crate::checker::Violation;
use crate::faults::Fault;
use crate::workload::Call;
use shared::ids::NodeId;
use shared::node::Input;
use shared::time::Duration;
use shared::wire::session::{Kind, Peer, Presence};

/// More than this many members would only make runs slow.
const MEMBERS_MAX: usize = 7;

impl World {
    pub(super) fn happen(&mut self, due: Due) -> Result<(), Violation> {
        let Some(due) = self.unless_frozen(due) else { return Ok(()) };
        match due {
            Due::Frame { to, connection, from, frame }
                if self.network.connection_of(to) == Some(connection) =>
            {
                self.handle(to, Input::Frame { from, frame })
            }
            Due::Presence { to, connection, presence }
                if self.network.connection_of(to) == Some(connection) =>
            {
                self.handle(to, Input::Presence(presence))
            }
            Due::Input { node, boot, input } if self.boot_of(node) == boot => self.handle(node, input),
            Due::Deadline { node, boot, number } if self.is_deadline(node, boot, number) => {
                self.handle(node, Input::Deadline)
            }
            Due::Synced { node, boot, sequence } if self.boot_of(node) == boot => {
                let Some(member) = self.members.get_mut(&node) else { return Ok(()) };
                member.disk.sync(sequence);
                let Some(process) = &mut member.process else { return Ok(()) };
                let outgoing = process.held.remove(&sequence).unwrap_or_default();
                self.send(node, outgoing);
                self.handle(node, Input::Persisted(sequence))
            }
            Due::BlockDone { node, boot, operation } if self.boot_of(node) == boot => {
                self.block_done(node, operation)
            }
            Due::TaskDone { node, boot, task } if self.boot_of(node) == boot => self.task_done(node, task),
            Due::Start { node } => self.start(node),
            Due::Connect { node, boot } if self.boot_of(node) == boot => self.connect(node),
            Due::Fault => self.fault(),
            Due::Client => self.client(),
            Due::TroubleOver => self.end_trouble(),
            // Meant for a process or a connection that is gone.
            _ => Ok(()),
        }
    }

    /// What a frozen process would do waits until it thaws. Its disk and the network go on.
    fn unless_frozen(&mut self, due: Due) -> Option<Due> {
        let node = match &due {
            Due::Frame { to, .. } | Due::Presence { to, .. } => *to,
            Due::Input { node, .. }
            | Due::Deadline { node, .. }
            | Due::Synced { node, .. }
            | Due::BlockDone { node, .. }
            | Due::TaskDone { node, .. }
            | Due::Connect { node, .. } => *node,
            Due::Start { .. } | Due::Fault | Due::Client | Due::TroubleOver => return Some(due),
        };
        let process = self.members.get(&node).and_then(|member| member.process.as_ref());
        match process.map(|process| process.frozen_until).filter(|until| *until > self.now) {
            None => Some(due),
            Some(until) => {
                self.agenda.plan(until, due);
                None
            }
        }
    }

    fn is_deadline(&self, node: NodeId, boot: u64, number: u64) -> bool {
        let process = self.members.get(&node).filter(|member| member.boot == boot);
        process.and_then(|member| member.process.as_ref()).is_some_and(|process| process.deadline == number)
    }

    pub(super) fn start(&mut self, node: NodeId) -> Result<(), Violation> {
        let Some(member) = self.members.get_mut(&node).filter(|member| !member.is_up()) else {
            return Ok(());
        };
        member
            .start(&self.config, &mut self.rng, self.now)
            .map_err(|error| Violation::NoStart { node, message: error.to_string() })?;
        let boot = member.boot;
        self.checker.started(node);
        self.note(node, || "starts".to_owned());
        self.handle(node, Input::Deadline)?;
        self.agenda.plan(self.now + Duration::from_millis(1), Due::Connect { node, boot });
        Ok(())
    }

    fn connect(&mut self, node: NodeId) -> Result<(), Violation> {
        let Some(member) = self.members.get(&node).filter(|member| member.is_up()) else { return Ok(()) };
        if self.network.connection_of(node).is_some() {
            return Ok(());
        }
        let (boot, profile) = (member.boot, member.profile.clone());
        let claim = member.claim(&mut self.rng);
        let Some(welcome) = self.admit(node, claim) else {
            self.agenda.plan(self.now + Duration::from_millis(20), Due::Connect { node, boot });
            return Ok(());
        };
        self.network.connect(node);
        self.tell(node, &Presence::Joined(Peer { node, profile }));
        self.handle(node, Input::Connected(welcome))
    }

    fn hang_up(&mut self, node: NodeId) {
        if self.network.connection_of(node).is_some() {
            self.network.disconnect(node);
            self.tell(node, &Presence::Left(node));
        }
    }

    fn crash(&mut self, node: NodeId, down: Option<Duration>) {
        let Some(member) = self.members.get_mut(&node).filter(|member| member.is_up()) else { return };
        member.crash(&mut self.rng);
        member.boot += 1;
        self.workload.lost(node);
        self.hang_up(node);
        if let Some(down) = down {
            self.agenda.plan(self.now + down, Due::Start { node });
        }
    }

    fn fault(&mut self) -> Result<(), Violation> {
        if !self.troubled {
            return Ok(());
        }
        let next = self.now + self.rng.between(Duration::from_millis(20), Duration::from_millis(1500));
        self.agenda.plan(next, Due::Fault);
        let Some(fault) = self.draw_fault() else { return Ok(()) };
        self.faults += 1;
        self.transcript.line(self.now, || format!("-- {fault:?}"));
        match fault {
            Fault::Crash { node, down } => self.crash(node, Some(down)),
            Fault::CrashLeader { down } => {
                if let Some(leader) = self.leader() {
                    self.crash(leader, Some(down));
                }
            }
            Fault::CrashAll { down } => {
                let nodes: Vec<NodeId> = self.members.keys().copied().collect();
                nodes.into_iter().for_each(|node| self.crash(node, Some(down)));
            }
            Fault::Freeze { node, time } => {
                let until = self.now + time;
                if let Some(process) = self.members.get_mut(&node).and_then(|member| member.process.as_mut())
                {
                    process.frozen_until = until;
                }
            }
            Fault::Disconnect { node, time } => {
                self.hang_up(node);
                let boot = self.boot_of(node);
                self.agenda.plan(self.now + time, Due::Connect { node, boot });
                return self.handle(node, Input::Disconnected);
            }
            Fault::Partition { group, one_way } => self.partition(&group, one_way),
            Fault::Cut { from, to } => self.network.cut(from, to),
            Fault::Heal => self.network.heal(),
            Fault::Weather(weather) => self.network.weather = weather,
            Fault::Replace { node } => return self.replace(node),
            Fault::Join => self.join(Kind::Tab),
        }
        Ok(())
    }

    fn partition(&mut self, group: &[NodeId], one_way: bool) {
        let nodes: Vec<NodeId> = self.members.keys().copied().collect();
        for &inside in group {
            for &outside in nodes.iter().filter(|node| !group.contains(node)) {
                self.network.cut(inside, outside);
                if !one_way {
                    self.network.cut(outside, inside);
                }
            }
        }
    }

    fn join(&mut self, kind: Kind) {
        if self.members.len() < MEMBERS_MAX {
            self.newcomer(kind);
        }
    }

    /// A disk is lost, and its member with it: more than a minority of them would be more than anybody promised to
    /// survive, so it happens only while everybody is well, and once.
    fn replace(&mut self, node: NodeId) -> Result<(), Violation> {
        let calm = self.members.values().all(|member| member.is_up());
        if self.newcomers > 0 || !calm || self.members.len() < 4 {
            return Ok(());
        }
        self.newcomers += 1;
        let Some(kind) = self.members.get(&node).map(|member| member.profile.kind) else { return Ok(()) };
        self.crash(node, None);
        self.members.remove(&node);
        self.join(kind);
        Ok(())
    }

    fn client(&mut self) -> Result<(), Violation> {
        if !self.troubled {
            return Ok(());
        }
        let next = self.now + self.rng.between(Duration::from_millis(100), Duration::from_millis(900));
        self.agenda.plan(next, Due::Client);
        let up: Vec<NodeId> =
            self.members.values().filter(|member| member.is_up()).map(|member| member.id).collect();
        if up.is_empty() {
            return Ok(());
        }
        let node = up[self.rng.below(up.len() as u64) as usize];
        let call = if self.rng.below(10) == 0 {
            self.workload.delete(node, &mut self.rng)
        } else {
            Some(self.workload.begin(node, &mut self.rng))
        };
        if let Some(call) = call {
            self.call(call);
        }
        Ok(())
    }

    pub(super) fn call(&mut self, call: Call) {
        let Call { node, id, request } = call;
        let boot = self.boot_of(node);
        let at = self.now + Duration::from_micros(100);
        self.agenda.plan(at, Due::Input { node, boot, input: Input::Request { id, request } });
    }

    fn leader(&self) -> Option<NodeId> {
        self.members.values().find_map(|member| {
            let process = member.process.as_ref()?;
            process.node.inspect().raft.is_leader().then_some(member.id)
        })
    }
}
