//! Devices: codes that enrol them, the enrolment itself, who they are, revocation.
//!
//! What is answered was stored, and holds on this node before the answer leaves: a revoked device has no socket any more. The code is in the answer of one
//! request and nowhere else: the store has its hash, and the answer is not kept for its `Idempotency-Key`.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use protocol::device::{self, KEY_BYTES, SIGNATURE_BYTES, canonical_code, code_of, shown_code};
use protocol::frame::Role;
use protocol::text::{Blob, Text, hex};
use protocol::{CloseReason, DeviceId, ErrorCode, GatewayId, GymId, HubId, MachineId, TenantId};
use room::rights::{Action, Object};
use serde::{Deserialize, Serialize};
use storage::{Actor, DeviceDeed, DeviceEntry, DeviceKey, DeviceRecord, Enrolment, StoreError};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::answer::{Answer, ApiError};
use super::super::caller::Caller;
use super::super::extract::{Asked, At, Body};
use super::super::{Api, schema};
use crate::auth::devices::{code_hash, signed_by};

/// How long a code is good, where nobody says.
const LIFE_S: i64 = 15 * 60;
/// The longest that somebody may ask for.
const LIFE_S_MAX: i64 = 24 * 60 * 60;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(offer))
        .routes(routes!(enrol))
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(revoke))
        .routes(routes!(clear))
}

/// For whom a code is: exactly one of `gateway` and `machine`.
#[derive(Debug, Deserialize, ToSchema)]
struct NewEnrolment {
    /// The gym that it stands in.
    #[schema(value_type = Uuid)]
    gym: GymId,
    /// A gateway of the gym.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>, required = false)]
    gateway: Option<GatewayId>,
    /// A machine of the gym with a socket of its own.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>, required = false)]
    machine: Option<MachineId>,
    /// What the device is called in lists.
    #[serde(default)]
    #[schema(value_type = String, max_length = 48, required = false)]
    name: Text<48>,
    /// How many seconds the code is good; 15 minutes where it is left out.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 86400, required = false)]
    life_s: Option<i64>,
}

/// A code to type into the device. It is shown this once.
#[derive(Debug, Serialize, ToSchema)]
struct Code {
    /// Sixteen characters in groups of four; case and hyphens do not matter.
    code: String,
    /// Until when it is good, UTC.
    until_at_ms: i64,
}

/// What a device says to be enrolled.
#[derive(Debug, Deserialize, ToSchema)]
struct Enrol {
    /// The code, as it was typed.
    #[schema(min_length = 16, max_length = 64)]
    code: String,
    /// Its Ed25519 public key in hexadecimal.
    #[schema(value_type = String, pattern = "^[0-9a-fA-F]{64}$")]
    key: Blob<KEY_BYTES>,
    /// Its signature over what docs/GATEWAY.md names, in hexadecimal: it has the key.
    #[schema(value_type = String, pattern = "^[0-9a-fA-F]{128}$")]
    signature: Blob<SIGNATURE_BYTES>,
}

/// What the device keeps beside its key.
#[derive(Debug, Serialize, ToSchema)]
struct Enrolled {
    /// Its id: `enrolled` of each hello.
    #[schema(value_type = Uuid)]
    device: DeviceId,
    /// The only installation that it signs for.
    #[schema(value_type = Uuid)]
    hub: HubId,
    /// The only tenant that it signs for.
    #[schema(value_type = Uuid)]
    tenant: TenantId,
    /// Where it stands.
    #[schema(value_type = Uuid)]
    gym: GymId,
    /// `gateway` or `machine`.
    #[schema(schema_with = schema::role)]
    role: Role,
    /// The gateway or machine that it speaks for.
    subject: Uuid,
}

/// A public key of a device.
#[derive(Debug, Serialize, ToSchema)]
struct Key {
    /// Ed25519, hexadecimal.
    key: String,
    /// Since when, UTC.
    added_at_ms: i64,
    /// Until when, UTC; not there for the key in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    until_at_ms: Option<i64>,
}

/// A device.
#[derive(Debug, Serialize, ToSchema)]
struct Device {
    /// Its id.
    #[schema(value_type = Uuid)]
    device: DeviceId,
    /// Where it stands.
    #[schema(value_type = Uuid)]
    gym: GymId,
    /// `gateway` or `machine`.
    #[schema(schema_with = schema::role)]
    role: Role,
    /// The gateway or machine that it speaks for.
    subject: Uuid,
    /// What it is called.
    #[schema(value_type = String, max_length = 48)]
    name: Text<48>,
    /// Since when, UTC.
    enrolled_at_ms: i64,
    /// When it was revoked, or another took its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    revoked_at_ms: Option<i64>,
    /// When its key was seen on two sockets, until somebody clears it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    cloned_at_ms: Option<i64>,
    /// Its public keys.
    keys: Vec<Key>,
}

/// Something that happened to the devices of a gateway or machine.
#[derive(Debug, Serialize, ToSchema)]
struct DeviceLogEntry {
    /// The device, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>, required = false)]
    device: Option<DeviceId>,
    /// `code_given`, `enrolled`, `replaced`, `key_rotated`, `revoked`, `cloned` or `cleared`.
    what: String,
    /// Role of who did it; not there for the hub itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::role, required = false)]
    by_role: Option<Role>,
    /// Who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    by: Option<Uuid>,
    /// When, UTC.
    at_ms: i64,
}

/// A device and its log.
#[derive(Debug, Serialize, ToSchema)]
struct DeviceView {
    /// The device.
    #[serde(flatten)]
    device: Device,
    /// What happened to the devices of its gateway or machine, newest first.
    log: Vec<DeviceLogEntry>,
}

/// What a revocation did.
#[derive(Debug, Serialize, ToSchema)]
struct DeviceRevoked {
    /// Sockets of the device that were closed.
    closed: usize,
}

/// Whose devices.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct OfGym {
    /// The gym.
    #[param(value_type = Uuid)]
    gym: GymId,
}

impl From<&DeviceRecord> for Device {
    fn from(record: &DeviceRecord) -> Self {
        let DeviceRecord { device, gym, role, subject, name, enrolled_at_ms, revoked_at_ms, cloned_at_ms, keys, .. } = record.clone();
        let key = |DeviceKey { key, added_at_ms, until_at_ms }| Key { key: hex(&key), added_at_ms, until_at_ms };
        let keys = keys.into_iter().map(key).collect();
        Self { device, gym, role, subject, name, enrolled_at_ms, revoked_at_ms, cloned_at_ms, keys }
    }
}

impl From<DeviceEntry> for DeviceLogEntry {
    fn from(DeviceEntry { device, what, by, at_ms }: DeviceEntry) -> Self {
        Self { device, what, by_role: by.map(|by| by.role), by: by.map(|by| by.id), at_ms }
    }
}

/// A device that has no token yet, counted against its address.
struct Newcomer;

impl FromRequestParts<Api> for Newcomer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        api.stranger(parts).map(|()| Self)
    }
}

impl Caller {
    fn actor(&self) -> Actor {
        Actor { role: self.viewer().role, id: self.subject() }
    }
}

impl Api {
    /// A device that the caller may do this to.
    fn device_of(&self, caller: &Caller, device: DeviceId, action: Action) -> Answer<std::sync::Arc<DeviceRecord>> {
        caller.ever(action)?;
        let record = self.devices.of_tenant(caller.tenant(), device).ok_or(ErrorCode::NotFound)?;
        caller.may(action, &Object { gym: Some(record.gym), ..caller.of_tenant() })?;
        Ok(record)
    }
}

/// Gives out a code that enrols the device of a gateway or machine, once. Redeeming it ends the device that was there before.
#[utoipa::path(post, path = "/v1/enrolments", tag = "devices", request_body = NewEnrolment, responses((status = 200, body = Code)),
    extensions(("x-right" = json!("http.device.write"))))]
async fn offer(State(api): State<Api>, caller: Caller, Body(asked): Body<NewEnrolment>) -> Answer<Response> {
    api.gym_of(&caller, asked.gym, Action::HttpDeviceWrite).await?;
    let wrong = |what: &str| ApiError::detailed(ErrorCode::Unprocessable, what);
    let (role, subject) = match (asked.gateway, asked.machine) {
        (Some(gateway), None) => (Role::Gateway, gateway.0),
        (None, Some(machine)) => (Role::Machine, machine.0),
        _ => return Err(wrong("exactly one of gateway and machine")),
    };
    let life_s = asked.life_s.unwrap_or(LIFE_S);
    if !(1..=LIFE_S_MAX).contains(&life_s) {
        return Err(wrong("life_s: 1 to 86400"));
    }
    let (code, at_ms) = (code_of(rand::random()), crate::clock::at_ms());
    let until_at_ms = at_ms + life_s * 1000;
    let offer = Enrolment { code_hash: code_hash(&code), gym: asked.gym, role, subject, name: asked.name, until_at_ms };
    api.ask("offer_enrolment", "enrolments", api.store.offer_enrolment(caller.tenant(), &offer, caller.actor(), at_ms)).await?;
    let mut answer = Json(Code { code: shown_code(&code), until_at_ms }).into_response();
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

/// Enrols a device: its key against a code. Needs no token, only the code.
#[utoipa::path(post, path = "/v1/enrol", tag = "devices", request_body = Enrol, responses((status = 200, body = Enrolled)))]
async fn enrol(State(api): State<Api>, _newcomer: Newcomer, Body(asked): Body<Enrol>) -> Answer<Json<Enrolled>> {
    let code = canonical_code(&asked.code).ok_or(ErrorCode::EnrolmentCodeWrong)?;
    let key: [u8; KEY_BYTES] = asked.key.0.as_slice().try_into().map_err(|_| ErrorCode::ProofWrong)?;
    if !signed_by(&key, &device::enrolment(&code, &key), &asked.signature.0) {
        return Err(ErrorCode::ProofWrong.into());
    }
    let redeem = api.store.redeem(code_hash(&code), key, DeviceId(Uuid::now_v7()), crate::clock::at_ms());
    let timer = api.metrics.database("redeem", "enrolments");
    let redeemed = redeem.await.map_err(|error| match error {
        StoreError::NotFound { .. } => ErrorCode::EnrolmentCodeWrong.into(),
        StoreError::Conflict { .. } => ErrorCode::KeyTaken.into(),
        error => ApiError::from(error),
    });
    drop(timer);
    let redeemed = redeemed?;
    for old in &redeemed.replaced {
        if let Some(record) = api.devices.of_tenant(redeemed.device.tenant, *old) {
            let revoked = DeviceRecord { revoked_at_ms: Some(redeemed.device.enrolled_at_ms), ..(*record).clone() };
            api.devices.end(revoked, CloseReason::DeviceRevoked);
        }
    }
    let DeviceRecord { device, tenant, gym, role, subject, .. } = redeemed.device;
    api.devices.put(redeemed.device);
    tracing::info!(device.id = %device, "a device was enrolled");
    Ok(Json(Enrolled { device, hub: api.devices.hub(), tenant, gym, role, subject }))
}

/// Devices of a gym, the newest first, those that were revoked too.
#[utoipa::path(get, path = "/v1/devices", tag = "devices", params(OfGym), responses((status = 200, body = [Device])),
    extensions(("x-right" = json!("http.device.read"))))]
async fn list(State(api): State<Api>, caller: Caller, Asked(of): Asked<OfGym>) -> Answer<Json<Vec<Device>>> {
    api.gym_of(&caller, of.gym, Action::HttpDeviceRead).await?;
    let devices = api.ask("devices", "devices", api.store.devices(caller.tenant(), of.gym)).await?;
    Ok(Json(devices.iter().map(Device::from).collect()))
}

/// One device, with what happened to it and to those before it, and who did it.
#[utoipa::path(get, path = "/v1/devices/{device}", tag = "devices", params(("device" = Uuid, Path, description = "The device")),
    responses((status = 200, body = DeviceView)), extensions(("x-right" = json!("http.device.read"))))]
async fn get(State(api): State<Api>, caller: Caller, At(device): At<DeviceId>) -> Answer<Json<DeviceView>> {
    let record = api.device_of(&caller, device, Action::HttpDeviceRead)?;
    let log = api.ask("device_log", "device_log", api.store.device_log(caller.tenant(), record.subject)).await?;
    Ok(Json(DeviceView { device: Device::from(&*record), log: log.into_iter().map(DeviceLogEntry::from).collect() }))
}

/// Revokes a device for good and closes its sockets. Revoking it again changes nothing.
#[utoipa::path(post, path = "/v1/devices/{device}/revoke", tag = "devices", params(("device" = Uuid, Path, description = "The device")),
    responses((status = 200, body = DeviceRevoked)), extensions(("x-right" = json!("http.device.write"))))]
async fn revoke(State(api): State<Api>, caller: Caller, At(device): At<DeviceId>) -> Answer<Json<DeviceRevoked>> {
    let record = mark(&api, &caller, device, DeviceDeed::Revoked).await?;
    let closed = api.devices.end(record, CloseReason::DeviceRevoked);
    tracing::info!(device.id = %device, sessions.closed = closed, "a device was revoked");
    Ok(Json(DeviceRevoked { closed }))
}

/// Lets a device in again whose key was seen on two sockets: somebody looked, and it is in one place.
#[utoipa::path(post, path = "/v1/devices/{device}/clear", tag = "devices", params(("device" = Uuid, Path, description = "The device")),
    responses((status = 200, body = super::Done)), extensions(("x-right" = json!("http.device.write"))))]
async fn clear(State(api): State<Api>, caller: Caller, At(device): At<DeviceId>) -> Answer<Json<super::Done>> {
    mark(&api, &caller, device, DeviceDeed::Cleared).await?;
    api.devices.clear(device);
    tracing::info!(device.id = %device, "a device was cleared");
    Ok(Json(super::Done::YES))
}

async fn mark(api: &Api, caller: &Caller, device: DeviceId, deed: DeviceDeed) -> Answer<DeviceRecord> {
    api.device_of(caller, device, Action::HttpDeviceWrite)?;
    let marked = api.store.mark_device(caller.tenant(), device, deed, Some(caller.actor()), crate::clock::at_ms());
    api.ask("mark_device", "devices", marked).await
}
