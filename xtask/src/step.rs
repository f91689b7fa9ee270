//! What a person sees while a command works: headings that say what is done and why, and how long it took.

use std::time::{Duration, Instant};

/// One heading, and the time since it was printed.
pub struct Step {
    started: Instant,
}

impl Step {
    pub fn begin(title: &str, why: &str) -> Step {
        eprintln!("\n==> {title}: {why}");
        Step { started: Instant::now() }
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub fn done(self) {
        eprintln!("    done in {}", seconds(self.elapsed()));
    }
}

/// One more line of detail under the heading.
pub fn note(text: &str) {
    eprintln!("    {text}");
}

pub fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{} min {:02.0} s", seconds as u64 / 60, seconds % 60.0)
    }
}
