//! Gives inputs to nodes and carries out what they ask for, as every driver does.

use super::{Due, World};
use crate::ambush::Footing;
use crate::checker::Violation;
use crate::keys::Clients;
use crate::member::Member;
use bytes::Bytes;
use shared::ids::{Hash, NodeId};
use shared::node::api::Event;
use shared::node::compute::{self, Blocks};
use shared::node::{BlockError, BlockName, BlockOp, BlockOutcome, ComputeError, ComputeTask, Input, Ready};
use shared::time::{Duration, Time};
use std::mem;

impl World {
    /// One input into one node, and everything that follows from it.
    pub(super) fn handle(&mut self, node: NodeId, input: Input) -> Result<(), Violation> {
        let mut ready = mem::take(&mut self.ready);
        let Some(member) = self.members.get_mut(&node) else { return Ok(()) };
        let Some(process) = &mut member.process else { return Ok(()) };
        let mut told = self.transcript.hears(node, &input);
        process.handle(self.now, input, &mut ready, member.recordings.last_mut());
        self.transcript.does(node, &ready, &mut told);
        let seen = process.node.inspect();
        self.transcript.stands(self.now, node, &seen, told);
        self.carry_out(node, &mut ready)?;
        self.ready = ready;
        let Some(member) = self.members.get_mut(&node) else { return Ok(()) };
        let Some(process) = &mut member.process else { return Ok(()) };
        self.checkers.check(node, &seen, &member.disk)?;
        let after = Footing::of(&seen);
        let before = mem::replace(&mut process.footing, after);
        self.spring_ambush(node, before, after);
        Ok(())
    }

    fn carry_out(&mut self, node: NodeId, ready: &mut Ready) -> Result<(), Violation> {
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
        } = mem::take(ready);
        let boot = self.boot_of(node);
        self.send(node, send_now)?;
        match persist {
            None => self.send(node, send_after_persist)?,
            Some(persist) => {
                let latency = self.disk_latency();
                let Some(member) = self.members.get_mut(&node) else { return Ok(()) };
                let Some(process) = &mut member.process else { return Ok(()) };
                let sequence = persist.sequence;
                let at = process.syncs.write(self.now, latency);
                process.held.insert(sequence, send_after_persist);
                member.disk.write(persist);
                self.agenda.plan(at, Due::Synced { node, boot, sequence });
            }
        }
        for notice in to_relay {
            self.notice(node, notice);
        }
        for operation in blocks {
            if let Some(Member { disk, .. }) = self.members.get_mut(&node) {
                // In order, however late the answers come.
                match &operation {
                    BlockOp::Put { name, bytes, .. } => disk.put(*name, bytes.clone()),
                    BlockOp::Delete { names } => names.iter().for_each(|name| disk.delete_block(*name)),
                    BlockOp::Get { .. } => {}
                }
            }
            let at = self.now + self.disk_latency();
            self.agenda.plan(at, Due::BlockDone { node, boot, operation });
        }
        for task in compute {
            let at = self.now + self.rng.between(Duration::from_millis(1), Duration::from_millis(120));
            self.agenda.plan(at, Due::TaskDone { node, boot, task });
        }
        for (id, result) in replies {
            if Clients::is_ours(id) {
                let turn = self.keys.answer(self.now, id, result, &mut self.rng)?;
                self.take_turns(turn);
            } else if let Some(call) = self.workload.answer(id, result)? {
                self.call(call);
            }
        }
        for event in events {
            if let Event::Fatal(message) = event {
                return Err(Violation::Fatal { node, message });
            }
        }
        self.plan_deadline(node, boot, deadline.map(|deadline| deadline.at));
        Ok(())
    }

    fn disk_latency(&mut self) -> Duration {
        let usual = self.rng.between(Duration::from_micros(100), self.disk_latency_max);
        if self.rng.below(40) == 0 { usual * 20 } else { usual }
    }

    fn plan_deadline(&mut self, node: NodeId, boot: u64, at: Option<Time>) {
        let Some(member) = self.members.get_mut(&node) else { return };
        let (Some(process), Some(at)) = (&mut member.process, at) else { return };
        process.deadline += 1;
        let number = process.deadline;
        let at = process.clock.when(at);
        // A timer never rings at once: a node whose deadline has passed would otherwise stop the world.
        let at = at.max(self.now + Duration::from_micros(50));
        self.agenda.plan(at, Due::Deadline { node, boot, number });
    }

    pub(super) fn block_done(&mut self, node: NodeId, operation: BlockOp) -> Result<(), Violation> {
        let Some(member) = self.members.get_mut(&node) else { return Ok(()) };
        let disk = &mut member.disk;
        let (ticket, result) = match operation {
            BlockOp::Put { ticket, name, .. } => {
                disk.sync_block(name);
                (ticket, Ok(BlockOutcome::Stored))
            }
            BlockOp::Get { ticket, name, offset, bytes_max } => (
                ticket,
                match disk.block(name) {
                    None => Err(BlockError::Missing),
                    Some(block) => {
                        let start = (offset as usize).min(block.len());
                        let end = start.saturating_add(bytes_max as usize).min(block.len());
                        Ok(BlockOutcome::Data { bytes: block.slice(start..end), total: block.len() as u64 })
                    }
                },
            ),
            BlockOp::Delete { .. } => return Ok(()),
        };
        self.handle(node, Input::Block { ticket, result })
    }

    pub(super) fn task_done(&mut self, node: NodeId, task: ComputeTask) -> Result<(), Violation> {
        let now = self.now;
        let Some(member) = self.members.get_mut(&node) else { return Ok(()) };
        let Some(process) = &member.process else { return Ok(()) };
        let now = process.clock.read(now);
        let mut desk = Desk(&mut member.disk);
        let result = compute::run(&task.function, &task.inputs, &mut desk, &|| now);
        self.handle(node, Input::Computed { ticket: task.ticket, result })
    }
}

/// A member's blocks as its pool sees them.
struct Desk<'a>(&'a mut crate::disk::Disk);

impl Blocks for Desk<'_> {
    fn read(&mut self, name: BlockName) -> Result<Bytes, ComputeError> {
        let block = self.0.block(name).cloned().ok_or(ComputeError::InputMissing(name))?;
        match name {
            BlockName::Content(hash) if Hash::of(&block) != hash => Err(ComputeError::InputMissing(name)),
            _ => Ok(block),
        }
    }

    fn write(&mut self, name: BlockName, bytes: Bytes) -> Result<(), ComputeError> {
        self.0.put(name, bytes);
        self.0.sync_block(name);
        Ok(())
    }
}
