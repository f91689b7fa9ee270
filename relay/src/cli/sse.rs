//! Reads server-sent events.

use super::client::Client;
use super::failure::Failure;
use reqwest::{Method, Response};

/// An event is a line of JSON; the largest is a key's value of which every byte has to be escaped.
const EVENT_BYTES_MAX: usize = 8 << 20;

/// An event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub name: String,
    pub data: String,
    /// Where to go on after this one; empty where a stream says nothing of it.
    pub id: String,
}

/// A stream of events that is being read.
pub struct Events {
    client: Client,
    response: Response,
    lines: Lines,
}

impl Events {
    /// `last_id`: that of the last event of the stream that broke off, or empty.
    pub async fn open(client: &Client, path: &str, last_id: &str) -> Result<Events, Failure> {
        let mut request = client.request(Method::GET, path);
        if !last_id.is_empty() {
            request = request.header("last-event-id", last_id);
        }
        let response = client.send(request).await?;
        Ok(Events { client: client.clone(), response, lines: Lines::default() })
    }

    /// The next event; None when the stream has ended.
    pub async fn next(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            if let Some(event) = self.lines.next_event() {
                return Ok(Some(event));
            }
            let piece = self.response.chunk().await.map_err(|error| self.client.unreadable(&error))?;
            match piece {
                Some(piece) => self.lines.push(&piece)?,
                None => return Ok(None),
            }
        }
    }
}

/// Puts pieces of a stream together to events.
#[derive(Default)]
struct Lines {
    buffer: Vec<u8>,
    name: String,
    data: String,
    /// Of the latest event that had one.
    id: String,
}

impl Lines {
    fn push(&mut self, piece: &[u8]) -> Result<(), Failure> {
        self.buffer.extend_from_slice(piece);
        if self.buffer.len() + self.data.len() > EVENT_BYTES_MAX {
            return Err(Failure::failed("the relay sends an event that is too long"));
        }
        Ok(())
    }

    /// An empty line ends an event; lines that begin with a colon are signs of life.
    fn next_event(&mut self) -> Option<Event> {
        while let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
                if !data.is_empty() {
                    return Some(Event { name, data, id: self.id.clone() });
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => self.name = value.to_owned(),
                "data" => self.data.push_str(value),
                "id" => self.id = value.to_owned(),
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_however_the_stream_is_cut() {
        let stream = b": hello\n\nid: 7\nevent: job\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\n:\n\nevent: progress\ndata: 2\n\nevent: x";
        for size in 1..stream.len() {
            let mut lines = Lines::default();
            let mut events = Vec::new();
            for piece in stream.chunks(size) {
                lines.push(piece).unwrap();
                events.extend(std::iter::from_fn(|| lines.next_event()));
            }
            let found: Vec<[&str; 3]> =
                events.iter().map(|Event { name, data, id }| [name.as_str(), data, id]).collect();
            assert_eq!(found, [["job", "{\"a\":1}", "7"], ["progress", "2", "7"]], "pieces of {size}");
        }
    }
}
