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
    let found = ask(node, Request::AwaitJob { job: submitted.id }).await;
    // A client that is told of the job may come back for it, too.
    awaited.ended |= found.as_ref().map_or_else(is_down, |_| true);
    let job = expect_job(found.map_err(|error| still_there(submitted.id, error))?)?;
    match &job.state {
        JobState::Done(result) => {
            let report = report(node, &job, result, options.top).await;
            report.map(Json).map_err(|error| still_there(job.id, error))
        }
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

fn is_down(error: &ApiError) -> bool {
    matches!(error.code(), "no_quorum" | "not_ready")
}

/// Text and job are in the log: it must not look as if nothing had happened.
fn still_there(job: JobId, error: ApiError) -> ApiError {
    if !is_down(&error) {
        return error;
    }
    let message = format!("job {job} was submitted, and the cluster cannot say now what became of it");
    ApiError::new(StatusCode::GATEWAY_TIMEOUT, "unknown_outcome", message)
        .hint(format!("ask for jobs/{job} later"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use shared::node::api::{ErrorCode, RequestError};

    #[test]
    fn a_submitted_job_is_named_when_nobody_can_tell_its_result() {
        let job = JobId::from_bytes([1; 10]);
        let told = |code| {
            let error = RequestError { code, message: "why".to_owned(), hint: String::new() };
            still_there(job, error.into())
        };
        for code in [ErrorCode::NoQuorum, ErrorCode::NotReady] {
            let error = told(code);
            assert_eq!(error.code(), "unknown_outcome");
            let response = axum::response::IntoResponse::into_response(error.clone());
            assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
            assert!(response.headers().get("retry-after").is_none(), "sent again it would count again");
            assert!(format!("{error:?}").contains(&job.to_string()));
        }
        assert_eq!(told(ErrorCode::Busy).code(), "busy");
    }
}
