//! Maintenance logs and fault tickets: what is broken is the first thing that an operator sees.

use axum::Json;
use axum::extract::State;
use protocol::frame::OpenTicket;
use protocol::text::Text;
use protocol::{ErrorCode, GymId, MachineId, TicketId};
use room::rights::{Action, Object};
use serde::{Deserialize, Serialize};
use storage::{MaintenanceEntry, TicketClose, TicketRecord};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::answer::{Answer, ApiError};
use super::super::caller::Caller;
use super::super::extract::{Asked, At, Body};
use super::super::{Api, schema};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get_log, append_log)).routes(routes!(list_tickets)).routes(routes!(close_ticket))
}

/// One entry of a maintenance log.
#[derive(Debug, Serialize, ToSchema)]
struct LogEntry {
    /// Whether the machine is out of use from here on.
    open: bool,
    /// What was done.
    #[schema(value_type = String, max_length = 256)]
    text: Text<256>,
    /// Who; not there for the machine itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    by: Option<Uuid>,
    /// When, UTC.
    at_ms: i64,
}

/// Something to append.
#[derive(Debug, Deserialize, ToSchema)]
struct NewEntry {
    /// True takes the machine out of use, false gives it back.
    open: bool,
    /// What was done.
    #[schema(value_type = String, min_length = 1, max_length = 256)]
    text: Text<256>,
}

/// A machine's maintenance log, newest first.
#[utoipa::path(get, path = "/v1/machines/{machine}/maintenance", tag = "gyms", params(("machine" = Uuid, Path, description = "The machine")),
    responses((status = 200, body = [LogEntry])), extensions(("x-right" = json!("http.maintenance.read"))))]
async fn get_log(State(api): State<Api>, caller: Caller, At(machine): At<MachineId>) -> Answer<Json<Vec<LogEntry>>> {
    api.machine_of(&caller, machine, Action::HttpMaintenanceRead).await?;
    let log = api.ask("maintenance_log", "maintenance", api.store.maintenance_log(caller.tenant(), machine)).await?;
    Ok(Json(log.into_iter().map(|MaintenanceEntry { open, text, by, at_ms }| LogEntry { open, text, by, at_ms }).collect()))
}

/// Appends to a maintenance log. Nothing is ever changed or taken out of it.
#[utoipa::path(post, path = "/v1/machines/{machine}/maintenance", tag = "gyms", params(("machine" = Uuid, Path, description = "The machine")),
    request_body = NewEntry, responses((status = 200, body = super::Done)), extensions(("x-right" = json!("http.maintenance.write"))))]
async fn append_log(
    State(api): State<Api>,
    caller: Caller,
    At(machine): At<MachineId>,
    Body(entry): Body<NewEntry>,
) -> Answer<Json<super::Done>> {
    api.machine_of(&caller, machine, Action::HttpMaintenanceWrite).await?;
    if entry.text.is_empty() {
        return Err(ApiError::detailed(ErrorCode::Unprocessable, "text: at least one character"));
    }
    let entry = MaintenanceEntry { open: entry.open, text: entry.text, by: Some(caller.subject()), at_ms: crate::clock::at_ms() };
    api.ask("log_maintenance", "maintenance", api.store.log_maintenance(caller.tenant(), machine, &entry)).await?;
    api.tell_again(caller.tenant(), machine).await?;
    Ok(Json(super::Done::YES))
}

/// A fault ticket.
#[derive(Debug, Serialize, ToSchema)]
struct Ticket {
    /// The machine.
    #[schema(value_type = Uuid)]
    machine: MachineId,
    /// Id, severity, code and text, since when.
    #[schema(schema_with = schema::open_ticket)]
    ticket: OpenTicket,
    /// When it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    closed_at_ms: Option<i64>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    closed_by: Option<Uuid>,
}

impl From<TicketRecord> for Ticket {
    fn from(record: TicketRecord) -> Self {
        let TicketRecord { machine, ticket, closed_at_ms, closed_by } = record;
        Self { machine, ticket, closed_at_ms, closed_by }
    }
}

/// Whose tickets.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct OfGym {
    /// The gym.
    #[param(value_type = Uuid)]
    gym: GymId,
}

/// Tickets of a gym: the open ones first, then the newest.
#[utoipa::path(get, path = "/v1/tickets", tag = "gyms", params(OfGym), responses((status = 200, body = [Ticket])),
    extensions(("x-right" = json!("http.ticket.read"))))]
async fn list_tickets(State(api): State<Api>, caller: Caller, Asked(of): Asked<OfGym>) -> Answer<Json<Vec<Ticket>>> {
    api.gym_of(&caller, of.gym, Action::HttpTicketRead).await?;
    let tickets = api.ask("tickets", "tickets", api.store.tickets(caller.tenant(), of.gym)).await?;
    Ok(Json(tickets.into_iter().map(Ticket::from).collect()))
}

/// Closes a ticket. Closing it again changes nothing.
#[utoipa::path(post, path = "/v1/tickets/{ticket}/close", tag = "gyms", params(("ticket" = Uuid, Path, description = "The ticket")),
    responses((status = 200, body = Ticket)), extensions(("x-right" = json!("http.ticket.write"))))]
async fn close_ticket(State(api): State<Api>, caller: Caller, At(ticket): At<TicketId>) -> Answer<Json<Ticket>> {
    caller.ever(Action::HttpTicketWrite)?;
    api.ticket_seen(&caller, ticket).await?;
    let close = TicketClose { ticket, by: caller.subject(), at_ms: crate::clock::at_ms() };
    let closed = api.ask("close_ticket", "tickets", api.store.close_ticket(caller.tenant(), close)).await?;
    api.tell_again(caller.tenant(), closed.machine).await?;
    Ok(Json(closed.into()))
}

impl Api {
    /// Finds a ticket in the gyms whose tickets the caller may close.
    async fn ticket_seen(&self, caller: &Caller, ticket: TicketId) -> Answer<()> {
        let gyms = self.ask("gyms", "gyms", self.store.gyms(caller.tenant())).await?;
        let mine = |gym: &GymId| caller.may(Action::HttpTicketWrite, &Object { gym: Some(*gym), ..caller.of_tenant() }).is_ok();
        for gym in gyms.into_iter().map(|gym| gym.gym).filter(mine) {
            let tickets = self.ask("tickets", "tickets", self.store.tickets(caller.tenant(), gym)).await?;
            if tickets.iter().any(|found| found.ticket.ticket == ticket) {
                return Ok(());
            }
        }
        Err(ErrorCode::NotFound.into())
    }
}
