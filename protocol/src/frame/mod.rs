//! Every frame, both ways: one table of kinds for each direction.
//!
//! A frame is `[kind, fields...]` in MessagePack and an object with `t` in JSON. Kinds are numbered for ever: 1-59 go to the
//! hub, 60-119 come from it; a retired number is not used again. New fields are appended with `#[serde(default)]`; whoever does not
//! know them ignores them. The delivery class of what the hub sends decides what happens when the peer is slow.

mod board;
mod claim;
mod control;
mod event;
mod machine;
mod reading;
mod rows;
mod session;
mod snapshot;

pub use board::*;
pub use claim::*;
pub use control::*;
pub use event::*;
pub use machine::*;
pub use reading::*;
pub use session::*;
pub use snapshot::*;

/// What order and loss a frame has, and what happens when its peer is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Acknowledged by the far end, repeated until then, ahead of everything.
    Safety,
    /// In order by room offset, no silent gap; over the outbox's bound the session closes `Slow` and resumes.
    Event,
    /// Text appended at an offset; frames merge, text is kept.
    Stream,
    /// Latest wins by key; older values are replaced, never queued.
    Live,
}

impl Class {
    /// The word in documents and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Safety => "safety",
            Self::Event => "event",
            Self::Stream => "stream",
            Self::Live => "live",
        }
    }
}

/// One row of a frame table, for documents and tests.
#[derive(Clone, Copy)]
pub struct FrameEntry {
    /// Number in MessagePack.
    pub kind: u8,
    /// `t` in JSON.
    pub name: &'static str,
    /// Delivery class.
    pub class: Class,
    /// The JSON Schema of its fields.
    pub schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
}

macro_rules! frames {
    ($(#[$doc:meta])* $enum:ident { $($kind:literal $name:literal $class:ident $variant:ident;)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        #[expect(missing_docs, reason = "each variant is its struct, documented there")]
        pub enum $enum { $($variant($variant),)+ }

        impl $enum {
            /// All kinds of this direction, in order of their numbers.
            pub const TABLE: &[FrameEntry] = &[$(FrameEntry {
                kind: $kind, name: $name, class: Class::$class,
                schema: <$variant as schemars::JsonSchema>::json_schema,
            },)+];

            /// The number in MessagePack.
            #[must_use]
            pub const fn kind(&self) -> u8 { match self { $(Self::$variant(_) => $kind,)+ } }
            /// `t` in JSON.
            #[must_use]
            pub const fn name(&self) -> &'static str { match self { $(Self::$variant(_) => $name,)+ } }
            /// The delivery class.
            #[must_use]
            pub const fn class(&self) -> Class { match self { $(Self::$variant(_) => Class::$class,)+ } }
        }

        $(impl From<$variant> for $enum { fn from(frame: $variant) -> Self { Self::$variant(frame) } })+

        impl crate::wire::Frame for $enum {
            fn kind_of(name: &str) -> Option<u8> { match name { $($name => Some($kind),)+ _ => None } }
            fn kind(&self) -> u8 { self.kind() }
            fn name(&self) -> &'static str { self.name() }
            fn serialize_fields<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$variant(frame) => serde::Serialize::serialize(frame, serializer),)+ }
            }
            fn deserialize_fields<'de, D: serde::Deserializer<'de>>(kind: u8, deserializer: D) -> Result<Option<Self>, D::Error> {
                match kind { $($kind => serde::Deserialize::deserialize(deserializer).map(|frame| Some(Self::$variant(frame))),)+ _ => Ok(None) }
            }
        }
    };
}

frames! {
    /// What a peer sends to the hub.
    ClientFrame {
        1 "hello" Event Hello;
        2 "refresh" Event Refresh;
        3 "ping" Event Ping;
        4 "join" Event Join;
        5 "leave" Event Leave;
        6 "clock" Event Clock;
        7 "prove" Event Prove;
        8 "rotate_key" Event RotateKey;
        10 "machine_hello" Event MachineHello;
        11 "bind" Event Bind;
        12 "unbind" Event Unbind;
        13 "sample" Live Sample;
        14 "batch" Event Batch;
        15 "ftms.raw" Live FtmsRaw;
        16 "lost" Event Lost;
        17 "rep" Event Rep;
        18 "set" Event Set;
        19 "stroke" Event Stroke;
        20 "machine_state" Event MachineState;
        21 "machine_fault" Event MachineFault;
        22 "claim_held" Event ClaimHeld;
        23 "second_sign" Event SecondSign;
        24 "command_answer" Event CommandAnswer;
        25 "stop_answer" Safety StopAnswer;
        30 "claim" Event Claim;
        31 "release" Event Release;
        32 "check_out" Event CheckOut;
        33 "approve" Event Approve;
        34 "control" Event Control;
        35 "stop" Safety Stop;
        36 "propose" Event Propose;
        37 "ceiling" Event Ceiling;
        38 "log_set" Event LogSet;
        39 "end_workout" Event EndWorkout;
    }
}

frames! {
    /// What the hub sends to a peer.
    ServerFrame {
        60 "welcome" Event Welcome;
        61 "refreshed" Event Refreshed;
        62 "pong" Live Pong;
        63 "error" Event Error;
        64 "ok" Event Done;
        65 "joined" Event Joined;
        66 "left" Event Left;
        67 "event" Event Event;
        68 "reset" Event Reset;
        69 "live" Live Live;
        70 "floor" Live FloorTick;
        71 "saved" Live Saved;
        72 "move" Event Move;
        73 "challenge" Event Challenge;
        74 "key_rotated" Event KeyRotated;
        79 "board" Live BoardTick;
        80 "clock_ask" Event ClockAsk;
        81 "machine_ready" Event MachineReady;
        82 "bound" Event Bound;
        83 "ack" Event Ack;
        84 "hold" Event Hold;
        85 "resend" Event Resend;
        86 "show_code" Event ShowCode;
        87 "claim_set" Event ClaimSet;
        88 "claim_clear" Event ClaimClear;
        89 "command" Event Command;
        90 "stop_machine" Safety StopMachine;
        91 "stop_result" Safety StopResult;
        92 "control_result" Event ControlResult;
        93 "alarm" Safety Alarm;
        94 "claimed" Event Claimed;
        95 "rejected" Event Rejected;
    }
}
