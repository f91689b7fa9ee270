//! What happened, for a person to read: in the words of `wordraft replay`, all members in one.

use crate::world::START;
use shared::ids::NodeId;
use shared::node::{Input, Inspection, Ready};
use shared::recording::{Teller, Told};
use shared::time::Time;
use shared::wire::session::Profile;
use std::fmt::Write as _;

#[derive(Default)]
pub struct Transcript {
    wanted: bool,
    lines: String,
    /// In the order of their coming.
    nodes: Vec<(NodeId, Profile)>,
    tellers: Vec<Teller>,
}

impl Transcript {
    pub fn new(wanted: bool) -> Transcript {
        Transcript { wanted, ..Transcript::default() }
    }

    /// What the next member will be called.
    pub fn next_name(&self) -> String {
        format!("n{}", self.nodes.len() + 1)
    }

    pub fn meet(&mut self, node: NodeId, profile: &Profile) {
        self.nodes.push((node, profile.clone()));
        self.tellers.push(Teller::default());
        for teller in &mut self.tellers {
            self.nodes.iter().for_each(|(node, profile)| teller.meet(*node, profile));
        }
    }

    pub fn name(&self, node: NodeId) -> String {
        let known = self.nodes.iter().find(|(known, _)| *known == node);
        known.map_or_else(|| node.to_string(), |(_, profile)| profile.name.clone())
    }

    /// The text with names for the starts of ids.
    pub fn with_names(&self, text: &str) -> String {
        let name = |text: String, (node, profile): &(NodeId, Profile)| {
            text.replace(&format!("{node:?}"), &profile.name)
        };
        self.nodes.iter().fold(text.to_owned(), name)
    }

    fn teller(&mut self, node: NodeId) -> Option<&mut Teller> {
        let at = self.nodes.iter().position(|(known, _)| *known == node)?;
        self.tellers.get_mut(at)
    }

    /// What `node` is about to hear.
    pub fn hears(&mut self, node: NodeId, input: &Input) -> Vec<Told> {
        let told = self.wanted.then(|| self.teller(node).map(|teller| teller.input(input)));
        told.flatten().into_iter().collect()
    }

    /// What it does about it.
    pub fn does(&mut self, node: NodeId, ready: &Ready, told: &mut Vec<Told>) {
        if self.wanted
            && let Some(teller) = self.teller(node)
        {
            told.extend(teller.output(ready));
        }
    }

    /// Where it stands after all that. What came in is told where something came of it, or it was no routine.
    pub fn stands(&mut self, at: Time, node: NodeId, seen: &Inspection, mut told: Vec<Told>) {
        if !self.wanted {
            return;
        }
        told.extend(self.teller(node).and_then(|teller| teller.standing(seen)));
        if told.iter().all(|told| told.is_routine) {
            return;
        }
        let name = self.name(node);
        let lines = told.into_iter().enumerate().filter(|(line, told)| *line == 0 || !told.is_routine);
        for (line, told) in lines {
            match line {
                0 => self.line(at, || format!("{name}  {}", told.text)),
                _ => self.lines.push_str(&format!("{:>20}{}\n", "", told.text)),
            }
        }
    }

    pub fn line(&mut self, at: Time, text: impl FnOnce() -> String) {
        if self.wanted {
            let micros = at.since(START).as_micros();
            let text = self.with_names(&text());
            // Writing to a string does not fail.
            let _infallible =
                writeln!(self.lines, "{:>4}.{:06}  {text}", micros / 1_000_000, micros % 1_000_000);
        }
    }

    pub fn take(self) -> String {
        self.lines
    }
}
