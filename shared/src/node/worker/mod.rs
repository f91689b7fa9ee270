//! Does tasks for the leader: gets their inputs, has the pool compute, keeps what comes out, answers.
//!
//! The leader may be this very node; it is told through the same outbox.

mod replication;
#[cfg(test)]
mod tests;

use super::blocks::{Blocks, FetchError, User};
use super::compute::{Function, TaskOutput};
use super::context::Context;
use super::contract::{BlockName, ComputeError, ComputeTask, Ticket};
use crate::ids::{JobId, NodeId};
use crate::limits;
use crate::time::Time;
use crate::wire::peer::{Attempt, BlockRefusal, Manifest, TaskFailure, TaskMessage};
use replication::Replication;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Worker {
    /// In the order in which they came.
    tasks: BTreeMap<u64, Task>,
    tasks_so_far: u64,
    computing: BTreeMap<Ticket, u64>,
    outbox: Vec<(NodeId, TaskMessage)>,
    speed: u64,
}

#[derive(Debug)]
struct Task {
    /// Who asked for it: two jobs may count the same text. Nobody any more: what the pool began runs to its end.
    askers: Vec<(Attempt, NodeId)>,
    function: Function,
    inputs: Vec<BlockName>,
    sources: Vec<Vec<NodeId>>,
    phase: Phase,
    refetches: u32,
}

#[derive(Debug)]
enum Phase {
    Fetching(BTreeSet<BlockName>),
    Ready,
    Computing,
    Replicating(Replication),
}

impl Worker {
    pub fn take_outbox(&mut self) -> Vec<(NodeId, TaskMessage)> {
        std::mem::take(&mut self.outbox)
    }

    /// Bytes per second of one thread over the last tasks; 0 before the first.
    pub fn speed(&self) -> u64 {
        self.speed
    }

    pub fn busy(&self, threads: u16) -> u16 {
        u16::try_from(self.computing.len()).unwrap_or(u16::MAX).min(threads)
    }

    pub fn message(
        &mut self,
        context: &mut Context<'_>,
        blocks: &mut Blocks,
        from: NodeId,
        message: TaskMessage,
    ) {
        match message {
            TaskMessage::Assign { attempt, function, inputs, sources } => {
                let fits = inputs.len() == sources.len() && inputs.len() <= limits::TASK_INPUTS_MAX;
                if fits && self.is_trusted(context, from, attempt) {
                    let askers = vec![(attempt, from)];
                    let (phase, refetches) = (Phase::Ready, 0);
                    let task = Task { askers, function, inputs, sources, phase, refetches };
                    self.assign(context, blocks, task);
                }
            }
            TaskMessage::Cancel { attempt } => {
                self.cancel(context, blocks, |asked, by| *asked == attempt && by == from);
            }
            TaskMessage::Finished { .. } | TaskMessage::Failed { .. } => {}
        }
        self.pump(context);
    }

    /// Tasks come from the leader. This node may hear from a new one before it knows that it leads, so a few come from
    /// whoever claims to lead, until the leader of that term is known.
    fn is_trusted(&self, context: &Context<'_>, from: NodeId, attempt: Attempt) -> bool {
        if attempt.term == context.term && context.leader.is_some() {
            return context.leader == Some(from);
        }
        let ahead = attempt.term.get().checked_sub(context.term.get());
        let askers = self.tasks.values().flat_map(|task| &task.askers);
        let early = askers.filter(|(early, _)| early.term >= attempt.term).count();
        ahead.is_some_and(|ahead| ahead <= limits::RAFT_TERM_JUMP_MAX) && early < limits::EARLY_TASKS_MAX
    }

    fn assign(&mut self, context: &mut Context<'_>, blocks: &mut Blocks, task: Task) {
        let same = |known: &&mut Task| known.function == task.function && known.inputs == task.inputs;
        let known = self.tasks.values_mut().find(same);
        let waiting = known.as_ref().map_or(0, |known| known.askers.len());
        if let Some(known) = known.filter(|_| waiting < limits::WORKER_TASKS_MAX) {
            let is_same = |(a, _): &(Attempt, NodeId), (b, _): &(Attempt, NodeId)| {
                (a.job, a.task, a.term) == (b.job, b.task, b.term)
            };
            known.askers.retain(|old| !task.askers.iter().any(|new| is_same(old, new)));
            known.askers.extend(task.askers);
            known.sources = task.sources;
            return;
        }
        if self.tasks.len().max(waiting) >= limits::WORKER_TASKS_MAX {
            let failure = TaskFailure::Unable("too many tasks wait on this member".to_owned());
            self.answer(task, |attempt| TaskMessage::Failed { attempt, failure: failure.clone() });
            return;
        }
        self.tasks_so_far += 1;
        let id = self.tasks_so_far;
        self.tasks.insert(id, task);
        self.fetch_inputs(context, blocks, id);
    }

    fn fetch_inputs(&mut self, context: &mut Context<'_>, blocks: &mut Blocks, id: u64) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let is_counted = match task.function {
            Function::Count { key, .. } => {
                blocks.inventory.touch(BlockName::Partial(key), context.now);
                blocks.inventory.contains(BlockName::Partial(key))
            }
            Function::Reduce { .. } => false,
        };
        let mut missing = BTreeMap::new();
        for (name, sources) in task.inputs.iter().zip(&task.sources) {
            blocks.inventory.touch(*name, context.now);
            if !is_counted && !blocks.inventory.contains(*name) {
                missing.insert(*name, sources.clone());
            }
        }
        if missing.is_empty() {
            task.phase = Phase::Ready;
            return;
        }
        task.phase = Phase::Fetching(missing.keys().copied().collect());
        for (name, sources) in missing {
            blocks.fetch(context, name, &sources, User::Worker);
        }
    }

    /// An input is here, or cannot be had.
    pub fn fetched(
        &mut self,
        context: &mut Context<'_>,
        blocks: &mut Blocks,
        name: BlockName,
        result: &Result<(), FetchError>,
    ) {
        let mut failed = Vec::new();
        for (id, task) in &mut self.tasks {
            let Phase::Fetching(missing) = &mut task.phase else { continue };
            if !missing.remove(&name) {
                continue;
            }
            match result {
                Ok(()) if missing.is_empty() => task.phase = Phase::Ready,
                Ok(()) => {}
                Err(FetchError::NoSource) => failed.push((*id, TaskFailure::InputMissing(name))),
                Err(error) => failed.push((*id, TaskFailure::Unable(error.to_string()))),
            }
            if result.is_ok()
                && let Some((attempt, _)) = task.askers.first()
                && let Some(job) = context.state.jobs.get(&attempt.job)
                && matches!(name, BlockName::Content(_))
            {
                for document in &job.documents {
                    blocks.announcer.soon(Manifest::Document(*document), context.now);
                }
            }
        }
        for (id, failure) in failed {
            self.fail(context, blocks, id, failure);
        }
        self.pump(context);
    }

    /// Gives the pool what it can do at once, and one task more, so that no thread waits for this one.
    fn pump(&mut self, context: &mut Context<'_>) {
        let at_once = usize::from(context.profile.threads.max(1)) + 1;
        let ready: Vec<u64> = (self.tasks.iter())
            .filter(|(_, task)| matches!(task.phase, Phase::Ready))
            .map(|(id, _)| *id)
            .take(at_once.saturating_sub(self.computing.len()))
            .collect();
        for id in ready {
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            task.phase = Phase::Computing;
            let ticket = context.tickets.next();
            self.computing.insert(ticket, id);
            let (function, inputs) = (task.function.clone(), task.inputs.clone());
            context.compute(ComputeTask { ticket, function, inputs });
        }
    }

    /// The pool has answered.
    pub fn computed(
        &mut self,
        context: &mut Context<'_>,
        blocks: &mut Blocks,
        ticket: Ticket,
        result: Result<TaskOutput, ComputeError>,
    ) {
        let Some(id) = self.computing.remove(&ticket) else { return };
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let is_wanted = !task.askers.is_empty();
        if let Ok(output) = &result {
            note_written(context, blocks, task, output);
        }
        match result {
            _ if !is_wanted => {
                self.tasks.remove(&id);
            }
            Ok(output @ TaskOutput::Counted { input_bytes, micros, .. }) => {
                self.note_speed(input_bytes, micros);
                self.finish(id, output);
            }
            Ok(TaskOutput::Reduced { summary, table }) => {
                let Some(job) = task.job() else { return };
                task.phase = Phase::Replicating(Replication::new(context, job, summary, table));
                self.replicate(context, id);
            }
            Err(ComputeError::InputMissing(name)) => {
                blocks.lost(context, name);
                task.refetches += 1;
                if task.refetches > limits::TASK_REFETCHES_MAX {
                    self.fail(context, blocks, id, TaskFailure::InputMissing(name));
                } else {
                    self.fetch_inputs(context, blocks, id);
                }
            }
            Err(ComputeError::Impossible(reason)) => {
                self.fail(context, blocks, id, TaskFailure::Impossible(reason));
            }
            Err(ComputeError::Unable(reason)) => self.fail(context, blocks, id, TaskFailure::Unable(reason)),
        }
        self.pump(context);
    }

    fn note_speed(&mut self, bytes: u64, micros: u64) {
        if micros == 0 {
            return;
        }
        let speed = bytes.saturating_mul(1_000_000) / micros;
        self.speed = if self.speed == 0 { speed } else { self.speed / 4 * 3 + speed / 4 };
    }

    fn finish(&mut self, id: u64, output: TaskOutput) {
        if let Some(task) = self.tasks.remove(&id) {
            self.answer(task, |attempt| TaskMessage::Finished { attempt, output: output.clone() });
        }
    }

    fn fail(&mut self, context: &mut Context<'_>, blocks: &mut Blocks, id: u64, failure: TaskFailure) {
        let Some(mut task) = self.tasks.remove(&id) else { return };
        self.release(context, blocks, task.take_missing());
        self.answer(task, |attempt| TaskMessage::Failed { attempt, failure: failure.clone() });
    }

    /// What a task waited for and no other does need not come any more.
    fn release(&self, context: &mut Context<'_>, blocks: &mut Blocks, mut missing: BTreeSet<BlockName>) {
        for task in self.tasks.values() {
            if let Phase::Fetching(needed) = &task.phase {
                missing.retain(|name| !needed.contains(name));
            }
        }
        blocks.release(context, &missing);
    }

    fn answer(&mut self, task: Task, message: impl Fn(Attempt) -> TaskMessage) {
        for (attempt, leader) in task.askers {
            self.outbox.push((leader, message(attempt)));
        }
    }

    /// What the pool has begun runs to its end, and its partial is kept: it may be asked for again.
    fn cancel(
        &mut self,
        context: &mut Context<'_>,
        blocks: &mut Blocks,
        which: impl Fn(&Attempt, NodeId) -> bool,
    ) {
        let mut missing = BTreeSet::new();
        self.tasks.retain(|_, task| {
            task.askers.retain(|(attempt, by)| !which(attempt, *by));
            let stays = !task.askers.is_empty() || matches!(task.phase, Phase::Computing);
            if !stays {
                missing.append(&mut task.take_missing());
            }
            stays
        });
        self.release(context, blocks, missing);
    }

    pub fn job_ended(&mut self, context: &mut Context<'_>, blocks: &mut Blocks, job: JobId) {
        self.cancel(context, blocks, |attempt, _| attempt.job == job);
    }

    /// What an earlier leader asked for, the present one asks for again if it wants it. What others asked for in its
    /// name, nobody wants.
    pub fn leader_changed(&mut self, context: &mut Context<'_>, blocks: &mut Blocks) {
        let (term, leader) = (context.term, context.leader);
        let is_false = |by| leader.is_some_and(|leader| leader != by);
        self.cancel(context, blocks, |attempt, by| {
            attempt.term < term || (attempt.term == term && is_false(by))
        });
        self.pump(context);
    }

    fn replicate(&mut self, context: &mut Context<'_>, id: u64) {
        let Some(Task { phase: Phase::Replicating(replication), .. }) = self.tasks.get_mut(&id) else {
            return;
        };
        replication.pump(context);
        if let Some(output) = replication.take_output() {
            self.finish(id, output);
        }
    }

    /// A member has answered to a request for a copy; of no interest unless it came from here.
    pub fn copy_answered(
        &mut self,
        context: &mut Context<'_>,
        from: NodeId,
        ticket: Ticket,
        result: &Result<(), BlockRefusal>,
    ) {
        let mut replications = self.replications();
        let asked = replications
            .find_map(|(id, replication)| replication.answered(from, ticket, result).then_some(id));
        drop(replications);
        if let Some(id) = asked {
            self.replicate(context, id);
        }
    }

    fn replications(&mut self) -> impl Iterator<Item = (u64, &mut Replication)> {
        self.tasks.iter_mut().filter_map(|(id, task)| match &mut task.phase {
            Phase::Replicating(replication) => Some((*id, replication)),
            _ => None,
        })
    }

    pub fn tick(&mut self, context: &mut Context<'_>) {
        let late: Vec<u64> = (self.replications())
            .filter_map(|(id, replication)| replication.expire(context).then_some(id))
            .collect();
        for id in late {
            self.replicate(context, id);
        }
    }

    pub fn deadline(&self) -> Option<Time> {
        let of_task = |task: &Task| match &task.phase {
            Phase::Replicating(replication) => replication.deadline(),
            _ => None,
        };
        self.tasks.values().filter_map(of_task).min()
    }
}

impl Task {
    /// Whose result it is part of; any of them, if it is part of several.
    fn job(&self) -> Option<JobId> {
        self.askers.first().map(|(attempt, _)| attempt.job)
    }

    fn take_missing(&mut self) -> BTreeSet<BlockName> {
        match &mut self.phase {
            Phase::Fetching(missing) => std::mem::take(missing),
            _ => BTreeSet::new(),
        }
    }
}

fn note_written(context: &Context<'_>, blocks: &mut Blocks, task: &Task, output: &TaskOutput) {
    match (&task.function, output) {
        (Function::Count { key, .. }, TaskOutput::Counted { partial_bytes, .. }) => {
            blocks.written(BlockName::Partial(*key), *partial_bytes, context.now);
        }
        (_, TaskOutput::Reduced { table, .. }) => {
            for block in table {
                let name = BlockName::of_ref(block);
                blocks.written(name, block.bytes.into(), context.now);
                for (attempt, _) in &task.askers {
                    blocks.claim(context, name, Manifest::Table(attempt.job));
                }
            }
        }
        _ => {}
    }
}
