//! A file of a member's own device into the store: once, however often it comes.
//!
//! Everything that names the workout is made of the file's content: the same file twice is the same workout, also after a crash in the middle. A
//! workout at the same time is named and not touched: a machine and a watch may both have been there.

use std::sync::Arc;

use activity::{Format, ReadError, Recorded, Sport};
use protocol::text::Text;
use protocol::{ErrorCode, GymId, MemberId, TenantId, WorkoutId};
use sha2::{Digest as _, Sha256};
use storage::{Import, SourceKey, UPLOAD_PREFIX};
use uuid::Uuid;

use super::super::Api;
use super::super::answer::{Answer, ApiError};
use super::export::beside;

/// The names of workouts that are made of content are drawn under this.
const NAMES: Uuid = Uuid::from_u128(0x0ec7_86f4_3f0b_5b0c_9d0a_6d1f_3f6b_52c1);
/// A clock of a watch may be ahead by so much.
const AHEAD_MS: i64 = 86_400_000;

/// What became of an upload.
pub(in super::super) struct Uploaded {
    pub(in super::super) workout: WorkoutId,
    pub(in super::super) fresh: bool,
    pub(in super::super) format: Format,
    pub(in super::super) sport: Sport,
    pub(in super::super) started_at_ms: i64,
    pub(in super::super) ended_at_ms: i64,
    pub(in super::super) readings: usize,
    pub(in super::super) sets: usize,
    pub(in super::super) overlaps: Vec<WorkoutId>,
}

/// Reads a file and stores what it says as a workout of the member.
pub(in super::super) async fn store_upload(
    api: &Api,
    tenant: TenantId,
    gym: GymId,
    member: MemberId,
    bytes: bytes::Bytes,
) -> Answer<Uploaded> {
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    let recorded = beside(move || activity::read(&bytes)).await?.map_err(unreadable)?;
    let received_at_ms = crate::clock::at_ms();
    if recorded.ended_at_ms > received_at_ms + AHEAD_MS {
        return Err(ApiError::detailed(ErrorCode::Unprocessable, "the file: it ends in the future, its clock was wrong"));
    }
    let import = import_of(&recorded, (tenant, gym, member), &digest, received_at_ms);
    let (readings, sets) = (import.readings.len(), import.sets.len());
    let kept = api.ask("import", "samples", api.importer.keep(&import)).await?;
    let (started_at_ms, ended_at_ms) = (import.started_at_ms, import.ended_at_ms);
    let (format, sport) = (recorded.format, recorded.sport);
    let (workout, fresh, overlaps) = (import.workout, kept.fresh, kept.overlaps);
    Ok(Uploaded { workout, fresh, format, sport, started_at_ms, ended_at_ms, readings, sets, overlaps })
}

fn import_of(recorded: &Recorded, (tenant, gym, member): (TenantId, GymId, MemberId), digest: &[u8; 32], received_at_ms: i64) -> Import {
    let mut name = Vec::with_capacity(64);
    name.extend_from_slice(tenant.0.as_bytes());
    name.extend_from_slice(member.0.as_bytes());
    name.extend_from_slice(digest);
    let number = |place: usize| u32::from_be_bytes([digest[place], digest[place + 1], digest[place + 2], digest[place + 3]]);
    let sensor = Text::cut(&format!("{UPLOAD_PREFIX}{}", recorded.sport.name()));
    Import {
        tenant,
        gym,
        member,
        workout: WorkoutId(Uuid::new_v5(&NAMES, &name)),
        source: Arc::new(SourceKey::Member(tenant, member, sensor)),
        boot: number(0),
        nonce: number(4),
        started_at_ms: recorded.started_at_ms,
        ended_at_ms: recorded.ended_at_ms,
        received_at_ms,
        readings: recorded.readings.clone(),
        sets: recorded.sets.clone(),
    }
}

fn unreadable(error: ReadError) -> ApiError {
    let code = match error {
        ReadError::NotAnActivity(_) => ErrorCode::NotAnActivity,
        ReadError::Truncated | ReadError::Checksum { .. } | ReadError::Damaged(_) => ErrorCode::ActivityDamaged,
        ReadError::TooMuch(_) => ErrorCode::TooLarge,
    };
    ApiError::detailed(code, error.to_string())
}
