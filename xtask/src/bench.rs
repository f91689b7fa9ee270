//! `cargo xtask bench`: wordraft beside others. The benchmarks are a workspace of their own, built only when asked for.

use crate::chromium::{self, Chromium};
use crate::wasm_target::WASM_TARGET;
use crate::workspace::{Workspace, check};
use crate::{apt, page, tools};
use anyhow::Context;
use std::process::Command;

pub const MANIFEST: &str = "benches/Cargo.toml";
/// Packages that are weighed as Wasm modules.
const WEIGHED: [&str; 2] = ["size-core", "size-raft-rs"];

/// Cargo for the benchmarks' workspace, with its output beside everything else's.
pub fn cargo(workspace: &Workspace, subcommand: &str) -> Command {
    let mut command = workspace.cargo(&[subcommand]);
    command.args(["--locked", "--manifest-path", MANIFEST, "--target-dir"]).arg(workspace.target());
    command
}

/// Gives false for a benchmark that there is not.
pub fn bench(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<bool> {
    match arguments.first().map(String::as_str) {
        Some("raft") => check(cargo(workspace, "run").args(["--release", "--"]).args(arguments))?,
        Some("size") => size(workspace)?,
        Some("writes") if arguments.get(1).is_some_and(|option| option == "--tabs") => {
            tabs(workspace, &arguments[2..])?;
        }
        Some("failover" | "writes") => servers(workspace, arguments)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn servers(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<()> {
    if workspace.which("etcd").is_none() {
        apt::install(workspace, &["etcd-server"], "some ten megabytes")
            .context("this measures beside etcd: the package etcd-server, or an `etcd` on PATH")?;
    }
    check(clusters(workspace)?.args(arguments))
}

/// A cluster of tabs, with the page as it is released.
fn tabs(workspace: &Workspace, options: &[String]) -> anyhow::Result<()> {
    page::build(workspace, &tools::ensure(workspace)?)?;
    let Chromium { browser, driver } = chromium::ensure(workspace)?;
    let mut command = clusters(workspace)?;
    check(command.arg("tabs").args(options).env("CHROMIUM", browser).env("CHROMEDRIVER", driver))
}

/// Starts real processes, with their data on the disk that `target` is on; /tmp may be memory.
fn clusters(workspace: &Workspace) -> anyhow::Result<Command> {
    let data = workspace.target().join("bench-data");
    std::fs::create_dir_all(&data)?;
    // What is put on a server: etcd's package is no less.
    check(&mut workspace.cargo(&["build", "--profile", "dist", "--locked", "--package", "relay"]))?;
    let mut command = cargo(workspace, "run");
    command.args(["--profile", "clients", "--package", "clusters", "--"]);
    command.env("TMPDIR", data).env("WORDRAFT", workspace.target().join("dist/wordraft"));
    Ok(command)
}

fn size(workspace: &Workspace) -> anyhow::Result<()> {
    let target = tools::ensure(workspace)?;
    let dist = workspace.root().join("dist");
    if !dist.join("index.html").is_file() {
        page::build(workspace, &target)?;
    }
    let mut build = target.cargo(workspace, &["build", "--locked", "--manifest-path", MANIFEST]);
    build.args(["--profile", "size", "--target", WASM_TARGET, "--target-dir"]).arg(workspace.target());
    check(build.args(WEIGHED.iter().flat_map(|package| ["--package", package])))?;
    let built = workspace.target().join(WASM_TARGET).join("size");
    let modules = WEIGHED.map(|package| built.join(package.replace('-', "_")).with_extension("wasm"));
    check(cargo(workspace, "run").args(["--release", "--", "size"]).args(modules).arg(dist))
}
