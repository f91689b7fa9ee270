//! `cargo xtask bench` starts this, built with all optimisations.

use anyhow::bail;
use benches::allocations::Counting;
use benches::{raft, size};
use std::path::Path;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["raft"] => raft::report(raft::ROUNDS),
        ["raft", "--rounds", rounds] => raft::report(rounds.parse()?),
        ["size", core, raft_rs, page] => size::report(Path::new(core), Path::new(raft_rs), Path::new(page))?,
        _ => bail!("usage: benches raft [--rounds N] | size CORE RAFT_RS PAGE"),
    }
    Ok(())
}
