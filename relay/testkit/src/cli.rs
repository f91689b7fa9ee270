//! The `wordraft` binary as people use it.

use crate::build_directory;
use std::path::PathBuf;
use std::process::Stdio;
use tokio::io::AsyncWriteExt as _;

/// What a command left behind.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Finished {
    /// The standard output of a command that must have succeeded.
    pub fn output(&self) -> String {
        assert_eq!(self.code, Some(0), "the command failed: {}", self.stderr);
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        let output = self.output();
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("this is not JSON ({error}):\n{output}"))
    }
}

/// Runs `wordraft ARGUMENTS` to its end, with `stdin` as its input.
pub async fn wordraft(arguments: &[&str], stdin: &[u8]) -> Finished {
    let mut command = tokio::process::Command::new(wordraft_binary());
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child =
        command.spawn().unwrap_or_else(|error| panic!("cannot start wordraft {arguments:?}: {error}"));
    let mut input = child.stdin.take().expect("the input was asked for as a pipe");
    let feed = async {
        // A command that ends without reading all of its input is its own affair; its exit code tells.
        let _ = input.write_all(stdin).await;
        drop(input);
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), feed);
    let output = output.expect("our own child can be waited for");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Finished { code: output.status.code(), stdout: output.stdout, stderr }
}

/// The one that `WORDRAFT` names; else the one that cargo builds beside the tests of the package that it belongs to.
pub fn wordraft_binary() -> PathBuf {
    let named = std::env::var_os("WORDRAFT").map(PathBuf::from);
    let path = named.unwrap_or_else(|| build_directory().join("wordraft"));
    assert!(path.is_file(), "{} is missing; it is built with `cargo test --package relay`", path.display());
    path
}
