//! Boards: who did how much while a class or a contest runs.
//!
//! Out of the hub only. A tick is the whole top of the board, so that the latest replaces the one before; names come once, as events and in
//! the snapshot, and only of members who agreed to be on walls.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::Text;
use crate::{BoardId, GymId};

/// What a board counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BoardMetric {
    /// Metres.
    Distance,
    /// Kilocalories.
    Energy,
    /// Repetitions.
    Reps,
    /// Strokes.
    Strokes,
    /// Seconds of training.
    Duration,
}

/// Where a board stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BoardStage {
    /// Not begun: nothing counts yet.
    Waiting,
    /// It counts.
    Running,
    /// It is over: what it shows is what the hub had heard by then, and stays.
    Over,
}

/// The top of a board, at most [`BOARD_ROWS_MAX`](crate::limits::BOARD_ROWS_MAX) rows, best first. It replaces the tick before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BoardTick {
    /// Short number of the board's room.
    pub handle: u32,
    /// Hub time.
    pub at_ms: i64,
    /// How many are on the board, those below the last row too.
    pub count: u16,
    /// The best, best first; equal scores by who came first.
    pub rows: Vec<BoardRow>,
}

/// One line of a board. MessagePack: `[index, score, zone]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BoardRow {
    /// Index that `board_entered` or the snapshot named.
    pub index: u16,
    /// What was done, in the unit of the metric.
    pub score: u32,
    /// Heart-rate zone, 1 to 5 by tenths of the member's own maximum from below 60 % to 90 % and above; 0 where it is not known, older than
    /// 5 s, or not theirs to show.
    pub zone: u8,
}

/// A board as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BoardSnapshot {
    /// The board.
    pub board: BoardId,
    /// Its gym.
    pub gym: GymId,
    /// Its name.
    pub name: Text<64>,
    /// What it counts.
    pub metric: BoardMetric,
    /// When counting begins.
    pub starts_at_ms: i64,
    /// When it ends.
    pub ends_at_ms: i64,
    /// Where it stands.
    pub stage: BoardStage,
    /// Hub time.
    pub at_ms: i64,
    /// Names of the rows' indexes, and of those below the top.
    pub entries: Vec<BoardEntry>,
    /// How many are on the board.
    pub count: u16,
    /// The best, best first.
    pub rows: Vec<BoardRow>,
}

/// A name on a board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BoardEntry {
    /// Index in the rows.
    pub index: u16,
    /// The handle that the member agreed to show.
    pub name: Text<48>,
}
