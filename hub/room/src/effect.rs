//! Everything a room wants done, in order. The shard does it; nothing comes back but as an input.

use protocol::frame::{
    Event, MachineFault, ReleaseReason, RepDetail, ServerFrame, SetDetail, Severity, StrokeDetail, Totals, VisitState, WorkoutStage,
};
use protocol::text::Text;
use protocol::{BoardId, EventId, GymId, MachineId, MemberId, Reading, RoomName, SessionId, StopId, TicketId, VisitId, WorkoutId};

use crate::input::{SourceHandle, SourceKey, WorkoutRange};

/// Which lane of a peer's outbox a frame takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Ahead of everything.
    Safety,
    /// In order, never dropped.
    Event,
    /// Latest wins: an unsent frame of the same key is replaced.
    Live {
        /// What makes two frames the same thing: room handle and source.
        key: u64,
    },
    /// Latest wins too, but each frame tells only what changed since the one before. Where one is replaced or dropped unsent, the session
    /// asks for the whole as soon as it keeps up again (`Input::FloorAgain`), so that the latest of every row reaches it.
    Changes {
        /// The room.
        key: u64,
    },
}

/// Who of a room's watchers gets a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audience {
    /// All of them.
    All,
    /// Staff of the gym only: tickets, unconfirmed stops, conflicts.
    Staff,
    /// One watcher class of a live room, as `Effect::Watch` numbered it.
    Class(u8),
}

/// What must happen next.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "a variant says what its fields are")]
pub enum Effect {
    /// One frame to one session.
    Deliver { to: SessionId, lane: Lane, frame: Box<ServerFrame> },
    /// One frame to all watchers of a room: encoded once for each encoding.
    Broadcast { room: RoomName, audience: Audience, lane: Lane, frame: Box<ServerFrame> },
    /// The session watches the room from now on, in this class; broadcasts after this reach it. `staff` hears `Audience::Staff`.
    Watch { room: RoomName, session: SessionId, class: u8, staff: bool },
    /// The session no longer watches the room.
    Unwatch { room: RoomName, session: SessionId },
    /// Readings and events of a source, for good. Refused by a full Recorder, which comes back as `Input::NotAccepted`.
    Keep(Keep),
    /// Facts for the store, in order, idempotent by their ids. Not refused: the shard holds them until the Recorder takes them.
    Persist(Persist),
    /// A word to another state machine.
    Tell(Tell),
    /// A session must end (machine connected elsewhere, identity conflict).
    Close { session: SessionId, reason: protocol::CloseReason },
    /// Counted in metrics.
    Count(Counter),
}

/// One numbered thing for the Recorder.
#[derive(Debug, Clone, PartialEq)]
pub struct Keep {
    /// The connection's handle, for `NotAccepted`.
    pub handle: SourceHandle,
    /// Whose.
    pub source: SourceKey,
    /// Which boot.
    pub boot: u32,
    /// Its nonce.
    pub nonce: u32,
    /// Its number; the first part's for a merged record.
    pub seq: u32,
    /// Seqs of the other parts that this record absorbs (they are stored with it).
    pub absorbed: Vec<u32>,
    /// Device time.
    pub dev_ms: i64,
    /// When the hub got it, UTC.
    pub received_at_ms: i64,
    /// Device time plus the estimated offset, UTC; order never depends on it.
    pub corrected_at_ms: i64,
    /// Anchor for a boot that the store does not know yet: UTC of device time 0.
    pub anchor_at_ms: i64,
    /// The workout it belongs to.
    pub workout: Option<WorkoutId>,
    /// What.
    pub what: KeepWhat,
    /// Fields of a reading that were derived from the one before: not part of what makes two the same.
    pub derived: u32,
}

/// What is kept under a number.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "a variant says what its fields are")]
pub enum KeepWhat {
    /// A reading.
    Reading(Reading),
    /// A repetition.
    Rep(RepDetail),
    /// A set.
    Set(SetDetail),
    /// A stroke.
    Stroke(StrokeDetail),
    /// Cannot be read or means nothing possible: to quarantine, with why.
    Poison { code: u16, bytes: Vec<u8> },
    /// Declared lost by its source, `seq..=to`.
    Lost { to: u32 },
}

/// Facts that a gym wants in the store. Each is idempotent: replaying it changes nothing.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "a variant says what its fields are")]
pub enum Persist {
    /// A claim was granted.
    Claim { gym: GymId, machine: MachineId, member: MemberId, fence: u64, workout: WorkoutId, may_control: bool, at_ms: i64 },
    /// A claim ended.
    ClaimEnded { machine: MachineId, fence: u64, reason: ReleaseReason, at_ms: i64 },
    /// A visit began, or changed.
    Visit {
        visit: VisitId,
        gym: GymId,
        member: MemberId,
        state: VisitState,
        started_at_ms: i64,
        ended_at_ms: Option<i64>,
        machines: Vec<MachineId>,
    },
    /// A workout began, or changed its stage.
    Workout {
        workout: WorkoutId,
        gym: GymId,
        member: MemberId,
        visit: VisitId,
        stage: WorkoutStage,
        started_at_ms: i64,
        ended_at_ms: Option<i64>,
    },
    /// A stretch of readings belongs to a workout.
    WorkoutRange { workout: WorkoutId, range: WorkoutRange },
    /// A workout's totals at this revision.
    Totals { workout: WorkoutId, revision: u32, totals: Totals },
    /// An event of a room, for `GET /v1/events` and history; derived ids make it once.
    Event { gym: GymId, room: RoomName, member: Option<MemberId>, event: Event },
    /// A fault ticket was opened.
    Ticket { gym: GymId, machine: MachineId, ticket: TicketId, severity: Severity, fault: MachineFault, at_ms: i64 },
    /// A machine went to or from maintenance by its own fault.
    Maintenance { machine: MachineId, open: bool, text: Text<256>, at_ms: i64 },
    /// A set logged on a phone.
    LoggedSet { id: EventId, workout: WorkoutId, member: MemberId, logged_at_ms: i64, set: SetDetail },
    /// A stop and its outcome, for the audit.
    Stop { gym: GymId, machine: MachineId, stop: StopId, outcome: protocol::frame::StopOutcome, code: Option<u8>, at_ms: i64 },
    /// What a workout brings to a board: from where it counted, and what it came to once that is settled.
    BoardScore { board: BoardId, workout: WorkoutId, member: MemberId, base: u32, score: Option<u32> },
    /// Asks the store to add up an ended workout; answers with `Input::TotalsKnown`.
    AddUp { workout: WorkoutId, revision: u32 },
}

/// A word from one state machine to another, perhaps on another shard.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "a variant says what its fields are")]
pub enum Tell {
    /// To a member room.
    Member { member: MemberId, input: Box<crate::input::MemberInput> },
    /// To a gym.
    Gym { gym: GymId, input: Box<crate::input::Input> },
    /// Reads a member's record from the store; comes back as `Input::MemberKnown`.
    LookUpMember { gym: GymId, member: MemberId },
    /// A board is no more: nobody is led to it.
    ForgetBoard { board: BoardId },
}

/// Things counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Counter {
    ReadingLive,
    ReadingStale,
    ReadingDuplicate,
    ReadingPoison,
    StopAsked,
    StopStopped,
    StopRefused,
    StopUnconfirmed,
    CommandSent,
    ClaimGranted,
    ClaimDenied,
}
