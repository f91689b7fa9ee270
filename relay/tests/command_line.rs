//! What the command says and with which code it ends when it is used wrongly, or finds nothing to work with.

use std::io::Read as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn wordraft(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wordraft"))
        .args(arguments)
        .env("WORDRAFT_RELAY", "http://127.0.0.1:1/r/lobby")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The command ends with this code, says all of this on the standard error, and nothing on the standard output.
#[track_caller]
fn check(arguments: &[&str], code: i32, said: &[&str]) {
    let output = wordraft(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    for part in said {
        assert!(stderr.contains(part), "{arguments:?} does not say {part:?}: {stderr}");
    }
    assert!(output.stdout.is_empty(), "{arguments:?} writes data");
}

#[test]
fn wrong_arguments_end_with_2() {
    check(&["frobnicate"], 2, &["frobnicate", "--help"]);
    check(&["count"], 2, &["<FILE>"]);
    check(&["count", "--mode", "klingon", "x"], 2, &["klingon", "unicode", "whitespace", "ascii"]);
    check(&["count", "--csv", "--json", "x"], 2, &["--csv", "--json"]);
    check(&["count", "--keep", "--forget", "x"], 2, &["--keep", "--forget"]);
    check(&["count", "--threads", "2", "x"], 2, &["--local"]);
    check(&["count", "--local", "--threads", "0", "x"], 2, &["--threads"]);
    check(&["count", "--verify", "3", "x"], 2, &["--verify 3 is not possible yet", "leave --verify out"]);
    check(&["count", "--top", "100001", "-"], 2, &["--top 100001", "at most 100000", "--csv"]);
    check(&["count", "--top", "100000", "-"], 3, &["no relay answers"]);
    check(&["count", "--csv", "--top", "100001", "-"], 3, &["no relay answers"]);
    check(&["jobs", "show", "aaaaaaaaaaaaaaaa", "--top", "100001"], 2, &["at most 100000"]);
    check(&["count", "--local", "-", "-"], 2, &["once"]);
    check(&["sample", "--bytes", "many"], 2, &["many"]);
    check(&["sample", "--words", "0"], 2, &["--words"]);
    check(&["status", "--relay", "ftp://x"], 2, &["http://HOST:PORT/r/ROOM#SECRET"]);
    check(&["jobs", "show", "not-an-id"], 2, &["job id"]);
    check(&["completions", "tcsh"], 2, &["bash"]);
}

#[test]
fn a_name_that_would_command_terminals_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    check(&["node", "--data", data, "--name", "\u{1b}[2J"], 2, &["control characters", "choose one without"]);
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.txt");
    let missing = missing.to_str().unwrap();
    for how in [&["count", "--local"][..], &["count"], &["documents", "add"]] {
        check(&[how, &[missing]].concat(), 5, &[missing, "check the path"]);
        check(
            &[how, &[directory.path().to_str().unwrap()]].concat(),
            1,
            &["is a directory", "name the files in it"],
        );
    }
}

#[test]
fn a_directory_one_may_not_enter_is_told() {
    // Whoever runs the tests as root may enter everything.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let closed = directory.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        std::fs::write(closed.join("text"), "words").unwrap();
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
        if std::fs::read(closed.join("text")).is_err() {
            check(
                &["count", "--local", closed.join("text").to_str().unwrap()],
                4,
                &["cannot be read", "ls -l"],
            );
        }
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn without_a_relay_every_command_ends_with_3_and_says_how_to_start_one() {
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let id = "aaaaaaaaaaaaaaaa";
    let commands: [&[&str]; 9] = [
        &["count", text.to_str().unwrap()],
        &["documents", "ls"],
        &["documents", "get", id],
        &["jobs", "show", id],
        &["jobs", "words", id],
        &["status"],
        &["status", "--watch"],
        &["members", "ls"],
        &["leader", "show"],
    ];
    for command in commands {
        check(command, 3, &["no relay answers at http://127.0.0.1:1", "wordraft relay"]);
    }
}

#[test]
fn errors_are_json_when_json_is_wanted() {
    let output = wordraft(&["leader", "show", "--json"]);
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["error"]["code"], "unavailable");
    assert!(error["error"]["message"].is_string() && error["error"]["hint"].is_string());
}

#[test]
fn what_answers_but_is_no_relay_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _read = connection.read(&mut request).unwrap();
        std::io::Write::write_all(
            &mut connection,
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nno\n",
        )
        .unwrap();
    });
    check(
        &["status", "--relay", &format!("http://{address}")],
        5,
        &["not in the way of wordraft", "check that the link"],
    );
    server.join().unwrap();
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wordraft"))
        .args(["sample", "--bytes", "1GB"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_with_130() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wordraft"))
        .args(["count", "--local", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It reads, so it has started; its handler was set before.
    std::io::Write::write_all(&mut stdin, &vec![b'a'; 1 << 20]).unwrap();
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    drop(stdin);
}

#[test]
fn samples_are_the_same_for_the_same_arguments() {
    let sample = |seed: &str| wordraft(&["sample", "--bytes", "100kB", "--seed", seed]).stdout;
    assert_eq!(sample("1").len(), 100_000);
    assert_eq!(sample("1"), sample("1"));
    assert_ne!(sample("1"), sample("2"));
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = String::from_utf8(wordraft(&["completions", shell]).stdout).unwrap();
        assert!(script.contains("documents") && script.contains("forget"), "{shell}");
    }
}

#[test]
fn reports_have_no_colours_in_a_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("text");
    std::fs::write(&path, "the words \u{1b}[31m of the text").unwrap();
    let output = wordraft(&["count", "--local", "--mode", "ascii", path.to_str().unwrap()]);
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(report.contains("the") && !report.contains('\u{1b}'), "{report}");
    assert!(output.stderr.is_empty(), "no progress in a pipe");
}
