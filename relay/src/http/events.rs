//! What happens, as server-sent events.

use super::access::{Access, Id, ask};
use super::documents::DocumentView;
use super::error::ApiResult;
use super::jobs::{self, JobView, StateView};
use super::query::NoParameters;
use crate::driver::NodeHandle;
use axum::response::sse::{self, KeepAlive, Sse};
use futures_util::Stream;
use serde::Serialize;
use shared::ids::JobId;
use shared::node::api::{Event, Reply, Request};
use shared::state_machine::Job;
use std::convert::Infallible;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

type Told = Result<sse::Event, Infallible>;

/// One job: `job` at once, `progress` while it runs, `job` when it has ended. Then the stream ends.
pub async fn of_job(
    access: Access,
    Id(job): Id<JobId>,
    _: NoParameters,
) -> ApiResult<Sse<impl Stream<Item = Told>>> {
    // Listening begins before the job is looked at, so that its end is not missed in between.
    let events = access.node.events();
    let found = jobs::find(&access.node, job).await?;
    let watch = JobWatch { node: access.node, job, events, first: Some(found), ended: false };
    Ok(Sse::new(futures_util::stream::unfold(watch, JobWatch::next)).keep_alive(KeepAlive::default()))
}

struct JobWatch {
    node: NodeHandle,
    job: JobId,
    events: Receiver<Event>,
    first: Option<Job>,
    ended: bool,
}

impl JobWatch {
    async fn next(mut self) -> Option<(Told, JobWatch)> {
        if self.ended {
            return None;
        }
        if let Some(job) = self.first.take() {
            return Some(self.tell_job(&job));
        }
        loop {
            match next_event(&self.node, &mut self.events).await {
                Ok(Event::Job(job)) if job.id == self.job => return Some(self.tell_job(&job)),
                Ok(Event::Progress(all)) => {
                    if let Some(progress) = all.iter().find(|progress| progress.job == self.job) {
                        return Some((Ok(event("progress", progress)), self));
                    }
                }
                Ok(_) => {}
                // The end may have been among what was missed.
                Err(RecvError::Lagged(_)) => {
                    let job = jobs::find(&self.node, self.job).await.ok()?;
                    return Some(self.tell_job(&job));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn tell_job(mut self, job: &Job) -> (Told, JobWatch) {
        let view = JobView::from(job);
        self.ended = view.state != StateView::Running;
        (Ok(event("job", &view)), self)
    }
}

/// Everything: `cluster` at once and with every change, `progress`, `job`, `document`, `removed` and `happened`.
pub async fn of_cluster(access: Access, _: NoParameters) -> ApiResult<Sse<impl Stream<Item = Told>>> {
    let events = access.node.events();
    let first = match access.ask(Request::Cluster).await? {
        Reply::Cluster(view) => Some(Event::Cluster(view)),
        _ => None,
    };
    let stream =
        futures_util::stream::unfold((access.node, events, first), |(node, mut events, first)| async move {
            let mut next = first;
            loop {
                if let Some(told) = next.take().as_ref().and_then(shown) {
                    return Some((Ok(told), (node, events, None)));
                }
                next = match next_event(&node, &mut events).await {
                    Ok(event) => Some(event),
                    // The whole picture makes up for what was missed.
                    Err(RecvError::Lagged(_)) => match ask(&node, Request::Cluster).await {
                        Ok(Reply::Cluster(view)) => Some(Event::Cluster(view)),
                        _ => None,
                    },
                    Err(RecvError::Closed) => return None,
                };
            }
        });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

/// Whoever listens holds the node's channel open, so that it does not close when the node ends.
async fn next_event(node: &NodeHandle, events: &mut Receiver<Event>) -> Result<Event, RecvError> {
    tokio::select! {
        // What happened before the end is told.
        biased;
        event = events.recv() => event,
        _ = node.ended() => Err(RecvError::Closed),
    }
}

fn shown(happened: &Event) -> Option<sse::Event> {
    match happened {
        Event::Cluster(view) => Some(event("cluster", view)),
        Event::Progress(progress) => Some(event("progress", progress)),
        Event::Job(job) => Some(event("job", &JobView::from(&**job))),
        Event::DocumentAdded(document) => Some(event("document", &DocumentView::from(&**document))),
        Event::DocumentRemoved(id) => Some(event("removed", &serde_json::json!({"document": id}))),
        Event::Happened(happening) => Some(event("happened", happening)),
        Event::Fatal(_) => None,
    }
}

pub fn event(name: &str, data: &impl Serialize) -> sse::Event {
    let named = sse::Event::default().event(name);
    match serde_json::to_string(data) {
        Ok(json) => named.data(json),
        Err(error) => {
            tracing::error!(%error, name, "an event cannot be written as JSON");
            named.data("null")
        }
    }
}
