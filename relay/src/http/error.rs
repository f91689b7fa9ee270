//! Errors in the one shape that every route answers with.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use shared::node::api::{ErrorCode, RequestError};

/// `{"error":{"code","message","hint"}}` with a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    hint: String,
    /// Boxed, because few errors have one and each answer has room for an error.
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { status, code, message: message.into(), hint: String::new(), header: None }
    }

    pub fn hint(self, hint: impl Into<String>) -> ApiError {
        ApiError { hint: hint.into(), ..self }
    }

    pub fn header(self, name: HeaderName, value: HeaderValue) -> ApiError {
        ApiError { header: Some(Box::new((name, value))), ..self }
    }

    pub fn bad_request(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub fn not_found(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// A body that cannot be read as what a route takes.
    pub fn body(status: StatusCode, message: String) -> ApiError {
        match status {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(status, "too_large", message),
            _ => ApiError::bad_request(message),
        }
    }

    pub fn wrong_origin() -> ApiError {
        let message = "pages of another site may not use this relay";
        ApiError::new(StatusCode::FORBIDDEN, "wrong_origin", message)
            .hint("open the page of this relay itself, under an address of this machine")
    }

    /// The node gave another kind of answer than the request has.
    pub fn unexpected_reply() -> ApiError {
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the node answered something else than was asked",
        )
        .hint("this is a defect of wordraft: please report it")
    }

    pub fn code(&self) -> &'static str {
        self.code
    }
}

/// What the node says, with the status that fits.
impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> ApiError {
        let (status, code) = match error.code {
            ErrorCode::NoQuorum => (StatusCode::SERVICE_UNAVAILABLE, "no_quorum"),
            ErrorCode::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
            ErrorCode::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            ErrorCode::Conflict => (StatusCode::CONFLICT, "conflict"),
            ErrorCode::BadRequest => (StatusCode::BAD_REQUEST, "bad_request"),
            ErrorCode::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            ErrorCode::Busy => (StatusCode::TOO_MANY_REQUESTS, "busy"),
            ErrorCode::StorageFull => (StatusCode::INSUFFICIENT_STORAGE, "storage_full"),
            ErrorCode::Reused => (StatusCode::UNPROCESSABLE_ENTITY, "key_reused"),
            ErrorCode::Timeout => (StatusCode::GATEWAY_TIMEOUT, "timeout"),
            ErrorCode::UnknownOutcome => (StatusCode::GATEWAY_TIMEOUT, "unknown_outcome"),
            ErrorCode::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        let wait = matches!(error.code, ErrorCode::NoQuorum | ErrorCode::NotReady | ErrorCode::Busy);
        let header = wait.then(|| Box::new((header::RETRY_AFTER, HeaderValue::from_static("1"))));
        ApiError { status, code, message: error.message, hint: error.hint, header }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let ApiError { status, code, message, hint, header } = self;
        let body = serde_json::json!({"error": {"code": code, "message": message, "hint": hint}});
        let mut response = (status, Json(body)).into_response();
        if let Some((name, value)) = header.map(|header| *header) {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
