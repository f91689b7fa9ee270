//! The cluster's time: what stamps in the log tell, and how it goes on between them.

use crate::time::{Duration, Time};

/// The cluster's time never goes back, whoever leads. A leader whose clock is behind it goes on from it, at its own clock's
/// rate; one whose clock is ahead brings it forward.
#[derive(Debug, Default)]
pub(super) struct ClusterClock {
    /// The latest stamp that was applied here, and when that was.
    stamp: Time,
    applied_at: Time,
    /// How far the cluster's time is ahead of this node's clock.
    ahead: Duration,
}

impl ClusterClock {
    /// A leader's own stamps come back to it some time later: they must not slow it down.
    pub fn applied(&mut self, stamp: Time, now: Time, leads: bool) {
        if stamp <= self.stamp {
            return;
        }
        let ahead = stamp.since(now);
        self.ahead = if leads { ahead.max(self.ahead) } else { ahead };
        (self.stamp, self.applied_at) = (stamp, now);
    }

    /// What a leader stamps a command with.
    pub fn stamp(&self, now: Time) -> Time {
        now + self.ahead
    }

    /// When, by this node's clock, this leader's stamps get to `time`.
    pub fn own(&self, time: Time, now: Time) -> Time {
        now + time.since(self.stamp(now))
    }

    /// What time it should be at the leader, whatever this node's clock says.
    pub fn estimate(&self, now: Time) -> Time {
        self.stamp + now.since(self.applied_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1_000)
    }

    #[test]
    fn time_goes_on_behind_a_leader_whose_clock_was_ahead() {
        let mut clock = ClusterClock::default();
        assert_eq!(clock.stamp(at(9)), at(9), "its own clock, where nothing was stamped");
        clock.applied(at(1_000), at(10), false);
        assert_eq!((clock.stamp(at(10)), clock.stamp(at(15))), (at(1_000), at(1_005)));
        assert_eq!(clock.own(at(1_020), at(15)), at(30));
        assert_eq!(clock.own(at(900), at(15)), at(15), "over already");
        clock.applied(at(1_005), at(18), true);
        assert_eq!(clock.stamp(at(18)), at(1_008), "its own stamp, committed late");
        clock.applied(at(1_100), at(20), true);
        assert_eq!(clock.stamp(at(20)), at(1_100), "what the leader before had left in the log");
    }

    #[test]
    fn a_clock_that_is_ahead_brings_time_forward_and_shows_the_leaders() {
        let mut clock = ClusterClock::default();
        clock.applied(at(100), at(500), false);
        assert_eq!((clock.stamp(at(501)), clock.estimate(at(501))), (at(501), at(101)));
        clock.applied(at(100), at(505), false);
        assert_eq!(clock.estimate(at(505)), at(105), "no newer stamp");
    }
}
