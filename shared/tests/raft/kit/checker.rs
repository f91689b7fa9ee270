//! What must hold at every moment: Figure 3.2 of the dissertation, and that reads are never stale.

use std::collections::BTreeMap;
use wordraft_shared::ids::NodeId;
use wordraft_shared::raft::*;

#[derive(Default)]
pub struct Checker {
    leaders: BTreeMap<Term, NodeId>,
    committed: BTreeMap<Index, (Term, Payload)>,
    /// What was ever written under a position, and the term before it.
    written: BTreeMap<Position, (Payload, Term)>,
    /// The least index that each read may be answered with.
    reads: BTreeMap<ReadToken, Index>,
}

impl Checker {
    pub fn committed_up_to(&self) -> Index {
        self.committed.keys().next_back().copied().unwrap_or_default()
    }

    /// State Machine Safety: nobody ever applies two things at one index.
    pub fn committed(&mut self, entry: &Entry) {
        let value = (entry.term, entry.payload.clone());
        let first = self.committed.entry(entry.index).or_insert_with(|| value.clone());
        assert_eq!(*first, value, "two commands were committed at {}", entry.index);
    }

    /// Election Safety and Leader Completeness.
    pub fn leads(&mut self, status: &Status, disk: &Stored) {
        if !status.is_leader() {
            return;
        }
        let first = self.leaders.insert(status.term, status.id).is_none_or(|other| other == status.id);
        assert!(first, "two leaders in term {}", status.term);
        let covered = disk.snapshot.as_ref().map_or(Index::ZERO, |snapshot| snapshot.meta.last.index);
        for (index, (term, _)) in self.committed.range(covered.next()..) {
            let entry = disk.entries.iter().find(|entry| entry.index == *index);
            let holds = entry.is_some_and(|entry| entry.term == *term);
            // A leader keeps what it committed without having written it itself.
            assert!(holds || *index <= status.commit, "the leader of term {} lacks {index}", status.term);
        }
    }

    /// Log Matching, by induction: a position names one entry and one predecessor.
    pub fn written(&mut self, entries: &[Entry], disk: &Stored) {
        let snapshot = disk.snapshot.as_ref().map(|snapshot| snapshot.meta.last);
        let Some(first) = entries.first() else { return };
        let before_first = disk.entries.iter().find(|entry| entry.index == first.index.previous());
        let mut before = match before_first {
            Some(entry) => Some(entry.term),
            None if first.index.get() == 1 => Some(Term::ZERO),
            None => snapshot.filter(|last| last.index == first.index.previous()).map(|last| last.term),
        };
        for entry in entries {
            let previous = before.expect("no gap before an entry");
            let value = (entry.payload.clone(), previous);
            let known = self.written.entry(entry.position()).or_insert_with(|| value.clone());
            assert_eq!(*known, value, "two logs differ at {}", entry.position());
            before = Some(entry.term);
        }
    }

    pub fn disk_has(&mut self, stored: &Stored) {
        if stored.snapshot.is_none() {
            self.written(&stored.entries, &Stored::default());
        }
    }

    pub fn asked(&mut self, token: ReadToken) {
        self.reads.insert(token, self.committed_up_to());
    }

    /// A read sees everything that was committed anywhere when it was asked.
    pub fn answered(&mut self, outcomes: &[ReadOutcome]) {
        for ReadOutcome { token, result } in outcomes {
            if let (Ok(index), Some(least)) = (result, self.reads.get(token)) {
                assert!(index >= least, "a read was answered at {index}, but {least} was committed before");
            }
        }
    }
}
