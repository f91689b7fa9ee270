//! Requests of local clients: who asked, what is still open, and how each is answered.

use super::api::{Consistency, KeyQuery, Reply, Request, RequestError};
use super::config::Mutation;
use super::context::{Context, Submission, Surroundings};
use super::contract::{Ready, RequestId};
use super::errands::{Errands, Finished, is_too_large};
use super::failures;
use super::keys::{self, Watches};
use crate::ids::{DocumentId, JobId};
use crate::state_machine::{Change, Command, Job, JobState, Key, State, Version};
use crate::time::Time;
use std::collections::BTreeMap;

/// What a read wants to know, once the state here is as new as the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Documents,
    Document(DocumentId),
    Jobs,
    Job(JobId),
    EndOfJob(JobId),
    Key(Key),
    Keys(KeyQuery),
    Watch { prefix: String, after: Version },
}

#[derive(Debug, Default)]
pub(super) struct Requests {
    /// Whoever waits for a job to end.
    awaiting: BTreeMap<RequestId, JobId>,
    watches: Watches,
}

impl Requests {
    pub fn waiting(&self) -> usize {
        self.awaiting.len() + self.watches.len()
    }

    /// Sends a request that concerns the replicated state on its way; gives back any other.
    pub fn take(
        &mut self,
        around: &mut Surroundings,
        errands: &mut Errands,
        id: RequestId,
        request: Request,
        ready: &mut Ready,
    ) -> Option<Request> {
        match request {
            Request::ListDocuments => errands.read(around, id, Question::Documents),
            Request::GetDocument { document } => errands.read(around, id, Question::Document(document)),
            Request::ListJobs => errands.read(around, id, Question::Jobs),
            Request::GetJob { job } => errands.read(around, id, Question::Job(job)),
            Request::AwaitJob { job } => errands.read(around, id, Question::EndOfJob(job)),
            Request::DeleteDocument { document } => {
                let command = Command::DeleteDocument { id: document };
                submit(around, errands, id, command, ready);
            }
            Request::SubmitJob { job, documents, options } => {
                let job = job.unwrap_or_else(|| JobId::random(&mut around.rng));
                submit(around, errands, id, Command::SubmitJob { id: job, documents, options }, ready);
            }
            Request::CancelJob { job } => {
                submit(around, errands, id, Command::CancelJob { id: job }, ready);
            }
            Request::GetKey { key, consistency } => {
                self.ask(around, errands, id, Question::Key(key), consistency, ready);
            }
            Request::ListKeys { query, consistency } => {
                self.ask(around, errands, id, Question::Keys(query), consistency, ready);
            }
            Request::ChangeKey { .. } if errands.is_full() => {
                ready.replies.push((id, Err(failures::too_much_waiting())));
            }
            Request::ChangeKey { change } => match keys::check(&change) {
                Ok(()) => errands.call(around, id, change),
                Err(error) => ready.replies.push((id, Err(error))),
            },
            // Either this node lags behind, or there is no such change.
            Request::WatchKeys { prefix, after: Some(after) }
                if after > around.machine.state().keys.version() =>
            {
                errands.read(around, id, Question::Watch { prefix, after });
            }
            Request::WatchKeys { prefix, after } => {
                let mut context = around.lend(ready);
                match keys::is_known_here(&context) {
                    Ok(()) => self.watches.watch(&mut context, id, prefix, after),
                    Err(error) => context.reply(id, Err(error)),
                }
            }
            other => return Some(other),
        }
        None
    }

    fn ask(
        &mut self,
        around: &mut Surroundings,
        errands: &mut Errands,
        id: RequestId,
        question: Question,
        consistency: Consistency,
        ready: &mut Ready,
    ) {
        if consistency == Consistency::Linearizable {
            errands.read(around, id, question);
            return;
        }
        let mut context = around.lend(ready);
        match keys::is_known_here(&context) {
            Ok(()) => self.answer(&mut context, id, question),
            Err(error) => context.reply(id, Err(error)),
        }
    }

    pub fn finished(&mut self, context: &mut Context<'_>, finished: Finished) {
        match finished {
            Finished::Write { command, request, result } => {
                let reply = result.and_then(|()| outcome_of(&command, context.state));
                context.reply(request, reply);
            }
            Finished::Call { request, result } => {
                context.reply(request, result.and_then(keys::changed));
            }
            Finished::Read { request, question, result } => match result {
                Ok(()) => self.answer(context, request, question),
                Err(error) => context.reply(request, Err(error)),
            },
        }
    }

    fn answer(&mut self, context: &mut Context<'_>, request: RequestId, question: Question) {
        let state = context.state;
        let reply = match question {
            Question::Documents => Ok(Reply::Documents(state.documents.values().cloned().collect())),
            Question::Jobs => Ok(Reply::Jobs(state.jobs.values().cloned().collect())),
            Question::Document(id) => document(state, id),
            Question::Job(id) => job(state, id),
            Question::EndOfJob(id) => {
                if state.jobs.get(&id).is_some_and(is_running) {
                    self.awaiting.insert(request, id);
                    return;
                }
                job(state, id)
            }
            Question::Key(key) => keys::get(context, &key, reading_time(context)),
            Question::Keys(query) => Ok(keys::list(context, &query)),
            Question::Watch { prefix, after } => {
                self.watches.watch(context, request, prefix, Some(after));
                return;
            }
        };
        context.reply(request, reply);
    }

    /// What happened is told to whoever waits for it.
    pub fn applied(&mut self, context: &mut Context<'_>, changes: &[Change]) {
        self.watches.applied(context, changes);
        for change in changes {
            let Change::JobEnded(ended) = change else { continue };
            let waiting = self.awaiting.extract_if(.., |_, job| job == ended);
            for (request, _) in waiting {
                context.reply(request, job(context.state, *ended));
            }
        }
    }

    /// A snapshot took the place of the state; `changes` is the difference.
    pub fn restored(&mut self, context: &mut Context<'_>, changes: &[Change]) {
        self.watches.restored(context);
        self.applied(context, changes);
    }

    pub fn abandon(&mut self, id: RequestId) {
        self.awaiting.remove(&id);
        self.watches.abandon(id);
    }
}

/// When a key that is read has to be there: by the log, or on purpose by this node's clock, to see whether the tests notice.
fn reading_time(context: &Context<'_>) -> Time {
    if context.config.broken(Mutation::OwnClockExpiresKeys) { context.now } else { context.state.now }
}

/// Commands of parts go the same way as those of clients.
pub(super) fn submit(
    around: &mut Surroundings,
    errands: &mut Errands,
    id: RequestId,
    command: Command,
    ready: &mut Ready,
) {
    if is_too_large(&command) {
        ready.replies.push((id, Err(failures::command_too_large())));
        return;
    }
    errands.write(around, Submission { command, request: Some(id) });
}

pub(super) fn is_running(job: &Job) -> bool {
    job.state == JobState::Running
}

fn outcome_of(command: &Command, state: &State) -> Result<Reply, RequestError> {
    match command {
        Command::AddDocument { id, .. } => document(state, *id),
        Command::SubmitJob { id, .. } | Command::CancelJob { id } => job(state, *id),
        _ => Ok(Reply::Done),
    }
}

fn document(state: &State, id: DocumentId) -> Result<Reply, RequestError> {
    let document = state.documents.get(&id).ok_or_else(|| failures::no_document(id))?;
    Ok(Reply::Document(Box::new(document.clone())))
}

fn job(state: &State, id: JobId) -> Result<Reply, RequestError> {
    let job = state.jobs.get(&id).ok_or_else(|| failures::no_job(id))?;
    Ok(Reply::Job(Box::new(job.clone())))
}
