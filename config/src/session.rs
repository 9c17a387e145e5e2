//! A session's times and sizes, the shards, and the end of the process.

use std::time::Duration;

use serde::Deserialize;

use crate::check::Checker;
use crate::unit::{self, ShardCount};

/// One connection's times and sizes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The hub asks for a sign of life this often.
    #[serde(deserialize_with = "unit::span")]
    pub heartbeat: Duration,
    /// And waits for it so long.
    #[serde(deserialize_with = "unit::span")]
    pub pong_timeout: Duration,
    /// Deadline of `hello`.
    #[serde(deserialize_with = "unit::span")]
    pub hello_timeout: Duration,
    /// Deadline of a write.
    #[serde(deserialize_with = "unit::span")]
    pub write_timeout: Duration,
    /// Bytes that may wait for one peer, with the memory around each frame.
    #[serde(deserialize_with = "unit::size")]
    pub outbox_bytes: usize,
    /// Bytes the kernel may hold for one peer.
    #[serde(deserialize_with = "unit::size")]
    pub send_buffer_bytes: usize,
    /// A resume ticket is worth this long.
    #[serde(deserialize_with = "unit::span")]
    pub ticket_life: Duration,
}

/// The tasks that own gyms.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shards {
    /// How many.
    pub count: ShardCount,
    /// Threads that run sessions and shards; "auto" is one for each core but one.
    pub workers: ShardCount,
    /// Inputs that may wait in one inbox.
    #[serde(deserialize_with = "unit::count")]
    pub inbox: u32,
    /// Inputs that may wait in one safety lane.
    #[serde(deserialize_with = "unit::count")]
    pub safety_inbox: u32,
    /// Deadlines and floor ticks are looked at this often.
    #[serde(deserialize_with = "unit::span")]
    pub tick: Duration,
}

/// The end of the process.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// Everything must be over within this time.
    #[serde(deserialize_with = "unit::span")]
    pub grace: Duration,
    /// Sessions told to move per second.
    #[serde(deserialize_with = "unit::count")]
    pub sessions_per_s: u32,
}

/// A peer that never reads may hold this much in all, the kernel's part included.
const PEER_BYTES_MAX: usize = 1024 * 1024;

pub(crate) fn check_session(checker: &mut Checker<'_>) -> Option<Session> {
    let session: Session = checker.section("session")?;
    checker.hold(
        session.pong_timeout < session.heartbeat,
        "session.pong_timeout",
        || {
            format!(
                "is {:?} and session.heartbeat is {:?}: a dead peer would be asked again before it is found dead",
                session.pong_timeout, session.heartbeat
            )
        },
        || "write less than session.heartbeat".to_owned(),
    );
    checker.hold(
        session.outbox_bytes + session.send_buffer_bytes <= PEER_BYTES_MAX,
        "session.outbox_bytes",
        || {
            format!(
                "and session.send_buffer_bytes are {} together: a peer that never reads would hold more than 1 MiB",
                session.outbox_bytes + session.send_buffer_bytes
            )
        },
        || "write \"896KiB\" and \"64KiB\"".to_owned(),
    );
    Some(session)
}

pub(crate) fn check_shards(checker: &mut Checker<'_>) -> Option<Shards> {
    let shards: Shards = checker.section("shards")?;
    checker.hold(
        shards.tick <= Duration::from_millis(50),
        "shards.tick",
        || format!("is {:?}: a stop is repeated every 250 ms and judged after 1 s, which needs finer time", shards.tick),
        || "write at most \"50ms\"".to_owned(),
    );
    Some(shards)
}

pub(crate) fn check_drain(checker: &mut Checker<'_>) -> Option<Drain> {
    checker.section("drain")
}
