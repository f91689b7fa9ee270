//! The test kit for browsers keeps what it promises, shown on a tiny page.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use serde_json::json;
use std::io::Write as _;
use testkit::browser::{Scheme, Screen};
use testkit::wait::PATIENCE;
use testkit::{Browser, until};
use tokio::net::TcpListener;

const PAGE: &str = r##"<!doctype html>
<html lang="en">
<title>a page</title>
<link rel="icon" href="data:,">
<style>body { background: white } @media (prefers-color-scheme: dark) { body { background: black } }</style>
<input type="file" hidden>
<p id="dropped">nothing</p>
<button>press</button>
<script>
  document.querySelector("button").onclick = (event) => { event.target.textContent = "pressed"; };
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    document.querySelector("#dropped").textContent = await event.dataTransfer.files[0].text();
  });
  const worker = new Worker("/worker.js");
  const ask = (what) => new Promise((answer) => {
    worker.onmessage = (event) => answer(event.data);
    worker.postMessage(what);
  });
</script>
"##;

/// Holds a Web Lock for as long as it lives, and appends to a file that one worker at a time can open.
const WORKER: &str = r##"
let held = new Promise((answer) => navigator.locks.request("slot", { ifAvailable: true }, (lock) => {
  answer(lock !== null);
  return lock && new Promise(() => {});
}));
onmessage = async ({ data }) => {
  if (data === "held") return postMessage(await held);
  const root = await navigator.storage.getDirectory();
  const file = await (await root.getFileHandle("log", { create: true })).createSyncAccessHandle();
  if (data === "append") file.write(new Uint8Array([1]), { at: file.getSize() });
  file.flush();
  const size = file.getSize();
  file.close();
  postMessage(size);
};
"##;

async fn serve() -> String {
    let script = || async { ([("content-type", "text/javascript")], WORKER) };
    let router = Router::new().route("/", get(|| async { Html(PAGE) })).route("/worker.js", get(script));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/")
}

#[tokio::test]
async fn tabs_of_a_browser_share_storage_and_locks_and_die_alone() {
    let url = serve().await;
    let browser = Browser::start().await;
    let first = browser.open(&url).await;
    assert_eq!(first.run("return ask('held')").await, json!(true));
    assert_eq!(first.run("return ask('append')").await, json!(1));

    let second = browser.open(&url).await;
    assert_eq!(second.run("return ask('held')").await, json!(false), "the first tab holds the lock");
    assert_eq!(second.run("return ask('append')").await, json!(2), "both see the same file");

    first.crash().await;
    assert_eq!(second.run("return ask('append')").await, json!(3), "the second tab lives on");
    until("a lock that the crash left free", PATIENCE, async || {
        second.reload().await;
        let held = second.run("return ask('held')").await;
        if held == json!(true) { Ok(()) } else { Err(held) }
    })
    .await;

    second.close().await;
    let third = browser.open(&url).await;
    assert_eq!(third.run("return ask('size')").await, json!(3), "storage outlives all tabs");
    browser.close().await;
}

#[tokio::test]
async fn a_test_does_in_a_tab_what_people_do() {
    let url = serve().await;
    let browser = Browser::start().await;
    let tab = browser.open(&url).await;
    tab.click("button").await;
    assert_eq!(tab.text("button").await, "pressed");

    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "the quick brown fox").unwrap();
    tab.drop_file("input", "#dropped", file.path()).await;
    tab.until("document.querySelector('#dropped').textContent === 'the quick brown fox'", PATIENCE).await;

    assert!(browser.console_errors().await.is_empty());
    tab.run("console.error('something is wrong')").await;
    let errors = browser.console_errors().await;
    assert!(errors.iter().any(|error| error.text.contains("something is wrong")), "{errors:?}");
    assert!(browser.console_errors().await.is_empty(), "told once");
}

#[tokio::test]
async fn pictures_are_taken_in_dark_and_on_a_phone() {
    let url = serve().await;
    let browser = Browser::start().await;
    let tab = browser.open(&url).await;
    let background = "return getComputedStyle(document.body).backgroundColor";
    tab.set_scheme(Scheme::Dark).await;
    assert_eq!(tab.run(background).await, json!("rgb(0, 0, 0)"));
    tab.set_screen(Screen::Phone).await;
    assert_eq!(tab.run("return screen.width").await, json!(390));
    let picture = tab.screenshot("kit-phone-dark").await;
    assert!(std::fs::read(picture).unwrap().starts_with(b"\x89PNG"));

    tab.set_scheme(Scheme::Light).await;
    tab.set_screen(Screen::Desktop).await;
    assert_eq!(tab.run(background).await, json!("rgb(255, 255, 255)"));
}

#[tokio::test]
async fn a_tab_is_hidden_and_shown_without_the_others() {
    let url = serve().await;
    let browser = Browser::start_throttled().await;
    let tab = browser.open(&url).await;
    let other = browser.open(&url).await;
    tab.set_hidden(true).await;
    tab.until("document.visibilityState === 'hidden'", PATIENCE).await;
    assert_eq!(other.run("return document.visibilityState").await, json!("visible"));
    tab.set_hidden(false).await;
    tab.until("document.visibilityState === 'visible'", PATIENCE).await;
}

#[tokio::test]
async fn a_frozen_page_stands_still_until_it_is_thawed() {
    let url = serve().await;
    let browser = Browser::start().await;
    let tab = browser.open(&url).await;
    tab.run("window.frozen = 0; document.addEventListener('freeze', () => frozen++)").await;
    tab.set_frozen(true).await;
    tab.set_frozen(false).await;
    assert_eq!(tab.run("return frozen").await, json!(1));
}

#[tokio::test]
async fn no_process_outlives_its_browser() {
    let url = serve().await;
    let browser = Browser::start().await;
    browser.open(&url).await;
    let profile = browser.profile().display().to_string();
    assert!(!processes_with(&profile).is_empty());
    drop(browser);
    until("the end of all its processes", PATIENCE, async || match processes_with(&profile) {
        alive if alive.is_empty() => Ok(()),
        alive => Err(alive),
    })
    .await;
}

fn processes_with(argument: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let commands = entries.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
    commands.filter(|command| command.contains(argument)).collect()
}
