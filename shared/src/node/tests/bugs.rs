//! Bugs that others shipped, and that are a node's and not the core's: each is pinned by stories that fail when their rule is
//! taken out. The numbers are those of `docs/raft-proofs.md`; the others are in `shared/tests/raft/bugs`.

use super::{autopilot, keys};
use crate::node::NodeConfig;

/// The number of a bug, the story that pins it, and the rule without which the story must fail.
macro_rules! bugs {
    ($($number:literal $file:ident::$story:ident without $rule:ident;)*) => {
        $(#[test]
        fn $story() {
            $file::$story(NodeConfig::default());
        })*

        #[cfg(feature = "mutations")]
        const STORIES: &[(u8, &str, fn(NodeConfig), crate::node::Mutation)] =
            &[$(($number, stringify!($story), $file::$story, crate::node::Mutation::$rule),)*];
    };
}

bugs! {
    22 autopilot::five_that_die_one_after_the_other_never_leave_fewer_than_three_voters without VotersShrinkToOne;
    22 autopilot::a_cluster_that_loses_one_after_the_other_never_has_fewer_than_three_voters without VotersShrinkToOne;
    22 autopilot::one_pass_prunes_a_minority_at_most without MajoritiesArePruned;
    22 autopilot::a_rolling_restart_changes_no_voter without AbsentVotersArePruned;
    23 keys::a_change_is_applied_once_through_a_leader_that_dies_before_it_answers without RetryIsAnotherCall;
}

/// Why each fails is printed, so that a reader sees it fail for its own reason.
#[cfg(feature = "mutations")]
#[test]
fn every_story_fails_when_its_rule_is_taken_out() {
    for (number, name, story, rule) in STORIES {
        println!("{number} {name} without {rule:?}:");
        let config = NodeConfig { mutation: Some(*rule), ..NodeConfig::default() };
        assert!(std::panic::catch_unwind(|| story(config)).is_err(), "{name} passed without {rule:?}");
    }
}
