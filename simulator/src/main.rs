//! `cargo xtask sim`: runs the production core under faults, a cluster per seed, and checks it after every input.

use clap::Parser;
mod range;

use range::run_all;
use simulator::{Options, Recording, Sabotage, run, saved_seeds};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Runs simulated clusters under faults and checks every step")]
struct Arguments {
    /// How many seeds to run, or which: `1000` or `5001..6000` [default: 100; with a sabotage, as many as are enough to
    /// notice it]
    #[arg(long, value_parser = seeds)]
    seeds: Option<RangeInclusive<u64>>,
    /// Run the seeds that failed once, from simulator/seeds.txt, before any others
    #[arg(long)]
    saved: bool,
    /// How many at a time [default: as many as there are processors]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Run this seed alone, and print what happens in it
    #[arg(long, conflicts_with_all = ["seeds", "saved"])]
    seed: Option<u64>,
    /// With --seed: print only so many lines, the last
    #[arg(long, value_name = "LINES", requires = "seed")]
    last: Option<usize>,
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
        (Some(seed), _) => one(seed, sabotage, &arguments),
        (None, Some(sabotage)) => hunt(&arguments, sabotage),
        (None, None) => all(&arguments),
    })
}

fn exit_code(success: bool) -> ExitCode {
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(seed: u64, sabotage: Option<Sabotage>, arguments: &Arguments) -> bool {
    let record = arguments.record.as_deref();
    let verdict = run(Options { seed, sabotage, transcript: true, record: record.is_some() });
    println!("{}", last_lines(&verdict.transcript, arguments.last.unwrap_or(usize::MAX)));
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

fn last_lines(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// `1000` or `5001..6000`, both ends included.
fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    let range = match text.split_once("..") {
        Some((first, last)) => number(first)?..=number(last)?,
        None => 1..=number(text)?,
    };
    if range.is_empty() { Err("no seeds".to_owned()) } else { Ok(range) }
}

/// Every seed has to hold.
fn all(arguments: &Arguments) -> bool {
    let mut seeds = if arguments.saved { saved_seeds() } else { Vec::new() };
    match &arguments.seeds {
        Some(range) => seeds.extend(range.clone()),
        None if arguments.saved => {}
        None => seeds.extend(1..=100),
    }
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let outcome = run_all(&seeds, arguments.jobs.map_or_else(processors, usize::from));
    let failed = outcome.failed.len() as u64;
    println!("{} passed, {failed} failed", outcome.seeds - failed);
    failed == 0
}

/// Every broken rule has to be noticed; all are tried, whatever becomes of the first.
fn sabotage_all(arguments: &Arguments) -> bool {
    let missed = Sabotage::all().iter().filter(|sabotage| !hunt(arguments, **sabotage)).count();
    missed == 0
}

/// Some seed has to notice the broken rule, by what comes of it.
fn hunt(arguments: &Arguments, sabotage: Sabotage) -> bool {
    let seeds = arguments.seeds.clone().unwrap_or(1..=sabotage.seeds_max);
    for seed in seeds.clone() {
        let verdict = run(Options { seed, sabotage: Some(sabotage), ..Options::default() });
        if let Some(violation) = verdict.violation.filter(|violation| sabotage.shows_in(violation)) {
            println!("{sabotage} caught by seed {seed}: {violation}");
            return true;
        }
    }
    println!("{sabotage} was not caught by any seed of {seeds:?}");
    false
}
