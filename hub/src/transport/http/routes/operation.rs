//! Events for the operator's backend, and revocations.

use axum::Json;
use axum::extract::State;
use protocol::{ErrorCode, GymId, MemberId, TenantId};
use room::rights::Action;
use serde::{Deserialize, Serialize};
use storage::{EventRecord, Revocation};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::answer::{Answer, ApiError};
use super::super::caller::Caller;
use super::super::extract::{Asked, Body};
use super::super::{Api, schema};
use crate::auth::{Revoked, TooManyRevocations};

/// No token lives longer than this; a revocation that is older hits nothing.
pub(super) const TOKEN_LIFE_MS: i64 = 400 * 24 * 60 * 60 * 1000;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_events)).routes(routes!(revoke))
}

/// Which events.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct EventPage {
    /// `cursor` of the last event that was seen; 0 is the beginning.
    #[param(minimum = 0, default = 0, required = false)]
    after: Option<i64>,
    /// Only of this gym.
    #[param(value_type = Option<Uuid>, required = false)]
    gym: Option<GymId>,
    /// How many.
    #[param(minimum = 1, maximum = 1000, default = 100, required = false)]
    limit: Option<u32>,
}

/// One event, in the envelope that every way out shares.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventOut {
    /// Place in the tenant's history.
    cursor: i64,
    /// The event's id: the same again is the same event.
    id: Uuid,
    /// Kind.
    r#type: String,
    /// When, UTC.
    at_ms: i64,
    /// Whose.
    tenant: Uuid,
    /// Where.
    #[schema(value_type = Uuid)]
    gym: GymId,
    /// The room that it happened in.
    room: String,
    /// Whom it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>, required = false)]
    member: Option<MemberId>,
    /// What, as on a socket.
    #[schema(schema_with = schema::event)]
    data: protocol::frame::Event,
}

/// Events of the tenant in order. Nothing ever appears behind a cursor that was read.
#[utoipa::path(get, path = "/v1/events", tag = "operation", params(EventPage), responses((status = 200, body = [EventOut])),
    extensions(("x-right" = json!("http.event.read"))))]
async fn list_events(State(api): State<Api>, caller: Caller, Asked(asked): Asked<EventPage>) -> Answer<Json<Vec<EventOut>>> {
    caller.may(Action::HttpEventRead, &caller.of_tenant())?;
    let after = asked.after.unwrap_or(0);
    if after < 0 {
        return Err(ApiError::detailed(ErrorCode::Malformed, "after: 0 or a cursor"));
    }
    let limit = super::limit_of(asked.limit, 100, 1000)?;
    let tenant = caller.tenant();
    let events = api.ask("events", "events", api.store.events(tenant, asked.gym, after, limit)).await?;
    Ok(Json(events.into_iter().map(|record| EventOut::of(tenant, record)).collect()))
}

impl EventOut {
    pub(super) fn of(tenant: TenantId, record: EventRecord) -> Self {
        Self {
            cursor: record.cursor,
            id: record.event.id.0,
            r#type: record.kind,
            at_ms: record.event.at_ms,
            tenant: tenant.0,
            gym: record.gym,
            room: record.room.to_string(),
            member: record.member,
            data: record.event,
        }
    }
}

/// What to revoke: exactly one of `token`, `subject` and `all`.
#[derive(Debug, Deserialize, ToSchema)]
struct Revoke {
    /// One token, by its `jti`.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 256, required = false)]
    token: Option<String>,
    /// All tokens of a subject that were issued before `before_ms`.
    #[serde(default)]
    #[schema(required = false)]
    subject: Option<Uuid>,
    /// All tokens of the tenant that were issued before `before_ms`.
    #[serde(default)]
    #[schema(required = false)]
    all: bool,
    /// UTC; now where it is left out.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 9999999999999i64, required = false)]
    before_ms: Option<i64>,
}

/// What a revocation did.
#[derive(Debug, Serialize, ToSchema)]
struct RevokedAnswer {
    /// Sockets of this node that were closed.
    closed: usize,
}

impl Revoke {
    fn meant(self, now_ms: i64) -> Answer<Revoked> {
        let before_ms = self.before_ms.unwrap_or(now_ms);
        if before_ms < 0 || before_ms > now_ms + 60_000 {
            return Err(ApiError::detailed(ErrorCode::Unprocessable, "before_ms: not later than now"));
        }
        match (self.token, self.subject, self.all) {
            (Some(id), None, false) if !id.is_empty() && id.len() <= 256 => Ok(Revoked::Token(id)),
            (None, Some(subject), false) => Ok(Revoked::Subject(subject, before_ms)),
            (None, None, true) => Ok(Revoked::IssuedBefore(before_ms)),
            _ => Err(ApiError::detailed(ErrorCode::Unprocessable, "exactly one of token (1 to 256 bytes), subject and all")),
        }
    }
}

/// Revokes tokens from now on, and closes the sockets that stand on them.
#[utoipa::path(post, path = "/v1/revocations", tag = "operation", request_body = Revoke, responses((status = 200, body = RevokedAnswer)),
    extensions(("x-right" = json!("http.revoke"))))]
async fn revoke(State(api): State<Api>, caller: Caller, Body(body): Body<Revoke>) -> Answer<Json<RevokedAnswer>> {
    caller.may(Action::HttpRevoke, &caller.of_tenant())?;
    let now_ms = crate::clock::at_ms();
    let revoked = body.meant(now_ms)?;
    let until_at_ms = now_ms + TOKEN_LIFE_MS;
    let too_many = |error: TooManyRevocations| ApiError::detailed(ErrorCode::Overloaded, error.to_string());
    // Nothing is stored of what would not be enforced.
    api.hub.verifier.revocations().has_room(caller.tenant(), &revoked).map_err(too_many)?;
    // Stored first: what the answer promises must outlive this process.
    let stored = match &revoked {
        Revoked::Token(id) => storage::Revoked::Token(id.clone()),
        Revoked::Subject(subject, before_ms) => storage::Revoked::Subject(*subject, *before_ms),
        Revoked::IssuedBefore(before_ms) => storage::Revoked::IssuedBefore(*before_ms),
    };
    let revocation = Revocation { tenant: caller.tenant(), revoked: stored, until_at_ms };
    api.ask("revoke", "revocations", api.store.revoke(&revocation)).await?;
    let closed = api.hub.revoke(caller.tenant(), &revoked, until_at_ms).map_err(too_many)?;
    tracing::info!(sessions.closed = closed, "tokens were revoked");
    Ok(Json(RevokedAnswer { closed }))
}
