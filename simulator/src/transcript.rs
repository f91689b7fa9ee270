//! What happened, for a person to read.

use crate::world::START;
use shared::ids::NodeId;
use shared::time::Time;
use std::fmt::Write as _;

#[derive(Default)]
pub struct Transcript {
    wanted: bool,
    lines: String,
    /// Short names, in the order of their first appearance.
    names: Vec<NodeId>,
}

impl Transcript {
    pub fn new(wanted: bool) -> Transcript {
        Transcript { wanted, ..Transcript::default() }
    }

    pub fn name(&mut self, node: NodeId) -> String {
        let at = self.names.iter().position(|known| *known == node).unwrap_or_else(|| {
            self.names.push(node);
            self.names.len() - 1
        });
        format!("n{}", at + 1)
    }

    pub fn line(&mut self, at: Time, text: impl FnOnce() -> String) {
        if self.wanted {
            let micros = at.since(START).as_micros();
            // Writing to a string does not fail.
            let _infallible =
                writeln!(self.lines, "{:>4}.{:06} {}", micros / 1_000_000, micros % 1_000_000, text());
        }
    }

    pub fn take(self) -> String {
        self.lines
    }
}
