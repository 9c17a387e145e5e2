//! Freshness: how old a value is, and what is still shown of it.
//!
//! In: readings with the moment they were taken. Out: the latest value of each field that may still be shown, with its age.
//! A value is stale after 3 s (a heart rate after 5 s) and blank after 15 s; it is never repeated to look alive. Times are the
//! hub's monotonic ones, so that neither a device's clock nor a jump of UTC makes an old value young.

use protocol::limits::{BLANK_MS, STALE_HEART_RATE_MS, STALE_MS};
use protocol::{Field, Reading};
use smallvec::SmallVec;

/// What a viewer may think of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// As good as now.
    Fresh,
    /// Shown, and shown as old.
    Stale,
    /// Not shown.
    Blank,
}

/// How fresh a field's value of this age is.
#[must_use]
pub fn freshness(field: Field, age_ms: i64) -> Freshness {
    let stale_ms = if field == Field::HeartRate { STALE_HEART_RATE_MS } else { STALE_MS };
    match age_ms {
        age_ms if age_ms < stale_ms => Freshness::Fresh,
        age_ms if age_ms < BLANK_MS => Freshness::Stale,
        _ => Freshness::Blank,
    }
}

/// Whether a reading of this age may be shown as live: at least one of its fields is fresh.
#[must_use]
pub fn is_live(reading: &Reading, age_ms: i64) -> bool {
    age_ms < STALE_MS || (age_ms < STALE_HEART_RATE_MS && reading.mask() & Field::HeartRate.mask() != 0)
}

/// The latest value of each field of something, with the moment it was taken.
///
/// Machines that say one half of their fields in one message and the other in the next are shown whole, while a field
/// that stopped coming goes stale on its own.
#[derive(Debug, Clone, Default)]
pub struct Latest {
    fields: SmallVec<[(Field, i32, i64); 8]>,
}

impl Latest {
    /// Takes the fields of `mask` of a reading taken at `taken_mono_ms`; values older than those held are passed over.
    pub fn take(&mut self, reading: &Reading, mask: u32, taken_mono_ms: i64) {
        for (field, value) in reading.iter().filter(|(field, _)| mask & field.mask() != 0) {
            match self.fields.binary_search_by_key(&field, |held| held.0) {
                Ok(at) if self.fields[at].2 > taken_mono_ms => (),
                Ok(at) => self.fields[at] = (field, value, taken_mono_ms),
                Err(at) => self.fields.insert(at, (field, value, taken_mono_ms)),
            }
        }
    }

    /// What may be shown at `mono_ms`, and the age of its newest value; empty and 0 where blank.
    ///
    /// Fields that went stale while others are fresh are left out: one age must be true for all.
    #[must_use]
    pub fn shown(&self, mono_ms: i64) -> (u32, Reading) {
        let newest = self.fields.iter().map(|held| held.2).max();
        let Some(age_ms) = newest.map(|taken| (mono_ms - taken).max(0)).filter(|age_ms| *age_ms < BLANK_MS) else {
            return (0, Reading::new());
        };
        let mut reading = Reading::new();
        for &(field, value, taken) in &self.fields {
            let own_ms = (mono_ms - taken).max(0);
            if own_ms == age_ms || freshness(field, own_ms - age_ms) == Freshness::Fresh && own_ms < BLANK_MS {
                reading.set(field, value);
            }
        }
        (u32::try_from(age_ms).unwrap_or(u32::MAX), reading)
    }

    /// The value of a field, if it is fresh.
    #[must_use]
    pub fn fresh(&self, field: Field, mono_ms: i64) -> Option<i32> {
        let held = self.fields.iter().find(|held| held.0 == field)?;
        (freshness(field, mono_ms - held.2) == Freshness::Fresh).then_some(held.1)
    }

    /// When the newest value was taken.
    #[must_use]
    pub fn taken_mono_ms(&self) -> Option<i64> {
        self.fields.iter().map(|held| held.2).max()
    }

    /// Forgets everything: another member stands here now.
    pub fn clear(&mut self) {
        self.fields.clear();
    }

    /// Takes fields out of what is shown.
    pub fn hide(&mut self, mask: u32) {
        self.fields.retain(|held| held.0.mask() & mask == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(fields: &[(Field, i32)]) -> Reading {
        let mut reading = Reading::new();
        for &(field, value) in fields {
            reading.set(field, value);
        }
        reading
    }

    #[test]
    fn a_value_goes_stale_and_then_blank_and_is_never_repeated_as_new() {
        let mut latest = Latest::default();
        latest.take(&reading(&[(Field::Speed, 900)]), u32::MAX, 1_000);
        assert_eq!(latest.shown(1_400), (400, reading(&[(Field::Speed, 900)])));
        assert_eq!(latest.shown(5_000).0, 4_000);
        assert_eq!(latest.shown(16_000), (0, Reading::new()));
        assert_eq!(freshness(Field::Speed, 3_000), Freshness::Stale);
        assert_eq!(freshness(Field::HeartRate, 4_999), Freshness::Fresh);
        assert_eq!(freshness(Field::HeartRate, 15_000), Freshness::Blank);
    }

    #[test]
    fn a_machine_that_says_its_fields_in_two_messages_is_shown_whole() {
        let mut latest = Latest::default();
        latest.take(&reading(&[(Field::Speed, 900)]), u32::MAX, 0);
        latest.take(&reading(&[(Field::Power, 200)]), u32::MAX, 500);
        assert_eq!(latest.shown(600).1, reading(&[(Field::Speed, 900), (Field::Power, 200)]));
    }

    #[test]
    fn a_field_that_stopped_coming_is_left_out_while_others_go_on() {
        let mut latest = Latest::default();
        latest.take(&reading(&[(Field::HeartRate, 140), (Field::Cadence, 160)]), u32::MAX, 0);
        latest.take(&reading(&[(Field::Power, 200)]), u32::MAX, 4_000);
        assert_eq!(latest.shown(4_000).1, reading(&[(Field::HeartRate, 140), (Field::Power, 200)]));
        latest.take(&reading(&[(Field::Power, 210)]), u32::MAX, 6_000);
        assert_eq!(latest.shown(6_000).1, reading(&[(Field::Power, 210)]));
    }

    #[test]
    fn an_older_value_does_not_replace_a_newer() {
        let mut latest = Latest::default();
        latest.take(&reading(&[(Field::Speed, 900)]), u32::MAX, 2_000);
        latest.take(&reading(&[(Field::Speed, 100)]), u32::MAX, 1_000);
        assert_eq!(latest.shown(2_000).1.get(Field::Speed), Some(900));
    }
}
