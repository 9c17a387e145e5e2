//! `/health`, `/ready`, `/metrics`, and the document of the API itself.

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::ErrorCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::answer::{Answer, ApiError};
use super::super::{Api, ClientAddress};

/// A database that does not answer within this time is reported as away.
const PING_TIME: Duration = Duration::from_secs(2);
/// Used part of the disk from which it is a warning.
const DISK_WARNING: f64 = 0.80;
/// And from which the hub counts as degraded.
const DISK_DEGRADED: f64 = 0.85;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(ready)).routes(routes!(metrics)).routes(routes!(document))
}

/// How a part, or the whole, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Condition {
    Ok,
    Warning,
    Degraded,
}

/// The database.
#[derive(Debug, Serialize, ToSchema)]
struct Database {
    status: Condition,
    /// `sqlite` or `postgres`.
    kind: &'static str,
    /// Rows that wait for it.
    waiting_rows: usize,
    /// From receiving to commit, of the last batch.
    lag_ms: i64,
}

/// The disk of the embedded store.
#[derive(Debug, Serialize, ToSchema)]
struct Disk {
    status: Condition,
    /// Used part, 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    used: f64,
}

/// How the hub is.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    status: Condition,
    version: &'static str,
    uptime_s: u64,
    draining: bool,
    database: Database,
    /// With the embedded store only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    disk: Option<Disk>,
}

/// How the hub and its parts are. Answers 200 also when degraded: live goes on without the database.
#[utoipa::path(get, path = "/health", tag = "operation", responses((status = 200, body = Health)))]
async fn health(State(api): State<Api>) -> Json<Health> {
    let answers = matches!(tokio::time::timeout(PING_TIME, api.store.ping()).await, Ok(Ok(())));
    let counters = api.recorder.counters().now();
    let database = Database {
        status: if answers && !counters.away { Condition::Ok } else { Condition::Degraded },
        kind: api.store.back_end(),
        waiting_rows: counters.queue_rows,
        lag_ms: counters.lag_ms,
    };
    let disk = disk(&api).await;
    let draining = api.is_draining();
    let status = [Some(database.status), disk.as_ref().map(|disk| disk.status), draining.then_some(Condition::Warning)];
    let status = status.into_iter().flatten().max().unwrap_or(Condition::Ok);
    let uptime_s = u64::try_from(crate::clock::mono_ms() / 1000).unwrap_or(0);
    Json(Health { status, version: env!("CARGO_PKG_VERSION"), uptime_s, draining, database, disk })
}

async fn disk(api: &Api) -> Option<Disk> {
    let folder = api.config.store.folder()?;
    let used = super::disk::used_part(&folder).await?;
    let status = match used {
        used if used >= DISK_DEGRADED => Condition::Degraded,
        used if used >= DISK_WARNING => Condition::Warning,
        _ => Condition::Ok,
    };
    Some(Disk { status, used })
}

/// Whether new connections should come here.
#[utoipa::path(get, path = "/ready", tag = "operation", responses((status = 200, body = super::Done)))]
async fn ready(State(api): State<Api>) -> Answer<Json<super::Done>> {
    if api.is_draining() { Err(ErrorCode::Draining.into()) } else { Ok(Json(super::Done::YES)) }
}

/// Metrics as OpenMetrics text, for the networks of `listen.metrics_from`.
#[utoipa::path(get, path = "/metrics", tag = "operation",
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
async fn metrics(State(api): State<Api>, request: Request) -> Answer<Response> {
    let address = ClientAddress::of(request.extensions()).to_canonical();
    if !api.config.listen.metrics_from.iter().any(|network| network.contains(&address)) {
        return Err(ApiError::detailed(ErrorCode::Forbidden, "not from this network: see listen.metrics_from"));
    }
    // Its probe tells the last answer.
    disk(&api).await;
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], api.metrics.scrape()).into_response())
}

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "operation", responses((status = 200, body = Object)))]
async fn document(State(api): State<Api>) -> Response {
    let kind = HeaderValue::from_static("application/json");
    (StatusCode::OK, [(header::CONTENT_TYPE, kind)], api.document.clone()).into_response()
}
