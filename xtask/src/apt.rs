//! Debian's packages, where there are any and we may install them.

use crate::step::note;
use crate::workspace::{Workspace, check, output_of};
use anyhow::bail;
use std::process::Command;

/// `size`: how much that is, roughly, for whoever waits.
pub fn install(workspace: &Workspace, packages: &[&str], size: &str) -> anyhow::Result<()> {
    if workspace.which("apt-get").is_none() {
        bail!("there is no apt-get here");
    }
    let is_root = output_of(workspace.command("id").arg("-u")).as_deref() == Some("0");
    if !is_root && output_of(workspace.command("sudo").args(["-n", "true"])).is_none() {
        bail!("installing packages needs root, and sudo asks for a password");
    }
    note(&format!("apt-get install {} ({size}, once)", packages.join(" ")));
    check(apt_get(workspace, is_root).arg("update"))?;
    check(apt_get(workspace, is_root).args(["install", "--yes", "--no-install-recommends"]).args(packages))
}

/// Another installation may be on its way; and nobody is there to answer questions.
fn apt_get(workspace: &Workspace, is_root: bool) -> Command {
    let mut command = workspace.command(if is_root { "env" } else { "sudo" });
    if !is_root {
        command.args(["-n", "env"]);
    }
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=400", "-qq"]);
    command
}
