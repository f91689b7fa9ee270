//! Progress on the standard error: bars on a terminal, nothing in a pipe.

use super::watch::Told;
use indicatif::{ProgressBar, ProgressStyle};
use shared::wire::peer::Stage;
use std::time::Duration;

const TICK: Duration = Duration::from_millis(120);

/// A bar over bytes; a spinner if nobody knows how many there will be.
pub fn bytes(what: &str, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => {
            (ProgressBar::new(total), "{prefix:<10} {bar:32} {bytes:>11} of {total_bytes}  {bytes_per_sec}")
        }
        None => (ProgressBar::new_spinner(), "{prefix:<10} {spinner} {bytes:>11}  {bytes_per_sec}"),
    };
    bar.set_style(style(template));
    bar.set_prefix(what.to_owned());
    bar.enable_steady_tick(TICK);
    bar
}

/// A bar for a job of which nothing is known yet.
pub fn job() -> ProgressBar {
    let bar = bytes("waiting", Some(0));
    let template = "{prefix:<10} {bar:32} {bytes:>11} of {total_bytes}  {msg}";
    bar.set_style(style(template));
    bar
}

pub fn tell(bar: &ProgressBar, told: &Told) {
    let Told::Progress(progress) = told else { return };
    bar.set_length(progress.bytes);
    bar.set_position(progress.bytes_done);
    bar.set_prefix(match progress.stage {
        Stage::Waiting => "waiting",
        Stage::Counting => "counting",
        Stage::Reducing => "merging",
        Stage::Committing => "storing",
    });
    let workers =
        progress.workers.iter().filter(|worker| worker.running > 0 || worker.tasks_done > 0).count();
    let again = match progress.reassigned {
        0 => String::new(),
        tasks => format!(", {tasks} tasks given to others"),
    };
    bar.set_message(format!("{} of {} tasks, {workers} workers{again}", progress.tasks_done, progress.tasks));
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━╾─")
}
