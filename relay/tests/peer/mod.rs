//! Peers that speak the relay's protocol by hand.

use crate::kit::{PATIENCE, TestRelay};
use futures_util::{SinkExt as _, StreamExt as _};
use shared::ids::{ClusterId, RoomName};
use shared::wire::identity::{Identity, RoomToken};
use shared::wire::session::{Claim, ClientFrame, Hello, Kind, Profile, RelayFrame, Welcome};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A peer without a node behind it.
pub struct Peer {
    pub identity: Identity,
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// What a peer reads.
#[derive(Debug, PartialEq)]
pub enum Read {
    Frame(RelayFrame),
    Closed { code: u16, reason: String },
    Gone,
}

pub fn profile(name: &str) -> Profile {
    Profile { name: name.to_owned(), kind: Kind::Tab, http: None, threads: 1, hidden: false, domain: 0 }
}

pub fn cluster(number: u8) -> ClusterId {
    ClusterId::from_bytes([number; 10])
}

impl Peer {
    /// Connects, and does not say anything yet.
    pub async fn dial(relay: &TestRelay, seed: u8) -> Peer {
        let url = format!("{}/ws/lobby", relay.address().origin).replacen("http", "ws", 1);
        let request = url.into_client_request().unwrap();
        let (socket, _) = connect_async(request).await.unwrap();
        Peer { identity: Identity::from_seed([seed; 32]), socket }
    }

    /// Says Hello, as a member of cluster 1, and reads the answer.
    pub async fn hello(&mut self, secret: Option<&str>) -> Read {
        let hello = self.hello_frame(secret).await;
        self.send(&ClientFrame::Hello(hello)).await;
        self.read().await
    }

    pub async fn hello_frame(&mut self, secret: Option<&str>) -> Hello {
        let Read::Frame(RelayFrame::Challenge { nonce }) = self.read().await else { panic!("no challenge") };
        Hello {
            public_key: self.identity.public_key(),
            proof: self.identity.prove(&RoomName::default(), &nonce),
            token: secret.map(RoomToken::member),
            claim: Claim::Member(cluster(1)),
            profile: profile("peer"),
        }
    }

    /// A peer that is in the room.
    pub async fn enter(relay: &TestRelay, seed: u8) -> (Peer, Welcome) {
        let mut peer = Peer::dial(relay, seed).await;
        match peer.hello(None).await {
            Read::Frame(RelayFrame::Welcome(welcome)) => (peer, welcome),
            other => panic!("not welcome: {other:?}"),
        }
    }

    pub async fn send(&mut self, frame: &ClientFrame) {
        self.send_bytes(frame.encode()).await;
    }

    pub async fn send_bytes(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::Binary(bytes.into())).await.unwrap();
    }

    pub async fn read(&mut self) -> Read {
        let read = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Binary(bytes))) => {
                        return Read::Frame(RelayFrame::decode(&bytes).unwrap());
                    }
                    Some(Ok(Message::Close(Some(close)))) => {
                        return Read::Closed { code: close.code.into(), reason: close.reason.to_string() };
                    }
                    Some(Ok(Message::Close(None)) | Err(_)) | None => return Read::Gone,
                    Some(Ok(_)) => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, read).await.expect("the relay says something")
    }
}
