//! A stored workout gathered for a file: its machines, its readings by second, its sets, its totals.

use std::collections::HashMap;
use std::sync::Arc;

use activity::{Device, Origin, SetDone, Sport, Timeline, Workout};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use protocol::frame::MachineKind;
use protocol::{ErrorCode, MachineId, TenantId, WorkoutId};
use storage::{SampleQuery, SourceKey, UPLOAD_PREFIX, WorkoutDetail};

use super::super::Api;
use super::super::answer::{Answer, ApiError};

/// Readings asked for at once.
const PAGE: u32 = 5_000;

/// A file on its way out.
pub(in super::super) struct File {
    bytes: Vec<u8>,
    name: String,
    kind: &'static str,
}

impl IntoResponse for File {
    fn into_response(self) -> Response {
        let name = HeaderValue::from_str(&format!("attachment; filename=\"{}\"", self.name));
        let mut response = self.bytes.into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        if let Ok(name) = name {
            response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
        }
        response
    }
}

impl Api {
    /// A workout as a FIT file.
    pub(in super::super) async fn fit_of(&self, tenant: TenantId, workout: WorkoutId) -> Answer<File> {
        let _place = self.file_place(tenant)?;
        let gathered = self.gather(tenant, workout).await?;
        let bytes = beside(move || gathered.to_fit()).await?.map_err(|error| {
            tracing::error!(%error, workout.id = %workout, "a workout could not be written as a FIT file");
            ApiError::new(ErrorCode::Internal)
        })?;
        Ok(File { bytes, name: format!("workout-{workout}.fit"), kind: "application/vnd.ant.fit" })
    }

    /// A workout as a TCX document.
    pub(in super::super) async fn tcx_of(&self, tenant: TenantId, workout: WorkoutId) -> Answer<File> {
        let _place = self.file_place(tenant)?;
        let gathered = self.gather(tenant, workout).await?;
        let bytes = beside(move || gathered.to_tcx()).await?.into_bytes();
        Ok(File { bytes, name: format!("workout-{workout}.tcx"), kind: "application/vnd.garmin.tcx+xml" })
    }

    async fn gather(&self, tenant: TenantId, workout: WorkoutId) -> Answer<Workout> {
        let found = self.ask("workout", "workouts", self.store.workout(tenant, workout)).await?;
        let detail = found.ok_or(ErrorCode::NotFound)?;
        // What is not sealed is added up as it stands.
        let totals = match detail.record.totals {
            Some(totals) => totals,
            None => self.ask("add_up", "samples", self.store.add_up(tenant, workout)).await?,
        };
        let places = machines_of(&detail);
        let mut machines = Vec::with_capacity(places.len());
        for machine in &places {
            // A machine that was taken out since has no name any more.
            let found = self.ask("machine", "machines", self.store.machine(tenant, *machine)).await?;
            machines.push(found.map_or_else(
                || Device::new("Machine", MachineKind::Other),
                |seed| Device::new(seed.record.name.as_str(), seed.record.kind),
            ));
        }
        let timeline = self.timeline(tenant, workout, &places).await?;
        let record = &detail.record;
        Ok(Workout {
            workout,
            started_at_ms: record.started_at_ms,
            ended_at_ms: record.ended_at_ms,
            sport: detail.ranges.iter().find_map(|range| uploaded_sport(&range.source)),
            totals,
            machines,
            timeline,
            sets: sets_of(&detail),
        })
    }

    async fn timeline(&self, tenant: TenantId, workout: WorkoutId, places: &[MachineId]) -> Answer<Timeline> {
        let query = SampleQuery { workout, from_at_ms: None, to_at_ms: None };
        let (mut timeline, mut after) = (Timeline::default(), None);
        let mut sources: HashMap<Arc<SourceKey>, u32> = HashMap::new();
        loop {
            let page = self.ask("samples", "samples", self.store.samples(tenant, query, after, PAGE)).await?;
            for sample in &page.samples {
                let next = u32::try_from(sources.len()).unwrap_or(u32::MAX);
                let source = *sources.entry(sample.source.clone()).or_insert(next);
                let machine = sample.source.machine().and_then(|machine| places.iter().position(|known| *known == machine));
                let machine = machine.and_then(|place| u16::try_from(place).ok());
                let origin = Origin { source, boot: sample.boot, machine, counts: sample.source.counts() };
                let added = timeline.add(origin, sample.at_ms, &sample.reading);
                added.map_err(|error| ApiError::detailed(ErrorCode::TooLarge, error.to_string()))?;
            }
            after = page.next;
            if after.is_none() {
                return Ok(timeline);
            }
        }
    }
}

/// The machines of a workout, each once.
fn machines_of(detail: &WorkoutDetail) -> Vec<MachineId> {
    let mut machines = Vec::new();
    for machine in detail.ranges.iter().filter_map(|range| range.source.machine()) {
        if !machines.contains(&machine) {
            machines.push(machine);
        }
    }
    machines
}

/// What an uploaded recording was: the name of its sensor says it.
fn uploaded_sport(source: &SourceKey) -> Option<Sport> {
    source.sensor().strip_prefix(UPLOAD_PREFIX).filter(|_| source.machine().is_none()).map(Sport::from_name)
}

/// What machines counted, and what the member logged of sets that no machine did.
fn sets_of(detail: &WorkoutDetail) -> Vec<SetDone> {
    let counted = detail.sets.iter().map(|set| SetDone { at_ms: set.at_ms, set: set.set.clone() });
    let by_hand = detail.logged.iter().filter(|logged| !detail.sets.iter().any(|set| set.set.set == logged.set.set));
    let mut sets: Vec<SetDone> = counted.chain(by_hand.map(|set| SetDone { at_ms: set.logged_at_ms, set: set.set.clone() })).collect();
    sets.sort_by_key(|set| set.at_ms);
    sets
}

/// Runs what takes long beside the tasks that others wait for.
pub(super) async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "a file could not be worked on");
        ApiError::new(ErrorCode::Internal)
    })
}
