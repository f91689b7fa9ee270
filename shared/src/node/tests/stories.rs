//! Steps that several stories about texts and counts share.

use crate::ids::{DocumentId, Hash, JobId, NodeId, UploadId};
use crate::node::RequestId;
use crate::node::api::{Reply, Request};
use crate::node::testing::Cluster;
use crate::rng::Rng;
use crate::state_machine::{Document, Job, JobOptions, JobResult, JobState, Retention};
use crate::words::{Chunker, Mode, Partial, Summary};
use bytes::Bytes;
use std::collections::VecDeque;

/// A cluster of servers with tasks so small that a short text has many.
pub(super) fn with_servers(seed: u64, count: usize) -> (Cluster, Vec<NodeId>) {
    let mut cluster = Cluster::new(seed);
    cluster.config.task_bytes = 2_000;
    let nodes: Vec<NodeId> = (0..count).map(|_| cluster.start(crate::wire::session::Kind::Server)).collect();
    let voters = count - usize::from(count.is_multiple_of(2));
    cluster.wait("every server to be a member", |cluster| cluster.is_settled(voters, count));
    (cluster, nodes)
}

/// Words of a skewed vocabulary, on lines.
pub(super) fn text_of_words(seed: u64, bytes: usize) -> Vec<u8> {
    let mut rng = Rng::from_u64(seed);
    let mut text = Vec::new();
    while text.len() < bytes {
        let rank = rng.below(200) * rng.below(200) / 40;
        let word = ["The", "naïve", "can't", "東京", "Straße", "İz"][rank as usize % 6];
        text.extend_from_slice(format!("{word}{}", rank / 6).as_bytes());
        text.push(if rng.below(12) == 0 { b'\n' } else { b' ' });
    }
    text
}

pub(super) fn put_chunk(
    cluster: &mut Cluster,
    at: NodeId,
    upload: UploadId,
    position: u32,
    bytes: Bytes,
) -> RequestId {
    cluster.request(at, Request::UploadChunk { upload, position, hash: Hash::of(&bytes), bytes })
}

/// As a client does it: a few chunks under way at a time.
pub(super) fn upload(cluster: &mut Cluster, at: NodeId, text: &[u8]) -> Document {
    let open = Request::OpenUpload { name: "text".into(), retention: Retention::Keep, document: None };
    let Ok(Reply::UploadOpened { upload }) = cluster.ask(at, open) else { panic!("no upload") };
    let mut chunker = Chunker::with_sizes(700, 1400);
    chunker.push(text);
    let chunks = std::iter::from_fn(|| chunker.next_chunk().or_else(|| chunker.finish()));
    let mut under_way = VecDeque::new();
    for (position, bytes) in (0..).zip(chunks) {
        under_way.push_back(put_chunk(cluster, at, upload, position, bytes));
        if under_way.len() >= 8 {
            stored(cluster, under_way.pop_front());
        }
    }
    while let Some(request) = under_way.pop_front() {
        stored(cluster, Some(request));
    }
    match cluster.ask(at, Request::FinishUpload { upload }) {
        Ok(Reply::Document(document)) => *document,
        other => panic!("{other:?}"),
    }
}

fn stored(cluster: &mut Cluster, request: Option<RequestId>) {
    let Some(request) = request else { return };
    cluster.wait("a chunk to be stored", |cluster| cluster.is_answered(request));
    assert_eq!(cluster.reply(request), Some(Ok(Reply::Done)));
}

pub(super) fn submit(cluster: &mut Cluster, at: NodeId, documents: &[DocumentId], mode: Mode) -> JobId {
    let options = JobOptions { mode, top: 20, verify: 1 };
    match cluster.ask(at, Request::SubmitJob { job: None, documents: documents.to_vec(), options }) {
        Ok(Reply::Job(job)) => job.id,
        other => panic!("{other:?}"),
    }
}

pub(super) fn job(cluster: &Cluster, at: NodeId, id: JobId) -> Option<Job> {
    cluster.node(at).around.machine.state().jobs.get(&id).cloned()
}

/// Waits for the result as it is at this node.
pub(super) fn result(cluster: &mut Cluster, at: NodeId, id: JobId) -> JobResult {
    cluster.wait("the job to end", |cluster| {
        job(cluster, at, id).is_some_and(|job| job.state != JobState::Running)
    });
    match job(cluster, at, id).map(|job| job.state) {
        Some(JobState::Done(result)) => *result,
        other => panic!("{other:?}"),
    }
}

/// The summary and the whole table, read at this node, are those of these texts, each counted in one piece.
pub(super) fn assert_exact(
    cluster: &mut Cluster,
    at: NodeId,
    result: &JobResult,
    mode: Mode,
    texts: &[&[u8]],
) {
    let tables: Vec<_> = texts.iter().map(|text| Partial::of(mode, text).unwrap().close()).collect();
    let whole = crate::words::Table::merge(mode, &tables);
    assert_eq!(result.summary, Summary::of(&whole, 20));
    let mut table = Vec::new();
    for block in &result.table {
        match cluster.ask(at, Request::ReadBlock { block: *block }) {
            Ok(Reply::Block(bytes)) => table.extend_from_slice(&bytes),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(table, whole.as_bytes());
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    assert_eq!(result.workers.iter().map(|share| share.bytes).sum::<u64>(), bytes as u64);
}

/// The leader is in the middle of this job: some tasks are done, some are not.
pub(super) fn wait_for_the_middle(cluster: &mut Cluster, id: JobId) {
    cluster.wait("the middle of the job", |cluster| {
        let Some(leader) = cluster.leader() else { return false };
        let progress = cluster.node(leader).text.progress();
        progress
            .iter()
            .any(|run| run.job == id && run.tasks_done * 3 >= run.tasks && run.tasks_done < run.tasks)
    });
}
