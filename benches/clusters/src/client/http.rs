//! wordraft's keys over HTTP/1.1.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

pub struct Http {
    authority: String,
    path: String,
    /// None until the first request, and after one that failed or was given up.
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// Another client of the same server, with a connection of its own.
impl Clone for Http {
    fn clone(&self) -> Http {
        Http { authority: self.authority.clone(), path: self.path.clone(), connection: None }
    }
}

impl Http {
    pub fn new(keys: &str) -> Http {
        let keys: Uri = keys.parse().expect("the URL of a server that was started here");
        let authority = keys.authority().expect("an address").to_string();
        Http { authority, path: keys.path().to_owned(), connection: None }
    }

    pub async fn put(&mut self, key: &str, value: Bytes) -> Result<()> {
        match self.send(Method::PUT, key, value).await? {
            (StatusCode::OK | StatusCode::CREATED, _) => Ok(()),
            other => bail!("{other:?}"),
        }
    }

    pub async fn get(&mut self, key: &str) -> Result<Option<Bytes>> {
        match self.send(Method::GET, key, Bytes::new()).await? {
            (StatusCode::OK, value) => Ok(Some(value)),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            other => bail!("{other:?}"),
        }
    }

    async fn send(&mut self, method: Method, key: &str, body: Bytes) -> Result<(StatusCode, Bytes)> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let request = Request::builder().method(method).uri(format!("{}/{key}", self.path));
        let request = request.header(HOST, &self.authority).body(Full::new(body))?;
        let (head, body) = connection.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        self.connection = Some(connection);
        Ok((head.status, body))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&self.authority).await.context("no connection")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}
