//! A node that records is killed in the middle of its work; its recording tells all of it again.

use serde_json::Value;
use std::fs;
use std::path::Path;
use testkit::{Finished, Process, TestNode, TestRelay, Text, wordraft};

async fn replay(file: &Path, more: &[&str]) -> Finished {
    let file = file.to_str().expect("a path in plain letters");
    wordraft(&[&["replay", file], more].concat(), b"").await
}

#[tokio::test]
async fn a_killed_nodes_recording_gives_the_same_bytes_again() {
    let directory = tempfile::tempdir().unwrap();
    let (file, first) = (directory.path().join("heron.recording"), directory.path().join("first.recording"));
    let relay = TestRelay::start(2).await;
    let record = ["--record", file.to_str().unwrap()];
    let mut node = TestNode::start_with(&relay.link(), "Quiet Heron", &record);
    relay.cluster().see_voters(3).await;
    let text = Text::generate(3 << 20, 7);
    let path = text.path().to_str().unwrap();
    let counted = wordraft(&["count", "--relay", &relay.link(), "--json", path], b"").await.json();
    assert_eq!(counted["total"], text.total, "{counted}");
    node.kill();

    let told = replay(&file, &[]).await.output();
    assert!(told.contains("the same bytes out") && told.contains("breaks off here"), "{told}");
    for line in ["Quiet Heron (", "enters cluster", "== follower in term", "AddDocument", "FinishJob"] {
        assert!(told.contains(line), "no \"{line}\" in\n{told}");
    }
    assert_private(&file);
    assert_parts(&file).await;
    assert_damage_is_noticed(&file, &directory.path().join("damaged.recording")).await;

    // What was recorded is never written over.
    node.restart();
    assert_eq!(node.process().end().await.code(), Some(5));
    assert!(node.process().log().join("\n").contains("is there already"));

    // The same node again, with a log and blocks to begin with; stopped in order this time.
    fs::rename(&file, &first).unwrap();
    node.restart();
    relay.cluster().see_member("Quiet Heron").await;
    node.stop().await;
    let told = replay(&file, &[]).await.output();
    assert!(told.contains("the node stopped") && told.contains("the same bytes out"), "{told}");
    assert!(told.contains(", of cluster "), "{told}");
}

#[cfg(unix)]
fn assert_private(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Parts of a transcript, for programs and step by step.
async fn assert_parts(file: &Path) {
    let all = replay(file, &["--json", "--all"]).await.output();
    let lines: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (end, steps) = lines.split_last().unwrap();
    assert!(end["same"] == true && end["inputs"] == steps.len(), "{end}");
    assert!(steps.iter().zip(1..).all(|(step, number)| step["input"] == number));

    let some = replay(file, &["--json", "--all", "--from", "5", "--to", "9", "--step"]).await.output();
    assert_eq!(some.lines().count(), 6);
    assert_eq!(some.lines().next(), all.lines().nth(4));
    assert!(some.contains("the recording goes on"), "{some}");

    let members = replay(file, &["--only", "members"]).await.output();
    assert!(members.contains("enters cluster") && !members.contains("AddDocument"), "{members}");
}

async fn assert_damage_is_noticed(file: &Path, copy: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(copy, &bytes).unwrap();
    let refused = replay(copy, &[]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("is damaged at byte"), "{}", refused.stderr);
    fs::write(copy, b"a text of mine").unwrap();
    let refused = replay(copy, &[]).await;
    assert!(
        refused.code == Some(1) && refused.stderr.contains("no recording of wordraft"),
        "{}",
        refused.stderr
    );
}

#[tokio::test]
async fn a_full_recording_ends_and_its_node_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("small.recording");
    let relay = TestRelay::start(1).await;
    let record = ["--record", file.to_str().unwrap(), "--record-limit", "20kB"];
    let mut node = TestNode::start_with(&relay.link(), "Brief Heron", &record);
    let process: &mut Process = node.process();
    process.logged("the end of the recording", |line| line.contains("limit of size").then_some(())).await;
    relay.cluster().see_member("Brief Heron").await;
    let text = Text::generate(100 << 10, 3);
    let path = text.path().to_str().unwrap();
    let counted = wordraft(&["count", "--relay", &relay.link(), "--json", path], b"").await.json();
    assert_eq!(counted["total"], text.total);
    let told = replay(&file, &[]).await.output();
    assert!(told.contains("limit of size") && told.contains("the same bytes out"), "{told}");
    assert!(fs::metadata(&file).unwrap().len() < 20_100);
}
