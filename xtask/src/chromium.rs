//! Chromium and its driver, for the tests that run in a real browser.

use crate::apt;
use crate::step::Step;
use crate::workspace::Workspace;
use anyhow::Context;
use std::path::PathBuf;

const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

pub struct Chromium {
    pub browser: PathBuf,
    pub driver: PathBuf,
}

/// Finds Chromium and chromedriver, or installs them from the distribution.
pub fn ensure(workspace: &Workspace) -> anyhow::Result<Chromium> {
    if let Some(found) = find(workspace) {
        return Ok(found);
    }
    let step = Step::begin(
        "Chromium",
        "the browser tests drive a real browser; Debian's packages bring both halves",
    );
    apt::install(workspace, &["chromium", "chromium-driver"], "some hundred megabytes").context(
        "Chromium and chromedriver are missing and could not be installed.\n  \
         On Debian and its relatives: sudo apt-get install chromium chromium-driver\n  \
         Elsewhere: put `chromium` (or google-chrome) and a `chromedriver` of the same version on PATH",
    )?;
    let found = find(workspace)
        .context("the packages are installed, but there is no chromium or chromedriver on PATH")?;
    step.done();
    Ok(found)
}

fn find(workspace: &Workspace) -> Option<Chromium> {
    let browser = BROWSERS.iter().find_map(|name| workspace.which(name))?;
    Some(Chromium { browser, driver: workspace.which("chromedriver")? })
}
