//! `wordraft kv`.

use super::client::Client;
use super::failure::Failure;
use super::grid::{Align, Grid};
use super::input::Input;
use super::output::{Output, printable};
use super::size::thousands;
use super::sse::Event;
use super::{Global, watch};
use ::relay::http::{
    KeyChanged, KeyEventView, KeyList, KeyRow, TTL_HEADER, Ttl, ValueView, key_path, url_part,
};
use clap::builder::NonEmptyStringValueParser;
use reqwest::{Method, RequestBuilder, Response, header};
use shared::limits;
use shared::state_machine::{Key, Version};
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::str::FromStr;

/// Read, change and watch keys on the cluster
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Write a key's value to the standard output
    Get {
        #[arg(value_parser = reachable)]
        key: Key,
        /// What the node that is asked has, even without a quorum
        #[arg(long)]
        stale: bool,
    },
    /// Give a key a value, and print the version
    Put {
        #[arg(value_parser = reachable)]
        key: Key,
        #[command(flatten)]
        value: Value,
        #[command(flatten)]
        lifetime: Lifetime,
    },
    /// Delete a key
    Delete {
        #[arg(value_parser = reachable)]
        key: Key,
        /// Only if the key has this version
        #[arg(long, value_name = "N")]
        if_version: Option<Version>,
    },
    /// Give a key a value if it has this version, or if it is absent, and print the new version
    Cas {
        #[arg(value_parser = reachable)]
        key: Key,
        /// A version, or "absent"
        expected: Expected,
        #[command(flatten)]
        value: Value,
        #[command(flatten)]
        lifetime: Lifetime,
    },
    /// List the keys that begin so
    Ls {
        #[arg(default_value = "")]
        prefix: String,
        /// With their values; only as JSON
        #[arg(long, requires = "json")]
        values: bool,
        /// What the node that is asked has, even without a quorum
        #[arg(long)]
        stale: bool,
    },
    /// Print changes of keys that begin so, as they happen
    Watch {
        #[arg(default_value = "")]
        prefix: String,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Value {
    /// The value; - is the standard input
    value: Option<String>,
    /// A file with the value
    #[arg(long, value_name = "FILE", value_parser = NonEmptyStringValueParser::new())]
    file: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Lifetime {
    /// The key goes after this: 30s, 5m, 2h, 7d
    #[arg(long, value_name = "TIME")]
    ttl: Option<Ttl>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Absent,
    Version(Version),
}

impl FromStr for Expected {
    type Err = String;

    fn from_str(text: &str) -> Result<Expected, String> {
        match (text, text.parse()) {
            ("absent", _) => Ok(Expected::Absent),
            (_, Ok(version)) => Ok(Expected::Version(version)),
            _ => Err(format!("\"{text}\" is neither a version nor \"absent\"")),
        }
    }
}

/// A URL takes these two as something else, however they are encoded.
fn reachable(text: &str) -> Result<Key, String> {
    match text {
        "." | ".." => Err("no URL can name this key: choose another".to_owned()),
        _ => text.parse().map_err(|error: shared::state_machine::KeyError| error.to_string()),
    }
}

impl Value {
    fn read(self) -> Result<Vec<u8>, Failure> {
        let input = match (self.value, self.file) {
            (Some(value), _) if value != "-" => return Ok(value.into_bytes()),
            (_, Some(file)) => Input::new(PathBuf::from(file)),
            _ => Input::new(PathBuf::from("-")),
        };
        let mut value = Vec::new();
        // One byte more tells that it is too long, however long it is.
        let mut limited = input.open()?.take(limits::VALUE_BYTES_MAX as u64 + 1);
        limited.read_to_end(&mut value).map_err(|error| Failure::input(input.name(), &error))?;
        if value.len() > limits::VALUE_BYTES_MAX {
            let message = format!("a value has at most {} bytes", thousands(limits::VALUE_BYTES_MAX as u64));
            return Err(Failure::failed(message).hint("store it with `wordraft documents add`"));
        }
        Ok(value)
    }
}

pub async fn run(global: &Global, arguments: Arguments, output: &mut Output) -> Result<(), Failure> {
    let client = Client::new(global.relay.clone())?;
    match arguments.command {
        Command::Get { key, stale } => get(&client, key, stale, output).await,
        Command::Put { key, value, lifetime } => {
            let request = client.request(Method::PUT, &key_path(&key));
            put(&client, request, value, lifetime, output).await
        }
        Command::Cas { key, expected, value, lifetime } => {
            let request = client.request(Method::PUT, &key_path(&key));
            let request = match expected {
                Expected::Absent => request.header(header::IF_NONE_MATCH, "*"),
                Expected::Version(version) => request.header(header::IF_MATCH, format!("\"{version}\"")),
            };
            put(&client, request, value, lifetime, output).await
        }
        Command::Delete { key, if_version } => {
            let mut request = client.request(Method::DELETE, &key_path(&key));
            if let Some(version) = if_version {
                request = request.header(header::IF_MATCH, format!("\"{version}\""));
            }
            client.send(request).await?;
            if output.is_json() { output.json(&serde_json::json!({"deleted": key})) } else { Ok(()) }
        }
        Command::Ls { prefix, values, stale } => list(&client, &prefix, values, stale, output).await,
        Command::Watch { prefix } => follow(&client, &prefix, output).await,
    }
}

fn consistency(request: RequestBuilder, stale: bool) -> RequestBuilder {
    if stale { request.query(&[("consistency", "stale")]) } else { request }
}

async fn get(client: &Client, key: Key, stale: bool, output: &mut Output) -> Result<(), Failure> {
    let request = consistency(client.request(Method::GET, &key_path(&key)), stale);
    let response = client.send(request).await?;
    let version = number(&response, header::ETAG).map(Version::new).unwrap_or_default();
    let ttl = number(&response, TTL_HEADER);
    let value = response.bytes().await.map_err(|error| client.unreadable(&error))?;
    if output.is_json() {
        let bytes = value.len() as u64;
        return output.json(&KeyRow { key, version, bytes, ttl, value: Some(ValueView::of(&value)) });
    }
    match output.is_terminal() {
        true => output.line(printable_lines(&String::from_utf8_lossy(&value))),
        false => output.bytes(&value),
    }
}

/// A text with lines stays one; nothing else in it commands the terminal.
fn printable_lines(text: &str) -> String {
    text.strip_suffix('\n').unwrap_or(text).split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

fn number(response: &Response, name: header::HeaderName) -> Option<u64> {
    response.headers().get(name)?.to_str().ok()?.trim_matches('"').parse().ok()
}

async fn put(
    client: &Client,
    request: RequestBuilder,
    value: Value,
    Lifetime { ttl }: Lifetime,
    output: &mut Output,
) -> Result<(), Failure> {
    let ttl = ttl.map(|Ttl(ttl)| ("ttl", format!("{}ms", ttl.as_millis())));
    let request = request.query(&ttl.as_slice()).body(value.read()?);
    let changed: KeyChanged = client.fetch(request).await?;
    if output.is_json() { output.json(&changed) } else { output.line(changed.version) }
}

async fn list(
    client: &Client,
    prefix: &str,
    values: bool,
    stale: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut found = KeyList { keys: Vec::new(), cursor: None, version: Version::ZERO };
    loop {
        let limit = limits::KEYS_PAGE_MAX.to_string();
        let values = values.to_string();
        let parameters = [("prefix", prefix), ("limit", limit.as_str()), ("values", values.as_str())];
        let cursor = found.cursor.take().map(|cursor| ("cursor", cursor));
        let request = client.request(Method::GET, "kv").query(&parameters).query(&cursor.as_slice());
        let page: KeyList = client.fetch(consistency(request, stale)).await?;
        // A watch that begins at the first page misses nothing of the later ones.
        if found.version == Version::ZERO {
            found.version = page.version;
        }
        found.keys.extend(page.keys);
        found.cursor = page.cursor;
        if found.cursor.is_none() {
            break;
        }
    }
    if output.is_json() {
        return output.json(&found);
    }
    let mut grid = Grid::new([
        ("key", Align::Left),
        ("version", Align::Right),
        ("bytes", Align::Right),
        ("kept", Align::Left),
    ]);
    for KeyRow { key, version, bytes, ttl, .. } in found.keys {
        let kept = ttl.map_or_else(|| "for good".to_owned(), |seconds| format!("for {seconds} s"));
        grid.row([key.to_string(), version.to_string(), thousands(bytes), kept]);
    }
    grid.write("No key begins so. `wordraft kv put KEY VALUE` makes one.", output)
}

/// Goes on where it was when the connection broke off. With --json every event is a line of its own.
async fn follow(client: &Client, prefix: &str, output: &mut Output) -> Result<(), Failure> {
    let prefix = url_part(prefix);
    let path = format!("kv?watch=true&values=true&prefix={prefix}");
    watch::events(client, &path, None, |event| {
        tell(event, output)?;
        output.flush()?;
        Ok(ControlFlow::<()>::Continue(()))
    })
    .await
}

fn tell(event: &Event, output: &mut Output) -> Result<(), Failure> {
    let happened = event.name.as_str();
    // Whoever was cut off comes back, and misses nothing.
    if matches!(happened, "watching" | "cut") {
        return Ok(());
    }
    if output.is_json() {
        let mut data: serde_json::Value = watch::parse(&event.data)?;
        data["event"] = happened.into();
        return output.json(&data);
    }
    if happened == "missed" {
        return output
            .line("missed: some changes are not known any more; `wordraft kv ls` shows what there is");
    }
    let KeyEventView { key, version, value } = watch::parse(&event.data)?;
    let value = match value {
        Some(ValueView::Value(text)) => format!(" = {}", printable(&text)),
        Some(ValueView::Base64(text)) => format!(" = base64 {text}"),
        None => String::new(),
    };
    output.line(format!("{version} {happened} {}{value}", printable(key.as_str())))
}
