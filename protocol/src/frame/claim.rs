//! Frames of members and staff about claims, visits and workouts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SetDetail;
use crate::text::Text;
use crate::{EventId, GymId, MachineId, MemberId, WorkoutId};

/// Claims a machine. Answered by `claimed` or `error`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Claim {
    /// Number of this request.
    pub req: u32,
    /// The gym that the member stands in.
    pub gym: GymId,
    /// How the machine was pointed at.
    pub by: ClaimBy,
    /// Fence of the claim that the member holds and leaves for this one.
    #[serde(default)]
    pub hand_over: Option<u64>,
}

/// How a member points at a machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimBy {
    /// The one-time code on its screen.
    Code(Text<16>),
    /// The printed sticker; asks for a second sign, and never controls a powered belt.
    Sticker(MachineId),
}

/// Where a claim stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Claimed {
    /// Number of the request, on the session that asked.
    pub req: Option<u32>,
    /// The machine.
    pub machine: MachineId,
    /// `awaiting_sign` until the second sign, then `granted`.
    pub state: ClaimState,
    /// Fence of the claim; 0 while awaiting.
    pub fence: u64,
    /// The workout under it, once granted.
    pub workout: Option<WorkoutId>,
    /// Whether the member may control the machine, or only stop it.
    pub may_control: bool,
    /// When an awaiting claim runs out.
    pub until_at_ms: Option<i64>,
}

/// Stage of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimState {
    /// A sticker was scanned; the second sign is missing.
    AwaitingSign,
    /// The member holds the machine.
    Granted,
}

/// Gives a machine back. The workout ends with it unless the member hands over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Release {
    /// Number of this request.
    pub req: u32,
    /// The machine.
    pub machine: MachineId,
    /// Fence of the claim.
    pub fence: u64,
}

/// Ends the member's visit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckOut {
    /// Number of this request.
    pub req: u32,
    /// The gym.
    pub gym: GymId,
}

/// Staff vouches for a member who scanned a sticker: the second sign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Approve {
    /// Number of this request.
    pub req: u32,
    /// The machine.
    pub machine: MachineId,
}

/// A set logged on a phone, perhaps offline; the id makes it once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogSet {
    /// Number of this request.
    pub req: u32,
    /// Drawn by the phone when the set was logged.
    pub id: EventId,
    /// The workout.
    pub workout: WorkoutId,
    /// When, by the phone's clock.
    pub logged_at_ms: i64,
    /// The set.
    #[serde(deserialize_with = "crate::lenient::record")]
    pub set: SetDetail,
}

/// Ends a workout without giving the machine back to the floor first; releases what it holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndWorkout {
    /// Number of this request.
    pub req: u32,
    /// The workout.
    pub workout: WorkoutId,
}

/// Sets or clears a heart-rate ceiling. Alarms only; never acts on the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ceiling {
    /// Number of this request.
    pub req: u32,
    /// The member.
    pub member: MemberId,
    /// Beats a minute, 60 to 250; none clears it.
    pub heart_rate_bpm: Option<u16>,
}
