//! A machine's own clock: where it stood at its start, and how fast it runs.

/// The monotonic clock of one boot of a device, in its own milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeviceClock {
    started_ms: i64,
    started_dev_ms: i64,
    /// Device milliseconds for one real one: 1.05 gains three minutes an hour; a replay at 20x has 20.
    rate: f64,
}

impl DeviceClock {
    /// A clock that shows `started_dev_ms` at `started_ms`.
    #[must_use]
    pub const fn new(started_ms: i64, started_dev_ms: i64, rate: f64) -> Self {
        Self { started_ms, started_dev_ms, rate }
    }

    /// What it shows at a time.
    #[must_use]
    pub fn at(&self, now_ms: i64) -> i64 {
        self.started_dev_ms + ((now_ms - self.started_ms) as f64 * self.rate).round() as i64
    }
}

/// How a machine's clock goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Skew {
    /// Counts from its start, as most do; an hour of uptime.
    Uptime,
    /// Shows UTC, this far off.
    Utc {
        /// Added to UTC.
        off_by_ms: i64,
    },
    /// Counts from 1970 at each start.
    Epoch,
    /// Shows UTC and gains: 50,000 is three minutes an hour.
    Drifts {
        /// Parts in a million.
        gains_ppm: i32,
    },
}

impl Skew {
    /// All sorts, for a replay.
    pub const ALL: [Self; 5] = [
        Self::Uptime,
        Self::Epoch,
        Self::Utc { off_by_ms: -86_400_000 },
        Self::Drifts { gains_ppm: 50_000 },
        Self::Utc { off_by_ms: 5 * 60_000 },
    ];

    /// The clock of a boot at `now_ms`, when UTC is `utc_ms`, for a world that runs at `speed`.
    #[must_use]
    pub fn clock(self, now_ms: i64, utc_ms: i64, speed: f64) -> DeviceClock {
        match self {
            Self::Uptime => DeviceClock::new(now_ms, 3_600_000, speed),
            Self::Epoch => DeviceClock::new(now_ms, 0, speed),
            Self::Utc { off_by_ms } => DeviceClock::new(now_ms, utc_ms + off_by_ms, speed),
            Self::Drifts { gains_ppm } => DeviceClock::new(now_ms, utc_ms, speed * (1.0 + f64::from(gains_ppm) / 1e6)),
        }
    }
}
