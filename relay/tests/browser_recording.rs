//! What a tab recorded in Wasm is replayed by the native program, to the same bytes.

use data_encoding::BASE64;
use std::fs;
use testkit::cluster::PATIENCE;
use testkit::{Browser, Tab, TestRelay, Text, wordraft};

/// The recording as a person gets it, by the button of the page.
async fn saved_recording(tab: &Tab) -> Vec<u8> {
    tab.run(
        "const made = URL.createObjectURL;
         URL.createObjectURL = (blob) => { window.saved = blob; return made.call(URL, blob); };
         document.querySelector('.recording').click();",
    )
    .await;
    tab.until("window.saved", PATIENCE).await;
    let encoded = tab
        .run(
            "return new Promise((done) => {
                 const reader = new FileReader();
                 reader.onload = () => done(reader.result.split(',')[1]);
                 reader.readAsDataURL(window.saved);
             });",
        )
        .await;
    BASE64.decode(encoded.as_str().expect("a text").as_bytes()).expect("what a browser encodes")
}

#[tokio::test]
async fn a_tabs_recording_gives_the_same_bytes_natively() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tab.recording");
    let relay = TestRelay::start(2).await;
    let browser = Browser::start().await;
    let tab = browser.open(&format!("{}?record", relay.link())).await;
    tab.until("document.querySelector('#members tr.mine:not([data-role=joining])')", PATIENCE).await;
    let node = tab.run("return document.querySelector('#members tr.mine').dataset.node").await;
    let cluster = relay.cluster();
    cluster.see_voters(3).await;
    cluster.make_leader(node.as_str().expect("an id is a text")).await;
    let text = Text::generate(3 << 20, 11);
    tab.drop_file("#file", "#drop", text.path()).await;
    tab.until("document.querySelector('#job[data-state=done]')", PATIENCE).await;

    fs::write(&file, saved_recording(&tab).await).unwrap();
    let path = file.to_str().unwrap();
    let told = wordraft(&["replay", path], b"").await.output();
    assert!(told.contains("the same bytes out") && told.contains("breaks off here"), "{told}");
    for line in ["enters cluster", "== leader in term", "UploadChunk", "FinishJob"] {
        assert!(told.contains(line), "no \"{line}\" in\n{told}");
    }

    // A tab that was stopped still has it, with its end.
    tab.click("#stop").await;
    tab.until("document.querySelector('.notice')", PATIENCE).await;
    tab.screenshot("stopped-recording").await;
    tab.run("window.saved = null").await;
    fs::write(&file, saved_recording(&tab).await).unwrap();
    let told = wordraft(&["replay", path], b"").await.output();
    assert!(told.contains("the same bytes out") && told.contains("the node stopped"), "{told}");
}
