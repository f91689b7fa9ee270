//! The parameters after `?`.

use super::error::{ApiError, ApiResult};
use super::redirect;
use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// What a route takes.
pub trait Parameters: DeserializeOwned {
    const NAMES: &'static [&'static str];
}

pub struct Query<T>(pub T);

/// Of a route that takes none.
pub struct NoParameters;

impl<T: Parameters, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Query<T>> {
        check_names(&parts.uri, T::NAMES)?;
        read(&parts.uri).map(Query)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NoParameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<NoParameters> {
        check_names(&parts.uri, &[]).map(|()| NoParameters)
    }
}

/// A condition that is spelt wrong must not count as none.
fn check_names(uri: &Uri, known: &[&str]) -> ApiResult<()> {
    let given: Vec<(String, String)> = read(uri)?;
    let names = given.iter().map(|(name, _)| name.as_str());
    let unknown: Vec<&str> =
        names.filter(|name| *name != redirect::PARAMETER && !known.contains(name)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let hint = if known.is_empty() { "leave it out".into() } else { format!("it has {}", known.join(", ")) };
    Err(ApiError::bad_request(format!("this route has no parameter {}", unknown.join(", "))).hint(hint))
}

fn read<T: DeserializeOwned>(uri: &Uri) -> ApiResult<T> {
    axum::extract::Query::try_from_uri(uri)
        .map(|axum::extract::Query(read)| read)
        .map_err(|rejection| ApiError::bad_request(rejection.body_text()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Page {
        limit: Option<u32>,
    }

    impl Parameters for Page {
        const NAMES: &'static [&'static str] = &["limit"];
    }

    async fn limit(query: &str) -> ApiResult<Option<u32>> {
        let request = Request::get(format!("/kv{query}")).body(()).expect("a request");
        let (mut parts, ()) = request.into_parts();
        Query::<Page>::from_request_parts(&mut parts, &()).await.map(|Query(page)| page.limit)
    }

    #[tokio::test]
    async fn unknown_parameters_are_named() {
        assert_eq!(limit("").await, Ok(None));
        assert_eq!(limit("?limit=2&redirect=1").await, Ok(Some(2)));
        assert!(limit("?limit=two").await.is_err());
        let refused = limit("?limt=2&limit=2&%C3%BC").await.unwrap_err();
        let expected = ApiError::bad_request("this route has no parameter limt, ü").hint("it has limit");
        assert_eq!(refused, expected);
    }
}
