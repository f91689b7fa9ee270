//! `cargo xtask dist`: what is put on a server.

use crate::step::{Step, note};
use crate::workspace::{Workspace, check, output_of};
use crate::{page, tools};
use anyhow::Context;
use std::path::Path;

const WITH_IT: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"];

pub fn dist(workspace: &Workspace) -> anyhow::Result<()> {
    page::build(workspace, &tools::ensure(workspace)?)?;
    let step = Step::begin("Binary", "with all optimisations, across the borders of crates");
    check(&mut workspace.cargo(&["build", "--profile", "dist", "--locked", "--package", "relay"]))?;
    step.done();
    let step = Step::begin("Archive", "the binary, its licences and a checksum");
    let name = format!("wordraft-{}-{}", env!("CARGO_PKG_VERSION"), host(workspace)?);
    let package = workspace.target().join("package");
    let directory = package.join(&name);
    std::fs::create_dir_all(&directory)?;
    copy(&workspace.target().join("dist/wordraft"), &directory.join("wordraft"))?;
    for file in WITH_IT {
        copy(&workspace.root().join(file), &directory.join(file))?;
    }
    let archive = format!("{name}.tar.gz");
    check(workspace.command("tar").current_dir(&package).args(["-czf", &archive, &name]))?;
    let sum = output_of(workspace.command("sha256sum").current_dir(&package).arg(&archive))
        .context("sha256sum failed")?;
    std::fs::write(package.join(format!("{archive}.sha256")), format!("{sum}\n"))?;
    let bytes = std::fs::metadata(package.join(&archive))?.len();
    note(&format!("{} ({:.1} MB)", package.join(&archive).display(), bytes as f64 / 1e6));
    step.done();
    Ok(())
}

fn host(workspace: &Workspace) -> anyhow::Result<String> {
    let printed = output_of(workspace.command("rustc").arg("-vV")).context("rustc -vV failed")?;
    let host = printed
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc does not name its host")?;
    Ok(host.to_owned())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}
