//! `wordraft count` through a cluster, against the same references as `count --local`.

mod nasty;

use nasty::{MODES, TEXTS, reference_csv};
use testkit::{Finished, TestRelay, wordraft};

async fn count(relay: &TestRelay, mode: &str, how: &str, text: &[u8]) -> Finished {
    wordraft(&["count", "--relay", &relay.link(), "--mode", mode, how, "-"], text).await
}

#[tokio::test]
async fn every_nasty_text_gives_the_reference_s_table() {
    let relay = TestRelay::start(3).await;
    for (name, text) in TEXTS {
        for mode in MODES {
            let counted = count(&relay, mode, "--csv", text).await;
            assert_eq!(counted.code, Some(0), "{name}, mode {mode}: {}", counted.stderr);
            assert_eq!(
                String::from_utf8_lossy(&counted.stdout),
                String::from_utf8_lossy(&reference_csv(mode, text)),
                "{name}, mode {mode}"
            );
        }
    }
}

/// No chunk can be cut inside of it, so it travels over several.
#[tokio::test]
async fn a_word_longer_than_any_chunk_is_one_word() {
    let relay = TestRelay::start(3).await;
    let mut text = b"a ".to_vec();
    text.extend(std::iter::repeat_n(b'X', 10_000_000));
    text.extend(b" a");
    for mode in MODES {
        let report = count(&relay, mode, "--json", &text).await.json();
        assert_eq!((&report["total"], &report["unique"]), (&3.into(), &2.into()), "{mode}");
        assert_eq!(report["min"]["word"].as_str().map(str::len), Some(10_000_000), "{mode}");
    }
}
