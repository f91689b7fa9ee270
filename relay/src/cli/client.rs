//! Talks to the HTTP interface of a relay or node, and turns its errors into exit codes.

use super::failure::{Failure, Kind};
use super::link::Link;
use super::output::Output;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// A relay that does not take a connection within this time is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer may keep silent. Event streams send a sign of life more often than that.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// One room on one relay.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    /// Without a bound on silence: the connection's own counts from the request on, however much of a text is still sent.
    uploads: reqwest::Client,
    link: Link,
}

/// The shape of all errors (`relay::http::ApiError`).
#[derive(Debug, Deserialize)]
struct ErrorBody {
    error: ErrorDetails,
}

#[derive(Debug, Deserialize)]
struct ErrorDetails {
    code: String,
    message: String,
    #[serde(default)]
    hint: String,
}

impl Client {
    pub fn new(link: Link) -> Result<Client, Failure> {
        Client::with_read_timeout(link, READ_TIMEOUT)
    }

    pub(super) fn with_read_timeout(link: Link, read_timeout: Duration) -> Result<Client, Failure> {
        // Fails only when there is one already, which is as good.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let builder = || reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT);
        let uploads = builder();
        // The system's own bound would break off what a busy relay takes slowly: `upload` has one of its own.
        #[cfg(target_os = "linux")]
        let uploads = uploads.tcp_user_timeout(None);
        let built = |builder: reqwest::ClientBuilder| {
            builder
                .build()
                .map_err(|error| Failure::failed(format!("no connection can be made: {}", cause(&error))))
        };
        Ok(Client { http: built(builder().read_timeout(read_timeout))?, uploads: built(uploads)?, link })
    }

    /// A request below `/api/v1/rooms/ROOM/`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_of(&self.http, method, path)
    }

    /// The same for a long body. Whoever sends it has to notice when it stands still.
    pub fn upload_request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_of(&self.uploads, method, path)
    }

    fn request_of(&self, http: &reqwest::Client, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/api/v1/rooms/{}/{path}", self.link.origin(), self.link.room());
        let request = http.request(method, url);
        match self.link.token() {
            Some(token) => request.bearer_auth(token.to_text()),
            None => request,
        }
    }

    /// Sends a request; an answer other than success is a failure.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let (http, request) = request.build_split();
        let request = request.map_err(|error| self.unreachable(&error))?;
        let is_change = request.method() != Method::GET;
        let response = http.execute(request).await.map_err(|error| {
            if is_change && !error.is_connect() { self.unanswered(&error) } else { self.unreachable(&error) }
        })?;
        if response.status().is_success() { Ok(response) } else { Err(refused(response).await) }
    }

    pub async fn fetch<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let response = self.send(request).await?;
        response.json().await.map_err(|error| self.unreadable(&error))
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.fetch(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.send(self.request(Method::DELETE, path)).await.map(drop)
    }

    /// Writes an answer out as it comes.
    pub async fn copy(&self, mut response: Response, output: &mut Output) -> Result<(), Failure> {
        while let Some(piece) = response.chunk().await.map_err(|error| self.unreadable(&error))? {
            output.bytes(&piece)?;
        }
        Ok(())
    }

    /// A change was on its way when the connection failed.
    fn unanswered(&self, error: &reqwest::Error) -> Failure {
        let message =
            format!("{} did not answer; the change may have happened: {}", self.link.origin(), cause(error));
        Failure::new(Kind::TimedOut, message).hint("look whether it has before you try again")
    }

    /// The connection failed before there was an answer.
    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let origin = self.link.origin();
        if error.is_timeout() && !error.is_connect() {
            return Failure::new(Kind::TimedOut, format!("{origin} did not answer in time"))
                .hint("try again, or see what holds it up with `wordraft status`");
        }
        if error.is_connect() || error.is_timeout() {
            return Failure::new(
                Kind::Unavailable,
                format!("no relay answers at {origin}: {}", cause(error)),
            )
            .hint("start one with `wordraft relay`, or name another with --relay LINK or WORDRAFT_RELAY");
        }
        Failure::new(Kind::Unavailable, format!("the connection to {origin} broke off: {}", cause(error)))
            .hint("try again")
    }

    /// An answer began and could not be read to its end.
    pub fn unreadable(&self, error: &reqwest::Error) -> Failure {
        if deepest(error).is::<serde_json::Error>() {
            return Failure::failed(format!(
                "{} gave an answer that is none of wordraft's: {}",
                self.link,
                cause(error)
            ))
            .hint("check that the link leads to a wordraft relay of the same version");
        }
        self.unreachable(error)
    }
}

async fn refused(response: Response) -> Failure {
    let status = response.status();
    let url = response.url().to_string();
    match response.json::<ErrorBody>().await {
        Ok(ErrorBody { error: ErrorDetails { code, message, hint } }) => {
            Failure::new(kind(status, &code), message).hint(hint).code(code)
        }
        Err(_) => {
            Failure::new(kind(status, ""), format!("{url} answered {status}, and not in the way of wordraft"))
                .hint("check that the link leads to a wordraft relay")
        }
    }
}

fn kind(status: StatusCode, code: &str) -> Kind {
    match (code, status) {
        ("no_quorum" | "not_ready" | "no_node" | "busy", _) => Kind::Unavailable,
        (_, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Kind::NotAllowed,
        (_, StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED) => Kind::NotFound,
        (_, StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT) => Kind::TimedOut,
        (_, StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY | StatusCode::TOO_MANY_REQUESTS) => {
            Kind::Unavailable
        }
        _ => Kind::Failed,
    }
}

/// What an error comes down to: that is what the user can do something about.
fn cause(error: &reqwest::Error) -> String {
    deepest(error).to_string()
}

fn deepest(error: &reqwest::Error) -> &(dyn std::error::Error + 'static) {
    let mut deepest: &(dyn std::error::Error + 'static) = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_without_an_answer_may_have_happened() {
        let relay = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = format!("http://{}", relay.local_addr().unwrap());
        let client = Client::new(link.parse().unwrap()).unwrap();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = relay.accept().await {
                let _request = tokio::io::AsyncReadExt::read(&mut connection, &mut [0; 1024]).await;
            }
        });
        let failed = async |method| {
            let failure = client.send(client.request(method, "kv/k")).await.expect_err("no answer");
            (failure.kind(), failure.to_string().contains("may have happened"))
        };
        assert_eq!(failed(Method::PUT).await, (Kind::TimedOut, true));
        assert_eq!(failed(Method::DELETE).await, (Kind::TimedOut, true));
        assert_eq!(failed(Method::GET).await, (Kind::Unavailable, false));
    }

    #[test]
    fn answers_become_the_exit_codes_of_the_manual() {
        let check = |status: u16, code: &str| kind(StatusCode::from_u16(status).unwrap(), code).exit_code();
        assert_eq!(check(503, "no_quorum"), 3);
        assert_eq!(check(503, "no_node"), 3);
        assert_eq!(check(401, "secret_needed"), 4);
        assert_eq!(check(403, "wrong_secret"), 4);
        assert_eq!(check(404, "not_found"), 5);
        assert_eq!(check(409, "conflict"), 5);
        assert_eq!(check(504, "timeout"), 6);
        assert_eq!(check(413, "too_large"), 1);
        assert_eq!(check(500, "internal"), 1);
    }
}
