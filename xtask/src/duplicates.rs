//! One version of each dependency: two of them cost build time and bytes, and their types do not fit together.

use crate::wasm_target::WASM_TARGET;
use crate::workspace::{Workspace, output_of};
use anyhow::{Context, bail};
use std::collections::{BTreeMap, BTreeSet};

/// Packages that stand twice in the tree because others, which we need, still ask for the older one.
const ALLOWED: &[(&str, &str)] = &[
    ("base64", "reqwest and hyper-util are ahead of axum"),
    ("block-buffer", SHA1),
    ("cpufeatures", SHA1),
    ("crypto-common", SHA1),
    ("digest", SHA1),
    ("getrandom", "ring and tungstenite each ask for an older one than we do"),
    ("gloo-timers", YEW),
    ("rand_chacha", TUNGSTENITE),
    ("rand_core", TUNGSTENITE),
    ("thiserror", YEW),
];

const SHA1: &str =
    "axum and tungstenite hash WebSocket keys with sha1 0.10; ed25519-dalek is a generation ahead";
const TUNGSTENITE: &str = "tungstenite 0.29, which axum uses, still draws its masks from rand 0.9";
const YEW: &str = "yew 0.23 brings gloo 0.11, which is older than what we use directly";

pub fn check(workspace: &Workspace) -> anyhow::Result<()> {
    let duplicates = duplicates(workspace)?;
    let mut wrong = String::new();
    for (name, versions) in &duplicates {
        let versions = versions.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        match ALLOWED.iter().find(|(allowed, _)| allowed == name) {
            Some((_, reason)) => crate::step::note(&format!("{name} {versions}: {reason}")),
            None => {
                wrong += &format!(
                    "\n  {name} {versions}: see `cargo tree -d -i {name}@…`, align them, or give a reason"
                )
            }
        }
    }
    for (name, _) in ALLOWED.iter().filter(|(name, _)| !duplicates.contains_key(*name)) {
        wrong += &format!("\n  {name} is there only once by now: take it off the list in {}", file!());
    }
    if !wrong.is_empty() {
        bail!("more than one version of the same package:{wrong}");
    }
    Ok(())
}

/// In what is linked into the binary and into the page, each by itself: macros and test tools cost neither anything.
fn duplicates(workspace: &Workspace) -> anyhow::Result<BTreeMap<String, BTreeSet<String>>> {
    let mut found = BTreeMap::new();
    let native = ["--package", "relay", "--package", "simulator"];
    let wasm = ["--package", "web-peer", "--target", WASM_TARGET];
    for packages in [native.as_slice(), wasm.as_slice()] {
        let mut tree = workspace.cargo(&[
            "tree",
            "--locked",
            "--edges",
            "normal,no-proc-macro",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ]);
        let tree = output_of(tree.args(packages)).context("cargo tree failed")?;
        let duplicates = versions(&tree).into_iter().filter(|(_, versions)| versions.len() > 1);
        duplicates
            .for_each(|(name, versions)| found.entry(name).or_insert_with(BTreeSet::new).extend(versions));
    }
    Ok(found)
}

/// From lines such as `serde v1.0.229 (*)`.
fn versions(tree: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            versions.entry(name.to_owned()).or_default().insert(version.to_owned());
        }
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_collected_by_name() {
        let found = versions(
            "syn v1.0.109 (proc-macro)\nserde v1.0.229\nsyn v2.0.119 (proc-macro) (*)\nserde v1.0.229 (*)\n",
        );
        assert_eq!(found["syn"], BTreeSet::from(["v1.0.109".to_owned(), "v2.0.119".to_owned()]));
        assert_eq!(found["serde"].len(), 1);
    }
}
