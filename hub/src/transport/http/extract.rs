//! Bodies, paths and queries as typed values, or as errors of the catalogue.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header;
use axum::http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use protocol::ErrorCode;
use serde::de::DeserializeOwned;

use super::Api;
use super::answer::ApiError;

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let json = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
            let kind = value.split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("application/json")
        });
        if !json {
            return Err(ApiError::detailed(ErrorCode::Malformed, "content-type must be application/json"));
        }
        let bytes = read(request.into_body(), api.config.limits.body_bytes).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            // Well-formed JSON that means nothing possible is the caller's content, not the caller's syntax.
            let code = if error.is_data() { ErrorCode::Unprocessable } else { ErrorCode::Malformed };
            ApiError::detailed(code, error.to_string())
        })
    }
}

/// Reads a body whole, up to a bound.
pub(super) async fn read(body: axum::body::Body, bytes_max: usize) -> Result<bytes::Bytes, ApiError> {
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(ApiError::detailed(ErrorCode::TooLarge, format!("a body may have {bytes_max} bytes")))
        }
        Err(_) => Err(ApiError::detailed(ErrorCode::Malformed, "the body ended early")),
    }
}

/// Ids of the path.
pub(super) struct At<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Api> for At<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        match Path::<T>::from_request_parts(parts, api).await {
            Ok(Path(ids)) => Ok(Self(ids)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => Err(ApiError::detailed(ErrorCode::Malformed, error.body_text())),
            Err(_) => Err(ApiError::detailed(ErrorCode::Malformed, "the path")),
        }
    }
}

/// Parameters behind the question mark.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Api> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, api).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(QueryRejection::FailedToDeserializeQueryString(error)) => Err(ApiError::detailed(ErrorCode::Malformed, error.body_text())),
            Err(_) => Err(ApiError::detailed(ErrorCode::Malformed, "the query")),
        }
    }
}
