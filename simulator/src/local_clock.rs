//! Clocks that are wrong, go wrong, and go at different rates.
//!
//! A driver reads the wall clock once when it starts and counts on from there, so a step of the wall clock shows in the
//! next process, which may well begin before the last one ended. A machine that sleeps stops both.

use shared::rng::Rng;
use shared::time::{Duration, Time};

/// Leases rely on rates that differ by less than a tenth.
const DRIFT_PPM_MAX: u64 = 45_000;
const MILLION: u64 = 1_000_000;

/// How wrong clocks may be in a run.
#[derive(Clone, Copy, Debug)]
pub struct Clockwork {
    skew_max: Duration,
    drift_ppm_max: u64,
    /// How far clocks have been behind because of sleep, at most.
    slept: Duration,
}

/// A member's wall clock.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    ahead: Duration,
    behind: Duration,
    /// So many of its seconds pass in a million.
    rate: u64,
}

/// What a process goes by.
#[derive(Clone, Copy, Debug)]
pub struct ProcessClock {
    started_at: Time,
    showed: Time,
    rate: u64,
}

impl Clockwork {
    pub fn draw(rng: &mut Rng) -> Clockwork {
        let skew_max = [0, 0, 1, 1_200][rng.below(4) as usize];
        let drift_ppm_max = [0, DRIFT_PPM_MAX][rng.below(2) as usize];
        Clockwork { skew_max: Duration::from_secs(skew_max), drift_ppm_max, slept: Duration::ZERO }
    }

    pub fn clock(&self, rng: &mut Rng) -> WallClock {
        let rate = MILLION - self.drift_ppm_max + rng.below(2 * self.drift_ppm_max + 1);
        let mut clock = WallClock { ahead: Duration::ZERO, behind: Duration::ZERO, rate };
        self.step(&mut clock, rng);
        clock
    }

    /// Somebody, or the network's time, sets it.
    pub fn step(&self, clock: &mut WallClock, rng: &mut Rng) {
        let by = rng.between(Duration::ZERO, self.skew_max);
        let zero = Duration::ZERO;
        (clock.ahead, clock.behind) = if rng.below(2) == 0 { (by, zero) } else { (zero, by) };
    }

    pub fn slept(&mut self, time: Duration) {
        self.slept += time;
    }

    /// How far two clocks may be apart when the run has lasted for so long.
    pub fn apart(&self, lasted: Duration) -> Duration {
        let drift = lasted.as_micros() as u64 * self.drift_ppm_max / MILLION;
        (self.skew_max + Duration::from_micros(drift)) * 2 + self.slept
    }
}

impl WallClock {
    pub fn process(&self, now: Time) -> ProcessClock {
        ProcessClock {
            started_at: now,
            showed: Time::ZERO + (now + self.ahead).since(Time::ZERO + self.behind),
            rate: self.rate,
        }
    }
}

impl ProcessClock {
    pub fn read(&self, now: Time) -> Time {
        self.showed
            + Duration::from_micros(now.since(self.started_at).as_micros() as u64 * self.rate / MILLION)
    }

    /// When it will show `time`, or more.
    pub fn when(&self, time: Time) -> Time {
        let micros = time.since(self.showed).as_micros() as u64;
        self.started_at + Duration::from_micros((micros * MILLION).div_ceil(self.rate))
    }

    /// The machine slept: no time passed for it.
    pub fn slept(&mut self, time: Duration) {
        self.started_at = self.started_at + time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_a_time_when_it_says_so_and_not_before() {
        let mut rng = Rng::from_u64(1);
        let now = Time::from_millis(5_000_000);
        for rate in [MILLION - DRIFT_PPM_MAX, MILLION, MILLION + DRIFT_PPM_MAX] {
            let wall = WallClock { ahead: Duration::from_secs(3), behind: Duration::ZERO, rate };
            let mut clock = wall.process(now);
            assert_eq!(clock.read(now), now + Duration::from_secs(3));
            for _ in 0..100 {
                let wanted = clock.read(now) + Duration::from_micros(rng.below(1 << 40));
                let at = clock.when(wanted);
                assert!(clock.read(at) >= wanted);
                assert!(at <= now || clock.read(Time::ZERO + (at - Time::from_micros(2))) < wanted);
            }
            let before = clock.read(now + Duration::from_secs(9));
            clock.slept(Duration::from_secs(9));
            assert!(before > clock.read(now + Duration::from_secs(9)));
        }
    }
}
