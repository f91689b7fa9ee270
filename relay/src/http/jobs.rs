//! Counts that were asked for.

use super::access::{Access, Id, ask};
use super::error::{ApiError, ApiResult};
use super::idempotency::IdempotencyKey;
use super::query::{self, NoParameters, Query};
use super::report::{TOP_DEFAULT, report};
use crate::driver::NodeHandle;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::ids::{DocumentId, JobId};
use shared::limits;
use shared::node::api::{Reply, Request};
use shared::state_machine::{Job, JobOptions, JobState};
use shared::time::Time;
use shared::words::{CountReport, Mode};

/// A job as JSON shows it. Times are microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    pub id: JobId,
    pub state: StateView,
    pub mode: Mode,
    pub documents: Vec<DocumentId>,
    pub submitted_at: Time,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
    /// Only where one job is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<CountReport>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateView {
    Running,
    Done,
    Cancelled,
    Failed,
}

/// A finished job at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    pub bytes: u64,
    pub total: u64,
    pub unique: u64,
    pub seconds: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobList {
    pub jobs: Vec<JobView>,
}

impl From<&Job> for JobView {
    fn from(job: &Job) -> JobView {
        let (state, reason, figures) = match &job.state {
            JobState::Running => (StateView::Running, None, None),
            JobState::Cancelled { .. } => (StateView::Cancelled, None, None),
            JobState::Failed { reason, .. } => (StateView::Failed, Some(reason.clone()), None),
            JobState::Done(result) => {
                let totals = result.summary.totals;
                let seconds = result.micros as f64 / 1e6;
                let figures =
                    Figures { bytes: totals.bytes, total: totals.total, unique: totals.unique, seconds };
                (StateView::Done, None, Some(figures))
            }
        };
        JobView {
            id: job.id,
            state,
            mode: job.options.mode,
            documents: job.documents.clone(),
            submitted_at: job.submitted_at,
            reason,
            figures,
            result: None,
        }
    }
}

/// The body of `POST jobs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    pub documents: Vec<DocumentId>,
    #[serde(flatten)]
    pub options: Options,
}

/// How to count: fields of `POST jobs`, parameters of `POST count`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    #[serde(default)]
    pub mode: Mode,
    #[serde(default = "top_default")]
    pub top: u32,
    #[serde(default = "one")]
    pub verify: u8,
}

impl query::Parameters for Options {
    const NAMES: &'static [&'static str] = &["mode", "top", "verify"];
}

fn top_default() -> u32 {
    TOP_DEFAULT
}

fn one() -> u8 {
    1
}

impl Options {
    pub fn check(&self) -> ApiResult<JobOptions> {
        if self.verify != 1 {
            return Err(ApiError::bad_request(format!(
                "verify={} is not possible yet: only 1 is",
                self.verify
            ))
            .hint("leave verify out: every part is counted by one member"));
        }
        check_top(self.top)?;
        let top = self.top.min(limits::SUMMARY_TOP_MAX as u32);
        Ok(JobOptions { mode: self.mode, top, verify: self.verify })
    }
}

pub fn check_top(top: u32) -> ApiResult<()> {
    if top > limits::REPORT_TOP_MAX {
        let max = limits::REPORT_TOP_MAX;
        return Err(ApiError::bad_request(format!("a report shows at most {max} words"))
            .hint("GET jobs/ID/words?format=csv gives the whole table"));
    }
    Ok(())
}

#[derive(Clone, Debug, Deserialize)]
pub struct ShowParameters {
    #[serde(default = "top_default")]
    top: u32,
}

impl query::Parameters for ShowParameters {
    const NAMES: &'static [&'static str] = &["top"];
}

pub async fn list(access: Access, _: NoParameters) -> ApiResult<Json<JobList>> {
    match access.ask(Request::ListJobs).await? {
        Reply::Jobs(jobs) => Ok(Json(JobList { jobs: jobs.iter().map(JobView::from).collect() })),
        _ => Err(ApiError::unexpected_reply()),
    }
}

pub async fn submit(
    access: Access,
    _: NoParameters,
    key: IdempotencyKey,
    body: Result<Json<Submission>, JsonRejection>,
) -> ApiResult<Response> {
    let Json(submission) = body.map_err(|rejection| {
        ApiError::body(rejection.status(), rejection.body_text()).hint(
            r#"send {"documents":["ID"],"mode":"unicode","top":10} with Content-Type: application/json"#,
        )
    })?;
    let options = submission.options.check()?;
    let job = submit_job(&access.node, key.job("jobs"), submission.documents, options).await?;
    let location = format!("{}/jobs/{}", access.base, job.id);
    let id = Json(serde_json::json!({"id": job.id}));
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], id).into_response())
}

pub async fn submit_job(
    node: &NodeHandle,
    job: Option<JobId>,
    documents: Vec<DocumentId>,
    options: JobOptions,
) -> ApiResult<Job> {
    expect_job(ask(node, Request::SubmitJob { job, documents, options }).await?)
}

pub async fn show(
    access: Access,
    Id(job): Id<JobId>,
    Query(parameters): Query<ShowParameters>,
) -> ApiResult<Json<JobView>> {
    check_top(parameters.top)?;
    let job = find(&access.node, job).await?;
    let mut view = JobView::from(&job);
    if let JobState::Done(result) = &job.state {
        view.result = Some(report(&access.node, &job, result, parameters.top).await?);
    }
    Ok(Json(view))
}

pub async fn cancel(access: Access, Id(job): Id<JobId>, _: NoParameters) -> ApiResult<StatusCode> {
    access.ask(Request::CancelJob { job }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn find(node: &NodeHandle, job: JobId) -> ApiResult<Job> {
    expect_job(ask(node, Request::GetJob { job }).await?)
}

pub fn expect_job(reply: Reply) -> ApiResult<Job> {
    match reply {
        Reply::Job(job) => Ok(*job),
        _ => Err(ApiError::unexpected_reply()),
    }
}
