//! The page: Wasm and assets in `dist/`, which the relay's binary then carries inside.

use crate::step::Step;
use crate::wasm_target::{WASM_TARGET, WasmTarget};
use crate::workspace::{Workspace, check};
use anyhow::Context;

pub fn build(workspace: &Workspace, target: &WasmTarget) -> anyhow::Result<()> {
    fetch(workspace, target)?;
    let step = Step::begin("Page", "trunk compiles the application and its workers to Wasm, into dist/");
    let mut trunk = workspace.command("trunk");
    target.prepare(&mut trunk);
    // Trunk takes NO_COLOR=1, as many set it, for a wrong value of its option.
    trunk.env_remove("NO_COLOR").args(["build", "--release", "--offline=true", "--locked=true", "--dist"]);
    check(trunk.arg(workspace.root().join("dist"))).context("the page could not be built")?;
    step.done();
    Ok(())
}

/// All that cargo will need from its registry, at once: later steps work without a network.
pub fn fetch(workspace: &Workspace, target: &WasmTarget) -> anyhow::Result<()> {
    let native = workspace.cargo(&["fetch", "--locked"]);
    // The standard library has dependencies of its own, where it is built from source.
    let wasm = target.cargo(workspace, &["fetch", "--locked", "--target", WASM_TARGET]);
    for mut command in [native, wasm] {
        check(&mut command).context(
            "the dependencies could not be fetched. Is crates.io (or your mirror of it) within reach, and is Cargo.lock current?",
        )?;
    }
    Ok(())
}
