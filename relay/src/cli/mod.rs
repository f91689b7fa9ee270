//! The command line: reads arguments, asks a relay or works alone, prints. Data goes to the standard output,
//! everything else to the standard error.

mod client;
mod completions;
mod count;
mod documents;
mod failure;
mod grid;
mod input;
mod jobs;
mod kv;
mod link;
mod local;
mod moment;
mod node;
mod output;
mod progress;
mod relay;
mod replay;
mod report;
mod sample;
mod signals;
mod size;
mod sse;
mod status;
mod upload;
mod watch;

use clap::{Parser, Subcommand};
use failure::Failure;
use link::Link;
use output::Output;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Counts the words of large texts on a cluster of browser tabs and servers.
#[derive(Debug, Parser)]
#[command(name = "wordraft", version, arg_required_else_help = true, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Clone, Debug, clap::Args)]
struct Global {
    /// The room to work with: http://HOST:PORT/r/ROOM#SECRET
    #[arg(long, global = true, value_name = "LINK", env = "WORDRAFT_RELAY", default_value = link::DEFAULT)]
    relay: Link,
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    json: bool,
    /// How messages on the standard error look
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    Relay(relay::Arguments),
    Node(node::Arguments),
    Count(count::Arguments),
    Documents(documents::Arguments),
    Jobs(jobs::Arguments),
    Kv(kv::Arguments),
    Status(status::StatusArguments),
    Members(status::MembersArguments),
    Leader(status::LeaderArguments),
    Sample(sample::Arguments),
    Replay(replay::Arguments),
    Completions(completions::Arguments),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    start_logging(global.log_format);
    let mut output = Output::new(global.json);
    let end = start_runtime().and_then(|runtime| {
        let end = runtime.block_on(run(&global, command, &mut output)).and_then(|()| output.flush());
        // Work that was interrupted may still hold a thread: nobody waits for it.
        runtime.shutdown_background();
        end
    });
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(global.json);
            failure.exit_code()
        }
    }
}

async fn run(global: &Global, command: Command, output: &mut Output) -> Result<(), Failure> {
    // These have something to do before they end.
    if !matches!(command, Command::Relay(_) | Command::Node(_) | Command::Count(_)) {
        signals::exit_on_signal(global.json, || std::future::ready(()));
    }
    let end = match command {
        Command::Relay(arguments) => relay::run(arguments, global.log_format, output).await,
        Command::Node(arguments) => node::run(global, arguments, output).await,
        Command::Count(arguments) => count::run(global, arguments, output).await,
        Command::Documents(arguments) => documents::run(global, arguments, output).await,
        Command::Jobs(arguments) => jobs::run(global, arguments, output).await,
        Command::Kv(arguments) => kv::run(global, arguments, output).await,
        Command::Status(arguments) => status::status(global, arguments, output).await,
        Command::Members(arguments) => status::members(global, arguments, output).await,
        Command::Leader(arguments) => status::leader(global, arguments, output).await,
        Command::Sample(arguments) => sample::run(arguments, output),
        Command::Replay(arguments) => replay::run(arguments, output),
        Command::Completions(arguments) => completions::run(arguments, output),
    };
    signals::give_way().await;
    end
}

/// Half of the processors carry messages and answer requests; logs, blocks and counting have threads of their own. A worker more
/// than there is work for costs: on two processors, two workers took 585 µs of processor time for a write to three nodes and
/// their relay, one takes 337 µs.
fn start_runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors.div_ceil(2))
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("threads cannot be started: {error}")))
}

/// `RUST_LOG` says what is told; without it, warnings and what this program itself announces.
fn start_logging(format: LogFormat) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,relay=info,wordraft=info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(output::stderr_is_coloured()).init(),
        LogFormat::Json => lines.json().init(),
    }
}
