//! `cargo xtask sim`: runs the production core under faults, a cluster per seed, and checks it after every input.

use clap::Parser;
use simulator::{Options, Recording, Sabotage, Verdict, run};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Runs simulated clusters under faults and checks every step")]
struct Arguments {
    /// How many seeds to run [default: 100; with a sabotage, as many as are enough to notice it]
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Run this seed alone, and print what happens in it
    #[arg(long, conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
    /// With --seed: write what each process was told into this directory, for `wordraft replay`
    #[arg(long, value_name = "DIR", requires = "seed")]
    record: Option<PathBuf>,
    /// Break a rule on purpose: the run has to notice. `list` names the rules, `all` breaks one after the other
    #[arg(long)]
    sabotage: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let sabotage = match arguments.sabotage.as_deref() {
        None => None,
        Some("all") => return exit_code(sabotage_all(&arguments)),
        Some(name) => match Sabotage::named(name) {
            Some(sabotage) => Some(sabotage),
            None => {
                Sabotage::all().iter().for_each(|sabotage| println!("{sabotage}"));
                return ExitCode::from(2);
            }
        },
    };
    exit_code(match (arguments.seed, sabotage) {
        (Some(seed), _) => one(seed, sabotage, arguments.record.as_deref()),
        (None, Some(sabotage)) => hunt(&arguments, sabotage),
        (None, None) => all(&arguments),
    })
}

fn exit_code(success: bool) -> ExitCode {
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(seed: u64, sabotage: Option<Sabotage>, record: Option<&Path>) -> bool {
    let verdict = run(Options { seed, sabotage, transcript: true, record: record.is_some() });
    print!("{}", verdict.transcript);
    println!("{verdict}");
    for Recording { name, bytes } in &verdict.recordings {
        let file = record.unwrap_or(Path::new(".")).join(format!("{name}.recording"));
        match std::fs::write(&file, bytes) {
            Ok(()) => println!("wordraft replay {}", file.display()),
            Err(error) => println!("{} cannot be written: {error}", file.display()),
        }
    }
    verdict.violation.is_none()
}

/// Every seed has to hold.
fn all(arguments: &Arguments) -> bool {
    let mut failed = 0;
    let mut total = Verdict::default();
    let seeds = arguments.seeds.unwrap_or(100);
    for seed in arguments.first..arguments.first + seeds {
        let verdict = run(Options { seed, sabotage: None, transcript: false, record: false });
        if verdict.violation.is_some() {
            failed += 1;
            println!("seed {seed}: {verdict}\n  cargo xtask sim --seed {seed}");
        }
        total.add(&verdict);
    }
    println!("{total}");
    println!("{} passed, {failed} failed", seeds - failed);
    failed == 0
}

/// Every broken rule has to be noticed; all are tried, whatever becomes of the first.
fn sabotage_all(arguments: &Arguments) -> bool {
    let missed = Sabotage::all().iter().filter(|sabotage| !hunt(arguments, **sabotage)).count();
    missed == 0
}

/// Some seed has to notice the broken rule, by what comes of it.
fn hunt(arguments: &Arguments, sabotage: Sabotage) -> bool {
    let seeds = arguments.seeds.unwrap_or(sabotage.seeds_max);
    for seed in arguments.first..arguments.first + seeds {
        let verdict = run(Options { seed, sabotage: Some(sabotage), transcript: false, record: false });
        if let Some(violation) = verdict.violation.filter(|violation| sabotage.shows_in(violation)) {
            println!("{sabotage} caught by seed {seed}: {violation}");
            return true;
        }
    }
    println!("{sabotage} was not caught in {seeds} seeds");
    false
}
