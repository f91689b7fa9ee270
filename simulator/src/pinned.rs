//! One run whose every byte is known: a build for another processor, the Wasm of a tab above all, has to come to the same.

use crate::{Options, Recording, run};
use shared::ids::Hash;
use shared::recording::{Fingerprint, Reader, Record, Replay};

const SEED: u64 = 4;

/// Of what all nodes of that run put out. It changes when the core does something else than before: then the test beside
/// it says what to write here.
pub const DIGEST: &str = "dafa0f950b610cbaeabe44b32cd14edd93fa8471c78d7904063a3d2f4eb6f8c5";

/// What the run comes to in this build. Each node's life is replayed on the way, and must be the same again.
pub fn digest() -> String {
    let verdict = run(Options { seed: SEED, record: true, ..Options::default() });
    assert_eq!(verdict.violation, None, "a run without a fault of ours");
    assert!(
        verdict.faults > 0 && verdict.committed > 20 && verdict.jobs_done > 0 && verdict.key_answers > 50,
        "too little happened: {verdict}"
    );
    let fingerprints: String =
        verdict.recordings.iter().map(|recording| replay(recording).to_string()).collect();
    Hash::of(fingerprints.as_bytes()).to_string()
}

fn replay(recording: &Recording) -> Fingerprint {
    let mut reader = Reader::default();
    reader.push(&recording.bytes);
    let start = reader.start().expect("our own recording").expect("all of it is there");
    let mut replay = Replay::new(start).expect("a node that started before");
    while let Some(record) = reader.record().expect("our own recording") {
        if let Record::Input { before, at, input } = record {
            assert_eq!(replay.compare(before), Ok(()), "{}", recording.name);
            let _carried_out_before = replay.step(at, input);
        }
    }
    assert!(replay.inputs() > 0, "{}", recording.name);
    replay.fingerprint()
}
