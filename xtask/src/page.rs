//! The page: Wasm and assets in `dist/`, which the relay's binary then carries inside.

use crate::step::Step;
use crate::wasm_target::{WASM_TARGET, WasmTarget};
use crate::workspace::{Workspace, check};
use anyhow::Context;
use std::io;
use std::path::Path;

pub fn build(workspace: &Workspace, target: &WasmTarget) -> anyhow::Result<()> {
    fetch(workspace, target)?;
    let step = Step::begin("Page", "trunk compiles the application and its workers to Wasm, into dist/");
    let mut trunk = workspace.command("trunk");
    target.prepare(&mut trunk);
    // Not `page`: that is where cargo keeps what the profile of this name needs, and trunk empties the directory.
    let built = workspace.target().join("page-dist");
    // Trunk takes NO_COLOR=1, as many set it, for a wrong value of its option.
    trunk.env_remove("NO_COLOR").args(["build", "--release", "--offline=true", "--locked=true", "--dist"]);
    check(trunk.arg(&built)).context("the page could not be built")?;
    let dist = workspace.root().join("dist");
    mirror(&built, &dist).with_context(|| format!("cannot write {}", dist.display()))?;
    step.done();
    Ok(())
}

/// Makes `to` the same as `from`. What is the same already is not touched: trunk writes every file anew, and the relay,
/// which carries them, would be compiled again each time.
fn mirror(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(to)? {
        let entry = entry?;
        if !from.join(entry.file_name()).exists() {
            match entry.file_type()?.is_dir() {
                true => std::fs::remove_dir_all(entry.path())?,
                false => std::fs::remove_file(entry.path())?,
            }
        }
    }
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            mirror(&source, &target)?;
        } else if std::fs::read(&source)? != std::fs::read(&target).unwrap_or_default() {
            std::fs::copy(&source, &target)?;
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_changes_only_what_differs() {
        let home = std::env::temp_dir().join(format!("wordraft-mirror-{}", std::process::id()));
        let (from, to) = (home.join("from"), home.join("to"));
        for (directory, files) in
            [(&from, [("same", "1"), ("other", "2")]), (&to, [("same", "1"), ("old", "3")])]
        {
            std::fs::create_dir_all(directory.join("inner")).unwrap();
            files.iter().for_each(|(name, text)| std::fs::write(directory.join(name), text).unwrap());
        }
        std::fs::write(from.join("inner/deep"), "4").unwrap();
        let before = std::fs::metadata(to.join("same")).unwrap().modified().unwrap();
        mirror(&from, &to).unwrap();
        let read = |name: &str| std::fs::read_to_string(to.join(name)).ok();
        let found = ["same", "other", "old", "inner/deep"].map(read);
        assert_eq!(found.each_ref().map(Option::as_deref), [Some("1"), Some("2"), None, Some("4")]);
        assert_eq!(std::fs::metadata(to.join("same")).unwrap().modified().unwrap(), before);
        std::fs::remove_dir_all(&home).unwrap();
    }
}
