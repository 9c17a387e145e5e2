//! How much one peer may send: frames and bytes a second, each with a burst.
//!
//! In: the size of each message heard. Out: whether it is within the limit. Two token buckets in 24 bytes; a stop never asks them.

use config::Rate;

/// The buckets of one session.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    frames: f32,
    bytes: f32,
    at_mono_ms: i64,
}

impl Meter {
    /// Full buckets.
    #[must_use]
    pub fn new(rate: &Rate, mono_ms: i64) -> Self {
        Self { frames: rate.frames_burst as f32, bytes: rate.bytes_burst as f32, at_mono_ms: mono_ms }
    }

    /// Counts one message. False when it came after the burst was used up: the session closes `too_fast`.
    pub fn admit(&mut self, rate: &Rate, message_bytes: usize, mono_ms: i64) -> bool {
        let passed_s = (mono_ms - self.at_mono_ms).max(0) as f32 / 1000.0;
        if passed_s > 0.0 {
            self.at_mono_ms = mono_ms;
            self.frames = (self.frames + passed_s * rate.frames_per_s as f32).min(rate.frames_burst as f32);
            self.bytes = (self.bytes + passed_s * rate.bytes_per_s as f32).min(rate.bytes_burst as f32);
        }
        self.frames -= 1.0;
        self.bytes -= message_bytes as f32;
        self.frames >= 0.0 && self.bytes >= 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { frames_per_s: 10, frames_burst: 20, bytes_per_s: 1000, bytes_burst: 5000 };

    #[test]
    fn the_burst_is_exact() {
        let mut meter = Meter::new(&RATE, 0);
        assert!((0..20).all(|_| meter.admit(&RATE, 1, 0)));
        assert!(!meter.admit(&RATE, 1, 0));
    }

    #[test]
    fn bytes_count_by_themselves() {
        let mut meter = Meter::new(&RATE, 0);
        assert!(meter.admit(&RATE, 5000, 0));
        assert!(!meter.admit(&RATE, 1, 0));
    }

    #[test]
    fn the_rate_goes_on_for_ever() {
        let mut meter = Meter::new(&RATE, 0);
        assert!((1..10_000).all(|n| meter.admit(&RATE, 90, n * 100)));
    }
}
