//! Workouts out as files, and recordings of members' own devices in.

use axum::Json;
use axum::extract::{Request, State};
use protocol::{ErrorCode, GymId, MemberId, WorkoutId};
use room::rights::Action;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::Api;
use super::super::answer::{Answer, ApiError};
use super::super::caller::Caller;
use super::super::extract::{Asked, At};
use super::super::files::{Bytes, File, Uploaded, store_upload};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get_fit)).routes(routes!(get_tcx)).routes(routes!(post_upload))
}

/// A workout as a FIT activity file: a record a second, a lap for each machine, the sets, the totals as they are sealed.
#[utoipa::path(get, path = "/v1/workouts/{workout}/export.fit", tag = "training", params(("workout" = Uuid, Path, description = "The workout")),
    responses((status = 200, body = String, content_type = "application/vnd.ant.fit")), extensions(("x-right" = json!("http.sample.read"))))]
async fn get_fit(State(api): State<Api>, caller: Caller, At(workout): At<WorkoutId>) -> Answer<File> {
    api.workout_of(&caller, workout, Action::HttpSampleRead).await?;
    api.fit_of(caller.tenant(), workout).await
}

/// A workout as a TCX document: laps with their sums, a trackpoint a second. TCX has no sets.
#[utoipa::path(get, path = "/v1/workouts/{workout}/export.tcx", tag = "training", params(("workout" = Uuid, Path, description = "The workout")),
    responses((status = 200, body = String, content_type = "application/vnd.garmin.tcx+xml")), extensions(("x-right" = json!("http.sample.read"))))]
async fn get_tcx(State(api): State<Api>, caller: Caller, At(workout): At<WorkoutId>) -> Answer<File> {
    api.workout_of(&caller, workout, Action::HttpSampleRead).await?;
    api.tcx_of(caller.tenant(), workout).await
}

/// Where a recording counts.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct UploadTo {
    /// The gym; without it the first that the token names.
    #[param(value_type = Option<Uuid>, required = false)]
    gym: Option<GymId>,
}

/// The workout that a file became.
#[derive(Debug, Serialize, ToSchema)]
struct Upload {
    #[schema(value_type = Uuid)]
    workout: WorkoutId,
    /// Whether it was not here before; the same file twice is one workout.
    fresh: bool,
    /// `fit` or `tcx`.
    #[schema(value_type = String, max_length = 8)]
    format: &'static str,
    /// What it was, as the file says.
    #[schema(value_type = String, max_length = 16)]
    sport: &'static str,
    started_at_ms: i64,
    ended_at_ms: i64,
    /// Readings in it.
    readings: usize,
    /// Sets in it.
    sets: usize,
    /// Other workouts of the member at the same time, the oldest first, at most 20. All of them stand: nothing is merged or left out.
    #[schema(value_type = Vec<Uuid>, max_items = 20)]
    overlaps: Vec<WorkoutId>,
}

impl From<Uploaded> for Upload {
    fn from(done: Uploaded) -> Self {
        let Uploaded { workout, fresh, format, sport, started_at_ms, ended_at_ms, readings, sets, overlaps } = done;
        Self { workout, fresh, format: format.name(), sport: sport.name(), started_at_ms, ended_at_ms, readings, sets, overlaps }
    }
}

/// Takes a FIT or TCX file that a member recorded elsewhere, as a sealed workout. Its content is its name: the same file again changes nothing.
#[utoipa::path(post, path = "/v1/members/{member}/uploads", tag = "training", params(("member" = Uuid, Path, description = "The member"), UploadTo),
    request_body(content = String, content_type = "application/octet-stream", description = "The file as it is, at most `limits.upload_bytes`."),
    responses((status = 200, body = Upload)), extensions(("x-right" = json!("http.upload"))))]
async fn post_upload(
    State(api): State<Api>,
    caller: Caller,
    At(member): At<MemberId>,
    Asked(to): Asked<UploadTo>,
    request: Request,
) -> Answer<Json<Upload>> {
    api.member_of(&caller, member, Action::HttpUpload).await?;
    let gym = api.gym_for(&caller, to.gym).await?;
    let Bytes { bytes, _place } = Bytes::of(&api, caller.tenant(), request).await?;
    Ok(Json(store_upload(&api, caller.tenant(), gym, member, bytes).await?.into()))
}

impl Api {
    /// The gym that was asked for, or the first of the token: one of the tenant.
    async fn gym_for(&self, caller: &Caller, asked: Option<GymId>) -> Answer<GymId> {
        let gym = asked.or(caller.viewer().gyms.first().copied());
        let gym = gym.ok_or_else(|| ApiError::detailed(ErrorCode::Malformed, "gym: name one, the token names none"))?;
        let found = self.ask("gym", "gyms", self.store.gym(caller.tenant(), gym)).await?;
        found.map(|_| gym).ok_or_else(|| ErrorCode::NotFound.into())
    }
}
