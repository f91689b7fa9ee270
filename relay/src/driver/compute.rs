//! The pool of counting threads, shared by the nodes of a process.

use super::clock::Clock;
use super::runner::Completion;
use super::storage::BlockAccess;
use bytes::Bytes;
use shared::node::compute::{self, Blocks};
use shared::node::{BlockError, BlockName, ComputeError, ComputeTask, Input};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use tokio::sync::mpsc::UnboundedSender;

/// Below the threads that run Raft and answer clients: heartbeats stay on time while every core counts.
#[cfg(target_os = "linux")]
const NICE_STEPS: i32 = 10;

/// Threads that run tasks in the order in which they come. They end with the pool.
#[derive(Debug)]
pub struct ComputePool {
    tasks: Sender<Job>,
    threads: usize,
}

struct Job {
    task: ComputeTask,
    blocks: BlockAccess,
    completions: UnboundedSender<Completion>,
}

impl ComputePool {
    pub fn new(threads: usize) -> io::Result<ComputePool> {
        let (tasks, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        for number in 1..=threads {
            let queue = queue.clone();
            thread::Builder::new().name(format!("count {number}")).spawn(move || work(&queue))?;
        }
        Ok(ComputePool { tasks, threads })
    }

    pub fn threads(&self) -> usize {
        self.threads
    }

    pub(super) fn submit(
        &self,
        task: ComputeTask,
        blocks: BlockAccess,
        completions: UnboundedSender<Completion>,
    ) {
        let job = Job { task, blocks, completions };
        if let Err(unsent) = self.tasks.send(job) {
            let Job { task, completions, .. } = unsent.0;
            let failure = ComputeError::Unable("the counting threads are gone".to_owned());
            let _ = completions
                .send(Completion::Input(Input::Computed { ticket: task.ticket, result: Err(failure) }));
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE_STEPS) {
        tracing::debug!(%error, "counting threads keep the usual priority");
    }
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            // A node that has stopped wants no answers.
            Ok(job) if job.completions.is_closed() => {}
            Ok(job) => run(job),
            Err(_) => return,
        }
    }
}

fn run(Job { task, mut blocks, completions }: Job) {
    let clock = Clock::start();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        compute::run(&task.function, &task.inputs, &mut blocks, &|| clock.now())
    }));
    let result = outcome.unwrap_or_else(|_| Err(ComputeError::Unable("the task panicked".to_owned())));
    let _ = completions.send(Completion::Input(Input::Computed { ticket: task.ticket, result }));
}

impl Blocks for BlockAccess {
    fn read(&mut self, name: BlockName) -> Result<Bytes, ComputeError> {
        match self.get(name, 0, u32::MAX) {
            Ok((bytes, _)) => Ok(bytes),
            Err(BlockError::Missing | BlockError::Damaged) => Err(ComputeError::InputMissing(name)),
            Err(error) => Err(ComputeError::Unable(error.to_string())),
        }
    }

    fn write(&mut self, name: BlockName, bytes: Bytes) -> Result<(), ComputeError> {
        let (answer, stored) = channel();
        self.put(name, bytes, move |result| {
            let _ = answer.send(result);
        });
        match stored.recv() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(ComputeError::Unable(error.to_string())),
            Err(_) => Err(ComputeError::Unable("the node is stopping".to_owned())),
        }
    }
}
