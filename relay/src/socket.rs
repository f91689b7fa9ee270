//! The peers' socket, `/ws/{room}`: a connection from handshake to farewell.

use crate::broker::{decode, protocol};
use crate::http::{ApiError, ApiResult};
use crate::hub::{Attachment, Hub};
use crate::origin;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use shared::ids::RoomName;
use shared::limits;
use shared::wire::session::{Refusal, RelayFrame};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

/// The close code of every refusal. The reason is its text, which any version of the protocol can read.
pub const CLOSE_REFUSED: u16 = 4000;

/// Of every connection. All of it is set to zero before each look at the socket, and most messages are small.
pub(crate) const READ_BUFFER_BYTES: usize = 16 << 10;

/// What a close frame has room for.
const CLOSE_REASON_BYTES_MAX: usize = 123;

type Sink = SplitSink<WebSocket, Message>;
type Stream = SplitStream<WebSocket>;

/// How a connection ended.
enum End {
    /// The other side went away.
    Gone,
    Refused(Refusal),
}

/// The routes of the socket, to be merged into the relay's.
pub fn router(hub: Arc<Hub>) -> Router {
    let handshakes = Arc::new(Semaphore::new(limits::HANDSHAKES_MAX));
    Router::new().route("/ws/{room}", any(upgrade)).with_state(Sockets { hub, handshakes })
}

#[derive(Clone)]
struct Sockets {
    hub: Arc<Hub>,
    /// Places for those who have not proven who they are.
    handshakes: Arc<Semaphore>,
}

async fn upgrade(
    State(Sockets { hub, handshakes }): State<Sockets>,
    room: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> ApiResult<Response> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if !origin::may_connect(text(header::ORIGIN), text(header::HOST), hub.is_loopback()) {
        return Err(ApiError::wrong_origin());
    }
    let Path(room) = room.map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
    let room: RoomName = room.parse().map_err(|error| ApiError::not_found(format!("{error}")))?;
    let upgrade = upgrade.map_err(|rejection| {
        ApiError::new(rejection.status(), "bad_request", rejection.body_text())
            .hint("this is the socket of the cluster's members: open /r/ROOM in a browser, or use /api/v1")
    })?;
    let place = handshakes.try_acquire_owned().map_err(|_| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many nodes are about to connect")
            .hint("try again in a moment")
            .header(header::RETRY_AFTER, header::HeaderValue::from_static("1"))
    })?;
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(limits::SOCKET_MESSAGE_BYTES_MAX)
        .max_frame_size(limits::SOCKET_MESSAGE_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| serve(hub, room, socket, place)))
}

async fn serve(hub: Arc<Hub>, room: RoomName, socket: WebSocket, place: OwnedSemaphorePermit) {
    let (mut sink, mut stream) = socket.split();
    let shaken = timeout(limits::HANDSHAKE_TIME_MAX, shake_hands(&hub, &room, &mut sink, &mut stream)).await;
    drop(place);
    let end = match shaken {
        Ok(Ok(attachment)) => carry(&attachment, &mut sink, &mut stream).await,
        Ok(Err(end)) => end,
        Err(_) => End::Refused(protocol("no Hello in time")),
    };
    if let End::Refused(reason) = end {
        tracing::info!(%room, %reason, "connection refused or cut");
        // Whoever does not read it in time goes without.
        let _ = timeout(limits::FAREWELL_TIME_MAX, say_farewell(&mut sink, reason)).await;
    }
}

async fn shake_hands(
    hub: &Arc<Hub>,
    room: &RoomName,
    sink: &mut Sink,
    stream: &mut Stream,
) -> Result<Attachment, End> {
    let nonce = crate::driver::random_bytes();
    send(sink, &RelayFrame::Challenge { nonce }).await?;
    let hello = loop {
        match next(stream).await? {
            Incoming::Frame(bytes) => break bytes,
            Incoming::SignOfLife => {}
        }
    };
    let admitted = hub.gate().check(room, &nonce, &hello).map_err(End::Refused)?;
    hub.attach(room, admitted).map_err(End::Refused)
}

/// Reads, writes and watches until one of them ends.
async fn carry(attachment: &Attachment, sink: &mut Sink, stream: &mut Stream) -> End {
    tokio::select! {
        end = read(attachment, stream) => end,
        end = write(attachment, sink) => end,
        // A reader that stands still blocks `write` in the middle of a frame.
        reason = attachment.until_cut() => End::Refused(reason),
    }
}

async fn read(attachment: &Attachment, stream: &mut Stream) -> End {
    let mut heard = Instant::now();
    let mut spoke = Instant::now();
    let mut frozen = false;
    loop {
        let patience = if frozen { heard + limits::SILENCE_MAX } else { spoke + limits::FROZEN_AFTER };
        match timeout_at(patience.min(heard + limits::SILENCE_MAX), next(stream)).await {
            Err(_) if heard.elapsed() >= limits::SILENCE_MAX => return End::Gone,
            Err(_) => {
                frozen = true;
                attachment.frozen(true);
            }
            Ok(Err(end)) => return end,
            Ok(Ok(Incoming::SignOfLife)) => heard = Instant::now(),
            Ok(Ok(Incoming::Frame(bytes))) => {
                heard = Instant::now();
                spoke = heard;
                if std::mem::take(&mut frozen) {
                    attachment.frozen(false);
                }
                if let Err(refusal) = decode(&bytes).and_then(|frame| attachment.handle(frame)) {
                    return End::Refused(refusal);
                }
            }
        }
    }
}

async fn write(attachment: &Attachment, sink: &mut Sink) -> End {
    let mut ping = interval(limits::SIGN_OF_LIFE_INTERVAL);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let sent = tokio::select! {
            _ = ping.tick() => sink.send(Message::Ping(Bytes::new())).await.map_err(|_| End::Gone),
            frame = attachment.next() => match frame {
                // Frames that wait for each other go out together.
                Ok(frame) if attachment.is_silent() => send(sink, &frame).await,
                Ok(frame) => sink.feed(message(&frame)).await.map_err(|_| End::Gone),
                Err(reason) => Err(End::Refused(reason)),
            },
        };
        if let Err(end) = sent {
            return end;
        }
    }
}

enum Incoming {
    Frame(Bytes),
    SignOfLife,
}

async fn next(stream: &mut Stream) -> Result<Incoming, End> {
    match stream.next().await {
        Some(Ok(Message::Binary(bytes))) => Ok(Incoming::Frame(bytes)),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(Incoming::SignOfLife),
        Some(Ok(Message::Text(_))) => Err(End::Refused(protocol("a text message: this protocol is binary"))),
        Some(Ok(Message::Close(_))) | None => Err(End::Gone),
        Some(Err(error)) => Err(refusal_of(&error)),
    }
}

/// Tells a message that breaks the rules from a connection that broke.
fn refusal_of(error: &axum::Error) -> End {
    use tokio_tungstenite::tungstenite::Error as SocketError;
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        match error.downcast_ref::<SocketError>() {
            Some(SocketError::Capacity(_)) => return End::Refused(protocol("a message over the size limit")),
            Some(_) => return End::Gone,
            None => source = error.source(),
        }
    }
    End::Gone
}

async fn send(sink: &mut Sink, frame: &RelayFrame) -> Result<(), End> {
    sink.send(message(frame)).await.map_err(|_| End::Gone)
}

fn message(frame: &RelayFrame) -> Message {
    Message::Binary(frame.encode().into())
}

async fn say_farewell(sink: &mut Sink, reason: Refusal) -> Result<(), End> {
    let mut text = reason.to_string();
    while text.len() > CLOSE_REASON_BYTES_MAX {
        text.pop();
    }
    send(sink, &RelayFrame::Refused(reason)).await?;
    let close = CloseFrame { code: CLOSE_REFUSED, reason: text.into() };
    sink.send(Message::Close(Some(close))).await.map_err(|_| End::Gone)
}
