//! What stories begin with: members, times, disks.

use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;
use wordraft_shared::ids::NodeId;
use wordraft_shared::raft::*;
use wordraft_shared::time::Duration;

/// Member number `number`, shown as `n1` and so on.
pub fn n(number: u8) -> NodeId {
    NodeId::from_bytes([number; 10])
}

pub fn name(id: NodeId) -> String {
    format!("n{}", id.as_bytes()[0])
}

pub fn ids(numbers: &[u8]) -> BTreeSet<NodeId> {
    numbers.iter().map(|number| n(*number)).collect()
}

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn change(voters: &[u8], learners: &[u8]) -> MembershipChange {
    MembershipChange { voters: ids(voters), learners: ids(learners) }
}

/// A disk with a log of these terms; the first entry is the configuration of these voters.
pub fn disk(voters: &[u8], terms: &[u64], term: u64) -> Stored {
    let membership = Payload::Membership(Arc::new(Membership::of_voters(ids(voters))));
    let payload_at = |offset: usize| match offset {
        0 => membership.clone(),
        _ => Payload::Command(Bytes::from(format!("{}@{}", offset + 1, terms[offset]))),
    };
    let entries = terms.iter().enumerate().map(|(offset, term)| Entry {
        term: Term::new(*term),
        index: Index::new(offset as u64 + 1),
        payload: payload_at(offset),
    });
    Stored {
        hard_state: HardState { term: Term::new(term), vote: None },
        snapshot: None,
        entries: entries.collect(),
    }
}
