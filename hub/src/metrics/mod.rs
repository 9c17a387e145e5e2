//! What is counted, and how it is told (`GET /metrics`, OpenMetrics text).
//!
//! In: words from sessions, shards, rooms and routes, on the hot path one relaxed addition to a cell of the thread's own line of memory.
//! Out: the text of a scrape. Every label has a fixed set of values ([`families`]), but the routes of the API, which are as many as
//! there are. What others keep (queues, inboxes, storage) is read when asked, through probes. No label ever names a person, a token or a gym.

mod cells;
mod collector;
mod document;
mod families;
mod process;
mod timed;

use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::registry::Registry;
use protocol::frame::{Role, StopOutcome};
use protocol::{CloseReason, ErrorCode};
use room::Lane;
use room::effect::Counter;

use cells::Cells;
pub use document::document;
pub use families::{Count, Described, Drop, Gauge, Kind, Limit, Outcome};
use families::{OUTCOMES, SERIES, place};
use timed::Timed;
pub use timed::{DatabaseTimer, RequestLabels};

use crate::auth::AuthError;
use crate::auth::devices::DeviceError;

/// Reads one number when a scrape asks.
type Probe = Box<dyn Fn() -> f64 + Send + Sync>;

/// Reads what the Recorder counted.
type SampleProbe = Box<dyn Fn() -> [u64; OUTCOMES.len()] + Send + Sync>;

/// Everything that is counted. Shared by all; cheap to count into.
pub struct Metrics {
    shared: Arc<Shared>,
    timed: Timed,
    registry: Registry,
}

/// What the collector reads.
pub(in crate::metrics) struct Shared {
    cells: Cells,
    probes: RwLock<Vec<(Gauge, Option<String>, Probe)>>,
    samples: RwLock<Option<SampleProbe>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        let shared = Arc::new(Shared { cells: Cells::new(SERIES), probes: RwLock::default(), samples: RwLock::default() });
        let mut registry = Registry::default();
        registry.register_collector(Box::new(collector::Collector::new(shared.clone())));
        let timed = Timed::register(&mut registry);
        Self { shared, timed, registry }
    }

    fn add(&self, count: Count, index: usize, n: u64) {
        self.shared.cells.add(place(count, index), n);
    }

    /// A session stands.
    pub fn session_opened(&self, role: Role) {
        self.add(Count::SessionsOpened, role as usize, 1);
    }

    /// A session of this role ended.
    pub fn session_closed(&self, role: Role, reason: CloseReason) {
        self.add(Count::SessionsClosed, role as usize, 1);
        self.refused(reason);
    }

    /// A connection ended before it was a session.
    pub fn refused(&self, reason: CloseReason) {
        self.add(Count::Closes, CloseReason::ALL.iter().position(|one| *one == reason).unwrap_or(0), 1);
    }

    /// A frame came.
    pub fn frame_in(&self, bytes: usize) {
        self.add(Count::FramesIn, 0, 1);
        self.add(Count::BytesIn, 0, bytes as u64);
    }

    /// Frames were queued for peers: one encoded frame to so many receivers.
    pub fn frames_out(&self, lane: Lane, receivers: u64, bytes: usize) {
        let class = match lane {
            Lane::Safety => 0,
            Lane::Event => 1,
            Lane::Live { .. } | Lane::Changes { .. } => 2,
        };
        self.add(Count::FramesOut, class, receivers);
        self.add(Count::BytesOut, class, receivers * bytes as u64);
    }

    /// Something was dropped on purpose.
    pub fn dropped(&self, what: Drop, n: u64) {
        self.add(Count::Drops, what as usize, n);
    }

    /// A limit was met.
    pub fn limited(&self, limit: Limit) {
        self.add(Count::Limited, limit as usize, 1);
    }

    /// An error was told to a peer.
    pub fn error(&self, code: ErrorCode) {
        self.add(Count::Errors, ErrorCode::ALL.iter().position(|one| *one == code).unwrap_or(0), 1);
    }

    /// A token was refused.
    pub fn token_refused(&self, error: AuthError) {
        let name = error.name();
        self.add(Count::TokensRefused, families::TOKEN_REFUSALS.iter().position(|one| *one == name).unwrap_or(0), 1);
    }

    /// Spans of traces were sent, or not.
    pub fn spans(&self, fate: crate::trace::Fate, n: u64) {
        self.add(Count::Spans, fate as usize, n);
    }

    /// A device showed who it is, or did not.
    pub fn device_proved(&self, error: Option<DeviceError>) {
        let name = error.map_or("proved", DeviceError::name);
        self.add(Count::DeviceProofs, families::DEVICE_PROOFS.iter().position(|one| *one == name).unwrap_or(0), 1);
    }

    /// A device's key was live on two sockets.
    pub fn device_cloned(&self) {
        self.add(Count::DevicesCloned, 0, 1);
    }

    /// Certificate files changed: whether the new ones are used.
    pub fn tls_reloaded(&self, taken: bool) {
        self.add(Count::TlsReloads, usize::from(!taken), 1);
    }

    /// A room counted something.
    pub fn room(&self, counter: Counter) {
        let (count, index) = match counter {
            Counter::ReadingLive => (Count::Readings, 0),
            Counter::ReadingStale => (Count::Readings, 1),
            Counter::ReadingDuplicate => (Count::Readings, 2),
            Counter::ReadingPoison => (Count::Readings, 3),
            Counter::StopAsked => (Count::StopsAsked, 0),
            Counter::StopStopped => return self.stop(StopOutcome::Stopped),
            Counter::StopRefused => return self.stop(StopOutcome::Refused),
            Counter::StopUnconfirmed => return self.stop(StopOutcome::Unconfirmed),
            Counter::CommandSent => (Count::Commands, 0),
            Counter::ClaimGranted => (Count::Claims, 0),
            Counter::ClaimDenied => (Count::Claims, 1),
        };
        self.add(count, index, 1);
    }

    fn stop(&self, outcome: StopOutcome) {
        let index = match outcome {
            StopOutcome::Stopped => 0,
            StopOutcome::Refused => 1,
            StopOutcome::Unconfirmed => 2,
        };
        self.add(Count::Stops, index, 1);
    }

    /// What became of readings on their way to the store, in the order of [`Outcome`]: the Recorder counts, a scrape asks. `read` must not wait.
    pub fn samples(&self, read: impl Fn() -> [u64; OUTCOMES.len()] + Send + Sync + 'static) {
        *self.shared.samples.write().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(read));
    }

    /// Answers a gauge (with the value of its label, where it has one) from now on by asking `read` at each scrape. `read` must not wait.
    pub fn probe(&self, gauge: Gauge, label: Option<String>, read: impl Fn() -> f64 + Send + Sync + 'static) {
        self.shared.probes.write().unwrap_or_else(PoisonError::into_inner).push((gauge, label, Box::new(read)));
    }

    /// A request was answered.
    pub fn request(&self, labels: RequestLabels, seconds: f64) {
        self.timed.request(labels, seconds);
    }

    /// Times one question to the database; counts when dropped.
    #[must_use]
    pub fn database(&self, operation: &'static str, table: &'static str) -> DatabaseTimer {
        self.timed.database(operation, table)
    }

    /// The text of a scrape.
    #[must_use]
    pub fn scrape(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("a String takes all");
        text
    }
}

#[cfg(test)]
mod tests;
