//! Latencies in microseconds, as a histogram (HDR, three digits).

use std::time::Duration;

use hdrhistogram::Histogram;

/// One minute; later is counted as this.
const MOST_US: u64 = 60_000_000;

/// A histogram of latencies.
#[derive(Debug, Clone)]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new_with_max(MOST_US, 3).expect("the bounds are constants that the histogram takes"))
    }
}

impl Latency {
    /// Counts one.
    pub fn add(&mut self, latency: Duration) {
        self.0.saturating_record((latency.as_micros() as u64).clamp(1, MOST_US));
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("both have the same bounds");
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency that this share of all does not exceed.
    #[must_use]
    pub fn quantile_us(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }
}
