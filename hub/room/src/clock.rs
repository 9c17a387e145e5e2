//! What time it is for a device, and what its times mean in UTC.
//!
//! In: clock pairs (the four timestamps of RFC 5905 section 8) and the device times of readings. Out: device time as corrected UTC,
//! UTC as device time, the age of the newest pair. A [`DeviceClock`] belongs to one clock of one connection and holds the best
//! estimate, free to jump: freshness and command expiry use it. A [`BootClock`] belongs to one boot of one source and follows that
//! estimate by at most 1 ms a second, so that corrected times of a boot never step back: storage and charts use it.
//! Order never depends on either: it is (boot, seq).

use std::collections::VecDeque;

use protocol::frame::Clock;
use protocol::limits::CLOCK_PAIR_LIFE_MS;

use crate::input::Now;

/// Pairs kept; with one each 15 s that is two minutes to find a quick one among.
const PAIRS_MAX: usize = 8;
/// Questions that may be unanswered; an answer to an older one is not believed.
const ASKED_MAX: usize = 4;
/// Questions come this often until [`QUICK_PAIRS`] were answered.
const ASK_QUICK_MS: i64 = 1_000;
/// And this often then; four a life of a pair, so that three may be lost.
const ASK_MS: i64 = 15_000;
/// Pairs asked for in quick succession after a connect.
const QUICK_PAIRS: usize = 4;
/// A slower round trip says nothing worth knowing.
const RTT_MAX_MS: i64 = 5_000;
/// No clock of a device that works drifts faster: 100 ms a second. More is a step, and older pairs are forgotten.
const DRIFT_MAX: f64 = 0.1;
/// Device times beyond this (140,000 years) are cut to it, so that sums stay inside 64 bits.
const DEV_MS_MAX: i64 = 1 << 52;
/// Past offsets of a boot, for readings that come late.
const KNOTS_MAX: usize = 32;
/// A past offset is remembered this often, in device time.
const KNOT_EVERY_MS: i64 = 30_000;

const _: () = assert!(ASK_MS * 3 < CLOCK_PAIR_LIFE_MS);

#[derive(Debug, Clone, Copy)]
struct Pair {
    /// The hub's monotonic clock minus device time: a step of UTC does not make a pair wrong.
    offset_ms: i64,
    rtt_ms: i64,
    mono_ms: i64,
}

/// The estimate of one clock of a connection: UTC minus device time.
#[derive(Debug, Clone, Default)]
pub struct DeviceClock {
    asked: VecDeque<i64>,
    asked_mono_ms: Option<i64>,
    answered: usize,
    pairs: VecDeque<Pair>,
    guess: Option<Pair>,
}

impl DeviceClock {
    /// The device was started again: its clock may stand anywhere now. Nothing that was known counts, nor an answer that is under way.
    /// The next tick asks, as after a connect; until then what is new tells the time.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// The time to put into `clock_ask` when a question is due now, else none. Call at each tick.
    pub fn ask(&mut self, now: Now) -> Option<i64> {
        let every_ms = if self.answered < QUICK_PAIRS { ASK_QUICK_MS } else { ASK_MS };
        if self.asked_mono_ms.is_some_and(|asked| now.mono_ms - asked < every_ms) {
            return None;
        }
        self.asked_mono_ms = Some(now.mono_ms);
        if self.asked.len() == ASKED_MAX {
            self.asked.pop_front();
        }
        self.asked.push_back(now.at_ms);
        Some(now.at_ms)
    }

    /// Takes an answer; `answered_at_ms` is when it came. Returns whether it was believed: an answer to no question of ours, one
    /// that ran backwards or took longer than 5 s is not.
    pub fn pair(&mut self, clock: &Clock, answered_at_ms: i64, now: Now) -> bool {
        let Some(at) = self.asked.iter().position(|asked| *asked == clock.asked_at_ms) else { return false };
        self.asked.drain(..=at);
        let (received, sent) = (cut(clock.received_dev_ms), cut(clock.sent_dev_ms));
        let rtt_ms = (answered_at_ms - clock.asked_at_ms) - (sent - received);
        if sent < received || !(0..=RTT_MAX_MS).contains(&rtt_ms) {
            return false;
        }
        let offset_ms = ((clock.asked_at_ms - received) + (answered_at_ms - sent)).div_euclid(2) - utc_minus_mono(now);
        let pair = Pair { offset_ms, rtt_ms, mono_ms: now.mono_ms };
        if self.pairs.back().is_some_and(|last| stepped(last, &pair)) {
            self.pairs.clear();
        }
        if self.pairs.len() == PAIRS_MAX {
            self.pairs.pop_front();
        }
        self.pairs.push_back(pair);
        self.answered += 1;
        true
    }

    /// Takes the device time of something new that came now: the first guess while there is no pair.
    ///
    /// The guess is the least receive time minus device time of the last minute: the least delayed reading knows best.
    pub fn heard(&mut self, dev_ms: i64, now: Now) {
        if !self.pairs.is_empty() {
            return;
        }
        let offset_ms = now.mono_ms - cut(dev_ms);
        if self.guess.is_none_or(|guess| offset_ms <= guess.offset_ms || now.mono_ms - guess.mono_ms > CLOCK_PAIR_LIFE_MS) {
            self.guess = Some(Pair { offset_ms, rtt_ms: 0, mono_ms: now.mono_ms });
        }
    }

    /// UTC minus device time, the best that is known now; none before anything was heard.
    #[must_use]
    pub fn offset_ms(&self, now: Now) -> Option<i64> {
        let best = self.pairs.iter().rev().min_by_key(|pair| pair.rtt_ms).copied().or(self.guess)?;
        let drifted = self.drift() * (now.mono_ms - best.mono_ms) as f64;
        Some(best.offset_ms + drifted as i64 + utc_minus_mono(now))
    }

    /// Drift in ms a ms between the oldest and the newest pair; 0 while it is smaller than their uncertainty.
    fn drift(&self) -> f64 {
        let (Some(first), Some(last)) = (self.pairs.front(), self.pairs.back()) else { return 0.0 };
        let (moved_ms, span_ms) = (last.offset_ms - first.offset_ms, last.mono_ms - first.mono_ms);
        if span_ms <= 0 || moved_ms.abs() <= (first.rtt_ms + last.rtt_ms) / 2 + 5 {
            return 0.0;
        }
        (moved_ms as f64 / span_ms as f64).clamp(-DRIFT_MAX, DRIFT_MAX)
    }

    /// Device time as UTC, unslewed.
    #[must_use]
    pub fn to_utc(&self, dev_ms: i64, now: Now) -> Option<i64> {
        self.offset_ms(now).map(|offset_ms| cut(dev_ms) + offset_ms)
    }

    /// UTC as time of the device: when a command is powerless.
    #[must_use]
    pub fn to_dev(&self, at_ms: i64, now: Now) -> Option<i64> {
        self.offset_ms(now).map(|offset_ms| at_ms - offset_ms)
    }

    /// How old a device time is now, at least 0; none before anything was heard.
    #[must_use]
    pub fn age_ms(&self, dev_ms: i64, now: Now) -> Option<i64> {
        self.to_utc(dev_ms, now).map(|taken_at_ms| (now.at_ms - taken_at_ms).max(0))
    }

    /// A machine that this clock stamps was perhaps started again, and nobody said yet that its clock was: the next tick asks.
    pub const fn ask_soon(&mut self) {
        self.asked_mono_ms = None;
    }

    /// Age of the newest pair; none without one.
    #[must_use]
    pub fn pair_age_ms(&self, now: Now) -> Option<i64> {
        self.pairs.back().map(|pair| now.mono_ms - pair.mono_ms)
    }

    /// Whether the newest pair is from then or later.
    #[must_use]
    pub fn is_asked_since(&self, mono_ms: i64) -> bool {
        self.pairs.back().is_some_and(|pair| pair.mono_ms >= mono_ms)
    }

    /// Whether a command that raises effort may be stamped with this clock.
    #[must_use]
    pub fn is_sure(&self, now: Now) -> bool {
        self.pair_age_ms(now).is_some_and(|age_ms| age_ms < CLOCK_PAIR_LIFE_MS)
    }
}

const fn utc_minus_mono(now: Now) -> i64 {
    now.at_ms - now.mono_ms
}

/// Whether the clock jumped between two pairs: further than drift and delay explain.
fn stepped(before: &Pair, after: &Pair) -> bool {
    let moved_ms = (after.offset_ms - before.offset_ms).abs();
    let span_ms = (after.mono_ms - before.mono_ms).max(0) as f64;
    moved_ms as f64 > span_ms * DRIFT_MAX + (before.rtt_ms + after.rtt_ms) as f64 + 50.0
}

fn cut(dev_ms: i64) -> i64 {
    dev_ms.clamp(-DEV_MS_MAX, DEV_MS_MAX)
}

/// The offset of one boot as it is applied: a slow follower of the estimate.
#[derive(Debug, Clone, Default)]
pub struct BootClock {
    anchor_at_ms: Option<i64>,
    applied: Option<Applied>,
    is_guess: bool,
}

#[derive(Debug, Clone)]
struct Applied {
    /// From a pair, or still a first guess.
    sure: bool,
    newest_dev_ms: i64,
    offset_us: i64,
    /// Corrected time of the newest reading: what comes after it in device time does not come before it in UTC.
    floor_at_ms: i64,
    knots: VecDeque<(i64, i64)>,
}

impl BootClock {
    /// The corrected UTC of a reading that came now, by the estimate of its clock.
    ///
    /// Never falls while device time rises. The first pair after a guess may move the offset at once, forwards or until the
    /// device has caught up; from then on it moves by at most 1 ms a second of device time.
    ///
    /// A boot that is over, of which this was read by `read_by_ms`, may have had another clock than the one that runs.
    pub fn correct(&mut self, dev_ms: i64, clock: &DeviceClock, read_by_ms: Option<i64>, now: Now) -> i64 {
        let dev_ms = cut(dev_ms);
        let sure = !clock.pairs.is_empty();
        let told_ms = clock.offset_ms(now);
        // Nothing was read after it came: an estimate that says so is of the clock of a later boot.
        let plausible_ms = told_ms.filter(|told_ms| told_ms + dev_ms <= now.at_ms);
        self.is_guess = plausible_ms.is_none();
        let first_ms = plausible_ms.unwrap_or_else(|| read_by_ms.unwrap_or(now.at_ms) - dev_ms);
        let target_ms = told_ms.filter(|_| read_by_ms.is_none()).unwrap_or(first_ms);
        self.anchor_at_ms.get_or_insert(first_ms);
        let applied = self.applied.get_or_insert_with(|| Applied {
            sure,
            newest_dev_ms: dev_ms,
            offset_us: first_ms * 1_000,
            floor_at_ms: i64::MIN,
            knots: VecDeque::new(),
        });
        if sure && !applied.sure {
            applied.sure = true;
            applied.offset_us = target_ms * 1_000;
            applied.knots.clear();
        }
        let at_ms = if dev_ms < applied.newest_dev_ms { applied.past(dev_ms) } else { applied.advance(dev_ms, target_ms) };
        if read_by_ms.is_some() { at_ms.min(now.at_ms) } else { at_ms }
    }

    /// Whether no clock told the time of what was corrected last: none is known, or what it says cannot be.
    #[must_use]
    pub const fn is_guess(&self) -> bool {
        self.is_guess
    }

    /// UTC of device time 0 as first estimated: the anchor for a boot that the store does not know yet. Does not move; none
    /// before the first reading or [`Self::anchor`].
    #[must_use]
    pub fn anchor_at_ms(&self) -> Option<i64> {
        self.anchor_at_ms
    }

    /// Anchors the boot by its clock, if it has no anchor yet. Returns whether it has one now.
    pub fn anchor(&mut self, clock: &DeviceClock, now: Now) -> bool {
        self.anchor_at_ms = self.anchor_at_ms.or_else(|| clock.offset_ms(now));
        self.anchor_at_ms.is_some()
    }

    /// UTC minus device time as applied to the newest reading; 0 before the first.
    #[must_use]
    pub fn offset_ms(&self) -> i64 {
        self.applied.as_ref().map_or(0, |applied| applied.offset_us.div_euclid(1_000))
    }
}

impl Applied {
    fn advance(&mut self, dev_ms: i64, target_ms: i64) -> i64 {
        let slew_us = dev_ms - self.newest_dev_ms;
        self.offset_us += (target_ms * 1_000 - self.offset_us).clamp(-slew_us, slew_us);
        self.newest_dev_ms = dev_ms;
        if self.knots.back().is_none_or(|(knot_dev_ms, _)| dev_ms - knot_dev_ms >= KNOT_EVERY_MS) {
            if self.knots.len() == KNOTS_MAX {
                self.knots.pop_front();
            }
            self.knots.push_back((dev_ms, self.offset_us));
        }
        self.floor_at_ms = (dev_ms + self.offset_us.div_euclid(1_000)).max(self.floor_at_ms);
        self.floor_at_ms
    }

    /// A device time before the newest, by the offset that was applied then.
    fn past(&self, dev_ms: i64) -> i64 {
        let after = self.knots.partition_point(|(knot_dev_ms, _)| *knot_dev_ms <= dev_ms);
        let offset_us = match (after.checked_sub(1).and_then(|at| self.knots.get(at)), self.knots.get(after)) {
            (Some(&(dev_a, us_a)), Some(&(dev_b, us_b))) => between((dev_a, us_a), (dev_b, us_b), dev_ms),
            (Some(&(_, us)), None) | (None, Some(&(_, us))) => us,
            (None, None) => self.offset_us,
        };
        (dev_ms + offset_us.div_euclid(1_000)).min(self.floor_at_ms)
    }
}

/// The offset at a device time between two knots, of which the first comes before the second.
fn between((dev_a, us_a): (i64, i64), (dev_b, us_b): (i64, i64), dev_ms: i64) -> i64 {
    // A device's times may be anything: the product does not fit 64 bits.
    let moved_us =
        (i128::from(us_b) - i128::from(us_a)) * (i128::from(dev_ms) - i128::from(dev_a)) / (i128::from(dev_b) - i128::from(dev_a));
    i64::try_from(i128::from(us_a) + moved_us).expect("it lies between the two knots")
}

#[cfg(test)]
mod tests;
