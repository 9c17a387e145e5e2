//! Boards: what they count, and what each workout brought.

use protocol::frame::{BoardMetric, Totals};
use protocol::text::Text;
use protocol::{BoardId, GymId, MachineId, MemberId, WorkoutId};

/// A leaderboard, or the board of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardRecord {
    /// The board.
    pub board: BoardId,
    /// Its gym.
    pub gym: GymId,
    /// Its name.
    pub name: Text<64>,
    /// What it counts; fixed once made.
    pub metric: BoardMetric,
    /// Machines whose workouts count; empty for all of the gym.
    pub machines: Vec<MachineId>,
    /// When counting begins.
    pub starts_at_ms: i64,
    /// When it ends.
    pub ends_at_ms: i64,
    /// How often its watchers are told.
    pub every_ms: u16,
}

/// What one workout brought to a board.
#[derive(Debug, Clone, PartialEq)]
pub struct BoardScore {
    /// The workout.
    pub workout: WorkoutId,
    /// Whose.
    pub member: MemberId,
    /// What the workout had before it counted.
    pub base: u32,
    /// What it came to, once that is settled.
    pub score: Option<u32>,
    /// The member's handle, only with consent.
    pub name: Option<Text<48>>,
    /// The workout's totals, where it is sealed.
    pub totals: Option<Totals>,
}

/// A board with what was counted.
#[derive(Debug, Clone, PartialEq)]
pub struct BoardSeed {
    /// The board.
    pub record: BoardRecord,
    /// What was counted, in the order of the workouts.
    pub scores: Vec<BoardScore>,
}
