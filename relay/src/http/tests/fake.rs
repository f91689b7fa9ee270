//! A cluster of one that keeps everything in memory and counts at once: what the routes need of a node, and no more.

use crate::driver::NodeHandle;
use shared::ids::{DocumentId, Hash, JobId, NodeId, UploadId};
use shared::node::api::{
    ClusterView, ErrorCode, Event, QuorumView, Reply, Request, RequestError, TroubleCode,
};
use shared::rng::Rng;
use shared::state_machine::{
    BlockRef, Document, Job, JobOptions, JobResult, JobState, Retention, WorkerShare,
};
use shared::time::Time;
use shared::wire::peer::{JobProgress, Stage};
use shared::wire::session::Kind;
use shared::words::{Partial, Summary, Table};
use std::collections::BTreeMap;
use tokio::sync::broadcast;

/// Tables are cut into blocks as small as this, so that every reader has to put entries together.
const TABLE_BLOCK_BYTES: usize = 100;

type Answer = Result<Reply, RequestError>;

pub struct FakeCluster {
    rng: Rng,
    blocks: BTreeMap<Hash, bytes::Bytes>,
    uploads: BTreeMap<UploadId, Upload>,
    documents: BTreeMap<DocumentId, Document>,
    jobs: BTreeMap<JobId, Job>,
    events: broadcast::Sender<Event>,
    healthy: bool,
}

struct Upload {
    name: String,
    retention: Retention,
    document: Option<DocumentId>,
    chunks: BTreeMap<u32, BlockRef>,
}

/// A node that answers from memory. Without a quorum it answers that there is none.
pub fn node(healthy: bool) -> NodeHandle {
    let (events, _) = broadcast::channel(64);
    let mut cluster = FakeCluster {
        rng: Rng::from_u64(7),
        blocks: BTreeMap::new(),
        uploads: BTreeMap::new(),
        documents: BTreeMap::new(),
        jobs: BTreeMap::new(),
        events: events.clone(),
        healthy,
    };
    NodeHandle::made_up(events, move |request| cluster.answer(request))
}

fn error(code: ErrorCode, message: &str) -> RequestError {
    RequestError { code, message: message.to_owned(), hint: "do something about it".to_owned() }
}

fn not_found() -> RequestError {
    error(ErrorCode::NotFound, "there is no such thing")
}

impl FakeCluster {
    fn answer(&mut self, request: Request) -> Answer {
        if !self.healthy && request != Request::Cluster {
            return Err(error(ErrorCode::NoQuorum, "there is no leader"));
        }
        match request {
            Request::OpenUpload { name, retention, document } => {
                let upload = UploadId::random(&mut self.rng);
                self.uploads.insert(upload, Upload { name, retention, document, chunks: BTreeMap::new() });
                Ok(Reply::UploadOpened { upload })
            }
            Request::UploadChunk { upload, position, hash, bytes } => {
                assert_eq!(hash, Hash::of(&bytes), "the hash names the chunk");
                let chunks = &mut self.uploads.get_mut(&upload).ok_or_else(not_found)?.chunks;
                chunks.insert(position, BlockRef { hash, bytes: bytes.len() as u32 });
                self.blocks.insert(hash, bytes);
                Ok(Reply::Done)
            }
            Request::KeepUpload { upload } => {
                self.uploads.get(&upload).map(|_| Reply::Done).ok_or_else(not_found)
            }
            Request::FinishUpload { upload } => self.finish_upload(upload),
            Request::AbortUpload { upload } => {
                self.uploads.remove(&upload).map(|_| Reply::Done).ok_or_else(not_found)
            }
            Request::ListDocuments => Ok(Reply::Documents(self.documents.values().cloned().collect())),
            Request::GetDocument { document } => {
                let document = self.documents.get(&document).ok_or_else(not_found)?;
                Ok(Reply::Document(Box::new(document.clone())))
            }
            Request::DeleteDocument { document } => {
                self.documents.remove(&document).map(|_| Reply::Done).ok_or_else(not_found)
            }
            Request::ReadBlock { block } => {
                self.blocks.get(&block.hash).cloned().map(Reply::Block).ok_or_else(not_found)
            }
            Request::SubmitJob { job, documents, options } => self.submit(job, documents, options),
            Request::ListJobs => Ok(Reply::Jobs(self.jobs.values().cloned().collect())),
            Request::GetJob { job } => {
                let before = self.job(job)?;
                self.run(job)?;
                Ok(Reply::Job(Box::new(before)))
            }
            Request::AwaitJob { job } => {
                self.run(job)?;
                self.job(job).map(|job| Reply::Job(Box::new(job)))
            }
            Request::CancelJob { job } => {
                let job = self.jobs.get_mut(&job).ok_or_else(not_found)?;
                job.state = JobState::Cancelled { at: Time::ZERO };
                Ok(Reply::Done)
            }
            Request::Cluster => Ok(Reply::Cluster(Box::new(self.view()))),
            Request::GetKey { .. }
            | Request::ListKeys { .. }
            | Request::ChangeKey { .. }
            | Request::WatchKeys { .. } => Err(not_found()),
            Request::Transfer { .. } | Request::RemoveMember { .. } | Request::Leave => Ok(Reply::Done),
        }
    }

    fn view(&self) -> ClusterView {
        ClusterView {
            node: NodeId::from_bytes([1; 10]),
            cluster: None,
            term: 1,
            leader: self.healthy.then(|| NodeId::from_bytes([1; 10])),
            quorum: QuorumView { voters: 1, online: 1, needed: 1, can_lose: 0, healthy: self.healthy },
            members: Vec::new(),
            trouble: (!self.healthy).then(|| "one of three voters is online".to_owned()),
            remedy: (!self.healthy).then(|| "start the others".to_owned()),
            trouble_code: (!self.healthy).then_some(TroubleCode::NoMajority),
        }
    }

    fn finish_upload(&mut self, upload: UploadId) -> Answer {
        let Upload { name, retention, document, chunks } =
            self.uploads.remove(&upload).ok_or_else(not_found)?;
        assert!(
            (0..).zip(chunks.keys()).all(|(expected, position)| expected == *position),
            "chunks without a gap"
        );
        let blocks: Vec<BlockRef> = chunks.into_values().collect();
        let document = Document {
            id: document.unwrap_or_else(|| DocumentId::random(&mut self.rng)),
            name,
            bytes: blocks.iter().map(|block| u64::from(block.bytes)).sum(),
            blocks,
            added_at: Time::from_millis(1),
            expires_at: (retention == Retention::Transient).then(|| Time::from_millis(2)),
        };
        self.documents.insert(document.id, document.clone());
        Ok(Reply::Document(Box::new(document)))
    }

    /// A job runs when it is asked for the first time after its submission: so there is something to await.
    fn submit(&mut self, job: Option<JobId>, documents: Vec<DocumentId>, options: JobOptions) -> Answer {
        if documents.iter().any(|document| !self.documents.contains_key(document)) {
            return Err(not_found());
        }
        let id = job.unwrap_or_else(|| JobId::random(&mut self.rng));
        let job =
            Job { id, documents, options, submitted_at: Time::from_millis(3), state: JobState::Running };
        self.jobs.insert(id, job.clone());
        Ok(Reply::Job(Box::new(job)))
    }

    fn job(&self, id: JobId) -> Result<Job, RequestError> {
        self.jobs.get(&id).cloned().ok_or_else(not_found)
    }

    fn run(&mut self, id: JobId) -> Result<(), RequestError> {
        let job = self.job(id)?;
        if job.state == JobState::Running {
            let result = self.count(&job);
            let done = Job { state: JobState::Done(Box::new(result)), ..job.clone() };
            self.jobs.insert(id, done.clone());
            // Nobody has to listen.
            let _heard = self.events.send(Event::Progress(vec![progress(&job)]));
            let _heard = self.events.send(Event::Job(Box::new(done)));
        }
        Ok(())
    }

    fn count(&mut self, job: &Job) -> JobResult {
        let mode = job.options.mode;
        let count = |document: &DocumentId| {
            let blocks = self.documents[document].blocks.iter();
            let partials = blocks.map(|block| Partial::of(mode, &self.blocks[&block.hash]).unwrap());
            Partial::join_all(mode, partials).unwrap().close()
        };
        let table = Table::merge(mode, &job.documents.iter().map(count).collect::<Vec<_>>());
        let summary = Summary::of(&table, job.options.top as usize);
        let bytes = summary.totals.bytes;
        let table = table.as_bytes().chunks(TABLE_BLOCK_BYTES).map(|block| self.keep(block)).collect();
        let worker = WorkerShare {
            node: NodeId::from_bytes([1; 10]),
            name: "Quiet Heron".to_owned(),
            kind: Kind::Server,
            bytes,
            tasks: 1,
        };
        JobResult { summary, table, workers: vec![worker], micros: 1_500_000 }
    }

    fn keep(&mut self, bytes: &[u8]) -> BlockRef {
        let hash = Hash::of(bytes);
        self.blocks.insert(hash, bytes::Bytes::copy_from_slice(bytes));
        BlockRef { hash, bytes: bytes.len() as u32 }
    }
}

fn progress(job: &Job) -> JobProgress {
    JobProgress {
        job: job.id,
        stage: Stage::Counting,
        tasks: 2,
        tasks_done: 1,
        bytes: 10,
        bytes_done: 5,
        started_at: Time::ZERO,
        reassigned: 0,
        workers: Vec::new(),
    }
}
