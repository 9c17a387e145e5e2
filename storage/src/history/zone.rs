//! Days of a gym in its time zone, with the hours that summer time adds and takes.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::writer::months::AT_MS;

/// A gym's time zone; UTC where its name means nothing.
pub(crate) struct Zone(TimeZone);

/// Whether this is the IANA name of a time zone that days can be made by.
#[must_use]
pub fn is_time_zone(name: &str) -> bool {
    TimeZone::get(name).is_ok_and(|zone| !zone.is_unknown())
}

impl Zone {
    /// The zone of an IANA name, such as `Europe/Rome`; the rules are in the binary.
    pub(crate) fn named(name: &str) -> Self {
        Self(TimeZone::get(name).unwrap_or(TimeZone::UTC))
    }

    /// The day in which a time lies.
    pub(crate) fn day_of(&self, at_ms: i64) -> Date {
        // A device may say any time; rows are kept of these years only.
        let at_ms = at_ms.clamp(AT_MS.start, AT_MS.end);
        self.0.to_datetime(Timestamp::from_millisecond(at_ms).unwrap_or_default()).date()
    }

    /// First millisecond of a day and of the next one.
    pub(crate) fn bounds_of(&self, day: Date) -> (i64, i64) {
        let starts = |day: Date| {
            let start = day.to_zoned(self.0.clone()).and_then(|start| start.start_of_day());
            start.map_or(i64::MAX, |start| start.timestamp().as_millisecond())
        };
        (starts(day), day.tomorrow().map_or(i64::MAX, starts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn hours(zone: &str, day: Date) -> i64 {
        let (from, to) = Zone::named(zone).bounds_of(day);
        (to - from) / HOUR_MS
    }

    #[test]
    fn the_days_of_both_changes_of_a_year_are_an_hour_shorter_and_longer() {
        let rome = "Europe/Rome";
        assert_eq!(hours(rome, Date::constant(2026, 3, 29)), 23);
        assert_eq!(hours(rome, Date::constant(2026, 10, 25)), 25);
        assert_eq!(hours(rome, Date::constant(2026, 10, 26)), 24);
        // Summer time that begins at midnight: the day begins at one.
        assert_eq!(hours("America/Santiago", Date::constant(2026, 9, 6)), 23);
        assert_eq!(hours("no such zone", Date::constant(2026, 3, 29)), 24);
    }

    #[test]
    fn every_time_lies_in_the_day_that_says_so() {
        let zone = Zone::named("Europe/Rome");
        // Both hours from two to three of the night in which summer time ends.
        for at_ms in [1_792_886_400_000, 1_792_886_400_000 + HOUR_MS, 1_792_886_400_000 + 2 * HOUR_MS] {
            let day = zone.day_of(at_ms);
            let (from, to) = zone.bounds_of(day);
            assert!((from..to).contains(&at_ms), "{day}");
            assert_eq!(day, Date::constant(2026, 10, 25));
        }
        assert_eq!(zone.day_of(i64::MAX).year(), 2200);
    }
}
