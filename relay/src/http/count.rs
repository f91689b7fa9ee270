//! The short way: a text in, its count out.

use super::access::{Access, ask};
use super::error::{ApiError, ApiResult};
use super::idempotency::IdempotencyKey;
use super::jobs::{Options, expect_job, submit_job};
use super::query::Query;
use super::report::report;
use super::upload;
use crate::driver::NodeHandle;
use axum::Json;
use axum::body::Body;
use axum::http::StatusCode;
use shared::ids::JobId;
use shared::node::api::Request;
use shared::state_machine::{JobState, Retention};
use shared::words::CountReport;

/// Stores the body for a day, counts it, and answers with the report.
pub async fn count(
    access: Access,
    Query(options): Query<Options>,
    key: IdempotencyKey,
    body: Body,
) -> ApiResult<Json<CountReport>> {
    let job_options = options.check()?;
    let node = &access.node;
    let name = "text".to_owned();
    let document = upload::store(node, name, Retention::Transient, key.document("count"), body).await?;
    let submitted = submit_job(node, key.job("count"), vec![document.id], job_options).await?;
    // Whoever has a key may come back for the result.
    let mut awaited = AwaitedJob { node, job: submitted.id, ended: key.is_given() };
    let job = expect_job(ask(node, Request::AwaitJob { job: submitted.id }).await?)?;
    awaited.ended = true;
    match &job.state {
        JobState::Done(result) => report(node, &job, result, options.top).await.map(Json),
        JobState::Failed { reason, .. } => {
            Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "job_failed", reason.clone())
                .hint("the text is stored for a day: see GET documents"))
        }
        JobState::Cancelled { .. } => {
            Err(ApiError::new(StatusCode::CONFLICT, "job_cancelled", "somebody cancelled the job")
                .hint("count it again"))
        }
        JobState::Running => Err(ApiError::unexpected_reply()),
    }
}

/// Nobody else knows of this job: when its client goes away it is cancelled.
struct AwaitedJob<'a> {
    node: &'a NodeHandle,
    job: JobId,
    ended: bool,
}

impl Drop for AwaitedJob<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let (node, job) = (self.node.clone(), self.job);
            tokio::spawn(async move {
                // A job that cannot be cancelled now just ends by itself.
                let _cancelled = node.request(Request::CancelJob { job }).await;
            });
        }
    }
}
