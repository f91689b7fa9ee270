//! The socket to a relay: dialling, the handshake, reading, writing.

use super::{Introduction, RelayAddress, TransportEvent, Trouble, Uplink};
use crate::socket::READ_BUFFER_BYTES;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use shared::limits;
use shared::wire::DecodeError;
use shared::wire::identity::Identity;
use shared::wire::session::{ClientFrame, Hello, Refusal, RelayFrame, Welcome};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

type Raw = WebSocketStream<MaybeTlsStream<TcpStream>>;
pub(super) type Sink = SplitSink<Raw, Message>;
pub(super) type Stream = SplitStream<Raw>;

pub(super) struct Socket {
    sink: Sink,
    stream: Stream,
}

impl Socket {
    /// Dials, proves who the node is, and is welcomed.
    pub async fn connect(
        address: &RelayAddress,
        identity: &Identity,
        introduction: Introduction,
    ) -> Result<(Socket, Welcome), Trouble> {
        let attempt = async {
            let (sink, stream) = dial(address).await?.split();
            let mut socket = Socket { sink, stream };
            let welcome = socket.shake_hands(address, identity, introduction).await?;
            Ok((socket, welcome))
        };
        let late = || Trouble::Unreachable("it does not answer in time".to_owned());
        timeout(limits::HANDSHAKE_TIME_MAX, attempt).await.unwrap_or_else(|_| Err(late()))
    }

    pub fn halves(&mut self) -> (&mut Sink, &mut Stream) {
        (&mut self.sink, &mut self.stream)
    }

    async fn shake_hands(
        &mut self,
        address: &RelayAddress,
        identity: &Identity,
        introduction: Introduction,
    ) -> Result<Welcome, Trouble> {
        let nonce = match next(&mut self.stream).await? {
            RelayFrame::Challenge { nonce } => nonce,
            RelayFrame::Refused(refusal) => return Err(Trouble::Refused(refusal)),
            _ => return Err(Trouble::NoRelay("it does not begin with a challenge".to_owned())),
        };
        let Introduction { claim, profile } = introduction;
        let hello = Hello {
            public_key: identity.public_key(),
            proof: identity.prove(&address.room, &nonce),
            token: address.token.clone(),
            claim,
            profile,
        };
        send(&mut self.sink, &ClientFrame::Hello(hello)).await?;
        match next(&mut self.stream).await? {
            RelayFrame::Welcome(welcome) => Ok(welcome),
            RelayFrame::Refused(refusal) => Err(Trouble::Refused(refusal)),
            _ => Err(Trouble::NoRelay("it answers a Hello with something else".to_owned())),
        }
    }
}

async fn dial(address: &RelayAddress) -> Result<Raw, Trouble> {
    let RelayAddress { origin, room, .. } = address;
    // "http" becomes "ws", and "https" becomes "wss".
    let url = match origin.strip_prefix("http") {
        Some(rest) => format!("ws{rest}/ws/{room}"),
        None => return Err(Trouble::Unreachable(format!("{origin} is no address of a relay"))),
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(Some(limits::SOCKET_MESSAGE_BYTES_MAX))
        .max_frame_size(Some(limits::SOCKET_MESSAGE_BYTES_MAX));
    // Frames are small and somebody waits for each: no delay to gather them.
    let without_delay = true;
    match connect_async_with_config(url, Some(config), without_delay).await {
        Ok((socket, _)) => Ok(socket),
        Err(SocketError::Http(response)) => {
            Err(Trouble::NoRelay(format!("{origin} answers with {}", response.status())))
        }
        Err(error) => Err(Trouble::Unreachable(format!("{origin}: {error}"))),
    }
}

/// Passes on what the relay says. `Ok`: the runner is gone.
pub(super) async fn read(stream: &mut Stream, events: &mpsc::Sender<TransportEvent>) -> Result<(), Trouble> {
    loop {
        let said = match next(stream).await? {
            RelayFrame::Refused(refusal) => return Err(Trouble::Refused(refusal)),
            frame => TransportEvent::Said(frame),
        };
        if events.send(said).await.is_err() {
            return Ok(());
        }
    }
}

/// Sends what the node says; when it says nothing, its profile again, as a sign of life.
pub(super) async fn write(sink: &mut Sink, link: &Uplink) -> Trouble {
    loop {
        let frame = match timeout(limits::SIGN_OF_LIFE_INTERVAL, link.outbox.next()).await {
            Ok(Ok(frame)) => frame,
            Ok(Err(refusal)) => return Trouble::Refused(refusal),
            Err(_) => ClientFrame::Profile(link.introduction().profile.clone()),
        };
        // Frames that wait for each other go out together.
        let sent = match link.outbox.is_empty() {
            true => send(sink, &frame).await,
            false => sink.feed(message(&frame)).await.map_err(|_| Trouble::Broken),
        };
        if let Err(trouble) = sent {
            return trouble;
        }
    }
}

/// The next frame. The relay's pings are answered by the socket itself, and count as signs of life.
async fn next(stream: &mut Stream) -> Result<RelayFrame, Trouble> {
    loop {
        match timeout(limits::SILENCE_MAX, stream.next()).await {
            Err(_) => return Err(Trouble::Silent),
            Ok(None | Some(Err(_))) => return Err(Trouble::Broken),
            Ok(Some(Ok(Message::Binary(bytes)))) => return decode(&bytes),
            Ok(Some(Ok(Message::Close(close)))) => {
                return Err(match close {
                    Some(close) if !close.reason.is_empty() => Trouble::Closed(close.reason.to_string()),
                    _ => Trouble::Broken,
                });
            }
            Ok(Some(Ok(Message::Text(_)))) => return Err(Trouble::NoRelay("it sends text".to_owned())),
            Ok(Some(Ok(_))) => {}
        }
    }
}

fn decode(bytes: &Bytes) -> Result<RelayFrame, Trouble> {
    RelayFrame::decode(bytes).map_err(|error| match error {
        DecodeError::Version { ours, theirs } => {
            Trouble::Refused(Refusal::Version { relay: theirs, node: ours })
        }
        other => Trouble::NoRelay(other.to_string()),
    })
}

async fn send(sink: &mut Sink, frame: &ClientFrame) -> Result<(), Trouble> {
    sink.send(message(frame)).await.map_err(|_| Trouble::Broken)
}

fn message(frame: &ClientFrame) -> Message {
    Message::Binary(frame.encode().into())
}
