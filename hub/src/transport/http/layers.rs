//! What every request goes through: a number for the logs, a place among the requests, a bound on its time, its count.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use protocol::ErrorCode;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::Instrument;
use uuid::Uuid;

use super::answer::ApiError;
use super::{Api, idempotency};
use crate::metrics::{Limit, RequestLabels};

/// A request that takes longer is given up.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// Names a request in logs and answers.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Bytes of a request id that a client may bring.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// All layers, outermost last. Applied per route, so that each is counted under its pattern.
pub(super) fn around(routes: Router<Api>, api: &Api) -> Router<Api> {
    routes
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(api.clone(), idempotency::layer))
        .layer(from_fn_with_state(api.clone(), watched))
        .layer(cors(&api.config.listen.origins))
}

async fn wrong_method() -> ApiError {
    ApiError::new(ErrorCode::MethodNotAllowed)
}

/// Numbers, bounds, times, counts and logs a request.
async fn watched(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = method_name(request.method());
    let route: Arc<str> = request.extensions().get::<MatchedPath>().map_or("unmatched", |path| path.as_str()).into();
    let id = request_id(&request);
    if let Ok(value) = HeaderValue::from_str(&id) {
        request.headers_mut().insert(REQUEST_ID, value);
    }
    let span = tracing::info_span!(
        target: crate::trace::TARGET, "request", otel.name = %format_args!("{method} {route}"), otel.kind = "server",
        request.id = %id, http.method = method, http.route = %route, http.status = tracing::field::Empty,
    );
    crate::trace::adopt(&span, request.headers());
    let mut response = match api.requests.clone().try_acquire_owned() {
        Ok(_place) => tokio::time::timeout(REQUEST_TIME, next.run(request))
            .instrument(span.clone())
            .await
            .unwrap_or_else(|_elapsed| ApiError::detailed(ErrorCode::Unavailable, "not done within 30 s").after(1000).into_response()),
        Err(_full) => {
            api.metrics.limited(Limit::Requests);
            ApiError::new(ErrorCode::Overloaded).after(1000).into_response()
        }
    };
    let status = response.status();
    span.record("http.status", status.as_u16());
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        api.metrics.limited(Limit::Body);
    }
    if let Some(code) = response.extensions().get::<ErrorCode>() {
        api.metrics.error(*code);
    }
    api.metrics.request(RequestLabels { method, route, status: status.as_u16() }, began.elapsed().as_secs_f64());
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::debug!(http.status = status.as_u16(), duration_ms = ms, "a request was answered"));
    seal(&mut response, &id, api.config.listen.tls.is_some());
    response
}

/// The client's own number where it is harmless, else a new one.
fn request_id(request: &Request) -> String {
    let brought = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let harmless = |id: &&str| {
        !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    brought.filter(harmless).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

fn seal(response: &mut Response, id: &str, tls: bool) {
    let headers = response.headers_mut();
    if tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// A method as a label: what routes know, and nothing that a stranger can make up.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Pages of the configured origins may call; without cookies, so a foreign page gains nothing.
fn cors(origins: &[String]) -> CorsLayer {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, HeaderName::from_static(idempotency::HEADER), REQUEST_ID])
        .expose_headers([REQUEST_ID, header::RETRY_AFTER])
}
