//! What a driver does: carries out each answer of a node in order, and brings back what comes of it.

use super::{COMPUTE, Cluster, Coming, Disk, SYNC};
use crate::ids::{Hash, NodeId};
use crate::node::compute::{self, Blocks};
use crate::node::{BlockError, BlockName, BlockOp, BlockOutcome, ComputeError, Input, PersistOp, Ready};
use crate::time::{Duration, Time};
use bytes::Bytes;

impl Cluster {
    pub(super) fn later(&mut self, after: Duration, to: NodeId, coming: Coming) {
        self.sequence += 1;
        self.coming.insert((self.now + after, self.sequence), (to, coming));
    }

    /// Handles what comes next, if it comes by `until`.
    pub(super) fn step(&mut self, until: Time) -> bool {
        let awake = self.members.iter().filter(|(_, member)| member.frozen.is_none());
        let deadline = awake.filter_map(|(id, member)| member.deadline.map(|at| (at, *id))).min();
        let coming = self.coming.keys().next().copied();
        match (coming, deadline) {
            (Some((at, _)), _) if at > until && deadline.is_none_or(|(at, _)| at > until) => false,
            (None, None) => false,
            (None, Some((at, _))) if at > until => false,
            (Some((at, sequence)), deadline) if deadline.is_none_or(|(deadline_at, _)| at <= deadline_at) => {
                let (to, coming) = self.coming.remove(&(at, sequence)).expect("just seen");
                self.now = self.now.max(at);
                self.arrive(to, coming);
                true
            }
            (_, Some((at, id))) => {
                self.now = self.now.max(at);
                self.handle(id, Input::Deadline);
                true
            }
            (Some(_), None) => false,
        }
    }

    pub(super) fn arrive(&mut self, to: NodeId, coming: Coming) {
        let Some(member) = self.members.get_mut(&to) else { return };
        if let Some(held) = &mut member.frozen {
            held.push(coming);
            return;
        }
        if let (Some(held), Coming::Synced { .. }) = (&mut member.hung, &coming) {
            held.push(coming);
            return;
        }
        let is_current = |run: u32| member.node.is_some() && member.run == run;
        match coming {
            Coming::Hello { run } if is_current(run) => self.hello(to, run),
            Coming::Input { run: None, input } if self.relay.connected.contains(&to) => {
                self.handle(to, *input);
            }
            Coming::Input { run: Some(run), input } if is_current(run) => self.handle(to, *input),
            Coming::Synced { run, persist, send } if is_current(run) => {
                for operation in persist.operations {
                    match operation {
                        PersistOp::Cluster(cluster) => member.disk.cluster = Some(cluster),
                        PersistOp::Raft(operation) => member.disk.raft.apply(operation),
                    }
                }
                self.send(to, send);
                self.handle(to, Input::Persisted(persist.sequence));
            }
            Coming::Compute { run, task } if is_current(run) => {
                let result = compute::run(&task.function, &task.inputs, &mut member.disk, &|| Time::ZERO);
                self.handle(to, Input::Computed { ticket: task.ticket, result });
            }
            _ => {}
        }
    }

    /// The driver: one input, and its answer carried out in order.
    pub fn handle(&mut self, id: NodeId, input: Input) {
        let now = self.now;
        let ahead = self.ahead_of(id);
        let Some(member) = self.members.get_mut(&id) else { return };
        let (run, Some(node)) = (member.run, member.node.as_mut()) else { return };
        let mut ready = Ready::default();
        node.handle(now + ahead, input, &mut ready);
        let Ready {
            send_now,
            persist,
            send_after_persist,
            to_relay,
            blocks,
            compute,
            replies,
            events,
            deadline,
        } = ready;
        member.deadline = deadline.map(|deadline| {
            assert!(deadline.at > now + ahead, "a driver would never rest: {deadline:?}");
            now + deadline.at.since(now + ahead)
        });
        self.send(id, send_now);
        match persist {
            Some(persist) => {
                self.later(SYNC, id, Coming::Synced { run, persist, send: send_after_persist });
            }
            None => self.send(id, send_after_persist),
        }
        for notice in to_relay {
            self.notice(id, notice);
        }
        for operation in blocks {
            self.block(id, run, operation);
        }
        for task in compute {
            self.later(COMPUTE, id, Coming::Compute { run, task });
        }
        self.replies.extend(replies);
        self.events.extend(events.into_iter().map(|event| (id, event)));
        self.check(id);
    }

    fn block(&mut self, id: NodeId, run: u32, operation: BlockOp) {
        let disk = &mut self.members.get_mut(&id).expect("a member of this test").disk;
        let (ticket, result) = match operation {
            BlockOp::Put { ticket, name, bytes } => (
                ticket,
                disk.write(name, bytes).map(|()| BlockOutcome::Stored).map_err(|_| BlockError::Damaged),
            ),
            BlockOp::Get { ticket, name, offset, bytes_max } => {
                (ticket, disk.part(name, offset, bytes_max).ok_or(BlockError::Missing))
            }
            BlockOp::Delete { names } => {
                disk.blocks.retain(|name, _| !names.contains(name));
                return;
            }
        };
        let input = Box::new(Input::Block { ticket, result });
        self.later(SYNC, id, Coming::Input { run: Some(run), input });
    }

    fn check(&mut self, id: NodeId) {
        let Some(node) = self.members[&id].node.as_ref() else { return };
        let status = node.consensus.status();
        if status.is_leader() {
            let leader = *self.leaders.entry(status.term).or_insert(id);
            assert_eq!(leader, id, "two leaders in term {}", status.term);
        }
        if self.damaged.contains(&id) {
            return;
        }
        let digest = node.around.machine.digest();
        let known = *self.digests.entry(node.applied).or_insert(digest);
        assert_eq!(known, digest, "two states at index {}", node.applied);
    }
}

impl Disk {
    fn part(&self, name: BlockName, offset: u64, bytes_max: u32) -> Option<BlockOutcome> {
        let bytes = self.blocks.get(&name)?;
        let start = usize::try_from(offset).ok()?.min(bytes.len());
        let end = start.saturating_add(bytes_max as usize).min(bytes.len());
        Some(BlockOutcome::Data { bytes: bytes.slice(start..end), total: bytes.len() as u64 })
    }
}

impl Blocks for Disk {
    fn read(&mut self, name: BlockName) -> Result<Bytes, ComputeError> {
        self.blocks.get(&name).cloned().ok_or(ComputeError::InputMissing(name))
    }

    fn write(&mut self, name: BlockName, bytes: Bytes) -> Result<(), ComputeError> {
        if matches!(name, BlockName::Content(hash) if hash != Hash::of(&bytes)) {
            return Err(ComputeError::Unable("content under a wrong name".to_owned()));
        }
        self.blocks.insert(name, bytes);
        Ok(())
    }
}
