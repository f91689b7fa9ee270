//! A headless Chromium with one profile, and its tabs.
//!
//! All tabs of a [`Browser`] share storage and locks, as those of one person do. Each is opened by itself, with a
//! renderer of its own, so that one can crash without the others. The browser keeps an empty window besides, and lives
//! on when all tabs are closed.

mod commands;
mod tab;

pub use tab::{Scheme, Screen, Tab};

use crate::process::Process;
use commands::{BrowserLog, DevTools};
use fantoccini::error::CmdError;
use fantoccini::wd::{Capabilities, WindowHandle};
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

const ARGUMENTS: [&str; 11] = [
    "--headless=new",
    // Containers and CI run as root, where the sandbox cannot start.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--disable-extensions",
    "--window-size=1280,900",
];

/// Left out of chromedriver's own arguments, so that hidden tabs are slowed down as they are for people.
const THROTTLING_SWITCHES: [&str; 3] = [
    "disable-background-timer-throttling",
    "disable-backgrounding-occluded-windows",
    "disable-renderer-backgrounding",
];

pub struct Browser {
    session: Arc<Session>,
    /// Never closed: a session ends with its last window.
    empty_window: WindowHandle,
    profile: TempDir,
    // Last: dropping it ends the driver and the browser, which use the profile until then.
    driver: Process,
}

/// WebDriver knows one current window; whoever holds the lock has made it theirs.
pub(crate) struct Session {
    client: Mutex<Client>,
}

/// A message in the console of a page or of a worker, or a request that failed.
#[derive(Clone, Debug)]
pub struct ConsoleMessage {
    /// `SEVERE`, `WARNING`, `INFO` or `DEBUG`.
    pub level: String,
    pub text: String,
}

impl Browser {
    pub async fn start() -> Browser {
        Browser::launch(&[]).await
    }

    /// With the throttling of hidden tabs that chromedriver switches off otherwise.
    pub async fn start_throttled() -> Browser {
        Browser::launch(&THROTTLING_SWITCHES).await
    }

    async fn launch(excluded_switches: &[&str]) -> Browser {
        let profile = tempfile::tempdir().expect("a directory for a test can be made");
        let mut command = Command::new(program("CHROMEDRIVER", &["chromedriver"]));
        command.arg("--port=0");
        let mut driver = Process::start("chromedriver", command);
        let port = driver.logged("a port", driver_port).await;
        let capabilities = capabilities(profile.path(), excluded_switches);
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap_or_else(|error| panic!("chromedriver gives no session: {error}"));
        let empty_window = client.window().await.expect("a browser starts with a window");
        let session = Session { client: Mutex::new(client) };
        Browser { session: Arc::new(session), empty_window, profile, driver }
    }

    /// Opens `url` in a window of its own. Headless Chromium shows all tabs of a window at once, so that a tab is
    /// hidden ([`Tab::set_hidden`]) only together with its window.
    pub async fn open(&self, url: &str) -> Tab {
        // The current window may be one that was closed, and then WebDriver does nothing at all.
        let client = self.session.at(&self.empty_window).await.expect("the empty window is there");
        let window = client.new_window(false).await.expect("a browser opens windows").handle;
        client.switch_to_window(window.clone()).await.expect("the new window is there");
        client.goto(url).await.unwrap_or_else(|error| panic!("{url} does not open: {error}"));
        drop(client);
        Tab::new(Arc::clone(&self.session), window)
    }

    /// What all tabs and their workers wrote to the console since the last call.
    pub async fn console(&self) -> Vec<ConsoleMessage> {
        let client = self.session.at(&self.empty_window).await.expect("the empty window is there");
        let entries = client.issue_cmd(BrowserLog).await.expect("chromedriver keeps a log");
        entries.as_array().into_iter().flatten().map(ConsoleMessage::of).collect()
    }

    /// The errors among them. A page in order has none.
    pub async fn console_errors(&self) -> Vec<ConsoleMessage> {
        let mut messages = self.console().await;
        messages.retain(|message| message.level == "SEVERE");
        messages
    }

    /// For tests that ask how much memory or time the browser takes.
    pub fn driver_pid(&self) -> u32 {
        self.driver.pid()
    }

    /// Where OPFS, IndexedDB and the rest lie.
    pub fn profile(&self) -> &Path {
        self.profile.path()
    }

    /// Ends the browser and waits until it has. Dropping it does the same without the waiting.
    pub async fn close(self) {
        let client = self.session.client.lock().await.clone();
        client.close().await.expect("a session can be ended");
    }
}

impl Session {
    async fn at(&self, window: &WindowHandle) -> Result<MutexGuard<'_, Client>, CmdError> {
        let client = self.client.lock().await;
        client.switch_to_window(window.clone()).await?;
        Ok(client)
    }

    async fn dev_tools(
        &self,
        window: &WindowHandle,
        method: &str,
        parameters: Value,
    ) -> Result<Value, CmdError> {
        self.at(window).await?.issue_cmd(DevTools { method: method.to_owned(), parameters }).await
    }
}

impl ConsoleMessage {
    fn of(entry: &Value) -> ConsoleMessage {
        let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        ConsoleMessage { level: text("level"), text: text("message") }
    }
}

fn capabilities(profile: &Path, excluded_switches: &[&str]) -> Capabilities {
    let mut arguments: Vec<String> = ARGUMENTS.iter().map(|argument| (*argument).to_owned()).collect();
    arguments.push(format!("--user-data-dir={}", profile.display()));
    let browser = program("CHROMIUM", &["chromium", "chromium-browser", "google-chrome"]);
    let capabilities = json!({
        "goog:chromeOptions": { "args": arguments, "binary": browser, "excludeSwitches": excluded_switches },
        "goog:loggingPrefs": { "browser": "ALL" },
        // An unexpected dialog stays, so that the test meets it.
        "unhandledPromptBehavior": "ignore",
    });
    capabilities.as_object().expect("written as an object").clone()
}

/// The program that a variable names, or the first of some names on PATH.
fn program(variable: &str, names: &[&str]) -> PathBuf {
    let on_path = |name: &&str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file())
    };
    let named = std::env::var_os(variable).map(PathBuf::from);
    named.or_else(|| names.iter().find_map(on_path)).unwrap_or_else(|| {
        panic!("there is no {} on PATH. On Debian: apt-get install chromium chromium-driver", names[0])
    })
}

/// `ChromeDriver was started successfully on port 39813.`
fn driver_port(line: &str) -> Option<u16> {
    line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
}
