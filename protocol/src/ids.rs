//! Ids as distinct types, so that they cannot be swapped.
//!
//! All are UUIDs (RFC 9562); the hub makes version 7, and version 5 where an id must follow from its cause.
//! In JSON the hyphenated text, in MessagePack 16 bytes (`bin`). A tenant is never part of one.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(&self.0, f) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, concat!(stringify!($name), "({})"), self.0) }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> { text.parse().map(Self) }
        }
        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self { Self(id) }
        }
    )+};
}

ids! {
    /// A gym chain. Comes from the token and is compared with the object's; never on the wire inside a name.
    TenantId
    /// One club of a tenant.
    GymId
    /// A piece of equipment.
    MachineId
    /// One installation: all nodes over one store. A device signs for one hub only.
    HubId
    /// An enrolled device: the hardware that speaks for a gateway or a machine, by a key of its own.
    DeviceId
    /// A gateway: one socket that carries many machines.
    GatewayId
    /// A person who trains.
    MemberId
    /// A coach, team manager or operator.
    StaffId
    /// A wall screen.
    DisplayId
    /// A group of coaches and members.
    TeamId
    /// One member's training.
    WorkoutId
    /// A board: a leaderboard or the board of a class.
    BoardId
    /// A member's stay in a gym.
    VisitId
    /// One connection's life.
    SessionId
    /// One command to a machine, drawn by whoever asks; repeats carry the same.
    CommandId
    /// One request to stop a machine, drawn by whoever asks; repeats carry the same.
    StopId
    /// One event of a room. Hub-made events derive it from their cause.
    EventId
    /// One proposal of a coach to change a machine's target.
    ProposalId
    /// One fault ticket of a machine.
    TicketId
}

/// Which memory an event log lives in: 64 random bits drawn when it is made, so that lost memory always reads as `reset`.
///
/// Sixteen hexadecimal digits in JSON, where numbers are exact to 53 bits only; an integer in MessagePack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(pub u64);

impl Serialize for Epoch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&format_args!("{:016x}", self.0))
        } else {
            serializer.serialize_u64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Epoch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EpochVisitor;
        impl de::Visitor<'_> for EpochVisitor {
            type Value = Epoch;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an epoch: up to sixteen hexadecimal digits as text, or an integer")
            }
            fn visit_u64<E: de::Error>(self, epoch: u64) -> Result<Epoch, E> {
                Ok(Epoch(epoch))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Epoch, E> {
                u64::from_str_radix(text, 16).map(Epoch).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(EpochVisitor)
    }
}

impl JsonSchema for Epoch {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Epoch".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-f]{1,16}$" })
    }
}
