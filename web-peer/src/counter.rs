//! A counting worker: runs one task at a time, over inputs that were brought to it, and hands back what comes out.

use crate::bridge::{Attachment, READY, from_value, post, post_with};
use bytes::Bytes;
use js_sys::Uint8Array;
use serde::{Deserialize, Serialize};
use shared::node::compute::{self, Blocks, Function, TaskOutput};
use shared::node::{BlockName, ComputeError};
use shared::time::Time;
use shared::wire::peer::Ticket;
use std::cell::RefCell;
use std::collections::BTreeMap;
use wasm_bindgen::prelude::*;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToCounter {
    /// A block comes with this message, for the task that follows.
    Input {
        name: BlockName,
    },
    Run {
        ticket: Ticket,
        function: Function,
        inputs: Vec<BlockName>,
    },
    /// The inputs so far were for a task that will not follow.
    Forget,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromCounter {
    /// A block to be stored comes with this message.
    Output {
        ticket: Ticket,
        name: BlockName,
    },
    Done {
        ticket: Ticket,
        result: Result<TaskOutput, ComputeError>,
    },
    Crashed {
        message: String,
    },
}

/// Starts listening. Never returns the memory it listens with: it lives as long as its worker.
pub fn run() {
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    let target = scope.clone();
    crate::failure::report_panics(move |message| {
        let _torn_down = post(&target, &FromCounter::Crashed { message });
    });
    let desk = RefCell::new(Desk { scope: scope.clone(), inputs: BTreeMap::new() });
    let on_message =
        Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| match from_value(&event.data()) {
            Ok((message, attachment)) => desk.borrow_mut().take(message, attachment),
            Err(error) => {
                let message = format!("a counting worker does not understand its node: {error}");
                let _torn_down = post(&desk.borrow().scope, &FromCounter::Crashed { message });
            }
        });
    scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    on_message.forget();
    let _torn_down = scope.post_message(&READY.into());
}

struct Desk {
    scope: DedicatedWorkerGlobalScope,
    /// Outside of this worker's Wasm memory, which never shrinks, until they are read.
    inputs: BTreeMap<BlockName, Uint8Array>,
}

impl Desk {
    fn take(&mut self, message: ToCounter, attachment: Attachment) {
        match (message, attachment) {
            (ToCounter::Input { name }, Attachment::Bytes(bytes)) => {
                self.inputs.insert(name, bytes);
            }
            (ToCounter::Run { ticket, function, inputs }, _) => {
                let mut blocks = DeskBlocks { ticket, desk: self };
                let result = compute::run(&function, &inputs, &mut blocks, &monotonic);
                self.inputs.clear();
                let _torn_down = post(&self.scope, &FromCounter::Done { ticket, result });
            }
            // An input without its bytes is missed when the task asks for it.
            (ToCounter::Forget | ToCounter::Input { .. }, _) => self.inputs.clear(),
        }
    }
}

struct DeskBlocks<'a> {
    ticket: Ticket,
    desk: &'a Desk,
}

impl Blocks for DeskBlocks<'_> {
    fn read(&mut self, name: BlockName) -> Result<Bytes, ComputeError> {
        let bytes = self.desk.inputs.get(&name).ok_or(ComputeError::InputMissing(name))?;
        Ok(bytes.to_vec().into())
    }

    fn write(&mut self, name: BlockName, bytes: Bytes) -> Result<(), ComputeError> {
        let output = FromCounter::Output { ticket: self.ticket, name };
        let attached = Attachment::Bytes(Uint8Array::from(bytes.as_ref()));
        post_with(&self.desk.scope, &output, attached)
            .map_err(|_| ComputeError::Unable("the worker is being torn down".to_owned()))
    }
}

/// Differences of this are durations, which is all that a task asks of it.
fn monotonic() -> Time {
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    scope
        .performance()
        .map_or(Time::ZERO, |performance| Time::from_micros((performance.now() * 1000.0) as u64))
}
