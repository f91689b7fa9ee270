//! A count as people and programs read it: one JSON object, or CSV.

use super::letters::Letters;
use super::mode::Mode;
use super::summary::{Summary, SummaryWord};
use super::top::CountedWord;
use crate::ids::{JobId, NodeId};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

/// What `wordraft count --json` prints and the HTTP interface answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CountReport {
    /// None for a count that ran without a cluster.
    pub job: Option<JobId>,
    pub mode: Mode,
    /// Ids of documents; names of files for a count that ran without a cluster.
    pub documents: Vec<String>,
    pub bytes: u64,
    pub lines: u64,
    pub total: u64,
    pub unique: u64,
    /// None in a text without words, as `min`.
    pub max: Option<ReportWord>,
    pub min: Option<ReportWord>,
    pub top: Vec<ReportWord>,
    pub letters: Letters,
    pub seconds: f64,
    pub workers: Vec<ReportWorker>,
}

impl CountReport {
    /// The report of a summary. `top` holds the words to show; those of the summary if none are given.
    pub fn new(
        mode: Mode,
        documents: Vec<String>,
        summary: &Summary,
        top: Option<&[CountedWord]>,
    ) -> CountReport {
        let word = |word: &Option<SummaryWord>| word.as_ref().map(ReportWord::from);
        CountReport {
            job: None,
            mode,
            documents,
            bytes: summary.totals.bytes,
            lines: summary.totals.lines,
            total: summary.totals.total,
            unique: summary.totals.unique,
            max: word(&summary.max),
            min: word(&summary.min),
            top: match top {
                Some(words) => words.iter().map(ReportWord::from).collect(),
                None => summary.top.iter().map(ReportWord::from).collect(),
            },
            letters: summary.letters.clone(),
            seconds: 0.0,
            workers: Vec::new(),
        }
    }
}

/// A word in JSON, which knows no bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportWord {
    pub word: String,
    /// The bytes, where they are not UTF-8 and `word` shows U+FFFD for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
    /// Bytes of the whole word, where only its beginning is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    pub count: u64,
}

impl ReportWord {
    pub fn new(word: &[u8], count: u64) -> ReportWord {
        let hex = std::str::from_utf8(word).is_err().then(|| HEXLOWER.encode(word));
        ReportWord { word: String::from_utf8_lossy(word).into_owned(), hex, length: None, count }
    }
}

impl From<&CountedWord> for ReportWord {
    fn from(counted: &CountedWord) -> ReportWord {
        ReportWord::new(&counted.word, counted.count)
    }
}

impl From<&SummaryWord> for ReportWord {
    fn from(summary: &SummaryWord) -> ReportWord {
        let length = (!summary.is_whole()).then_some(summary.length);
        ReportWord { length, ..ReportWord::new(&summary.prefix, summary.count) }
    }
}

/// What one member did for the count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportWorker {
    pub node: NodeId,
    pub name: String,
    /// `tab` or `server`.
    pub kind: String,
    pub bytes: u64,
    pub tasks: u64,
}

/// The first line of a table in CSV.
pub const CSV_HEADER: &[u8] = b"word,count\n";

/// Writes a line of CSV (RFC 4180, but with `\n`). The word stands there byte for byte.
pub fn put_csv_line(out: &mut Vec<u8>, word: &[u8], count: u64) {
    if word.iter().any(|byte| matches!(byte, b'"' | b',' | b'\n' | b'\r')) {
        out.push(b'"');
        for &byte in word {
            if byte == b'"' {
                out.push(b'"');
            }
            out.push(byte);
        }
        out.push(b'"');
    } else {
        out.extend_from_slice(word);
    }
    out.extend_from_slice(format!(",{count}\n").as_bytes());
}
