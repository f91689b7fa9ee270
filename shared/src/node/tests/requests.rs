//! What clients get from any node, whatever happens meanwhile.

use crate::ids::{DocumentId, Hash, JobId, NodeId};
use crate::limits;
use crate::node::RequestId;
use crate::node::api::{ErrorCode, Reply, Request};
use crate::node::context::Submission;
use crate::node::testing::Cluster;
use crate::state_machine::{BlockRef, Command, Document, JobOptions, JobState, Retention};
use crate::time::Duration;
use crate::wire::peer::{Ask, PeerMessage, Proposal};
use crate::words::Mode;

/// Commits a document's manifest as an upload does, through the node's own way for commands.
pub(super) fn add_document(cluster: &mut Cluster, node: NodeId, name: &str) -> RequestId {
    let id = DocumentId::from_bytes(*blake3_prefix(name));
    let blocks = vec![BlockRef { hash: Hash::of(name.as_bytes()), bytes: 7 }];
    let command = Command::AddDocument { id, name: name.to_owned(), blocks, retention: Retention::Keep };
    cluster.submit(node, command)
}

fn blake3_prefix(name: &str) -> Box<[u8; 10]> {
    let mut prefix = Box::new([0; 10]);
    prefix.copy_from_slice(&Hash::of(name.as_bytes()).as_bytes()[..10]);
    prefix
}

fn added(cluster: &mut Cluster, node: NodeId, name: &str) -> Document {
    let request = add_document(cluster, node, name);
    cluster.wait("the document", |cluster| cluster.is_answered(request));
    match cluster.reply(request) {
        Some(Ok(Reply::Document(document))) => *document,
        other => panic!("{other:?}"),
    }
}

fn names(reply: Reply) -> Vec<String> {
    match reply {
        Reply::Documents(documents) => documents.into_iter().map(|document| document.name).collect(),
        other => panic!("{other:?}"),
    }
}

const OPTIONS: JobOptions = JobOptions { mode: Mode::Unicode, top: 10, verify: 1 };

#[test]
fn what_one_node_acknowledged_every_node_reads() {
    let (mut cluster, nodes) = Cluster::of_servers(20, 3);
    for (number, node) in nodes.iter().enumerate() {
        let name = format!("text {number}");
        assert_eq!(added(&mut cluster, *node, &name).name, name);
        for reader in &nodes {
            let reply = cluster.ask(*reader, Request::ListDocuments).expect("an answer");
            assert!(names(reply).contains(&name));
        }
    }
}

#[test]
fn a_command_outlives_the_leader_it_was_sent_to() {
    for seed in 21..31 {
        let (mut cluster, _) = Cluster::of_servers(seed, 3);
        let former = cluster.leader().expect("a leader");
        let entry = cluster.follower();
        let request = add_document(&mut cluster, entry, "kept");
        cluster.run_for(Duration::from_micros(500 * (seed - 20)));
        cluster.crash(former);
        cluster.wait("the document", |cluster| cluster.is_answered(request));
        assert!(matches!(cluster.reply(request), Some(Ok(Reply::Document(_)))));
        let reply = cluster.ask(entry, Request::ListDocuments).expect("an answer");
        assert_eq!(names(reply), ["kept"]);
    }
}

#[test]
fn acknowledged_documents_survive_the_crash_of_everybody() {
    let (mut cluster, nodes) = Cluster::of_servers(31, 3);
    added(&mut cluster, nodes[1], "kept");
    for node in &nodes {
        cluster.crash(*node);
    }
    for node in &nodes {
        cluster.restart(*node);
    }
    let reply = cluster.ask(nodes[2], Request::ListDocuments).expect("an answer");
    assert_eq!(names(reply), ["kept"]);
}

#[test]
fn a_log_that_was_compacted_reaches_newcomers_as_a_snapshot() {
    let mut cluster = Cluster::new(32);
    cluster.config.raft.compact_after_entries = 20;
    cluster.config.raft.kept_tail_entries = 2;
    let first = cluster.start(crate::wire::session::Kind::Server);
    cluster.wait("a leader", |cluster| cluster.leader().is_some());
    for number in 0..60 {
        added(&mut cluster, first, &format!("text {number}"));
    }
    assert!(cluster.status(first).snapshot.get() > 0);
    let late = cluster.start(crate::wire::session::Kind::Tab);
    cluster.wait("a learner", |cluster| cluster.is_settled(1, 2));
    let reply = cluster.ask(late, Request::ListDocuments).expect("an answer");
    assert_eq!(names(reply).len(), 60);
    cluster.crash(first);
    cluster.restart(first);
    let reply = cluster.ask(first, Request::ListDocuments).expect("an answer");
    assert_eq!(names(reply).len(), 60);
}

#[test]
fn rejections_say_what_is_wrong() {
    let (mut cluster, nodes) = Cluster::of_servers(33, 3);
    let nothing = DocumentId::from_bytes([7; 10]);
    let no_job = JobId::from_bytes([7; 10]);
    for (request, code) in [
        (Request::GetDocument { document: nothing }, ErrorCode::NotFound),
        (Request::DeleteDocument { document: nothing }, ErrorCode::NotFound),
        (Request::SubmitJob { job: None, documents: vec![nothing], options: OPTIONS }, ErrorCode::NotFound),
        (Request::SubmitJob { job: None, documents: vec![], options: OPTIONS }, ErrorCode::BadRequest),
        (
            Request::SubmitJob { job: None, documents: vec![nothing; 200_000], options: OPTIONS },
            ErrorCode::TooLarge,
        ),
        (Request::GetJob { job: no_job }, ErrorCode::NotFound),
        (Request::AwaitJob { job: no_job }, ErrorCode::NotFound),
        (Request::CancelJob { job: no_job }, ErrorCode::NotFound),
        (Request::Transfer { to: Some(NodeId::from_bytes([7; 10])) }, ErrorCode::BadRequest),
        (Request::RemoveMember { node: NodeId::from_bytes([7; 10]) }, ErrorCode::NotFound),
        (Request::RemoveMember { node: nodes[0] }, ErrorCode::Conflict),
    ] {
        let error = cluster.ask(nodes[1], request.clone()).expect_err("an error");
        assert_eq!(error.code, code, "{request:?}: {error:?}");
        assert!(!error.message.is_empty() && !error.hint.is_empty());
    }
}

#[test]
fn a_document_is_deleted_once_and_not_under_a_running_job() {
    let (mut cluster, nodes) = Cluster::of_servers(34, 3);
    let document = added(&mut cluster, nodes[0], "counted").id;
    let job = cluster.submit(
        nodes[0],
        Command::SubmitJob { id: JobId::from_bytes([1; 10]), documents: vec![document], options: OPTIONS },
    );
    cluster.wait("the job", |cluster| cluster.is_answered(job));
    let error = cluster.ask(nodes[1], Request::DeleteDocument { document }).expect_err("in use");
    assert_eq!(error.code, ErrorCode::Conflict);
    let reply = cluster.ask(nodes[2], Request::CancelJob { job: JobId::from_bytes([1; 10]) });
    assert!(matches!(reply, Ok(Reply::Job(job)) if matches!(job.state, JobState::Cancelled { .. })));
    assert_eq!(cluster.ask(nodes[1], Request::DeleteDocument { document }), Ok(Reply::Done));
}

#[test]
fn whoever_awaits_a_job_hears_of_its_end() {
    let (mut cluster, nodes) = Cluster::of_servers(35, 3);
    let document = added(&mut cluster, nodes[0], "counted").id;
    let id = JobId::from_bytes([1; 10]);
    let submitted =
        cluster.submit(nodes[0], Command::SubmitJob { id, documents: vec![document], options: OPTIONS });
    cluster.wait("the job", |cluster| cluster.is_answered(submitted));
    let awaiting: Vec<RequestId> =
        nodes.iter().map(|node| cluster.request(*node, Request::AwaitJob { job: id })).collect();
    cluster.ask(nodes[1], Request::CancelJob { job: id }).expect("cancelled");
    for request in awaiting {
        cluster.wait("the end", |cluster| cluster.is_answered(request));
        assert!(matches!(cluster.reply(request), Some(Ok(Reply::Job(job))) if job.id == id));
    }
}

#[test]
fn without_a_majority_requests_end_in_no_quorum() {
    let (mut cluster, nodes) = Cluster::of_servers(36, 3);
    cluster.crash(nodes[0]);
    cluster.crash(nodes[1]);
    let started = cluster.now;
    let error = cluster.ask(nodes[2], Request::ListDocuments).expect_err("no quorum");
    assert_eq!(error.code, ErrorCode::NoQuorum, "{error:?}");
    assert!(cluster.now.since(started) <= cluster.config.request_timeout + Duration::from_millis(1));
    let request = add_document(&mut cluster, nodes[2], "lost");
    cluster.wait("an answer", |cluster| cluster.is_answered(request));
    let error = cluster.reply(request).expect("answered").expect_err("no quorum");
    assert_eq!(error.code, ErrorCode::NoQuorum);
    assert!(error.message.starts_with("Only 1 of 3 voters is online"), "{error:?}");
    assert!(error.message.ends_with("Nothing was changed."), "{error:?}");
    assert!(error.hint.starts_with("Nothing is lost: the cluster goes on as soon as"), "{error:?}");
}

#[test]
fn a_node_outside_of_the_cluster_says_so() {
    let (mut cluster, nodes) = Cluster::of_servers(37, 1);
    cluster.crash(nodes[0]);
    let outside = cluster.start(crate::wire::session::Kind::Tab);
    let error = cluster.ask(outside, Request::ListDocuments).expect_err("not ready");
    assert_eq!(error.code, ErrorCode::NotReady);
}

#[test]
fn a_cut_off_leader_does_not_answer_reads_from_its_past() {
    let (mut cluster, _) = Cluster::of_servers(38, 3);
    let former = cluster.leader().expect("a leader");
    cluster.disconnect(former);
    let read = cluster.request(former, Request::ListDocuments);
    cluster.wait("another leader", |cluster| cluster.leader().is_some_and(|leader| leader != former));
    let leader = cluster.leader().expect("a leader");
    added(&mut cluster, leader, "new");
    assert!(!cluster.is_answered(read));
    cluster.connect(former);
    cluster.wait("the answer", |cluster| cluster.is_answered(read));
    assert_eq!(names(cluster.reply(read).expect("answered").expect("read")), ["new"]);
}

#[test]
fn leadership_goes_where_it_is_wanted() {
    let (mut cluster, nodes) = Cluster::of_servers(39, 3);
    for to in nodes.clone() {
        for asked in &nodes {
            assert_eq!(cluster.ask(*asked, Request::Transfer { to: Some(to) }), Ok(Reply::Done));
            assert_eq!(cluster.node(*asked).around.leader, Some(to));
        }
    }
    let former = cluster.leader().expect("a leader");
    assert_eq!(cluster.ask(nodes[0], Request::Transfer { to: None }), Ok(Reply::Done));
    assert_ne!(cluster.leader(), Some(former));
}

#[test]
fn a_tab_can_be_made_leader() {
    let (mut cluster, _) = Cluster::of_servers(40, 3);
    let tabs = [(); 2].map(|()| cluster.start(crate::wire::session::Kind::Tab));
    cluster.wait("tabs among the voters", |cluster| cluster.is_settled(5, 5));
    assert_eq!(cluster.ask(tabs[1], Request::Transfer { to: Some(tabs[0]) }), Ok(Reply::Done));
    cluster.run_for(Duration::from_secs(3));
    assert_eq!(cluster.leader(), Some(tabs[0]));
}

#[test]
fn a_dead_member_is_removed_on_request_and_forgotten() {
    let (mut cluster, nodes) = Cluster::of_servers(41, 4);
    let dead = cluster.follower();
    let asked = *nodes.iter().find(|node| **node != dead).expect("another");
    cluster.crash(dead);
    cluster.run_for(Duration::from_millis(10));
    assert_eq!(cluster.ask(asked, Request::RemoveMember { node: dead }), Ok(Reply::Done));
    assert!(cluster.is_settled(3, 3));
}

#[test]
fn waiting_requests_are_bounded() {
    let (mut cluster, nodes) = Cluster::of_servers(42, 3);
    cluster.crash(nodes[0]);
    cluster.crash(nodes[1]);
    cluster.run_for(Duration::from_secs(1));
    let requests: Vec<RequestId> =
        (0..limits::REQUESTS_WAITING_MAX).map(|_| cluster.request(nodes[2], Request::ListJobs)).collect();
    assert!(requests.iter().all(|request| !cluster.is_answered(*request)));
    let one_more = cluster.request(nodes[2], Request::ListJobs);
    let error = cluster.reply(one_more).expect("answered at once").expect_err("refused");
    assert_eq!(error.code, ErrorCode::Busy);
    cluster.handle(nodes[2], crate::node::Input::Abandoned { id: requests[0] });
    let again = cluster.request(nodes[2], Request::ListJobs);
    assert!(!cluster.is_answered(again));
}

#[test]
fn documents_expire_by_the_leaders_clock() {
    let (mut cluster, nodes) = Cluster::of_servers(43, 1);
    let id = DocumentId::from_bytes([3; 10]);
    let command = Command::AddDocument {
        id,
        name: "for a day".to_owned(),
        blocks: vec![],
        retention: Retention::Transient,
    };
    let request = cluster.submit(nodes[0], command);
    cluster.wait("the document", |cluster| cluster.is_answered(request));
    cluster.skip(limits::TRANSIENT_DOCUMENT_AGE_MAX);
    cluster.run_for(Duration::from_secs(30));
    let reply = cluster.ask(nodes[0], Request::ListDocuments).expect("an answer");
    assert!(names(reply).is_empty());
}

impl Cluster {
    fn submit(&mut self, node: NodeId, command: Command) -> RequestId {
        let request = self.next_request();
        self.poke(node, |node| {
            node.around.submissions.push(Submission { command, request: Some(request) });
        });
        request
    }
}

#[test]
fn a_peer_brings_only_what_its_clients_may_ask_for() {
    let (mut cluster, nodes) = Cluster::of_servers(29, 3);
    let document = added(&mut cluster, nodes[0], "a text");
    let job = match cluster
        .ask(nodes[0], Request::SubmitJob { job: None, documents: vec![document.id], options: OPTIONS })
    {
        Ok(Reply::Job(job)) => job.id,
        other => panic!("{other:?}"),
    };
    let (leader, liar) = (cluster.leader().unwrap(), cluster.follower());
    let members = cluster.node(leader).state().members.clone();
    let record = members[&leader].clone();
    let lies = [
        Command::SetMember { node: NodeId::from_bytes([7; 10]), record },
        Command::ForgetMember { node: leader },
        Command::FailJob { id: job, reason: "no reason".into() },
        Command::Expire,
    ];
    let ignored = cluster.node(leader).frames_ignored();
    let count = lies.len() as u64;
    let forward = |cluster: &mut Cluster, number: u64, command| {
        let ticket = crate::wire::peer::Ticket(number);
        let message = PeerMessage::Proposal(Proposal::Ask(vec![(ticket, Ask::Apply(command))]));
        let frame = message.to_frame(bytes::Bytes::new());
        cluster.handle(leader, crate::node::Input::frame(liar, frame));
    };
    for (number, lie) in (0..).zip(lies) {
        forward(&mut cluster, number, lie);
    }
    cluster.run_for(Duration::from_secs(1));
    let node = cluster.node(leader);
    assert_eq!(node.frames_ignored() - ignored, count);
    assert_eq!(node.state().members, members);
    assert_eq!(node.state().jobs[&job].state, JobState::Running, "nobody holds its text");
    forward(&mut cluster, count, Command::CancelJob { id: job });
    cluster.run_for(Duration::from_secs(1));
    assert_ne!(cluster.node(leader).state().jobs[&job].state, JobState::Running);
}

/// The relay still shows everybody, so the target looks fine; the driver of these tests refuses a deadline that has passed.
#[test]
fn whoever_waits_for_a_leader_to_hand_over_does_not_spin() {
    let (mut cluster, nodes) = Cluster::of_servers(44, 3);
    cluster.link = Box::new(|_, _| false);
    cluster.wait("nobody to lead", |cluster| {
        cluster.running().all(|node| cluster.status(node).leader.is_none())
    });
    let error = cluster.ask(nodes[0], Request::Transfer { to: Some(nodes[1]) }).expect_err("no leader");
    assert_eq!(error.code, ErrorCode::NoQuorum, "{error:?}");
}
