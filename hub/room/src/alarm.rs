//! The heart-rate ceiling of a workout.
//!
//! In: live heart rates with contact, and the ceiling. Out: an [`Alarm`] when one source was above it for 10 s without a break; the
//! next one only after that source came below. Only fresh readings count: a strap that fell silent proves nothing. Tells the member
//! and the coach who watches; never acts on the machine.

use protocol::frame::Alarm;
use protocol::limits::STALE_HEART_RATE_MS;
use protocol::{Field, Reading, WorkoutId};
use smallvec::SmallVec;

use crate::input::Now;

/// Above the ceiling for this long.
const ABOVE_MS: i64 = 10_000;

/// How one source stands to the ceiling.
#[derive(Debug, Clone)]
enum Stand {
    /// Above since the first time, last heard at the second.
    Above { since_mono_ms: i64, last_mono_ms: i64 },
    /// The alarm was raised; waits for a value below.
    Raised,
}

/// The ceiling and how each source stands to it.
#[derive(Debug, Clone, Default)]
pub struct CeilingAlarm {
    ceiling_bpm: Option<u16>,
    stands: SmallVec<[(u16, Stand); 2]>,
}

impl CeilingAlarm {
    /// Sets or clears the ceiling; what was above the old one starts over.
    pub fn set(&mut self, ceiling_bpm: Option<u16>) {
        if self.ceiling_bpm != ceiling_bpm {
            self.ceiling_bpm = ceiling_bpm;
            self.stands.clear();
        }
    }

    /// The ceiling.
    #[must_use]
    pub const fn ceiling_bpm(&self) -> Option<u16> {
        self.ceiling_bpm
    }

    /// Takes a live reading of a source, `age_ms` old. Readings older than 5 s, without a heart rate, or from a sensor
    /// that says it has no contact, break the run.
    pub fn live(&mut self, workout: WorkoutId, source: u16, reading: &Reading, age_ms: i64, now: Now) -> Option<Alarm> {
        let ceiling_bpm = self.ceiling_bpm?;
        let bpm = reading.get(Field::HeartRate)?;
        let at = self.stands.iter().position(|stand| stand.0 == source);
        let counts = age_ms < STALE_HEART_RATE_MS && reading.get(Field::Contact) != Some(0);
        let above = counts && bpm > i32::from(ceiling_bpm);
        let taken_mono_ms = now.mono_ms - age_ms.max(0);
        match at.map(|at| &mut self.stands[at].1) {
            None if above => self.stands.push((source, Stand::Above { since_mono_ms: taken_mono_ms, last_mono_ms: taken_mono_ms })),
            None => (),
            Some(Stand::Raised) if !counts || above => (),
            Some(Stand::Above { since_mono_ms, last_mono_ms }) if above => {
                if taken_mono_ms - *last_mono_ms >= STALE_HEART_RATE_MS {
                    *since_mono_ms = taken_mono_ms;
                }
                *last_mono_ms = taken_mono_ms.max(*last_mono_ms);
                if *last_mono_ms - *since_mono_ms >= ABOVE_MS {
                    self.stands.retain(|stand| stand.0 != source);
                    self.stands.push((source, Stand::Raised));
                    let heart_rate_bpm = u16::try_from(bpm).unwrap_or(u16::MAX);
                    return Some(Alarm { workout, heart_rate_bpm, ceiling_bpm, at_ms: now.at_ms });
                }
            }
            Some(_) => self.stands.retain(|stand| stand.0 != source),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn feed(alarm: &mut CeilingAlarm, source: u16, second: i64, bpm: i32, contact: Option<i32>, age_ms: i64) -> bool {
        let mut reading = Reading::new();
        reading.set(Field::HeartRate, bpm);
        if let Some(contact) = contact {
            reading.set(Field::Contact, contact);
        }
        let now = Now { at_ms: second * 1_000, mono_ms: second * 1_000 };
        alarm.live(WorkoutId(Uuid::nil()), source, &reading, age_ms, now).is_some()
    }

    fn ceiling() -> CeilingAlarm {
        let mut alarm = CeilingAlarm::default();
        alarm.set(Some(170));
        alarm
    }

    #[test]
    fn ten_seconds_above_raise_one_alarm_and_below_arms_it_again() {
        let mut alarm = ceiling();
        let raised: Vec<i64> =
            (0..40).filter(|&second| feed(&mut alarm, 0, second, if second == 20 { 169 } else { 171 }, Some(1), 50)).collect();
        assert_eq!(raised, [10, 31]);
    }

    #[test]
    fn no_contact_no_fresh_reading_or_a_gap_prove_nothing() {
        let mut alarm = ceiling();
        assert!(!(0..30).any(|second| feed(&mut alarm, 0, second, 180, Some(0), 0)));
        assert!(!(30..60).any(|second| feed(&mut alarm, 0, second, 180, Some(1), 5_000)));
        assert!(!(60..120).step_by(5).any(|second| feed(&mut alarm, 0, second, 180, None, 0)));
    }

    #[test]
    fn a_hand_grip_below_does_not_hide_a_strap_above() {
        let mut alarm = ceiling();
        let raised =
            (0..12).filter(|&second| feed(&mut alarm, 1, second, 120, None, 0) | feed(&mut alarm, 0, second, 185, Some(1), 0)).count();
        assert_eq!(raised, 1);
    }

    #[test]
    fn without_a_ceiling_nothing_alarms() {
        let mut alarm = CeilingAlarm::default();
        assert!(!(0..30).any(|second| feed(&mut alarm, 0, second, 220, Some(1), 0)));
    }
}
