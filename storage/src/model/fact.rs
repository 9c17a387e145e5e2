//! Facts that rooms decide and the database keeps, in order, each idempotent by its ids.

use protocol::frame::{Event, MachineFault, ReleaseReason, SetDetail, Severity, StopOutcome, Totals, VisitState, WorkoutStage};
use protocol::text::Text;
use protocol::{BoardId, EventId, GymId, MachineId, MemberId, RoomName, StopId, TicketId, VisitId, WorkoutId};

use super::WorkoutRange;

/// One fact for [`crate::Recorder::persist`]. Replaying one changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// A claim was granted.
    #[expect(missing_docs, reason = "the words say it")]
    Claim { gym: GymId, machine: MachineId, member: MemberId, fence: u64, workout: WorkoutId, may_control: bool, at_ms: i64 },
    /// A claim ended.
    #[expect(missing_docs, reason = "the words say it")]
    ClaimEnded { machine: MachineId, fence: u64, reason: ReleaseReason, at_ms: i64 },
    /// A visit began, or changed. One that ended stays ended.
    #[expect(missing_docs, reason = "the words say it")]
    Visit {
        visit: VisitId,
        gym: GymId,
        member: MemberId,
        state: VisitState,
        started_at_ms: i64,
        ended_at_ms: Option<i64>,
        machines: Vec<MachineId>,
    },
    /// A workout began, or changed its stage. A sealed one stays sealed, an ended one is only sealed.
    #[expect(missing_docs, reason = "the words say it")]
    Workout {
        workout: WorkoutId,
        gym: GymId,
        member: MemberId,
        visit: VisitId,
        stage: WorkoutStage,
        started_at_ms: i64,
        ended_at_ms: Option<i64>,
    },
    /// A stretch of readings belongs to a workout; its end may be told later under the same beginning.
    #[expect(missing_docs, reason = "the words say it")]
    WorkoutRange { workout: WorkoutId, range: WorkoutRange },
    /// A workout is sealed with these totals at this revision.
    #[expect(missing_docs, reason = "the words say it")]
    Totals { workout: WorkoutId, revision: u32, totals: Totals },
    /// An event of a room, for `GET /v1/events` and history.
    #[expect(missing_docs, reason = "the words say it")]
    Event { gym: GymId, room: RoomName, member: Option<MemberId>, event: Box<Event> },
    /// A fault ticket was opened.
    #[expect(missing_docs, reason = "the words say it")]
    Ticket { gym: GymId, machine: MachineId, ticket: TicketId, severity: Severity, fault: Box<MachineFault>, at_ms: i64 },
    /// A machine went to or from maintenance by its own word.
    #[expect(missing_docs, reason = "the words say it")]
    Maintenance { machine: MachineId, open: bool, text: Text<256>, at_ms: i64 },
    /// A set logged on a phone.
    #[expect(missing_docs, reason = "the words say it")]
    LoggedSet { id: EventId, workout: WorkoutId, member: MemberId, logged_at_ms: i64, set: Box<SetDetail> },
    /// A stop and its outcome, for the audit. A later word replaces an earlier one.
    #[expect(missing_docs, reason = "the words say it")]
    Stop { gym: GymId, machine: MachineId, stop: StopId, outcome: StopOutcome, code: Option<u8>, at_ms: i64 },
    /// What a workout brings to a board. From where it counts is said once and stays; what it came to may follow.
    #[expect(missing_docs, reason = "the words say it")]
    BoardScore { board: BoardId, workout: WorkoutId, member: MemberId, base: u32, score: Option<u32> },
    /// Asks to add up an ended workout from what is stored; answered by [`crate::Report::TotalsKnown`].
    #[expect(missing_docs, reason = "the words say it")]
    AddUp { workout: WorkoutId, revision: u32 },
}
