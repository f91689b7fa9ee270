//! The table of a result: searched, page by page, or whole as CSV.

use super::access::{Access, Id};
use super::documents::attachment;
use super::error::{ApiError, ApiResult};
use super::jobs;
use super::query::{self, Query};
use super::table::StoredTable;
use crate::driver::NodeHandle;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::ids::JobId;
use shared::limits;
use shared::state_machine::{Job, JobResult, JobState};
use shared::words::{CSV_HEADER, Entry, ReportWord, Top, put_csv_line};
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::str::FromStr;
use tokio::sync::mpsc;

#[derive(Clone, Debug, Deserialize)]
pub struct Parameters {
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    order: Order,
    limit: Option<u64>,
    cursor: Option<String>,
    #[serde(default)]
    format: Format,
}

impl query::Parameters for Parameters {
    const NAMES: &'static [&'static str] = &["prefix", "order", "limit", "cursor", "format"];
}

/// By count, highest first, then by word; or by word in byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Order {
    #[default]
    Count,
    Word,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    Csv,
}

/// A page of a table. `cursor` leads to the next one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WordList {
    pub words: Vec<ReportWord>,
    pub cursor: Option<String>,
}

/// The last word that was given out. Offsets in a table follow the order of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    count: u64,
    offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.count, self.offset)
    }
}

impl FromStr for Place {
    type Err = ApiError;

    fn from_str(text: &str) -> ApiResult<Place> {
        let place = text.split_once('-').and_then(|(count, offset)| {
            Some(Place { count: count.parse().ok()?, offset: offset.parse().ok()? })
        });
        place.ok_or_else(|| {
            ApiError::bad_request("the cursor is none that was given out")
                .hint("use the cursor of the page before")
        })
    }
}

/// Which words, and in which order.
#[derive(Clone, Debug)]
struct Selection {
    prefix: Vec<u8>,
    order: Order,
    after: Option<Place>,
}

impl Selection {
    /// Whether a word is still to come in this order.
    fn takes(&self, entry: &Entry<'_>) -> bool {
        entry.word.starts_with(&self.prefix)
            && self.after.is_none_or(|after| match self.order {
                Order::Word => entry.offset > after.offset,
                Order::Count => (after.count, entry.offset) > (entry.count, after.offset),
            })
    }

    /// Whether no later word of the table can be one.
    fn is_past(&self, entry: &Entry<'_>) -> bool {
        !entry.word.starts_with(&self.prefix) && entry.word > self.prefix.as_slice()
    }
}

struct Found {
    word: Vec<u8>,
    place: Place,
}

impl Found {
    fn of(entry: &Entry<'_>) -> Found {
        Found { word: entry.word.to_vec(), place: Place { count: entry.count, offset: entry.offset } }
    }
}

pub async fn words(
    access: Access,
    Id(job): Id<JobId>,
    Query(parameters): Query<Parameters>,
) -> ApiResult<Response> {
    let Parameters { prefix, order, limit, cursor, format } = parameters;
    let after = cursor.map(|cursor| cursor.parse()).transpose()?;
    // Words are lower-cased, so this is what a search for "The" means.
    let selection = Selection { prefix: prefix.to_lowercase().into_bytes(), order, after };
    let job = jobs::find(&access.node, job).await?;
    finished(&job)?;
    match format {
        Format::Json => page(&access.node, &job, &selection, limit).await.map(IntoResponse::into_response),
        Format::Csv => Ok(csv(access.node, job, selection, limit.unwrap_or(u64::MAX))),
    }
}

fn finished(job: &Job) -> ApiResult<&JobResult> {
    match &job.state {
        JobState::Done(result) => Ok(result),
        JobState::Running => Err(ApiError::new(StatusCode::CONFLICT, "conflict", "the job is still running")
            .hint("GET jobs/ID/events tells when it is done")),
        JobState::Failed { .. } | JobState::Cancelled { .. } => {
            Err(ApiError::not_found("the job ended without a result").hint("count the documents again"))
        }
    }
}

async fn page(
    node: &NodeHandle,
    job: &Job,
    selection: &Selection,
    limit: Option<u64>,
) -> ApiResult<Json<WordList>> {
    let limit = limit.unwrap_or(limits::WORDS_PAGE_DEFAULT);
    if !(1..=limits::WORDS_PAGE_MAX).contains(&limit) {
        let max = limits::WORDS_PAGE_MAX;
        return Err(ApiError::bad_request(format!("limit={limit} is not within 1 to {max}"))
            .hint("follow the cursor from page to page, or use format=csv"));
    }
    // One more than the page holds tells whether there is another.
    let mut found = find(node, job, selection, limit as usize + 1).await?;
    let more = found.len() as u64 > limit;
    found.truncate(limit as usize);
    let cursor = found.last().filter(|_| more).map(|last| last.place.to_string());
    let words = found.iter().map(|found| ReportWord::new(&found.word, found.place.count)).collect();
    Ok(Json(WordList { words, cursor }))
}

/// The first `limit` words of a selection.
async fn find(node: &NodeHandle, job: &Job, selection: &Selection, limit: usize) -> ApiResult<Vec<Found>> {
    let result = finished(job)?;
    let table = StoredTable::new(node, job.options.mode, &result.table);
    match selection.order {
        Order::Word => {
            let mut found = Vec::new();
            table
                .for_each(|entry| {
                    if selection.takes(&entry) {
                        found.push(Found::of(&entry));
                    }
                    stop_if(found.len() >= limit || selection.is_past(&entry))
                })
                .await?;
            Ok(found)
        }
        Order::Count => {
            let mut top = Top::new(limit);
            table
                .for_each(|entry| {
                    if selection.takes(&entry) {
                        top.offer(entry.count, || Found::of(&entry));
                    }
                    stop_if(selection.is_past(&entry))
                })
                .await?;
            Ok(top.finish())
        }
    }
}

fn stop_if(enough: bool) -> ControlFlow<()> {
    if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// Pieces of CSV that wait for a slow reader.
const PIECES_WAITING: usize = 4;

/// Bytes of a piece of CSV.
const PIECE_BYTES: usize = 64 << 10;

fn csv(node: NodeHandle, job: Job, selection: Selection, limit: u64) -> Response {
    let (pieces, waiting) = mpsc::channel(PIECES_WAITING);
    let name = attachment(&format!("words-{}.csv", job.id));
    tokio::spawn(async move {
        let written = write_csv(&node, &job, selection, limit, &pieces).await;
        if let Err(error) = written {
            // What has been sent cannot be called back: the broken stream tells the client.
            let _reader_is_there = pieces.send(Err(io::Error::other(error.code()))).await;
        }
    });
    let stream = futures_util::stream::unfold(waiting, |mut waiting| async move {
        waiting.recv().await.map(|piece: io::Result<Bytes>| (piece, waiting))
    });
    let kind = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], Body::from_stream(stream))
        .into_response()
}

/// Goes through the table as often as it takes to have all words in order, with a bounded number of them in memory.
async fn write_csv(
    node: &NodeHandle,
    job: &Job,
    mut selection: Selection,
    mut left: u64,
    pieces: &mpsc::Sender<io::Result<Bytes>>,
) -> ApiResult<()> {
    let mut piece = CSV_HEADER.to_vec();
    loop {
        let batch = left.min(limits::CSV_BATCH_WORDS as u64);
        let found = find(node, job, &selection, batch as usize).await?;
        for Found { word, place } in &found {
            put_csv_line(&mut piece, word, place.count);
            if piece.len() >= PIECE_BYTES && pieces.send(Ok(std::mem::take(&mut piece).into())).await.is_err()
            {
                return Ok(());
            }
        }
        left -= found.len() as u64;
        match found.last() {
            Some(last) if left > 0 && found.len() as u64 == batch => selection.after = Some(last.place),
            _ => break,
        }
    }
    let _reader_is_there = pieces.send(Ok(piece.into())).await;
    Ok(())
}
