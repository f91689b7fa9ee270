//! `wordraft count`.

use super::client::Client;
use super::failure::Failure;
use super::output::Output;
use super::{Global, input, local, progress, report, signals, upload, watch};
use ::relay::http::{JobView, Options, Submission};
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use reqwest::Method;
use serde::Deserialize;
use shared::ids::{DocumentId, JobId};
use shared::limits;
use shared::words::{
    ByCount, CSV_HEADER, CountReport, CountedWord, Mode, ReportWord, Summary, SummaryWord, Table,
    TableReader, Top, put_csv_line,
};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Words in a report when nobody asks for another number.
const TOP_DEFAULT: u32 = 10;

/// Count the words of files, each word with its frequency
///
/// Several files are counted together, as one text each. The texts are stored on the cluster for a day, unless --keep
/// or --forget says otherwise.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Files to count; - is the standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What a word is: by Unicode's rules (UAX #29), what stands between white space, or the same for ASCII alone
    #[arg(long, default_value = "unicode", value_parser = mode_parser())]
    mode: Mode,
    /// How many of the most frequent words to show [default: 10; with --csv all]
    #[arg(long, value_name = "N")]
    top: Option<u32>,
    /// How many members count each part and have to agree
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    verify: u8,
    /// Print the whole table as CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Count in this process on all cores, without a cluster
    #[arg(long)]
    local: bool,
    /// Keep the texts on the cluster for good
    #[arg(long, conflicts_with_all = ["forget", "local"])]
    keep: bool,
    /// Delete the texts from the cluster when they are counted
    #[arg(long, conflicts_with = "local")]
    forget: bool,
    /// Threads for --local [default: one for each core]
    #[arg(long, value_name = "N", requires = "local")]
    threads: Option<NonZeroUsize>,
}

/// Reads a mode, and knows all of them for help and completion.
pub fn mode_parser() -> impl clap::builder::TypedValueParser<Value = Mode> {
    PossibleValuesParser::new(Mode::ALL.map(Mode::as_str)).try_map(|text| text.parse::<Mode>())
}

pub async fn run(global: &Global, arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    if arguments.verify > 1 {
        return Err(Failure::usage(format!("--verify {} is not possible yet: only 1 is", arguments.verify))
            .hint("leave --verify out: every part is counted by one member"));
    }
    let top = arguments.top.filter(|_| !arguments.csv && !arguments.local);
    top.map_or(Ok(()), report::check_top)?;
    if arguments.local {
        signals::exit_on_signal(global.json, || std::future::ready(()));
        return run_local(arguments, output);
    }
    let client = Client::new(global.relay.clone())?;
    let left_behind = LeftBehind::default();
    let (interrupted, on_signal) = (client.clone(), left_behind.clone());
    let forget = arguments.forget;
    signals::exit_on_signal(global.json, move || async move {
        on_signal.cancel(&interrupted).await;
        if forget {
            on_signal.forget(&interrupted).await;
        }
    });
    let counted = run_on_cluster(&client, &arguments, &left_behind, output).await;
    if forget {
        left_behind.forget(&client).await;
    }
    counted
}

/// What the cluster has to be rid of when this process gives up, or was asked to leave nothing.
#[derive(Clone, Default)]
struct LeftBehind(Arc<Mutex<Traces>>);

#[derive(Clone, Default)]
struct Traces {
    job: Option<JobId>,
    documents: Vec<DocumentId>,
}

impl LeftBehind {
    fn note(&self, note: impl FnOnce(&mut Traces)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn traces(&self) -> Traces {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Nobody waits for the job any more.
    async fn cancel(&self, client: &Client) {
        if let Some(job) = self.traces().job {
            let _ended_already = client.delete(&format!("jobs/{job}")).await;
        }
    }

    /// A text that is not deleted now goes by itself after a day.
    async fn forget(&self, client: &Client) {
        for document in self.traces().documents {
            if let Err(failure) = client.delete(&format!("documents/{document}")).await {
                tracing::warn!(%document, "the text could not be deleted: {failure}");
            }
        }
    }
}

#[derive(Deserialize)]
struct Submitted {
    id: JobId,
}

async fn run_on_cluster(
    client: &Client,
    arguments: &Arguments,
    left_behind: &LeftBehind,
    output: &mut Output,
) -> Result<(), Failure> {
    let inputs = input::all(arguments.files.clone())?;
    let mut documents = Vec::with_capacity(inputs.len());
    for input in &inputs {
        let document = upload::upload(client, input, &input.document_name(), arguments.keep).await?;
        documents.push(document.id);
        if !arguments.keep {
            left_behind.note(|traces| traces.documents.push(document.id));
        }
    }
    let top = arguments.top.unwrap_or(TOP_DEFAULT);
    let options = Options { mode: arguments.mode, top: top.min(limits::SUMMARY_TOP_MAX as u32), verify: 1 };
    let request = client.request(Method::POST, "jobs").json(&Submission { documents, options });
    let Submitted { id } = client.fetch(request).await?;
    left_behind.note(|traces| traces.job = Some(id));
    let bar = progress::job();
    let ended = watch::until_ended(client, id, |told| {
        progress::tell(&bar, told);
        Ok(())
    })
    .await;
    bar.finish_and_clear();
    watch::check_done(ended?)?;
    left_behind.note(|traces| traces.job = None);
    if arguments.csv {
        let limit = arguments.top.map(|top| ("limit", top));
        let request = client.request(Method::GET, &format!("jobs/{id}/words"));
        let request = request.query(&[("format", "csv")]).query(limit.as_slice());
        return client.copy(client.send(request).await?, output).await;
    }
    let view: JobView = client.get(&format!("jobs/{id}?top={top}")).await?;
    match view.result {
        Some(report) => write_report(&report, output),
        None => Err(Failure::failed(format!("job {id} has no result"))),
    }
}

fn run_local(arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    let inputs = input::all(arguments.files)?;
    let threads =
        arguments.threads.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let bar = progress::bytes("counting", inputs.iter().map(|input| input.bytes()).sum());
    let start = Instant::now();
    let table = local::count(arguments.mode, &inputs, threads, &bar);
    let seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();
    let table = table?;
    if arguments.csv {
        return write_csv(&table, arguments.top, output);
    }
    let top = arguments.top.unwrap_or(TOP_DEFAULT) as usize;
    let documents = inputs.iter().map(|input| input.name().to_owned()).collect();
    let summary = Summary::of(&table, 0);
    let whole = |word: &Option<SummaryWord>| word.as_ref().map(|word| whole_word(&table, word));
    let report = CountReport {
        max: whole(&summary.max),
        min: whole(&summary.min),
        seconds,
        ..CountReport::new(arguments.mode, documents, &summary, Some(&Top::of(&table, top)))
    };
    write_report(&report, output)
}

fn write_report(report: &CountReport, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() { output.json(report) } else { report::write(report, output) }
}

/// A summary shows only the beginning of a long word.
fn whole_word(table: &Table, word: &SummaryWord) -> ReportWord {
    if word.is_whole() {
        return ReportWord::from(word);
    }
    let mut reader = TableReader::resume_at(table.mode(), word.table_offset);
    reader.push(&table.as_bytes()[word.table_offset as usize..]);
    match reader.next_entry() {
        Ok(Some(entry)) => ReportWord::new(entry.word, entry.count),
        _ => ReportWord::from(word),
    }
}

fn write_csv(table: &Table, top: Option<u32>, output: &mut Output) -> Result<(), Failure> {
    output.bytes(CSV_HEADER)?;
    let mut line = Vec::new();
    let mut write = |word: &[u8], count: u64| {
        line.clear();
        put_csv_line(&mut line, word, count);
        output.bytes(&line)
    };
    match top {
        Some(top) => {
            let words: Vec<CountedWord> = Top::of(table, top as usize);
            words.iter().try_for_each(|CountedWord { word, count }| write(word, *count))
        }
        None => ByCount::of(&mut table.entries()).iter().try_for_each(|(word, count)| write(word, count)),
    }
}
