//! `cargo xtask run`: from a fresh machine to a running cluster, a counted sample and a link to open.

use crate::server::{Ended, Server};
use crate::step::{Step, note};
use crate::workspace::{Workspace, check, shown};
use crate::{page, tools};
use anyhow::{Context, bail};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

const READY_TIME_MAX: Duration = Duration::from_secs(60);
const SAMPLE_SIZE: &str = "5MB";
/// How many ports after the wanted one are tried.
const PORTS_TRIED: u16 = 20;

pub struct Options {
    nodes: u16,
    port: u16,
}

impl Options {
    pub fn parse(arguments: &[String]) -> Result<Options, String> {
        let mut options = Options { nodes: 3, port: 3000 };
        let mut arguments = arguments.iter();
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            let number =
                value.parse().map_err(|_| format!("{name} takes a number up to 65535, not \"{value}\""))?;
            match name.as_str() {
                "--nodes" => options.nodes = number,
                "--port" => options.port = number,
                _ => return Err(format!("run has no option {name}")),
            }
        }
        Ok(options)
    }
}

pub fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let started = Instant::now();
    let wasm_target = tools::ensure(workspace)?;
    page::build(workspace, &wasm_target)?;
    build_relay(workspace)?;
    let mut server = start(workspace, options)?;
    if options.nodes > 0 {
        count_sample(workspace, &mut server)?;
    }
    if !server.stop_asked() {
        announce(&server, started.elapsed());
    }
    match server.wait()? {
        Ended::Asked => {
            eprintln!("\nStopped. What was stored is still in {}", server.data().display());
            Ok(())
        }
        Ended::Alone(status) => bail!("the relay ended by itself with {status}\n{}", server.last_words()),
    }
}

fn build_relay(workspace: &Workspace) -> anyhow::Result<()> {
    let step =
        Step::begin("Relay", "one binary with the relay, the node, the command line, and the page inside");
    check(&mut workspace.cargo(&["build", "--release", "--locked", "--package", "relay"]))
        .context("the relay could not be built")?;
    step.done();
    Ok(())
}

fn start(workspace: &Workspace, options: &Options) -> anyhow::Result<Server> {
    let title = format!("Start a relay with {} nodes", options.nodes);
    let step = Step::begin(&title, "they elect a leader, and tabs and servers can join");
    let port = free_port(options.port)?;
    if port != options.port {
        note(&format!("port {} is taken by another program: using {port}", options.port));
    }
    let mut server = Server::start(workspace, port, options.nodes)?;
    note(&format!("data in {}, messages in {}", server.data().display(), server.log().display()));
    server.wait_until_ready(READY_TIME_MAX)?;
    step.done();
    Ok(server)
}

fn free_port(wanted: u16) -> anyhow::Result<u16> {
    (wanted..=wanted.saturating_add(PORTS_TRIED))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .with_context(|| format!("the ports from {wanted} on are all taken; choose another with --port"))
}

/// `wordraft sample --bytes 5MB | wordraft count - --relay LINK`
fn count_sample(workspace: &Workspace, server: &mut Server) -> anyhow::Result<()> {
    let step =
        Step::begin("Count a sample", "the cluster stores a generated text and counts its words together");
    let wordraft = server.program().to_owned();
    let mut sample = workspace.command(&wordraft);
    let mut sample = sample
        .args(["sample", "--bytes", SAMPLE_SIZE])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let text = sample.stdout.take().context("the sample has no output")?;
    let mut count = workspace.command(&wordraft);
    count.args(["count", "-", "--relay", server.link()]).stdin(text);
    note(&format!("wordraft sample --bytes {SAMPLE_SIZE} | {}", shown(&count)));
    let counted = check(&mut count);
    let sampled = sample.wait()?;
    if server.stop_asked() {
        return Ok(());
    }
    counted.with_context(|| format!("the sample could not be counted\n{}", server.last_words()))?;
    if !sampled.success() {
        bail!("wordraft sample ended with {sampled}");
    }
    step.done();
    Ok(())
}

fn announce(server: &Server, elapsed: Duration) {
    println!("\nwordraft is running ({}). Open this in several tabs:\n", crate::step::seconds(elapsed));
    println!("    {}\n", server.link());
    println!("A server joins with:  {} node --relay {}", shown_path(server.program()), server.link());
    println!("Ctrl-C stops everything.");
    // The caller may have sent the output into a file or a pipe; the link should be there now, not at the end.
    let _ = std::io::stdout().flush();
}

/// Relative to where the person is, when it is below.
fn shown_path(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}
