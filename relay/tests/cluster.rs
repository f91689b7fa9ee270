//! Whole clusters: hosted nodes and nodes over sockets, with real files.

mod kit;

use kit::{PATIENCE, TestRelay};
use relay::driver::{NodeHandle, NodeOptions, RelayAddress, start_node};
use shared::ids::{DocumentId, Hash, JobId};
use shared::node::NodeConfig;
use shared::node::api::{ClusterView, Event, Reply, Request, RoleView};
use shared::rng::Rng;
use shared::state_machine::{JobOptions, JobResult, JobState, Retention};
use shared::words::{Chunker, Mode};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

async fn join(relay: RelayAddress, directory: &Path) -> NodeHandle {
    let options = NodeOptions {
        relay,
        data: Some(directory.to_owned()),
        name: Some("Guest".to_owned()),
        http: None,
        threads: Some(1),
        record: None,
        config: NodeConfig::default(),
    };
    start_node(options).await.unwrap()
}

/// Waits until the cluster looks like that to `node`.
async fn see(node: &NodeHandle, what: &str, holds: impl Fn(&ClusterView) -> bool) -> ClusterView {
    let mut events = node.events();
    let mut last = None;
    let seen = timeout(PATIENCE, async {
        loop {
            if let Ok(Reply::Cluster(view)) = node.request(Request::Cluster).await {
                if holds(&view) {
                    return *view;
                }
                last = Some(view);
            }
            // Any event is a reason to look again; so is missing some.
            let _ = events.recv().await;
        }
    });
    match seen.await {
        Ok(view) => view,
        Err(_) => panic!("never seen: {what}; but {last:#?}"),
    }
}

fn voters(view: &ClusterView) -> usize {
    view.quorum.voters as usize
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosted_nodes_elect_a_leader_and_a_guest_joins() {
    let relay = TestRelay::start(3).await;
    let home = tempfile::tempdir().unwrap();
    see(&relay.relay.nodes[0], "three voters", |view| voters(view) == 3 && view.quorum.healthy).await;
    let guest = join(relay.address(), home.path()).await;
    let view = see(&guest, "four members", |view| view.members.len() == 4 && view.leader.is_some()).await;
    let me = view.members.iter().find(|member| member.node == guest.id()).unwrap();
    assert_eq!((me.name.as_str(), me.role != RoleView::Leader), ("Guest", true));
    guest.shutdown().await;
    relay.relay.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_leader_stops_another_takes_over() {
    let relay = TestRelay::start(3).await;
    let nodes = &relay.relay.nodes;
    let view = see(&nodes[0], "three voters", |view| voters(view) == 3 && view.quorum.healthy).await;
    let former = view.leader.unwrap();
    let leader = nodes.iter().find(|node| node.id() == former).unwrap();
    leader.shutdown().await;
    let follower = nodes.iter().find(|node| node.id() != former).unwrap();
    see(follower, "a new leader", |view| view.leader.is_some_and(|leader| leader != former)).await;
    relay.relay.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_comes_back_from_its_directories() {
    let first = TestRelay::start(3).await;
    let view =
        see(&first.relay.nodes[0], "three voters", |view| voters(view) == 3 && view.quorum.healthy).await;
    let ids: Vec<_> = first.relay.nodes.iter().map(NodeHandle::id).collect();
    let TestRelay { relay, directory } = first;
    relay.shutdown().await;

    let relay = relay::host::start(kit::options(3, directory.path())).await.unwrap();
    assert_eq!(relay.nodes.iter().map(NodeHandle::id).collect::<Vec<_>>(), ids);
    let again =
        see(&relay.nodes[1], "the same cluster", |view| voters(view) == 3 && view.quorum.healthy).await;
    assert_eq!(again.cluster, view.cluster);
    assert!(again.term > view.term);
    relay.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_come_back_when_the_relay_does() {
    let first = TestRelay::start(0).await;
    let address = first.address();
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut nodes = Vec::new();
    for home in &homes {
        nodes.push(join(address.clone(), home.path()).await);
    }
    let view = see(&nodes[2], "three voters", |view| voters(view) == 3 && view.quorum.healthy).await;
    let TestRelay { relay, directory } = first;
    let addr = relay.addr;
    relay.shutdown().await;
    see(&nodes[0], "no quorum", |view| !view.quorum.healthy).await;

    let mut options = kit::options(0, directory.path());
    options.listen = addr;
    let relay = relay::host::start(options).await.unwrap();
    for node in &nodes {
        let again = see(node, "the quorum again", |view| voters(view) == 3 && view.quorum.healthy).await;
        assert_eq!(again.cluster, view.cluster);
    }
    for node in &nodes {
        node.shutdown().await;
    }
    relay.shutdown().await;
}

/// Counts of a made-up text, kept while it is made.
struct Reference {
    total: u64,
    counts: BTreeMap<String, u64>,
}

/// About `bytes` of text, in which low numbers are frequent.
fn text_of(bytes: usize) -> (Vec<u8>, Reference) {
    let mut rng = Rng::from_u64(7);
    let mut text = String::with_capacity(bytes + 32);
    let mut reference = Reference { total: 0, counts: BTreeMap::new() };
    while text.len() < bytes {
        let bound = 1 + rng.below(20_000);
        let word = format!("word{}", rng.below(bound));
        text.push_str(&word);
        text.push(if rng.below(12) == 0 { '\n' } else { ' ' });
        reference.total += 1;
        *reference.counts.entry(word).or_default() += 1;
    }
    (text.into_bytes(), reference)
}

async fn upload(node: &NodeHandle, text: &[u8]) -> DocumentId {
    let open = Request::OpenUpload { name: "text".to_owned(), retention: Retention::Keep, document: None };
    let Reply::UploadOpened { upload } = node.request(open).await.unwrap() else { panic!() };
    let mut chunker = Chunker::new();
    chunker.push(text);
    // The whole text is in: each call gives one more piece of it.
    for (position, bytes) in (0..).zip(std::iter::from_fn(|| chunker.finish())) {
        let hash = Hash::of(&bytes);
        node.request(Request::UploadChunk { upload, position, hash, bytes }).await.unwrap();
    }
    let Reply::Document(document) = node.request(Request::FinishUpload { upload }).await.unwrap() else {
        panic!()
    };
    document.id
}

async fn submit(node: &NodeHandle, document: DocumentId) -> JobId {
    let options = JobOptions { mode: Mode::Unicode, top: 10, verify: 1 };
    let reply =
        node.request(Request::SubmitJob { job: None, documents: vec![document], options }).await.unwrap();
    let Reply::Job(job) = reply else { panic!("{reply:?}") };
    job.id
}

async fn result_of(node: &NodeHandle, job: JobId) -> JobResult {
    let Ok(reply) = timeout(PATIENCE, node.request(Request::AwaitJob { job })).await else {
        panic!("the job does not end: {:#?}", node.request(Request::GetJob { job }).await);
    };
    match reply.unwrap() {
        Reply::Job(job) => match job.state {
            JobState::Done(result) => *result,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn assert_exact(result: &JobResult, reference: &Reference) {
    assert_eq!(result.summary.totals.total, reference.total);
    assert_eq!(result.summary.totals.unique, reference.counts.len() as u64);
    let mut counts: Vec<(&String, u64)> =
        reference.counts.iter().map(|(word, count)| (word, *count)).collect();
    counts.sort_by(|(a_word, a), (b_word, b)| b.cmp(a).then(a_word.cmp(b_word)));
    let expected = counts.iter().take(10).map(|(word, count)| (word.as_bytes().to_vec(), *count));
    let top = result.summary.top.iter().map(|word| (word.prefix.clone(), word.count));
    assert_eq!(top.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

fn small_tasks() -> NodeConfig {
    NodeConfig { task_bytes: 1 << 20, ..NodeConfig::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_is_stored_and_counted_by_hosted_nodes_and_a_guest() {
    let relay = TestRelay::start_with(3, |options, _| options.config = small_tasks()).await;
    let home = tempfile::tempdir().unwrap();
    let guest = join(relay.address(), home.path()).await;
    see(&guest, "four members", |view| view.members.len() == 4 && voters(view) == 3).await;

    let (text, reference) = text_of(6 << 20);
    let document = upload(&guest, &text).await;
    let job = submit(&relay.relay.nodes[1], document).await;
    assert_exact(&result_of(&guest, job).await, &reference);

    // What is durable is there after a restart of everything.
    guest.shutdown().await;
    let TestRelay { relay, directory } = relay;
    relay.shutdown().await;
    let relay = relay::host::start(kit::options(3, directory.path())).await.unwrap();
    see(&relay.nodes[2], "the cluster again", |view| view.quorum.healthy).await;
    assert_exact(&result_of(&relay.nodes[2], job).await, &reference);
    relay.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_count_survives_the_leader() {
    let relay = TestRelay::start_with(3, |options, _| options.config = small_tasks()).await;
    let home = tempfile::tempdir().unwrap();
    let guest = join(relay.address(), home.path()).await;
    let view = see(&guest, "four members", |view| view.members.len() == 4 && voters(view) == 3).await;
    let (text, reference) = text_of(12 << 20);
    let document = upload(&guest, &text).await;

    let nodes = &relay.relay.nodes;
    let survivor = nodes.iter().find(|node| Some(node.id()) != view.leader).unwrap();
    let mut events = survivor.events();
    let job = submit(survivor, document).await;
    let under_way = async {
        loop {
            if let Ok(Event::Progress(jobs)) = events.recv().await
                && jobs.iter().any(|progress| progress.job == job && progress.tasks_done > 0)
            {
                return;
            }
        }
    };
    // On a fast machine it may be over before anybody has seen it begin.
    let _ = timeout(Duration::from_secs(10), under_way).await;
    let view = see(survivor, "a leader", |view| view.leader.is_some()).await;
    let leader = nodes.iter().chain([&guest]).find(|node| Some(node.id()) == view.leader).unwrap();
    leader.shutdown().await;

    let survivor = nodes.iter().find(|node| !node.has_ended()).unwrap();
    assert_exact(&result_of(survivor, job).await, &reference);
    guest.shutdown().await;
    relay.relay.shutdown().await;
}
