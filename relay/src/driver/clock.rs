//! Time for a node: the wall clock once, a monotonic clock since then.

use shared::time::Time;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    started_at: Time,
    started: Instant,
}

impl Clock {
    pub fn start() -> Clock {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { started_at: Time::ZERO + since_epoch, started: Instant::now() }
    }

    pub fn now(&self) -> Time {
        self.started_at + self.started.elapsed()
    }

    /// When the monotonic clock shows `time`.
    pub fn instant_of(&self, time: Time) -> tokio::time::Instant {
        (self.started + time.since(self.started_at)).into()
    }
}
