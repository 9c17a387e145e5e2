//! Every cause of work, on one page.

use std::sync::Arc;

use protocol::frame::{
    Bind, CheckOut, Claim, ClaimHeld, Clock, CommandAnswer, Control, EndWorkout, HeldClaim, JoinRoom, LogSet, MachineFault, MachineHello,
    MachineState, Propose, Release, RepDetail, Role, SecondSign, SetDetail, Stop, StopAnswer, StrokeDetail,
};
use protocol::text::Text;
use protocol::{
    BoardId, DeviceId, GatewayId, GymId, MachineId, MemberId, Reading, RoomName, SeqRanges, SessionId, TeamId, TenantId, WorkoutId,
};
use uuid::Uuid;

/// The two clocks, read once per drain of a shard's inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// UTC, milliseconds. May jump.
    pub at_ms: i64,
    /// Monotonic since the node's start, milliseconds. Deadlines use it.
    pub mono_ms: i64,
}

/// Who a session speaks for; resolved once from its token, shared by everything that session does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// The tenant of the token.
    pub tenant: TenantId,
    /// The role.
    pub role: Role,
    /// The UUID in `sub`: member, staff, gateway, machine, display or service by role.
    pub subject: Uuid,
    /// Gyms that the token names; for a gateway or display exactly its own.
    pub gyms: Vec<GymId>,
    /// Teams that the token names.
    pub teams: Vec<TeamId>,
}

/// Names a source on one connection: what a slot was resolved to at `bind`. Never reused while the node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceHandle(pub u64);

/// One machine as provisioned in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineRecord {
    /// The machine.
    pub machine: MachineId,
    /// Name on its sticker.
    pub name: Text<48>,
    /// Where it stands.
    pub location: Text<48>,
    /// Kind.
    pub kind: protocol::frame::MachineKind,
    /// The gateway that may publish it; none until one is bound.
    pub gateway: Option<GatewayId>,
    /// Whether its maintenance log is open.
    pub maintenance: bool,
    /// Open fault tickets.
    pub tickets: Vec<protocol::frame::OpenTicket>,
    /// The claim that the store knows, with the newest fence it ever saw (0 none).
    pub claim: Option<HeldClaim>,
    /// Whether the member of `claim` may control the machine, or only stop it.
    pub may_control: bool,
    /// The newest fence the store ever saw for this machine.
    pub fence: u64,
}

/// What the hub knows of a member when it first matters in a gym.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MemberRecord {
    /// Name on walls; used only with `wall_consent`.
    pub handle: Option<Text<48>>,
    /// Whether the member's handle may be shown on walls.
    pub wall_consent: bool,
    /// Teams the member is in, for coaches' rights.
    pub teams: Vec<TeamId>,
    /// Heart-rate ceiling.
    pub ceiling_bpm: Option<u16>,
    /// Names of achievements earned before.
    pub achievements: Vec<Text<64>>,
    /// The member's own maximum, for zones on boards.
    pub max_heart_rate_bpm: Option<u16>,
}

/// A board as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardRecord {
    /// The board.
    pub board: BoardId,
    /// Its name.
    pub name: Text<64>,
    /// What it counts.
    pub metric: protocol::frame::BoardMetric,
    /// Machines whose workouts count; empty for all of the gym.
    pub machines: Vec<MachineId>,
    /// When counting begins, UTC.
    pub starts_at_ms: i64,
    /// When it ends.
    pub ends_at_ms: i64,
    /// How often watchers are told, 500 to 1,000 ms.
    pub every_ms: u16,
    /// What was counted before a restart.
    pub parts: Vec<BoardPart>,
}

/// What one workout brought to a board, as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardPart {
    /// The workout.
    pub workout: WorkoutId,
    /// Whose.
    pub member: MemberId,
    /// What the workout had before it counted.
    pub base: u32,
    /// What it came to, once that is settled.
    pub score: Option<u32>,
    /// The member's handle, where walls may show it.
    pub name: Option<Text<48>>,
}

/// A workout that was running when the node went down, as the store has it.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkoutRecord {
    /// The workout.
    pub workout: WorkoutId,
    /// Whose.
    pub member: MemberId,
    /// When it began.
    pub started_at_ms: i64,
    /// When the training was over, if it is.
    pub ended_at_ms: Option<i64>,
    /// Its stage.
    pub stage: protocol::frame::WorkoutStage,
    /// Its visit.
    pub visit: protocol::VisitId,
    /// Sources and seqs that belong to it, each with what is stored of its boot.
    pub ranges: Vec<(WorkoutRange, SeqRanges)>,
}

/// A stretch of one boot that belongs to a workout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkoutRange {
    /// Whose readings.
    pub source: SourceKey,
    /// The boot.
    pub boot: u32,
    /// First seq.
    pub from_seq: u32,
    /// Last seq; `u32::MAX` while open.
    pub to_seq: u32,
}

/// A source: whoever numbers readings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceKey {
    /// The machine, or none for a member's own device.
    pub machine: Option<MachineId>,
    /// The member, for a member's own device.
    pub member: Option<MemberId>,
    /// Which sensor.
    pub sensor: Text<32>,
}

/// One numbered thing a source said.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbered {
    /// Its number.
    pub seq: u32,
    /// The device's monotonic clock.
    pub dev_ms: i64,
    /// What.
    pub what: Said,
    /// A batch from the buffer rather than something new: stored, not shown.
    pub backfill: bool,
}

/// What a source said under a number.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// A reading, decoded.
    Reading(Reading),
    /// A raw notification, to be decoded by the room with the source's quirks.
    Raw {
        /// 16-bit UUID of the characteristic.
        uuid: u16,
        /// The value.
        bytes: Vec<u8>,
    },
    /// A repetition.
    Rep(RepDetail),
    /// A set.
    Set(SetDetail),
    /// A stroke.
    Stroke(StrokeDetail),
}

/// Everything that can happen to a gym. Rights were checked by the session before (`rights`), except where noted.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "a variant says what its fields are")]
pub enum Input {
    /// A session wants a room; `req` is none for rooms of `hello`.
    Join { session: SessionId, viewer: Arc<Viewer>, req: Option<u32>, join: JoinRoom },
    /// A session leaves a room.
    Leave { session: SessionId, req: u32, room: RoomName },
    /// Changes of the floor did not all reach this session, which keeps up again: it is told every machine.
    FloorAgain { session: SessionId },
    /// A session ended: leaves all rooms, frees its machines and sources.
    Gone { session: SessionId },
    /// A machine is on this connection.
    MachineHello { session: SessionId, viewer: Arc<Viewer>, hello: MachineHello },
    /// A source is on this connection under a slot.
    Bind { session: SessionId, viewer: Arc<Viewer>, source: SourceHandle, bind: Bind },
    /// A slot was freed.
    Unbind { session: SessionId, source: SourceHandle },
    /// Something numbered came.
    Said { source: SourceHandle, said: Numbered },
    /// The source lost these.
    Lost { source: SourceHandle, from: u32, to: u32 },
    /// A clock pair was completed: `t4` is when the answer came, UTC.
    Clock { session: SessionId, clock: Clock, answered_at_ms: i64 },
    /// A machine changed; with when the hub heard it, UTC, which may be before a stop that overtook it.
    MachineState { session: SessionId, state: MachineState, heard_at_ms: i64 },
    /// A machine reports a fault.
    MachineFault { session: SessionId, fault: MachineFault },
    /// A machine keeps a claim.
    ClaimHeld { session: SessionId, held: ClaimHeld },
    /// A second sign from the machine.
    SecondSign { session: SessionId, sign: SecondSign },
    /// Staff is the second sign.
    Approve { session: SessionId, viewer: Arc<Viewer>, req: u32, machine: MachineId },
    /// A machine answers a command.
    CommandAnswer { session: SessionId, answer: CommandAnswer },
    /// A machine answers a stop (safety lane).
    StopAnswer { session: SessionId, answer: StopAnswer },
    /// A member claims a machine. The room checks codes; the member room grants.
    Claim { session: SessionId, viewer: Arc<Viewer>, claim: Claim },
    /// The member room's answer to a reservation that this gym asked for.
    Reserved { machine: MachineId, member: MemberId, answer: Reservation },
    /// A member, or staff, gives a machine back.
    Release { session: SessionId, viewer: Arc<Viewer>, release: Release },
    /// The member room ends this claim (hand-over to another gym, check-out, superseded).
    Revoke { machine: MachineId, fence: u64, reason: protocol::frame::ReleaseReason },
    /// A member checks out.
    CheckOut { session: SessionId, viewer: Arc<Viewer>, check_out: CheckOut },
    /// A member ends a workout.
    EndWorkout { session: SessionId, viewer: Arc<Viewer>, end: EndWorkout },
    /// A target for a machine.
    Control { session: SessionId, viewer: Arc<Viewer>, control: Control },
    /// A coach's proposal.
    Propose { session: SessionId, viewer: Arc<Viewer>, propose: Propose },
    /// A stop (safety lane). The room checks the right: claimer, staff of the gym, the coach who watches.
    Stop { session: SessionId, viewer: Arc<Viewer>, stop: Stop },
    /// A set logged on a phone.
    LogSet { session: SessionId, viewer: Arc<Viewer>, log: LogSet },
    /// A ceiling was set (already stored).
    Ceiling { member: MemberId, heart_rate_bpm: Option<u16> },
    /// Consent or teams of a member changed, or were read from the store.
    MemberKnown { member: MemberId, record: MemberRecord },
    /// A member is being erased: what they hold ends, and nothing here remembers them.
    MemberErased { member: MemberId },
    /// A machine was provisioned, changed, or read from the store at start.
    MachineKnown { record: Box<MachineRecord> },
    /// Another hub, which this one is about to replace, changed something at a machine after this one read it.
    ChangedBeside { record: Box<MachineRecord> },
    /// A machine was taken out of the gym.
    MachineRemoved { machine: MachineId },
    /// A board was made, changed, or read from the store at start.
    BoardKnown { record: Box<BoardRecord> },
    /// A board was taken down.
    BoardRemoved { board: BoardId },
    /// A visit that was active before the restart; comes before the workouts and machines of its gym.
    VisitKnown { member: MemberId, visit: protocol::VisitId, started_at_ms: i64, machines: Vec<MachineId> },
    /// A workout that ran before the restart; comes before the machines of its gym, whose claims go on with it.
    WorkoutKnown { record: Box<WorkoutRecord> },
    /// The Recorder stored (or quarantined) these of a boot under this nonce; `rejected` names the quarantined with their error number.
    Stored { source: SourceKey, boot: u32, nonce: u32, stored: SeqRanges, rejected: Vec<(u32, u16)> },
    /// The Recorder found that a boot came with another nonce: both are flagged.
    SourceConflict { source: SourceKey, boot: u32 },
    /// The key of one device of this gym was live on two sockets.
    DeviceCloned { device: DeviceId, subject: Uuid },
    /// The Recorder can take readings again after `Effect::Keep` was refused for this source.
    RecorderReady,
    /// A `Keep` was refused by the full Recorder: the source must be told to hold. All of `seq..=through` is refused (more than one
    /// for what was declared lost), and `absorbed` with it.
    NotAccepted { source: SourceHandle, seq: u32, through: u32, absorbed: Vec<u32> },
    /// The totals of an ended workout, added up by the store from what is stored.
    TotalsKnown { workout: WorkoutId, revision: u32, totals: protocol::frame::Totals },
    /// Time passes: deadlines, ticks, freshness. At least every 50 ms.
    Tick,
}

/// The member room's word on a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reservation {
    /// The member is free for this machine for 2 s; confirm or let go.
    Granted,
    /// The member holds another machine.
    Busy,
    /// Another claim of the member is being decided.
    Pending,
}

/// Everything that can happen to a member across gyms.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "a variant says what its fields are")]
pub enum MemberInput {
    /// A session of the member, or one that may watch the member, wants the member room.
    Join { session: SessionId, viewer: Arc<Viewer>, req: Option<u32>, join: JoinRoom },
    /// A session leaves the room.
    Leave { session: SessionId, req: u32, room: RoomName },
    /// A session ended.
    Gone { session: SessionId },
    /// A gym asks to reserve the member for a machine; `hand_over` is the fence of the claim to leave.
    Reserve { gym: GymId, machine: MachineId, hand_over: Option<u64> },
    /// The gym granted the claim: the reservation becomes a holding.
    Confirm { gym: GymId, machine: MachineId, claim: HeldClaim, may_control: bool },
    /// The gym let the reservation go.
    Cancel { gym: GymId, machine: MachineId },
    /// The claim ended in its gym.
    Released { machine: MachineId, fence: u64, reason: protocol::frame::ReleaseReason },
    /// A gym tells what happens to the member: visit, workout, alarms.
    Happened { body: Box<protocol::frame::EventBody> },
    /// A visit began or ended.
    Visit { visit: protocol::frame::MemberVisit },
    /// What the store knows of the member: without it no coach may watch.
    Known { record: MemberRecord },
    /// Time passes.
    Tick,
}
