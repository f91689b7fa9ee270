//! What people do meanwhile, and what they may rely on: a reference model that counts every text by itself.

use crate::checker::Violation;
use bytes::Bytes;
use shared::ids::{DocumentId, Hash, JobId, NodeId, UploadId};
use shared::node::api::{Reply, Request, RequestError};
use shared::node::{Input, RequestId};
use shared::rng::Rng;
use shared::state_machine::{JobOptions, JobState, Retention, State};
use shared::words::sample::{Sample, SampleOptions};
use shared::words::{Mode, Partial, Summary, Table, safe_cut};
use std::collections::{BTreeMap, BTreeSet};

/// Texts are small here, so that a document has a dozen chunks all the same.
const CHUNK_BYTES: usize = 400;
const TOP: usize = 10;

/// Clients ask one member, one thing after the other, as a page or a command line does.
#[derive(Default)]
pub struct Workload {
    sessions: BTreeMap<RequestId, Session>,
    next_request: u64,
    next_text: u64,
    texts: BTreeMap<DocumentId, Text>,
    /// Jobs that were acknowledged, and the document that each counts.
    jobs: BTreeMap<JobId, (DocumentId, Mode)>,
    ended: BTreeSet<JobId>,
    deleted: BTreeSet<DocumentId>,
    pub acknowledged: u64,
    pub failed: u64,
}

#[derive(Clone)]
struct Text {
    blocks: Vec<Hash>,
    tables: BTreeMap<u8, Summary>,
}

struct Session {
    node: NodeId,
    text: Vec<Bytes>,
    mode: Mode,
    step: Step,
}

enum Step {
    Opening,
    Storing { upload: UploadId, at: usize },
    Finishing,
    Submitting,
    Awaiting,
    Deleting,
}

/// What somebody tells a member.
pub struct Call {
    pub node: NodeId,
    pub input: Input,
}

impl Workload {
    /// Somebody brings a text to `node`.
    pub fn begin(&mut self, node: NodeId, rng: &mut Rng) -> Call {
        self.next_text += 1;
        let text = text(self.next_text, rng);
        let mode = [Mode::Unicode, Mode::Whitespace, Mode::Ascii][rng.below(3) as usize];
        let request = Request::OpenUpload {
            name: format!("text {}", self.next_text),
            retention: Retention::Keep,
            document: None,
        };
        self.ask(Session { node, text, mode, step: Step::Opening }, request)
    }

    /// Somebody deletes a document that is there.
    pub fn delete(&mut self, node: NodeId, rng: &mut Rng) -> Option<Call> {
        let candidates: Vec<DocumentId> =
            self.texts.keys().copied().filter(|id| !self.deleted.contains(id)).collect();
        let id = *candidates.get(rng.below(candidates.len() as u64) as usize)?;
        self.deleted.insert(id);
        let session = Session { node, text: Vec::new(), mode: Mode::Unicode, step: Step::Deleting };
        Some(self.ask(session, Request::DeleteDocument { document: id }))
    }

    fn ask(&mut self, session: Session, request: Request) -> Call {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        let node = session.node;
        self.sessions.insert(id, session);
        Call { node, input: Input::request(id, request) }
    }

    /// A member answered. Gives what its client asks next.
    pub fn answer(
        &mut self,
        id: RequestId,
        result: Result<Reply, RequestError>,
    ) -> Result<Option<Call>, Violation> {
        // A second answer to one request would come here too, and find nothing.
        let Some(session) = self.sessions.remove(&id) else {
            return Err(Violation::Workload(format!("request {} was answered twice", id.0)));
        };
        let reply = match result {
            Ok(reply) => reply,
            Err(_) => {
                self.failed += 1;
                return Ok(None);
            }
        };
        self.acknowledged += 1;
        match (&session.step, reply) {
            (Step::Opening, Reply::UploadOpened { upload }) => Ok(Some(self.store(session, upload, 0))),
            (&Step::Storing { upload, at }, _) => Ok(Some(self.store(session, upload, at + 1))),
            (Step::Finishing, Reply::Document(document)) => Ok(Some(self.stored(session, document.id))),
            (Step::Submitting, Reply::Job(job)) => {
                self.jobs.insert(job.id, (job.documents[0], job.options.mode));
                Ok(Some(
                    self.ask(Session { step: Step::Awaiting, ..session }, Request::AwaitJob { job: job.id }),
                ))
            }
            (Step::Awaiting, Reply::Job(job)) => {
                self.check_job(job.id, &job.state)?;
                Ok(None)
            }
            (Step::Deleting, _) => Ok(None),
            (_, reply) => Err(Violation::Workload(format!("an answer to another question: {reply:?}"))),
        }
    }

    fn store(&mut self, session: Session, upload: UploadId, at: usize) -> Call {
        match session.text.get(at).cloned() {
            Some(bytes) => {
                let request =
                    Request::UploadChunk { upload, position: at as u32, hash: Hash::of(&bytes), bytes };
                self.ask(Session { step: Step::Storing { upload, at }, ..session }, request)
            }
            None => self.ask(Session { step: Step::Finishing, ..session }, Request::FinishUpload { upload }),
        }
    }

    /// The document was acknowledged: from now on it has to be there.
    fn stored(&mut self, session: Session, document: DocumentId) -> Call {
        let blocks = session.text.iter().map(|chunk| Hash::of(chunk)).collect();
        let whole: Vec<u8> = session.text.concat();
        let mode = session.mode;
        let tables = [(mode as u8, Summary::of(&reference(mode, &whole), TOP))].into();
        self.texts.insert(document, Text { blocks, tables });
        let options = JobOptions { mode, top: TOP as u32, verify: 1 };
        self.ask(
            Session { step: Step::Submitting, ..session },
            Request::SubmitJob { job: None, documents: vec![document], options },
        )
    }

    /// The member died with these questions unanswered: their outcome is unknown, and their clients go away.
    pub fn lost(&mut self, node: NodeId) {
        self.sessions.retain(|_, session| session.node != node);
    }

    pub fn check_job(&mut self, id: JobId, state: &JobState) -> Result<(), Violation> {
        let Some(&(document, mode)) = self.jobs.get(&id) else { return Ok(()) };
        match state {
            JobState::Done(result) => {
                let expected = self.texts.get(&document).and_then(|text| text.tables.get(&(mode as u8)));
                if expected.is_some_and(|expected| *expected != result.summary) {
                    return Err(Violation::Workload(format!("job {id} has a wrong result")));
                }
                self.ended.insert(id);
                Ok(())
            }
            JobState::Running | JobState::Cancelled { .. } => Ok(()),
            JobState::Failed { reason, .. } => {
                Err(Violation::Workload(format!("job {id} failed for no reason: {reason}")))
            }
        }
    }

    /// Whether the state has everything that was acknowledged; says what is missing.
    pub fn missing(&mut self, state: &State) -> Result<Option<String>, Violation> {
        for (id, text) in &self.texts {
            if self.deleted.contains(id) {
                continue;
            }
            let Some(document) = state.documents.get(id) else {
                return Ok(Some(format!("document {id}")));
            };
            if !document.blocks.iter().map(|block| block.hash).eq(text.blocks.iter().copied()) {
                return Err(Violation::Workload(format!(
                    "document {id} is another text than was acknowledged"
                )));
            }
        }
        let jobs: Vec<JobId> = self.jobs.keys().copied().collect();
        for id in jobs {
            match state.jobs.get(&id).map(|job| job.state.clone()) {
                None => return Ok(Some(format!("job {id}"))),
                Some(JobState::Running) => return Ok(Some(format!("the end of job {id}"))),
                Some(end) => self.check_job(id, &end)?,
            }
        }
        Ok(None)
    }

    /// Content blocks that acknowledged documents consist of.
    pub fn blocks(&self) -> impl Iterator<Item = Hash> {
        let there = self.texts.iter().filter(|(id, _)| !self.deleted.contains(id));
        there.flat_map(|(_, text)| text.blocks.iter().copied())
    }

    pub fn jobs_done(&self) -> u64 {
        self.ended.len() as u64
    }
}

/// A text of a few kilobytes in the chunks that a client would cut.
fn text(number: u64, rng: &mut Rng) -> Vec<Bytes> {
    let bytes = rng.below(6000);
    let mut whole = Vec::new();
    let mut sample = Sample::new(SampleOptions { bytes, seed: number, words: 300 });
    sample.fill(&mut whole, bytes as usize);
    let mut rest = Bytes::from(whole);
    let mut chunks = Vec::new();
    while rest.len() > CHUNK_BYTES {
        let Some(end) = safe_cut(&rest, CHUNK_BYTES, CHUNK_BYTES * 2) else { break };
        chunks.push(rest.split_to(end));
    }
    if !rest.is_empty() {
        chunks.push(rest);
    }
    chunks
}

fn reference(mode: Mode, text: &[u8]) -> Table {
    Partial::of(mode, text).expect("texts of the workload are far from every limit").close()
}
