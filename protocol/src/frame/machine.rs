//! Frames of machines and gateways about the machine itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::Text;
use crate::{MachineId, MemberId, WorkoutId};

/// A machine is on this connection, and this is what it knows. Sent for each machine after every connect and every boot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MachineHello {
    /// The machine; provisioned before and bound to this gateway in the store.
    pub machine: MachineId,
    /// Vendor, model, firmware and serial.
    #[serde(deserialize_with = "crate::lenient::record")]
    pub model: MachineModel,
    /// What it does now.
    pub state: MachineStatus,
    /// Whether somebody stands or sits on it, if it can tell.
    #[serde(default)]
    pub user_present: Option<bool>,
    /// The claim it keeps from before the break, if any.
    #[serde(default, deserialize_with = "crate::lenient::option")]
    pub claim: Option<HeldClaim>,
    /// Which clock of this connection stamps its times.
    #[serde(default)]
    pub clock: u16,
    /// What it lets itself be told, from its own ranges; none takes no remote target.
    #[serde(default, deserialize_with = "crate::lenient::option")]
    pub ranges: Option<ControlRanges>,
    /// Has a screen that can show a one-time code.
    #[serde(default)]
    pub screen: bool,
    /// What its clock showed when it took the claim that it keeps. None without a claim, or where the clock was started again since.
    #[serde(default)]
    pub claim_since_dev_ms: Option<i64>,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MachineModel {
    /// Maker.
    pub vendor: Text<48>,
    /// Model.
    pub model: Text<48>,
    /// Firmware.
    #[serde(default)]
    pub firmware: Option<Text<48>>,
    /// Serial number.
    #[serde(default)]
    pub serial: Option<Text<48>>,
    /// Kind of machine.
    pub kind: MachineKind,
    /// A motor moves it: a belt, a stair. Decides what may never be sent to it.
    pub powered: bool,
}

/// Kind of machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words say it")]
pub enum MachineKind {
    Treadmill,
    CrossTrainer,
    StepClimber,
    StairClimber,
    Rower,
    Bike,
    Strength,
    Functional,
    Other,
}

/// What a machine does, as it says itself (CSAFE, FTMS and FE-C states mapped by the gateway).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MachineStatus {
    /// Starting up.
    Booting,
    /// Ready and unused.
    Idle,
    /// In use and moving.
    Active,
    /// In use and paused.
    Paused,
    /// Shows its summary.
    Finishing,
    /// In use by somebody who did not log in.
    Manual,
    /// Stopped by the safety key or stop mushroom: needs a local reset.
    SafetyStopped,
    /// Out of order by its own word.
    Faulted,
}

/// A claim that a machine keeps in its own memory through a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldClaim {
    /// Who holds it.
    pub member: MemberId,
    /// The fence of the claim.
    pub fence: u64,
    /// The workout that runs under it.
    pub workout: WorkoutId,
}

/// What a machine lets itself be told, in FTMS units; a pair is (least, most).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ControlRanges {
    /// 0.01 km/h.
    #[serde(default)]
    pub speed_centikmh: Option<(i32, i32)>,
    /// 0.1 %.
    #[serde(default)]
    pub incline_permille: Option<(i32, i32)>,
    /// Tenths.
    #[serde(default)]
    pub resistance_tenths: Option<(i32, i32)>,
    /// Watts.
    #[serde(default)]
    pub power_w: Option<(i32, i32)>,
}

/// The machine changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MachineState {
    /// The machine.
    pub machine: MachineId,
    /// What it does now.
    pub state: MachineStatus,
    /// Who or what caused it.
    #[serde(default)]
    pub cause: Cause,
    /// Whether somebody is on it, if it can tell.
    #[serde(default)]
    pub user_present: Option<bool>,
}

/// Why a machine changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Not known.
    #[default]
    Unknown,
    /// Somebody at the console.
    User,
    /// A command from the hub.
    Remote,
    /// The safety key or mushroom.
    SafetyKey,
    /// A fault of its own.
    Fault,
    /// Its own timer.
    Timeout,
}

/// Something in the machine is broken; opens a fault ticket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MachineFault {
    /// The machine.
    pub machine: MachineId,
    /// The vendor's code.
    pub code: Text<32>,
    /// How bad it is.
    pub severity: Severity,
    /// Which part.
    #[serde(default)]
    pub subsystem: Option<Text<48>>,
    /// In words.
    #[serde(default)]
    pub text: Option<Text<256>>,
}

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// To know.
    Notice,
    /// Works, wants service.
    Warning,
    /// Does not work: the machine goes to maintenance.
    Error,
}

/// The hub knows the machine now, and this is what holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MachineReady {
    /// The machine.
    pub machine: MachineId,
    /// The claim that stands; a machine that kept another forgets it.
    pub claim: Option<HeldClaim>,
}

/// Show this one-time code until it runs out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShowCode {
    /// The machine.
    pub machine: MachineId,
    /// Six digits.
    pub code: Text<16>,
    /// Good for this long from now.
    pub life_ms: u32,
}

/// Keep this claim, through breaks too, and answer `claim_held`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimSet {
    /// The machine.
    pub machine: MachineId,
    /// The claim.
    #[serde(deserialize_with = "crate::lenient::record")]
    pub claim: HeldClaim,
}

/// Forget the claim and everything about its member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimClear {
    /// The machine.
    pub machine: MachineId,
    /// The fence up to which claims are over.
    pub fence: u64,
}

/// The machine keeps the claim of this fence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimHeld {
    /// The machine.
    pub machine: MachineId,
    /// The fence.
    pub fence: u64,
}

/// A second sign after a sticker was scanned: somebody really is at the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecondSign {
    /// The machine.
    pub machine: MachineId,
    /// Which sign.
    pub sign: Sign,
}

/// What shows that a member is at the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// First movement after the scan.
    Movement,
    /// A key on the console.
    Console,
    /// An NFC tap.
    Nfc,
    /// Staff of the gym.
    Staff,
}
