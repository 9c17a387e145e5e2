//! How much anybody may have of the hub.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;

use crate::check::Checker;
use crate::listen::networks;
use crate::unit;

/// Bounds on connections, frames, bytes and requests. None can be zero.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Sockets at once.
    pub connections: u32,
    /// Sockets at once that have not said who they are.
    pub unauthenticated: u32,
    /// The same from one address.
    pub unauthenticated_per_address: u32,
    /// Sockets of one user.
    pub connections_per_user: u32,
    /// Sockets of one device of a user.
    pub connections_per_device: u32,
    /// What one peer may send.
    pub peer: Rate,
    /// What one gateway or machine may send.
    pub gateway: Rate,
    /// Largest message in bytes.
    pub message_bytes: usize,
    /// Largest message before `hello` was accepted.
    pub hello_bytes: usize,
    /// Largest HTTP body.
    pub body_bytes: usize,
    /// Largest file that a member uploads.
    pub upload_bytes: usize,
    /// HTTP requests at once.
    pub requests: u32,
    /// Unauthenticated requests of one address in an hour.
    pub requests_per_address_per_hour: u32,
    /// Log-ins of one address in ten minutes.
    pub logins_per_address_per_10m: u32,
    /// Registered addresses of gyms.
    pub gym_addresses: Vec<IpNet>,
    /// They have this many times as much.
    pub gym_address_factor: u32,
    /// Requests of one authenticated subject in a minute.
    pub requests_per_subject_per_minute: u32,
}

/// Frames and bytes in a second, and how much may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Frames in a second.
    pub frames_per_s: u32,
    /// Frames at once.
    pub frames_burst: u32,
    /// Bytes in a second.
    pub bytes_per_s: usize,
    /// Bytes at once.
    pub bytes_burst: usize,
}

impl Limits {
    /// How many times the limits of an address this one has.
    #[must_use]
    pub fn factor_of(&self, address: IpAddr) -> u32 {
        if self.gym_addresses.iter().any(|network| network.contains(&address)) { self.gym_address_factor } else { 1 }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    #[serde(deserialize_with = "unit::count")]
    connections: u32,
    #[serde(deserialize_with = "unit::count")]
    unauthenticated: u32,
    #[serde(deserialize_with = "unit::count")]
    unauthenticated_per_address: u32,
    #[serde(deserialize_with = "unit::count")]
    connections_per_user: u32,
    #[serde(deserialize_with = "unit::count")]
    connections_per_device: u32,
    #[serde(deserialize_with = "unit::count")]
    frames_per_s: u32,
    #[serde(deserialize_with = "unit::count")]
    frames_burst: u32,
    #[serde(deserialize_with = "unit::size")]
    bytes_per_s: usize,
    #[serde(deserialize_with = "unit::size")]
    bytes_burst: usize,
    #[serde(deserialize_with = "unit::count")]
    gateway_frames_per_s: u32,
    #[serde(deserialize_with = "unit::count")]
    gateway_frames_burst: u32,
    #[serde(deserialize_with = "unit::size")]
    gateway_bytes_per_s: usize,
    #[serde(deserialize_with = "unit::size")]
    gateway_bytes_burst: usize,
    #[serde(deserialize_with = "unit::size")]
    message_bytes: usize,
    #[serde(deserialize_with = "unit::size")]
    hello_bytes: usize,
    #[serde(deserialize_with = "unit::size")]
    body_bytes: usize,
    #[serde(deserialize_with = "unit::size")]
    upload_bytes: usize,
    #[serde(deserialize_with = "unit::count")]
    requests: u32,
    #[serde(deserialize_with = "unit::count")]
    requests_per_address_per_hour: u32,
    #[serde(deserialize_with = "unit::count")]
    logins_per_address_per_10m: u32,
    gym_addresses: Vec<String>,
    #[serde(deserialize_with = "unit::count")]
    gym_address_factor: u32,
    #[serde(deserialize_with = "unit::count")]
    requests_per_subject_per_minute: u32,
}

pub(crate) fn check(checker: &mut Checker<'_>) -> Option<Limits> {
    let raw: RawLimits = checker.section("limits")?;
    let gym_addresses = networks(checker, "limits.gym_addresses", &raw.gym_addresses);
    let limits = Limits {
        connections: raw.connections,
        unauthenticated: raw.unauthenticated,
        unauthenticated_per_address: raw.unauthenticated_per_address,
        connections_per_user: raw.connections_per_user,
        connections_per_device: raw.connections_per_device,
        peer: Rate {
            frames_per_s: raw.frames_per_s,
            frames_burst: raw.frames_burst,
            bytes_per_s: raw.bytes_per_s,
            bytes_burst: raw.bytes_burst,
        },
        gateway: Rate {
            frames_per_s: raw.gateway_frames_per_s,
            frames_burst: raw.gateway_frames_burst,
            bytes_per_s: raw.gateway_bytes_per_s,
            bytes_burst: raw.gateway_bytes_burst,
        },
        message_bytes: raw.message_bytes,
        hello_bytes: raw.hello_bytes,
        body_bytes: raw.body_bytes,
        upload_bytes: raw.upload_bytes,
        requests: raw.requests,
        requests_per_address_per_hour: raw.requests_per_address_per_hour,
        logins_per_address_per_10m: raw.logins_per_address_per_10m,
        gym_addresses,
        gym_address_factor: raw.gym_address_factor,
        requests_per_subject_per_minute: raw.requests_per_subject_per_minute,
    };
    relations(checker, &limits);
    Some(limits)
}

fn relations(checker: &mut Checker<'_>, limits: &Limits) {
    let max = protocol::limits::MESSAGE_BYTES_MAX;
    checker.hold(
        limits.message_bytes <= max,
        "limits.message_bytes",
        || format!("is {} bytes: clients count on {max} being the most", limits.message_bytes),
        || format!("write at most \"{}KiB\"", max / 1024),
    );
    checker.hold(
        limits.hello_bytes <= limits.message_bytes,
        "limits.hello_bytes",
        || {
            format!(
                "is {} and limits.message_bytes is {}: a stranger could send more than a peer",
                limits.hello_bytes, limits.message_bytes
            )
        },
        || "write at most limits.message_bytes".to_owned(),
    );
    let token = protocol::limits::TOKEN_BYTES_MAX;
    checker.hold(
        limits.hello_bytes > token,
        "limits.hello_bytes",
        || format!("is {}: a token alone may have {token} bytes, so hello would be refused", limits.hello_bytes),
        || "write \"16KiB\"".to_owned(),
    );
    for (key, rate) in [("limits.bytes_burst", limits.peer), ("limits.gateway_bytes_burst", limits.gateway)] {
        checker.hold(
            rate.bytes_burst >= limits.message_bytes,
            key,
            || {
                format!(
                    "is {} and limits.message_bytes is {}: the largest message could never be sent",
                    rate.bytes_burst, limits.message_bytes
                )
            },
            || "write at least limits.message_bytes".to_owned(),
        );
    }
    for (key, rate) in [("limits.frames_burst", limits.peer), ("limits.gateway_frames_burst", limits.gateway)] {
        checker.hold(
            rate.frames_burst >= rate.frames_per_s,
            key,
            || format!("is {} and the rate is {} in a second: the rate could never be reached", rate.frames_burst, rate.frames_per_s),
            || "write at least one second's frames".to_owned(),
        );
    }
    checker.hold(
        limits.unauthenticated <= limits.connections,
        "limits.unauthenticated",
        || format!("is {} and limits.connections is {}: strangers could take every socket", limits.unauthenticated, limits.connections),
        || "write at most limits.connections".to_owned(),
    );
    checker.hold(
        limits.connections_per_device <= limits.connections_per_user,
        "limits.connections_per_device",
        || {
            format!(
                "is {} and limits.connections_per_user is {}: it could never be reached",
                limits.connections_per_device, limits.connections_per_user
            )
        },
        || "write at most limits.connections_per_user".to_owned(),
    );
}
