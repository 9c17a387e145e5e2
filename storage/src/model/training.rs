//! Visits, workouts, samples and events as they are read.

use std::sync::Arc;

use protocol::frame::{Event, SetDetail, Totals, VisitState, WorkoutStage};
use protocol::{EventId, Field, GymId, MachineId, MemberId, Reading, RoomName, SeqRanges, TenantId, VisitId, WorkoutId};
use serde::Serialize;
use uuid::Uuid;

use super::{GymRecord, MachineSeed, SourceKey};

/// A stretch of one boot that belongs to a workout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkoutRange {
    /// Whose readings.
    pub source: Arc<SourceKey>,
    /// The boot.
    pub boot: u32,
    /// First seq.
    pub from_seq: u32,
    /// Last seq; `u32::MAX` while open.
    pub to_seq: u32,
}

/// A gym as a shard needs it at start.
#[derive(Debug, Clone, PartialEq)]
pub struct GymSeed {
    /// Whose.
    pub tenant: TenantId,
    /// The gym.
    pub gym: GymRecord,
    /// Its machines, by name.
    pub machines: Vec<MachineSeed>,
    /// Workouts that are not sealed, with their ranges.
    pub workouts: Vec<WorkoutDetail>,
    /// What is stored of the boots that these workouts have ranges of.
    pub boots: Vec<BootRecord>,
    /// Visits that are active.
    pub visits: Vec<VisitRecord>,
}

/// A member's stay in a gym.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VisitRecord {
    /// The visit.
    pub visit: VisitId,
    /// Where.
    pub gym: GymId,
    /// Who.
    pub member: MemberId,
    /// Where it stands.
    pub state: VisitState,
    /// Since when.
    pub started_at_ms: i64,
    /// Until when.
    pub ended_at_ms: Option<i64>,
    /// Machines used.
    pub machines: Vec<MachineId>,
}

/// One member's training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkoutRecord {
    /// The workout.
    pub workout: WorkoutId,
    /// Where.
    pub gym: GymId,
    /// Whose.
    pub member: MemberId,
    /// Its visit.
    pub visit: VisitId,
    /// Where it stands.
    pub stage: WorkoutStage,
    /// Since when.
    pub started_at_ms: i64,
    /// Until when.
    pub ended_at_ms: Option<i64>,
    /// Revision of the totals; none until sealed.
    pub revision: Option<u32>,
    /// The sealed totals.
    pub totals: Option<Totals>,
}

/// A workout with what belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkoutDetail {
    /// The workout.
    pub record: WorkoutRecord,
    /// Its stretches of readings, by source, boot and seq.
    pub ranges: Vec<WorkoutRange>,
    /// Sets as machines counted them.
    pub sets: Vec<SetRecord>,
    /// Sets as the member logged them.
    pub logged: Vec<LoggedSet>,
}

/// A set as a machine counted it.
#[derive(Debug, Clone, PartialEq)]
pub struct SetRecord {
    /// Index into the workout's ranges' sources: whose.
    pub source: Arc<SourceKey>,
    /// Which boot.
    pub boot: u32,
    /// Its number.
    pub seq: u32,
    /// When, by anchor and device time.
    pub at_ms: i64,
    /// What.
    pub set: SetDetail,
}

/// A set as the member logged it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoggedSet {
    /// Drawn by the phone.
    pub id: EventId,
    /// When, by the phone's clock.
    pub logged_at_ms: i64,
    /// What.
    pub set: SetDetail,
}

/// One stored reading.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleRecord {
    /// Whose.
    pub source: Arc<SourceKey>,
    /// Which boot.
    pub boot: u32,
    /// Its number.
    pub seq: u32,
    /// Anchor plus device time, UTC.
    pub at_ms: i64,
    /// Device time.
    pub dev_ms: i64,
    /// When the hub got it.
    pub received_at_ms: i64,
    /// Device time plus the offset estimated then, UTC.
    pub corrected_at_ms: i64,
    /// What.
    pub reading: Reading,
}

/// Where a page of samples ends; give it back for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleCursor {
    /// Number of the source in the database.
    pub source: i64,
    /// Boot of the last row.
    pub boot: u32,
    /// Its seq.
    pub seq: u32,
}

/// A page of samples in order of `(source, boot, seq)`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SamplePage {
    /// The rows.
    pub samples: Vec<SampleRecord>,
    /// Where the next page begins; none at the end.
    pub next: Option<SampleCursor>,
}

/// Readings of one source within one stretch of time, put together.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// Whose.
    pub source: Arc<SourceKey>,
    /// Beginning, UTC, a multiple of the resolution.
    pub at_ms: i64,
    /// Readings in it.
    pub count: u64,
    /// Each field that occurs.
    pub fields: Vec<FieldSummary>,
}

/// One field of a bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldSummary {
    /// Which.
    pub field: Field,
    /// Smallest value.
    pub min: i32,
    /// Mean.
    pub avg: f64,
    /// Largest value.
    pub max: i32,
}

/// What is stored of a boot.
#[derive(Debug, Clone, PartialEq)]
pub struct BootRecord {
    /// Whose.
    pub source: Arc<SourceKey>,
    /// Which boot.
    pub boot: u32,
    /// Its nonce.
    pub nonce: u32,
    /// UTC of device time 0, for good.
    pub anchor_at_ms: i64,
    /// Everything that counts as stored.
    pub stored: SeqRanges,
    /// The part of it that the source declared lost.
    pub lost: SeqRanges,
    /// Another nonce came under this boot.
    pub conflict: bool,
}

/// One event with its place in the tenant's history.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRecord {
    /// Place; ask for what comes after the last one.
    pub cursor: i64,
    /// Where.
    pub gym: GymId,
    /// The room.
    pub room: RoomName,
    /// Whom it concerns.
    pub member: Option<MemberId>,
    /// Kind, the key of the event's body.
    pub kind: String,
    /// What.
    pub event: Event,
}

/// What is revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// One token, by its `jti`.
    Token(String),
    /// All tokens of a subject that were issued before this time.
    Subject(Uuid, i64),
    /// All tokens of the tenant that were issued before this time.
    IssuedBefore(i64),
}

/// A revocation; may be forgotten when no token lives that long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Whose.
    pub tenant: TenantId,
    /// What.
    pub revoked: Revoked,
    /// When every token it could hit has expired.
    pub until_at_ms: i64,
}

/// What became of an `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Idempotency {
    /// New: carry out the request, then store its answer.
    New,
    /// The same request is being carried out now.
    Running,
    /// The same request was answered with this.
    Answered {
        /// HTTP status.
        status: u16,
        /// Body.
        body: Vec<u8>,
    },
    /// The key was used with another request.
    Mismatch,
}

/// A row in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineRecord {
    /// Whose; none for a fact.
    pub source: Option<Arc<SourceKey>>,
    /// Which boot.
    pub boot: u32,
    /// Its number.
    pub seq: u32,
    /// Number in `protocol::ErrorCode`.
    pub code: u16,
    /// Why, in words.
    pub detail: String,
    /// Canonical bytes, or the bytes as they came.
    pub content: Vec<u8>,
    /// When the hub got it.
    pub received_at_ms: i64,
}

/// Count and SHA-256 over canonical bytes in order of `(source, boot, seq)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checksum {
    /// Rows.
    pub rows: u64,
    /// Digest.
    pub sha256: [u8; 32],
}
