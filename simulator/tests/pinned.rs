//! The same bytes as ever; `web-peer` has the same test for Wasm.

use simulator::pinned;

#[test]
fn the_pinned_run_comes_to_the_same_bytes() {
    let digest = pinned::digest();
    assert!(
        digest == pinned::DIGEST,
        "the core does something else than before; if that is meant, write \"{digest}\" into simulator/src/pinned.rs"
    );
}
