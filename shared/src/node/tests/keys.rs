//! Keys in a cluster: read where one asks, changed once whatever happens on the way, watched without a gap.

use crate::ids::NodeId;
use crate::limits;
use crate::node::api::{Consistency, ErrorCode, KeyQuery, KeyView, Reply, Request, RequestError};
use crate::node::testing::Cluster;
use crate::node::{Input, NodeConfig};
use crate::state_machine::{
    Call, Command, Condition, Key, KeyChange, KeyEvent, KeyHappened, KeyOperation, Sequence, Version,
};
use crate::time::Duration;
use crate::wire::peer::{Ask, PeerMessage, Proposal, Ticket};
use bytes::Bytes;

fn key(name: &str) -> Key {
    name.parse().unwrap()
}

fn put(name: &str, value: impl Into<Bytes>, condition: Condition) -> Request {
    let operation = KeyOperation::Put { value: value.into(), ttl: None };
    Request::ChangeKey { change: KeyChange { key: key(name), condition, operation } }
}

fn put_for(seconds: u64, name: &str) -> Request {
    let operation = KeyOperation::Put { value: "v".into(), ttl: Some(Duration::from_secs(seconds)) };
    Request::ChangeKey { change: KeyChange { key: key(name), condition: Condition::Any, operation } }
}

fn delete(name: &str) -> Request {
    let change = KeyChange { key: key(name), condition: Condition::Any, operation: KeyOperation::Delete };
    Request::ChangeKey { change }
}

fn get(name: &str) -> Request {
    Request::GetKey { key: key(name), consistency: Consistency::Linearizable }
}

fn stored(version: u64, created: bool) -> Result<Reply, RequestError> {
    Ok(Reply::KeyPut { version: Version::new(version), created })
}

impl Cluster {
    fn read(&mut self, node: NodeId, name: &str) -> Option<KeyView> {
        match self.ask(node, get(name)) {
            Ok(Reply::Key(view)) => Some(*view),
            Err(error) if error.code == ErrorCode::NotFound => None,
            other => panic!("{other:?}"),
        }
    }

    fn value(&mut self, node: NodeId, name: &str) -> Option<Bytes> {
        self.read(node, name).and_then(|view| view.value)
    }

    fn watch(&mut self, node: NodeId, prefix: &str, after: Option<u64>) -> crate::node::RequestId {
        self.request(node, Request::WatchKeys { prefix: prefix.to_owned(), after: after.map(Version::new) })
    }

    fn seen(&mut self, watch: crate::node::RequestId) -> (Vec<String>, u64) {
        match self.reply(watch) {
            Some(Ok(Reply::KeyEvents { events, next })) => {
                (events.iter().map(|event| event.key.to_string()).collect(), next.get())
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn every_member_reads_what_any_member_wrote() {
    let (mut cluster, nodes) = Cluster::of_servers(60, 3);
    for (n, node) in nodes.iter().enumerate() {
        let name = format!("key {n}");
        assert_eq!(cluster.ask(*node, put(&name, "one", Condition::Absent)), stored(2 * n as u64 + 1, true));
        assert_eq!(cluster.ask(*node, put(&name, "two", Condition::Any)), stored(2 * n as u64 + 2, false));
        for reader in &nodes {
            assert_eq!(cluster.value(*reader, &name), Some("two".into()), "at once, everywhere");
        }
    }
    assert_eq!(cluster.ask(nodes[1], delete("key 0")), Ok(Reply::Done));
    assert_eq!(cluster.ask(nodes[2], delete("key 0")).unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(cluster.read(nodes[0], "key 0"), None);
    let stale = Condition::Version(Version::new(3));
    let conflict = Reply::KeyConflict { current: Some(Version::new(4)) };
    assert_eq!(cluster.ask(nodes[0], put("key 1", "three", stale)), Ok(conflict));
    let query = KeyQuery { prefix: "key".into(), limit: 1, values: false, after: None };
    let list = Request::ListKeys { query: query.clone(), consistency: Consistency::Linearizable };
    let Ok(Reply::Keys { keys, next, version }) = cluster.ask(nodes[0], list) else { panic!("a list") };
    assert_eq!(
        (keys.len(), &keys[0].key, keys[0].bytes, keys[0].value.is_none()),
        (1, &key("key 1"), 3, true)
    );
    assert_eq!((next, version), (Some(key("key 1")), Version::new(7)));
    let query = KeyQuery { after: Some(key("key 1")), ..query };
    let list = Request::ListKeys { query, consistency: Consistency::Stale };
    let Ok(Reply::Keys { keys, next, .. }) = cluster.ask(nodes[0], list) else { panic!("a list") };
    assert_eq!((keys.len(), next), (1, None));
}

pub fn a_change_is_applied_once_through_a_leader_that_dies_before_it_answers(config: NodeConfig) {
    let mut retried = 0;
    for seed in 0..12 {
        let (mut cluster, _) = Cluster::of_servers_with(config.clone(), 61 + seed, 3);
        let client = cluster.follower();
        assert_eq!(cluster.ask(client, put("n", "0", Condition::Any)), stored(1, true));
        let if_zero = Condition::Version(Version::new(1));
        let request = cluster.request(client, put("n", "1", if_zero));
        // Somewhere between the arrival of the command at the leader and that of its answer at the client.
        cluster.run_for(Duration::from_micros(500 + 500 * seed));
        let was_open = !cluster.is_answered(request);
        let leader = cluster.leader().unwrap();
        let has_it = cluster.node(leader).inspect().raft.last.index > cluster.node(client).inspect().applied;
        cluster.crash(leader);
        cluster.wait("an answer", |cluster| cluster.is_answered(request));
        assert_eq!(cluster.reply(request), Some(stored(2, false)), "seed {seed}");
        assert_eq!(cluster.value(client, "n"), Some("1".into()));
        retried += u32::from(was_open && has_it);
    }
    assert!(retried >= 3, "{retried} commands were under way");
}

#[test]
fn a_change_without_a_quorum_has_an_unknown_outcome_or_has_not_happened() {
    let (mut cluster, nodes) = Cluster::of_servers(70, 3);
    cluster.ask(nodes[0], put("n", "0", Condition::Any)).unwrap();
    let leader = cluster.leader().unwrap();
    let others: Vec<NodeId> = nodes.iter().copied().filter(|node| *node != leader).collect();
    others.iter().for_each(|node| cluster.crash(*node));
    let handed_on = cluster.request(leader, put("n", "1", Condition::Any));
    cluster.run_for(Duration::from_secs(11));
    let error = cluster.reply(handed_on).unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::UnknownOutcome, "{error}");
    let refused = cluster.request(leader, put("n", "2", Condition::Any));
    cluster.run_for(Duration::from_secs(11));
    let error = cluster.reply(refused).unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::NoQuorum, "{error}");
    assert!(error.message.ends_with("Nothing was changed."));
    let stale = Request::GetKey { key: key("n"), consistency: Consistency::Stale };
    let Ok(Reply::Key(view)) = cluster.ask(leader, stale) else { panic!("a stale read needs nobody") };
    assert_eq!(view.value, Some("0".into()));
}

#[test]
fn who_is_told_that_it_wrote_can_read_it_at_once() {
    let mut config = NodeConfig::default();
    config.raft.commit_delay = Duration::from_millis(50);
    let (mut cluster, _) = Cluster::of_servers_with(config, 80, 3);
    let client = cluster.follower();
    for version in 1..=10 {
        assert_eq!(cluster.ask(client, put("n", "v", Condition::Any)), stored(version, version == 1));
        let stale = Request::GetKey { key: key("n"), consistency: Consistency::Stale };
        let Ok(Reply::Key(view)) = cluster.ask(client, stale) else { panic!("it is there") };
        assert_eq!(view.version, Version::new(version));
    }
}

#[test]
fn a_session_that_is_gone_is_opened_again() {
    let (mut cluster, nodes) = Cluster::of_servers(71, 3);
    cluster.ask(nodes[0], put("n", "0", Condition::Any)).unwrap();
    cluster.skip(limits::SESSION_IDLE_MAX + Duration::from_secs(1));
    cluster.run_for(Duration::from_secs(2));
    assert!(cluster.node(nodes[0]).state().sessions.is_empty());
    assert_eq!(cluster.ask(nodes[0], put("n", "1", Condition::Any)), stored(2, false));
    assert_eq!(cluster.ask(nodes[0], put("n", "2", Condition::Any)), stored(3, false));
    assert_eq!(cluster.node(nodes[0]).state().sessions.len(), 1);
}

/// A change that was not asked for, sent to the leader as `from`: in the session that was opened last, far ahead of its calls.
fn intrude(cluster: &mut Cluster, from: NodeId) {
    let leader = cluster.leader().unwrap();
    let far = Sequence::new(1_000);
    let session = cluster.node(leader).state().sessions.opened();
    let call = Call { session, sequence: far, lowest_open: far };
    let command = Command::ChangeKey { call, change: KeyChange::put(key("stolen"), "v".into()) };
    let message = PeerMessage::Proposal(Proposal::Ask(vec![(Ticket(1), Ask::Apply(command))]));
    cluster.handle(leader, Input::frame(from, message.to_frame(Bytes::new())));
    cluster.run_for(Duration::from_millis(200));
}

#[test]
fn a_member_that_lies_can_neither_use_nor_end_the_session_of_another() {
    let (mut cluster, nodes) = Cluster::of_servers(78, 3);
    let client = cluster.follower();
    let leader = cluster.leader();
    let liar = *nodes.iter().find(|node| **node != client && Some(**node) != leader).unwrap();
    assert_eq!(cluster.ask(client, put("n", "1", Condition::Any)), stored(1, true));
    intrude(&mut cluster, liar);
    assert_eq!(cluster.value(client, "stolen"), None);
    assert_eq!(cluster.ask(client, put("n", "2", Condition::Any)), stored(2, false));
}

#[test]
fn a_call_out_of_sequence_is_told_as_unknown_and_another_session_takes_the_next() {
    let (mut cluster, _) = Cluster::of_servers(79, 3);
    let client = cluster.follower();
    assert_eq!(cluster.ask(client, put("n", "1", Condition::Any)), stored(1, true));
    intrude(&mut cluster, client);
    let error = cluster.ask(client, put("n", "2", Condition::Any)).unwrap_err();
    assert_eq!(error.code, ErrorCode::UnknownOutcome, "{error}");
    assert_eq!(cluster.ask(client, put("n", "3", Condition::Any)), stored(3, false));
    assert_eq!(cluster.node(client).state().sessions.len(), 2);
}

#[test]
fn a_restarted_node_begins_another_session() {
    let (mut cluster, nodes) = Cluster::of_servers(72, 3);
    for round in 0..3 {
        let node = nodes[0];
        assert!(cluster.ask(node, put("n", "v", Condition::Any)).is_ok());
        cluster.crash(node);
        cluster.run_for(Duration::from_secs(1));
        cluster.restart(node);
        cluster.wait("the node to be back", |cluster| cluster.is_settled(3, 3));
        assert_eq!(cluster.node(node).state().sessions.len(), round + 1);
    }
}

#[test]
fn many_changes_share_a_session_and_none_is_lost() {
    let (mut cluster, _) = Cluster::of_servers(73, 3);
    let client = cluster.follower();
    cluster.ask(client, put("first", "v", Condition::Any)).unwrap();
    let requests: Vec<_> =
        (0..500).map(|n| cluster.request(client, put(&format!("{n:03}"), "v", Condition::Absent))).collect();
    cluster.run_for(Duration::from_millis(4));
    let leader = cluster.leader().unwrap();
    cluster.crash(leader);
    cluster.wait("all answers", |cluster| requests.iter().all(|request| cluster.is_answered(*request)));
    for request in requests {
        let reply = cluster.reply(request).unwrap();
        assert!(matches!(reply, Ok(Reply::KeyPut { created: true, .. })), "{reply:?}");
    }
    let state = cluster.node(client).state();
    assert_eq!((state.keys.len(), state.keys.version(), state.sessions.len()), (501, Version::new(501), 1));
}

#[test]
fn a_key_goes_when_its_time_is_over() {
    let (mut cluster, nodes) = Cluster::of_servers(74, 3);
    assert_eq!(cluster.ask(nodes[0], put_for(5, "n")), stored(1, true));
    let ttl = cluster.read(nodes[1], "n").unwrap().ttl.unwrap();
    assert!((4..=5).contains(&ttl.as_secs()), "{ttl:?}");
    let watch = cluster.watch(nodes[2], "", Some(1));
    cluster.run_for(Duration::from_millis(4_900));
    assert!(!cluster.is_answered(watch) && cluster.read(nodes[1], "n").is_some());
    cluster.run_for(Duration::from_millis(300));
    let Some(Ok(Reply::KeyEvents { events, .. })) = cluster.reply(watch) else { panic!("it expired") };
    let expired = KeyEvent { key: key("n"), version: Version::new(2), happened: KeyHappened::Expired };
    assert_eq!(events, [expired]);
    assert_eq!(cluster.read(nodes[1], "n"), None);
}

#[test]
fn time_goes_on_after_a_leader_whose_clock_was_far_ahead() {
    let (mut cluster, nodes) = Cluster::of_servers(80, 3);
    let early = cluster.follower();
    cluster.crash(early);
    cluster.ahead.insert(early, Duration::from_secs(3_600));
    cluster.restart(early);
    cluster.wait("the node to be back", |cluster| cluster.is_settled(3, 3));
    cluster.ask(early, Request::Transfer { to: Some(early) }).unwrap();
    cluster.ask(early, put("far", "v", Condition::Any)).unwrap();
    let reached = cluster.node(early).state().now;
    assert!(reached > cluster.now + Duration::from_secs(3_000), "its stamps are in the log");
    cluster.crash(early);
    let client = *nodes.iter().find(|node| **node != early).unwrap();
    assert_eq!(cluster.ask(client, put_for(5, "n")), stored(2, true));
    cluster.run_for(Duration::from_millis(4_900));
    assert!(cluster.read(client, "n").is_some());
    cluster.run_for(Duration::from_millis(300));
    assert_eq!(cluster.read(client, "n"), None);
    let passed = cluster.node(client).state().now.since(reached);
    assert!((5..10).contains(&passed.as_secs()), "from where it was, as time passes: {passed:?}");
}

#[test]
fn the_time_that_a_key_has_left_goes_by_where_nothing_happens() {
    let (mut cluster, nodes) = Cluster::of_servers(81, 3);
    cluster.ask(nodes[0], put_for(60, "n")).unwrap();
    cluster.run_for(Duration::from_secs(10));
    for node in nodes {
        let stale = Request::GetKey { key: key("n"), consistency: Consistency::Stale };
        let Ok(Reply::Key(view)) = cluster.ask(node, stale) else { panic!("it is there") };
        assert!((49..=50).contains(&view.ttl.unwrap().as_secs()), "{view:?}");
    }
}

#[test]
fn a_watch_tells_every_change_once_and_only_those_that_concern_it() {
    let (mut cluster, nodes) = Cluster::of_servers(75, 3);
    let all = cluster.watch(nodes[1], "", None);
    let some = cluster.watch(nodes[1], "a/", None);
    cluster.ask(nodes[0], put("b", "v", Condition::Any)).unwrap();
    cluster.run_for(Duration::from_millis(200));
    assert_eq!(cluster.seen(all), (vec!["b".to_owned()], 1));
    assert!(!cluster.is_answered(some));
    cluster.ask(nodes[0], put("a/1", "v", Condition::Any)).unwrap();
    cluster.ask(nodes[0], delete("b")).unwrap();
    cluster.ask(nodes[0], put("a/2", "v", Condition::Any)).unwrap();
    cluster.run_for(Duration::from_millis(200));
    assert_eq!(cluster.seen(some).0, ["a/1"]);
    let rest = cluster.watch(nodes[1], "a/", Some(2));
    assert_eq!(cluster.seen(rest), (vec!["a/2".to_owned()], 4));
    let from_elsewhere = cluster.watch(nodes[2], "", Some(1));
    assert_eq!(cluster.seen(from_elsewhere), (vec!["a/1".to_owned(), "b".to_owned(), "a/2".to_owned()], 4));
    let gone = cluster.watch(nodes[1], "a/", Some(4));
    cluster.handle(nodes[1], Input::Abandoned { id: gone });
    cluster.ask(nodes[0], put("a/3", "v", Condition::Any)).unwrap();
    cluster.run_for(Duration::from_millis(200));
    assert!(!cluster.is_answered(gone));
}

#[test]
fn a_watcher_that_is_too_slow_is_told_that_it_missed_something() {
    let (mut cluster, nodes) = Cluster::of_servers(76, 1);
    let value = Bytes::from(vec![7; 1 << 19]);
    let kept = limits::KEY_EVENTS_BYTES_MAX / value.len();
    for n in 0..=kept {
        cluster.ask(nodes[0], put(&n.to_string(), value.clone(), Condition::Any)).unwrap();
    }
    let version = Version::new(kept as u64 + 1);
    let missed = cluster.watch(nodes[0], "", Some(0));
    assert_eq!(cluster.reply(missed), Some(Ok(Reply::KeyEventsMissed { version })));
    let page = cluster.watch(nodes[0], "", Some(1));
    let (events, next) = cluster.seen(page);
    assert_eq!(
        (events.len(), next),
        (limits::KEYS_PAGE_BYTES_MAX / value.len(), 9),
        "a page, and where to go on"
    );
}

#[test]
fn a_watch_after_a_change_that_never_happened_is_refused() {
    let (mut cluster, nodes) = Cluster::of_servers(82, 1);
    cluster.ask(nodes[0], put("n", "v", Condition::Any)).unwrap();
    let waits = cluster.watch(nodes[0], "", Some(1));
    assert!(!cluster.is_answered(waits));
    let error =
        cluster.ask(nodes[0], Request::WatchKeys { prefix: String::new(), after: Some(Version::new(2)) });
    let error = error.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    assert_eq!(error.message, "there is no change 2 of keys here: the latest is 1");
}

#[test]
fn a_watch_after_a_change_that_a_member_has_not_seen_yet_waits_for_the_next() {
    let (mut cluster, _) = Cluster::of_servers(83, 3);
    let (leader, behind) = (cluster.leader().unwrap(), cluster.follower());
    cluster.ask(leader, put("n", "1", Condition::Any)).unwrap();
    assert_eq!(cluster.node(behind).state().keys.version(), Version::ZERO);
    let watch = cluster.watch(behind, "", Some(1));
    cluster.run_for(Duration::from_millis(200));
    assert!(!cluster.is_answered(watch));
    cluster.ask(leader, put("n", "2", Condition::Any)).unwrap();
    cluster.run_for(Duration::from_millis(200));
    assert_eq!(cluster.seen(watch), (vec!["n".to_owned()], 2));
}

#[test]
fn values_that_wait_are_bounded() {
    let (mut cluster, nodes) = Cluster::of_servers(77, 3);
    cluster.crash(nodes[0]);
    cluster.crash(nodes[1]);
    cluster.run_for(Duration::from_secs(1));
    let value = Bytes::from(vec![7; limits::VALUE_BYTES_MAX]);
    let fit = limits::REQUESTS_BYTES_MAX.div_ceil(value.len());
    let requests: Vec<_> =
        (0..fit).map(|_| cluster.request(nodes[2], put("n", value.clone(), Condition::Any))).collect();
    assert!(requests.iter().all(|request| !cluster.is_answered(*request)));
    let refused = cluster.request(nodes[2], put("n", "small", Condition::Any));
    assert_eq!(cluster.reply(refused).unwrap().unwrap_err().code, ErrorCode::Busy);
    cluster.handle(nodes[2], Input::Abandoned { id: requests[0] });
    let taken = cluster.request(nodes[2], put("n", value.clone(), Condition::Any));
    assert!(!cluster.is_answered(taken));
    let large = put("n", vec![7; limits::VALUE_BYTES_MAX + 1], Condition::Any);
    cluster.handle(nodes[2], Input::Abandoned { id: requests[1] });
    let too_large = cluster.request(nodes[2], large);
    assert_eq!(cluster.reply(too_large).unwrap().unwrap_err().code, ErrorCode::TooLarge);
}
