//! What members have promised each other: votes (§3.4) and acknowledgements (§3.5), as their messages said it.
//!
//! A promise is worth something only if a crash cannot take it back, so whoever makes one must have it on disk. Looking
//! at messages and disks finds a broken promise at once; two leaders or a lost entry come of it only now and then.

use crate::checker::Violation;
use shared::ids::NodeId;
use shared::raft::{AppendOutcome, Index, Message, Stored, Term};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Promises {
    /// For whom each member voted in each term.
    votes: BTreeMap<NodeId, BTreeMap<Term, NodeId>>,
    /// The latest term in which each member acknowledged entries, and how far. In a later term a leader may have had
    /// them replaced.
    entries: BTreeMap<NodeId, (Term, Index)>,
}

impl Promises {
    /// `from` says this to `to`.
    pub fn hear(&mut self, from: NodeId, to: NodeId, message: &Message) -> Result<(), Violation> {
        match *message {
            // Whoever asks for votes has voted for itself.
            Message::Vote { term, .. } => self.vote(from, term, from),
            Message::VoteResponse { term, granted: true } => self.vote(from, term, to),
            Message::AppendResponse { term, outcome: AppendOutcome::Accepted { matched } } => {
                let promised = self.entries.entry(from).or_default();
                *promised = (*promised).max((term, matched));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn vote(&mut self, node: NodeId, term: Term, second: NodeId) -> Result<(), Violation> {
        let first = *self.votes.entry(node).or_default().entry(term).or_insert(second);
        if first == second { Ok(()) } else { Err(Violation::TwoVotes { node, term, first, second }) }
    }

    /// A process of `node` begins with this: all that was promised has to be in it.
    pub fn check(&self, node: NodeId, stored: &Stored) -> Result<(), Violation> {
        let hard_state = stored.hard_state;
        if let Some((&term, &candidate)) = self.votes.get(&node).and_then(|votes| votes.last_key_value())
            && (hard_state.term < term || (hard_state.term == term && hard_state.vote != Some(candidate)))
        {
            return Err(Violation::ForgottenVote { node, term, candidate });
        }
        let snapshot = stored.snapshot.as_ref().map(|snapshot| snapshot.meta.last.index);
        let last = stored.entries.last().map(|entry| entry.index).or(snapshot).unwrap_or_default();
        match self.entries.get(&node) {
            Some(&(term, index)) if (hard_state.term, last) < (term, index) => {
                Err(Violation::ForgottenEntries { node, term, index })
            }
            _ => Ok(()),
        }
    }
}
