//! Applies commands in log order.

use super::command::{Command, Outcome, Rejection, Stamped};
use super::key::{KeyChange, KeyEvent};
use super::sessions::{Admission, Call};
use super::state::{BlockRef, Document, Job, JobOptions, JobState, MemberRecord, Retention, State};
use super::sums::{Print, Sums};
use crate::ids::{DocumentId, JobId, NodeId};
use crate::limits;
use crate::time::Time;
use crate::wire::{self, DecodeError};

/// Version of encoded commands and snapshots.
pub const STATE_VERSION: u8 = 4;

/// A snapshot is read from this node's own disk or from a leader, in bounded pieces.
const SNAPSHOT_BYTES_MAX: usize = 1 << 30;

/// The replicated state, and what its entries come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateMachine {
    state: State,
    sums: Sums,
}

/// What applying a command changed, for whoever watches.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    DocumentAdded(DocumentId),
    DocumentRemoved(DocumentId),
    JobSubmitted(JobId),
    JobEnded(JobId),
    /// An old job made room; its result is gone.
    JobForgotten(JobId),
    MemberChanged(NodeId),
    Key(KeyEvent),
}

impl Stamped {
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(STATE_VERSION, self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Stamped, DecodeError> {
        wire::decode(STATE_VERSION, bytes, limits::COMMAND_BYTES_MAX)
    }
}

impl StateMachine {
    pub fn state(&self) -> &State {
        &self.state
    }

    /// A hash over the whole state, kept up to date in steps: two members at the same applied index must agree on it.
    pub fn digest(&self) -> u64 {
        let counters = (self.state.keys.version(), self.state.sessions.opened());
        self.sums.digest ^ Print::of("counters", &(), &counters).hash
    }

    pub fn snapshot(&self) -> Vec<u8> {
        wire::encode(STATE_VERSION, &self.state)
    }

    pub fn restore(snapshot: &[u8]) -> Result<StateMachine, DecodeError> {
        let mut state: State = wire::decode(STATE_VERSION, snapshot, SNAPSHOT_BYTES_MAX)?;
        let mut sums = Sums::default();
        let documents = state.documents.iter().map(|(id, document)| Print::of("document", id, document));
        let removed = state.removed.iter().map(|(id, at)| Print::of("removed", id, at));
        let jobs = state.jobs.iter().map(|(id, job)| Print::of("job", id, job));
        let members = state.members.iter().map(|(id, record)| Print::of("member", id, record));
        documents.chain(removed).chain(jobs).chain(members).for_each(|print| sums.count_in(print));
        state.keys.restore(&mut sums);
        state.sessions.restore(&mut sums);
        Ok(StateMachine { state, sums })
    }

    /// Applies one command and notes in `changes` what it changed. A rejected command changes nothing but the clock.
    pub fn apply(&mut self, stamped: Stamped, changes: &mut Vec<Change>) -> Outcome {
        let at = self.state.now.max(stamped.at);
        self.state.now = at;
        self.execute(at, stamped.by, stamped.command, changes).unwrap_or_else(Outcome::Rejected)
    }

    fn execute(
        &mut self,
        at: Time,
        by: NodeId,
        command: Command,
        changes: &mut Vec<Change>,
    ) -> Result<Outcome, Rejection> {
        let done = match command {
            Command::AddDocument { id, name, blocks, retention } => {
                self.add_document(at, id, name, blocks, retention, changes)
            }
            Command::DeleteDocument { id } => self.delete_document(at, id, changes),
            Command::SubmitJob { id, documents, options } => {
                self.submit_job(at, id, documents, options, changes)
            }
            Command::CancelJob { id } => self.end_job(id, JobState::Cancelled { at }, changes),
            Command::FinishJob { id, result } => self.end_job(id, JobState::Done(result), changes),
            Command::FailJob { id, reason } => self.end_job(id, JobState::Failed { at, reason }, changes),
            Command::SetMember { node, record } => self.set_member(node, Some(record), changes),
            Command::ForgetMember { node } => self.set_member(node, None, changes),
            Command::Expire => {
                self.expire(at, changes);
                Ok(())
            }
            Command::OpenSession => {
                return Ok(Outcome::Opened(self.state.sessions.open(at, by, &mut self.sums)));
            }
            Command::ChangeKey { call, change } => return self.change_key(at, by, call, change, changes),
            Command::ExpireKeys => {
                self.state.keys.expire(at, &mut self.sums, changes);
                self.state.sessions.expire(at, &mut self.sums);
                Ok(())
            }
        };
        done.map(|()| Outcome::Done)
    }

    fn change_key(
        &mut self,
        at: Time,
        by: NodeId,
        call: Call,
        change: KeyChange,
        changes: &mut Vec<Change>,
    ) -> Result<Outcome, Rejection> {
        let State { keys, sessions, .. } = &mut self.state;
        if let Admission::Again(outcome) = sessions.admit(at, by, &call, &mut self.sums)? {
            return Ok(outcome);
        }
        let result = keys.change(at, change, &mut self.sums, changes);
        let outcome = result.unwrap_or_else(Outcome::Rejected);
        sessions.remember(&call, &outcome, &mut self.sums);
        Ok(outcome)
    }

    fn add_document(
        &mut self,
        at: Time,
        id: DocumentId,
        name: String,
        blocks: Vec<BlockRef>,
        retention: Retention,
        changes: &mut Vec<Change>,
    ) -> Result<(), Rejection> {
        if let Some(known) = self.state.documents.get(&id) {
            let is_kept = known.expires_at.is_none() == (retention == Retention::Keep);
            let is_same = known.name == name && known.blocks == blocks && is_kept;
            return if is_same { Ok(()) } else { Err(Rejection::OtherRequest) };
        }
        // A copy of the command that was under way while somebody deleted what the first one made.
        if self.state.removed.contains_key(&id) {
            return Err(Rejection::NoDocument(id));
        }
        if self.state.documents.len() >= limits::DOCUMENTS_MAX {
            return Err(Rejection::TooManyDocuments { documents_max: limits::DOCUMENTS_MAX as u32 });
        }
        if blocks.len() > limits::DOCUMENT_CHUNKS_MAX {
            return Err(Rejection::Invalid(format!(
                "a document has at most {} chunks: split the text",
                limits::DOCUMENT_CHUNKS_MAX
            )));
        }
        if name.len() > limits::DOCUMENT_NAME_BYTES_MAX {
            return Err(Rejection::Invalid(format!(
                "a document's name has at most {} bytes: shorten it",
                limits::DOCUMENT_NAME_BYTES_MAX
            )));
        }
        self.check_room()?;
        let expires_at = match retention {
            Retention::Keep => None,
            Retention::Transient => Some(at + limits::TRANSIENT_DOCUMENT_AGE_MAX),
        };
        let bytes = blocks.iter().map(|block| u64::from(block.bytes)).sum();
        let document = Document { id, name, bytes, blocks, added_at: at, expires_at };
        self.sums.count_in(Print::of("document", &id, &document));
        self.state.documents.insert(id, document);
        changes.push(Change::DocumentAdded(id));
        Ok(())
    }

    fn check_room(&self) -> Result<(), Rejection> {
        let bytes_max = limits::STATE_BYTES_MAX;
        if self.sums.bytes > bytes_max { Err(Rejection::StateFull { bytes_max }) } else { Ok(()) }
    }

    fn delete_document(
        &mut self,
        at: Time,
        id: DocumentId,
        changes: &mut Vec<Change>,
    ) -> Result<(), Rejection> {
        if let Some(job) = self.running_job_of(id) {
            return Err(Rejection::DocumentInUse { document: id, job });
        }
        let document = self.state.documents.remove(&id).ok_or(Rejection::NoDocument(id))?;
        self.sums.count_out(Print::of("document", &id, &document));
        self.sums.count_in(Print::of("removed", &id, &at));
        self.state.removed.insert(id, at);
        changes.push(Change::DocumentRemoved(id));
        Ok(())
    }

    fn expire(&mut self, at: Time, changes: &mut Vec<Change>) {
        let over: Vec<DocumentId> = (self.state.documents.values())
            .filter(|document| document.expires_at.is_some_and(|expires_at| expires_at <= at))
            .map(|document| document.id)
            .collect();
        for id in over {
            // One that a running job still counts goes with the next expiry.
            let _in_use = self.delete_document(at, id, changes);
        }
        let is_old =
            |_: &DocumentId, removed_at: &mut Time| at.since(*removed_at) >= limits::REMOVED_DOCUMENT_AGE_MAX;
        let forgotten: Vec<(DocumentId, Time)> = self.state.removed.extract_if(.., is_old).collect();
        forgotten.iter().for_each(|(id, at)| self.sums.count_out(Print::of("removed", id, at)));
    }

    fn running_job_of(&self, document: DocumentId) -> Option<JobId> {
        let counts_it = |job: &&Job| job.state == JobState::Running && job.documents.contains(&document);
        self.state.jobs.values().find(counts_it).map(|job| job.id)
    }

    fn submit_job(
        &mut self,
        at: Time,
        id: JobId,
        documents: Vec<DocumentId>,
        options: JobOptions,
        changes: &mut Vec<Change>,
    ) -> Result<(), Rejection> {
        let options = JobOptions { top: options.top.min(limits::SUMMARY_TOP_MAX as u32), ..options };
        if let Some(known) = self.state.jobs.get(&id) {
            let is_same = known.documents == documents && known.options == options;
            return if is_same { Ok(()) } else { Err(Rejection::OtherRequest) };
        }
        if documents.is_empty() || documents.len() > limits::JOB_DOCUMENTS_MAX {
            return Err(Rejection::Invalid(format!(
                "a job counts 1 to {} documents",
                limits::JOB_DOCUMENTS_MAX
            )));
        }
        if let Some(&missing) = documents.iter().find(|id| !self.state.documents.contains_key(id)) {
            return Err(Rejection::NoDocument(missing));
        }
        let running = self.state.jobs.values().filter(|job| job.state == JobState::Running).count();
        if running >= limits::JOBS_RUNNING_MAX {
            return Err(Rejection::TooManyJobs { jobs_max: limits::JOBS_RUNNING_MAX as u32 });
        }
        self.forget_oldest_jobs(changes);
        self.check_room()?;
        let job = Job { id, documents, options, submitted_at: at, state: JobState::Running };
        self.sums.count_in(Print::of("job", &id, &job));
        self.state.jobs.insert(id, job);
        changes.push(Change::JobSubmitted(id));
        Ok(())
    }

    /// Makes room for one more.
    fn forget_oldest_jobs(&mut self, changes: &mut Vec<Change>) {
        while self.state.jobs.len() >= limits::JOBS_MAX || self.sums.bytes > limits::STATE_BYTES_MAX {
            let ended = self.state.jobs.values().filter(|job| job.state != JobState::Running);
            let Some(oldest) = ended.min_by_key(|job| (job.submitted_at, job.id)).map(|job| job.id) else {
                return;
            };
            if let Some(job) = self.state.jobs.remove(&oldest) {
                self.sums.count_out(Print::of("job", &oldest, &job));
                changes.push(Change::JobForgotten(oldest));
            }
        }
    }

    /// The first end of a job is its end: a second leader's result, or a late cancel, changes nothing.
    fn end_job(&mut self, id: JobId, end: JobState, changes: &mut Vec<Change>) -> Result<(), Rejection> {
        let job = self.state.jobs.get_mut(&id).ok_or(Rejection::NoJob(id))?;
        if job.state != JobState::Running {
            return Ok(());
        }
        let before = Print::of("job", &id, job);
        job.state = end;
        let after = Print::of("job", &id, job);
        self.sums.count_out(before);
        self.sums.count_in(after);
        changes.push(Change::JobEnded(id));
        Ok(())
    }

    fn set_member(
        &mut self,
        node: NodeId,
        record: Option<MemberRecord>,
        changes: &mut Vec<Change>,
    ) -> Result<(), Rejection> {
        if record.as_ref().is_some_and(|record| record.name.len() > limits::MEMBER_NAME_BYTES_MAX) {
            return Err(Rejection::Invalid(format!(
                "a member's name has at most {} bytes: shorten it",
                limits::MEMBER_NAME_BYTES_MAX
            )));
        }
        let http = record.as_ref().and_then(|record| record.http.as_ref());
        if http.is_some_and(|http| http.len() > limits::ADDRESS_BYTES_MAX) {
            return Err(Rejection::Invalid(format!(
                "a member's address has at most {} bytes",
                limits::ADDRESS_BYTES_MAX
            )));
        }
        if self.state.members.get(&node) == record.as_ref() {
            return Ok(());
        }
        if let Some(record) = &record {
            self.sums.count_in(Print::of("member", &node, record));
        }
        let before = match record {
            Some(record) => self.state.members.insert(node, record),
            None => self.state.members.remove(&node),
        };
        if let Some(before) = before {
            self.sums.count_out(Print::of("member", &node, &before));
        }
        changes.push(Change::MemberChanged(node));
        Ok(())
    }
}
