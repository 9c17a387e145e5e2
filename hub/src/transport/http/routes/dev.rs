//! The log-in of the `dev` profile: a token for anybody who asks. Outside `dev` these routes are not found.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use protocol::frame::Role;
use protocol::{ErrorCode, GymId, TeamId, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::answer::{Answer, ApiError};
use super::super::extract::Body;
use super::super::{Api, ClientAddress, schema};
use crate::auth::personas::{self, Persona};
use crate::auth::{BuiltInIssuer, TokenRequest};
use crate::metrics::Limit;

/// How long a token of the log-in is good, where nobody says.
const TTL_S: i64 = 15 * 60;
/// The longest that somebody may ask for.
const TTL_S_MAX: i64 = 24 * 60 * 60;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(login)).routes(routes!(list_personas))
}

/// Who to be: a persona, or a role with what it should name. What is left out is the demo's.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Login)]
struct Login {
    /// Name of a persona.
    #[schema(max_length = 32, required = false)]
    persona: Option<String>,
    /// A role; its first persona where no subject is named.
    #[schema(schema_with = schema::role, required = false)]
    role: Option<Role>,
    /// The subject.
    #[schema(required = false)]
    subject: Option<Uuid>,
    /// The tenant.
    #[schema(value_type = Option<Uuid>, required = false)]
    tenant: Option<TenantId>,
    /// Gyms.
    #[schema(value_type = Option<Vec<Uuid>>, max_items = 50, required = false)]
    gyms: Option<Vec<GymId>>,
    /// Teams.
    #[schema(value_type = Option<Vec<Uuid>>, max_items = 50, required = false)]
    teams: Option<Vec<TeamId>>,
    /// How many seconds the token is good.
    #[schema(minimum = 1, maximum = 86400, required = false)]
    ttl_s: Option<i64>,
}

/// A token and who it names.
#[derive(Debug, Serialize, ToSchema)]
struct LoggedIn {
    token: String,
    expires_at_ms: i64,
    #[schema(schema_with = schema::role)]
    role: Role,
    subject: Uuid,
    tenant: Uuid,
    #[schema(value_type = Vec<Uuid>)]
    gyms: Vec<GymId>,
    #[schema(value_type = Vec<Uuid>)]
    teams: Vec<TeamId>,
}

/// Anybody, in the dev profile, at a bounded rate.
struct Stranger;

impl FromRequestParts<Api> for Stranger {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        issuer(api)?;
        let address = ClientAddress::of(&parts.extensions);
        api.rates.login(address).inspect_err(|_| api.metrics.limited(Limit::Logins))?;
        Ok(Self)
    }
}

fn issuer(api: &Api) -> Answer<&BuiltInIssuer> {
    api.issuer.as_deref().ok_or_else(|| ErrorCode::NotFound.into())
}

impl Login {
    fn request(self, at_ms: i64) -> Answer<TokenRequest> {
        let wrong = |what: &str| ApiError::detailed(ErrorCode::Unprocessable, what);
        let ttl_s = self.ttl_s.unwrap_or(TTL_S);
        if !(1..=TTL_S_MAX).contains(&ttl_s) {
            return Err(wrong("ttl_s: 1 to 86400"));
        }
        let persona: &Persona = match (&self.persona, self.role) {
            (Some(name), None) => personas::by_name(name).ok_or_else(|| wrong("persona: see GET /v1/dev/personas"))?,
            (None, Some(role)) => personas::by_role(role).ok_or_else(|| wrong("role: the demo has nobody of this role; give a persona"))?,
            _ => return Err(wrong("exactly one of persona and role")),
        };
        let mut request = persona.request(at_ms, ttl_s * 1000);
        request.subject = self.subject.unwrap_or(request.subject);
        request.tenant = self.tenant.unwrap_or(request.tenant);
        request.gyms = self.gyms.unwrap_or(request.gyms);
        request.teams = self.teams.unwrap_or(request.teams);
        if request.gyms.len().max(request.teams.len()) > 50 {
            return Err(wrong("gyms, teams: at most 50"));
        }
        Ok(request)
    }
}

/// Logs in. Only in the dev profile.
#[utoipa::path(post, path = "/v1/dev/login", tag = "dev", request_body = Login, responses((status = 200, body = LoggedIn)))]
async fn login(State(api): State<Api>, _stranger: Stranger, Body(login): Body<Login>) -> Answer<Json<LoggedIn>> {
    let at_ms = crate::clock::at_ms();
    let request = login.request(at_ms)?;
    let token = issuer(&api)?.token(&request).map_err(|error| {
        tracing::error!(error = crate::chain(&error), "a token could not be signed");
        ErrorCode::Internal
    })?;
    let TokenRequest { tenant, role, subject, gyms, teams, ttl_ms, .. } = request;
    Ok(Json(LoggedIn { token, expires_at_ms: at_ms + ttl_ms, role, subject, tenant: tenant.0, gyms, teams }))
}

/// Somebody to log in as.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Persona)]
struct PersonaView {
    name: &'static str,
    title: &'static str,
    #[schema(schema_with = schema::role)]
    role: Role,
    subject: Uuid,
}

/// Whom one can log in as. Only in the dev profile.
#[utoipa::path(get, path = "/v1/dev/personas", tag = "dev", responses((status = 200, body = [PersonaView])))]
async fn list_personas(State(api): State<Api>) -> Answer<Json<Vec<PersonaView>>> {
    issuer(&api)?;
    let view = |persona: &Persona| PersonaView { name: persona.name, title: persona.title, role: persona.role, subject: persona.subject };
    Ok(Json(personas::ALL.iter().map(view).collect()))
}
