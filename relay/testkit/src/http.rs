//! HTTP as a test wants it: short to write, and telling when it fails.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::Value;

/// A client for one server, with the part of the path that all its requests share.
#[derive(Clone)]
pub struct Http {
    base: String,
    client: reqwest::Client,
}

impl Http {
    /// Redirects are answers that tests want to see, so they are not followed; proxies have no place on loopback.
    pub fn new(base: &str) -> Http {
        Http::with_headers(base, HeaderMap::new())
    }

    /// For a room that asks for its secret.
    pub fn with_token(base: &str, token: &str) -> Http {
        let bearer = format!("Bearer {token}").parse().expect("a token is plain text");
        Http::with_headers(base, HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
    }

    fn with_headers(base: &str, headers: HeaderMap) -> Http {
        // reqwest asks for one even where no TLS is spoken. Another test of this process may have been here before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .default_headers(headers)
            .build();
        Http {
            base: base.trim_end_matches('/').to_owned(),
            client: client.expect("a plain client can be built"),
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}/{}", self.base, path.trim_start_matches('/'))
    }

    /// A request to be completed by the test: headers, a streamed body.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub async fn get(&self, path: &str) -> Result<Answer, reqwest::Error> {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Result<Answer, reqwest::Error> {
        Answer::of(self.request(Method::POST, path).body(body)).await
    }

    pub async fn post_json(&self, path: &str, body: &Value) -> Result<Answer, reqwest::Error> {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: impl Into<reqwest::Body>) -> Result<Answer, reqwest::Error> {
        Answer::of(self.request(Method::PUT, path).body(body)).await
    }

    pub async fn delete(&self, path: &str) -> Result<Answer, reqwest::Error> {
        Answer::of(self.request(Method::DELETE, path)).await
    }
}

/// A complete answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub async fn of(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { status, headers, body: response.bytes().await? })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, whatever the status: errors have a shape too.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("status {} with what is not JSON ({error}): {}", self.status, self.text())
        })
    }

    /// Insists on a 2xx.
    pub fn ok(self) -> Answer {
        assert!((200..300).contains(&self.status), "status {}: {}", self.status, self.text());
        self
    }
}
