//! The commands against relays and nodes that run in processes of their own, as users start them.

#![cfg(unix)]

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine: a test that waits for so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A relay or node in its own process, asked to end when the test does.
struct Process {
    child: Child,
    /// What it printed on its standard output when it was up.
    started: Value,
}

impl Process {
    fn start(arguments: &[&str]) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wordraft"))
            .args(arguments)
            .arg("--json")
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Process { child, started: serde_json::from_str(&line).unwrap() }
    }

    fn relay(data: &Path, nodes: &str, more: &[&str]) -> Process {
        let data = data.to_str().unwrap();
        let arguments = ["relay", "--listen", "127.0.0.1:0", "--nodes", nodes, "--data", data];
        Process::start(&[&arguments, more].concat())
    }

    fn link(&self) -> &str {
        self.started["link"].as_str().unwrap()
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Asks it to end, and returns the code with which it does.
    fn stop(mut self, signal: &str) -> Option<i32> {
        self.signal(signal);
        self.child.wait().unwrap().code()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run(self.link(), arguments)
    }

    /// A command that succeeds with JSON.
    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Waits until the cluster is as it should be.
    #[track_caller]
    fn until(&self, what: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let output = self.run(&["status", "--json"]);
            let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            if what(&status) {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the cluster stays like this: {status}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn until_healthy(&self, voters: u64) -> Value {
        self.until(|status| status["quorum"]["healthy"] == true && status["quorum"]["voters"] == voters)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already cannot be killed.
        let _ended = self.child.kill();
        let _waited = self.child.wait();
    }
}

fn run(link: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wordraft"))
        .args(arguments)
        .env("WORDRAFT_RELAY", link)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[track_caller]
fn check_fails(output: &Output, code: i32, said: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(said), "{stderr}");
}

#[test]
fn a_relay_shows_its_cluster_and_ends_cleanly() {
    let directory = tempfile::tempdir().unwrap();
    let relay = Process::relay(directory.path(), "3", &[]);
    assert!(relay.link().starts_with("http://127.0.0.1:") && relay.link().ends_with("/r/lobby"));
    let status = relay.until_healthy(3);
    assert_eq!(status["members"].as_array().unwrap().len(), 3);
    let leader = relay.json(&["leader", "show"]);
    assert_eq!(leader["node"], status["leader"]);
    assert!(leader["name"].is_string() && leader["kind"] == "server" && leader["term"].is_u64());
    let table = String::from_utf8(relay.run(&["status"]).stdout).unwrap();
    assert!(table.contains(leader["name"].as_str().unwrap()) && table.contains("can lose 1"), "{table}");
    assert_eq!(relay.json(&["documents", "ls"])["documents"], Value::Array(Vec::new()));
    assert_eq!(relay.json(&["jobs", "ls"])["jobs"], Value::Array(Vec::new()));
    assert_eq!(relay.stop("-TERM"), Some(0));
}

#[test]
fn the_leadership_is_handed_over() {
    let directory = tempfile::tempdir().unwrap();
    let relay = Process::relay(directory.path(), "3", &[]);
    let status = relay.until_healthy(3);
    let members = status["members"].as_array().unwrap();
    let other = members.iter().find(|member| member["node"] != status["leader"]).unwrap();
    let leader = relay.json(&["leader", "transfer", other["name"].as_str().unwrap()]);
    assert_eq!(leader["node"], other["node"]);
    check_fails(&relay.run(&["leader", "transfer", "Nobody"]), 5, "members ls");
}

#[test]
fn what_is_not_there_ends_with_5() {
    let directory = tempfile::tempdir().unwrap();
    let relay = Process::relay(directory.path(), "1", &[]);
    relay.until_healthy(1);
    let nothing = "aaaaaaaaaaaaaaaa";
    check_fails(&relay.run(&["jobs", "show", nothing]), 5, nothing);
    check_fails(&relay.run(&["jobs", "watch", nothing]), 5, nothing);
    check_fails(&relay.run(&["documents", "get", nothing]), 5, nothing);
    check_fails(&relay.run(&["documents", "rm", nothing]), 5, nothing);
    let attic = relay.link().replace("lobby", "attic");
    check_fails(&run(&attic, &["status"]), 5, "check the link");
}

#[test]
fn a_second_relay_in_the_same_place_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let relay = Process::relay(directory.path(), "0", &[]);
    let listen = relay.started["listen"].as_str().unwrap();
    let other = directory.path().join("other");
    let same_port = ["relay", "--nodes", "0", "--listen", listen, "--data", other.to_str().unwrap()];
    check_fails(&relay.run(&same_port), 5, "--listen");
    let data = directory.path().to_str().unwrap();
    let same_data = ["relay", "--nodes", "0", "--listen", "127.0.0.1:0", "--data", data];
    check_fails(&relay.run(&same_data), 5, "in use by another process");
    check_fails(&relay.run(&["status"]), 3, "--nodes 1");
    assert_eq!(relay.stop("-INT"), Some(0));
}

#[test]
fn data_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "no directory").unwrap();
    let file = file.to_str().unwrap();
    let output = run("http://127.0.0.1:1", &["relay", "--listen", "127.0.0.1:0", "--data", file]);
    check_fails(&output, 1, "choose another data directory");
    let output = run("http://127.0.0.1:1", &["node", "--data", file]);
    check_fails(&output, 1, "choose another data directory");
}

#[test]
fn a_room_with_a_secret_lets_in_whoever_has_the_whole_link() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "open sesame\n").unwrap();
    let data = directory.path().join("data");
    let relay = Process::relay(&data, "1", &["--secret-file", secret.to_str().unwrap()]);
    let (address, _) = relay.link().split_once('#').unwrap();
    relay.until_healthy(1);
    check_fails(&run(address, &["status"]), 4, "use the whole link");
    check_fails(&run(&format!("{address}#close sesame"), &["status"]), 4, "use the whole link");
    let node = directory.path().join("node");
    check_fails(&run(address, &["node", "--data", node.to_str().unwrap()]), 4, "secret");
}

#[test]
fn a_node_joins_and_answers_http_too() {
    let directory = tempfile::tempdir().unwrap();
    let relay = Process::relay(&directory.path().join("relay"), "2", &[]);
    let data = directory.path().join("node");
    let node = Process::start(&[
        "node",
        "--relay",
        relay.link(),
        "--data",
        data.to_str().unwrap(),
        "--name",
        "Lone Ranger",
        "--http",
        "127.0.0.1:0",
    ]);
    let status = relay.until_healthy(3);
    let member =
        status["members"].as_array().unwrap().iter().find(|member| member["name"] == "Lone Ranger").unwrap();
    assert_eq!(member["node"], node.started["node"]);
    let address = format!("http://{}", node.started["http"].as_str().unwrap());
    assert_eq!(member["http"], address);
    let seen: Value = serde_json::from_slice(&run(&address, &["status", "--json"]).stdout).unwrap();
    assert_eq!(seen["node"], node.started["node"], "the node itself answers");
    let page = redirect_of(&format!("{address}/r/lobby"));
    assert_eq!(page, relay.link(), "a tab needs the relay");
    assert_eq!(node.stop("-TERM"), Some(0));
}

#[test]
fn whoever_sends_a_large_text_gets_to_read_why_it_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let relay = Process::relay(directory.path(), "1", &[]);
    let mut connection = TcpStream::connect(relay.started["listen"].as_str().unwrap()).unwrap();
    let bytes = 30_000_000;
    write!(
        connection,
        "POST /api/v1/rooms/attic/documents HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {bytes}\r\n\r\n"
    )
    .unwrap();
    connection.write_all(&vec![b'a'; bytes]).unwrap();
    let answer = std::io::read_to_string(connection).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("check the link"), "{answer}");
}

/// Where an address leads to.
fn redirect_of(address: &str) -> String {
    let mut connection =
        TcpStream::connect(address.trim_start_matches("http://").split('/').next().unwrap()).unwrap();
    let path = address.splitn(4, '/').nth(3).unwrap();
    write!(connection, "GET /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").unwrap();
    let answer = std::io::read_to_string(connection).unwrap();
    assert!(answer.starts_with("HTTP/1.1 307"), "{answer}");
    let location = answer.lines().find_map(|line| line.strip_prefix("location: "));
    location.unwrap_or_else(|| panic!("no location: {answer}")).to_owned()
}

/// A text in many scripts, of several chunks.
fn sample(path: &Path, bytes: &str) -> Vec<u8> {
    let text = run("http://127.0.0.1:1", &["sample", "--bytes", bytes, "--words", "5000"]).stdout;
    std::fs::write(path, &text).unwrap();
    text
}

#[test]
fn the_cluster_counts_what_one_process_counts() {
    let directory = tempfile::tempdir().unwrap();
    let relay = Process::relay(&directory.path().join("relay"), "3", &[]);
    relay.until_healthy(3);
    let (long, short) = (directory.path().join("long.txt"), directory.path().join("short.txt"));
    sample(&long, "12MB");
    std::fs::write(&short, b"no newline at the end, and \xFF\0 bytes").unwrap();
    let files = [long.to_str().unwrap(), short.to_str().unwrap()];
    for mode in ["unicode", "whitespace", "ascii"] {
        let count = |more: &[&str]| {
            let output = relay.run(&[&["count", "--mode", mode], more, &files].concat());
            assert!(output.status.success(), "{mode}: {}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        assert!(count(&["--csv"]) == count(&["--csv", "--local"]), "{mode}");
        let mut reports = [&["--json"][..], &["--json", "--local"]]
            .map(|how| serde_json::from_slice::<serde_json::Map<String, Value>>(&count(how)).unwrap());
        let workers = reports[0]["workers"].as_array().unwrap().clone();
        let bytes: u64 = workers.iter().map(|worker| worker["bytes"].as_u64().unwrap()).sum();
        assert_eq!(bytes, reports[0]["bytes"], "every byte was counted by somebody: {workers:?}");
        for report in &mut reports {
            for key in ["job", "documents", "seconds", "workers"] {
                assert!(report.remove(key).is_some(), "{key}");
            }
        }
        assert_eq!(reports[0], reports[1], "{mode}");
    }
}

#[test]
fn texts_are_stored_counted_again_read_back_and_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let relay = Process::relay(&directory.path().join("relay"), "3", &[]);
    relay.until_healthy(3);
    let file = directory.path().join("text.txt");
    let text = sample(&file, "3MB");
    let file = file.to_str().unwrap();

    let added = relay.json(&["documents", "add", file, "--name", "a text"]);
    let id = added["documents"][0]["id"].as_str().unwrap();
    assert!(relay.run(&["documents", "get", id]).stdout == text);
    let listed = relay.json(&["documents", "ls"]);
    assert_eq!(
        (&listed["documents"][0]["name"], &listed["documents"][0]["expires_at"]),
        (&"a text".into(), &Value::Null)
    );

    let report = relay.json(&["count", file]);
    let job = report["job"].as_str().unwrap();
    assert_eq!(relay.json(&["jobs", "show", job])["result"], report);
    let watched = String::from_utf8(relay.run(&["jobs", "watch", job]).stdout).unwrap();
    assert!(watched.contains("is done"), "{watched}");
    assert!(relay.json(&["jobs", "ls"])["jobs"].as_array().unwrap().iter().any(|listed| listed["id"] == job));
    let first = relay.json(&["jobs", "words", job, "--limit", "1"]);
    assert_eq!(first["words"][0], report["max"]);
    let csv = relay.run(&["jobs", "words", job, "--csv", "--limit", "2"]).stdout;
    assert_eq!(csv.iter().filter(|&&byte| byte == b'\n').count(), 3);
    let all = relay.run(&["jobs", "words", job, "--csv", "--prefix", "the"]).stdout;
    assert!(all.starts_with(b"word,count\nthe,"));

    let before = relay.json(&["documents", "ls"])["documents"].as_array().unwrap().len();
    relay.json(&["count", "--forget", file]);
    assert_eq!(relay.json(&["documents", "ls"])["documents"].as_array().unwrap().len(), before);
    relay.json(&["documents", "rm", id]);
    check_fails(&relay.run(&["documents", "get", id]), 5, id);
}

#[test]
fn a_text_comes_through_a_pipe_or_in_one_request() {
    let directory = tempfile::tempdir().unwrap();
    let relay = Process::relay(directory.path(), "2", &[]);
    relay.until(|status| status["quorum"]["healthy"] == true);
    let mut child = Command::new(env!("CARGO_BIN_EXE_wordraft"))
        .args(["count", "--json", "--top", "1", "--relay", relay.link(), "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"to be or not to be").unwrap();
    let output = child.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["total"], &report["top"]),
        (&6.into(), &serde_json::json!([{"word": "be", "count": 2}]))
    );
    let nothing = relay.json(&["count", "/dev/null"]);
    assert_eq!((&nothing["total"], &nothing["max"]), (&0.into(), &Value::Null));
}

#[test]
fn whoever_interrupts_a_count_leaves_no_job_running() {
    let directory = tempfile::tempdir().unwrap();
    let relay = Process::relay(&directory.path().join("relay"), "1", &[]);
    relay.until_healthy(1);
    let file = directory.path().join("text.txt");
    sample(&file, "60MB");
    let child = Command::new(env!("CARGO_BIN_EXE_wordraft"))
        .args(["count", "--forget", "--relay", relay.link(), file.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let count = Process { child, started: Value::Null };
    let start = Instant::now();
    let jobs = || relay.json(&["jobs", "ls"])["jobs"].clone();
    while jobs() == Value::Array(Vec::new()) {
        assert!(start.elapsed() < PATIENCE, "no job");
    }
    assert_eq!(count.stop("-INT"), Some(130));
    assert_eq!(jobs()[0]["state"], "cancelled");
    assert_eq!(relay.json(&["documents", "ls"])["documents"], Value::Array(Vec::new()), "as --forget asked");
}
