//! Frames that move a machine, and those that stop it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::Text;
use crate::{CommandId, MachineId, ProposalId, StopId, WorkoutId};

/// A target for a machine. Answered by `control_result`, more than once: received, then applied or refused or unknown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Control {
    /// Number of this request.
    pub req: u32,
    /// Drawn by the peer; a repeat under the same id is the same command.
    pub id: CommandId,
    /// The machine.
    pub machine: MachineId,
    /// Fence of the claim.
    pub fence: u64,
    /// What to set.
    pub target: Target,
    /// The proposal that the member accepts with this.
    #[serde(default)]
    pub proposal: Option<ProposalId>,
}

/// What a command sets, in FTMS units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// 0.01 km/h.
    SpeedCentikmh(i32),
    /// 0.1 %.
    InclinePermille(i32),
    /// Tenths.
    ResistanceTenths(i32),
    /// Watts.
    PowerW(i32),
    /// Slow down and stand; the one procedure that every machine takes.
    Pause,
}

/// A coach proposes a target; only the member can take it, at a machine that already moves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Propose {
    /// Number of this request.
    pub req: u32,
    /// Drawn by the coach.
    pub id: ProposalId,
    /// The workout.
    pub workout: WorkoutId,
    /// What is proposed.
    pub target: Target,
    /// Why, in words.
    #[serde(default)]
    pub text: Option<Text<256>>,
}

/// Stop this machine. Repeated by the issuer each 250 ms under one id until `stop_result` comes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stop {
    /// The machine.
    pub machine: MachineId,
    /// Drawn by the issuer.
    pub id: StopId,
    /// Why, for the log.
    #[serde(default)]
    pub reason: Option<Text<64>>,
}

/// To the machine: stop now. Repeated each 250 ms until `stop_answer` comes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StopMachine {
    /// The machine.
    pub machine: MachineId,
    /// The stop.
    pub id: StopId,
    /// Fence of the claim under which it was asked for; 0 where nobody holds the machine.
    pub fence: u64,
}

/// From the machine: what became of the stop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StopAnswer {
    /// The machine.
    pub machine: MachineId,
    /// The stop.
    pub id: StopId,
    /// What the gateway knows now; the last word counts.
    pub answer: StopStage,
    /// FTMS result code where the machine refused.
    #[serde(default)]
    pub result: Option<u8>,
}

/// How far a stop got at the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopStage {
    /// The gateway has it and writes it to the machine.
    Received,
    /// The stop procedure was confirmed by the machine's success result; two readings at rest are still wanted.
    Confirmed,
    /// The machine says that it stands stopped.
    Stopped,
    /// The machine refused, also after control was requested.
    Refused,
}

/// To the issuer: the end of a stop. Silence never confirms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StopResult {
    /// The machine.
    pub machine: MachineId,
    /// The stop.
    pub id: StopId,
    /// What is known.
    pub result: StopOutcome,
    /// FTMS result code where the machine refused.
    #[serde(default)]
    pub code: Option<u8>,
}

/// Result of a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopOutcome {
    /// The machine stands.
    Stopped,
    /// The machine refused: use the machine's own stop.
    Refused,
    /// Not confirmed within 1 s: use the machine's own stop. Staff are told. A later word may still come.
    Unconfirmed,
}

/// To the machine: set this, unless it is over by your clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Command {
    /// The machine.
    pub machine: MachineId,
    /// The command; the same id twice is carried out once.
    pub id: CommandId,
    /// A machine that keeps a newer fence refuses.
    pub fence: u64,
    /// What to set.
    pub target: Target,
    /// Powerless from here on, by the machine's own clock.
    pub expires_dev_ms: i64,
}

/// From the machine: what became of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandAnswer {
    /// The machine.
    pub machine: MachineId,
    /// The command.
    pub id: CommandId,
    /// How far it got.
    pub stage: CommandStage,
    /// FTMS result code, 1 is success (FTMS 1.0, 4.16.2.22).
    #[serde(default)]
    pub result: Option<u8>,
}

/// How far a command got at the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommandStage {
    /// The gateway has it.
    Received,
    /// The machine's result came.
    Answered,
    /// It came too late and was not carried out.
    Expired,
    /// Somebody at the console took control (machine status 0xFF).
    ControlLost,
}

/// To whoever asked: what is known of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ControlResult {
    /// The machine.
    pub machine: MachineId,
    /// The command.
    pub id: CommandId,
    /// What is known.
    pub result: ControlOutcome,
    /// FTMS result code, if the machine gave one.
    #[serde(default)]
    pub code: Option<u8>,
}

/// What is known of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ControlOutcome {
    /// The gateway has it.
    Received,
    /// The machine's success result came.
    Acknowledged,
    /// A later reading shows the target.
    Applied,
    /// The machine refused.
    Refused,
    /// It ran out before it was carried out.
    Expired,
    /// Somebody at the console took control.
    Lost,
    /// Nobody knows: the machine did not answer, or no reading shows the target.
    Unknown,
}

/// To the member and the coach who watches: the heart rate was above the ceiling for 10 s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Alarm {
    /// The workout.
    pub workout: WorkoutId,
    /// The last reading.
    pub heart_rate_bpm: u16,
    /// The ceiling.
    pub ceiling_bpm: u16,
    /// When it was raised.
    pub at_ms: i64,
}
