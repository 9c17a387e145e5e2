//! The two clocks of the node, read in one place.
//!
//! UTC for people and tokens, monotonic for deadlines. Rooms never read a clock: a shard reads both once per drain and hands them in.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use room::Now;

static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// UTC in milliseconds.
#[must_use]
pub fn at_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Milliseconds since the node first asked; never goes back.
#[must_use]
pub fn mono_ms() -> i64 {
    i64::try_from(STARTED.elapsed().as_millis()).unwrap_or(i64::MAX)
}

/// Both, as rooms take them.
#[must_use]
pub fn now() -> Now {
    Now { at_ms: at_ms(), mono_ms: mono_ms() }
}
