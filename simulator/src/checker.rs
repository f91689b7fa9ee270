//! What must never happen, looked at after every input.
//!
//! Election safety, log matching, leader completeness and state machine safety are Figure 3.2 of Ongaro's dissertation. The
//! log of the cluster is what has been seen committed anywhere: whoever disagrees with it has broken one of them.

use crate::disk::Disk;
use shared::ids::{ClusterId, Hash, NodeId};
use shared::node::Inspection;
use shared::raft::{Entry, Index, Payload, Role, Term};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("election safety: {first:?} and {second:?} both lead term {term:?}")]
    TwoLeaders { term: Term, first: NodeId, second: NodeId },
    #[error(
        "state machine safety: {node:?} has another entry committed at {index:?} than a member before it"
    )]
    OtherEntry { node: NodeId, index: Index },
    #[error("leader completeness: {node:?} leads term {term:?} without the entry committed at {index:?}")]
    IncompleteLeader { node: NodeId, term: Term, index: Index },
    #[error("election safety: {node:?} votes for {first:?} and for {second:?} in term {term:?}")]
    TwoVotes { node: NodeId, term: Term, first: NodeId, second: NodeId },
    #[error("election safety: {node:?} voted for {candidate:?} in term {term:?}, and its disk does not know")]
    ForgottenVote { node: NodeId, term: Term, candidate: NodeId },
    #[error(
        "durability: {node:?} acknowledged entries up to {index:?} in term {term:?}, and its disk has fewer"
    )]
    ForgottenEntries { node: NodeId, term: Term, index: Index },
    #[error("{node:?} took back its commit index, from {before:?} to {after:?}")]
    CommitWentBack { node: NodeId, before: Index, after: Index },
    #[error("members disagree about the state after {index:?}")]
    OtherState { index: Index },
    #[error("{node:?} gave up: {message}")]
    Fatal { node: NodeId, message: String },
    #[error("{node:?} does not start from what its disk holds: {message}")]
    NoStart { node: NodeId, message: String },
    #[error("{0}")]
    Workload(String),
    #[error("keys: {0}")]
    Keys(String),
    #[error("keys: {0}")]
    NotLinearizable(Box<linearizability::Violation>),
    #[error("the cluster did not recover: {0}")]
    NoRecovery(String),
}

/// One for each cluster: a founder that dies before the relay hears of it may leave one that nobody else is in.
#[derive(Default)]
pub struct Checkers {
    by_cluster: BTreeMap<Option<ClusterId>, Checker>,
}

/// An entry, as far as it has to be compared.
type Known = (Term, Hash);

#[derive(Default)]
struct Checker {
    leaders: BTreeMap<Term, NodeId>,
    /// The log of the cluster, by the hash of each entry, and the term in which it was first seen committed. That is the
    /// term of the leader that committed it, which is looked at before it can tell anybody.
    committed: BTreeMap<Index, (Known, Term)>,
    /// What each running process had committed when it was last looked at.
    commits: BTreeMap<NodeId, Index>,
    digests: BTreeMap<Index, u64>,
}

impl Checkers {
    /// The process is new: what it knows to be committed starts anew.
    pub fn started(&mut self, node: NodeId) {
        for checker in self.by_cluster.values_mut() {
            checker.commits.remove(&node);
        }
    }

    pub fn committed(&self) -> usize {
        self.by_cluster.values().map(|checker| checker.committed.len()).sum()
    }

    pub fn check(&mut self, node: NodeId, seen: &Inspection, disk: &Disk) -> Result<(), Violation> {
        self.by_cluster.entry(disk.issued_cluster()).or_default().check(node, seen, disk)
    }
}

impl Checker {
    fn check(&mut self, node: NodeId, seen: &Inspection, disk: &Disk) -> Result<(), Violation> {
        self.check_commit(node, seen, disk)?;
        self.check_leader(node, seen, disk)?;
        self.check_state(seen)
    }

    fn check_commit(&mut self, node: NodeId, seen: &Inspection, disk: &Disk) -> Result<(), Violation> {
        let after = seen.raft.commit;
        let before = self.commits.insert(node, after).unwrap_or_default();
        if after < before {
            return Err(Violation::CommitWentBack { node, before, after });
        }
        for entry in disk.entries(before.next(), after) {
            let (first, _) =
                *self.committed.entry(entry.index).or_insert_with(|| (known(entry), seen.raft.term));
            if first != known(entry) {
                return Err(Violation::OtherEntry { node, index: entry.index });
            }
        }
        Ok(())
    }

    /// A new leader's log is compared once, when it is first seen to lead.
    fn check_leader(&mut self, node: NodeId, seen: &Inspection, disk: &Disk) -> Result<(), Violation> {
        let term = seen.raft.term;
        if seen.raft.role != Role::Leader {
            return Ok(());
        }
        let leader = *self.leaders.entry(term).or_insert(node);
        if leader != node {
            return Err(Violation::TwoLeaders { term, first: leader, second: node });
        }
        if seen.raft.ready {
            return Ok(());
        }
        if let Some((index, _)) = self.owed_by(term).next_back()
            && index > seen.raft.last.index
        {
            return Err(Violation::IncompleteLeader { node, term, index });
        }
        let own: BTreeMap<Index, &Entry> =
            disk.entries(seen.raft.first, seen.raft.last.index).map(|entry| (entry.index, entry)).collect();
        for (index, expected) in self.owed_by(term) {
            if own.get(&index).is_some_and(|entry| known(entry) != expected) {
                return Err(Violation::IncompleteLeader { node, term, index });
            }
        }
        Ok(())
    }

    /// What was committed in a term before `term` (§3.6.3). An entry of an earlier term may be committed by a later leader:
    /// a leader between the two, asleep since its election, need not have it.
    fn owed_by(&self, term: Term) -> impl DoubleEndedIterator<Item = (Index, Known)> {
        let earlier = self.committed.iter().filter(move |(_, (_, committed_in))| *committed_in < term);
        earlier.map(|(index, (known, _))| (*index, *known))
    }

    fn check_state(&mut self, seen: &Inspection) -> Result<(), Violation> {
        let known = *self.digests.entry(seen.applied).or_insert(seen.digest);
        if known != seen.digest {
            return Err(Violation::OtherState { index: seen.applied });
        }
        Ok(())
    }
}

fn known(entry: &Entry) -> Known {
    let hash = match &entry.payload {
        Payload::Noop => Hash::of(b"noop"),
        Payload::Command(command) => Hash::of(command),
        Payload::Membership(membership) => Hash::of(format!("{membership:?}").as_bytes()),
    };
    (entry.term, hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_owes_what_was_committed_in_an_earlier_term_whatever_the_term_of_the_entry() {
        let mut checker = Checker::default();
        let of_term_6 = (Term::new(6), Hash::of(b"noop"));
        checker.committed.insert(Index::new(1), (of_term_6, Term::new(6)));
        checker.committed.insert(Index::new(2), (of_term_6, Term::new(8)));
        let owed = |term| checker.owed_by(Term::new(term)).map(|(index, _)| index.get()).collect::<Vec<_>>();
        assert_eq!((owed(6), owed(7), owed(8), owed(9)), (vec![], vec![1], vec![1], vec![1, 2]));
    }
}
