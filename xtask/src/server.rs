//! The relay as a child process: started, awaited, and ended together with this program.

use crate::workspace::Workspace;
use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const POLL_INTERVAL: Duration = Duration::from_millis(50);
const PROBE_TIME_MAX: Duration = Duration::from_secs(2);
/// A relay that was asked to stop first lets answers come to their end and its nodes close their stores.
const STOP_TIME_MAX: Duration = Duration::from_secs(15);
const LAST_WORDS: usize = 20;

pub struct Server {
    child: Child,
    signals: Signals,
    stop_asked: bool,
    port: u16,
    link: String,
    program: PathBuf,
    data: PathBuf,
    log: PathBuf,
}

/// How the server came to its end.
pub enum Ended {
    /// Somebody asked for it: Ctrl-C or a signal.
    Asked,
    Alone(ExitStatus),
}

impl Server {
    /// Each port has its own data, so that two clusters beside each other do not share a store.
    pub fn start(workspace: &Workspace, port: u16, nodes: u16) -> anyhow::Result<Server> {
        let program = workspace.target().join("release/wordraft");
        let home = workspace.target().join("run");
        let data = home.join(format!("port-{port}"));
        let log = home.join(format!("port-{port}.log"));
        std::fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
        let messages = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGCHLD])?;
        let listen = format!("127.0.0.1:{port}");
        let mut command = workspace.command(&program);
        command.args(["relay", "--listen", &listen, "--nodes", &nodes.to_string(), "--data"]).arg(&data);
        command.stdin(Stdio::null()).stdout(messages.try_clone()?).stderr(messages);
        // A group of its own: Ctrl-C in the terminal reaches only us, and we decide in which order things end.
        command.process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let link = format!("http://{listen}/r/lobby");
        Ok(Server { child, signals, stop_asked: false, port, link, program, data, log })
    }

    pub fn link(&self) -> &str {
        &self.link
    }

    pub fn program(&self) -> &Path {
        &self.program
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Ready means that a leader was elected and requests are served.
    pub fn wait_until_ready(&mut self, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the relay ended with {status} before it was ready\n{}", self.last_words());
            }
            if self.stop_asked() {
                bail!("interrupted");
            }
            if self.is_ready() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the relay was not ready within {} s\n{}", patience.as_secs(), self.last_words());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    fn is_ready(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(PROBE_TIME_MAX))?;
            write!(
                stream,
                "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n",
                self.port
            )?;
            let mut answer = Vec::new();
            stream.take(1024).read_to_end(&mut answer)?;
            Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// Whether Ctrl-C or a signal to end arrived by now.
    pub fn stop_asked(&mut self) -> bool {
        self.stop_asked |= self.signals.pending().any(|signal| signal != SIGCHLD);
        self.stop_asked
    }

    /// Stays until the server ends by itself or somebody asks for the end of both.
    pub fn wait(&mut self) -> anyhow::Result<Ended> {
        loop {
            if self.stop_asked() {
                self.stop()?;
                return Ok(Ended::Asked);
            }
            if let Some(status) = self.child.try_wait()? {
                return Ok(Ended::Alone(status));
            }
            self.stop_asked |= self.signals.wait().any(|signal| signal != SIGCHLD);
        }
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::INT);
        let deadline = Instant::now() + STOP_TIME_MAX;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                self.signal(Signal::KILL);
                self.child.wait()?;
                bail!(
                    "the relay did not end within {} s and was killed\n{}",
                    STOP_TIME_MAX.as_secs(),
                    self.last_words()
                );
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// To the child and all that it may have started. A group that is gone needs no signal.
    fn signal(&self, signal: Signal) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, signal);
        }
    }

    /// The end of its log, for a message about what went wrong.
    pub fn last_words(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LAST_WORDS)..].iter().map(|line| format!("    {line}\n"));
        format!("  the end of {}:\n{}", self.log.display(), tail.collect::<String>())
    }
}

impl Drop for Server {
    /// On the way out with an error: leave no process behind.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.stop();
        }
    }
}
