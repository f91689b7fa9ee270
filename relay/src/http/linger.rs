//! A refusal that is read: a client that still sends its text gets the answer only if nobody closes the connection under it.

use axum::body::HttpBody as _;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use futures_util::{Stream, StreamExt as _};
use shared::limits;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Makes the rest of a body that its handler drops be read, for a while, and thrown away.
pub fn read_to_the_end(request: Request) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    request.map(|body| Body::from_stream(Lingering(Some(body.into_data_stream()))))
}

struct Lingering(Option<BodyDataStream>);

impl Stream for Lingering {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let piece = body.poll_next_unpin(context);
        if let Poll::Ready(None | Some(Err(_))) = piece {
            self.0 = None;
        }
        piece
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        if let (Some(mut body), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            let rest = async move { while let Some(Ok(_)) = body.next().await {} };
            runtime.spawn(tokio::time::timeout(limits::LINGER_TIME_MAX, rest));
        }
    }
}
