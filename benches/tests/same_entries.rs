//! Both sides of the benchmark do the work that is measured.

use benches::raft::cluster::{Cluster, MEMBERS, Member};
use benches::raft::{ours::Ours, raft_rs::RaftRs};
use bytes::Bytes;

/// What each member got, in order.
fn committed<M: Member>(is_encoded: bool) -> [Vec<Bytes>; MEMBERS] {
    let mut logs = [const { Vec::new() }; MEMBERS];
    let mut cluster = Cluster::<M>::new(is_encoded);
    for payload in payloads() {
        cluster.commit(10, 4, &payload, |member, bytes| logs[member].push(bytes.clone()));
    }
    assert!(cluster.messages > 0);
    logs
}

fn payloads() -> [Bytes; 3] {
    [Bytes::new(), Bytes::from(vec![1; 64]), Bytes::from(vec![2; 1024])]
}

#[test]
fn both_sides_commit_the_same_entries_on_every_member() {
    let wanted: Vec<Bytes> = payloads().into_iter().flat_map(|payload| vec![payload; 10]).collect();
    for is_encoded in [false, true] {
        for logs in [committed::<Ours>(is_encoded), committed::<RaftRs>(is_encoded)] {
            assert_eq!(logs, [wanted.clone(), wanted.clone(), wanted.clone()]);
        }
    }
}
