//! Follows a job to its end, through restarts of the relay and changes of the leader.

use super::client::Client;
use super::failure::{Failure, Kind};
use super::sse::{Event, Events};
use ::relay::http::{JobView, StateView};
use serde::de::DeserializeOwned;
use shared::ids::JobId;
use shared::wire::peer::JobProgress;
use std::time::{Duration, Instant};

/// How long the cluster may be out of reach.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two attempts to reach it.
const PAUSE: Duration = Duration::from_millis(500);

/// What is told about a job.
pub enum Told {
    Progress(JobProgress),
    Job(Box<JobView>),
}

/// Returns the job when it has ended, in whatever way. `tell` hears of everything on the way.
pub async fn until_ended(
    client: &Client,
    job: JobId,
    mut tell: impl FnMut(&Told) -> Result<(), Failure>,
) -> Result<JobView, Failure> {
    let mut heard_at = Instant::now();
    loop {
        let failure = match follow(client, job, &mut heard_at, &mut tell).await {
            Ok(Some(ended)) => return Ok(ended),
            Ok(None) => Failure::new(Kind::Unavailable, "the relay no longer tells about the job"),
            Err(failure) if matches!(failure.kind(), Kind::Unavailable | Kind::TimedOut) => failure,
            Err(failure) => return Err(failure),
        };
        if heard_at.elapsed() > PATIENCE {
            return Err(failure.hint(format!("the job may go on: see `wordraft jobs show {job}` later")));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Listens until the job or the stream has ended.
async fn follow(
    client: &Client,
    job: JobId,
    heard_at: &mut Instant,
    tell: &mut impl FnMut(&Told) -> Result<(), Failure>,
) -> Result<Option<JobView>, Failure> {
    let mut events = Events::open(client, &format!("jobs/{job}/events")).await?;
    while let Some(event) = events.next().await? {
        *heard_at = Instant::now();
        let Some(told) = understand(&event)? else { continue };
        tell(&told)?;
        if let Told::Job(view) = told
            && view.state != StateView::Running
        {
            return Ok(Some(*view));
        }
    }
    Ok(None)
}

fn understand(event: &Event) -> Result<Option<Told>, Failure> {
    match event.name.as_str() {
        "progress" => parse(&event.data).map(|progress| Some(Told::Progress(progress))),
        "job" => parse(&event.data).map(|job| Some(Told::Job(Box::new(job)))),
        _ => Ok(None),
    }
}

pub fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Failure> {
    serde_json::from_str(json).map_err(|error| {
        Failure::failed(format!("an event of the relay is not understood: {error}"))
            .hint("check that the relay is of the same version")
    })
}

/// A job that did not come to a result is a failure.
pub fn check_done(view: JobView) -> Result<JobView, Failure> {
    match view.state {
        StateView::Done | StateView::Running => Ok(view),
        StateView::Cancelled => Err(Failure::failed(format!("job {} was cancelled", view.id))),
        StateView::Failed => {
            Err(Failure::failed(format!("job {} failed: {}", view.id, view.reason.unwrap_or_default())))
        }
    }
}
