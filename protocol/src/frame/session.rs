//! Frames about the session itself: hello, tokens, rooms, clocks, errors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Event, Snapshot};
use crate::device::{KEY_BYTES, NONCE_BYTES, SIGNATURE_BYTES};
use crate::limits::{ROOMS_PER_SESSION_MAX, TOKEN_BYTES_MAX};
use crate::text::{Blob, Text};
use crate::{DeviceId, Epoch, HubId, RoomName, SessionId, TenantId};

/// The first frame of a session: who it is, and every room it wants back in the same round trip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hello {
    /// The access token. Never in the URL outside the `dev` profile.
    pub token: Text<TOKEN_BYTES_MAX>,
    /// Rooms to join, each from where the peer left it; at most 128.
    #[serde(default, deserialize_with = "crate::lenient::list")]
    #[schemars(length(max = ROOMS_PER_SESSION_MAX))]
    pub rooms: Vec<JoinRoom>,
    /// The ticket of the session that this one goes on from.
    #[serde(default)]
    pub ticket: Option<Text<512>>,
    /// Name and version of the client, for logs.
    #[serde(default)]
    pub client: Option<Text<64>>,
    /// Which device of the subject this is (a phone's installation, a gateway's serial); caps count by it.
    #[serde(default)]
    pub device: Option<Text<64>>,
    /// The enrolled device that speaks, instead of a token (which is then empty): the hub answers with `challenge`.
    #[serde(default)]
    pub enrolled: Option<DeviceId>,
}

/// Answers `challenge`: the second frame of a device that said hello without a token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Prove {
    /// Ed25519 over the bytes that docs/GATEWAY.md names: context, hub, tenant, device, nonce, time.
    pub signature: Blob<SIGNATURE_BYTES>,
}

/// A device's next key. The one that it used so far goes on for the overlap that the answer names, then it is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RotateKey {
    /// Number of this request.
    pub req: u32,
    /// The new public key.
    pub key: Blob<KEY_BYTES>,
    /// The key of this session says so.
    pub signature: Blob<SIGNATURE_BYTES>,
    /// The new key over the same bytes: the device really has it.
    pub proof: Blob<SIGNATURE_BYTES>,
}

/// A room to watch, from where, how fast and which fields.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JoinRoom {
    /// The room.
    pub room: RoomName,
    /// Epoch of the log as last heard; none asks for a snapshot.
    #[serde(default)]
    pub epoch: Option<Epoch>,
    /// Last offset heard under that epoch.
    #[serde(default)]
    pub offset: u64,
    /// Live values at most this often, milliseconds; 0 is every value. Rounded up to what the room serves.
    #[serde(default)]
    pub every_ms: u32,
    /// Live fields wanted, as a mask; 0 is all.
    #[serde(default)]
    pub fields: u32,
}

/// A new token for the same subject, in place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Refresh {
    /// Number of this request, drawn by the peer; the answer carries it.
    pub req: u32,
    /// The new access token.
    pub token: Text<TOKEN_BYTES_MAX>,
}

/// Asks for a `pong`: a sign of life for clients that cannot send WebSocket pings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ping {
    /// Comes back unchanged.
    pub n: u32,
}

/// Watches a room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Join {
    /// Number of this request.
    pub req: u32,
    /// Which room and from where.
    #[serde(deserialize_with = "crate::lenient::record")]
    pub join: JoinRoom,
}

/// Watches a room no longer. A `join` of it that still waits is answered `not_joined`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Leave {
    /// Number of this request.
    pub req: u32,
    /// The room.
    pub room: RoomName,
}

/// A device's answer to `clock_ask`: one clock pair (RFC 5905 section 8, t1..t3; the hub adds t4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Clock {
    /// Which clock of this connection, as in `bind`.
    pub clock: u16,
    /// `asked_at_ms` of the question, unchanged.
    pub asked_at_ms: i64,
    /// Device time when the question came.
    pub received_dev_ms: i64,
    /// Device time when this answer left.
    pub sent_dev_ms: i64,
}

/// Asks a device to sign, before it is anybody. Good for this connection and once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Challenge {
    /// Which installation asks. A device signs for the one that enrolled it and for no other.
    pub hub: HubId,
    /// The device's tenant.
    pub tenant: TenantId,
    /// 32 random bytes of this connection.
    pub nonce: Blob<NONCE_BYTES>,
    /// Hub time; signed as it is, whatever the device's own clock says.
    pub at_ms: i64,
}

/// The next key is good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeyRotated {
    /// Number of the request.
    pub req: u32,
    /// Until when the key of this session is good too.
    pub old_until_at_ms: i64,
}

/// The session stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Welcome {
    /// This session.
    pub session: SessionId,
    /// Who the token names: the UUID of the member, staff, gateway, machine, display or service.
    pub subject: uuid::Uuid,
    /// Role of the token.
    pub role: Role,
    /// Hub time.
    pub server_at_ms: i64,
    /// When the token runs out; refresh before.
    pub expires_at_ms: i64,
    /// The hub pings this often, milliseconds; a client that hears nothing for this and 10 s more should connect again.
    pub heartbeat_ms: u32,
    /// Give this in the next `hello`.
    pub ticket: Text<512>,
    /// Whether the ticket was known: rooms that were watched are watched again.
    pub resumed: bool,
}

/// Who a token speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A person who trains.
    Member,
    /// Answers members of their teams.
    Coach,
    /// Sees roster and aggregates of a team.
    TeamManager,
    /// Runs floor and machines of a gym.
    Operator,
    /// A machine with a socket of its own.
    Machine,
    /// Carries many machines over one socket.
    Gateway,
    /// A wall screen: reads the floor and boards.
    Display,
    /// The operator's own backend.
    Service,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 8] =
        [Self::Member, Self::Coach, Self::TeamManager, Self::Operator, Self::Machine, Self::Gateway, Self::Display, Self::Service];

    /// The word in tokens and on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Coach => "coach",
            Self::TeamManager => "team_manager",
            Self::Operator => "operator",
            Self::Machine => "machine",
            Self::Gateway => "gateway",
            Self::Display => "display",
            Self::Service => "service",
        }
    }

    /// The role of a word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// The token was exchanged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Refreshed {
    /// Number of the request.
    pub req: u32,
    /// When the new token runs out.
    pub expires_at_ms: i64,
}

/// Answer to `ping`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pong {
    /// As asked.
    pub n: u32,
    /// Hub time.
    pub server_at_ms: i64,
}

/// A request or frame that did nothing, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Error {
    /// Number of the request, if it had one.
    pub req: Option<u32>,
    /// Number in the catalogue, `docs/ERRORS.md`.
    pub code: u16,
    /// Word in the catalogue.
    pub name: Text<32>,
    /// What is wrong and what to do.
    pub text: Text<256>,
    /// The place or the numbers.
    #[serde(default)]
    pub detail: Option<Text<256>>,
    /// Not before this many milliseconds.
    #[serde(default)]
    pub retry_after_ms: Option<u32>,
}

impl Error {
    /// The error of a catalogue entry.
    #[must_use]
    pub fn new(req: Option<u32>, code: crate::ErrorCode) -> Self {
        Self { req, code: code.code(), name: Text::cut(code.name()), text: Text::cut(code.text()), detail: None, retry_after_ms: None }
    }

    /// Adds the place or the numbers.
    #[must_use]
    pub fn detail(mut self, detail: &str) -> Self {
        self.detail = Some(Text::cut(detail));
        self
    }

    /// Adds when to come again.
    #[must_use]
    pub fn retry_after_ms(mut self, ms: u32) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }
}

/// A request was carried out and there is nothing more to say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// Number of the request.
    pub req: u32,
}

/// The room is watched. Either `recovered` with the events missed, or a snapshot that contains everything up to `offset`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Joined {
    /// Number of the request; none for rooms of `hello`.
    pub req: Option<u32>,
    /// The room.
    pub room: RoomName,
    /// Short number of the room on this node: `event`, `live`, `floor` and `saved` carry it instead of the name.
    pub handle: u32,
    /// Epoch of the room's log.
    pub epoch: Epoch,
    /// Offset up to which the peer now knows everything.
    pub offset: u64,
    /// Whether nothing was missed but `events`.
    pub recovered: bool,
    /// The events missed, in order.
    #[serde(default, deserialize_with = "crate::lenient::list")]
    pub events: Vec<Event>,
    /// The room as it is, when not recovered.
    #[serde(default)]
    pub snapshot: Option<Snapshot>,
}

/// The room is watched no longer, or a room of `hello` is not: then `code` says why, and `joined` comes for every other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Left {
    /// Number of the request; none when the hub decided (right lost, room over) and for rooms of `hello`.
    pub req: Option<u32>,
    /// The room.
    pub room: RoomName,
    /// Error number of why, when the hub decided.
    #[serde(default)]
    pub code: Option<u16>,
}

/// The room's log was lost or ran past the peer: forget, and take this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reset {
    /// Short number of the room.
    pub handle: u32,
    /// New epoch.
    pub epoch: Epoch,
    /// Offset that the snapshot contains.
    pub offset: u64,
    /// The room as it is.
    pub snapshot: Snapshot,
}

/// The node is going down: connect again after the given time. The session stands until then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Move {
    /// Connect elsewhere after this many milliseconds.
    pub after_ms: u32,
}

/// Asks a device for a clock pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClockAsk {
    /// Which clock of this connection, as in `bind`.
    pub clock: u16,
    /// Hub time; comes back unchanged.
    pub asked_at_ms: i64,
}
