//! `Idempotency-Key`: a write that is sent again is answered again, not carried out again.
//!
//! In: writes with the header, from a caller with a good token. Out: the stored answer for 24 hours; 422 for the same key with another
//! request; 409 while the first is still being carried out. Keys are by tenant and subject. An answer that says "later" (429, 5xx) is not kept, and neither is a secret (`no-store`).
//! Without the header a write is what it is; all provisioning is idempotent by its ids anyway.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use protocol::ErrorCode;
use sha2::{Digest, Sha256};
use storage::Idempotency;

use super::Api;
use super::answer::ApiError;
use super::caller::bearer;
use super::{extract, files};
use crate::auth::Identity;

/// Name of the header.
pub(super) const HEADER: &str = "idempotency-key";
/// Bytes of an answer that is kept.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of a key.
const KEY_BYTES_MAX: usize = 128;

pub(super) async fn layer(State(api): State<Api>, request: Request, next: Next) -> Response {
    let writes = matches!(*request.method(), Method::POST | Method::PUT | Method::DELETE | Method::PATCH);
    let key = match request.headers().get(HEADER).filter(|_| writes) {
        None => return next.run(request).await,
        Some(value) => value.to_str().ok().map(str::to_owned).filter(|key| is_key(key)),
    };
    let Some(key) = key else {
        return ApiError::detailed(ErrorCode::Malformed, "Idempotency-Key: 1 to 128 printable characters").into_response();
    };
    let (parts, body) = request.into_parts();
    // Whoever has no good token is answered by the route itself, which also counts the stranger.
    let Some(identity) = bearer(&parts).and_then(|token| api.verifier.verify(token, crate::clock::at_ms()).ok()) else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    let (bytes_max, place) = match files::body_of(&api, &identity, parts.uri.path()).await {
        Ok(found) => found,
        Err(error) => return error.into_response(),
    };
    let bytes = match files::read(body, bytes_max, place.as_ref()).await {
        Ok(bytes) => bytes,
        Err(error) => return error.into_response(),
    };
    let mut digest = Sha256::new();
    for piece in [parts.method.as_str().as_bytes(), parts.uri.to_string().as_bytes(), &bytes] {
        digest.update((piece.len() as u64).to_le_bytes());
        digest.update(piece);
    }
    let mut request = Request::from_parts(parts, Body::from(bytes));
    if let Some(place) = place {
        request.extensions_mut().insert(place);
    }
    carry_out(&api, &identity, &key, &digest.finalize(), request, next).await
}

/// 1 to 128 printable characters without spaces.
fn is_key(key: &str) -> bool {
    (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

async fn carry_out(api: &Api, identity: &Identity, key: &str, digest: &[u8], request: Request, next: Next) -> Response {
    let (tenant, subject) = (identity.viewer.tenant, identity.viewer.subject);
    match api.ask("take_key", "idempotency", api.store.take_key(tenant, subject, key, digest, crate::clock::at_ms())).await {
        Err(error) => error.into_response(),
        Ok(Idempotency::Mismatch) => ApiError::new(ErrorCode::IdempotencyMismatch).into_response(),
        Ok(Idempotency::Running) => {
            ApiError::detailed(ErrorCode::Conflict, "a request with this key is being carried out").after(1000).into_response()
        }
        Ok(Idempotency::Answered { status, body }) => again(status, body),
        Ok(Idempotency::New) => {
            let taken = Taken { api, identity, key };
            keep(taken, next.run(request).await).await
        }
    }
}

/// The stored answer.
fn again(status: u16, body: Vec<u8>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = (status, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    response
}

/// A key that was taken. Where the client hangs up at an await, the key gives way by itself after a minute.
struct Taken<'a> {
    api: &'a Api,
    identity: &'a Identity,
    key: &'a str,
}

async fn keep(taken: Taken<'_>, response: Response) -> Response {
    let Taken { api, identity, key } = taken;
    let (parts, body) = response.into_parts();
    // Answers to writes are small: a result for each of at most 1,000 records.
    let bytes = match extract::read(body, ANSWER_BYTES_MAX).await {
        Ok(bytes) => bytes,
        Err(error) => return error.into_response(),
    };
    let (tenant, subject) = (identity.viewer.tenant, identity.viewer.subject);
    // A secret is answered once and kept nowhere.
    let secret = parts.headers.get(header::CACHE_CONTROL).is_some_and(|control| control == "no-store");
    let later =
        secret || parts.status.is_server_error() || matches!(parts.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::UNAUTHORIZED);
    let done = if later {
        api.ask("release_key", "idempotency", api.store.release_key(tenant, subject, key)).await
    } else {
        api.ask("answer_key", "idempotency", api.store.answer_key(tenant, subject, key, parts.status.as_u16(), &bytes)).await
    };
    if done.is_err() {
        tracing::warn!("the answer of an idempotent write could not be kept: the same key would be carried out again after a minute");
    }
    Response::from_parts(parts, Body::from(bytes))
}
