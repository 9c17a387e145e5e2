//! Machines: provisioning, state now, stickers.

use std::collections::{HashMap, HashSet};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use protocol::frame::{FloorMachine, MachineKind, OpenTicket};
use protocol::text::Text;
use protocol::{ErrorCode, GatewayId, GymId, MachineId, TenantId};
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use room::rights::{Action, Object, is_staff_of};
use serde::{Deserialize, Serialize};
use storage::{MachineRecord, MachineSeed, Store, StoreError};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::answer::{Answer, ApiError};
use super::super::bulk::{self, Many, Record, Results};
use super::super::caller::Caller;
use super::super::extract::{Asked, At, Body};
use super::super::{Api, schema};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_machines, put_machines))
        .routes(routes!(get_machine, delete_machine))
        .routes(routes!(get_sticker))
        .routes(routes!(get_code))
}

/// A piece of equipment, as provisioned.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
struct Machine {
    /// Drawn by whoever provisions it; it is on the sticker.
    #[schema(value_type = Uuid)]
    machine: MachineId,
    /// Its gym.
    #[schema(value_type = Uuid)]
    gym: GymId,
    /// Name on its sticker.
    #[schema(value_type = String, min_length = 1, max_length = 48)]
    name: Text<48>,
    /// Kind.
    #[schema(schema_with = schema::machine_kind)]
    kind: MachineKind,
    /// Where it stands.
    #[serde(default)]
    #[schema(value_type = String, max_length = 48, required = false)]
    location: Text<48>,
    /// The gateway that may publish it; none until one is bound.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>, required = false)]
    gateway: Option<GatewayId>,
    /// Whether a motor moves it: a sticker then never controls it.
    #[serde(default)]
    #[schema(required = false)]
    powered: bool,
}

/// A machine as it is.
#[derive(Debug, Serialize, ToSchema)]
struct MachineView {
    /// As provisioned.
    #[serde(flatten)]
    machine: Machine,
    /// Whether its maintenance log is open.
    maintenance: bool,
    /// Whether a member holds it.
    held: bool,
    /// Open fault tickets; for whoever may read them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = tickets, required = false)]
    tickets: Option<Vec<OpenTicket>>,
    /// The one-time code on its screen now, for staff of its gym who help a member; of one machine only, not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 16, required = false)]
    code: Option<Text<16>>,
    /// State and latest values as on the floor; not there while its shard does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::floor_machine, required = false)]
    live: Option<FloorMachine>,
}

fn tickets() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    utoipa::openapi::schema::ArrayBuilder::new().items(schema::open_ticket()).build().into()
}

/// Whose machines.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct OfGym {
    /// The gym.
    #[param(value_type = Uuid)]
    gym: GymId,
}

impl From<MachineRecord> for Machine {
    fn from(record: MachineRecord) -> Self {
        let MachineRecord { machine, gym, name, kind, location, gateway, powered } = record;
        Self { machine, gym, name, kind, location, gateway, powered }
    }
}

impl Machine {
    fn checked(self) -> Result<MachineRecord, (Uuid, ApiError)> {
        if self.name.is_empty() {
            return Err((self.machine.0, ApiError::detailed(ErrorCode::Unprocessable, "name: at least one character")));
        }
        let Self { machine, gym, name, kind, location, gateway, powered } = self;
        Ok(MachineRecord { machine, gym, name, kind, location, gateway, powered })
    }
}

impl Record for MachineRecord {
    const ASKS: (&'static str, &'static str) = ("put_machines", "machines");
    fn id(&self) -> Uuid {
        self.machine.0
    }
    async fn put(store: &Store, tenant: TenantId, records: &[Self]) -> Result<(), StoreError> {
        store.put_machines(tenant, records).await
    }
}

/// Creates or changes machines. Rooms know them at once.
#[utoipa::path(put, path = "/v1/machines", tag = "gyms", request_body = Many<Machine>, responses((status = 200, body = Results)),
    extensions(("x-right" = json!("http.machine.write"))))]
async fn put_machines(State(api): State<Api>, caller: Caller, Body(many): Body<Many<Machine>>) -> Answer<Json<Results>> {
    caller.may(Action::HttpMachineWrite, &caller.of_tenant())?;
    let machines = many.checked()?.into_iter().map(Machine::checked).collect();
    let (results, stored) = bulk::put(&api, caller.tenant(), machines).await?;
    let changed: HashSet<MachineId> = stored.iter().map(|machine| machine.machine).collect();
    let gyms: HashSet<GymId> = stored.iter().map(|machine| machine.gym).collect();
    for gym in gyms {
        let seeds = api.ask("machines", "machines", api.store.machines(caller.tenant(), gym)).await?;
        for seed in seeds.into_iter().filter(|seed| changed.contains(&seed.record.machine)) {
            api.tell(seed);
        }
    }
    Ok(Json(results))
}

impl Api {
    /// Tells a machine's room what the store knows of it.
    pub(super) fn tell(&self, seed: MachineSeed) {
        let MachineSeed { record, maintenance, tickets, claim, may_control, fence } = seed;
        let gym = record.gym;
        let (machine, name, location, kind, gateway) = (record.machine, record.name, record.location, record.kind, record.gateway);
        // A machine that moved to another gym is taken out of the old one first.
        if self.registry.machine(machine).is_some_and(|place| place.gym != gym) {
            self.remove_machine(machine);
        }
        self.add_machine(
            gym,
            room::input::MachineRecord { machine, name, location, kind, gateway, maintenance, tickets, claim, may_control, fence },
        );
    }

    /// Reads a machine again and tells its room.
    pub(super) async fn tell_again(&self, tenant: TenantId, machine: MachineId) -> Answer<()> {
        if let Some(seed) = self.ask("machine", "machines", self.store.machine(tenant, machine)).await? {
            self.tell(seed);
        }
        Ok(())
    }

    /// A machine that the caller may do this to.
    pub(super) async fn machine_of(&self, caller: &Caller, machine: MachineId, action: Action) -> Answer<MachineSeed> {
        caller.ever(action)?;
        let found = self.ask("machine", "machines", self.store.machine(caller.tenant(), machine)).await?;
        let seed = found.ok_or(ErrorCode::NoSuchMachine)?;
        caller.may(action, &object_of(caller, &seed))?;
        Ok(seed)
    }

    /// What a caller sees of machines of one gym.
    async fn views(&self, caller: &Caller, gym: GymId, seeds: Vec<MachineSeed>) -> Vec<MachineView> {
        let floor = self.floor(caller.tenant(), gym).await;
        let mut live: HashMap<MachineId, FloorMachine> =
            floor.into_iter().flat_map(|floor| floor.machines).map(|machine| (machine.machine, machine)).collect();
        seeds
            .into_iter()
            .map(|seed| {
                let live = live.remove(&seed.record.machine);
                view(caller, seed, live)
            })
            .collect()
    }
}

fn object_of<'a>(caller: &Caller, seed: &MachineSeed) -> Object<'a> {
    let record = &seed.record;
    Object {
        gym: Some(record.gym),
        machine: Some(record.machine),
        gateway: record.gateway,
        holder: seed.claim.map(|claim| claim.member),
        ..caller.of_tenant()
    }
}

fn view(caller: &Caller, seed: MachineSeed, live: Option<FloorMachine>) -> MachineView {
    let tickets = caller.may(Action::HttpTicketRead, &object_of(caller, &seed)).is_ok().then_some(seed.tickets);
    MachineView { maintenance: seed.maintenance, held: seed.claim.is_some(), tickets, code: None, live, machine: seed.record.into() }
}

/// Machines of a gym with their state now.
#[utoipa::path(get, path = "/v1/machines", tag = "gyms", params(OfGym), responses((status = 200, body = [MachineView])),
    extensions(("x-right" = json!("http.machine.read"))))]
async fn list_machines(State(api): State<Api>, caller: Caller, Asked(of): Asked<OfGym>) -> Answer<Json<Vec<MachineView>>> {
    api.gym_of(&caller, of.gym, Action::HttpMachineRead).await?;
    let seeds = api.ask("machines", "machines", api.store.machines(caller.tenant(), of.gym)).await?;
    Ok(Json(api.views(&caller, of.gym, seeds).await))
}

/// One machine with its state now.
#[utoipa::path(get, path = "/v1/machines/{machine}", tag = "gyms", params(("machine" = Uuid, Path, description = "The machine")),
    responses((status = 200, body = MachineView)), extensions(("x-right" = json!("http.machine.read"))))]
async fn get_machine(State(api): State<Api>, caller: Caller, At(machine): At<MachineId>) -> Answer<Json<MachineView>> {
    let seed = api.machine_of(&caller, machine, Action::HttpMachineRead).await?;
    let gym = seed.record.gym;
    let view = api.views(&caller, gym, vec![seed]).await.pop();
    let mut view = view.ok_or(ErrorCode::NoSuchMachine)?;
    if is_staff_of(caller.viewer(), gym) {
        view.code = api.screen_code(caller.tenant(), gym, machine).await;
    }
    Ok(Json(view))
}

/// Takes a machine out of its gym; what it recorded stays.
#[utoipa::path(delete, path = "/v1/machines/{machine}", tag = "gyms", params(("machine" = Uuid, Path, description = "The machine")),
    responses((status = 200, body = super::Done)), extensions(("x-right" = json!("http.machine.write"))))]
async fn delete_machine(State(api): State<Api>, caller: Caller, At(machine): At<MachineId>) -> Answer<Json<super::Done>> {
    caller.may(Action::HttpMachineWrite, &caller.of_tenant())?;
    api.ask("remove_machine", "machines", api.store.remove_machine(caller.tenant(), machine, crate::clock::at_ms())).await?;
    api.remove_machine(machine);
    Ok(Json(super::Done::YES))
}

/// The sticker of a machine as a QR code: a link that a camera opens and the phone page takes for a claim.
#[utoipa::path(get, path = "/v1/machines/{machine}/sticker.svg", tag = "gyms", params(("machine" = Uuid, Path, description = "The machine")),
    responses((status = 200, body = String, content_type = "image/svg+xml")), extensions(("x-right" = json!("http.machine.sticker"))))]
async fn get_sticker(
    State(api): State<Api>,
    caller: Caller,
    At(machine): At<MachineId>,
    headers: axum::http::HeaderMap,
) -> Answer<Response> {
    let seed = api.machine_of(&caller, machine, Action::HttpMachineSticker).await?;
    // Printed stickers live for years: the best error correction, and the machine's id in the link itself.
    svg_of(&format!("{}/phone#machine={}", own_origin(&api, &headers), seed.record.machine), EcLevel::H)
}

/// Which code.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct OfCode {
    /// The one-time code, as the hub told it to the machine with `show_code`.
    #[param(value_type = String, pattern = "^[0-9]{6}$")]
    code: String,
}

/// A one-time code as a QR code, for a machine whose screen can show a picture.
#[utoipa::path(get, path = "/v1/machines/{machine}/code.svg", tag = "gyms", params(("machine" = Uuid, Path, description = "The machine"), OfCode),
    responses((status = 200, body = String, content_type = "image/svg+xml")), extensions(("x-right" = json!("http.machine.code"))))]
async fn get_code(
    State(api): State<Api>,
    caller: Caller,
    At(machine): At<MachineId>,
    Asked(of): Asked<OfCode>,
    headers: axum::http::HeaderMap,
) -> Answer<Response> {
    api.machine_of(&caller, machine, Action::HttpMachineCode).await?;
    if of.code.len() != 6 || !of.code.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ApiError::detailed(ErrorCode::Malformed, "code: six digits"));
    }
    svg_of(&format!("{}/phone#code={}", own_origin(&api, &headers), of.code), EcLevel::M)
}

/// The origin that this request came to, so that a link leads back here. Anything but a plain host is left out.
fn own_origin(api: &Api, headers: &axum::http::HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if host.is_empty() || !host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c)) {
        return String::new();
    }
    let secure = api.config.listen.tls.is_some() || headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    format!("{}://{host}", if secure { "https" } else { "http" })
}

fn svg_of(text: &str, level: EcLevel) -> Answer<Response> {
    let code = QrCode::with_error_correction_level(text, level).map_err(|_| ErrorCode::Internal)?;
    let svg = code.render::<svg::Color<'_>>().min_dimensions(256, 256).build();
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"))], svg).into_response())
}
