//! How long to wait before the next attempt: twice as long every time, and never all nodes at once.

use shared::limits;
use shared::rng::{Rng, Seed};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Pace {
    rng: Rng,
    pause: Duration,
}

impl Pace {
    pub fn new(seed: Seed) -> Pace {
        Pace { rng: Rng::new(seed), pause: limits::RECONNECT_PAUSE_MIN }
    }

    /// After a success.
    pub fn restart(&mut self) {
        self.pause = limits::RECONNECT_PAUSE_MIN;
    }

    /// Between half the present pause and the whole of it.
    pub fn next(&mut self) -> Duration {
        let pause = self.rng.between(self.pause / 2, self.pause);
        self.pause = (self.pause * 2).min(limits::RECONNECT_PAUSE_MAX);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit_and_begin_anew_after_a_success() {
        let mut pace = Pace::new([1; 32]);
        let pauses: Vec<Duration> = (0..12).map(|_| pace.next()).collect();
        assert!(pauses[0] >= limits::RECONNECT_PAUSE_MIN / 2 && pauses[0] <= limits::RECONNECT_PAUSE_MIN);
        assert!(pauses[11] >= limits::RECONNECT_PAUSE_MAX / 2);
        assert!(pauses.iter().all(|pause| *pause <= limits::RECONNECT_PAUSE_MAX));
        pace.restart();
        assert!(pace.next() <= limits::RECONNECT_PAUSE_MIN);
    }

    #[test]
    fn two_nodes_do_not_come_back_in_step() {
        assert_ne!(Pace::new([1; 32]).next(), Pace::new([2; 32]).next());
    }
}
