//! Who may know whom. The compiler cannot see these borders, so this reads the sources as text.

mod paths;

use anyhow::{Context, bail};
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 450;

/// Code below `within` must not name any of `forbidden`.
struct Border {
    within: &'static str,
    forbidden: &'static [&'static str],
    why: &'static str,
}

const BORDERS: &[Border] = &[
    Border {
        within: "shared/src/raft",
        forbidden: &["crate::state_machine", "crate::node", "crate::words"],
        why: "consensus carries opaque bytes; what they mean is the state machine's business",
    },
    Border {
        within: "shared/src/state_machine",
        forbidden: &["crate::raft", "crate::node"],
        why: "the state machine applies commands in order and does not know where the order came from",
    },
    Border {
        within: "shared/src/words",
        forbidden: &["crate::raft", "crate::state_machine", "crate::node", "crate::wire"],
        why: "counting is pure: text in, counts out",
    },
    Border {
        within: "shared/src",
        forbidden: &[
            "std::net",
            "std::fs",
            "std::process",
            "std::thread",
            "std::env",
            "tokio",
            "web_sys",
            "js_sys",
        ],
        why: "the core does no IO; a driver does, and brings the outcome as an input",
    },
    Border {
        within: "shared/src",
        forbidden: &["Instant::now", "SystemTime::now", "std::time::Instant", "std::time::SystemTime"],
        why: "time comes from the driver with every input",
    },
    Border {
        within: "shared/src",
        forbidden: &["thread_rng", "getrandom", "OsRng", "RandomState", "from_os_rng"],
        why: "randomness comes from a seed, so that the simulator can repeat a run",
    },
];

/// The members that a member may depend on.
const DEPENDENCIES: &[(&str, &[&str])] = &[
    ("shared", &[]),
    ("relay", &["wordraft-shared", "testkit", "linearizability"]),
    // Its tests let the pinned run happen in Wasm.
    ("web-peer", &["wordraft-shared", "simulator"]),
    ("simulator", &["wordraft-shared", "linearizability"]),
    ("model", &["wordraft-shared"]),
    ("linearizability", &[]),
    ("xtask", &[]),
    ("relay/testkit", &[]),
    ("benches", &["wordraft-shared"]),
];

const MEMBERS: &[&str] = &[
    "wordraft-shared",
    "relay",
    "web-peer",
    "simulator",
    "model",
    "linearizability",
    "xtask",
    "testkit",
    "benches",
];

/// Checks every source file below `root`, and tells everything that is wrong at once.
pub fn check(root: &Path) -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for path in sources(root)? {
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        wrong.extend(too_long(&name, &text));
        wrong.extend(crossings(&name, &text));
    }
    for (member, allowed) in DEPENDENCIES {
        let manifest = root.join(member).join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest)
            .with_context(|| format!("cannot read {}", manifest.display()))?;
        wrong.extend(forbidden_dependencies(member, &text, allowed));
    }
    if !wrong.is_empty() {
        bail!("the layers are not what ARCHITECTURE.md says:\n  {}", wrong.join("\n  "));
    }
    Ok(())
}

fn too_long(name: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > LINES_MAX).then(|| {
        format!("{name}: {lines} lines, more than {LINES_MAX}; which idea in it wants a file of its own?")
    })
}

fn crossings(name: &str, text: &str) -> Vec<String> {
    // Tests in files of their own, as those inside `#[cfg(test)]`, may read scripts and use threads.
    if name.ends_with("/tests.rs") || name.contains("/tests/") {
        return Vec::new();
    }
    let borders: Vec<&Border> =
        BORDERS.iter().filter(|border| Path::new(name).starts_with(border.within)).collect();
    if borders.is_empty() {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    for named in paths::named_in(text, &paths::module_of(name)) {
        for border in &borders {
            if let Some(forbidden) = border.forbidden.iter().find(|forbidden| named.contains(forbidden)) {
                wrong.push(format!(
                    "{name}:{}: `{}` names {forbidden}: {}",
                    named.line,
                    named.path(),
                    border.why
                ));
            }
        }
    }
    wrong
}

fn forbidden_dependencies(member: &str, manifest: &str, allowed: &[&str]) -> Vec<String> {
    let named = dependencies(manifest)
        .into_iter()
        .map(|name| if name == "shared" { "wordraft-shared".to_owned() } else { name });
    named
        .filter(|name| MEMBERS.contains(&name.as_str()) && !allowed.contains(&name.as_str()))
        .map(|name| format!("{member}/Cargo.toml: {member} must not depend on {name}"))
        .collect()
}

/// The names below every kind of `[dependencies]` header, and what `package = "…"` renames.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            inside = header.ends_with("dependencies");
            if let Some((before, name)) = header.rsplit_once('.')
                && before.ends_with("dependencies")
            {
                names.push(name.to_owned());
            }
        } else if inside && let Some((name, value)) = line.split_once('=') {
            names.push(name.split('.').next().unwrap_or(name).trim().to_owned());
            let renamed = value.split_once("package").and_then(|(_, rest)| rest.split('"').nth(1));
            names.extend(renamed.map(str::to_owned));
        }
    }
    names
}

/// Every Rust file of the project: not what is generated, downloaded or hidden.
fn sources(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in
            std::fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?
        {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir()
                && !name.starts_with('.')
                && !matches!(name.as_ref(), "target" | "dist" | "node_modules")
            {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crossed(name: &str, text: &str) -> usize {
        crossings(name, text).len()
    }

    #[test]
    fn consensus_does_not_know_the_state_machine_by_any_spelling() {
        for text in [
            "use crate::state_machine::Command;",
            "use crate::{ids::NodeId, state_machine};",
            "use super::super::node::Node;",
            "use crate::{\n  time::Time,\n  node::{Input},\n};",
            "fn f() { let x = crate::state_machine::digest(); }",
        ] {
            assert_eq!(crossed("shared/src/raft/log.rs", text), 1, "{text}");
        }
        assert_eq!(
            crossed("shared/src/raft/log.rs", "use crate::ids::NodeId; use super::message::Message;"),
            0
        );
        assert_eq!(
            crossed("shared/src/node/mod.rs", "use crate::raft::Raft; use crate::state_machine::Command;"),
            0
        );
        assert_eq!(crossed("shared/src/raft/mod.rs", "mod node; use self::node::Peer;"), 0);
    }

    #[test]
    fn the_core_reads_no_clock_and_opens_no_file() {
        assert_eq!(crossed("shared/src/node/mod.rs", "fn f() { let t = Instant::now(); }"), 1);
        assert_eq!(crossed("shared/src/wire/mod.rs", "use std::{fmt, fs::File};"), 1);
        assert_eq!(crossed("shared/src/wire/mod.rs", "use std::time::Duration; // std::fs in words"), 0);
        assert_eq!(crossed("relay/src/main.rs", "use std::fs;"), 0);
    }

    #[test]
    fn tests_beside_the_core_may_read_their_scripts() {
        let text = "fn core() {}\n#[cfg(test)]\nmod tests { use std::fs; fn f() { let brace = \"}\"; std::fs::read(brace); } }";
        assert_eq!(crossed("shared/src/raft/log.rs", text), 0);
        assert_eq!(crossed("shared/src/raft/log.rs", &format!("{text}\nuse std::fs;")), 1);
        assert_eq!(crossed("shared/src/words/tests/vectors.rs", "use std::fs;"), 0);
    }

    #[test]
    fn members_depend_only_on_the_core() {
        let manifest = "[dependencies]\nshared.workspace = true\nweb-peer = { path = \"../web-peer\" }\n[lints]\nworkspace = true";
        assert_eq!(forbidden_dependencies("relay", manifest, &["wordraft-shared"]).len(), 1);
        let renamed =
            "[target.'cfg(unix)'.dev-dependencies]\nhub = { package = \"relay\", path = \"../relay\" }";
        assert_eq!(forbidden_dependencies("web-peer", renamed, &["wordraft-shared"]).len(), 1);
        assert_eq!(
            forbidden_dependencies("web-peer", "[dependencies.relay]\npath = \"../relay\"", &[]).len(),
            1
        );
    }

    #[test]
    fn a_file_of_one_line_too_many_is_named() {
        assert!(too_long("a.rs", &"\n".repeat(LINES_MAX)).is_none());
        assert!(too_long("a.rs", &"\n".repeat(LINES_MAX + 1)).is_some());
    }
}
