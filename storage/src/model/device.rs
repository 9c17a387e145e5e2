//! Enrolled devices, their keys, and who did what to them.

use protocol::device::KEY_BYTES;
use protocol::frame::Role;
use protocol::text::Text;
use protocol::{DeviceId, GymId, TenantId};
use uuid::Uuid;

/// Who did something: a person or service by its token, or the device itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    /// Role of the token.
    pub role: Role,
    /// Its subject.
    pub id: Uuid,
}

/// A code that was given out, as its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// SHA-256 of the code in its canonical form.
    pub code_hash: [u8; 32],
    /// Where the gateway or machine stands.
    pub gym: GymId,
    /// [`Role::Gateway`] or [`Role::Machine`].
    pub role: Role,
    /// The gateway or machine.
    pub subject: Uuid,
    /// What the device will be called.
    pub name: Text<48>,
    /// Until when the code is good.
    pub until_at_ms: i64,
}

/// One public key of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceKey {
    /// Ed25519.
    pub key: [u8; KEY_BYTES],
    /// Since when.
    pub added_at_ms: i64,
    /// Until when; none for the key in use.
    pub until_at_ms: Option<i64>,
}

/// A device as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRecord {
    /// Which.
    pub device: DeviceId,
    /// Whose.
    pub tenant: TenantId,
    /// Where it stands.
    pub gym: GymId,
    /// [`Role::Gateway`] or [`Role::Machine`].
    pub role: Role,
    /// The gateway or machine that it speaks for.
    pub subject: Uuid,
    /// What it is called.
    pub name: Text<48>,
    /// Since when.
    pub enrolled_at_ms: i64,
    /// When it was revoked or replaced.
    pub revoked_at_ms: Option<i64>,
    /// When its key was seen on two sockets, until somebody clears it.
    pub cloned_at_ms: Option<i64>,
    /// Its keys, the newest first.
    pub keys: Vec<DeviceKey>,
}

/// A code was redeemed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    /// The device that there is now.
    pub device: DeviceRecord,
    /// Devices of the same gateway or machine that it replaced: they are revoked.
    pub replaced: Vec<DeviceId>,
}

/// What happened to devices, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceDeed {
    /// A code was given out.
    CodeGiven,
    /// A code was redeemed.
    Enrolled,
    /// Another device of the same gateway or machine took its place.
    Replaced,
    /// The device went on to its next key.
    KeyRotated,
    /// Somebody revoked it.
    Revoked,
    /// Its key was live on two sockets.
    Cloned,
    /// Somebody looked and cleared it.
    Cleared,
}

impl DeviceDeed {
    /// The word in the store and over HTTP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CodeGiven => "code_given",
            Self::Enrolled => "enrolled",
            Self::Replaced => "replaced",
            Self::KeyRotated => "key_rotated",
            Self::Revoked => "revoked",
            Self::Cloned => "cloned",
            Self::Cleared => "cleared",
        }
    }
}

/// One entry of the log of a gateway's or machine's devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceEntry {
    /// The device, where one was there already.
    pub device: Option<DeviceId>,
    /// What, as [`DeviceDeed::name`].
    pub what: String,
    /// Who; none for the hub itself.
    pub by: Option<Actor>,
    /// When, UTC.
    pub at_ms: i64,
}
