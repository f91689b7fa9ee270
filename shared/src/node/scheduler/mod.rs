//! As the leader: has the members do the tasks of all running jobs, whatever happens to them, and commits what comes out.
//!
//! Nothing here is replicated. A new leader starts from the jobs in the log; the partials that members kept make it
//! cheap. The result depends on none of the choices made here.

mod assignment;
mod run;
pub(in crate::node) mod tasks;
#[cfg(test)]
mod tests;

use super::api::{Event, Happening, What};
use super::blocks::holdings::HolderMap;
use super::blocks::placement;
use super::compute::{Function, TaskOutput};
use super::config::Mutation;
use super::context::Context;
use super::contract::BlockName;
use crate::ids::{JobId, NodeId};
use crate::limits;
use crate::state_machine::{BlockRef, Command, JobResult, JobState, Stamped, WorkerShare};
use crate::time::{Duration, Time};
use crate::wire::peer::{Attempt, JobProgress, Manifest, TaskFailure, TaskMessage};
use crate::wire::session::Kind;
use crate::words::Summary;
use assignment::{Hand, Hands};
use run::Run;
use std::collections::BTreeMap;

/// How often slow tasks are looked for.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// A task that failed waits so long, times its failures, before its next attempt.
const FAILURE_DELAY: Duration = Duration::from_millis(200);
const FAILURE_DELAY_MAX: Duration = Duration::from_secs(5);

/// A result that the log has not taken in for so long is handed to it again.
const COMMIT_PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Scheduler {
    runs: BTreeMap<JobId, Run>,
    /// Whose turn it is next.
    turn: Option<JobId>,
    outbox: Vec<(NodeId, TaskMessage)>,
    watch_at: Option<Time>,
    /// Something happened that may let work be given out.
    stirred: bool,
}

impl Scheduler {
    pub fn take_outbox(&mut self) -> Vec<(NodeId, TaskMessage)> {
        std::mem::take(&mut self.outbox)
    }

    /// A member came, or told what it holds.
    pub fn stir(&mut self) {
        self.stirred = true;
    }

    /// All running jobs of the state are this node's to see to.
    pub fn start(&mut self, context: &mut Context<'_>) {
        let running = context.state.jobs.values().filter(|job| job.state == JobState::Running);
        for id in running.map(|job| job.id).collect::<Vec<_>>() {
            self.add(context, id);
        }
    }

    pub fn add(&mut self, context: &mut Context<'_>, id: JobId) {
        let Some(job) = context.state.jobs.get(&id).filter(|job| job.state == JobState::Running) else {
            return;
        };
        match tasks::cut(context.state, job, context.config.task_bytes) {
            Ok(cut) => {
                self.runs.entry(id).or_insert_with(|| Run::new(job.clone(), cut));
            }
            Err(error) => context.submit(Command::FailJob { id, reason: error.to_string() }, None),
        }
        self.stirred = true;
    }

    /// The job is done, has failed or was cancelled. Its workers see that in the log too.
    pub fn job_ended(&mut self, id: JobId) {
        self.stirred |= self.runs.remove(&id).is_some();
    }

    /// Gives out work as far as there are hands for it.
    pub fn assign(&mut self, context: &mut Context<'_>, map: &HolderMap) {
        if !std::mem::take(&mut self.stirred) || self.runs.is_empty() {
            return;
        }
        let mut hands = self.hands(context);
        self.reduce_and_commit(context, &hands);
        loop {
            let first = self.turn.unwrap_or(JobId::from_bytes([0; 10]));
            let ids: Vec<JobId> =
                self.runs.range(first..).chain(self.runs.range(..first)).map(|(id, _)| *id).collect();
            let mut is_over = true;
            for id in ids {
                if !hands.values().any(|hand| hand.room() > 0) {
                    self.turn = Some(id);
                    return;
                }
                let Some(run) = self.runs.get(&id) else { continue };
                if let Some((task, node)) = assignment::choose(run, map, &hands, context.now) {
                    self.give(context, map, id, task, node);
                    if let Some(hand) = hands.get_mut(&node) {
                        hand.load += 1;
                    }
                    is_over = false;
                }
            }
            if is_over {
                return;
            }
        }
    }

    fn hands(&self, context: &Context<'_>) -> Hands {
        let threads = |node: NodeId| match node == context.me {
            true => context.profile.threads,
            false => context.peers.get(&node).map_or(1, |profile| profile.threads),
        };
        let mut hands: Hands = (placement::places(context).into_iter())
            .map(|place| {
                let threads = u32::from(threads(place.node).clamp(1, limits::WORKER_THREADS_MAX));
                (place.node, Hand { rank: place.rank, threads, load: 0, stuck: false })
            })
            .collect();
        for run in self.runs.values() {
            for running in run.running.values() {
                if let Some(hand) = hands.get_mut(&running.node) {
                    hand.load += 1;
                    hand.stuck |= context.now.since(running.since) >= run.patience(running.task);
                }
            }
        }
        hands
    }

    fn reduce_and_commit(&mut self, context: &mut Context<'_>, hands: &Hands) {
        let ready: Vec<JobId> = (self.runs.values())
            .filter(|run| run.is_counted() && !run.is_reducing() && run.committing.is_none())
            .filter(|run| run.states[run.reduce_task() as usize].not_before <= context.now)
            .map(|run| run.job.id)
            .collect();
        for id in ready {
            let Some(run) = self.runs.get(&id) else { continue };
            if let Some(node) = assignment::reducer(run, hands) {
                self.give_reduce(context, id, node);
            }
        }
    }

    fn give(&mut self, context: &Context<'_>, map: &HolderMap, id: JobId, task: u32, node: NodeId) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let Some(slice) = run.slice(task) else { return };
        let function = Function::Count { mode: run.job.options.mode, key: slice.key };
        let inputs = slice.inputs();
        let manifest = Manifest::Document(slice.document);
        let sources = (slice.first..slice.first + inputs.len() as u32)
            .map(|index| {
                let others = map.holders(manifest, index).filter(|holder| *holder != node);
                others.filter(|holder| context.is_online(*holder)).collect()
            })
            .collect();
        let attempt = start(run, context, task, node);
        self.order(context, node, TaskMessage::Assign { attempt, function, inputs, sources });
    }

    fn give_reduce(&mut self, context: &Context<'_>, id: JobId, node: NodeId) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let function = Function::Reduce { options: run.job.options, documents: run.cut.documents.clone() };
        let inputs: Vec<BlockName> = run.cut.slices.iter().map(tasks::Slice::partial).collect();
        let sources = (run.states.iter().take(inputs.len()))
            .map(|state| state.holders.iter().copied().filter(|holder| *holder != node).collect())
            .collect();
        let attempt = start(run, context, run.reduce_task(), node);
        self.order(context, node, TaskMessage::Assign { attempt, function, inputs, sources });
    }

    fn order(&mut self, context: &Context<'_>, node: NodeId, message: TaskMessage) {
        self.outbox.push((node, message));
        self.watch_at.get_or_insert(context.now + WATCH_INTERVAL);
    }

    pub fn message(&mut self, context: &mut Context<'_>, from: NodeId, message: TaskMessage) {
        match message {
            TaskMessage::Finished { attempt, output } if attempt.term == context.term => {
                self.finished(context, from, attempt, output);
            }
            TaskMessage::Failed { attempt, failure } if attempt.term == context.term => {
                self.failed(context, from, attempt, failure);
            }
            _ => {}
        }
    }

    fn finished(&mut self, context: &mut Context<'_>, from: NodeId, attempt: Attempt, output: TaskOutput) {
        let Some(run) = self.runs.get_mut(&attempt.job) else { return };
        self.stirred = true;
        match output {
            TaskOutput::Counted { input_bytes, .. } => {
                let Some(slice) = run.slice(attempt.task) else { return };
                if input_bytes != slice.bytes || !context.is_online(from) {
                    let failure = TaskFailure::Unable("the answer is about other bytes".to_owned());
                    return self.failed(context, from, attempt, failure);
                }
                let needless = run.counted(attempt.task, from, share_of(context, from), context.now);
                for (number, node) in needless {
                    self.outbox.push((node, TaskMessage::Cancel { attempt: Attempt { number, ..attempt } }));
                }
            }
            TaskOutput::Reduced { summary, table } => {
                if attempt.task != run.reduce_task() || run.committing.is_some() {
                    return;
                }
                if summary.totals.bytes != run.bytes {
                    let failure = TaskFailure::Unable("the result is about other bytes".to_owned());
                    return self.failed(context, from, attempt, failure);
                }
                for (number, running) in run.end_attempts(attempt.task) {
                    if running.node != from {
                        let attempt = Attempt { number, ..attempt };
                        self.outbox.push((running.node, TaskMessage::Cancel { attempt }));
                    }
                }
                self.commit(context, attempt.job, *summary, table);
            }
        }
    }

    fn commit(&mut self, context: &mut Context<'_>, id: JobId, summary: Summary, table: Vec<BlockRef>) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let at = context.clock.stamp(context.now);
        let micros = at.since(run.job.submitted_at).as_micros() as u64;
        let result = Box::new(JobResult { summary, table, workers: run.shares(), micros });
        let command = Command::FinishJob { id, result };
        let stamped = Stamped { at, by: context.me, command };
        let command = match stamped.encode().len() {
            fits if fits <= limits::COMMAND_BYTES_MAX => stamped.command,
            _ => Command::FailJob {
                id,
                reason: "the result is too large for the log: ask for fewer top words".into(),
            },
        };
        self.end(context, id, command);
    }

    /// The last thing that this leader does about a job, until the log says that it was done.
    fn end(&mut self, context: &mut Context<'_>, id: JobId, command: Command) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        run.committing = Some((context.now, command.clone()));
        run.waiting.clear();
        self.watch_at.get_or_insert(context.now + WATCH_INTERVAL);
        self.stirred = true;
        context.submit(command, None);
    }

    fn failed(&mut self, context: &mut Context<'_>, from: NodeId, attempt: Attempt, failure: TaskFailure) {
        let Some(run) = self.runs.get_mut(&attempt.job) else { return };
        if run.running.get(&attempt.number).is_none_or(|at| at.node != from || at.task != attempt.task) {
            return;
        }
        if context.config.broken(Mutation::NoReassignment) {
            return;
        }
        self.stirred = true;
        run.take_back(attempt.number);
        let reason = match failure {
            TaskFailure::Impossible(reason) => {
                return self.end(context, attempt.job, Command::FailJob { id: attempt.job, reason });
            }
            TaskFailure::Unable(reason) => reason,
            TaskFailure::InputMissing(name) => {
                if let Some(task) = run.task_of_partial(name) {
                    run.lose_holder(task, None);
                }
                "a part of the text is with no member that is online".to_owned()
            }
        };
        let state = &mut run.states[attempt.task as usize];
        state.failures += 1;
        state.avoid = Some(from);
        state.not_before = context.now + (FAILURE_DELAY * state.failures).min(FAILURE_DELAY_MAX);
        self.watch_at.get_or_insert(context.now + FAILURE_DELAY);
        if state.failures > limits::TASK_FAILURES_MAX {
            self.end(context, attempt.job, Command::FailJob { id: attempt.job, reason });
        }
    }

    /// What this member was at, others do; what only it had done, they do again.
    pub fn peer_left(&mut self, context: &mut Context<'_>, node: NodeId) {
        if context.config.broken(Mutation::NoReassignment) {
            return;
        }
        for run in self.runs.values_mut() {
            let lost: Vec<u32> = (run.running.iter())
                .filter(|(_, running)| running.node == node)
                .map(|(number, _)| *number)
                .collect();
            let mut tasks = lost.into_iter().filter_map(|number| run.take_back(number)).count() as u32;
            if run.committing.is_none() {
                tasks +=
                    (0..run.reduce_task()).filter(|task| run.lose_holder(*task, Some(node))).count() as u32;
            }
            if tasks > 0 {
                run.reassigned += tasks;
                self.stirred = true;
                let what = What::TasksReassigned { job: run.job.id, node, tasks };
                context.event(Event::Happened(Happening { at: context.now, what }));
            }
        }
    }

    /// Looks for what takes too long: somebody idle has a try at it as well, and who does not answer at all loses it.
    pub fn tick(&mut self, context: &mut Context<'_>, map: &HolderMap) {
        if self.watch_at.is_none_or(|at| context.now < at) {
            return;
        }
        self.watch_at = (!self.runs.is_empty()).then_some(context.now + WATCH_INTERVAL);
        self.stirred = true;
        if context.config.broken(Mutation::NoReassignment) {
            return;
        }
        let hands = self.hands(context);
        let mut seconds = Vec::new();
        for run in self.runs.values_mut() {
            if let Some((at, command)) = &mut run.committing {
                if context.now.since(*at) >= COMMIT_PATIENCE {
                    *at = context.now;
                    context.submit(command.clone(), None);
                }
                continue;
            }
            let slow: Vec<(u32, run::Running)> = (run.running.iter())
                .filter(|(_, at)| context.now.since(at.since) >= run.patience(at.task))
                .map(|(number, at)| (*number, *at))
                .collect();
            for (number, at) in slow {
                let is_alone = run.running.values().filter(|other| other.task == at.task).count() == 1;
                if context.now.since(at.since) >= run.patience(at.task) * 3 {
                    run.take_back(number);
                    run.states[at.task as usize].failures += 1;
                    run.states[at.task as usize].avoid = Some(at.node);
                    run.reassigned += 1;
                    self.stirred = true;
                } else if is_alone {
                    seconds.push((run.job.id, at.task));
                }
            }
        }
        for (id, task) in seconds {
            let Some(run) = self.runs.get(&id) else { continue };
            if task == run.reduce_task() {
                if let Some(node) = assignment::reducer(run, &hands) {
                    self.give_reduce(context, id, node);
                }
            } else if let Some(node) = assignment::second(run, map, &hands, task) {
                self.give(context, map, id, task, node);
            }
        }
    }

    pub fn deadline(&self) -> Option<Time> {
        self.watch_at
    }

    /// All running jobs.
    pub fn progress(&self) -> Vec<JobProgress> {
        self.runs.values().map(Run::progress).collect()
    }
}

fn start(run: &mut Run, context: &Context<'_>, task: u32, node: NodeId) -> Attempt {
    let number = run.start(task, node, context.now);
    Attempt { job: run.job.id, task, number, term: context.term }
}

fn share_of(context: &Context<'_>, node: NodeId) -> WorkerShare {
    let profile = if node == context.me { Some(context.profile) } else { context.peers.get(&node) };
    WorkerShare {
        node,
        name: profile.map(|profile| profile.name.clone()).unwrap_or_default(),
        kind: profile.map_or(Kind::Server, |profile| profile.kind),
        bytes: 0,
        tasks: 0,
    }
}
