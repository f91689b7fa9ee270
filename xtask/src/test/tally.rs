//! What passed, failed and was skipped, and how long each step took.

use crate::step::{Step, seconds};
use std::io::{BufRead as _, BufReader};
use std::ops::AddAssign;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A step without tests of its own counts as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
}

const ONE_PASSED: Counts = Counts { passed: 1, failed: 0, skipped: 0 };
const ONE_FAILED: Counts = Counts { passed: 0, failed: 1, skipped: 0 };
const ONE_SKIPPED: Counts = Counts { passed: 0, failed: 0, skipped: 1 };

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

struct Row {
    title: String,
    counts: Counts,
    duration: Duration,
}

pub struct Tally {
    rows: Vec<Row>,
}

impl Tally {
    pub fn new() -> Tally {
        Tally { rows: Vec::new() }
    }

    /// A check that counts as one. Its failure is shown and remembered; the next steps still run.
    pub fn check<T>(&mut self, title: &str, why: &str, run: impl FnOnce() -> anyhow::Result<T>) -> Option<T> {
        match self.must(title, why, run) {
            Ok(value) => Some(value),
            Err(error) => {
                eprintln!("\nFAILED: {error:#}");
                None
            }
        }
    }

    /// A step without which the following make no sense.
    pub fn must<T>(
        &mut self,
        title: &str,
        why: &str,
        run: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let step = Step::begin(title, why);
        let outcome = run();
        self.record(title, if outcome.is_ok() { ONE_PASSED } else { ONE_FAILED }, step);
        outcome
    }

    /// A command that prints `test result:` lines, as libtest and wasm-bindgen-test do.
    pub fn tests(&mut self, title: &str, why: &str, command: impl FnOnce() -> Command) {
        let step = Step::begin(title, why);
        let counts = match run_tests(command()) {
            Ok(counts) => counts,
            Err(error) => {
                eprintln!("\nFAILED: {error}");
                ONE_FAILED
            }
        };
        self.record(title, counts, step);
    }

    pub fn skip(&mut self, title: &str) {
        eprintln!("\n==> {title}: skipped, because what it needs is missing");
        self.rows.push(Row { title: title.to_owned(), counts: ONE_SKIPPED, duration: Duration::ZERO });
    }

    fn record(&mut self, title: &str, counts: Counts, step: Step) {
        self.rows.push(Row { title: title.to_owned(), counts, duration: step.elapsed() });
        step.done();
    }

    pub fn is_green(&self) -> bool {
        self.total().failed == 0
    }

    fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.rows.iter().for_each(|row| total += row.counts);
        total
    }

    /// The table, and the one line on standard output that says it all.
    pub fn print(&self) {
        eprintln!("\n{:<28}{:>8}{:>8}{:>8}  time", "step", "passed", "failed", "skipped");
        for Row { title, counts, duration } in &self.rows {
            let time = seconds(*duration);
            eprintln!("{title:<28}{:>8}{:>8}{:>8}  {time}", counts.passed, counts.failed, counts.skipped);
        }
        eprintln!("in {}\n", seconds(self.rows.iter().map(|row| row.duration).sum()));
        let Counts { passed, failed, skipped } = self.total();
        println!("{passed} passed, {failed} failed, {skipped} skipped");
    }
}

fn run_tests(mut command: Command) -> std::io::Result<Counts> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut counts = Counts::default();
    if let Some(output) = child.stdout.take() {
        // By bytes: what a test prints need not be UTF-8.
        for line in BufReader::new(output).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            println!("{line}");
            counts += counts_in(&line).unwrap_or_default();
        }
    }
    let status = child.wait()?;
    // A runner that crashed has no line that says so.
    if !status.success() && counts.failed == 0 {
        counts += ONE_FAILED;
    }
    Ok(counts)
}

/// From `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; …`.
fn counts_in(line: &str) -> Option<Counts> {
    let (_, numbers) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
    let number = |what: &str| {
        let part = numbers.split(';').find(|part| part.trim().ends_with(what))?;
        part.split_whitespace().next()?.parse().ok()
    };
    Some(Counts { passed: number(" passed")?, failed: number(" failed")?, skipped: number(" ignored")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_the_lines_of_both_runners() {
        let libtest = "test result: FAILED. 12 passed; 3 failed; 2 ignored; 0 measured; 7 filtered out; finished in 0.10s";
        assert_eq!(counts_in(libtest), Some(Counts { passed: 12, failed: 3, skipped: 2 }));
        let wasm = "    test result: ok. 1 passed; 0 failed; 0 ignored; 0 filtered out; finished in 0.01s";
        assert_eq!(counts_in(wasm), Some(ONE_PASSED));
        assert_eq!(counts_in("test words::tests::empty ... ok"), None);
        assert_eq!(counts_in("test result: "), None);
    }

    #[test]
    fn a_runner_that_crashes_without_a_result_counts_as_failed() {
        let mut crash = Command::new("sh");
        crash.args(["-c", "echo 'test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured'; exit 7"]);
        assert_eq!(run_tests(crash).unwrap(), Counts { passed: 2, failed: 1, skipped: 0 });
    }
}
