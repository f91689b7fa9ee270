//! `Idempotency-Key`: a request that is sent again makes what it made before, and nothing more.
//!
//! Nobody remembers keys. What a request makes has an id that follows from its key, so a second request finds it, at whichever
//! node and under whichever leader; the state machine tells whether it would have made the same.

use super::error::{ApiError, ApiResult};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use shared::ids::{DocumentId, Hash, JobId};
use shared::limits;

/// The key of a request, if it has one.
pub struct IdempotencyKey(Option<String>);

const NAME: &str = "idempotency-key";

impl IdempotencyKey {
    pub fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// Routes do not share keys.
    pub fn document(&self, route: &str) -> Option<DocumentId> {
        self.derived(route, "document").map(DocumentId::from_bytes)
    }

    pub fn job(&self, route: &str) -> Option<JobId> {
        self.derived(route, "job").map(JobId::from_bytes)
    }

    fn derived(&self, route: &str, kind: &str) -> Option<[u8; 10]> {
        // None of them has a space in it.
        let text = format!("{NAME} {route} {kind} {}", self.0.as_deref()?);
        Hash::of(text.as_bytes()).as_bytes().first_chunk().copied()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<IdempotencyKey> {
        let mut given = parts.headers.get_all(NAME).iter();
        let Some(first) = given.next() else { return Ok(IdempotencyKey(None)) };
        let key =
            first.to_str().ok().filter(|_| given.next().is_none()).map(unquoted).filter(|key| is_key(key));
        key.map(|key| IdempotencyKey(Some(key.to_owned()))).ok_or_else(|| {
            let max = limits::IDEMPOTENCY_KEY_BYTES_MAX;
            ApiError::bad_request(format!("an Idempotency-Key has 1 to {max} printable characters of ASCII"))
                .hint("send one, such as \"8e03978e-40d5-43e8-bc93-6894a57f9324\"")
        })
    }
}

/// A string in quotes as in the draft of the IETF; most clients leave them out.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

fn is_key(key: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    (1..=limits::IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    async fn read(lines: &[&str]) -> ApiResult<IdempotencyKey> {
        let request = Request::post("/").body(()).expect("a request");
        let (mut parts, ()) = request.into_parts();
        for line in lines {
            parts.headers.append(NAME, line.parse().expect("a header"));
        }
        IdempotencyKey::from_request_parts(&mut parts, &()).await
    }

    #[tokio::test]
    async fn a_key_names_one_document_and_one_job_of_a_route() {
        assert_eq!(read(&[]).await.unwrap().job("jobs"), None);
        let key = read(&["\"8e03978e\""]).await.unwrap();
        assert_eq!(key.job("jobs"), read(&["8e03978e"]).await.unwrap().job("jobs"), "with or without quotes");
        let jobs = [key.job("jobs"), key.job("count"), read(&["other"]).await.unwrap().job("jobs")];
        assert!(jobs[0] != jobs[1] && jobs[0] != jobs[2] && jobs.iter().all(Option::is_some));
        let longest = "k".repeat(limits::IDEMPOTENCY_KEY_BYTES_MAX);
        assert!(read(&[&longest]).await.is_ok());
        for wrong in [&[""][..], &["\"\""], &["a b"], &["\"a"], &["a", "b"], &[&format!("{longest}k")]] {
            assert!(read(wrong).await.is_err(), "{wrong:?}");
        }
    }
}
