//! Rooms as they are, for whoever joins.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Availability, BoardSnapshot, Columns, ControlRanges, HeldClaim, MachineKind, MachineStatus, RoomSource, SetDetail, Severity, Totals,
    VisitState, WorkoutStage,
};
use crate::field::Reading;
use crate::text::Text;
use crate::{GymId, MachineId, MemberId, TicketId, VisitId, WorkoutId};

/// A room as it is. In JSON an object with one key, the kind of room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Snapshot {
    /// A gym's floor.
    Floor(FloorSnapshot),
    /// One machine.
    Machine(MachineSnapshot),
    /// One workout.
    Workout(Box<WorkoutSnapshot>),
    /// One member.
    Member(MemberSnapshot),
    /// One board.
    Board(Box<BoardSnapshot>),
}

/// All machines of a gym.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FloorSnapshot {
    /// The gym.
    pub gym: GymId,
    /// Its name.
    pub name: Text<64>,
    /// Hub time.
    pub at_ms: i64,
    /// Machines by index.
    pub machines: Vec<FloorMachine>,
}

/// A machine on the floor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FloorMachine {
    /// Index in floor ticks.
    pub index: u16,
    /// The machine.
    pub machine: MachineId,
    /// Name on its sticker.
    pub name: Text<48>,
    /// Kind.
    pub kind: MachineKind,
    /// Where it stands.
    pub location: Text<48>,
    /// May a member take it?
    pub availability: Availability,
    /// What it says itself, if it is heard.
    pub state: Option<MachineStatus>,
    /// Handle of the member on it, only with consent.
    pub member: Option<Text<48>>,
    /// Open faults (staff only).
    pub tickets: Vec<OpenTicket>,
    /// Last sign of life of its link.
    pub heard_at_ms: Option<i64>,
    /// Age of the reading; 0 where blank.
    pub age_ms: u32,
    /// Latest values; empty where blank.
    pub reading: Reading,
}

/// An open fault ticket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OpenTicket {
    /// The ticket.
    pub ticket: TicketId,
    /// How bad.
    pub severity: Severity,
    /// Code and text.
    pub text: Text<256>,
    /// Since when.
    pub opened_at_ms: i64,
}

/// One machine, for whoever holds it and for staff.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MachineSnapshot {
    /// As on the floor.
    pub machine: FloorMachine,
    /// The claim, for its holder and staff.
    pub claim: Option<HeldClaim>,
    /// Sources heard.
    pub sources: Vec<RoomSource>,
    /// What the machine lets itself be told, as it said in `machine_hello`; none takes no remote target.
    #[serde(default)]
    pub ranges: Option<ControlRanges>,
    /// The one-time code on its screen, for staff who help a member; good for at most a minute.
    #[serde(default)]
    pub code: Option<Text<16>>,
}

/// One workout with its last 15 minutes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkoutSnapshot {
    /// The workout.
    pub workout: WorkoutId,
    /// Whose.
    pub member: MemberId,
    /// Where it stands.
    pub stage: WorkoutStage,
    /// Since when.
    pub started_at_ms: i64,
    /// The machine it runs on.
    pub machine: Option<MachineId>,
    /// Fence of the claim it runs under; 0 without.
    pub fence: u64,
    /// Whether the member may control the machine.
    pub may_control: bool,
    /// Sources by index.
    pub sources: Vec<RoomSource>,
    /// The last 15 minutes, oldest first.
    pub ring: Vec<RingColumns>,
    /// Sets so far, machine's and logged.
    pub sets: Vec<SetDetail>,
    /// Points so far.
    pub points: u32,
    /// Heart-rate ceiling.
    pub ceiling_bpm: Option<u16>,
    /// Totals so far.
    pub totals: Totals,
}

/// A stretch of one source's past with the same fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RingColumns {
    /// Index of the source.
    pub source: u16,
    /// Add this to the columns' device times to get UTC.
    pub offset_ms: i64,
    /// The readings.
    pub columns: Columns,
}

/// One member, for all their devices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemberSnapshot {
    /// The member.
    pub member: MemberId,
    /// The claim held, and where.
    pub claim: Option<MemberClaim>,
    /// The running or last visit.
    pub visit: Option<MemberVisit>,
    /// Sessions of the member that are connected.
    pub sessions: u16,
}

/// A claim from the member's side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemberClaim {
    /// The gym.
    pub gym: GymId,
    /// The machine.
    pub machine: MachineId,
    /// The claim.
    pub claim: HeldClaim,
    /// Whether the member may control, or only stop.
    pub may_control: bool,
}

/// A visit from the member's side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemberVisit {
    /// The visit.
    pub visit: VisitId,
    /// The gym.
    pub gym: GymId,
    /// Where it stands.
    pub state: VisitState,
    /// Since when.
    pub started_at_ms: i64,
}
