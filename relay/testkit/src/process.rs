//! A child process whose output is kept, and that never outlives its test.

use crate::wait::{PATIENCE, until};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

/// Lines of a log that are shown when its test fails.
const LINES_SHOWN: usize = 60;

pub struct Process {
    name: String,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts `command` in a process group of its own, with everything that it prints going to its log.
    pub fn start(name: &str, mut command: Command) -> Process {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        let log = Arc::new(Mutex::new(Vec::new()));
        keep(child.stdout.take(), &log);
        keep(child.stderr.take(), &log);
        Process { name: name.to_owned(), child, log }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lock().expect("the threads that fill the log do not panic").clone()
    }

    /// The first thing that `find` sees in the log. Panics when the process ends before.
    pub async fn logged<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let name = self.name.clone();
        let wanted = format!("{what} in the log of {name}");
        let found = until(&wanted, PATIENCE, async || {
            // The threads that read its output let go of the log when they have read all of it.
            let ended = self.ended().filter(|_| Arc::strong_count(&self.log) == 1);
            match (self.log().iter().find_map(|line| find(line)), ended) {
                (Some(found), _) => Ok(Ok(found)),
                (None, Some(status)) => Ok(Err(status)),
                (None, None) => Err("nothing like it yet"),
            }
        });
        found.await.unwrap_or_else(|status| panic!("{name} ended with {status} before there was {what}"))
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child can be waited for")
    }

    pub async fn end(&mut self) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        until(&what, PATIENCE, async || self.ended().ok_or("still running")).await
    }

    /// kill -9: no last words, no sync, no goodbye. It is gone when this returns.
    pub fn kill(&mut self) {
        self.signal_group(Signal::KILL);
        self.child.wait().expect("our own child can be waited for");
    }

    /// What Ctrl-C does; returns when the process has ended.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::INT);
        self.end().await
    }

    /// As a supervisor stops it.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.end().await
    }

    /// Stands still without closing anything, as a machine that is suspended.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.rustix_pid(), signal)
            .unwrap_or_else(|error| panic!("{}: no signal: {error}", self.name));
    }

    /// A group without members is no error: then there is nothing to end.
    fn signal_group(&self, signal: Signal) {
        let _ = kill_process_group(self.rustix_pid(), signal);
    }

    fn rustix_pid(&self) -> Pid {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        pid.expect("the pid of a child is a positive number")
    }

    fn print_log(&self) {
        let log = self.log();
        eprintln!("---- the last of {} lines of {} ----", log.len(), self.name);
        log[log.len().saturating_sub(LINES_SHOWN)..].iter().for_each(|line| eprintln!("{line}"));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_log();
        }
        // Its children too, even when it ended before them.
        self.signal_group(Signal::KILL);
        let _ = self.child.wait();
    }
}

fn keep(output: Option<impl Read + Send + 'static>, log: &Arc<Mutex<Vec<String>>>) {
    let output = output.expect("the output was asked for as a pipe");
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            log.lock().expect("nobody panics with the log in hand").push(line);
        }
    });
}

/// The port in the first `http://127.0.0.1:PORT` of a line.
pub fn port_in(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once("http://127.0.0.1:")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start("shell", command)
    }

    #[tokio::test]
    async fn what_a_process_prints_can_be_awaited() {
        let mut process = shell("echo one; echo 'open http://127.0.0.1:4711/r/lobby' >&2; exit 3");
        assert_eq!(process.logged("a link", port_in).await, 4711);
        assert_eq!(process.end().await.code(), Some(3));
    }

    #[tokio::test]
    async fn a_killed_process_takes_its_children_along() {
        let mut process = shell("sleep 1000 & echo child=$!; wait");
        let child = process.logged("a child", |line| line.strip_prefix("child=")?.parse::<i32>().ok()).await;
        process.kill();
        let child = Pid::from_raw(child).expect("a pid is not zero");
        until("the end of the child", PATIENCE, async || match rustix::process::test_kill_process(child) {
            Ok(()) => Err("alive"),
            Err(gone) => Ok(gone),
        })
        .await;
    }

    #[tokio::test]
    async fn an_interrupted_process_may_end_in_its_own_way() {
        let mut process = shell("trap 'echo bye; exit 0' INT; echo ready; while :; do sleep 0.05; done");
        process.logged("ready", |line| (line == "ready").then_some(())).await;
        assert!(process.stop().await.success());
        process.logged("its last words", |line| (line == "bye").then_some(())).await;
    }

    #[test]
    fn ports_are_read_from_links() {
        assert_eq!(port_in("listening on http://127.0.0.1:3000/r/lobby"), Some(3000));
        assert_eq!(port_in("http://127.0.0.1:8080"), Some(8080));
        assert_eq!(port_in("http://127.0.0.1:0/"), None);
        assert_eq!(port_in("http://example.org:80/"), None);
    }
}
