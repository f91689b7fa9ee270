//! Whatever a peer says, nothing panics, and what is committed stays.

use crate::kit::*;
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeSet;
use wordraft_shared::ids::{Hash, NodeId};
use wordraft_shared::limits;
use wordraft_shared::raft::*;

fn small() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0u64..8, 1 => Just(u64::MAX), 1 => Just(u64::MAX / 2)]
}

fn position() -> impl Strategy<Value = Position> {
    (small(), small()).prop_map(|(term, index)| Position::new(term, index))
}

fn membership() -> impl Strategy<Value = Membership> {
    let some = || proptest::collection::btree_set((1u8..6).prop_map(n), 0..4);
    (some(), some(), some(), some()).prop_map(|(voters, outgoing, learners, learners_next)| Membership {
        voters,
        outgoing,
        learners,
        learners_next,
    })
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        Just(Payload::Noop),
        Just(Payload::Command(Bytes::from_static(b"x"))),
        membership().prop_map(|membership| Payload::Membership(membership.into())),
    ]
}

/// Mostly entries in order, so that some get through.
fn entries(previous: Position) -> impl Strategy<Value = Vec<Entry>> {
    let one = (0u64..2, payload(), prop_oneof![20 => Just(1u64), 1 => 0u64..3]);
    proptest::collection::vec(one, 0..4).prop_map(move |steps| {
        let mut last = previous;
        let mut all = Vec::new();
        for (term, payload, index) in steps {
            last.term = Term::new(last.term.get().saturating_add(term));
            last.index = Index::new(last.index.get().saturating_add(index));
            all.push(Entry { term: last.term, index: last.index, payload });
        }
        all
    })
}

fn chunk() -> impl Strategy<Value = SnapshotChunk> {
    (position(), membership(), 0u64..4, prop_oneof![0u64..4, Just(u64::MAX)], 0usize..4, any::<bool>())
        .prop_map(|(last, membership, offset, total, length, honest)| {
            let data = Bytes::from(vec![0; length]);
            let digest = if honest { Hash::of(&data) } else { Hash::of(b"") };
            SnapshotChunk { meta: SnapshotMeta { last, membership }, digest, total, offset, data }
        })
}

fn message() -> impl Strategy<Value = Message> {
    let term = || small().prop_map(Term::new);
    let index = || small().prop_map(Index::new);
    let outcome = prop_oneof![
        index().prop_map(|matched| AppendOutcome::Accepted { matched }),
        (index(), position()).prop_map(|(previous, hint)| AppendOutcome::Rejected { previous, hint }),
    ];
    prop_oneof![
        (term(), position()).prop_map(|(term, last)| Message::PreVote { term, last }),
        (term(), term(), any::<bool>()).prop_map(|(term, request, refused)| Message::PreVoteResponse {
            term,
            request,
            refusal: refused.then_some(Refusal::LogBehind)
        }),
        (term(), position(), any::<bool>()).prop_map(|(term, last, transfer)| Message::Vote {
            term,
            last,
            transfer
        }),
        (term(), any::<bool>()).prop_map(|(term, granted)| Message::VoteResponse { term, granted }),
        (term(), position(), index())
            .prop_flat_map(|(term, previous, commit)| (Just((term, previous, commit)), entries(previous)))
            .prop_map(|((term, previous, commit), entries)| Message::Append {
                term,
                previous,
                entries: entries.into(),
                commit
            }),
        (term(), outcome).prop_map(|(term, outcome)| Message::AppendResponse { term, outcome }),
        (term(), index(), small()).prop_map(|(term, commit, round)| Message::Heartbeat {
            term,
            commit,
            round: Round(round)
        }),
        (term(), small()).prop_map(|(term, round)| Message::HeartbeatResponse { term, round: Round(round) }),
        (term(), chunk()).prop_map(|(term, chunk)| Message::Snapshot { term, chunk: Box::new(chunk) }),
        (term(), position(), small()).prop_map(|(term, last, received)| Message::SnapshotResponse {
            term,
            last,
            digest: Hash::of(b""),
            received,
        }),
        term().prop_map(|term| Message::TimeoutNow { term }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_that_a_peer_says_panics_or_takes_back_a_commit(
        messages in proptest::collection::vec((1u8..5, message(), 0u64..200, any::<bool>()), 1..60),
        leads in any::<bool>(),
    ) {
        let config = Config { max_snapshot_bytes: 16, compact_after_entries: 3, kept_tail_entries: 1, ..Config::default() };
        let mut now = wordraft_shared::time::Time::from_millis(5_000);
        let rng = wordraft_shared::rng::Rng::from_u64(1);
        let voters: &[u8] = if leads { &[1] } else { &[1, 2, 3] };
        let mut stored = disk(voters, &[1, 1, 2], 2);
        let mut raft = Raft::new(n(1), config.clone(), stored.clone(), rng.clone(), now).unwrap();
        let mut committed = Vec::new();
        let mut term = Term::ZERO;
        for (from, message, pause, ticks) in messages {
            now = now + ms(pause);
            let _refused = raft.step(now, n(from), message);
            if ticks {
                raft.tick(now);
            }
            let output = raft.take_output();
            if let Some(snapshot) = &output.install {
                committed.retain(|entry: &Entry| entry.index > snapshot.meta.last.index);
            }
            let next = output.committed.first().map(|entry| entry.index.previous());
            if let (Some(next), Some(last)) = (next, committed.last()) {
                prop_assert_eq!(next, last.index, "entries are delivered in order, each once");
            }
            committed.extend(output.committed);
            if let Some((sequence, ops)) = output.persist {
                ops.into_iter().for_each(|op| stored.apply(op));
                raft.persisted(now, sequence);
            }
            let status = raft.status();
            prop_assert!(status.term >= term && status.commit <= status.last.index);
            term = status.term;
            if output.want_snapshot {
                raft.compact(now, status.delivered, Bytes::new()).unwrap();
            }
        }
        if let Some((_, ops)) = raft.take_output().persist {
            ops.into_iter().for_each(|op| stored.apply(op));
        }
        let again = Raft::new(n(1), config, stored, rng, now);
        prop_assert!(again.is_ok(), "whatever got to disk starts again: {:?}", again.err());
    }
}

#[test]
fn a_leader_does_not_believe_in_entries_that_it_never_sent() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let follower = cluster.followers()[0];
    let term = cluster.status(leader).term;
    let outcome = AppendOutcome::Accepted { matched: Index::new(1_000) };
    let refused = cluster.step(leader, follower, Message::AppendResponse { term, outcome });
    assert!(matches!(refused, Err(StepError::Malformed(_))));
}

#[test]
fn a_second_leader_of_a_term_is_not_followed() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let [follower, liar] = cluster.followers()[..] else { panic!() };
    let term = cluster.status(leader).term;
    let claim = Message::Heartbeat { term, commit: Index::ZERO, round: Round(1) };
    assert_eq!(cluster.step(follower, liar, claim.clone()), Err(StepError::SecondLeader(liar, leader)));
    assert_eq!(cluster.step(leader, liar, claim), Err(StepError::SecondLeader(liar, leader)));
}

#[test]
fn strangers_are_not_asked() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let high = Term::new(100);
    let stranger: NodeId = n(77);
    let responses = [
        Message::VoteResponse { term: high, granted: true },
        Message::PreVoteResponse { term: high, request: high, refusal: Some(Refusal::LogBehind) },
        Message::HeartbeatResponse { term: high, round: Round(1) },
    ];
    for response in responses {
        assert_eq!(cluster.step(leader, stranger, response), Err(StepError::NotAsked(stranger)));
    }
    assert_eq!(cluster.leader(), Some(leader));
}

#[test]
fn a_term_out_of_reach_is_not_followed() {
    let mut cluster = Cluster::new(3);
    let leader = cluster.elect();
    let liar = cluster.followers()[0];
    let own = cluster.status(leader).term;
    let last = Position::new(u64::MAX / 2, 1_000);
    let claims = |term| {
        [
            Message::Vote { term, last, transfer: true },
            Message::PreVoteResponse { term, request: term, refusal: Some(Refusal::LogBehind) },
            Message::Heartbeat { term, commit: Index::ZERO, round: Round(1) },
            Message::HeartbeatResponse { term, round: Round(1) },
            Message::Append {
                term,
                previous: Position::ZERO,
                entries: Entries::default(),
                commit: Index::ZERO,
            },
        ]
    };
    let furthest = own.get() + limits::RAFT_TERM_JUMP_MAX;
    for term in [u64::MAX, u64::MAX / 2, furthest + 1] {
        for claim in claims(Term::new(term)) {
            let refused = cluster.step(leader, liar, claim);
            assert!(matches!(refused, Err(StepError::Malformed(_))), "{refused:?}");
        }
    }
    assert_eq!((cluster.leader(), cluster.status(leader).term), (Some(leader), own));
    let [vote, ..] = claims(Term::new(furthest));
    assert_eq!(cluster.step(leader, liar, vote), Ok(()));
    assert_eq!(cluster.status(leader).term.get(), furthest);
}

#[test]
fn whoever_is_new_follows_a_leader_of_any_term() {
    let far = Term::new(3 * limits::RAFT_TERM_JUMP_MAX);
    let mut cluster = Cluster::new(1);
    cluster.add(n(9), Stored::default());
    let vote = Message::Vote { term: far, last: Position::ZERO, transfer: false };
    assert!(matches!(cluster.step(n(9), n(1), vote), Err(StepError::Malformed(_))));
    let heartbeat = Message::Heartbeat { term: far, commit: Index::ZERO, round: Round(1) };
    assert_eq!(cluster.step(n(9), n(1), heartbeat), Ok(()));
    assert_eq!((cluster.status(n(9)).term, cluster.status(n(9)).leader), (far, Some(n(1))));
}

fn members(numbers: std::ops::Range<usize>) -> BTreeSet<NodeId> {
    let id = |number: usize| NodeId::from_bytes([(number / 256) as u8, number as u8, 0, 0, 0, 0, 0, 0, 0, 0]);
    numbers.map(id).collect()
}

/// A joint configuration of this many members after it is left.
fn crowd(size: usize) -> Membership {
    let (voters, rest) = (members(0..100), members(150..200));
    Membership { voters, learners_next: rest.clone(), outgoing: rest, learners: members(300..size + 150) }
}

#[test]
fn a_joint_configuration_that_would_be_left_for_a_larger_one_than_allowed_is_refused() {
    let append = |membership: Membership| {
        let mut cluster = Cluster::new(3);
        let payload = Payload::Membership(membership.into());
        let entry = Entry { term: Term::new(2), index: Index::new(2), payload };
        let (previous, commit) = (Position::new(1, 1), Index::ZERO);
        let append = Message::Append { term: entry.term, previous, entries: vec![entry].into(), commit };
        cluster.step(n(1), n(2), append)
    };
    assert_eq!(append(crowd(limits::ROOM_MEMBERS_MAX)), Ok(()));
    assert!(matches!(append(crowd(limits::ROOM_MEMBERS_MAX + 1)), Err(StepError::Malformed(_))));
}

#[test]
fn a_disk_that_holds_what_cannot_be_is_refused() {
    let founder = || Stored::founder(n(1));
    let with_snapshot = |last, membership| {
        let snapshot = Snapshot { meta: SnapshotMeta { last, membership }, data: Bytes::new() };
        Stored { snapshot: Some(snapshot), entries: Vec::new(), ..founder() }
    };
    let with_configuration = |membership: Membership| {
        let mut stored = founder();
        stored.entries[0].payload = Payload::Membership(membership.into());
        stored
    };
    let start = |stored: Stored| {
        let rng = wordraft_shared::rng::Rng::from_u64(1);
        Raft::new(n(1), Config::default(), stored, rng, wordraft_shared::time::Time::ZERO)
    };
    let (alone, nobody) = (Membership::of_voters([n(1)]), Membership::default());
    let possible = [
        founder(),
        with_configuration(crowd(limits::ROOM_MEMBERS_MAX)),
        with_snapshot(Position::new(1, 5), alone.clone()),
    ];
    for stored in possible {
        assert!(start(stored.clone()).is_ok(), "{stored:?}");
    }
    let mut timeless = founder();
    timeless.hard_state.term = Term::new(u64::MAX);
    let impossible = [
        timeless,
        with_configuration(nobody.clone()),
        with_configuration(crowd(limits::ROOM_MEMBERS_MAX + 1)),
        with_snapshot(Position::new(1, 5), nobody),
        with_snapshot(Position::new(1, 5), crowd(limits::ROOM_MEMBERS_MAX + 1)),
        with_snapshot(Position::new(1, 0), alone.clone()),
        with_snapshot(Position::new(1, u64::MAX), alone),
    ];
    for stored in impossible {
        assert!(matches!(start(stored.clone()), Err(NewError::Stored(_))), "{stored:?}");
    }
}

/// Whoever lies often enough brings a cluster to the last term. What it has goes on; a term beyond the last would be stored,
/// and then no other member would listen, and the next start fail.
#[test]
fn after_the_last_term_nobody_stands() {
    let at = |term| {
        let mut stored = Stored { entries: Stored::founder(n(1)).entries, ..Stored::default() };
        stored.entries[0].payload = Payload::Membership(Membership::of_voters([1, 2, 3].map(n)).into());
        stored.hard_state.term = term;
        stored
    };
    let mut cluster =
        Cluster::from_disks(Config::default(), [1, 2, 3].map(|id| (id, at(Term::MAX.previous()))));
    let leader = cluster.elect();
    assert_eq!(cluster.status(leader).term, Term::MAX);
    cluster.crash(leader);
    cluster.run_for(ms(10_000));
    for id in [1, 2, 3].map(n).into_iter().filter(|id| *id != leader) {
        assert_eq!(
            (cluster.leader(), cluster.status(id).term, cluster.role(id)),
            (None, Term::MAX, Role::Follower)
        );
        let asks = Message::TimeoutNow { term: Term::MAX };
        assert_eq!(cluster.step(id, leader, asks), Err(StepError::NotExpected));
    }
    cluster.restart(leader);
    cluster.run_for(ms(10_000));
    assert_eq!((cluster.leader(), cluster.status(leader).term), (None, Term::MAX));
}

#[test]
fn strangers_that_come_and_go_leave_nothing_behind() {
    let mut cluster = Cluster::new(3);
    cluster.elect();
    let follower = cluster.followers()[0];
    cluster.with(follower, |raft, now| raft.tick(now));
    let memory = |cluster: &Cluster| format!("{:?}", cluster.nodes[&follower].raft);
    let before = memory(&cluster);
    for stranger in 4..=u8::MAX {
        cluster.with(follower, |raft, now| raft.peer_lost(now, n(stranger)));
    }
    assert_eq!(memory(&cluster), before);
    let voter = cluster.followers()[1];
    cluster.with(follower, |raft, now| raft.peer_lost(now, voter));
    assert_ne!(memory(&cluster), before, "a voter may come to lead");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let timeout = Config::default().election_timeout;
    let (most, longest) = (limits::RAFT_SETTING_MAX, limits::RAFT_ELECTION_TIMEOUT_MAX);
    let nanos = std::time::Duration::from_nanos;
    let standard = Config::default;
    let tables: [(Config, Result<(), ConfigError>); 10] = [
        (Config { prompt_delay: timeout / 12, ..standard() }, Ok(())),
        (Config { prompt_delay: timeout / 12 + nanos(1), ..standard() }, Err(ConfigError::PromptTooSlow)),
        (Config { heartbeat_interval: timeout / 3, ..standard() }, Ok(())),
        (
            Config { heartbeat_interval: timeout / 3 + nanos(1), ..standard() },
            Err(ConfigError::HeartbeatTooSlow),
        ),
        (
            Config { heartbeat_interval: nanos(999), ..standard() },
            Err(ConfigError::Zero("heartbeat_interval")),
        ),
        (Config { election_timeout: longest, ..standard() }, Ok(())),
        (Config { election_timeout: longest + nanos(1), ..standard() }, Err(ConfigError::TimeoutTooLong)),
        (Config { max_pending_reads: 0, ..standard() }, Err(ConfigError::Zero("max_pending_reads"))),
        (Config { snapshot_window_chunks: most, ..standard() }, Ok(())),
        (
            Config { snapshot_window_chunks: most + 1, ..standard() },
            Err(ConfigError::TooLarge("snapshot_window_chunks")),
        ),
    ];
    for (config, expected) in tables {
        assert_eq!(config.check(), expected, "{config:?}");
    }
}

/// Found by the random messages above: a snapshot of what is left would not be read again.
#[test]
fn nobody_takes_away_the_configuration_that_a_log_begins_with() {
    let mut cluster = Cluster::new(3);
    let entry = Entry { term: Term::new(2), index: Index::new(1), payload: Payload::Noop };
    let (previous, commit) = (Position::ZERO, Index::new(1));
    let append = Message::Append { term: entry.term, previous, entries: vec![entry].into(), commit };
    assert!(matches!(cluster.step(n(1), n(2), append), Err(StepError::Malformed(_))));
    assert_eq!(cluster.status(n(1)).membership.voters, ids(&[1, 2, 3]));
}
