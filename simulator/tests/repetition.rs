//! A seed that fails has to fail again, step by step.

use simulator::{Options, run};

#[test]
fn the_same_seed_tells_the_same_story() {
    for seed in 1..=2 {
        let options = Options { seed, sabotage: None, transcript: true, record: false };
        let (one, other) = (run(options), run(options));
        assert!(one.transcript.contains("starts"));
        assert_eq!(one.transcript, other.transcript);
        assert_eq!((one.violation, one.steps), (other.violation, other.steps));
    }
}
