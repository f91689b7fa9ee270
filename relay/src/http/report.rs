//! A finished job as the report that people and programs get.

use super::error::ApiResult;
use super::table::StoredTable;
use crate::driver::NodeHandle;
use shared::state_machine::{Job, JobResult, WorkerShare};
use shared::wire::session::Kind;
use shared::words::{CountReport, CountedWord, ReportWord, ReportWorker, SummaryWord};

/// Words in a report when nobody asks for another number.
pub const TOP_DEFAULT: u32 = 10;

/// The report of a job and its result, with the `top` most frequent words. Words that the summary shows only in part
/// are looked up in the table, and so is a `top` that is longer than the summary's.
pub async fn report(node: &NodeHandle, job: &Job, result: &JobResult, top: u32) -> ApiResult<CountReport> {
    let JobResult { summary, table, workers, micros } = result;
    let table = StoredTable::new(node, job.options.mode, table);
    let documents = job.documents.iter().map(ToString::to_string).collect();
    let top = top_words(&table, result, top as usize).await?;
    Ok(CountReport {
        job: Some(job.id),
        max: extreme(&table, &summary.max).await?,
        min: extreme(&table, &summary.min).await?,
        seconds: *micros as f64 / 1e6,
        workers: workers.iter().map(worker).collect(),
        ..CountReport::new(job.options.mode, documents, summary, Some(&top))
    })
}

async fn top_words(table: &StoredTable<'_>, result: &JobResult, top: usize) -> ApiResult<Vec<CountedWord>> {
    let summary = &result.summary;
    if summary.top.len() < top && (summary.top.len() as u64) < summary.totals.unique {
        return table.top(top).await;
    }
    let mut words = Vec::with_capacity(top.min(summary.top.len()));
    for word in summary.top.iter().take(top) {
        words.push(table.whole_word(word).await?);
    }
    Ok(words)
}

async fn extreme(table: &StoredTable<'_>, word: &Option<SummaryWord>) -> ApiResult<Option<ReportWord>> {
    match word {
        Some(word) => Ok(Some(ReportWord::from(&table.whole_word(word).await?))),
        None => Ok(None),
    }
}

fn worker(share: &WorkerShare) -> ReportWorker {
    ReportWorker {
        node: share.node,
        name: share.name.clone(),
        kind: match share.kind {
            Kind::Tab => "tab".to_owned(),
            Kind::Server => "server".to_owned(),
        },
        bytes: share.bytes,
        tasks: u64::from(share.tasks),
    }
}
