//! Every order of events within the bounds keeps the rules, and each rule of the core that is switched off is noticed.
//!
//! `BOUNDS=large cargo test --release -p model -- --nocapture` explores more, for minutes or hours.

use model::{Scenario, catalogue};
use shared::raft::Mutation;
use stateright::{Checker, CheckerBuilder, HasDiscoveries, Model, Path};
use std::fmt::Write;
use std::time::Instant;

fn checker(scenario: Scenario) -> CheckerBuilder<Scenario> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    scenario.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures)
}

fn shown<S, A: std::fmt::Debug>(path: Path<S, A>) -> String {
    path.into_actions().iter().fold(String::new(), |mut shown, action| {
        let _ = writeln!(shown, "  {action:?}");
        shown
    })
}

/// Explores all of it. Gives back how many states there are.
fn keeps_the_rules(name: &str, scenario: Scenario) -> usize {
    let begin = Instant::now();
    let checker = checker(scenario.clone()).spawn_bfs().join();
    let discoveries = checker.discoveries();
    for property in scenario.properties() {
        let found = discoveries.get(property.name).cloned();
        match (property.expectation.discovery_is_failure(), found) {
            (true, Some(path)) => panic!("{name}: {} is broken:\n{}", property.name, shown(path)),
            (false, None) => panic!("{name}: never seen: {}", property.name),
            _ => {}
        }
    }
    let states = checker.unique_state_count();
    eprintln!("{name}: {states} states, up to {} steps, {:.1?}", checker.max_depth() - 1, begin.elapsed());
    states
}

#[test]
fn no_order_of_events_breaks_a_rule() {
    let mut scenarios = catalogue::all();
    if std::env::var("BOUNDS").is_ok_and(|bounds| bounds == "large") {
        scenarios.extend(catalogue::large());
    }
    let states: usize = scenarios.into_iter().map(|(name, scenario)| keeps_the_rules(name, scenario)).sum();
    eprintln!("{states} states in all");
}

#[test]
fn rules_that_are_switched_off_are_noticed() {
    use catalogue::*;
    let rules = [
        (Mutation::VoteNotPersisted, votes_and_a_crash()),
        (Mutation::VoteForAnyLog, replication()),
        (Mutation::HalfIsMajority, replacement()),
        (Mutation::AppendNotPersisted, slow_follower()),
        (Mutation::LeaderCountsUnwritten, slow_leader()),
        (Mutation::CommitPriorTerm, figure_8()),
        (Mutation::KeepConflictingTail, replication()),
        (Mutation::OldTermsAnswer, three_leaders()),
        (Mutation::ChangeBeforeOwnCommit, two_changes()),
        (Mutation::JointIgnoresOutgoing, joint_change()),
        (Mutation::ReadWithoutRound, reads()),
        (Mutation::ReadBeforeOwnCommit, reads()),
        (Mutation::AnyAnswerConfirmsReads, reads()),
    ];
    let mut missed = Vec::new();
    for (mutation, mut scenario) in rules {
        scenario.config.mutation = Some(mutation);
        let checker = checker(scenario.clone()).spawn_bfs().join();
        let broken = scenario.properties().into_iter().filter(|rule| rule.expectation.discovery_is_failure());
        let found = broken.into_iter().find_map(|rule| Some((rule.name, checker.discovery(rule.name)?)));
        match found {
            Some((rule, path)) => {
                let states = checker.unique_state_count();
                eprintln!("{mutation:?} breaks {rule}, seen after {states} states:\n{}", shown(path));
            }
            None => missed.push(mutation),
        }
    }
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}
