//! Where things lie, and commands that start there with a clean environment.

use anyhow::{Context, bail};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    pub fn find() -> anyhow::Result<Workspace> {
        let here = std::env::current_dir().context("there is no current directory")?;
        let root = here
            .ancestors()
            .find(|directory| directory.join("xtask/Cargo.toml").is_file())
            .context("start this inside the project's directory")?
            .to_owned();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(directory) => here.join(directory),
            None => root.join("target"),
        };
        Ok(Workspace { root, target })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn target(&self) -> &Path {
        &self.target
    }

    /// What `cargo install --root` of the pinned tools fills.
    pub fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// A command that runs in the workspace's root and finds the pinned tools before any others.
    ///
    /// `cargo run` tells this program about its own package through the environment. Build scripts that watch those
    /// variables would run again each time a build is started from here and then from a shell, so they stay here.
    pub fn command(&self, program: impl Into<OsString>) -> Command {
        let mut command = Command::new(program.into());
        command.current_dir(&self.root).env("PATH", self.search_path());
        for (name, _) in std::env::vars_os() {
            let private = name.to_str().is_some_and(|name| {
                name.starts_with("CARGO_PKG_")
                    || name.starts_with("CARGO_MANIFEST_")
                    || name == "CARGO_BIN_NAME"
            });
            if private {
                command.env_remove(&name);
            }
        }
        command
    }

    /// The cargo that started this program, so that `cargo +nightly xtask test` stays on nightly.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments);
        command
    }

    pub fn cargo_run_release(&self, package: &str, binary: &str, arguments: &[String]) -> anyhow::Result<()> {
        let mut command =
            self.cargo(&["run", "--release", "--locked", "--package", package, "--bin", binary, "--"]);
        check(command.args(arguments))
    }

    /// The program as [`Workspace::command`] would find it.
    pub fn which(&self, program: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.search_path())
            .map(|directory| directory.join(program))
            .find(|path| path.is_file())
    }

    fn search_path(&self) -> OsString {
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let tools = self.tools().join("bin");
        std::env::join_paths(std::iter::once(tools).chain(std::env::split_paths(&inherited)))
            .unwrap_or(inherited)
    }
}

/// Runs a command to its end; anything but success is an error that names it.
pub fn check(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

/// What a command prints to its standard output, or nothing when it cannot be started or fails.
pub fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A command as one would type it.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
