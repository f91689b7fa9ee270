//! The storms prove themselves: each rule that is switched off must be noticed within a stated number of seeds.

use crate::leases::{lease_counts_from_sending, lease_ends_with_transfer};
use crate::storms::{storm, tight};
use std::panic::catch_unwind;
use wordraft_shared::raft::{Config, Mutation};

fn seeds_until_noticed(mutation: Mutation, seeds_max: u64) -> Option<u64> {
    let config = Config { mutation: Some(mutation), ..tight() };
    (0..seeds_max).find(|seed| catch_unwind(|| storm(*seed, config.clone())).is_err())
}

#[test]
fn rules_that_are_switched_off_are_noticed() {
    let rules = [
        (Mutation::VoteNotPersisted, 500),
        (Mutation::AppendNotPersisted, 100),
        (Mutation::LeaderCountsUnwritten, 500),
        (Mutation::VoteForAnyLog, 10),
        (Mutation::HalfIsMajority, 10),
        (Mutation::JointIgnoresOutgoing, 2_000),
        (Mutation::ChangeBeforeOwnCommit, 5_000),
        (Mutation::CommitWithoutSlowest, 1_000),
        (Mutation::OldWritesCountForNew, 1_000),
        (Mutation::ConfigurationAtCommit, 1_000),
        (Mutation::SnapshotKeepsConflictingTail, 1_000),
        (Mutation::JointLeftByItsLeaderOnly, 100),
        (Mutation::ReadWithoutRound, 50),
        (Mutation::ReadBeforeOwnCommit, 200),
        (Mutation::KeepConflictingTail, 10),
        (Mutation::SnapshotKeepsMembership, 1_000),
    ];
    let mut missed = Vec::new();
    println!("rule that is taken out         seeds  noticed by seed");
    for (mutation, seeds_max) in rules {
        match seeds_until_noticed(mutation, seeds_max) {
            Some(seed) => println!("{:<30} {seeds_max:>6} {seed:>6}", format!("{mutation:?}")),
            None => missed.push(mutation),
        }
    }
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}

#[test]
fn broken_leases_are_noticed() {
    let broken = |mutation| Config { mutation: Some(mutation), lease_reads: true, ..Config::default() };
    let counting = broken(Mutation::LeaseFromAnswers);
    assert!(catch_unwind(|| lease_counts_from_sending(counting)).is_err());
    let handing_over = broken(Mutation::LeaseOutlivesTransfer);
    assert!(catch_unwind(|| lease_ends_with_transfer(handing_over)).is_err());
}
