//! The HTTP server: takes connections in, within bounds that do not depend on the good will of whoever connects.

use crate::http::{linger, page};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use axum::serve::{Listener, ListenerExt as _};
use futures_util::StreamExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use shared::limits;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

/// Answers that are still on their way when the server stops get this long.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);

/// A server at work. It runs until [`Server::drain`], or until this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    connections_max: u32,
    header_time_max: Duration,
}

impl Server {
    pub fn start(listener: TcpListener, routes: Router) -> Server {
        let connections_max = limits::CONNECTIONS_MAX;
        let header_time_max = limits::HEADER_TIME_MAX;
        Server::start_within(Bounds { connections_max, header_time_max }, listener, routes)
    }

    fn start_within(bounds: Bounds, listener: TcpListener, routes: Router) -> Server {
        let (stop, mut stopped) = watch::channel(false);
        let listener = listener.tap_io(|stream| {
            // Frames are small and somebody waits for each: no delay to gather them.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps its delay");
            }
        });
        let task = tokio::spawn(async move {
            let places = Arc::new(Semaphore::new(bounds.connections_max as usize));
            tokio::select! {
                () = accept(bounds, listener, routes, &places, stopped.clone()) => {}
                () = until_stopped(&mut stopped) => {}
            }
            // All places are free again when the last connection has ended.
            let _all = places.acquire_many(bounds.connections_max).await;
        });
        Server { stop, task }
    }

    /// Takes no more connections, and lets what is being answered come to its end, while those who answer are there.
    pub async fn finish(&mut self) {
        self.stop.send_replace(true);
        if !self.task.is_finished() {
            let _somebody_waits = tokio::time::timeout(DRAIN_TIME_MAX, &mut self.task).await;
        }
    }

    /// The same, and then leaves those alone who read an answer slowly.
    pub async fn drain(mut self) {
        self.finish().await;
        self.task.abort();
    }
}

/// Whoever finds no place waits with the operating system. A socket of a peer leaves its place when its request has been
/// answered: from then on rooms and handshakes bound it.
async fn accept<L>(
    bounds: Bounds,
    mut listener: L,
    routes: Router,
    places: &Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
) where
    L: Listener,
{
    while let Ok(place) = places.clone().acquire_owned().await {
        let (stream, _) = listener.accept().await;
        let (routes, mut stopped) = (routes.clone(), stopped.clone());
        let until = stopped.clone();
        let service = service_fn(move |request| answer(routes.clone(), until.clone(), request));
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(bounds.header_time_max)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = until_stopped(&mut stopped) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection broke off");
            }
            drop(place);
        });
    }
}

/// What concerns every request and every answer alike.
async fn answer(
    routes: Router,
    stopped: watch::Receiver<bool>,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let response = routes.oneshot(linger::read_to_the_end(request.map(Body::new))).await?;
    Ok(end_streams(stopped, page::secure(response)))
}

/// Events have no end of their own: a server that stops would wait for them.
fn end_streams(mut stopped: watch::Receiver<bool>, response: Response) -> Response {
    if response.headers().get(CONTENT_TYPE).is_none_or(|kind| kind != "text/event-stream") {
        return response;
    }
    let until_stopped = async move { until_stopped(&mut stopped).await };
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(until_stopped)))
}

async fn until_stopped(stopped: &mut watch::Receiver<bool>) {
    // A server that nobody holds any more stops as well.
    drop(stopped.wait_for(|stop| *stop).await);
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::extract::Path;
    use axum::response::sse::{self, Sse};
    use axum::routing::get;
    use std::convert::Infallible;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    /// Longer than anything here takes on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A server that tells who came.
    async fn start(bounds: Bounds) -> (Server, SocketAddr, mpsc::UnboundedReceiver<String>) {
        let (came, comes) = mpsc::unbounded_channel();
        let answer = async move |Path(name): Path<String>| came.send(name).unwrap_or_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Server::start_within(bounds, listener, Router::new().route("/{name}", get(answer))), address, comes)
    }

    async fn ask(connection: &mut TcpStream, name: &str) {
        let request = format!("GET /{name} HTTP/1.1\r\nhost: here\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
    }

    #[tokio::test]
    async fn a_head_that_never_ends_ends_the_connection() {
        let bounds = Bounds { connections_max: 1, header_time_max: Duration::from_millis(50) };
        let (_server, address, _) = start(bounds).await;
        for beginning in ["", "GET / HTTP/1.1\r\nx: y"] {
            let mut connection = TcpStream::connect(address).await.unwrap();
            connection.write_all(beginning.as_bytes()).await.unwrap();
            let ended = timeout(PATIENCE, connection.read_to_end(&mut Vec::new())).await;
            // Whether it is closed or reset does not matter.
            let _how = ended.expect("the connection ends");
        }
    }

    #[tokio::test]
    async fn a_stream_of_events_ends_when_the_server_stops() {
        let stream = async || {
            let event = sse::Event::default().data("first");
            let first = futures_util::stream::iter([Ok::<_, Infallible>(event)]);
            Sse::new(first.chain(futures_util::stream::pending()))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::start(listener, Router::new().route("/events", get(stream)));
        let mut connection = TcpStream::connect(address).await.unwrap();
        ask(&mut connection, "events").await;
        let mut read = Vec::new();
        while !read.ends_with(b"data: first\n\n\r\n") {
            read.push(connection.read_u8().await.unwrap());
        }
        let mut rest = Vec::new();
        let rest = timeout(PATIENCE, async {
            server.drain().await;
            connection.read_to_end(&mut rest).await.map(|_| rest)
        });
        assert_eq!(rest.await.expect("an end").unwrap(), b"0\r\n\r\n");
    }

    #[tokio::test]
    async fn one_connection_more_waits_for_a_place() {
        let bounds = Bounds { connections_max: 1, header_time_max: PATIENCE };
        let (server, address, mut comes) = start(bounds).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        ask(&mut first, "first").await;
        assert_eq!(comes.recv().await.unwrap(), "first");
        let mut second = TcpStream::connect(address).await.unwrap();
        ask(&mut second, "second").await;
        ask(&mut first, "first-again").await;
        assert_eq!(comes.recv().await.unwrap(), "first-again");
        drop(first);
        assert_eq!(comes.recv().await.unwrap(), "second");
        server.drain().await;
    }
}
