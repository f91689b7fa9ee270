//! Faults strike.

use super::ending::{blocks, holds};
use super::{Due, World};
use crate::ambush::Footing;
use crate::faults::Fault;
use shared::ids::NodeId;
use shared::node::Input;
use shared::time::Duration;
use shared::wire::session::{Kind, Presence};

/// More than this many members would only make runs slow.
const MEMBERS_MAX: usize = 7;

impl World {
    fn hang_up(&mut self, node: NodeId) {
        if self.network.connection_of(node).is_some() {
            self.network.disconnect(node, &mut self.rng);
            self.tell(node, &Presence::Left(node));
        }
    }

    fn crash(&mut self, node: NodeId, down: Option<Duration>) {
        let Some(member) = self.members.get_mut(&node).filter(|member| member.is_up()) else { return };
        member.crash(&mut self.rng);
        member.boot += 1;
        self.sleepers.remove(&node);
        self.workload.lost(node);
        let turns = self.keys.lost(node, self.now, &mut self.rng);
        self.take_turns(turns);
        self.hang_up(node);
        if let Some(down) = down {
            self.agenda.plan(self.now + down, Due::Start { node });
        }
    }

    pub(super) fn fault(&mut self) {
        if !self.troubled {
            return;
        }
        let nodes: Vec<NodeId> = self.members.keys().copied().collect();
        let fault = Fault::draw(&nodes, &mut self.rng);
        // A series of deaths comes to nothing if other faults cross it.
        let pause_max = if matches!(fault, Fault::Ambush(_)) { 6_000 } else { 1_500 };
        let next = self.now + self.rng.between(Duration::from_millis(20), Duration::from_millis(pause_max));
        self.agenda.plan(next, Due::Fault);
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
                nodes.into_iter().for_each(|node| self.crash(node, Some(down)));
            }
            // Leases count on clocks that go on.
            Fault::Freeze { node, time, stops_clock } => {
                self.freeze(node, time, stops_clock && !self.config.raft.lease_reads);
            }
            Fault::SetClock { node } => {
                if let Some(member) = self.members.get_mut(&node) {
                    self.clockwork.step(&mut member.clock, &mut self.rng);
                }
            }
            // Who sleeps may have lost it already, and would hear of the second loss after it is back.
            Fault::Disconnect { node, time } if self.network.connection_of(node).is_some() => {
                self.hang_up(node);
                let boot = self.boot_of(node);
                self.agenda.plan(self.now, Due::Input { node, boot, input: Input::Disconnected });
                self.agenda.plan(self.now + time, Due::Connect { node, boot });
            }
            Fault::Disconnect { .. } => {}
            Fault::Partition { group, one_way } => self.partition(&group, one_way),
            Fault::Cut { from, to } => self.network.cut(from, to),
            Fault::Heal => self.network.heal(),
            Fault::Weather(weather) => self.network.weather = weather,
            Fault::Replace { node } => self.replace(node),
            Fault::Stranger => self.stranger_comes(),
            Fault::Join => self.join(Kind::Tab),
            Fault::Ambush(ambush) => {
                // Its moments come when the cluster works.
                self.network.heal();
                self.ambush = Some(ambush);
            }
        }
    }

    /// Whoever lay in wait for what `node` has just done, strikes.
    pub(super) fn spring_ambush(&mut self, node: NodeId, before: Footing, after: Footing) {
        let Some(ambush) = self.ambush.take_if(|ambush| ambush.strikes(before, after)) else { return };
        self.faults += 1;
        self.note(node, || format!("dies in an {ambush:?}"));
        let victims = if ambush.is_power_cut() { self.members.keys().copied().collect() } else { vec![node] };
        for victim in victims {
            let down = ambush.down(&mut self.rng);
            self.crash(victim, Some(down));
        }
        if let Some(fallen) = ambush.fallen() {
            self.agenda.plan(self.now, Due::Start { node: fallen });
        }
        self.ambush = ambush.next(node, &mut self.rng);
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

    /// A founder died before the relay heard of its cluster, and meanwhile the room became another's. Its keeper is told,
    /// empties the disk, and it comes back as somebody new.
    pub(super) fn start_over(&mut self, node: NodeId) {
        self.note(node, || "belongs to a cluster that never came to be, and starts over".to_owned());
        let Some(kind) = self.members.get(&node).map(|member| member.profile.kind) else { return };
        self.crash(node, None);
        self.members.remove(&node);
        self.newcomer(kind);
    }

    /// A disk is lost, and its member with it.
    fn replace(&mut self, node: NodeId) {
        let Some(kind) = self.members.get(&node).map(|member| member.profile.kind) else { return };
        if self.replaced || self.members.len() < 4 || !self.can_spare(node) {
            return;
        }
        self.replaced = true;
        self.note(node, || "loses its disk".to_owned());
        self.crash(node, None);
        self.members.remove(&node);
        self.join(kind);
    }

    /// Whether the rest could still decide, whichever configuration turns out to be in force: a majority of the voters of
    /// each half keeps its disks. Nobody promised to survive more than that; nor what else might be lost while somebody is down.
    /// What was stored when there were fewer voters is copied only after more have come, so it may be on one disk for a while.
    fn can_spare(&self, node: NodeId) -> bool {
        let stays = |voter: &&NodeId| **voter != node && self.members.contains_key(*voter);
        let others = || self.members.values().filter(|member| member.id != node);
        let states = self.members.values().filter_map(|member| Some(member.process.as_ref()?.node.state()));
        let stored = states.flat_map(blocks).map(|block| block.hash);
        if !self.workload.blocks().chain(stored).all(|hash| others().any(|member| holds(member, &hash))) {
            return false;
        }
        self.members.values().all(|member| {
            let Some(process) = &member.process else { return false };
            let membership = process.node.inspect().raft.membership;
            [&membership.voters, &membership.outgoing]
                .iter()
                .all(|half| half.is_empty() || half.iter().filter(stays).count() * 2 > half.len())
        })
    }

    fn leader(&self) -> Option<NodeId> {
        self.members.values().find_map(|member| {
            let process = member.process.as_ref()?;
            process.node.inspect().raft.is_leader().then_some(member.id)
        })
    }
}
