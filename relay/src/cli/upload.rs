//! Sends texts to the cluster as they are read.

use super::client::Client;
use super::failure::{Failure, Kind};
use super::input::Input;
use super::progress;
use ::relay::http::DocumentView;
use futures_util::Stream;
use indicatif::ProgressBar;
use reqwest::{Body, Method};
use std::io::{self, Read};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// How much is read, and handed to the connection, at a time: little enough for a slow line to be done with in good time.
const PIECE_BYTES: usize = 64 << 10;

/// Pieces that are read ahead.
const PIECES_WAITING: usize = 8;

/// How long the other side is waited for.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// Until it takes the next piece.
    piece: Duration,
    /// Until it answers, when all pieces are handed over: some of them may still be on a slow line.
    answer: Duration,
}

const PATIENCE: Patience = Patience { piece: Duration::from_secs(120), answer: Duration::from_secs(600) };

/// Where a transfer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The connection has a piece, and has not asked for the next one.
    Sending,
    /// The connection asks, and the text has nothing ready, for instance because it comes from a slow pipe.
    Reading,
    /// All of the text was handed over.
    Sent,
}

/// Stores one input as a document, for good or for a day.
pub async fn upload(client: &Client, input: &Input, name: &str, keep: bool) -> Result<DocumentView, Failure> {
    upload_within(PATIENCE, client, input, name, keep).await
}

async fn upload_within(
    patience: Patience,
    client: &Client,
    input: &Input,
    name: &str,
    keep: bool,
) -> Result<DocumentView, Failure> {
    let bar = progress::bytes("sending", input.bytes());
    let source = input.open()?;
    let broken = Arc::new(Mutex::new(None));
    let (stage, watched) = watch::channel(Stage::Sending);
    let body = Body::wrap_stream(body(read(source, bar.clone(), broken.clone()), stage.clone()));
    let request = client
        .upload_request(Method::POST, "documents")
        .query(&[("name", name), ("keep", &keep.to_string())]);
    let answer = tokio::select! {
        answer = client.fetch(request.body(body)) => answer,
        failure = stalled(watched, patience, input.name()) => Err(failure),
    };
    // Only now: the end of the body is no news to whoever watches.
    drop(stage);
    bar.finish_and_clear();
    // A file that cannot be read any further is why the transfer broke off.
    let read_error = broken.lock().ok().and_then(|mut broken| broken.take());
    match read_error {
        Some(error) => Err(Failure::input(input.name(), &error)),
        None => answer,
    }
}

/// Returns when the other side has been waited for in vain. One that has nothing to take yet is not waited for.
async fn stalled(mut stage: watch::Receiver<Stage>, patience: Patience, name: &str) -> Failure {
    loop {
        let (limit, message) = match *stage.borrow_and_update() {
            Stage::Reading => (Duration::MAX, String::new()),
            Stage::Sending => (patience.piece, format!("the relay takes no more of {name}")),
            Stage::Sent => (patience.answer, format!("the relay took all of {name} and does not answer")),
        };
        if timeout(limit, stage.changed()).await.is_err() {
            return Failure::new(Kind::TimedOut, message)
                .hint("try again, or see what holds it up with `wordraft status`");
        }
    }
}

type Broken = Arc<Mutex<Option<io::Error>>>;
type Pieces = mpsc::Receiver<io::Result<Vec<u8>>>;

/// Reading blocks, so it has a thread of its own; a slow cluster slows it down.
fn read(mut source: Box<dyn Read + Send>, bar: ProgressBar, broken: Broken) -> Pieces {
    let (sender, pieces) = mpsc::channel(PIECES_WAITING);
    std::thread::spawn(move || {
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            // What a pipe has goes at once: the cluster gives up a text of which nothing comes for long.
            let sent = match source.read(&mut piece) {
                Ok(0) => return,
                Ok(bytes) => {
                    bar.inc(bytes as u64);
                    piece.truncate(bytes);
                    sender.blocking_send(Ok(piece))
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
                Err(error) => {
                    let told = io::Error::from(error.kind());
                    if let Ok(mut broken) = broken.lock() {
                        *broken = Some(error);
                    }
                    sender.blocking_send(Err(told))
                }
            };
            if sent.is_err() {
                return;
            }
        }
    });
    pieces
}

/// The pieces as a body that tells how far the connection has come with it.
fn body(mut pieces: Pieces, stage: watch::Sender<Stage>) -> impl Stream<Item = io::Result<Vec<u8>>> {
    futures_util::stream::poll_fn(move |context| {
        let polled = pieces.poll_recv(context);
        stage.send_replace(match &polled {
            Poll::Pending => Stage::Reading,
            Poll::Ready(Some(_)) => Stage::Sending,
            Poll::Ready(None) => Stage::Sent,
        });
        polled
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt as _, StreamExt as _};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(60);

    async fn listen() -> (TcpListener, Client) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        (listener, Client::with_read_timeout(link, SHORT).unwrap())
    }

    fn text(bytes: u64) -> (tempfile::TempDir, Input) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("text");
        std::fs::File::create(&path).unwrap().set_len(bytes).unwrap();
        (directory, Input::new(path))
    }

    async fn read_head(connection: &mut TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(connection.read_u8().await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_text_may_take_longer_than_any_other_answer() {
        let (listener, client) = listen().await;
        let (_directory, input) = text(0);
        let patience = Patience { piece: LONG, answer: LONG };
        let (begun, has_begun) = oneshot::channel();
        let (go_on, may_go_on) = oneshot::channel();
        let server = async {
            let (mut upload, _) = listener.accept().await.unwrap();
            read_head(&mut upload).await;
            begun.send(()).unwrap();
            let (_never_answered, _) = listener.accept().await.unwrap();
            may_go_on.await.unwrap();
            let body = r#"{"id":"aaaaaaaaaaaaaaaa","name":"text","bytes":0,"chunks":0,"added_at":1,"expires_at":null}"#;
            let head = format!("HTTP/1.1 201 Created\r\ncontent-length: {}\r\n\r\n", body.len());
            upload.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await.unwrap();
            upload
        };
        let impatient = async {
            has_begun.await.unwrap();
            // Begun later, and given up before the text is through.
            let failure = client.get::<DocumentView>("cluster").await.unwrap_err();
            assert_eq!(failure.kind(), Kind::TimedOut, "{failure}");
            go_on.send(()).unwrap();
        };
        let (_, (), stored) =
            tokio::join!(server, impatient, upload_within(patience, &client, &input, "text", true));
        assert_eq!(stored.unwrap().name, "text");
    }

    #[tokio::test]
    async fn a_relay_that_takes_nothing_or_never_answers_is_given_up() {
        // More than connections hold back; and so little that it is gone at once.
        for (bytes, patience, said) in [
            (64 << 20, Patience { piece: SHORT, answer: LONG }, "takes no more of"),
            (1, Patience { piece: LONG, answer: SHORT }, "took all of"),
        ] {
            let (_listener, client) = listen().await;
            let (_directory, input) = text(bytes);
            let failure = upload_within(patience, &client, &input, "text", true).await.unwrap_err();
            assert_eq!(failure.kind(), Kind::TimedOut);
            assert!(failure.to_string().contains(said), "{failure}");
        }
    }

    #[test]
    fn a_slow_pipe_is_no_stall() {
        let (sender, pieces) = mpsc::channel(1);
        let (stage, watched) = watch::channel(Stage::Sending);
        let mut body = std::pin::pin!(body(pieces, stage));
        assert!(body.next().now_or_never().is_none());
        assert_eq!(*watched.borrow(), Stage::Reading);
        sender.try_send(Ok(b"piece".to_vec())).unwrap();
        assert!(body.next().now_or_never().flatten().is_some());
        assert_eq!(*watched.borrow(), Stage::Sending);
        assert!(body.next().now_or_never().is_none());
        assert_eq!(*watched.borrow(), Stage::Reading);
        drop(sender);
        assert!(body.next().now_or_never().unwrap().is_none());
        assert_eq!(*watched.borrow(), Stage::Sent);
    }
}
