//! What was once true, and must not be contradicted.

use shared::ids::NodeId;
use shared::raft::{Entry, Payload, ReadOutcome, Term};
use std::collections::BTreeMap;

/// Properties of which a single state does not show that they were broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// At most one leader per term.
    ElectionSafety,
    /// Nobody ever applies two things at one index.
    StateMachineSafety,
    /// A read sees everything that was committed when it was asked.
    NoStaleRead,
    /// Nobody who follows the rules looks to others as if not.
    HonestMembersObey,
    NoPanic,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    leaders: BTreeMap<Term, NodeId>,
    /// In the order of the log, each with the term of the leader that committed it.
    committed: Vec<(Entry, Term)>,
    /// How much was committed when a read was asked that waits for its answer.
    read: Option<usize>,
    broken: Option<Rule>,
}

impl History {
    pub fn leaders(&self) -> usize {
        self.leaders.len()
    }

    pub fn committed(&self) -> &[(Entry, Term)] {
        &self.committed
    }

    pub fn commands(&self) -> usize {
        let is_command = |(entry, _): &&(Entry, Term)| matches!(entry.payload, Payload::Command(_));
        self.committed.iter().filter(is_command).count()
    }

    /// A second configuration was committed, and is no halfway house.
    pub fn has_changed_membership(&self) -> bool {
        self.committed.iter().skip(1).any(|(entry, _)| match &entry.payload {
            Payload::Membership(membership) => !membership.is_joint(),
            _ => false,
        })
    }

    pub fn broken(&self) -> Option<Rule> {
        self.broken
    }

    pub fn breaks(&mut self, rule: Rule) {
        self.broken.get_or_insert(rule);
    }

    pub fn leads(&mut self, id: NodeId, term: Term) {
        if *self.leaders.entry(term).or_insert(id) != id {
            self.breaks(Rule::ElectionSafety);
        }
    }

    pub fn delivered(&mut self, entry: &Entry, term: Term) {
        match self.committed.get(entry.index.get() as usize - 1) {
            Some((first, _)) if first != entry => self.breaks(Rule::StateMachineSafety),
            Some(_) => {}
            None => self.committed.push((entry.clone(), term)),
        }
    }

    pub fn is_read_under_way(&self) -> bool {
        self.read.is_some()
    }

    pub fn asked(&mut self) {
        self.read = Some(self.committed.len());
    }

    pub fn answered(&mut self, outcome: &ReadOutcome) {
        let least = self.read.take();
        if let (Ok(index), Some(least)) = (outcome.result, least)
            && index.get() < least as u64
        {
            self.breaks(Rule::NoStaleRead);
        }
    }
}
