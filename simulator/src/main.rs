//! `cargo xtask sim`: runs the production core under faults, a cluster per seed, and checks it after every input.

use clap::Parser;
use simulator::{Options, Sabotage, Verdict, run};
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Runs simulated clusters under faults and checks every step")]
struct Arguments {
    /// How many seeds to run
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Run this seed alone, and print what happens in it
    #[arg(long, conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
    /// Break a rule on purpose: the run has to notice. `list` names the rules
    #[arg(long)]
    sabotage: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let sabotage = match arguments.sabotage.as_deref().map(Sabotage::named) {
        None => None,
        Some(Some(sabotage)) => Some(sabotage),
        Some(None) => {
            println!("{}", Sabotage::names().join("\n"));
            return ExitCode::from(2);
        }
    };
    if let Some(seed) = arguments.seed {
        return one(seed, sabotage);
    }
    match sabotage {
        Some(sabotage) => hunt(&arguments, sabotage),
        None => all(&arguments),
    }
}

fn one(seed: u64, sabotage: Option<Sabotage>) -> ExitCode {
    let verdict = run(Options { seed, sabotage, transcript: true });
    print!("{}", verdict.transcript);
    println!("{verdict}");
    if verdict.violation.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Every seed has to hold.
fn all(arguments: &Arguments) -> ExitCode {
    let mut failed = 0;
    let mut total = Verdict::default();
    for seed in arguments.first..arguments.first + arguments.seeds {
        let verdict = run(Options { seed, sabotage: None, transcript: false });
        if verdict.violation.is_some() {
            failed += 1;
            println!("seed {seed}: {verdict}\n  cargo xtask sim --seed {seed}");
        }
        total.add(&verdict);
    }
    println!("{total}");
    println!("{} passed, {failed} failed", arguments.seeds - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Some seed has to notice the broken rule.
fn hunt(arguments: &Arguments, sabotage: Sabotage) -> ExitCode {
    for seed in arguments.first..arguments.first + arguments.seeds {
        let verdict = run(Options { seed, sabotage: Some(sabotage), transcript: false });
        if let Some(violation) = verdict.violation {
            println!("{sabotage} caught by seed {seed}: {violation}");
            return ExitCode::SUCCESS;
        }
    }
    println!("{sabotage} was not caught in {} seeds", arguments.seeds);
    ExitCode::FAILURE
}
