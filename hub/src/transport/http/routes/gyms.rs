//! Gyms and gateways.

use axum::Json;
use axum::extract::State;
use protocol::text::Text;
use protocol::{ErrorCode, GatewayId, GymId, TenantId};
use room::rights::{Action, Object};
use serde::{Deserialize, Serialize};
use storage::{GatewayRecord, GymRecord, Store, StoreError, Units};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::Api;
use super::super::answer::{Answer, ApiError};
use super::super::bulk::{self, Many, Record, Results};
use super::super::caller::Caller;
use super::super::extract::{At, Body};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_gyms, put_gyms)).routes(routes!(get_gym)).routes(routes!(put_gateways))
}

/// A club.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(super) struct Gym {
    /// Drawn by whoever provisions it.
    #[schema(value_type = Uuid)]
    gym: GymId,
    /// Its name.
    #[schema(value_type = String, min_length = 1, max_length = 64)]
    name: Text<64>,
    /// IANA name.
    #[schema(value_type = String, max_length = 64, pattern = "^[A-Za-z][A-Za-z0-9_+/-]*$", example = "Europe/Rome")]
    time_zone: Text<64>,
    /// Units on its walls.
    #[serde(default)]
    #[schema(required = false)]
    units: Measure,
    /// Its public addresses, in CIDR form: one Wi-Fi, many phones.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 16, required = false)]
    addresses: Vec<Text<64>>,
}

/// How distances read.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Measure {
    /// Kilometres, kilograms.
    #[default]
    Metric,
    /// Miles, pounds.
    Imperial,
}

impl From<Measure> for Units {
    fn from(measure: Measure) -> Self {
        match measure {
            Measure::Metric => Self::Metric,
            Measure::Imperial => Self::Imperial,
        }
    }
}

impl From<Units> for Measure {
    fn from(units: Units) -> Self {
        match units {
            Units::Metric => Self::Metric,
            Units::Imperial => Self::Imperial,
        }
    }
}

impl Gym {
    fn checked(self) -> Result<GymRecord, (Uuid, ApiError)> {
        let id = self.gym.0;
        let wrong = |what: &str| (id, ApiError::detailed(ErrorCode::Unprocessable, what));
        if self.name.is_empty() {
            return Err(wrong("name: at least one character"));
        }
        if !storage::is_time_zone(&self.time_zone) {
            return Err(wrong("time_zone: an IANA name such as Europe/Rome"));
        }
        if self.addresses.len() > 16 || self.addresses.iter().any(|network| network.parse::<ipnet::IpNet>().is_err()) {
            return Err(wrong("addresses: at most 16 networks such as 192.0.2.0/24"));
        }
        Ok(GymRecord { gym: self.gym, name: self.name, time_zone: self.time_zone, units: self.units.into(), addresses: self.addresses })
    }
}

impl From<GymRecord> for Gym {
    fn from(record: GymRecord) -> Self {
        let GymRecord { gym, name, time_zone, units, addresses } = record;
        Self { gym, name, time_zone, units: units.into(), addresses }
    }
}

impl Record for GymRecord {
    const ASKS: (&'static str, &'static str) = ("put_gyms", "gyms");
    fn id(&self) -> Uuid {
        self.gym.0
    }
    async fn put(store: &Store, tenant: TenantId, records: &[Self]) -> Result<(), StoreError> {
        store.put_gyms(tenant, records).await
    }
}

/// Creates or changes gyms.
#[utoipa::path(put, path = "/v1/gyms", tag = "gyms", request_body = Many<Gym>, responses((status = 200, body = Results)),
    extensions(("x-right" = json!("http.gym.write"))))]
async fn put_gyms(State(api): State<Api>, caller: Caller, Body(many): Body<Many<Gym>>) -> Answer<Json<Results>> {
    caller.may(Action::HttpGymWrite, &caller.of_tenant())?;
    let gyms = many.checked()?.into_iter().map(Gym::checked).collect();
    let (results, stored) = bulk::put(&api, caller.tenant(), gyms).await?;
    for gym in stored {
        api.add_gym(gym.gym, caller.tenant(), gym.name);
    }
    Ok(Json(results))
}

/// The gyms that the caller may see.
#[utoipa::path(get, path = "/v1/gyms", tag = "gyms", responses((status = 200, body = [Gym])), extensions(("x-right" = json!("http.gym.read"))))]
async fn list_gyms(State(api): State<Api>, caller: Caller) -> Answer<Json<Vec<Gym>>> {
    caller.ever(Action::HttpGymRead)?;
    let gyms = api.ask("gyms", "gyms", api.store.gyms(caller.tenant())).await?;
    let seen = |gym: &GymRecord| caller.may(Action::HttpGymRead, &Object { gym: Some(gym.gym), ..caller.of_tenant() }).is_ok();
    Ok(Json(gyms.into_iter().filter(seen).map(Gym::from).collect()))
}

/// One gym.
#[utoipa::path(get, path = "/v1/gyms/{gym}", tag = "gyms", params(("gym" = Uuid, Path, description = "The gym")),
    responses((status = 200, body = Gym)), extensions(("x-right" = json!("http.gym.read"))))]
async fn get_gym(State(api): State<Api>, caller: Caller, At(gym): At<GymId>) -> Answer<Json<Gym>> {
    let found = api.gym_of(&caller, gym, Action::HttpGymRead).await?;
    Ok(Json(found.into()))
}

impl Api {
    /// A gym that the caller may do this to.
    pub(super) async fn gym_of(&self, caller: &Caller, gym: GymId, action: Action) -> Answer<GymRecord> {
        caller.ever(action)?;
        let found = self.ask("gym", "gyms", self.store.gym(caller.tenant(), gym)).await?.ok_or(ErrorCode::NotFound)?;
        caller.may(action, &Object { gym: Some(gym), ..caller.of_tenant() })?;
        Ok(found)
    }
}

/// One socket that carries many machines.
#[derive(Debug, Clone, Deserialize, ToSchema)]
struct Gateway {
    /// The `sub` of its token.
    #[schema(value_type = Uuid)]
    gateway: GatewayId,
    /// Where it stands.
    #[schema(value_type = Uuid)]
    gym: GymId,
    /// Its name.
    #[schema(value_type = String, min_length = 1, max_length = 64)]
    name: Text<64>,
}

impl Record for GatewayRecord {
    const ASKS: (&'static str, &'static str) = ("put_gateways", "gateways");
    fn id(&self) -> Uuid {
        self.gateway.0
    }
    async fn put(store: &Store, tenant: TenantId, records: &[Self]) -> Result<(), StoreError> {
        store.put_gateways(tenant, records).await
    }
}

/// Creates or changes gateways. Their machines are bound to them as machines are provisioned.
#[utoipa::path(put, path = "/v1/gateways", tag = "gyms", request_body = Many<Gateway>, responses((status = 200, body = Results)),
    extensions(("x-right" = json!("http.machine.write"))))]
async fn put_gateways(State(api): State<Api>, caller: Caller, Body(many): Body<Many<Gateway>>) -> Answer<Json<Results>> {
    caller.may(Action::HttpMachineWrite, &caller.of_tenant())?;
    let record = |gateway: Gateway| {
        if gateway.name.is_empty() {
            return Err((gateway.gateway.0, ApiError::detailed(ErrorCode::Unprocessable, "name: at least one character")));
        }
        Ok(GatewayRecord { gateway: gateway.gateway, gym: gateway.gym, name: gateway.name })
    };
    let gateways = many.checked()?.into_iter().map(record).collect();
    let (results, _) = bulk::put(&api, caller.tenant(), gateways).await?;
    Ok(Json(results))
}
