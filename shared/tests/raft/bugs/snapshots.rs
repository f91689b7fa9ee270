//! Snapshots that keep what they should replace, and logs that have nothing but a snapshot.

use crate::kit::*;
use crate::snapshots::small;
use bytes::Bytes;
use wordraft_shared::raft::*;

pub fn a_snapshot_replaces_a_conflicting_tail_and_the_configuration(config: Config) {
    let mut cluster = Cluster::from_disks(small(config), [(1, disk(&[1, 2, 3], &[1, 2, 2, 2, 2], 2))]);
    let membership = Membership { voters: ids(&[1, 4, 5]), ..Membership::default() };
    let data = Bytes::from(postcard::to_stdvec(&vec![(3u64, 3u64, b"three".to_vec())]).unwrap());
    let chunk = SnapshotChunk {
        meta: SnapshotMeta { last: Position::new(3, 4), membership: membership.clone() },
        digest: wordraft_shared::ids::Hash::of(&data),
        total: data.len() as u64,
        offset: 0,
        data,
    };
    cluster.network.keeps_sent = true;
    cluster
        .step(n(1), n(4), Message::Snapshot { term: Term::new(3), chunk: Box::new(chunk.clone()) })
        .unwrap();
    let status = cluster.status(n(1));
    assert_eq!((status.last, status.commit), (Position::new(3, 4), Index::new(4)));
    assert_eq!(*status.membership, membership);
    assert_eq!(cluster.applied(n(1)), ["three"]);
    assert!(cluster.nodes[&n(1)].disk.entries.is_empty(), "nothing of the old tail is on disk");
    // The same once more is acknowledged and not installed again.
    cluster.step(n(1), n(4), Message::Snapshot { term: Term::new(3), chunk: Box::new(chunk) }).unwrap();
    assert_eq!(cluster.nodes[&n(1)].installs, 1);
    let acknowledged = Message::AppendResponse {
        term: Term::new(3),
        outcome: AppendOutcome::Accepted { matched: Index::new(4) },
    };
    let answers: Vec<_> = cluster.network.sent.iter().map(|(_, _, message)| message).collect();
    assert_eq!(answers, [&acknowledged, &acknowledged]);
}

pub fn a_follower_behind_an_idle_log_that_is_purged_whole(config: Config) {
    let config = Config { kept_tail_entries: 0, ..small(config) };
    let mut cluster = Cluster::with_config(3, config);
    let leader = cluster.elect();
    let behind = cluster.followers()[0];
    cluster.crash(behind);
    for number in 0..30 {
        cluster.commit(&format!("command number {number}"));
    }
    cluster.compact(leader);
    let status = cluster.status(leader);
    assert_eq!(status.first, status.last.index.next(), "nothing is left in the log");
    cluster.restart(behind);
    cluster.run_until("it caught up", |cluster| cluster.applied(behind).len() == 30);
    cluster.run_until("and is streamed to", |cluster| {
        cluster.status(leader).peers[&behind].state == PeerState::Replicate
    });
}
