//! What a client is told when a request did nothing: the error catalogue as JSON with its status.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::ErrorCode;
use serde::Serialize;
use storage::StoreError;
use utoipa::ToSchema;

use crate::auth::AuthError;

/// An error, as JSON. The numbers and words are those of `docs/ERRORS.md`, the same as on a socket.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Error)]
pub(super) struct ErrorBody {
    /// Number in the catalogue.
    #[schema(minimum = 100, maximum = 999)]
    pub(super) code: u16,
    /// Word in the catalogue.
    #[schema(value_type = String, max_length = 32)]
    pub(super) name: &'static str,
    /// What is wrong and what to do.
    #[schema(value_type = String, max_length = 256)]
    pub(super) text: &'static str,
    /// The place or the numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, max_length = 512)]
    pub(super) detail: Option<String>,
    /// Not before this many milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, minimum = 1)]
    pub(super) retry_after_ms: Option<u32>,
}

/// Why a request did nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) code: ErrorCode,
    pub(super) detail: Option<String>,
    pub(super) retry_after_ms: Option<u32>,
}

/// What a route answers.
pub(super) type Answer<T> = Result<T, ApiError>;

/// Bytes of a detail; more says no more.
const DETAIL_BYTES_MAX: usize = 512;

impl ApiError {
    pub(super) const fn new(code: ErrorCode) -> Self {
        Self { code, detail: None, retry_after_ms: None }
    }

    pub(super) fn detailed(code: ErrorCode, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        detail.truncate(detail.floor_char_boundary(DETAIL_BYTES_MAX));
        Self { code, detail: Some(detail), retry_after_ms: None }
    }

    pub(super) const fn after(mut self, ms: u32) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    pub(super) fn body(&self) -> ErrorBody {
        ErrorBody {
            code: self.code.code(),
            name: self.code.name(),
            text: self.code.text(),
            detail: self.detail.clone(),
            retry_after_ms: self.retry_after_ms,
        }
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        Self::detailed(error.code(), error.to_string())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound { id, .. } => Self::detailed(ErrorCode::NotFound, id.to_string()),
            StoreError::Conflict { id, .. } => Self::detailed(ErrorCode::Conflict, id.to_string()),
            StoreError::Refused { .. } => Self::detailed(ErrorCode::Unprocessable, "the store cannot keep this text or number"),
            StoreError::Deadline { .. } | StoreError::Away { .. } | StoreError::Stale { .. } => {
                tracing::warn!(error = chain(&error), "a question to the store was not answered");
                Self::new(ErrorCode::Unavailable).after(1000)
            }
            StoreError::Decode { .. } => {
                tracing::error!(error = chain(&error), "what is stored cannot be read");
                Self::new(ErrorCode::Internal)
            }
        }
    }
}

/// An error with its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(ms) = self.retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.extensions_mut().insert(self.code);
        response
    }
}
