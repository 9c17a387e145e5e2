//! What happens in rooms: entries of their event logs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    BoardStage, Cause, ControlOutcome, HeldClaim, MachineStatus, RepDetail, RoomSource, SetDetail, Severity, Sign, StopOutcome, Target,
};
use crate::text::Text;
use crate::{CommandId, DeviceId, EventId, GymId, MachineId, MemberId, ProposalId, StopId, TicketId, VisitId, WorkoutId};

/// One entry of a room's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Short number of the room.
    pub handle: u32,
    /// Its place in the log under the epoch told at `joined`; one more than the entry before.
    pub offset: u64,
    /// Same cause, same id.
    pub id: EventId,
    /// When, by the hub.
    pub at_ms: i64,
    /// What.
    pub body: EventBody,
}

/// What happened. In JSON an object with one key; unknown keys are ignored by clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventBody {
    /// A machine became available, occupied, unknown or went to maintenance.
    Availability {
        /// The machine.
        machine: MachineId,
        /// What it is now.
        availability: Availability,
        /// What it says itself, if it is heard.
        state: Option<MachineStatus>,
        /// Why.
        cause: Cause,
        /// Handle of the member on it, only with consent.
        #[serde(default)]
        member: Option<Text<48>>,
    },
    /// A machine appeared on the floor under this index.
    MachineAdded {
        /// The machine.
        machine: MachineId,
        /// Index in floor ticks.
        index: u16,
        /// Name on its sticker.
        name: Text<48>,
    },
    /// A fault ticket was opened or closed (staff only).
    Ticket {
        /// The machine.
        machine: MachineId,
        /// The ticket.
        ticket: TicketId,
        /// How bad.
        severity: Severity,
        /// Open or closed.
        open: bool,
        /// The vendor's code and text.
        text: Text<256>,
    },
    /// A stop got no confirmation: somebody should look (staff only).
    StopUnconfirmed {
        /// The machine.
        machine: MachineId,
        /// The stop.
        stop: StopId,
    },
    /// Two devices claim one identity (staff only).
    SourceConflict {
        /// The machine.
        machine: Option<MachineId>,
        /// The boot that came with two nonces.
        boot: u32,
    },
    /// One device's key was live on two sockets: both are closed and the device is flagged (staff only).
    DeviceCloned {
        /// The device.
        device: DeviceId,
        /// The gateway or machine that it speaks for.
        subject: uuid::Uuid,
    },
    /// A member waits for the second sign after scanning a sticker.
    SignAwaited {
        /// The machine.
        machine: MachineId,
        /// Until when.
        until_at_ms: i64,
    },
    /// The machine is claimed. In a machine's room for staff and in the member's own.
    Claimed {
        /// The machine.
        machine: MachineId,
        /// The claim.
        claim: HeldClaim,
        /// What showed that the member was there; none for a code.
        sign: Option<Sign>,
        /// Whether the member may control, or only stop.
        may_control: bool,
    },
    /// The claim is over.
    Released {
        /// The machine.
        machine: MachineId,
        /// Its fence.
        fence: u64,
        /// Why.
        reason: ReleaseReason,
    },
    /// A visit began or ended.
    Visit {
        /// The visit.
        visit: VisitId,
        /// The gym.
        gym: GymId,
        /// Where it stands.
        state: VisitState,
    },
    /// A workout changed its life stage.
    Workout {
        /// The workout.
        workout: WorkoutId,
        /// Where it stands.
        stage: WorkoutStage,
        /// The machine that it runs on now.
        machine: Option<MachineId>,
    },
    /// Another source contributes to the workout.
    Source(RoomSource),
    /// A repetition.
    Rep(RepDetail),
    /// A set is done, as the machine counted it.
    Set(SetDetail),
    /// A set as the member logged it; stands beside the machine's.
    SetLogged(SetDetail),
    /// Points were earned.
    Points {
        /// How many.
        points: u32,
        /// For what.
        reason: Text<64>,
    },
    /// An achievement was earned, once.
    Achievement {
        /// Which.
        name: Text<64>,
    },
    /// A coach proposes a target; the member may accept.
    Proposed {
        /// The proposal.
        proposal: ProposalId,
        /// What.
        target: Target,
        /// Why.
        text: Option<Text<256>>,
    },
    /// What became of a command.
    Control {
        /// The machine.
        machine: MachineId,
        /// The command.
        command: CommandId,
        /// What was to be set.
        target: Target,
        /// What is known.
        outcome: ControlOutcome,
    },
    /// A stop was asked for, or ended.
    Stop {
        /// The machine.
        machine: MachineId,
        /// The stop.
        stop: StopId,
        /// Its result; none while pending.
        outcome: Option<StopOutcome>,
    },
    /// The ceiling was set or cleared.
    Ceiling {
        /// The member.
        member: MemberId,
        /// Beats a minute.
        heart_rate_bpm: Option<u16>,
    },
    /// Somebody is on the board from now on; the rows of its ticks name the index.
    BoardEntered {
        /// Index in the board's rows.
        index: u16,
        /// The handle that the member agreed to show.
        name: Text<48>,
    },
    /// The board began, was changed, or is over.
    BoardStage {
        /// Where it stands.
        stage: BoardStage,
    },
    /// The workout is sealed with these totals, or was amended.
    Sealed {
        /// The workout.
        workout: WorkoutId,
        /// 0 at sealing, plus one each amendment.
        revision: u32,
        /// What it adds up to.
        totals: Totals,
    },
}

/// May a member take the machine?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// Yes: connected, idle, unclaimed.
    Available,
    /// Somebody is on it or holds it.
    Occupied,
    /// Out of order.
    Maintenance,
    /// Nobody knows: its link is lost, or it does not say.
    Unknown,
}

/// Why a claim ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseReason {
    /// The member gave it back.
    Released,
    /// The member went to another machine.
    HandedOver,
    /// No sign of life for 10 minutes.
    WalkedAway,
    /// The member checked out.
    CheckedOut,
    /// Staff took it.
    Staff,
    /// A newer fence stands.
    Superseded,
    /// The sign did not come.
    SignMissing,
}

/// Where a visit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VisitState {
    /// The member is here.
    Active,
    /// Checked out.
    Completed,
    /// Ended without check-out.
    Expired,
}

/// Where a workout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkoutStage {
    /// Claimed, nothing read yet.
    Created,
    /// Readings come.
    Live,
    /// The machine is paused, or the member rests.
    Paused,
    /// A source's link is lost; it buffers.
    Interrupted,
    /// The link is back and the buffer drains.
    Reconciling,
    /// The training is over; not everything is stored yet.
    Ended,
    /// Everything is stored and added up.
    Sealed,
}

/// What a workout adds up to, from stored readings only; the same recomputed offline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Readings stored.
    pub readings: u64,
    /// Time from the first to the last reading of each boot, added up.
    pub duration_ms: i64,
    /// Distance over all machines, counters unwrapped.
    pub distance_m: i64,
    /// Energy over all machines, counters unwrapped.
    pub energy_kcal: i64,
    /// Sum of all power values, for the average.
    pub power_sum_w: i64,
    /// How many readings had a power.
    pub power_count: u64,
    /// Highest power.
    pub power_max_w: i32,
    /// Sum of all heart rates.
    pub heart_rate_sum_bpm: i64,
    /// How many readings had a heart rate.
    pub heart_rate_count: u64,
    /// Highest heart rate.
    pub heart_rate_max_bpm: i32,
    /// Repetitions counted by machines.
    pub reps: u32,
    /// Sets done on machines.
    pub sets: u32,
    /// Strokes counted by machines.
    pub strokes: u32,
}
