//! One tab: what a person does in it, and what they see.

use super::Session;
use crate::screenshots;
use crate::wait::{PATIENCE, until};
use fantoccini::Locator;
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::wd::WindowHandle;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A window's size, but for tabs that pretend to another screen.
const WIDTH: u32 = 1280;
const HEIGHT: u32 = 900;

pub struct Tab {
    session: Arc<Session>,
    window: WindowHandle,
}

/// The screen that a tab pretends to have.
#[derive(Clone, Copy, Debug)]
pub enum Screen {
    Desktop,
    Phone,
}

#[derive(Clone, Copy, Debug)]
pub enum Scheme {
    Light,
    Dark,
}

impl Tab {
    pub(super) fn new(session: Arc<Session>, window: WindowHandle) -> Tab {
        Tab { session, window }
    }

    /// Runs the body of a function and returns its value; a promise is awaited.
    pub async fn run(&self, script: &str) -> Value {
        self.run_with(script, Vec::new()).await
    }

    /// The same with `arguments`, as the script's function calls them.
    pub async fn run_with(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.try_run(script, arguments).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    pub async fn try_run(&self, script: &str, arguments: Vec<Value>) -> Result<Value, CmdError> {
        self.session.at(&self.window).await?.execute(script, arguments).await
    }

    /// Waits until an expression is true in the page. Gives up with what the page says instead.
    pub async fn until(&self, expression: &str, patience: Duration) {
        let script = format!("return Boolean({expression}) || document.body.innerText");
        until(expression, patience, async || match self.try_run(&script, Vec::new()).await {
            Ok(Value::Bool(true)) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }

    /// The text of the first element that `selector` finds, as a person reads it.
    pub async fn text(&self, selector: &str) -> String {
        let element = self.element(selector).await;
        element.text().await.unwrap_or_else(|error| panic!("{selector} has no text: {error}"))
    }

    pub async fn click(&self, selector: &str) {
        let element = self.element(selector).await;
        element.click().await.unwrap_or_else(|error| panic!("{selector} cannot be clicked: {error}"));
    }

    /// Types into an element, which gets the focus by that.
    pub async fn type_into(&self, selector: &str, text: &str) {
        let element = self.element(selector).await;
        element.send_keys(text).await.unwrap_or_else(|error| panic!("{selector} takes no keys: {error}"));
    }

    /// Chooses files in an `<input type="file">`, seen or not.
    pub async fn choose_files(&self, selector: &str, files: &[&Path]) {
        let paths: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        self.type_into(selector, &paths.join("\n")).await;
    }

    /// Drops a file onto an element, as if dragged from a file manager. `input` is any file input of the page.
    pub async fn drop_file(&self, input: &str, target: &str, file: &Path) {
        self.choose_files(input, &[file]).await;
        let script = "const [input, target] = Array.from(arguments, (selector) => document.querySelector(selector));
            const data = new DataTransfer();
            for (const file of input.files) data.items.add(file);
            for (const type of ['dragenter', 'dragover', 'drop'])
                target.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));";
        self.run_with(script, vec![json!(input), json!(target)]).await;
    }

    /// Waits for an element to be there.
    pub async fn element(&self, selector: &str) -> Element {
        until(selector, PATIENCE, async || {
            let client = self.session.at(&self.window).await?;
            client.find(Locator::Css(selector)).await
        })
        .await
    }

    pub async fn goto(&self, url: &str) {
        let client = self.session.at(&self.window).await.expect("the tab is open");
        client.goto(url).await.unwrap_or_else(|error| panic!("{url} does not open: {error}"));
    }

    pub async fn reload(&self) {
        let client = self.session.at(&self.window).await.expect("the tab is open");
        client.refresh().await.expect("a page can be loaded again");
    }

    /// Closes it as a person does.
    pub async fn close(self) {
        let client = self.session.at(&self.window).await.expect("the tab is open");
        client.close_window().await.expect("a tab can be closed");
    }

    /// Ends its renderer at once, as when memory runs out: no handler of the page runs.
    pub async fn crash(self) {
        // The answer to this never comes from a renderer that is gone, so an error is what success looks like.
        let crash = self.session.dev_tools(&self.window, "Page.crash", json!({}));
        let _ = tokio::time::timeout(Duration::from_secs(5), crash).await;
        if let Ok(client) = self.session.at(&self.window).await {
            let _ = client.close_window().await;
        }
    }

    /// Puts its window out of sight, or back. Without [`super::Browser::start_throttled`] the page notices nothing but
    /// the change of its visibility.
    pub async fn set_hidden(&self, hidden: bool) {
        let client = self.session.at(&self.window).await.expect("the tab is open");
        let moved =
            if hidden { client.minimize_window().await } else { client.set_window_size(WIDTH, HEIGHT).await };
        moved.expect("a window can be minimised and restored");
    }

    /// Freezes the page and its workers as Chromium does with tabs that were hidden for long, or thaws them.
    pub async fn set_frozen(&self, frozen: bool) {
        let state = if frozen { "frozen" } else { "active" };
        self.dev_tools("Page.setWebLifecycleState", json!({ "state": state })).await;
    }

    pub async fn set_scheme(&self, scheme: Scheme) {
        let value = match scheme {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.dev_tools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    pub async fn set_screen(&self, screen: Screen) {
        let (width, height, scale, mobile) = match screen {
            Screen::Desktop => (WIDTH, HEIGHT, 1, false),
            Screen::Phone => (390, 844, 2, true),
        };
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile });
        self.dev_tools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Any command of the DevTools protocol.
    pub async fn dev_tools(&self, method: &str, parameters: Value) -> Value {
        let answer = self.session.dev_tools(&self.window, method, parameters).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// A picture for people to look at, in `target/screenshots/NAME.png`.
    pub async fn screenshot(&self, name: &str) -> PathBuf {
        let client = self.session.at(&self.window).await.expect("the tab is open");
        let png = client.screenshot().await.expect("chromedriver takes screenshots");
        let path = screenshots().join(format!("{name}.png"));
        std::fs::create_dir_all(screenshots()).expect("target can be written");
        std::fs::write(&path, png).expect("target can be written");
        path
    }
}
