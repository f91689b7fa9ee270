//! The leader's process is killed while somebody writes: how long until a write is acknowledged again, and is all that
//! was acknowledged still there? And what if it is stopped politely?

use reqwest::Method;
use std::time::{Duration, Instant};
use testkit::cluster::PATIENCE;
use testkit::{Cluster, TestNode, TestRelay, until};

const NAMES: [&str; 3] = ["Ash", "Birch", "Cedar"];

/// `ROUNDS=20 cargo test -p relay --release --test failover -- --nocapture` prints a longer table.
fn rounds() -> usize {
    std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3)
}

struct Server {
    process: TestNode,
    cluster: Cluster,
}

impl Server {
    async fn start(relay: &TestRelay, name: &str) -> Server {
        let mut process = TestNode::start_with(&relay.link(), name, &["--http", "127.0.0.1:0"]);
        let cluster = process.cluster().await;
        Server { process, cluster }
    }

    /// One attempt to store a text. What it ends in says nothing about whether the text is stored, unless it is `Ok`.
    async fn write(&self, name: &str) -> Result<(), String> {
        let path = format!("documents?name={name}");
        let answer =
            self.cluster.room().post(&path, name.to_owned()).await.map_err(|error| error.to_string())?;
        if answer.status == 201 { Ok(()) } else { Err(answer.text()) }
    }
}

#[tokio::test]
async fn writes_go_on_after_the_leader_was_killed() {
    let relay = TestRelay::start(0).await;
    let mut servers = Vec::new();
    for name in NAMES {
        servers.push(Server::start(&relay, name).await);
    }
    let mut times = Vec::new();
    let mut acknowledged = Vec::new();
    for round in 0..rounds() {
        let view = servers[0].cluster.see_voters(NAMES.len()).await;
        let leader =
            view["members"].as_array().expect("a list").iter().find(|member| member["role"] == "leader");
        let name = leader.and_then(|leader| leader["name"].as_str()).expect("a healthy quorum has a leader");
        let at = NAMES.iter().position(|other| name == *other).expect("one of ours");
        let written = format!("round-{round}");
        servers[at].process.kill();
        let killed = Instant::now();
        let survivors = [&servers[(at + 1) % NAMES.len()], &servers[(at + 2) % NAMES.len()]];
        let mut attempts = 0;
        until("a write that is acknowledged", PATIENCE, async || {
            attempts += 1;
            survivors[attempts % survivors.len()].write(&written).await
        })
        .await;
        times.push(killed.elapsed());
        acknowledged.push(written);
        println!("{round:>3}  {name:<8} {:>5} ms  {attempts} attempts", times[round].as_millis());
        servers[at].process.restart();
        servers[at].cluster = servers[at].process.cluster().await;
    }
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_millis();
    println!("median {} ms, 95 of 100 {} ms, longest {} ms", at(50), at(95), at(100));

    servers[0].cluster.see_voters(NAMES.len()).await;
    let stored = servers[0].cluster.room().get("documents").await.expect("a live server answers").json();
    let stored = stored["documents"].as_array().expect("a list");
    for name in &acknowledged {
        let copies = stored.iter().filter(|document| document["name"] == name.as_str()).count();
        assert!(copies >= 1, "{name} was acknowledged and is gone");
    }
    // No bound that a busy machine could miss: this one tells that it was an election, and nothing that waited.
    assert!(at(100) < Duration::from_secs(10).as_millis());
}

#[tokio::test]
async fn a_leader_that_is_told_to_stop_hands_over_before_it_goes() {
    let relay = TestRelay::start(0).await;
    let mut servers = Vec::new();
    for name in NAMES {
        servers.push(Server::start(&relay, name).await);
    }
    for round in 0..rounds() {
        let view = servers[0].cluster.see_voters(NAMES.len()).await;
        let leader =
            view["members"].as_array().expect("a list").iter().find(|member| member["role"] == "leader");
        let name = leader.and_then(|leader| leader["name"].as_str()).expect("a healthy quorum has a leader");
        let at = NAMES.iter().position(|other| name == *other).expect("one of ours");
        let witness = servers[(at + 1) % NAMES.len()].cluster.clone();
        let watch = witness.room().request(Method::GET, "cluster/events").send();
        let mut events = watch.await.expect("a live server answers");

        let told = Instant::now();
        let exit = servers[at].process.process().terminate().await;
        let stopped = told.elapsed();
        assert!(exit.success(), "{exit}");
        servers[(at + 1) % NAMES.len()].write(&format!("round-{round}")).await.expect("the first attempt");
        println!("{round:>3}  {name:<8} gone after {stopped:?}, written after {:?}", told.elapsed());

        let mut story = String::new();
        while !story.contains("member_left") {
            let piece = tokio::time::timeout(PATIENCE, events.chunk()).await.expect("in time");
            story += &String::from_utf8_lossy(&piece.expect("a stream").expect("more of it"));
        }
        let elected = story.find("leader_elected").expect("a new leader");
        assert!(
            elected < story.find("member_left").expect("just seen"),
            "it went before it handed over: {story}"
        );
        servers[at].process.restart();
        servers[at].cluster = servers[at].process.cluster().await;
    }
}
