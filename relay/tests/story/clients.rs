//! Clients that put, compare, delete and read keys through all servers, and remember what they were told.

use linearizability::{Answer, Condition, Operation, Request};
use reqwest::Method;
use reqwest::header::{ETAG, IF_MATCH};
use shared::rng::Rng;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use testkit::cluster::PATIENCE;
use testkit::{Http, until};
use tokio::task::JoinHandle;

const CLIENTS: u32 = 8;
const KEYS: u64 = 5;

/// Whoever is not answered for so long turns to another server, and will never know.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);

pub struct Clients {
    common: Arc<Common>,
    tasks: Vec<JoinHandle<()>>,
}

struct Common {
    servers: Mutex<Vec<Http>>,
    history: Mutex<Vec<Operation>>,
    answered: AtomicU64,
    stopped: AtomicBool,
    began: Instant,
}

/// What came back for one operation.
enum Outcome {
    Answered(Answer),
    /// It certainly changed nothing.
    Refused,
    /// It may have happened, may happen later, or never.
    Unknown,
}

impl Clients {
    pub fn start(servers: Vec<Http>) -> Clients {
        let common = Arc::new(Common {
            servers: Mutex::new(servers),
            history: Mutex::default(),
            answered: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            began: Instant::now(),
        });
        let tasks = (0..CLIENTS).map(|number| tokio::spawn(work(number, common.clone()))).collect();
        Clients { common, tasks }
    }

    /// A server answers under another address.
    pub fn reach(&self, at: usize, server: Http) {
        self.common.servers()[at] = server;
    }

    /// Waits for so many more answers; how long the first took.
    pub async fn progress(&self, operations: u64, what: &str) -> Duration {
        let (began, before) = (Instant::now(), self.answered());
        let more = async |wanted: u64| {
            until(&format!("{wanted} answers while {what}"), PATIENCE, async || {
                let done = self.answered() - before;
                if done >= wanted { Ok(()) } else { Err(done) }
            })
            .await;
        };
        more(1).await;
        let first = began.elapsed();
        more(operations).await;
        first
    }

    fn answered(&self) -> u64 {
        self.common.answered.load(Ordering::Relaxed)
    }

    /// All come to an end, every key is read once more, and this is what they saw.
    pub async fn stop(self) -> Vec<Operation> {
        self.common.stopped.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("no client panics");
        }
        for key in 0..KEYS {
            until("a last look at a key", PATIENCE, async || {
                self.common.attempt(CLIENTS, 0, key, Request::Get).await.ok_or("no answer")
            })
            .await;
        }
        std::mem::take(&mut self.common.history())
    }
}

async fn work(number: u32, common: Arc<Common>) {
    let mut rng = Rng::from_u64(u64::from(number));
    let mut versions = [None; KEYS as usize];
    let mut value = u64::from(number) << 32;
    while !common.stopped.load(Ordering::Relaxed) {
        let key = rng.below(KEYS);
        let server = rng.below(common.servers().len() as u64) as usize;
        value += 1;
        let version = versions[key as usize].take();
        let request = match (rng.below(10), version) {
            (0..2, _) => Request::Put(value, Condition::Any),
            (2..6, Some(version)) => Request::Put(value, Condition::Version(version)),
            (6, _) => Request::Delete(Condition::Any),
            _ => Request::Get,
        };
        versions[key as usize] = match common.attempt(number, server, key, request).await {
            Some(Answer::Found(found)) => found.map(|(_, version)| version),
            Some(Answer::Written(version)) => Some(version),
            Some(Answer::Conflict(current)) => current,
            Some(Answer::Deleted | Answer::NoKey) | None => None,
        };
    }
}

impl Common {
    fn servers(&self) -> MutexGuard<'_, Vec<Http>> {
        self.servers.lock().expect("no client panics")
    }

    fn history(&self) -> MutexGuard<'_, Vec<Operation>> {
        self.history.lock().expect("no client panics")
    }

    async fn attempt(&self, client: u32, server: usize, key: u64, request: Request) -> Option<Answer> {
        let http = self.servers()[server].clone();
        let key = format!("key-{key}");
        let path = format!("kv/{key}");
        let call = match request {
            Request::Get => http.request(Method::GET, &path),
            Request::Put(value, _) => http.request(Method::PUT, &path).body(value.to_string()),
            Request::Delete(_) => http.request(Method::DELETE, &path),
        };
        let call = match request {
            Request::Put(_, Condition::Version(version)) => call.header(IF_MATCH, format!("\"{version}\"")),
            _ => call,
        };
        let called_at = self.now();
        let outcome = match testkit::Answer::of(call.timeout(ANSWER_TIME_MAX)).await {
            Ok(answer) => understand(request, &answer),
            Err(_) => Outcome::Unknown,
        };
        let answer = match outcome {
            Outcome::Answered(answer) => Some(answer),
            Outcome::Refused => return None,
            Outcome::Unknown => None,
        };
        let answered = answer.map(|answer| (self.now(), answer));
        self.answered.fetch_add(u64::from(answer.is_some()), Ordering::Relaxed);
        self.history().push(Operation { client, key, called_at, request, answered });
        answer
    }

    /// Microseconds on the one clock of this process.
    fn now(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }
}

fn understand(request: Request, answer: &testkit::Answer) -> Outcome {
    let version = || {
        let tag = answer.headers.get(ETAG)?.to_str().ok()?;
        Some(tag.trim_matches('"').parse().expect("a version between quotes"))
    };
    let value = || answer.text().parse().expect("a value that some client wrote");
    let known = |answer| Outcome::Answered(answer);
    match (request, answer.status) {
        (Request::Get, 200) => known(Answer::Found(version().map(|version| (value(), version)))),
        (Request::Get, 404) => known(Answer::Found(None)),
        (Request::Put(..), 200 | 201) => known(Answer::Written(version().expect("a put names its version"))),
        (Request::Put(..), 412) => known(Answer::Conflict(version())),
        (Request::Delete(_), 204) => known(Answer::Deleted),
        (Request::Delete(_), 404) => known(Answer::NoKey),
        (_, 429 | 503) => Outcome::Refused,
        (_, 504) => Outcome::Unknown,
        (_, status) => panic!("nobody expected {status} to {request:?}: {}", answer.text()),
    }
}
