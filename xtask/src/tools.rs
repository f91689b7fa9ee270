//! What building the page needs and cargo does not bring: a Wasm target, trunk and wasm-bindgen in pinned versions.

use crate::step::{Step, note};
use crate::wasm_target::{self, WasmTarget};
use crate::workspace::{Workspace, check, output_of};
use anyhow::{Context, bail};
use std::path::Path;

/// The newest trunk that builds with the compilers we support; 0.22 asks for a newer one.
const TRUNK_VERSION: &str = "0.21.14";

/// A tool that cargo can install, and how to get it quickly.
struct Tool {
    /// The package on crates.io.
    package: &'static str,
    /// The program that answers `--version`, and those that come with it.
    programs: &'static [&'static str],
    version: String,
    arguments: &'static [&'static str],
    /// Both tools mostly wait for rustc. Full optimisation would triple the time of a first start and gain nothing.
    opt_level: &'static str,
    why: &'static str,
    duration: &'static str,
}

/// Makes sure that everything is there. Does nothing, quickly, the second time.
pub fn ensure(workspace: &Workspace) -> anyhow::Result<WasmTarget> {
    let target = wasm_target::ensure(workspace)?;
    for tool in tools(workspace)? {
        ensure_tool(workspace, &tool)?;
    }
    Ok(target)
}

fn tools(workspace: &Workspace) -> anyhow::Result<[Tool; 2]> {
    let trunk = Tool {
        package: "trunk",
        programs: &["trunk"],
        version: TRUNK_VERSION.to_owned(),
        arguments: &["--no-default-features", "--features", "rustls"],
        opt_level: "0",
        why: "it builds the page and puts its files together",
        duration: "3 to 4 minutes on two cores, once",
    };
    let wasm_bindgen = Tool {
        package: "wasm-bindgen-cli",
        programs: &["wasm-bindgen", "wasm-bindgen-test-runner"],
        version: locked_version(workspace.root(), "wasm-bindgen")?,
        arguments: &[],
        opt_level: "1",
        why: "it connects Wasm with the browser, in exactly the version of the library",
        duration: "2 to 3 minutes on two cores, once",
    };
    Ok([trunk, wasm_bindgen])
}

fn ensure_tool(workspace: &Workspace, tool: &Tool) -> anyhow::Result<()> {
    if tool.programs.iter().all(|program| has_version(workspace, program, &tool.version)) {
        return Ok(());
    }
    let title = format!("{} {}", tool.package, tool.version);
    let step = Step::begin(&title, tool.why);
    if !(workspace.which("cargo-binstall").is_some() && binstall(workspace, tool)) {
        note(&format!("compiling it into {}: {}", workspace.tools().display(), tool.duration));
        compile(workspace, tool)?;
    }
    if !tool.programs.iter().all(|program| has_version(workspace, program, &tool.version)) {
        bail!("{title} was installed, but does not start from {}", workspace.tools().join("bin").display());
    }
    step.done();
    Ok(())
}

fn has_version(workspace: &Workspace, program: &str, version: &str) -> bool {
    output_of(workspace.command(program).arg("--version"))
        .is_some_and(|printed| printed.split_whitespace().nth(1) == Some(version))
}

fn binstall(workspace: &Workspace, tool: &Tool) -> bool {
    note("asking cargo-binstall for a ready-made program");
    let mut command =
        workspace.cargo(&["binstall", "--no-confirm", "--strategies", "crate-meta-data,quick-install"]);
    command.arg("--root").arg(workspace.tools()).arg(format!("{}@{}", tool.package, tool.version));
    check(&mut command).is_ok()
}

fn compile(workspace: &Workspace, tool: &Tool) -> anyhow::Result<()> {
    // A directory of its own that survives an interruption: the next attempt goes on where this one stopped.
    let build = workspace.target().join("tools-build");
    let mut command = workspace.cargo(&["install", "--locked", tool.package, "--version", &tool.version]);
    command.args(tool.arguments).arg("--root").arg(workspace.tools()).arg("--target-dir").arg(&build);
    command
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", tool.opt_level)
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    check(&mut command).with_context(|| {
        format!(
            "{} {} could not be installed. Is crates.io (or your mirror of it) within reach?\n  \
             A program of this very version that is on PATH is taken as well",
            tool.package, tool.version
        )
    })?;
    // Some hundred megabytes that nothing needs any more. If it cannot be removed, nothing is lost but space.
    let _ = std::fs::remove_dir_all(&build);
    Ok(())
}

/// The version that Cargo.lock pins, so that tool and library cannot part.
fn locked_version(root: &Path, package: &str) -> anyhow::Result<String> {
    let path = root.join("Cargo.lock");
    let lock = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    version_in_lock(&lock, package).with_context(|| format!("Cargo.lock does not contain {package}"))
}

fn version_in_lock(lock: &str, package: &str) -> Option<String> {
    let wanted = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != wanted).skip(1);
    let version = lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')?;
    Some(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_package_is_read_from_the_lock_file() {
        let lock = "[[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.129\"\n\n\
                    [[package]]\nname = \"wasm-bindgen-futures\"\nversion = \"0.4.79\"\n";
        assert_eq!(version_in_lock(lock, "wasm-bindgen").as_deref(), Some("0.2.129"));
        assert_eq!(version_in_lock(lock, "wasm-bindgen-futures").as_deref(), Some("0.4.79"));
        assert_eq!(version_in_lock(lock, "wasm"), None);
    }
}
