//! Many seeds at once, on several threads.

use crate::last_lines;
use simulator::{Options, Verdict, run};
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How often the run says how far it is: on a terminal, and where the output is kept.
const PROGRESS_SHOWN: Duration = Duration::from_secs(2);
const PROGRESS_KEPT: Duration = Duration::from_secs(60);

/// Of the transcript of a run that failed.
const LINES_SHOWN: usize = 40;

/// What all runs came to, and which failed.
#[derive(Default)]
pub struct Outcome {
    pub total: Verdict,
    pub seeds: u64,
    pub failed: Vec<u64>,
}

struct Progress {
    outcome: Outcome,
    began: Instant,
    told: Instant,
}

/// Runs all `seeds`, and says at once which of them failed.
pub fn run_all(seeds: &[u64], jobs: usize) -> Outcome {
    let next = AtomicUsize::new(0);
    let now = Instant::now();
    let progress = Mutex::new(Progress { outcome: Outcome::default(), began: now, told: now });
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = run(Options { seed, ..Options::default() });
                    let mut progress = progress.lock().expect("nobody panics with it");
                    progress.add(seed, &verdict, seeds.len());
                }
            });
        }
    });
    let Progress { outcome, began, .. } = progress.into_inner().expect("nobody panics with it");
    println!("{}", outcome.total);
    println!("{:.1} seeds a second", outcome.seeds as f64 / began.elapsed().as_secs_f64());
    outcome
}

impl Progress {
    fn add(&mut self, seed: u64, verdict: &Verdict, seeds: usize) {
        let outcome = &mut self.outcome;
        outcome.total.add(verdict);
        outcome.seeds += 1;
        if verdict.violation.is_some() {
            outcome.failed.push(seed);
            let again = run(Options { seed, transcript: true, ..Options::default() });
            println!("{}", last_lines(&again.transcript, LINES_SHOWN));
            println!("seed {seed}: {verdict}\n  cargo xtask sim --seed {seed}");
        }
        let interval = if std::io::stderr().is_terminal() { PROGRESS_SHOWN } else { PROGRESS_KEPT };
        if self.told.elapsed() >= interval {
            self.told = Instant::now();
            let speed = outcome.seeds as f64 / self.began.elapsed().as_secs_f64();
            let _nobody_reads_it = writeln!(
                std::io::stderr(),
                "{} of {seeds} seeds, {} failed, {speed:.0} a second",
                outcome.seeds,
                outcome.failed.len()
            );
        }
    }
}
