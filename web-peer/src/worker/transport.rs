//! The connection to the relay: a WebSocket, the handshake, and new attempts with growing pauses.

use super::clock::after;
use super::signal::{Signal, Signals};
use super::socket::Socket;
use crate::bridge::Connection;
use gloo_timers::callback::Timeout;
use shared::ids::{ClusterId, RoomName};
use shared::limits;
use shared::node::Outgoing;
use shared::rng::Rng;
use shared::time::Duration;
use shared::wire::identity::{Identity, RoomToken};
use shared::wire::session::{Claim, Class, ClientFrame, Hello, Profile, Refusal, RelayFrame};
use wasm_bindgen::prelude::*;

/// Something about the connection with this number; what comes late from an earlier one is nobody's business.
pub struct LinkSignal {
    pub connection: u64,
    pub what: LinkEvent,
}

pub enum LinkEvent {
    Message(JsValue),
    Closed {
        reason: String,
    },
    HandshakeTooSlow,
    PauseOver,
    /// Time to show that this node is not frozen: its browser would answer the relay's pings all the same.
    SignOfLife,
    /// The socket may have room for the bulk that waits.
    Pump,
}

/// Whom this node claims to be, for every handshake.
pub struct Credentials {
    pub url: String,
    pub room: RoomName,
    pub token: Option<RoomToken>,
    pub identity: Identity,
    /// Proposed to a room that has no cluster yet.
    pub proposed: ClusterId,
}

/// What became of a signal.
pub enum LinkOutcome {
    Nothing,
    /// A frame of an admitted connection; the first one is the welcome.
    Frame(RelayFrame),
    /// An admitted connection is gone.
    Lost,
    /// The room belongs to another cluster than this node's log.
    OtherCluster,
}

pub struct Link {
    credentials: Credentials,
    signals: Signals,
    rng: Rng,
    connection: u64,
    state: State,
    pause: Duration,
    /// Since the last sign of life.
    spoke: bool,
    /// News for the page, taken by the driver.
    pub news: Option<Connection>,
}

/// The timers stop when they are dropped with their state.
#[expect(dead_code, reason = "timers are held, not read")]
enum State {
    Shaking(Socket, Timeout),
    Up(Socket, Timeout),
    Waiting(Timeout),
    Ended,
}

impl Link {
    pub fn connect(credentials: Credentials, signals: Signals, rng: Rng) -> Link {
        let mut link = Link {
            credentials,
            signals,
            rng,
            connection: 0,
            state: State::Ended,
            pause: limits::RECONNECT_PAUSE_MIN,
            spoke: false,
            news: None,
        };
        link.open();
        link
    }

    /// `cluster` and `profile` are this node's, as they are now.
    pub fn take(&mut self, signal: LinkSignal, cluster: Option<ClusterId>, profile: &Profile) -> LinkOutcome {
        if signal.connection != self.connection {
            return LinkOutcome::Nothing;
        }
        match signal.what {
            LinkEvent::Message(data) => self.read(&data, cluster, profile),
            LinkEvent::Closed { reason } => self.retry(reason),
            LinkEvent::HandshakeTooSlow => self.retry("the relay does not answer".to_owned()),
            LinkEvent::PauseOver => {
                self.open();
                LinkOutcome::Nothing
            }
            LinkEvent::SignOfLife => {
                if !std::mem::take(&mut self.spoke) {
                    self.notify(&ClientFrame::Profile(profile.clone()));
                }
                self.arm_sign_of_life();
                self.check_pace()
            }
            LinkEvent::Pump => {
                if let State::Up(socket, _) = &mut self.state {
                    socket.pump();
                }
                LinkOutcome::Nothing
            }
        }
    }

    pub fn send(&mut self, Outgoing { to, class, frame }: Outgoing) {
        let State::Up(socket, _) = &mut self.state else { return };
        self.spoke = true;
        match class {
            Class::Control => socket.send(&ClientFrame::Send { to, class, frame }),
            Class::Bulk => socket.send_later(frame.bytes(), ClientFrame::Send { to, class, frame }),
        }
    }

    pub fn notify(&self, notice: &ClientFrame) {
        if let State::Up(socket, _) = &self.state {
            socket.send(notice);
        }
    }

    /// Cuts a connection that has become too slow for even its control frames.
    fn check_pace(&mut self) -> LinkOutcome {
        match &self.state {
            State::Up(socket, _) if socket.unsent_bytes() > limits::CONTROL_QUEUE_BYTES_MAX => {
                self.retry("the connection to the relay is too slow".to_owned())
            }
            _ => LinkOutcome::Nothing,
        }
    }

    pub fn close(&mut self) {
        self.state = State::Ended;
        self.connection += 1;
    }

    fn open(&mut self) {
        self.connection += 1;
        self.news = Some(Connection::Connecting);
        match Socket::open(&self.credentials.url, self.connection, &self.signals) {
            Ok(socket) => {
                let timer = self.timer(limits::HANDSHAKE_TIME_MAX, LinkEvent::HandshakeTooSlow);
                self.state = State::Shaking(socket, timer);
            }
            Err(error) => {
                self.state = State::Ended;
                self.news = Some(Connection::Refused {
                    reason: format!("{} is no address of a relay ({error:?})", self.credentials.url),
                });
            }
        }
    }

    fn read(&mut self, data: &JsValue, cluster: Option<ClusterId>, profile: &Profile) -> LinkOutcome {
        let Some(buffer) = data.dyn_ref::<js_sys::ArrayBuffer>() else {
            return self.retry("the relay sent text, which is not its protocol".to_owned());
        };
        let frame = match RelayFrame::decode(&js_sys::Uint8Array::new(buffer).to_vec()) {
            Ok(frame) => frame,
            Err(error) => return self.retry(error.to_string()),
        };
        match (frame, &self.state) {
            (RelayFrame::Refused(refusal), _) if refusal.is_temporary() => self.retry(refusal.to_string()),
            (RelayFrame::Refused(Refusal::OtherCluster { .. }), _) => {
                self.close();
                LinkOutcome::OtherCluster
            }
            (RelayFrame::Refused(refusal), _) => self.give_up(refusal.to_string()),
            (RelayFrame::Challenge { nonce }, State::Shaking(socket, _)) => {
                socket.send(&ClientFrame::Hello(self.credentials.hello(&nonce, cluster, profile)));
                LinkOutcome::Nothing
            }
            (welcome @ RelayFrame::Welcome(_), State::Shaking(..)) => self.admitted(welcome),
            (
                frame @ (RelayFrame::Deliver { .. } | RelayFrame::Presence(_) | RelayFrame::Founded),
                State::Up(..),
            ) => LinkOutcome::Frame(frame),
            _ => self.retry("the relay sent a frame that is not its turn".to_owned()),
        }
    }

    fn admitted(&mut self, welcome: RelayFrame) -> LinkOutcome {
        let timer = self.timer(limits::SIGN_OF_LIFE_INTERVAL, LinkEvent::SignOfLife);
        if let State::Shaking(socket, _) = std::mem::replace(&mut self.state, State::Ended) {
            self.state = State::Up(socket, timer);
        }
        self.pause = limits::RECONNECT_PAUSE_MIN;
        self.news = Some(Connection::Connected);
        LinkOutcome::Frame(welcome)
    }

    fn retry(&mut self, reason: String) -> LinkOutcome {
        let pause = self.rng.between(self.pause / 2, self.pause);
        self.pause = (self.pause * 2).min(limits::RECONNECT_PAUSE_MAX);
        self.connection += 1;
        let timer = self.timer(pause, LinkEvent::PauseOver);
        self.news = Some(Connection::Waiting { reconnect_in: pause, reason });
        match std::mem::replace(&mut self.state, State::Waiting(timer)) {
            State::Up(..) => LinkOutcome::Lost,
            _ => LinkOutcome::Nothing,
        }
    }

    fn give_up(&mut self, reason: String) -> LinkOutcome {
        self.connection += 1;
        self.news = Some(Connection::Refused { reason });
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Up(..) => LinkOutcome::Lost,
            _ => LinkOutcome::Nothing,
        }
    }

    fn arm_sign_of_life(&mut self) {
        let next = self.timer(limits::SIGN_OF_LIFE_INTERVAL, LinkEvent::SignOfLife);
        if let State::Up(_, timer) = &mut self.state {
            *timer = next;
        }
    }

    fn timer(&self, delay: Duration, what: LinkEvent) -> Timeout {
        let (connection, signals) = (self.connection, self.signals.clone());
        after(delay, move || signals.send(Signal::Link(LinkSignal { connection, what })))
    }
}

impl Credentials {
    fn hello(&self, nonce: &[u8; 32], cluster: Option<ClusterId>, profile: &Profile) -> Hello {
        Hello {
            public_key: self.identity.public_key(),
            proof: self.identity.prove(&self.room, nonce),
            token: self.token.clone(),
            claim: cluster.map_or(Claim::Fresh { proposed: self.proposed }, Claim::Member),
            profile: profile.clone(),
        }
    }
}
