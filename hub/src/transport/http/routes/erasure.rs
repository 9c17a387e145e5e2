//! The long run of one member: their days, everything that is kept of them, and its end.

use axum::Json;
use axum::extract::State;
use protocol::frame::Totals;
use protocol::{BoardId, ErrorCode, GymId, MachineId, MemberId, TenantId, WorkoutId};
use room::Input;
use room::rights::Action;
use serde::{Deserialize, Serialize};
use storage::{ClaimRecord, DayRecord, Page, Revocation, ScoreRecord, TimeQuery};
use tokio::time::{Duration, Instant, sleep};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::Api;
use super::super::answer::{Answer, ApiError};
use super::super::caller::Caller;
use super::super::extract::{Asked, At};
use super::members::Member;
use super::operation::{EventOut, TOKEN_LIFE_MS};
use super::training::{Visit, WorkoutView};
use crate::auth::Revoked;

/// Rooms are given so long to end what the member does; what is still under way then is refused when it comes.
const ENDING_MAX: Duration = Duration::from_secs(3);
/// Workouts in one page of an export.
const EXPORT_PAGE: u32 = 100;
/// Events in one page of an export.
const EXPORT_EVENTS: u32 = 1_000;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_days)).routes(routes!(export)).routes(routes!(erase))
}

/// Which days.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct DayPage {
    /// From this day on, in the gym's time zone.
    #[param(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", required = false)]
    from: Option<String>,
    /// Before this day.
    #[param(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", required = false)]
    to: Option<String>,
}

/// What a member did in a gym on one of its days.
#[derive(Debug, Serialize, ToSchema)]
struct Day {
    #[schema(value_type = Uuid)]
    gym: GymId,
    /// `YYYY-MM-DD` in the gym's time zone.
    day: String,
    /// Sealed workouts that began on it.
    workouts: u32,
    /// Their totals together.
    #[schema(value_type = Object)]
    totals: Totals,
}

impl From<DayRecord> for Day {
    fn from(DayRecord { gym, day, workouts, totals }: DayRecord) -> Self {
        Self { gym, day, workouts, totals }
    }
}

fn day_checked(day: Option<&str>) -> Answer<()> {
    let Some(day) = day else { return Ok(()) };
    let is_day = day.len() == 10
        && day.bytes().enumerate().all(|(place, byte)| if place == 4 || place == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    if is_day { Ok(()) } else { Err(ApiError::detailed(ErrorCode::Malformed, "from, to: a day such as 2026-11-21")) }
}

/// A member's days in order, at most 1,000.
#[utoipa::path(get, path = "/v1/members/{member}/days", tag = "training", params(("member" = Uuid, Path, description = "The member"), DayPage),
    responses((status = 200, body = [Day])), extensions(("x-right" = json!("http.workout.read"))))]
async fn list_days(
    State(api): State<Api>,
    caller: Caller,
    At(member): At<MemberId>,
    Asked(asked): Asked<DayPage>,
) -> Answer<Json<Vec<Day>>> {
    api.member_of(&caller, member, Action::HttpWorkoutRead).await?;
    day_checked(asked.from.as_deref())?;
    day_checked(asked.to.as_deref())?;
    let days = api.store.days(caller.tenant(), member, asked.from.as_deref(), asked.to.as_deref());
    Ok(Json(api.ask("days", "days", days).await?.into_iter().map(Day::from).collect()))
}

/// Which page of an export.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ExportPage {
    /// `next` of the page before.
    #[param(pattern = "^[0-9]{1,13}\\.[0-9a-f-]{36}\\.[0-9]{1,19}$", required = false)]
    after: Option<String>,
}

/// Training and what follows from it.
#[derive(Debug, Serialize, ToSchema)]
struct HealthData {
    /// Workouts with ranges and sets; their readings by `/v1/workouts/{workout}/samples`.
    workouts: Vec<WorkoutView>,
    /// Stays in gyms. On the first page.
    visits: Vec<Visit>,
    /// Days. On the first page.
    days: Vec<Day>,
    /// Machines they held, for the workouts of this page.
    claims: Vec<Held>,
    /// What boards counted of the workouts of this page.
    board_scores: Vec<Counted>,
}

/// A machine that a member held.
#[derive(Debug, Serialize, ToSchema)]
struct Held {
    #[schema(value_type = Uuid)]
    machine: MachineId,
    #[schema(value_type = Uuid)]
    workout: WorkoutId,
    /// Since when, UTC.
    granted_at_ms: i64,
    /// Until when, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    ended_at_ms: Option<i64>,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    reason: Option<String>,
}

impl From<ClaimRecord> for Held {
    fn from(ClaimRecord { machine, workout, granted_at_ms, ended_at_ms, reason }: ClaimRecord) -> Self {
        Self { machine, workout, granted_at_ms, ended_at_ms, reason }
    }
}

/// What a board counted of a workout.
#[derive(Debug, Serialize, ToSchema)]
struct Counted {
    #[schema(value_type = Uuid)]
    board: BoardId,
    #[schema(value_type = Uuid)]
    workout: WorkoutId,
    /// What the workout had before it counted.
    base: u32,
    /// What it came to, once that is settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    score: Option<u32>,
}

impl From<ScoreRecord> for Counted {
    fn from(ScoreRecord { board, workout, base, score }: ScoreRecord) -> Self {
        Self { board, workout, base, score }
    }
}

/// Everything that is kept of a member, by pages of 100 workouts and 1,000 events.
#[derive(Debug, Serialize, ToSchema)]
struct Export {
    /// Of this shape.
    format_version: u32,
    /// When, UTC.
    exported_at: i64,
    /// Who they are to us.
    personal_data: Member,
    health_data: HealthData,
    /// Events that concern them, newest first.
    events: Vec<EventOut>,
    /// Give it as `after`; not there at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    next: Option<String>,
}

/// Everything that is kept of a member.
#[utoipa::path(get, path = "/v1/members/{member}/export", tag = "people", params(("member" = Uuid, Path, description = "The member"), ExportPage),
    responses((status = 200, body = Export)), extensions(("x-right" = json!("http.member.export"))))]
async fn export(State(api): State<Api>, caller: Caller, At(member): At<MemberId>, Asked(asked): Asked<ExportPage>) -> Answer<Json<Export>> {
    let record = api.member_of(&caller, member, Action::HttpMemberExport).await?;
    let tenant = caller.tenant();
    let before = asked.after.as_deref().map(cursor).transpose()?;
    let (before, events_before) = before.unzip();
    let query = TimeQuery { member: Some(member), before, limit: EXPORT_PAGE, ..TimeQuery::default() };
    let page = api.ask("workouts", "workouts", api.store.workouts(tenant, query)).await?;
    let ids: Vec<WorkoutId> = page.items.iter().map(|workout| workout.workout).collect();
    let claims = api.ask("claims", "claims", api.store.claims_of(tenant, member, &ids)).await?;
    let scores = api.ask("board_scores", "board_scores", api.store.scores_of(tenant, member, &ids)).await?;
    let mut workouts = Vec::new();
    for workout in page.items {
        let found = api.ask("workout", "workouts", api.store.workout(tenant, workout.workout)).await?;
        workouts.extend(found.map(WorkoutView::from));
    }
    let (mut visits, mut days) = (Vec::new(), Vec::new());
    if before.is_none() {
        visits = api.visits_of(tenant, member).await?;
        days = api.ask("days", "days", api.store.all_days(tenant, member)).await?.into_iter().map(Day::from).collect();
    }
    let found = api.store.member_events(tenant, member, events_before, EXPORT_EVENTS);
    let events = api.ask("member_events", "events", found).await?;
    let more_events = events.last().filter(|_| events.len() == EXPORT_EVENTS as usize).map(|last| last.cursor);
    let next = next_of(page.next, more_events);
    let events = events.into_iter().map(|record| EventOut::of(tenant, record)).collect();
    Ok(Json(Export {
        format_version: 1,
        exported_at: crate::clock::at_ms(),
        personal_data: record.into(),
        health_data: HealthData {
            workouts,
            visits,
            days,
            claims: claims.into_iter().map(Held::from).collect(),
            board_scores: scores.into_iter().map(Counted::from).collect(),
        },
        events,
        next,
    }))
}

/// The last workout and the last event of a page: `at_ms.id.cursor`. Of what is all given away the beginning of time, before which there is nothing.
fn next_of(workout: Option<(i64, Uuid)>, event: Option<i64>) -> Option<String> {
    if workout.is_none() && event.is_none() {
        return None;
    }
    let (at_ms, id) = workout.unwrap_or((0, Uuid::nil()));
    Some(format!("{at_ms}.{id}.{}", event.unwrap_or(0)))
}

/// The last workout and the last event, as [`next_of`] gave them.
fn cursor(text: &str) -> Answer<((i64, Uuid), i64)> {
    let read = || {
        let (at_ms, rest) = text.split_once('.')?;
        let (id, event) = rest.split_once('.')?;
        let event: i64 = event.parse().ok().filter(|event| *event >= 0)?;
        Some(((at_ms.parse().ok()?, id.parse().ok()?), event))
    };
    read().ok_or_else(|| ApiError::detailed(ErrorCode::Malformed, "after: give `next` of the page before"))
}

impl Api {
    async fn visits_of(&self, tenant: TenantId, member: MemberId) -> Answer<Vec<Visit>> {
        let mut visits = Vec::new();
        let mut query = TimeQuery { member: Some(member), limit: 500, ..TimeQuery::default() };
        loop {
            let Page { items, next } = self.ask("visits", "visits", self.store.visits(tenant, query)).await?;
            visits.extend(items.into_iter().map(Visit::from));
            if next.is_none() {
                return Ok(visits);
            }
            query.before = next;
        }
    }

    /// Closes the member's sockets and has rooms end and forget what they do; waits a moment for it to be written.
    async fn end_all_of(&self, tenant: TenantId, member: MemberId) -> Answer<()> {
        let now_ms = crate::clock::at_ms();
        let revocation = Revocation { tenant, revoked: storage::Revoked::Subject(member.0, now_ms), until_at_ms: now_ms + TOKEN_LIFE_MS };
        self.ask("revoke", "revocations", self.store.revoke(&revocation)).await?;
        self.hub
            .revoke(tenant, &Revoked::Subject(member.0, now_ms), revocation.until_at_ms)
            .map_err(|error| ApiError::detailed(ErrorCode::Overloaded, error.to_string()))?;
        for (gym, place) in self.registry.gyms() {
            if place.tenant == tenant {
                self.to_gym(gym, Input::MemberErased { member });
            }
        }
        self.registry.forget_member(tenant, member);
        let until = Instant::now() + ENDING_MAX;
        while Instant::now() < until && self.ask("trains_now", "workouts", self.store.trains_now(tenant, member)).await? {
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

/// What an erasure took away.
#[derive(Debug, Serialize, ToSchema)]
struct ErasedAnswer {
    /// Rows by table; `packed_again` are chunks that were made anew without the member.
    rows: std::collections::BTreeMap<String, u64>,
}

/// Erases a member: their sockets close, and they are gone from every table at once and from the files within a minute. It cannot be undone, and nothing
/// that comes later brings them back. What is cut after it was begun, by a crash too, the hub finishes by itself; asked for again it does so at once.
#[utoipa::path(delete, path = "/v1/members/{member}", tag = "people", params(("member" = Uuid, Path, description = "The member")),
    responses((status = 200, body = ErasedAnswer)), extensions(("x-right" = json!("http.member.erase"))))]
async fn erase(State(api): State<Api>, caller: Caller, At(member): At<MemberId>) -> Answer<Json<ErasedAnswer>> {
    caller.may(Action::HttpMemberErase, &caller.of_tenant())?;
    let tenant = caller.tenant();
    if api.ask("member", "members", api.store.member(tenant, member)).await?.is_some() {
        api.end_all_of(tenant, member).await?;
    }
    let erase = api.store.erase_member(tenant, member, Some(caller.subject()), crate::clock::at_ms());
    let gone = api.ask("erase_member", "members", erase).await?;
    api.registry.forget_member(tenant, member);
    let (store, stopped) = (api.store.clone(), api.tasks.stopped());
    api.tasks.spawn("scrub", async move {
        stopped.run_until_cancelled(crate::erasures::scrub(&store)).await;
    });
    Ok(Json(ErasedAnswer { rows: gone.into_iter().map(|(table, rows)| (table.to_owned(), rows)).collect() }))
}
