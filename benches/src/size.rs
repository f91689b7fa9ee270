//! What files weigh, as they are and as they travel.

use anyhow::Context;
use flate2::{Compression, write::GzEncoder};
use std::io::Write;
use std::path::Path;

fn gzipped(bytes: &[u8]) -> std::io::Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}

/// Kilobytes of 1,000 bytes, raw and gzipped.
fn weigh(path: &Path) -> anyhow::Result<(f64, f64)> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok((bytes.len() as f64 / 1e3, gzipped(&bytes)? as f64 / 1e3))
}

/// Prints the two modules and the page's files.
pub fn report(core: &Path, raft_rs: &Path, page: &Path) -> anyhow::Result<()> {
    let (_, core_gzipped) = weigh(core)?;
    println!("core {core_gzipped:.1} KB gzipped");
    let (_, raft_rs_gzipped) = weigh(raft_rs)?;
    println!("raft-rs {raft_rs_gzipped:.1} KB gzipped, built the same way");
    println!("\n| file | raw KB | gzipped KB |\n|---|--:|--:|");
    let mut files = vec![core.to_owned(), raft_rs.to_owned()];
    let page = std::fs::read_dir(page).with_context(|| format!("cannot list {}", page.display()))?;
    let mut assets = page.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    assets.sort();
    files.extend(assets.into_iter().filter(|path| path.is_file()));
    for path in &files {
        let (raw, gzipped) = weigh(path)?;
        println!("| {} | {raw:.1} | {gzipped:.1} |", path.file_name().unwrap_or_default().display());
    }
    Ok(())
}
