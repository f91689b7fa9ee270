//! The scenarios that are explored: each turns some things on and keeps the others small.

use crate::scenario::{Budget, Scenario, disk};

const NOTHING: Budget = Budget {
    commands: 0,
    crashes: 0,
    slow_disks: 0,
    notices: 0,
    silences: 0,
    late_votes: 0,
    heartbeats: 0,
    reads: 0,
};

fn three() -> Scenario {
    Scenario::new(3, &[1, 2, 3])
}

/// Two stand at once, every pre-vote and every refusal is a message of its own.
pub fn elections() -> Scenario {
    Scenario { pre_votes_travel: true, denials_travel: true, ..three().stand(&[1, 2]) }
}

/// Two stand in one term, and the third crashes, perhaps with a vote that is not on disk yet.
pub fn votes_and_a_crash() -> Scenario {
    three().stand(&[1, 2]).trouble(&[3]).budget(Budget { crashes: 1, slow_disks: 1, ..NOTHING })
}

/// Two leaders in a row, a command, a crash.
pub fn replication() -> Scenario {
    three().stand(&[1]).stand(&[2, 3]).budget(Budget { commands: 1, crashes: 1, ..NOTHING })
}

/// Three leaders in a row, so that entries are replaced that replaced others.
pub fn three_leaders() -> Scenario {
    three().stand(&[1]).stand(&[2]).stand(&[1, 3])
}

/// The disk of the first leader turns slow, it may crash with writes under way, and another one follows.
pub fn slow_leader() -> Scenario {
    three().stand(&[1]).stand(&[2]).trouble(&[1]).budget(Budget { crashes: 1, slow_disks: 1, ..NOTHING })
}

/// The same with the disk of a follower.
pub fn slow_follower() -> Scenario {
    three().stand(&[1]).stand(&[2]).trouble(&[3]).budget(Budget { crashes: 1, slow_disks: 1, ..NOTHING })
}

/// From three voters to one, through a joint configuration, with a crash and another leader on the way.
pub fn joint_change() -> Scenario {
    three().stand(&[1]).stand(&[2]).budget(Budget { crashes: 1, ..NOTHING }).change_to(&[1])
}

/// Two voters, of whom one gives its place to a third member.
pub fn replacement() -> Scenario {
    let two = Scenario::new(3, &[1, 2]).stand(&[1, 2]).stand(&[2, 3]);
    two.budget(Budget { crashes: 1, ..NOTHING }).change_to(&[1, 3])
}

/// Two changes of one voter each, by whoever leads.
pub fn two_changes() -> Scenario {
    let scenario = three().stand(&[1]).stand(&[2]).change_to(&[1, 2]).change_to(&[1]);
    scenario.budget(Budget { crashes: 1, ..NOTHING })
}

/// Figure 3.7 of the dissertation ("Figure 8" of the short paper), from its third picture on, entry by entry.
pub fn figure_8() -> Scenario {
    let voters = [1, 2, 3];
    let disks = vec![disk(&voters, &[1, 2], 3), disk(&voters, &[1], 3), disk(&voters, &[1, 3], 3)];
    let mut scenario = Scenario::from_disks(disks).stand(&[1]).stand(&[3]);
    scenario.config.max_append_bytes = 1;
    scenario
}

/// A read of either of two leaders, with the heartbeats that confirm it.
pub fn reads() -> Scenario {
    let scenario = Scenario { heartbeats_travel: true, ..three().stand(&[1]).stand(&[2]) };
    scenario.budget(Budget { reads: 1, ..NOTHING })
}

/// Leaders that doubt themselves, notices that may be wrong, votes that come late.
pub fn doubts() -> Scenario {
    let scenario = three().stand(&[1, 2]).stand(&[2, 3]);
    scenario.budget(Budget { silences: 1, notices: 1, late_votes: 1, ..NOTHING })
}

/// What every run of the tests explores, by name.
pub fn all() -> Vec<(&'static str, Scenario)> {
    vec![
        ("elections", elections()),
        ("votes and a crash", votes_and_a_crash()),
        ("replication", replication()),
        ("three leaders", three_leaders()),
        ("slow leader", slow_leader()),
        ("slow follower", slow_follower()),
        ("joint change", joint_change()),
        ("replacement", replacement()),
        ("two changes", two_changes()),
        ("figure 8", figure_8()),
        ("reads", reads()),
        ("doubts", doubts()),
    ]
}

/// What takes minutes or hours, and some gigabytes.
pub fn large() -> Vec<(&'static str, Scenario)> {
    let refusals = |scenario: Scenario| Scenario { denials_travel: true, ..scenario };
    let longer = three_leaders().budget(Budget { commands: 1, crashes: 1, ..NOTHING });
    vec![
        ("three leaders, a command and a crash", longer),
        ("replication with refusals", refusals(replication())),
        ("joint change with refusals", refusals(joint_change())),
        ("elections and a crash", elections().budget(Budget { crashes: 1, ..NOTHING })),
    ]
}
