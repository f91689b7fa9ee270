//! Bugs that other implementations shipped, each pinned by a story that fails when its rule is taken out.
//!
//! The numbers are those of `docs/raft-proofs.md`, which also says where the rest of the proof is. Bugs 22 and 23 are those of
//! a node: `shared/src/node/tests/bugs.rs`.

mod commits;
mod configurations;
mod elections;
mod reads;
mod snapshots;
mod stalls;

use wordraft_shared::raft::Config;

/// The number of a bug, the story that pins it, and the rules without which the story must fail.
macro_rules! bugs {
    ($($number:literal $file:ident::$story:ident without [$($rule:ident),+];)*) => {
        $(#[test]
        fn $story() {
            $file::$story(Config::default());
        })*

        #[cfg(feature = "mutations")]
        const STORIES: &[(u8, &str, fn(Config), &[wordraft_shared::raft::Mutation])] = &[
            $(($number, stringify!($story), $file::$story, &[$(wordraft_shared::raft::Mutation::$rule),+]),)*
        ];
    };
}

bugs! {
    1 configurations::a_change_before_the_own_term_commit_would_make_two_disjoint_quorums without [ChangeBeforeOwnCommit];
    2 configurations::a_configuration_counts_from_the_log_and_not_from_its_commit without [ConfigurationAtCommit];
    3 configurations::a_new_leader_leaves_the_joint_configuration_of_the_old_one without [JointLeftByItsLeaderOnly];
    4 elections::pre_vote_and_check_quorum_together_still_elect without [LowTermsGetNoAnswer];
    5 elections::a_long_log_of_a_low_term_and_a_short_log_of_a_high_term_find_a_leader without [RefusalTeachesNothing];
    6 elections::a_leader_that_reaches_only_the_bridge_makes_way_for_it without [LeaderNeverDoubts];
    6 elections::a_leader_that_everybody_hears_and_that_hears_nobody_makes_way without [LeaderNeverDoubts];
    7 stalls::a_leader_whose_disk_hangs_makes_way without [DiskStallIgnored];
    7 stalls::a_disk_that_hangs_is_not_forgiven_for_newer_writes without [DiskStallIgnored];
    7 stalls::a_frozen_leader_doubts_itself_before_it_takes_anything without [PauseGoesUnnoticed];
    8 reads::a_late_answer_to_an_earlier_round_confirms_no_later_read without [AnyAnswerConfirmsReads];
    8 reads::reads_after_a_pause_are_refused_not_answered_stale without [ReadWithoutRound];
    9 reads::a_fresh_leader_answers_nothing_before_it_knows_what_is_committed without [ReadBeforeOwnCommit];
    10 commits::half_of_four_commits_nothing without [CommitWithoutSlowest];
    10 commits::half_of_four_elects_nobody without [HalfIsMajority];
    11 commits::an_entry_of_an_earlier_term_does_not_commit_by_being_counted without [CommitPriorTerm];
    12 snapshots::a_snapshot_replaces_a_conflicting_tail_and_the_configuration
        without [SnapshotKeepsConflictingTail, SnapshotKeepsMembership];
    13 snapshots::a_follower_behind_an_idle_log_that_is_purged_whole without [IdleLogSendsNoSnapshot];
    14 commits::a_late_or_doubled_answer_takes_nothing_back without [MatchedMovesBack, StaleRejectionCounts];
    14 commits::an_acknowledgement_of_an_earlier_term_counts_for_nothing without [OldTermsAnswer];
    15 commits::an_acknowledgement_of_a_write_says_nothing_about_what_came_to_its_place without [OldWritesCountForNew];
    16 elections::a_learner_votes_when_it_is_asked without [LearnersDoNotVote];
    16 elections::a_learner_whose_log_is_the_newest_stands_when_its_vote_is_needed without [LearnersNeverStand];
    17 configurations::a_removed_leader_hands_over_once_its_removal_is_committed without [RemovedLeaderStays];
    17 configurations::the_last_message_to_a_removed_member_may_be_lost without [FarewellForgotten];
    17 configurations::the_notice_of_a_removal_is_repeated_until_it_is_answered without [FarewellForgotten];
    17 configurations::a_new_leader_tells_whom_the_old_one_could_not_tell without [FarewellForgotten];
    18 stalls::a_dead_target_stops_proposals_for_one_election_timeout_at_most without [TransferNeverEnds];
    19 commits::uncommitted_bytes_are_bounded_and_come_free_again without [UncommittedNeverFreed];
    20 elections::looking_at_the_clock_does_not_begin_patience_again without [PatienceDrawnAtEveryTick];
    20 elections::members_in_lockstep_still_elect without [TiesRepeat];
    21 elections::a_wiped_member_is_no_quorum_of_its_own without [EmptyDiskIsCluster];
}

/// Prints why each story failed, so that a reader sees it fail for its own reason.
#[cfg(feature = "mutations")]
#[test]
fn every_story_fails_when_its_rule_is_taken_out() {
    let mut passed = Vec::new();
    for (number, name, story, rules) in STORIES {
        for rule in *rules {
            let config = Config { mutation: Some(*rule), ..Config::default() };
            match std::panic::catch_unwind(|| story(config)) {
                Ok(()) => passed.push((name, rule)),
                Err(reason) => println!("{number:>2} {name}\n   without {rule:?}: {}", first_line(&*reason)),
            }
        }
    }
    assert!(passed.is_empty(), "passed without their rules: {passed:#?}");
}

#[cfg(feature = "mutations")]
fn first_line(reason: &(dyn std::any::Any + Send)) -> &str {
    let text = reason.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| reason.downcast_ref::<&str>().copied()).unwrap_or("?").lines().next().unwrap_or_default()
}
