//! One WebSocket to the relay, in which control never waits behind much bulk.

use super::clock::after;
use super::signal::{Signal, Signals};
use super::transport::{LinkEvent, LinkSignal};
use gloo_timers::callback::Timeout;
use shared::limits;
use shared::time::Duration;
use shared::wire::session::ClientFrame;
use std::collections::VecDeque;
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, CloseEvent, MessageEvent, WebSocket};

/// Bytes that the browser may hold unsent before bulk waits here instead: what a heartbeat finds in front of it.
const UNSENT_BYTES_MAX: usize = 256 << 10;

/// Browsers do not say when they have sent something. Timers come every 4 ms then, and a chunk each time is more than
/// a network takes.
const PUMP_INTERVAL: Duration = Duration::from_millis(2);

/// A socket that closes when it is dropped.
pub struct Socket {
    socket: WebSocket,
    connection: u64,
    signals: Signals,
    bulk: VecDeque<(usize, ClientFrame)>,
    bulk_bytes: usize,
    pump: Option<Timeout>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_close: Closure<dyn FnMut(CloseEvent)>,
}

impl Socket {
    pub fn open(url: &str, connection: u64, signals: &Signals) -> Result<Socket, JsValue> {
        let socket = WebSocket::new(url)?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let tell = {
            let signals = signals.clone();
            move |what| signals.send(Signal::Link(LinkSignal { connection, what }))
        };
        let on_close = {
            let tell = tell.clone();
            Closure::new(move |event: CloseEvent| tell(LinkEvent::Closed { reason: reason_of(&event) }))
        };
        let on_message = Closure::new(move |event: MessageEvent| tell(LinkEvent::Message(event.data())));
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        Ok(Socket {
            socket,
            connection,
            signals: signals.clone(),
            bulk: VecDeque::new(),
            bulk_bytes: 0,
            pump: None,
            _on_message: on_message,
            _on_close: on_close,
        })
    }

    pub fn send(&self, frame: &ClientFrame) {
        // It fails on a socket that is closing, whose end is about to be told.
        let _closing = self.socket.send_with_u8_array(&frame.encode());
    }

    /// Sends once there is room. Bulk for a connection that cannot take it is dropped, as the relay would drop it;
    /// whoever waits for it asks again.
    pub fn send_later(&mut self, bytes: usize, frame: ClientFrame) {
        if self.bulk_bytes + bytes > limits::BULK_QUEUE_BYTES_MAX {
            return;
        }
        self.bulk_bytes += bytes;
        self.bulk.push_back((bytes, frame));
        if self.pump.is_none() {
            self.pump();
        }
    }

    pub fn pump(&mut self) {
        self.pump = None;
        while self.unsent_bytes() < UNSENT_BYTES_MAX {
            let Some((bytes, frame)) = self.bulk.pop_front() else { return };
            self.bulk_bytes -= bytes;
            self.send(&frame);
        }
        if !self.bulk.is_empty() {
            let (connection, signals) = (self.connection, self.signals.clone());
            let what = LinkEvent::Pump;
            self.pump = Some(after(PUMP_INTERVAL, move || {
                signals.send(Signal::Link(LinkSignal { connection, what }));
            }));
        }
    }

    /// Bytes that the browser has taken and not sent.
    pub fn unsent_bytes(&self) -> usize {
        self.socket.buffered_amount() as usize
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        let _closed_already = self.socket.close();
    }
}

/// Browsers hide why a connection failed.
fn reason_of(event: &CloseEvent) -> String {
    match event.reason() {
        reason if !reason.is_empty() => reason,
        _ if event.was_clean() => "the relay closed the connection".to_owned(),
        _ => "the relay cannot be reached".to_owned(),
    }
}
