//! `cargo xtask test`: everything that CI runs, in one order, with the time that each step took.
//!
//! A failed check or test does not stop the others. A build that fails does: what follows would say the same again.

mod tally;

use crate::chromium::{self, Chromium};
use crate::step::note;
use crate::wasm_target::{self, WASM_TARGET, WasmTarget};
use crate::workspace::{Workspace, check};
use crate::{bench, duplicates, layers, network_tools, page, tools};
use anyhow::bail;
use std::path::Path;
use std::process::{Command, ExitCode};
use tally::Tally;

const SIMULATOR_SEEDS: &str = "1000";
/// Seconds that a Wasm test may take; the runner's own 20 are short for a busy machine.
const WASM_TEST_SECONDS: &str = "180";
/// Integration tests whose names begin so drive a browser, and run last, one at a time.
const BROWSER_TESTS: &str = "browser";

pub fn test(workspace: &Workspace) -> anyhow::Result<ExitCode> {
    let mut tally = Tally::new();
    if let Err(error) = run_all(workspace, &mut tally) {
        eprintln!("\nerror: {error:#}");
        eprintln!("The steps after this one did not run.");
    }
    Ok(verdict(&tally))
}

pub fn static_checks_only(workspace: &Workspace) -> anyhow::Result<ExitCode> {
    let mut tally = Tally::new();
    static_checks(workspace, &mut tally, &wasm_target::ensure(workspace)?);
    Ok(verdict(&tally))
}

fn verdict(tally: &Tally) -> ExitCode {
    tally.print();
    if tally.is_green() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_all(workspace: &Workspace, tally: &mut Tally) -> anyhow::Result<()> {
    let target = tally.must("Tools", "a Wasm target, trunk and wasm-bindgen", || {
        let target = tools::ensure(workspace)?;
        page::fetch(workspace, &target)?;
        Ok(target)
    })?;
    static_checks(workspace, tally, &target);
    let why = "some tests make networks of their own, with hosts and links that fail";
    tally.check("Network tools", why, || network_tools::ensure(workspace));
    native_tests(workspace, tally)?;
    let chromium = tally.check("Chromium", "Wasm and browser tests need it and its driver", || {
        let chromium = chromium::ensure(workspace)?;
        note(&format!("{} and {}", chromium.browser.display(), chromium.driver.display()));
        Ok(chromium)
    });
    match &chromium {
        Some(chromium) => wasm_tests(workspace, tally, &target, chromium)?,
        None => tally.skip("Wasm tests"),
    }
    tally.check("Simulator", "many seeds of faults, with every safety invariant checked", || {
        workspace.cargo_run_release(
            "simulator",
            "simulator",
            &["--saved", "--seeds", SIMULATOR_SEEDS].map(str::to_owned),
        )
    });
    tally.check("Sabotage", "the simulator notices each rule of the core that is broken on purpose", || {
        let sabotage = ["--sabotage".to_owned(), "all".to_owned()];
        workspace.cargo_run_release("simulator", "simulator", &sabotage)
    });
    tally.tests("Model", "every order of events of small clusters, up to bounds", || {
        workspace.cargo(&["test", "--release", "--locked", "--package", "model"])
    });
    tally.must("Page build", "as it goes into the release", || page::build(workspace, &target))?;
    match &chromium {
        Some(chromium) => browser_tests(workspace, tally, chromium)?,
        None => tally.skip("Browser tests"),
    }
    Ok(())
}

fn static_checks(workspace: &Workspace, tally: &mut Tally, target: &WasmTarget) {
    let native = ["--locked", "--workspace", "--exclude", "web-peer"];
    let wasm = ["--locked", "--package", "web-peer", "--target", WASM_TARGET];
    tally.check("Format", "rustfmt has the last word", || {
        check(&mut workspace.cargo(&["fmt", "--all", "--check"]))?;
        check(&mut workspace.cargo(&["fmt", "--all", "--check", "--manifest-path", bench::MANIFEST]))
    });
    tally.check("Clippy, native", "warnings are errors", || clippy(workspace, &native));
    tally.check("Clippy, benchmarks", "they are built only when asked for, and must not rot", || {
        check(bench::cargo(workspace, "clippy").args([
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    });
    if target.has_lints() {
        let why = "the page's code compiles only for its own target";
        tally.check("Clippy, Wasm", why, || clippy(workspace, &wasm));
        tally.check("Documentation, Wasm", "links and examples hold", || document(workspace, &wasm));
    } else {
        tally.skip("Clippy, Wasm");
        tally.skip("Documentation, Wasm");
    }
    tally.check("Layers", "who may know whom, what the core must not touch, how long a file may be", || {
        layers::check(workspace.root())
    });
    tally.check("Documentation, native", "links and examples hold", || document(workspace, &native));
    tally.check("Dependencies", "one version of each, or a reason", || duplicates::check(workspace));
}

fn clippy(workspace: &Workspace, packages: &[&str]) -> anyhow::Result<()> {
    check(workspace.cargo(&["clippy", "--all-targets"]).args(packages).args(["--", "-D", "warnings"]))
}

fn document(workspace: &Workspace, packages: &[&str]) -> anyhow::Result<()> {
    // Private items are documented too, so that links to them lead somewhere.
    let mut command = workspace.cargo(&["doc", "--no-deps", "--document-private-items"]);
    check(command.args(packages).env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links"))
}

fn native_tests(workspace: &Workspace, tally: &mut Tally) -> anyhow::Result<()> {
    // The model has a step of its own: a million states want an optimised build.
    let mut packages = vec!["--locked", "--workspace", "--exclude", "web-peer", "--exclude", "model"];
    let tests = integration_tests(
        workspace,
        &["shared", "relay", "relay/testkit", "simulator", "linearizability", "xtask"],
        |name| !name.starts_with(BROWSER_TESTS),
    )?;
    let documented = packages.clone();
    packages.extend(["--lib", "--bins"]);
    packages.extend(tests.iter().flat_map(|name| ["--test", name.as_str()]));
    tally.must("Build the tests", "all but the page's and the browser's", || {
        check(workspace.cargo(&["test", "--no-run"]).args(&packages))
    })?;
    tally.tests("Tests", "units, protocols, properties, and real processes on real sockets", || {
        with_arguments(workspace.cargo(&["test", "--no-fail-fast"]), &packages)
    });
    tally.tests("Benchmarks", "both sides do the work that is measured; nothing is measured here", || {
        with_arguments(bench::cargo(workspace, "test"), &["--package", "benches", "--package", "clusters"])
    });
    tally.tests("Documentation tests", "the examples in the documentation run", || {
        with_arguments(workspace.cargo(&["test", "--doc"]), &documented)
    });
    Ok(())
}

/// In release: the artefacts are then those that the build of the counting workers needs anyway.
fn wasm_tests(
    workspace: &Workspace,
    tally: &mut Tally,
    target: &WasmTarget,
    chromium: &Chromium,
) -> anyhow::Result<()> {
    let tests = integration_tests(workspace, &["web-peer"], |_| true)?;
    let mut targets =
        vec!["--locked", "--release", "--package", "web-peer", "--target", WASM_TARGET, "--lib"];
    targets.extend(tests.iter().flat_map(|name| ["--test", name.as_str()]));
    tally.must("Build the Wasm tests", "with the settings of the counting workers", || {
        check(target.cargo(workspace, &["test", "--no-run"]).args(&targets))
    })?;
    tally.tests("Wasm tests", "in a headless Chromium", || {
        let mut command = with_arguments(target.cargo(workspace, &["test", "--no-fail-fast"]), &targets);
        command.env("CHROMEDRIVER", &chromium.driver).env("WASM_BINDGEN_TEST_TIMEOUT", WASM_TEST_SECONDS);
        command
    });
    Ok(())
}

fn browser_tests(workspace: &Workspace, tally: &mut Tally, chromium: &Chromium) -> anyhow::Result<()> {
    let tests = integration_tests(workspace, &["relay"], |name| name.starts_with(BROWSER_TESTS))?;
    let mut targets = vec!["--locked", "--package", "relay"];
    targets.extend(tests.iter().flat_map(|name| ["--test", name.as_str()]));
    tally.must("Build the browser tests", "and the binary that they start", || {
        check(workspace.cargo(&["test", "--no-run"]).args(&targets))
    })?;
    tally.tests("Browser tests", "real tabs and real servers; screenshots in target/screenshots", || {
        let mut command = with_arguments(workspace.cargo(&["test", "--no-fail-fast"]), &targets);
        command.args(["--", "--nocapture", "--test-threads=1"]);
        command.env("CHROMIUM", &chromium.browser).env("CHROMEDRIVER", &chromium.driver);
        command
    });
    Ok(())
}

fn with_arguments(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}

/// The integration tests of some packages by name: cargo can be told which to run, but not which to leave out.
fn integration_tests(
    workspace: &Workspace,
    packages: &[&str],
    wanted: impl Fn(&str) -> bool,
) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for directory in packages.iter().map(|package| workspace.root().join(package).join("tests")) {
        if directory.is_dir() {
            names.extend(std::fs::read_dir(&directory)?.filter_map(|entry| test_name(&entry.ok()?.path())));
        }
    }
    names.retain(|name| wanted(name));
    names.sort();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        bail!("two packages have an integration test named {}; give them names of their own", pair[0]);
    }
    Ok(names)
}

/// `tests/NAME.rs` and `tests/NAME/main.rs` are tests; other directories hold what tests share.
fn test_name(path: &Path) -> Option<String> {
    let is_test =
        path.extension().is_some_and(|extension| extension == "rs") || path.join("main.rs").is_file();
    is_test.then(|| path.file_stem()).flatten()?.to_str().map(str::to_owned)
}
