//! Tabs and servers in one cluster, as people use them: real Chromium, real processes, real texts.

use serde_json::Value;
use std::time::Instant;
use testkit::browser::{Scheme, Screen};
use testkit::cluster::{PATIENCE, members};
use testkit::{Browser, Cluster, Tab, TestNode, TestRelay, Text, until};

/// A tab that has become a member, and its node's id and name.
struct Member {
    tab: Tab,
    node: String,
    name: String,
}

impl Member {
    async fn join(browser: &Browser, relay: &TestRelay) -> Member {
        Member::of(browser.open(&relay.link()).await).await
    }

    async fn of(tab: Tab) -> Member {
        tab.until("document.querySelector('#members tr.mine:not([data-role=joining])')", PATIENCE).await;
        let node = tab.run("return document.querySelector('#members tr.mine').dataset.node").await;
        let name = tab.text("#my-name").await;
        Member { tab, node: node.as_str().expect("an id is a text").to_owned(), name }
    }

    /// The job on show, once there is one in that state.
    async fn job(&self, state: &str) -> String {
        let selector = format!("#job[data-state={state}]");
        self.tab.until(&format!("document.querySelector('{selector}')"), PATIENCE).await;
        let job = self.tab.run("return document.querySelector('#job').dataset.job").await;
        job.as_str().expect("an id is a text").to_owned()
    }

    async fn drop_text(&self, text: &Text) {
        self.tab.drop_file("#file", "#drop", text.path()).await;
    }

    async fn leader(&self) -> Value {
        self.tab.run("return document.querySelector('#members [data-role=leader]')?.dataset.node").await
    }

    /// The page's totals are the text's.
    async fn assert_shows(&self, job: &str, text: &Text) {
        let shown = format!("document.querySelector('#job[data-job=\"{job}\"][data-state=done]')");
        self.tab.until(&shown, PATIENCE).await;
        for (id, expected) in [("words", text.total), ("unique", text.unique()), ("lines", text.lines)] {
            let number = self.tab.text(&format!("#total-{id}")).await.replace(',', "");
            assert_eq!(number, expected.to_string(), "{id} on the page of {}", self.name);
        }
    }

    /// The complete table as a person gets it, by the button under the result.
    async fn downloaded_csv(&self) -> String {
        self.tab
            .run(
                "const made = URL.createObjectURL;
                 URL.createObjectURL = (blob) => { window.saved = blob; return made.call(URL, blob); };
                 document.querySelector('#download').click();",
            )
            .await;
        self.tab.until("window.saved", PATIENCE).await;
        self.tab.run("return window.saved.text()").await.as_str().expect("a text").to_owned()
    }
}

async fn members_in(browser: &Browser, relay: &TestRelay, tabs: usize) -> Vec<Member> {
    let mut members = Vec::new();
    for _ in 0..tabs {
        members.push(Member::join(browser, relay).await);
    }
    members
}

/// How many bytes of a result were counted by members of a kind.
fn bytes_by(result: &Value, kind: &str) -> u64 {
    let workers = result["workers"].as_array().expect("a list");
    workers.iter().filter(|worker| worker["kind"] == kind).filter_map(|worker| worker["bytes"].as_u64()).sum()
}

async fn assert_no_errors(browser: &Browser) {
    let errors = browser.console_errors().await;
    assert!(errors.is_empty(), "errors in the console: {errors:#?}");
}

async fn take_pictures(tab: &Tab, name: &str) {
    for (scheme, scheme_name) in [(Scheme::Light, "light"), (Scheme::Dark, "dark")] {
        tab.set_scheme(scheme).await;
        for (screen, screen_name) in [(Screen::Desktop, "wide"), (Screen::Phone, "phone")] {
            tab.set_screen(screen).await;
            tab.screenshot(&format!("{name}-{scheme_name}-{screen_name}")).await;
        }
    }
}

#[tokio::test]
async fn tabs_and_servers_count_a_text_together() {
    let relay = TestRelay::start(3).await;
    let _server = TestNode::start(&relay.link(), "Outpost");
    let cluster = relay.cluster();
    cluster.see_member("Outpost").await;
    let browser = Browser::start().await;
    let tabs = members_in(&browser, &relay, 3).await;
    // Four servers anchor the quorum, so all three tabs may vote.
    let view = cluster.see_voters(7).await;
    assert!(tabs.iter().all(|tab| members(&view).iter().any(|member| member["node"] == tab.node)));

    cluster.make_leader(&tabs[0].node).await;
    let text = Text::generate(50_000_000, 1);
    tabs[1].drop_text(&text).await;
    let job = tabs[1].job("done").await;
    let result = cluster.assert_exact(&job, &text).await;
    assert!(bytes_by(&result, "tab") > 0 && bytes_by(&result, "server") > 0, "{}", result["workers"]);
    for tab in &tabs {
        tab.assert_shows(&job, &text).await;
    }
    assert!(tabs[2].downloaded_csv().await == text.csv(), "the file that the page offers");
    take_pictures(&tabs[1].tab, "cluster").await;

    tabs[2].tab.click("#stop").await;
    tabs[2].tab.until("document.querySelector('.notice')", PATIENCE).await;
    tabs[2].tab.screenshot("stopped").await;
    cluster
        .see("the stopped tab gone", |view| {
            members(view).iter().all(|member| member["node"] != tabs[2].node || member["online"] == false)
        })
        .await;
    assert_no_errors(&browser).await;
}

#[tokio::test]
async fn tabs_alone_survive_their_leader_and_find_everything_again() {
    let relay = TestRelay::start(0).await;
    let browser = Browser::start().await;
    let mut tabs = members_in(&browser, &relay, 3).await;
    let three_voters = "document.querySelector('#cluster-sentence').textContent.startsWith('3 voters')";
    tabs[0].tab.until(three_voters, PATIENCE).await;
    let text = Text::generate(20_000_000, 2);
    let leader = tabs[0].leader().await;
    let at = tabs.iter().position(|tab| leader == tab.node).expect("a tab leads");
    let lost = tabs.remove(at);
    tabs[0].drop_text(&text).await;
    let job = tabs[0].job("running").await;
    lost.tab.close().await;
    for tab in &tabs {
        tab.assert_shows(&job, &text).await;
        assert_ne!(tab.leader().await, lost.node, "another tab leads");
    }
    assert!(tabs[1].downloaded_csv().await == text.csv(), "the table after the loss of the leader");

    for tab in tabs {
        tab.tab.close().await;
    }
    for tab in members_in(&browser, &relay, 3).await {
        tab.assert_shows(&job, &text).await;
        tab.tab.element("#documents li").await;
        assert!(tab.downloaded_csv().await == text.csv(), "the table after all tabs were closed");
    }
    assert_no_errors(&browser).await;
}

#[tokio::test]
async fn a_leading_tab_that_is_about_to_go_hands_over() {
    let relay = TestRelay::start(3).await;
    let cluster = relay.cluster();
    let browser = Browser::start().await;
    let tab = Member::join(&browser, &relay).await;
    let other = Member::join(&browser, &relay).await;
    cluster.see_voters(5).await;
    // It is visible, connected and well: nothing but its own word takes leadership from it.
    for event in [
        "window.dispatchEvent(new PageTransitionEvent('pagehide'))",
        "document.dispatchEvent(new Event('freeze'))",
    ] {
        cluster.make_leader(&tab.node).await;
        tab.tab.run(event).await;
        cluster.see("a server to lead", |view| leader_kind(view) == Some("server")).await;
        tab.tab.run("window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))").await;
    }
    cluster.make_leader(&tab.node).await;
    tab.tab.click("#stop").await;
    cluster.see("a server to lead", |view| leader_kind(view) == Some("server")).await;
    tab.tab.until("document.querySelector('.notice')", PATIENCE).await;

    cluster.make_leader(&other.node).await;
    let closed = Instant::now();
    other.tab.close().await;
    cluster.see("another leader", |view| leader_kind(view) == Some("server")).await;
    println!("a leading tab was closed, and a server leads after {:?}", closed.elapsed());
}

fn leader_kind(view: &Value) -> Option<&str> {
    members(view).iter().find(|member| member["role"] == "leader")?["kind"].as_str()
}

#[tokio::test]
async fn a_lost_majority_is_explained_to_whoever_is_left() {
    let relay = TestRelay::start(0).await;
    let browser = Browser::start().await;
    let mut tabs = members_in(&browser, &relay, 3).await;
    let three_voters = "document.querySelector('#cluster-sentence').textContent.startsWith('3 voters')";
    tabs[0].tab.until(three_voters, PATIENCE).await;
    let gone: Vec<String> = tabs.iter().skip(1).map(|tab| tab.name.clone()).collect();
    for tab in tabs.drain(1..) {
        tab.tab.close().await;
    }
    let left = &tabs[0];
    left.tab.until("document.querySelector('#trouble[data-code=NoMajority]')", PATIENCE).await;
    let (trouble, remedy) = (left.tab.text("#trouble strong").await, left.tab.text("#remedy").await);
    assert_eq!(trouble, "Only 1 of 3 voters is online, and 2 are needed.");
    assert!(gone.iter().all(|name| remedy.contains(name)), "{remedy}");
    take_pictures(&left.tab, "majority-lost").await;
    // A new tab takes up what a closed one left, so it is that voter again.
    Member::join(&browser, &relay).await;
    left.tab.until("!document.querySelector('#trouble')", PATIENCE).await;
}

#[tokio::test]
async fn a_job_outlives_the_relay() {
    let mut relay = TestRelay::start(3).await;
    let cluster = relay.cluster();
    let _server = TestNode::start(&relay.link(), "Outpost");
    cluster.see_member("Outpost").await;
    let browser = Browser::start().await;
    let tabs = members_in(&browser, &relay, 2).await;
    let text = Text::generate(50_000_000, 3);
    tabs[0].drop_text(&text).await;
    let job = tabs[0].job("running").await;
    relay.kill();
    tabs[0].tab.until("document.querySelector('#connection.waiting')", PATIENCE).await;
    tabs[0].tab.screenshot("relay-gone").await;
    relay.restart().await;
    cluster.assert_exact(&job, &text).await;
    for tab in &tabs {
        tab.tab.until("document.querySelector('#connection.good')", PATIENCE).await;
        cluster.see_member(&tab.name).await;
        tab.assert_shows(&job, &text).await;
    }
    cluster.see_member("Outpost").await;
}

/// Rounds of [`nobody_notices_who_comes_and_goes`]; `ROUNDS=20` shows more than CI has time for.
fn rounds() -> u64 {
    std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3)
}

/// In the middle of each count, its leader is killed, a tab is closed, another is loaded again, and a node joins.
#[tokio::test]
async fn nobody_notices_who_comes_and_goes() {
    let relay = TestRelay::start(3).await;
    let cluster = relay.cluster();
    println!("the cluster can be watched at {}", relay.link());
    let mut server = TestNode::start(&relay.link(), "Outpost");
    let browser = Browser::start().await;
    let mut tabs = members_in(&browser, &relay, 3).await;
    for round in 1..=rounds() {
        let text = Text::generate(50_000_000, 100 + round);
        let leader = cluster.see_member("Outpost").await;
        cluster.make_leader(&leader).await;
        tabs[0].drop_text(&text).await;
        let job = running_job(&cluster, &text).await;

        server.kill();
        let closed = tabs.pop().expect("three tabs");
        closed.tab.close().await;
        tabs[1].tab.reload().await;
        let mut joined = TestNode::start(&relay.link(), &format!("Helper {round}"));
        let after = cluster.job(&job).await.map(|job| job["state"].clone());
        let result = cluster.assert_exact(&job, &text).await;
        for tab in &tabs {
            tab.assert_shows(&job, &text).await;
        }
        println!("round {round}: exact after {} s, disturbed while {after:?}", result["seconds"]);

        joined.stop().await;
        server.restart();
        tabs.push(Member::join(&browser, &relay).await);
    }
    assert_no_errors(&browser).await;
}

/// The job over a text that was just dropped, as soon as the cluster knows it.
async fn running_job(cluster: &Cluster, text: &Text) -> String {
    let documents = |list: &Value| -> Option<String> {
        let mut documents = list["documents"].as_array()?.iter();
        let document = documents.find(|document| document["name"] == text.name())?;
        Some(document["id"].as_str()?.to_owned())
    };
    until("the job to run", PATIENCE, async || {
        let list = |path: &'static str| async move {
            cluster.room().get(path).await.map(|answer| answer.json()).map_err(|error| error.to_string())
        };
        let document = documents(&list("documents").await?).ok_or("no document yet")?;
        let jobs = list("jobs").await?;
        let mut jobs = jobs["jobs"].as_array().ok_or("no list")?.iter();
        let job = jobs.find(|job| job["documents"][0] == document).ok_or("no job yet")?;
        assert_eq!(job["state"], "running", "the job was over before it could be disturbed");
        Ok::<_, String>(job["id"].as_str().ok_or("no id")?.to_owned())
    })
    .await
}
