//! Sends texts to the cluster as they are read.

use super::client::Client;
use super::failure::Failure;
use super::input::Input;
use super::progress;
use ::relay::http::DocumentView;
use futures_util::Stream;
use indicatif::ProgressBar;
use reqwest::{Body, Method};
use std::io::{self, Read};
use std::sync::{Arc, Mutex};

/// How much is read at a time.
const PIECE_BYTES: usize = 256 << 10;

/// Stores one input as a document, for good or for a day.
pub async fn upload(client: &Client, input: &Input, name: &str, keep: bool) -> Result<DocumentView, Failure> {
    let bar = progress::bytes("sending", input.bytes());
    let source = input.open()?;
    let broken = Arc::new(Mutex::new(None));
    let body = Body::wrap_stream(pieces(source, bar.clone(), broken.clone()));
    let request =
        client.request(Method::POST, "documents").query(&[("name", name), ("keep", &keep.to_string())]);
    let answer = client.fetch(request.body(body)).await;
    bar.finish_and_clear();
    // A file that cannot be read any further is why the transfer broke off.
    let read_error = broken.lock().ok().and_then(|mut broken| broken.take());
    match read_error {
        Some(error) => Err(Failure::input(input.name(), &error)),
        None => answer,
    }
}

type Broken = Arc<Mutex<Option<io::Error>>>;

/// Reading blocks, so it has a thread of its own; a slow cluster slows it down.
fn pieces(
    mut source: Box<dyn Read + Send>,
    bar: ProgressBar,
    broken: Broken,
) -> impl Stream<Item = io::Result<Vec<u8>>> {
    let (sender, receiver) = tokio::sync::mpsc::channel(2);
    std::thread::spawn(move || {
        loop {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            let read = (&mut source).take(PIECE_BYTES as u64).read_to_end(&mut piece);
            let sent = match read {
                Ok(0) => return,
                Ok(bytes) => {
                    bar.inc(bytes as u64);
                    sender.blocking_send(Ok(piece))
                }
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
    futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    })
}
