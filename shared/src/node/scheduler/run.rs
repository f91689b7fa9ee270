//! One running job, as its leader keeps it in mind.

use super::tasks::{Cut, Slice};
use crate::ids::NodeId;
use crate::node::contract::BlockName;
use crate::state_machine::{Command, Job, WorkerShare};
use crate::time::{Duration, Time};
use crate::wire::peer::{JobProgress, Stage, WorkerProgress};
use std::collections::{BTreeMap, BTreeSet};

/// Below this, a task is not called slow.
const PATIENCE_MIN: Duration = Duration::from_secs(5);

/// Putting partials together takes as long as they are many.
const REDUCE_PATIENCE: Duration = Duration::from_secs(20);

/// A task that takes so many times what half of them took is slow.
const PATIENCE_FACTOR: u32 = 4;

/// Durations that the median is taken of.
const DURATIONS_KEPT: usize = 64;

#[derive(Debug)]
pub(super) struct Run {
    pub job: Job,
    pub cut: Cut,
    pub states: Vec<TaskState>,
    pub waiting: BTreeSet<u32>,
    pub running: BTreeMap<u32, Running>,
    attempts: u32,
    durations: Vec<Duration>,
    shares: BTreeMap<NodeId, WorkerShare>,
    pub done: u32,
    pub bytes: u64,
    bytes_done: u64,
    pub reassigned: u32,
    /// The job's end, and when it was handed to the log last.
    pub committing: Option<(Time, Command)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct TaskState {
    /// Who holds the partial; empty unless it is done.
    pub holders: BTreeSet<NodeId>,
    /// Whose share it is in.
    credited: Option<NodeId>,
    pub failures: u32,
    pub not_before: Time,
    /// Who failed last: better somebody else.
    pub avoid: Option<NodeId>,
}

/// One attempt, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Running {
    pub task: u32,
    pub node: NodeId,
    pub since: Time,
}

impl Run {
    pub fn new(job: Job, cut: Cut) -> Run {
        let tasks = cut.slices.len();
        Run {
            bytes: cut.slices.iter().map(|slice| slice.bytes).sum(),
            // The last state is that of the task which puts the partials together.
            states: vec![TaskState::default(); tasks + 1],
            waiting: (0..tasks as u32).collect(),
            job,
            cut,
            running: BTreeMap::new(),
            attempts: 0,
            durations: Vec::new(),
            shares: BTreeMap::new(),
            done: 0,
            bytes_done: 0,
            reassigned: 0,
            committing: None,
        }
    }

    /// The task that puts the partials together comes after the counting tasks.
    pub fn reduce_task(&self) -> u32 {
        self.cut.slices.len() as u32
    }

    pub fn slice(&self, task: u32) -> Option<&Slice> {
        self.cut.slices.get(task as usize)
    }

    pub fn is_counted(&self) -> bool {
        self.done == self.reduce_task()
    }

    pub fn is_reducing(&self) -> bool {
        self.running.values().any(|running| running.task == self.reduce_task())
    }

    pub fn start(&mut self, task: u32, node: NodeId, now: Time) -> u32 {
        self.waiting.remove(&task);
        self.attempts += 1;
        self.running.insert(self.attempts, Running { task, node, since: now });
        self.attempts
    }

    /// Takes an attempt away. Its task waits again unless it is done or somebody else is at it.
    pub fn take_back(&mut self, attempt: u32) -> Option<Running> {
        let running = self.running.remove(&attempt)?;
        self.wait_again(running.task);
        Some(running)
    }

    fn wait_again(&mut self, task: u32) {
        let is_open = task < self.reduce_task() && self.states[task as usize].holders.is_empty();
        if is_open && !self.running.values().any(|running| running.task == task) {
            self.waiting.insert(task);
        }
    }

    /// A partial is there. Returns the other attempts at it, which are needless now.
    pub fn counted(&mut self, task: u32, by: NodeId, share: WorkerShare, now: Time) -> Vec<(u32, NodeId)> {
        let is_first = self.states[task as usize].holders.is_empty();
        self.states[task as usize].holders.insert(by);
        let attempts = self.end_attempts(task);
        if is_first {
            self.waiting.remove(&task);
            let bytes = self.cut.slices[task as usize].bytes;
            self.done += 1;
            self.bytes_done += bytes;
            self.credit(task, share);
        }
        if let Some((_, running)) = attempts.iter().find(|(_, running)| running.node == by) {
            if self.durations.len() >= DURATIONS_KEPT {
                self.durations.remove(0);
            }
            self.durations.push(now.since(running.since));
        }
        let others = attempts.into_iter().filter(|(_, running)| running.node != by);
        others.map(|(number, running)| (number, running.node)).collect()
    }

    /// Whoever did it last has done it: what an earlier one did went away with it.
    fn credit(&mut self, task: u32, share: WorkerShare) {
        let bytes = self.cut.slices[task as usize].bytes;
        let before = self.states[task as usize].credited.replace(share.node);
        if let Some(share) = before.and_then(|node| self.shares.get_mut(&node)) {
            share.bytes -= bytes;
            share.tasks -= 1;
        }
        let share = self.shares.entry(share.node).or_insert(share);
        share.bytes += bytes;
        share.tasks += 1;
    }

    pub fn end_attempts(&mut self, task: u32) -> Vec<(u32, Running)> {
        let of_task: Vec<u32> = (self.running.iter())
            .filter(|(_, running)| running.task == task)
            .map(|(number, _)| *number)
            .collect();
        of_task.into_iter().filter_map(|number| Some((number, self.running.remove(&number)?))).collect()
    }

    /// A holder of a partial is gone, or all are. Whether the task has to be done again.
    pub fn lose_holder(&mut self, task: u32, node: Option<NodeId>) -> bool {
        let state = &mut self.states[task as usize];
        let had = !state.holders.is_empty();
        match node {
            Some(node) => {
                state.holders.remove(&node);
            }
            None => state.holders.clear(),
        }
        if !had || !state.holders.is_empty() {
            return false;
        }
        let bytes = self.cut.slices[task as usize].bytes;
        self.done -= 1;
        self.bytes_done -= bytes;
        self.wait_again(task);
        true
    }

    pub fn task_of_partial(&self, name: BlockName) -> Option<u32> {
        let at = self.cut.slices.iter().position(|slice| slice.partial() == name)?;
        Some(at as u32)
    }

    /// A task that takes longer is slow. It grows with every failure: some tasks are long.
    pub fn patience(&self, task: u32) -> Duration {
        let failures = self.states[task as usize].failures.min(8);
        if task == self.reduce_task() {
            return REDUCE_PATIENCE * 2u32.pow(failures);
        }
        let mut sorted = self.durations.clone();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        PATIENCE_MIN.max(median * PATIENCE_FACTOR) * 2u32.pow(failures)
    }

    pub fn shares(&self) -> Vec<WorkerShare> {
        self.shares.values().filter(|share| share.tasks > 0).cloned().collect()
    }

    pub fn progress(&self) -> JobProgress {
        let mut workers: BTreeMap<NodeId, WorkerProgress> = (self.shares.values())
            .map(|share| {
                let (tasks_done, bytes_done) = (share.tasks, share.bytes);
                (share.node, WorkerProgress { node: share.node, running: 0, tasks_done, bytes_done })
            })
            .collect();
        for Running { node, .. } in self.running.values() {
            let idle = WorkerProgress { node: *node, running: 0, tasks_done: 0, bytes_done: 0 };
            workers.entry(*node).or_insert(idle).running += 1;
        }
        JobProgress {
            job: self.job.id,
            stage: self.stage(),
            tasks: self.reduce_task(),
            tasks_done: self.done,
            bytes: self.bytes,
            bytes_done: self.bytes_done,
            started_at: self.job.submitted_at,
            reassigned: self.reassigned,
            workers: workers.into_values().collect(),
        }
    }

    fn stage(&self) -> Stage {
        if self.committing.is_some() {
            Stage::Committing
        } else if self.is_counted() {
            Stage::Reducing
        } else if self.running.is_empty() && self.done == 0 {
            Stage::Waiting
        } else {
            Stage::Counting
        }
    }
}
