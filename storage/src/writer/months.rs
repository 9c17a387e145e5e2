//! Months of `at_ms`: the partitions of `samples` in Postgres, made when a row first needs one.
//!
//! The year is the device's word, so any month from 1970 to 2199 may be asked for; outside is a poison row.

use std::collections::HashSet;
use std::ops::Range;

use crate::db::{Wire, values};
use crate::error::StoreError;

/// 1970-01-01 until 2200-01-01, UTC.
pub(crate) const AT_MS: Range<i64> = 0..7_258_118_400_000;
/// Months in [`AT_MS`].
#[cfg(test)]
const MONTHS: i64 = 230 * 12;
const DAY_MS: i64 = 86_400_000;
/// Serialises nodes that make the same partition; any number that nobody else uses in the database.
const LOCK: i64 = 0x5370_6f74_7465_7202;

/// Months since January 1970.
pub(crate) const fn month_of(at_ms: i64) -> i64 {
    let (year, month) = civil(at_ms.div_euclid(DAY_MS));
    (year - 1970) * 12 + month - 1
}

/// First millisecond of a month.
pub(crate) const fn starts_at_ms(month: i64) -> i64 {
    days(1970 + month.div_euclid(12), month.rem_euclid(12) + 1) * DAY_MS
}

/// The partition's name, such as `samples_y2026m11`.
pub(crate) fn name(month: i64) -> String {
    format!("samples_y{:04}m{:02}", 1970 + month.div_euclid(12), month.rem_euclid(12) + 1)
}

/// The month of a partition's name; none for a table of somebody else.
pub(crate) fn month_named(name: &str) -> Option<i64> {
    let (year, month) = name.strip_prefix("samples_y")?.split_once('m')?;
    let (year, month): (i64, i64) = (year.parse().ok()?, month.parse().ok()?);
    ((1970..2200).contains(&year) && (1..=12).contains(&month)).then(|| (year - 1970) * 12 + month - 1)
}

/// Year and month of a day since 1970 (Hinnant, chrono-compatible low-level date algorithms, `civil_from_days`).
const fn civil(day: i64) -> (i64, i64) {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + (month <= 2) as i64, month)
}

/// Day since 1970 of the first of a month (the same source, `days_from_civil`).
const fn days(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Makes the partitions that are missing. `ready` remembers those that are there; nothing to do in SQLite.
pub(crate) async fn ensure(wire: &mut Wire, ready: &mut HashSet<i64>, months: impl Iterator<Item = i64>) -> Result<(), StoreError> {
    const DO: &str = "make a partition";
    if !wire.conn().is_postgres() {
        return Ok(());
    }
    let missing: HashSet<i64> = months.filter(|month| !ready.contains(month)).collect();
    for month in missing {
        let found = wire.conn().fetch_one(DO, "select to_regclass($1)::oid::bigint", &values![name(month)]).await?;
        if found.map_or(Ok(None), |row| row.get::<Option<i64>>(DO, 0))?.is_none() {
            let (from, to) = (starts_at_ms(month), starts_at_ms(month + 1));
            let make = format!("create table if not exists {} partition of samples for values from ({from}) to ({to})", name(month));
            wire.begin(DO).await?;
            wire.conn().fetch(DO, "select pg_advisory_xact_lock($1)", &values![LOCK]).await?;
            wire.conn().script(DO, make).await?;
            wire.commit(DO).await?;
        }
        ready.insert(month);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_where_the_calendar_says() {
        assert_eq!((month_of(0), name(0)), (0, "samples_y1970m01".to_owned()));
        assert_eq!(starts_at_ms(month_of(1_795_258_800_000)), 1_793_491_200_000, "2026-11-01");
        assert_eq!(name(month_of(1_795_258_800_000)), "samples_y2026m11");
        assert_eq!(starts_at_ms(MONTHS), AT_MS.end);
        for month in 0..MONTHS {
            assert_eq!(month_of(starts_at_ms(month)), month);
            assert_eq!(month_named(&name(month)), Some(month));
            assert_eq!(month_of(starts_at_ms(month + 1) - 1), month);
        }
    }
}
