//! Visits, workouts and samples, as they are stored.

use axum::Json;
use axum::extract::State;
use protocol::frame::{SetDetail, Totals};
use protocol::{ErrorCode, GymId, MachineId, MemberId, VisitId, WorkoutId};
use room::rights::{Action, Object};
use serde::{Deserialize, Serialize};
use storage::{
    Bucket, LoggedSet, SampleCursor, SampleQuery, SampleRecord, SetRecord, SourceKey, TimeQuery, VisitRecord, WorkoutDetail, WorkoutRecord,
};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::answer::{Answer, ApiError};
use super::super::caller::Caller;
use super::super::extract::{Asked, At};
use super::super::{Api, schema};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_visits))
        .routes(routes!(list_workouts))
        .routes(routes!(get_workout))
        .routes(routes!(get_samples))
}

/// Which visits or workouts.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct TimePage {
    /// Of this member; a member who names nobody asks for their own.
    #[param(value_type = Option<Uuid>, required = false)]
    member: Option<MemberId>,
    /// Of this gym.
    #[param(value_type = Option<Uuid>, required = false)]
    gym: Option<GymId>,
    /// Begun at this time or later, UTC.
    #[param(minimum = 0, maximum = 9999999999999i64, required = false)]
    from_ms: Option<i64>,
    /// Begun before this time, UTC.
    #[param(minimum = 0, maximum = 9999999999999i64, required = false)]
    to_ms: Option<i64>,
    /// `next` of the page before.
    #[param(pattern = "^[0-9]{1,13}:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", required = false)]
    before: Option<String>,
    /// How many.
    #[param(minimum = 1, maximum = 500, default = 50, required = false)]
    limit: Option<u32>,
}

impl TimePage {
    fn query(&self, member: Option<MemberId>) -> Answer<TimeQuery> {
        within_time(self.from_ms, self.to_ms)?;
        let before = self.before.as_deref().map(cursor).transpose()?;
        let limit = super::limit_of(self.limit, 50, 500)?;
        Ok(TimeQuery { gym: self.gym, member, from_at_ms: self.from_ms, to_at_ms: self.to_ms, before, limit })
    }
}

/// Times that a calendar has; the document says the same.
fn within_time(from_ms: Option<i64>, to_ms: Option<i64>) -> Answer<()> {
    let good = |ms: Option<i64>| ms.is_none_or(|ms| (0..=9_999_999_999_999).contains(&ms));
    if good(from_ms) && good(to_ms) { Ok(()) } else { Err(ApiError::detailed(ErrorCode::Malformed, "from_ms, to_ms: 0 to 9999999999999")) }
}

/// `ms:uuid`, as `next` gave it.
fn cursor(text: &str) -> Answer<(i64, Uuid)> {
    let wrong = || ApiError::detailed(ErrorCode::Malformed, "before: give `next` of the page before");
    let (at_ms, id) = text.split_once(':').ok_or_else(wrong)?;
    Ok((at_ms.parse().map_err(|_| wrong())?, id.parse().map_err(|_| wrong())?))
}

impl Api {
    /// Whether the caller may see these of this member, or of everybody.
    async fn may_list(&self, caller: &Caller, action: Action, member: Option<MemberId>) -> Answer<()> {
        match member {
            Some(member) => self.member_of(caller, member, action).await.map(drop),
            None => caller.may(action, &caller.of_tenant()),
        }
    }
}

/// A page and where the next one begins.
#[derive(Debug, Serialize, ToSchema)]
struct Page<T> {
    /// The things, newest first.
    items: Vec<T>,
    /// Give it as `before`; not there at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    next: Option<String>,
}

fn page<R, T>(found: storage::Page<R>, into: impl Fn(R) -> T) -> Json<Page<T>> {
    let next = found.next.map(|(at_ms, id)| format!("{at_ms}:{id}"));
    Json(Page { items: found.items.into_iter().map(into).collect(), next })
}

/// A member's stay in a gym.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Visit {
    #[schema(value_type = Uuid)]
    visit: VisitId,
    #[schema(value_type = Uuid)]
    gym: GymId,
    #[schema(value_type = Uuid)]
    member: MemberId,
    /// Where it stands.
    #[schema(schema_with = schema::visit_state)]
    state: protocol::frame::VisitState,
    started_at_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    ended_at_ms: Option<i64>,
    /// Machines used.
    #[schema(value_type = Vec<Uuid>)]
    machines: Vec<MachineId>,
}

impl From<VisitRecord> for Visit {
    fn from(record: VisitRecord) -> Self {
        let VisitRecord { visit, gym, member, state, started_at_ms, ended_at_ms, machines } = record;
        Self { visit, gym, member, state, started_at_ms, ended_at_ms, machines }
    }
}

/// Visits, newest first.
#[utoipa::path(get, path = "/v1/visits", tag = "training", params(TimePage), responses((status = 200, body = Page<Visit>)),
    extensions(("x-right" = json!("http.visit.read"))))]
async fn list_visits(State(api): State<Api>, caller: Caller, Asked(asked): Asked<TimePage>) -> Answer<Json<Page<Visit>>> {
    let member = caller.member_asked(asked.member);
    api.may_list(&caller, Action::HttpVisitRead, member).await?;
    let query = asked.query(member)?;
    Ok(page(api.ask("visits", "visits", api.store.visits(caller.tenant(), query)).await?, Visit::from))
}

/// One member's training.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Workout {
    #[schema(value_type = Uuid)]
    workout: WorkoutId,
    #[schema(value_type = Uuid)]
    gym: GymId,
    #[schema(value_type = Uuid)]
    member: MemberId,
    #[schema(value_type = Uuid)]
    visit: VisitId,
    /// Where it stands; `sealed` is final, but for amendments under a higher revision.
    #[schema(schema_with = schema::workout_stage)]
    stage: protocol::frame::WorkoutStage,
    started_at_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    ended_at_ms: Option<i64>,
    /// Revision of the totals; not there until sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    revision: Option<u32>,
    /// The sealed totals.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schema::totals, required = false)]
    totals: Option<Totals>,
}

impl From<WorkoutRecord> for Workout {
    fn from(record: WorkoutRecord) -> Self {
        let WorkoutRecord { workout, gym, member, visit, stage, started_at_ms, ended_at_ms, revision, totals } = record;
        Self { workout, gym, member, visit, stage, started_at_ms, ended_at_ms, revision, totals }
    }
}

/// Workouts, newest first.
#[utoipa::path(get, path = "/v1/workouts", tag = "training", params(TimePage), responses((status = 200, body = Page<Workout>)),
    extensions(("x-right" = json!("http.workout.read"))))]
async fn list_workouts(State(api): State<Api>, caller: Caller, Asked(asked): Asked<TimePage>) -> Answer<Json<Page<Workout>>> {
    let member = caller.member_asked(asked.member);
    api.may_list(&caller, Action::HttpWorkoutRead, member).await?;
    let query = asked.query(member)?;
    Ok(page(api.ask("workouts", "workouts", api.store.workouts(caller.tenant(), query)).await?, Workout::from))
}

/// Whoever numbers readings.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Source {
    /// The machine, unless it is a member's own device.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>, required = false)]
    machine: Option<MachineId>,
    /// Which sensor.
    sensor: String,
}

impl From<&SourceKey> for Source {
    fn from(key: &SourceKey) -> Self {
        Self { machine: key.machine(), sensor: key.sensor().to_string() }
    }
}

/// A stretch of readings that belongs to a workout.
#[derive(Debug, Serialize, ToSchema)]
struct Range {
    source: Source,
    boot: u32,
    from_seq: u32,
    /// Not there while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    to_seq: Option<u32>,
}

/// A set as a machine counted it.
#[derive(Debug, Serialize, ToSchema)]
struct CountedSet {
    source: Source,
    boot: u32,
    seq: u32,
    at_ms: i64,
    #[schema(schema_with = schema::set_detail)]
    set: SetDetail,
}

/// A set as the member logged it.
#[derive(Debug, Serialize, ToSchema)]
struct PhoneSet {
    #[schema(value_type = Uuid)]
    id: protocol::EventId,
    logged_at_ms: i64,
    #[schema(schema_with = schema::set_detail)]
    set: SetDetail,
}

/// A workout with what belongs to it. Where phone and machine disagree about a set, both stand.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WorkoutView {
    #[serde(flatten)]
    workout: Workout,
    ranges: Vec<Range>,
    sets: Vec<CountedSet>,
    logged: Vec<PhoneSet>,
}

impl Api {
    /// Whether the caller may do this to a workout.
    pub(super) async fn workout_of(&self, caller: &Caller, workout: WorkoutId, action: Action) -> Answer<()> {
        caller.ever(action)?;
        let found = self.ask("workout_member", "workouts", self.store.workout_member(caller.tenant(), workout)).await?;
        let member = found.ok_or(ErrorCode::NotFound)?;
        let teams = self.ask("member", "members", self.store.member(caller.tenant(), member)).await?.map(|record| record.teams);
        let object = Object { member: Some(member), teams: teams.as_deref().unwrap_or_default(), ..caller.of_tenant() };
        caller.may(action, &object)
    }
}

/// One workout.
#[utoipa::path(get, path = "/v1/workouts/{workout}", tag = "training", params(("workout" = Uuid, Path, description = "The workout")),
    responses((status = 200, body = WorkoutView)), extensions(("x-right" = json!("http.workout.read"))))]
async fn get_workout(State(api): State<Api>, caller: Caller, At(workout): At<WorkoutId>) -> Answer<Json<WorkoutView>> {
    api.workout_of(&caller, workout, Action::HttpWorkoutRead).await?;
    let found = api.ask("workout", "workouts", api.store.workout(caller.tenant(), workout)).await?;
    Ok(Json(found.ok_or(ErrorCode::NotFound)?.into()))
}

impl From<WorkoutDetail> for WorkoutView {
    fn from(detail: WorkoutDetail) -> Self {
        let range = |range: storage::WorkoutRange| Range {
            source: range.source.as_ref().into(),
            boot: range.boot,
            from_seq: range.from_seq,
            to_seq: (range.to_seq != u32::MAX).then_some(range.to_seq),
        };
        let counted =
            |SetRecord { source, boot, seq, at_ms, set }: SetRecord| CountedSet { source: source.as_ref().into(), boot, seq, at_ms, set };
        let logged = |LoggedSet { id, logged_at_ms, set }: LoggedSet| PhoneSet { id, logged_at_ms, set };
        Self {
            workout: detail.record.into(),
            ranges: detail.ranges.into_iter().map(range).collect(),
            sets: detail.sets.into_iter().map(counted).collect(),
            logged: detail.logged.into_iter().map(logged).collect(),
        }
    }
}

/// Which samples, and how fine.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct SamplePage {
    /// At this time or later, UTC.
    #[param(minimum = 0, maximum = 9999999999999i64, required = false)]
    from_ms: Option<i64>,
    /// Before this time, UTC.
    #[param(minimum = 0, maximum = 9999999999999i64, required = false)]
    to_ms: Option<i64>,
    /// Puts readings together by stretches of so many milliseconds: smallest, mean, largest. Without it readings come as they are, by page.
    #[param(minimum = 1000, maximum = 86400000, required = false)]
    resolution_ms: Option<i64>,
    /// `next` of the page before.
    #[param(pattern = "^[0-9]{1,18}\\.[0-9]{1,9}\\.[0-9]{1,9}$", required = false)]
    after: Option<String>,
    /// How many readings.
    #[param(minimum = 1, maximum = 5000, default = 1000, required = false)]
    limit: Option<u32>,
}

/// One stored reading. Values are integers in FTMS units, as on the wire.
#[derive(Debug, Serialize, ToSchema)]
struct Sample {
    source: Source,
    boot: u32,
    seq: u32,
    /// Anchor of the boot plus device time, UTC.
    at_ms: i64,
    /// The device's own clock.
    dev_ms: i64,
    /// When the hub got it, UTC.
    received_at_ms: i64,
    /// Device time plus the offset estimated then, UTC.
    corrected_at_ms: i64,
    /// Field names and values.
    #[schema(value_type = Object)]
    reading: protocol::Reading,
}

/// One field of a stretch.
#[derive(Debug, Serialize, ToSchema)]
struct Summary {
    /// The field, by its name on the wire.
    field: String,
    min: i32,
    avg: f64,
    max: i32,
}

/// Readings of one source within one stretch.
#[derive(Debug, Serialize, ToSchema)]
struct Stretch {
    source: Source,
    /// Beginning, UTC.
    at_ms: i64,
    /// Readings in it.
    count: u64,
    fields: Vec<Summary>,
}

/// Samples of a workout, as they are or put together.
#[derive(Debug, Serialize, ToSchema)]
struct Samples {
    /// Readings in order of source, boot and seq; without `resolution_ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    samples: Option<Vec<Sample>>,
    /// Stretches by source and time; with `resolution_ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    buckets: Option<Vec<Stretch>>,
    /// Give it as `after`; not there at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    next: Option<String>,
}

impl From<SampleRecord> for Sample {
    fn from(record: SampleRecord) -> Self {
        let SampleRecord { source, boot, seq, at_ms, dev_ms, received_at_ms, corrected_at_ms, reading } = record;
        Self { source: source.as_ref().into(), boot, seq, at_ms, dev_ms, received_at_ms, corrected_at_ms, reading }
    }
}

impl From<Bucket> for Stretch {
    fn from(bucket: Bucket) -> Self {
        let fields = bucket.fields.iter().map(|of| Summary { field: of.field.name().to_owned(), min: of.min, avg: of.avg, max: of.max });
        Self { source: bucket.source.as_ref().into(), at_ms: bucket.at_ms, count: bucket.count, fields: fields.collect() }
    }
}

/// `source.boot.seq`, as `next` gave it.
fn sample_cursor(text: &str) -> Answer<SampleCursor> {
    let wrong = || ApiError::detailed(ErrorCode::Malformed, "after: give `next` of the page before");
    let mut parts = text.split('.');
    let (Some(source), Some(boot), Some(seq), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else { return Err(wrong()) };
    Ok(SampleCursor {
        source: source.parse().map_err(|_| wrong())?,
        boot: boot.parse().map_err(|_| wrong())?,
        seq: seq.parse().map_err(|_| wrong())?,
    })
}

/// Samples of a workout by page, or put together by time.
#[utoipa::path(get, path = "/v1/workouts/{workout}/samples", tag = "training", params(("workout" = Uuid, Path, description = "The workout"), SamplePage),
    responses((status = 200, body = Samples)), extensions(("x-right" = json!("http.sample.read"))))]
async fn get_samples(
    State(api): State<Api>,
    caller: Caller,
    At(workout): At<WorkoutId>,
    Asked(asked): Asked<SamplePage>,
) -> Answer<Json<Samples>> {
    api.workout_of(&caller, workout, Action::HttpSampleRead).await?;
    within_time(asked.from_ms, asked.to_ms)?;
    let query = SampleQuery { workout, from_at_ms: asked.from_ms, to_at_ms: asked.to_ms };
    let tenant = caller.tenant();
    if let Some(resolution_ms) = asked.resolution_ms {
        if !(1000..=86_400_000).contains(&resolution_ms) {
            return Err(ApiError::detailed(ErrorCode::Malformed, "resolution_ms: 1000 to 86400000"));
        }
        let buckets = api.ask("buckets", "samples", api.store.buckets(tenant, query, resolution_ms)).await?;
        return Ok(Json(Samples { samples: None, buckets: Some(buckets.into_iter().map(Stretch::from).collect()), next: None }));
    }
    let after = asked.after.as_deref().map(sample_cursor).transpose()?;
    let limit = super::limit_of(asked.limit, 1000, 5000)?;
    let page = api.ask("samples", "samples", api.store.samples(tenant, query, after, limit)).await?;
    let next = page.next.map(|next| format!("{}.{}.{}", next.source, next.boot, next.seq));
    Ok(Json(Samples { samples: Some(page.samples.into_iter().map(Sample::from).collect()), buckets: None, next }))
}
