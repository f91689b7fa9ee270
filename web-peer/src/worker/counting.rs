//! The pool of counting workers. The first is started with the node, others when there is work for them, and again when
//! they crash.

use super::blocks::{Blocks, Work};
use super::clock::scope;
use super::signal::{Signal, Signals};
use super::storage::text_of;
use crate::bridge::{Attachment, READY, from_value, post, post_with};
use crate::counter::{FromCounter, ToCounter};
use bytes::Bytes;
use js_sys::Uint8Array;
use shared::node::{BlockError, BlockName, ComputeError, ComputeTask, TaskOutput};
use shared::wire::peer::Ticket;
use std::collections::VecDeque;
use wasm_bindgen::prelude::*;
use web_sys::{Event, MessageEvent, Worker};

/// Where trunk puts the script that loads a counting worker.
const COUNTER_SCRIPT: &str = "/counter_loader.js";

const COUNTERS_MAX: u16 = 16;

/// After so many counters that did not become ready, tasks fail until the next one comes: the relay may be back by then, from
/// which the script is loaded.
const STARTS_MAX: u32 = 3;

/// News of a counter; what comes late from one that is gone is ignored.
pub struct CounterSignal {
    counter: CounterId,
    what: CounterEvent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CounterId(u64);

enum CounterEvent {
    Message(JsValue),
    Broken(String),
}

pub struct Pool {
    size: u16,
    signals: Signals,
    counters: Vec<Counter>,
    waiting: VecDeque<ComputeTask>,
    starts: u64,
    /// In a row, without one that became ready.
    failed_starts: u32,
}

struct Counter {
    id: CounterId,
    worker: Worker,
    state: State,
    _listeners: [Closure<dyn FnMut(JsValue)>; 2],
}

enum State {
    Starting,
    Idle,
    /// `inputs_missing` have not been brought to it yet; at zero it runs.
    Busy {
        task: ComputeTask,
        inputs_missing: usize,
    },
}

/// One core stays with the page and the node; a machine of one core counts as well.
pub fn pool_size() -> u16 {
    let cores = scope().navigator().hardware_concurrency() as u16;
    cores.saturating_sub(1).clamp(1, COUNTERS_MAX)
}

impl Pool {
    pub fn new(size: u16, signals: Signals) -> Pool {
        let waiting = VecDeque::new();
        let mut pool = Pool { size, signals, counters: Vec::new(), waiting, starts: 0, failed_starts: 0 };
        // While the relay is surely there, which has the script.
        pool.start();
        pool
    }

    pub fn add(&mut self, task: ComputeTask, blocks: &mut Blocks) {
        self.waiting.push_back(task);
        self.failed_starts = 0;
        self.assign(blocks);
    }

    /// An input was read.
    pub fn bring(
        &mut self,
        ticket: Ticket,
        name: BlockName,
        read: Result<Bytes, BlockError>,
        blocks: &mut Blocks,
    ) {
        // None: the task has failed for another input, or with its counter.
        let Some(counter) = self.counters.iter_mut().find(|counter| counter.ticket() == Some(ticket)) else {
            return;
        };
        match read {
            Ok(bytes) => counter.bring(name, &bytes),
            Err(error) => {
                let error = match error {
                    BlockError::Missing | BlockError::Damaged => ComputeError::InputMissing(name),
                    BlockError::Full | BlockError::Failed(_) => ComputeError::Unable(error.to_string()),
                };
                counter.tell(&ToCounter::Forget);
                counter.state = State::Idle;
                blocks.add(Work::Computed { ticket, result: Err(error) });
                self.assign(blocks);
            }
        }
    }

    pub fn take(&mut self, signal: CounterSignal, blocks: &mut Blocks) {
        let CounterSignal { counter: id, what } = signal;
        let Some(counter) = self.counters.iter_mut().find(|counter| counter.id == id) else { return };
        match what {
            CounterEvent::Message(data) if data.as_string().as_deref() == Some(READY) => {
                counter.state = State::Idle;
                self.failed_starts = 0;
            }
            CounterEvent::Message(data) => match from_value(&data) {
                Ok((FromCounter::Output { ticket, name }, Attachment::Bytes(bytes))) => {
                    blocks.add(Work::Store { ticket, name, bytes: bytes.to_vec().into() });
                }
                Ok((FromCounter::Done { ticket, result }, _)) => {
                    counter.state = State::Idle;
                    blocks.add(Work::Computed { ticket, result });
                }
                Ok((FromCounter::Crashed { message }, _)) => self.lose(id, &message, blocks),
                Ok((FromCounter::Output { .. }, _)) => {
                    self.lose(id, "an output came without its bytes", blocks)
                }
                Err(error) => self.lose(id, &error.to_string(), blocks),
            },
            CounterEvent::Broken(message) => self.lose(id, &message, blocks),
        }
        self.assign(blocks);
    }

    /// Gives waiting tasks to idle counters, and starts counters as long as tasks wait for one.
    fn assign(&mut self, blocks: &mut Blocks) {
        let idle = self.counters.iter_mut().filter(|counter| matches!(counter.state, State::Idle));
        for counter in idle {
            let Some(task) = self.waiting.pop_front() else { return };
            for &name in &task.inputs {
                blocks.add(Work::Load { ticket: task.ticket, name });
            }
            counter.begin(task);
        }
        let starting =
            self.counters.iter().filter(|counter| matches!(counter.state, State::Starting)).count();
        for _ in starting..self.waiting.len() {
            if self.counters.len() < usize::from(self.size) && self.failed_starts < STARTS_MAX {
                self.start();
            }
        }
        if self.counters.is_empty() {
            for task in self.waiting.drain(..) {
                let error = ComputeError::Unable("this browser starts no counting workers".to_owned());
                blocks.add(Work::Computed { ticket: task.ticket, result: Err(error) });
            }
        }
    }

    /// A counter is gone, and with it what it counted.
    fn lose(&mut self, id: CounterId, message: &str, blocks: &mut Blocks) {
        let Some(place) = self.counters.iter().position(|counter| counter.id == id) else { return };
        let counter = self.counters.remove(place);
        match &counter.state {
            State::Starting => self.failed_starts += 1,
            State::Idle => {}
            State::Busy { task, .. } => {
                let result: Result<TaskOutput, ComputeError> =
                    Err(ComputeError::Unable(format!("the counting worker crashed: {message}")));
                blocks.add(Work::Computed { ticket: task.ticket, result });
            }
        }
    }

    fn start(&mut self) {
        self.starts += 1;
        match Counter::start(CounterId(self.starts), &self.signals) {
            Ok(counter) => self.counters.push(counter),
            Err(_) => self.failed_starts += 1,
        }
    }
}

impl Counter {
    fn start(id: CounterId, signals: &Signals) -> Result<Counter, JsValue> {
        let worker = Worker::new(COUNTER_SCRIPT)?;
        let tell = {
            let signals = signals.clone();
            move |what| signals.send(Signal::Counter(CounterSignal { counter: id, what }))
        };
        let on_error = {
            let tell = tell.clone();
            Closure::new(move |event: JsValue| {
                // Else the error goes on to this worker's own parent, as if the node had failed.
                if let Some(event) = event.dyn_ref::<Event>() {
                    event.prevent_default();
                }
                tell(CounterEvent::Broken(text_of(&event)));
            })
        };
        let on_message = Closure::new(move |event: JsValue| {
            tell(CounterEvent::Message(event.unchecked_into::<MessageEvent>().data()));
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Ok(Counter { id, worker, state: State::Starting, _listeners: [on_message, on_error] })
    }

    fn ticket(&self) -> Option<Ticket> {
        match &self.state {
            State::Busy { task, .. } => Some(task.ticket),
            State::Starting | State::Idle => None,
        }
    }

    fn begin(&mut self, task: ComputeTask) {
        self.state = State::Busy { inputs_missing: task.inputs.len(), task };
        self.run_if_complete();
    }

    fn bring(&mut self, name: BlockName, bytes: &Bytes) {
        let attached = Attachment::Bytes(Uint8Array::from(bytes.as_ref()));
        let _torn_down = post_with(&self.worker, &ToCounter::Input { name }, attached);
        if let State::Busy { inputs_missing, .. } = &mut self.state {
            *inputs_missing = inputs_missing.saturating_sub(1);
        }
        self.run_if_complete();
    }

    fn run_if_complete(&self) {
        if let State::Busy { task, inputs_missing: 0 } = &self.state {
            let ComputeTask { ticket, function, inputs } = task.clone();
            self.tell(&ToCounter::Run { ticket, function, inputs });
        }
    }

    fn tell(&self, message: &ToCounter) {
        let _torn_down = post(&self.worker, message);
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.worker.set_onmessage(None);
        self.worker.set_onerror(None);
        self.worker.terminate();
    }
}
