//! What the tests need that make networks of their own.

use crate::apt;
use crate::workspace::Workspace;
use anyhow::Context;

/// Programs, and Debian's packages that bring them.
const NEEDED: [(&str, &str); 4] =
    [("ip", "iproute2"), ("nft", "nftables"), ("nsenter", "util-linux"), ("unshare", "util-linux")];

pub fn ensure(workspace: &Workspace) -> anyhow::Result<()> {
    let mut missing: Vec<&str> = (NEEDED.iter())
        .filter(|(program, _)| workspace.which(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    apt::install(workspace, &missing, "a megabyte").with_context(|| {
        format!("the tests that make networks of their own need the packages {}", missing.join(" "))
    })
}
