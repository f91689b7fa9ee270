//! The peers' socket, spoken by hand: who gets in, what is carried, and how it ends for those who misbehave.

mod kit;
mod peer;

use bytes::Bytes;
use futures_util::SinkExt as _;
use kit::TestRelay;
use peer::{Peer, Read, cluster};
use relay::socket::CLOSE_REFUSED;
use shared::limits;
use shared::wire::SESSION_VERSION;
use shared::wire::session::{Claim, Class, ClientFrame, Frame, Hello, Presence, Refusal, RelayFrame};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

/// A refusal is a frame for this version of the protocol, and a text for every other.
#[track_caller]
fn assert_refused(frame: Read, close: Read, expected: &Refusal) {
    assert_eq!(frame, Read::Frame(RelayFrame::Refused(expected.clone())));
    let Read::Closed { code, reason } = close else { panic!("not closed: {close:?}") };
    assert_eq!(code, CLOSE_REFUSED);
    assert!(!reason.is_empty() && expected.to_string().starts_with(&reason), "{reason}");
}

#[tokio::test]
async fn peers_meet_and_their_frames_arrive() {
    let relay = TestRelay::start(0).await;
    let (mut ada, _) = Peer::enter(&relay, 1).await;
    let (mut ben, welcome) = Peer::enter(&relay, 2).await;
    assert_eq!(welcome.present.iter().map(|peer| peer.node).collect::<Vec<_>>(), [ada.identity.id()]);
    let Read::Frame(RelayFrame::Presence(Presence::Joined(joined))) = ada.read().await else { panic!() };
    assert_eq!(joined.node, ben.identity.id());

    let frame =
        Frame { head: Bytes::from_static(b"head"), bulk: vec![7; limits::FRAME_BULK_BYTES_MAX].into() };
    let to = ben.identity.id();
    ada.send(&ClientFrame::Send { to, class: Class::Bulk, frame: frame.clone() }).await;
    assert_eq!(ben.read().await, Read::Frame(RelayFrame::Deliver { from: ada.identity.id(), frame }));

    drop(ben);
    assert_eq!(ada.read().await, Read::Frame(RelayFrame::Presence(Presence::Left(to))));
}

#[tokio::test]
async fn a_founder_hears_when_its_room_is_recorded_and_others_wait_for_that() {
    let relay = TestRelay::start(0).await;
    let mut ada = Peer::dial(&relay, 1).await;
    let hello = Hello { claim: Claim::Fresh { proposed: cluster(7) }, ..ada.hello_frame(None).await };
    ada.send(&ClientFrame::Hello(hello)).await;
    let Read::Frame(RelayFrame::Welcome(welcome)) = ada.read().await else { panic!() };
    assert!(welcome.founder && welcome.cluster == cluster(7));

    let mut early = Peer::dial(&relay, 2).await;
    assert_refused(early.hello(None).await, early.read().await, &Refusal::Founding);

    ada.send(&ClientFrame::Founded).await;
    assert_eq!(ada.read().await, Read::Frame(RelayFrame::Founded));
    let mut other = Peer::dial(&relay, 3).await;
    let Read::Frame(RelayFrame::Refused(refusal)) = other.hello(None).await else { panic!() };
    assert_eq!(refusal, Refusal::OtherCluster { node: cluster(1), room: cluster(7) });
}

#[tokio::test]
async fn garbage_is_refused_before_and_after_the_handshake() {
    let relay = TestRelay::start(0).await;
    let mut stranger = Peer::dial(&relay, 1).await;
    assert!(matches!(stranger.read().await, Read::Frame(RelayFrame::Challenge { .. })));
    stranger.send_bytes([&[SESSION_VERSION], b"GET / HTTP/1.1".as_slice()].concat()).await;
    let refusal = Refusal::Protocol { reason: "the frame is malformed".to_owned() };
    assert_refused(stranger.read().await, stranger.read().await, &refusal);

    let (mut member, _) = Peer::enter(&relay, 1).await;
    member.send_bytes(vec![SESSION_VERSION, 255, 255]).await;
    assert_refused(member.read().await, member.read().await, &refusal);

    let (mut other, _) = Peer::enter(&relay, 1).await;
    other.socket.send(Message::text("hello")).await.unwrap();
    let Read::Frame(RelayFrame::Refused(Refusal::Protocol { .. })) = other.read().await else { panic!() };
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_connection_only() {
    let relay = TestRelay::start(0).await;
    let (mut big, _) = Peer::enter(&relay, 1).await;
    let (mut watcher, _) = Peer::enter(&relay, 2).await;
    // It may be cut before it has said everything.
    let _ = big.socket.send(Message::Binary(vec![1; limits::SOCKET_MESSAGE_BYTES_MAX + 1].into())).await;
    let left = watcher.read().await;
    assert_eq!(left, Read::Frame(RelayFrame::Presence(Presence::Left(big.identity.id()))));
}

#[tokio::test]
async fn another_version_is_told_both_versions_in_words() {
    let relay = TestRelay::start(0).await;
    let mut peer = Peer::dial(&relay, 1).await;
    let mut hello = ClientFrame::Hello(peer.hello_frame(None).await).encode();
    hello[0] = 9;
    peer.send_bytes(hello).await;
    assert_refused(
        peer.read().await,
        peer.read().await,
        &Refusal::Version { relay: SESSION_VERSION, node: 9 },
    );
}

#[tokio::test]
async fn a_room_with_a_secret_opens_to_its_secret_only() {
    let relay = TestRelay::start_with(0, |options, directory| {
        let file = directory.join("mine");
        std::fs::write(&file, "open sesame").unwrap();
        options.secret_file = Some(file);
    })
    .await;
    assert!(relay.relay.link.ends_with("#open sesame"));
    for (secret, refusal) in [(None, Refusal::SecretNeeded), (Some("open barley"), Refusal::WrongSecret)] {
        let mut peer = Peer::dial(&relay, 1).await;
        let answer = peer.hello(secret).await;
        assert_refused(answer, peer.read().await, &refusal);
    }
    let mut peer = Peer::dial(&relay, 1).await;
    assert!(matches!(peer.hello(Some("open sesame")).await, Read::Frame(RelayFrame::Welcome(_))));
}

#[tokio::test]
async fn an_identity_that_is_here_is_refused_until_it_has_gone() {
    let relay = TestRelay::start(0).await;
    let (mut watcher, _) = Peer::enter(&relay, 9).await;
    let (first, _) = Peer::enter(&relay, 1).await;
    let mut second = Peer::dial(&relay, 1).await;
    let answer = second.hello(None).await;
    assert_refused(answer, second.read().await, &Refusal::AlreadyConnected);

    drop(first);
    assert!(matches!(watcher.read().await, Read::Frame(RelayFrame::Presence(Presence::Joined(_)))));
    assert!(matches!(watcher.read().await, Read::Frame(RelayFrame::Presence(Presence::Left(_)))));
    Peer::enter(&relay, 1).await;
}

/// The first connection hangs: no word, no pong, and its end is never told.
#[tokio::test]
async fn a_connection_that_hangs_makes_way_within_seconds() {
    let relay = TestRelay::start(0).await;
    let (mut watcher, _) = Peer::enter(&relay, 9).await;
    let (hung, _) = Peer::enter(&relay, 1).await;
    assert!(matches!(watcher.read().await, Read::Frame(RelayFrame::Presence(Presence::Joined(_)))));
    let before = std::time::Instant::now();
    // First shown as frozen, then as gone.
    assert!(matches!(watcher.read().await, Read::Frame(RelayFrame::Presence(Presence::Changed(_)))));
    let left = watcher.read().await;
    assert_eq!(left, Read::Frame(RelayFrame::Presence(Presence::Left(hung.identity.id()))));
    assert!(before.elapsed() >= limits::FROZEN_AFTER);
    Peer::enter(&relay, 1).await;
}

#[tokio::test]
async fn a_node_that_answers_pings_and_says_nothing_is_shown_hidden_until_it_speaks() {
    let relay = TestRelay::start(0).await;
    let (mut watcher, _) = Peer::enter(&relay, 9).await;
    let (mut quiet, _) = Peer::enter(&relay, 1).await;
    let id = quiet.identity.id();
    assert!(matches!(watcher.read().await, Read::Frame(RelayFrame::Presence(Presence::Joined(_)))));
    let (speak, spoken) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(async move {
        // Reading answers pings.
        let mut spoken = spoken;
        loop {
            tokio::select! {
                // The watcher says nothing either.
                read = quiet.read() => assert!(matches!(read, Read::Frame(RelayFrame::Presence(_)))),
                _ = &mut spoken => break,
            }
        }
        quiet.send(&ClientFrame::Profile(peer::profile("peer"))).await;
        quiet
    });
    let hidden = async |watcher: &mut Peer| match watcher.read().await {
        Read::Frame(RelayFrame::Presence(Presence::Changed(peer))) if peer.node == id => peer.profile.hidden,
        other => panic!("{other:?}"),
    };
    assert!(hidden(&mut watcher).await);
    speak.send(()).unwrap();
    assert!(!hidden(&mut watcher).await);
    task.await.unwrap();
}

#[tokio::test]
async fn a_slow_reader_is_cut_and_nobody_else_notices() {
    let relay = TestRelay::start(0).await;
    let (slow, _) = Peer::enter(&relay, 1).await;
    let (mut writer, _) = Peer::enter(&relay, 2).await;
    let to = slow.identity.id();
    let frame = Frame { head: vec![0; 1 << 20].into(), bulk: Bytes::new() };
    // More than the queue and whatever the operating system holds back.
    let mut sent = 0;
    let left = loop {
        tokio::select! {
            biased;
            read = writer.read(), if sent > 64 => break read,
            () = async {}, if sent <= 64 => {
                writer.send(&ClientFrame::Send { to, class: Class::Control, frame: frame.clone() }).await;
                sent += 1;
            }
        }
    };
    let left = match left {
        // It was silent for long before it was cut.
        Read::Frame(RelayFrame::Presence(Presence::Changed(_))) => writer.read().await,
        left => left,
    };
    assert_eq!(left, Read::Frame(RelayFrame::Presence(Presence::Left(to))));
    let (_again, _) = Peer::enter(&relay, 1).await;
}

#[tokio::test]
async fn pages_of_other_sites_and_rooms_that_cannot_be_are_turned_away() {
    let relay = TestRelay::start(0).await;
    let status = async |path: &str, origin: &str| {
        let mut request = format!("ws://{}/ws/{path}", relay.relay.addr).into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        match connect_async(request).await {
            Ok(_) => 101,
            Err(SocketError::Http(response)) => response.status().as_u16(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(status("lobby", "https://evil.example").await, 403);
    assert_eq!(status("lobby", "http://localhost:8080").await, 101);
    assert_eq!(status("Not_A_Room", "http://localhost:8080").await, 404);
}

#[tokio::test]
async fn a_request_that_opens_no_socket_gets_an_error_like_all_others() {
    let relay = TestRelay::start(0).await;
    // A relay on this machine only speaks without encryption; the library asks for a provider all the same.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    for (path, status) in [("lobby", 400), ("Not_A_Room", 404), ("%ff", 400)] {
        let answer = reqwest::get(format!("http://{}/ws/{path}", relay.relay.addr)).await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let body: serde_json::Value = answer.json().await.unwrap();
        assert!(body["error"]["code"].is_string() && body["error"]["hint"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn strangers_have_few_places_and_members_do_not_mind() {
    let relay = TestRelay::start(0).await;
    let addr = relay.relay.addr;
    let (mut member, _) = Peer::enter(&relay, 1).await;
    let dial = async || connect_async(format!("ws://{addr}/ws/lobby").into_client_request().unwrap()).await;
    let mut strangers = Vec::new();
    let refused = loop {
        assert!(strangers.len() < 10 * limits::HANDSHAKES_MAX, "nobody is refused");
        match dial().await {
            Ok((stranger, _)) => strangers.push(stranger),
            Err(SocketError::Http(response)) => break response,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(refused.status(), 503);
    assert!(strangers.len() >= limits::HANDSHAKES_MAX);
    member.send(&ClientFrame::Profile(peer::profile("still here"))).await;
    drop(strangers);
    let freed = async {
        while let Err(error) = dial().await {
            assert!(matches!(error, SocketError::Http(_)), "{error}");
        }
    };
    tokio::time::timeout(kit::PATIENCE, freed).await.expect("places become free");
}

#[tokio::test]
async fn a_stopping_relay_says_so() {
    let relay = TestRelay::start(0).await;
    let (mut peer, _) = Peer::enter(&relay, 1).await;
    let TestRelay { relay, directory: _directory } = relay;
    relay.shutdown().await;
    let frame = peer.read().await;
    assert_refused(frame, peer.read().await, &Refusal::ShuttingDown);
}
