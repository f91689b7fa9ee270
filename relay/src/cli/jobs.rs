//! `wordraft jobs`.

use super::client::Client;
use super::failure::Failure;
use super::grid::{Align, Grid};
use super::output::{Output, printable};
use super::size::{show as show_bytes, thousands};
use super::watch::{self, Told};
use super::{Global, moment, progress, report};
use ::relay::http::{JobList, JobView, StateView, WordList};
use reqwest::Method;
use shared::ids::JobId;
use shared::limits;

/// List, show, watch and cancel counts, and read their tables
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the counts
    Ls,
    /// Show a count and its result
    Show {
        job: JobId,
        /// How many of the most frequent words to show
        #[arg(long, value_name = "N", default_value_t = 10)]
        top: u32,
    },
    /// Follow a count until it has ended
    Watch { job: JobId },
    /// Print words of a result
    Words(WordsArguments),
    /// Stop a count
    Cancel { job: JobId },
}

#[derive(Debug, clap::Args)]
struct WordsArguments {
    job: JobId,
    /// Only words that begin so
    #[arg(long, default_value = "")]
    prefix: String,
    /// By count, highest first, or by word
    #[arg(long, default_value = "count", value_parser = ["count", "word"])]
    order: String,
    /// How many words [default: 100; with --csv all]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// As CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

pub async fn run(global: &Global, arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    let client = Client::new(global.relay.clone())?;
    match arguments.command {
        Command::Ls => list(&client, output).await,
        Command::Show { job, top } => show(&client, job, top, output).await,
        Command::Watch { job } => follow(&client, job, output).await,
        Command::Words(arguments) => words(&client, arguments, output).await,
        Command::Cancel { job } => {
            client.delete(&format!("jobs/{job}")).await?;
            if output.is_json() { output.json(&serde_json::json!({"cancelled": job})) } else { Ok(()) }
        }
    }
}

async fn list(client: &Client, output: &mut Output) -> Result<(), Failure> {
    let list: JobList = client.get("jobs").await?;
    if output.is_json() {
        return output.json(&list);
    }
    let mut grid = Grid::new([
        ("id", Align::Left),
        ("state", Align::Left),
        ("mode", Align::Left),
        ("texts", Align::Right),
        ("words", Align::Right),
        ("different", Align::Right),
        ("seconds", Align::Right),
        ("submitted", Align::Left),
    ]);
    for JobView { id, state, mode, documents, submitted_at, figures, .. } in list.jobs {
        let figure = |number: Option<u64>| number.map(thousands).unwrap_or_default();
        grid.row([
            id.to_string(),
            state_name(state).to_owned(),
            mode.to_string(),
            thousands(documents.len() as u64),
            figure(figures.as_ref().map(|figures| figures.total)),
            figure(figures.as_ref().map(|figures| figures.unique)),
            figures.map(|figures| format!("{:.2}", figures.seconds)).unwrap_or_default(),
            moment::ago(submitted_at),
        ]);
    }
    grid.write("Nothing has been counted yet. `wordraft count FILE` does.", output)
}

fn state_name(state: StateView) -> &'static str {
    match state {
        StateView::Running => "running",
        StateView::Done => "done",
        StateView::Cancelled => "cancelled",
        StateView::Failed => "failed",
    }
}

async fn show(client: &Client, job: JobId, top: u32, output: &mut Output) -> Result<(), Failure> {
    report::check_top(top)?;
    let view: JobView = client.get(&format!("jobs/{job}?top={top}")).await?;
    if output.is_json() {
        return output.json(&view);
    }
    match &view.result {
        Some(result) => report::write(result, output),
        None => {
            let reason = view.reason.as_deref().map(|reason| format!(": {}", printable(reason)));
            output.line(format!("Job {job} is {}{}", state_name(view.state), reason.unwrap_or_default()))
        }
    }
}

/// With --json every event is a line of its own.
async fn follow(client: &Client, job: JobId, output: &mut Output) -> Result<(), Failure> {
    let bar = progress::job();
    let ended = watch::until_ended(client, job, |told| {
        progress::tell(&bar, told);
        match told {
            Told::Progress(progress) if output.is_json() => output.json(progress)?,
            Told::Job(view) if output.is_json() => output.json(view)?,
            _ => {}
        }
        output.flush()
    })
    .await;
    bar.finish_and_clear();
    let view = watch::check_done(ended?)?;
    match view.figures {
        Some(figures) if !output.is_json() => output.line(format!(
            "Job {job} is done: {} words, {} different, {} in {:.2} s",
            thousands(figures.total),
            thousands(figures.unique),
            show_bytes(figures.bytes),
            figures.seconds
        )),
        _ => Ok(()),
    }
}

async fn words(client: &Client, arguments: WordsArguments, output: &mut Output) -> Result<(), Failure> {
    let WordsArguments { job, prefix, order, limit, csv } = arguments;
    let path = format!("jobs/{job}/words");
    let request = client.request(Method::GET, &path).query(&[("prefix", &prefix), ("order", &order)]);
    if csv {
        let limit = limit.map(|limit| ("limit", limit));
        let request = request.query(&[("format", "csv")]).query(&limit.as_slice());
        return client.copy(client.send(request).await?, output).await;
    }
    let mut left = limit.unwrap_or(limits::WORDS_PAGE_DEFAULT);
    let mut found = WordList { words: Vec::new(), cursor: None };
    while left > 0 {
        let page = [("limit", left.min(limits::WORDS_PAGE_MAX).to_string())];
        let cursor = found.cursor.take().map(|cursor| ("cursor", cursor));
        let request = client.request(Method::GET, &path).query(&[("prefix", &prefix), ("order", &order)]);
        let next: WordList = client.fetch(request.query(&page).query(&cursor.as_slice())).await?;
        left -= (next.words.len() as u64).min(left);
        found.words.extend(next.words);
        found.cursor = next.cursor;
        if found.cursor.is_none() {
            break;
        }
    }
    if output.is_json() {
        return output.json(&found);
    }
    let mut grid = Grid::new([("word", Align::Left), ("count", Align::Right)]);
    for word in found.words {
        grid.row([word.word, thousands(word.count)]);
    }
    grid.write("No word begins so.", output)
}
