//! Processes that stand still for a while, as frozen tabs do.

use super::{Due, Sleep, World};
use crate::checker::Violation;
use shared::ids::NodeId;
use shared::time::Duration;

impl World {
    /// A second freeze may make a sleep longer, never shorter.
    pub(super) fn freeze(&mut self, node: NodeId, time: Duration, stops_clock: bool) {
        if !self.members.get(&node).is_some_and(|member| member.is_up()) {
            return;
        }
        let until = self.now + time;
        let since = self.now;
        let sleep = (self.sleepers.entry(node)).or_insert_with(|| Sleep {
            stops_clock,
            since,
            until,
            missed: Vec::new(),
        });
        sleep.until = sleep.until.max(until);
        self.agenda.plan(until, Due::Thaw { node });
    }

    /// What a frozen process would do waits until it thaws, and then happens in its order: its sockets and its threads
    /// are queues, and what a connection carries later never passes what was carried before.
    pub(super) fn unless_frozen(&mut self, due: Due) -> Option<Due> {
        let node = match &due {
            Due::Frame { to, .. } | Due::Told { to, .. } => *to,
            Due::Input { node, .. }
            | Due::Deadline { node, .. }
            | Due::Synced { node, .. }
            | Due::BlockDone { node, .. }
            | Due::TaskDone { node, .. }
            | Due::Connect { node, .. } => *node,
            Due::Start { .. }
            | Due::Thaw { .. }
            | Due::Fault
            | Due::Client
            | Due::Turn(_)
            | Due::Stranger
            | Due::TroubleOver => {
                return Some(due);
            }
        };
        match self.sleepers.get_mut(&node) {
            None => Some(due),
            Some(sleep) => {
                sleep.missed.push(due);
                None
            }
        }
    }

    pub(super) fn thaw(&mut self, node: NodeId) -> Result<(), Violation> {
        if self.sleepers.get(&node).is_none_or(|sleep| sleep.until > self.now) {
            return Ok(());
        }
        let Some(sleep) = self.sleepers.remove(&node) else { return Ok(()) };
        let process = self.members.get_mut(&node).and_then(|member| member.process.as_mut());
        if let Some(process) = process.filter(|_| sleep.stops_clock) {
            let slept = self.now.since(sleep.since);
            process.clock.slept(slept);
            self.clockwork.slept(slept);
        }
        sleep.missed.into_iter().try_for_each(|due| self.happen(due))
    }

    pub(super) fn thaw_all(&mut self) -> Result<(), Violation> {
        self.sleepers.values_mut().for_each(|sleep| sleep.until = self.now);
        let nodes: Vec<NodeId> = self.sleepers.keys().copied().collect();
        nodes.into_iter().try_for_each(|node| self.thaw(node))
    }
}
