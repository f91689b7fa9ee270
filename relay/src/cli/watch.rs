//! Follows jobs and the cluster, through restarts of the relay and changes of the leader.

use super::client::Client;
use super::failure::{Failure, Kind};
use super::sse::{Event, Events};
use ::relay::http::{JobView, StateView};
use serde::de::DeserializeOwned;
use shared::ids::JobId;
use shared::wire::peer::JobProgress;
use std::ops::ControlFlow;
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
    let take = |event: &Event| {
        let Some(told) = understand(event)? else { return Ok(ControlFlow::Continue(())) };
        tell(&told)?;
        match told {
            Told::Job(view) if view.state != StateView::Running => Ok(ControlFlow::Break(*view)),
            _ => Ok(ControlFlow::Continue(())),
        }
    };
    let watched = events(client, &format!("jobs/{job}/events"), Some(Instant::now()), take).await;
    watched.map_err(|failure| match failure.kind() {
        Kind::Unavailable | Kind::TimedOut => {
            failure.hint(format!("the job may go on: see `wordraft jobs show {job}` later"))
        }
        _ => failure,
    })
}

/// Hands out events until `take` has what it wants, and connects again when the stream breaks off. A relay that was never
/// heard of, `heard_at` being None, is not waited for.
pub async fn events<T>(
    client: &Client,
    path: &str,
    mut heard_at: Option<Instant>,
    mut take: impl FnMut(&Event) -> Result<ControlFlow<T>, Failure>,
) -> Result<T, Failure> {
    let mut last_id = String::new();
    loop {
        let failure = match follow(client, path, &mut heard_at, &mut last_id, &mut take).await {
            Ok(Some(taken)) => return Ok(taken),
            Ok(None) => Failure::new(Kind::Unavailable, "the relay has ended the connection"),
            Err(failure) if matches!(failure.kind(), Kind::Unavailable | Kind::TimedOut) => failure,
            Err(failure) => return Err(failure),
        };
        if heard_at.is_none_or(|at| at.elapsed() > PATIENCE) {
            return Err(failure);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Listens until `take` or the stream has ended.
async fn follow<T>(
    client: &Client,
    path: &str,
    heard_at: &mut Option<Instant>,
    last_id: &mut String,
    take: &mut impl FnMut(&Event) -> Result<ControlFlow<T>, Failure>,
) -> Result<Option<T>, Failure> {
    let mut events = Events::open(client, path, last_id).await?;
    while let Some(event) = events.next().await? {
        *heard_at = Some(Instant::now());
        if let ControlFlow::Break(taken) = take(&event)? {
            return Ok(Some(taken));
        }
        *last_id = event.id;
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_stream_that_ends_is_opened_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let client = Client::new(link).unwrap();
        let server = async {
            for data in ["1", "2", "3"] {
                let (mut connection, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(connection.read_u8().await.unwrap());
                }
                let stream = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\ndata: {data}\n\n");
                connection.write_all(stream.as_bytes()).await.unwrap();
            }
        };
        let mut heard = Vec::new();
        let watching = events(&client, "cluster/events", None, |event| {
            heard.push(event.data.clone());
            Ok(if event.data == "3" { ControlFlow::Break("the last") } else { ControlFlow::Continue(()) })
        });
        let ((), watched) = tokio::join!(server, watching);
        assert_eq!(watched, Ok("the last"));
        assert_eq!(heard, ["1", "2", "3"]);
    }
}
