//! Names of rooms: `kind:id`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{BoardId, GymId, MachineId, MemberId, WorkoutId};

/// A thing that sessions watch. On the wire `floor:GYM`, `machine:MACHINE`, `workout:WORKOUT`, `member:MEMBER` or `board:BOARD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RoomName {
    /// All machines of a gym with their availability and latest values, conflated per tick.
    Floor(GymId),
    /// One machine: state, claim, control.
    Machine(MachineId),
    /// One running workout: every reading, sets, points.
    Workout(WorkoutId),
    /// What concerns one member on all their devices: claim, visit, workouts, alarms.
    Member(MemberId),
    /// Who did how much while a class or a contest runs, conflated per tick.
    Board(BoardId),
}

/// The text is not the name of a room that this hub serves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a room: write floor:, machine:, workout:, member: or board: and a UUID")]
pub struct NotARoom(String);

impl RoomName {
    /// The word before the colon.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Floor(_) => "floor",
            Self::Machine(_) => "machine",
            Self::Workout(_) => "workout",
            Self::Member(_) => "member",
            Self::Board(_) => "board",
        }
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = match self {
            Self::Floor(id) => id.0,
            Self::Machine(id) => id.0,
            Self::Workout(id) => id.0,
            Self::Member(id) => id.0,
            Self::Board(id) => id.0,
        };
        write!(f, "{}:{id}", self.kind())
    }
}

impl FromStr for RoomName {
    type Err = NotARoom;
    fn from_str(text: &str) -> Result<Self, NotARoom> {
        let unknown = || NotARoom(text.chars().take(64).collect());
        let (kind, id) = text.split_once(':').ok_or_else(unknown)?;
        let id = id.parse().map_err(|_| unknown())?;
        match kind {
            "floor" => Ok(Self::Floor(GymId(id))),
            "machine" => Ok(Self::Machine(MachineId(id))),
            "workout" => Ok(Self::Workout(WorkoutId(id))),
            "member" => Ok(Self::Member(MemberId(id))),
            "board" => Ok(Self::Board(BoardId(id))),
            _ => Err(unknown()),
        }
    }
}

impl Serialize for RoomName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RoomName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for RoomName {
    fn schema_name() -> Cow<'static, str> {
        "RoomName".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(floor|machine|workout|member|board):[0-9a-f-]{36}$",
            "description": "A room: `floor:GYM`, `machine:MACHINE`, `workout:WORKOUT`, `member:MEMBER`, `board:BOARD`." })
    }
}
