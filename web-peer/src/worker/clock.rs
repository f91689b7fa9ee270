//! Time for the node, and turns for everybody else.

use gloo_timers::callback::Timeout;
use shared::node::Deadline;
use shared::time::{Duration, Time};
use wasm_bindgen::prelude::*;
use web_sys::{MessageChannel, Performance, WorkerGlobalScope};

/// The worker's global scope.
pub fn scope() -> WorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Reads the wall clock once, when the worker starts, and a monotonic clock from then on.
#[derive(Debug)]
pub struct Clock {
    performance: Performance,
    origin_millis: f64,
}

impl Clock {
    /// `None` where there is no `performance`; every browser that runs Wasm in workers has it.
    pub fn start() -> Option<Clock> {
        let performance = scope().performance()?;
        let origin_millis = performance.time_origin();
        Some(Clock { performance, origin_millis })
    }

    pub fn now(&self) -> Time {
        Time::from_micros(((self.origin_millis + self.performance.now()) * 1000.0) as u64)
    }
}

/// The timer behind `Ready::deadline`. Heartbeats push the deadline out far more often than it passes, so a timer that is
/// set already and rings too early is left alone: early deadlines do no harm.
#[derive(Default)]
pub struct Alarm(Option<(Time, Timeout)>);

impl Alarm {
    pub fn set(&mut self, deadline: Option<Deadline>, now: Time, ring: impl FnOnce() + 'static) {
        match (deadline, &self.0) {
            (None, _) => self.0 = None,
            (Some(deadline), Some((at, _))) if *at <= deadline.at => {}
            (Some(deadline), _) => self.0 = Some((deadline.at, after(deadline.at.since(now), ring))),
        }
    }

    /// It rang: it has to be set anew.
    pub fn rang(&mut self) {
        self.0 = None;
    }
}

/// Calls back once after a while, unless the timer is dropped before.
pub fn after(delay: Duration, call: impl FnOnce() + 'static) -> Timeout {
    // A timer counts whole milliseconds and must not ring before its time.
    let millis = delay.as_micros().div_ceil(1000);
    Timeout::new(u32::try_from(millis).unwrap_or(u32::MAX), call)
}

/// Calls back once the event loop has been round: everything that waited in front, sockets above all, goes first.
///
/// A timer of zero would do, were it not for the 4 ms that browsers add to nested ones.
pub struct Turns {
    channel: MessageChannel,
    _listener: Closure<dyn FnMut()>,
    requested: bool,
}

impl Turns {
    pub fn new(call: impl FnMut() + 'static) -> Result<Turns, JsValue> {
        let channel = MessageChannel::new()?;
        let listener = Closure::new(call);
        channel.port1().set_onmessage(Some(listener.as_ref().unchecked_ref()));
        Ok(Turns { channel, _listener: listener, requested: false })
    }

    /// Asks for one turn; asking again before it came changes nothing.
    pub fn request(&mut self) {
        if !self.requested {
            self.requested = self.channel.port2().post_message(&JsValue::NULL).is_ok();
        }
    }

    pub fn is_awaited(&self) -> bool {
        self.requested
    }

    pub fn came(&mut self) {
        self.requested = false;
    }
}
