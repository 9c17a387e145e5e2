//! Readings put together by minute: count, and of each field count, sum, smallest and largest value.
//!
//! Sums are whole numbers, so that minutes of several chunks (and readings that came later) put together are the same as all readings put
//! together at once, in any order. RR intervals are no field and are not in it.

use std::collections::BTreeMap;

use protocol::{Field, Reading};

use super::bits::{BitReader, BitWriter};
use super::chunk::{bounded, checked, verified};
use super::{Damaged, ROWS_MAX, column};

const VERSION: u8 = 1;
/// A minute.
pub(crate) const MINUTE_MS: i64 = 60_000;

/// One field of some readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldSum {
    /// Readings that have it.
    pub count: u64,
    /// Sum of its values.
    pub sum: i64,
    /// Smallest.
    pub min: i32,
    /// Largest.
    pub max: i32,
}

/// Some readings put together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Minute {
    /// Readings.
    pub count: u64,
    /// Each field that occurs.
    pub fields: BTreeMap<Field, FieldSum>,
}

impl Minute {
    /// One reading.
    #[must_use]
    pub fn of(reading: &Reading) -> Self {
        let mut minute = Self::default();
        minute.add(reading);
        minute
    }

    /// Takes a reading.
    pub fn add(&mut self, reading: &Reading) {
        self.count += 1;
        for (field, value) in reading.iter() {
            self.join_field(field, FieldSum { count: 1, sum: value.into(), min: value, max: value });
        }
    }

    /// Takes all of another.
    pub fn join(&mut self, other: &Self) {
        self.count += other.count;
        for (&field, &sum) in &other.fields {
            self.join_field(field, sum);
        }
    }

    fn join_field(&mut self, field: Field, other: FieldSum) {
        let Some(mine) = self.fields.get_mut(&field) else {
            self.fields.insert(field, other);
            return;
        };
        mine.count += other.count;
        mine.sum = mine.sum.saturating_add(other.sum);
        (mine.min, mine.max) = (mine.min.min(other.min), mine.max.max(other.max));
    }
}

/// Readings with their times, by the minute in which they lie (UTC milliseconds, a multiple of 60,000).
pub fn minutes_of<'r>(readings: impl Iterator<Item = (i64, &'r Reading)>) -> BTreeMap<i64, Minute> {
    let mut minutes: BTreeMap<i64, Minute> = BTreeMap::new();
    for (at_ms, reading) in readings {
        minutes.entry(at_ms - at_ms.rem_euclid(MINUTE_MS)).or_default().add(reading);
    }
    minutes
}

/// Packs the minutes of one chunk; there are at most as many as readings.
#[must_use]
pub fn minutes_encode(minutes: &BTreeMap<i64, Minute>) -> Vec<u8> {
    let mut out = BitWriter::default();
    out.put(VERSION.into(), 8);
    out.put_number(minutes.len() as u64);
    column::put(&minutes.keys().map(|at_ms| at_ms.div_euclid(MINUTE_MS)).collect::<Vec<_>>(), &mut out);
    column::put(&minutes.values().map(|minute| minute.count as i64).collect::<Vec<_>>(), &mut out);
    let mask = minutes.values().flat_map(|minute| minute.fields.keys()).fold(0, |mask, field| mask | field.mask());
    out.put(mask.into(), 32);
    for field in Field::ALL.into_iter().filter(|field| mask & field.mask() != 0) {
        let counts: Vec<i64> = minutes.values().map(|minute| minute.fields.get(&field).map_or(0, |sum| sum.count as i64)).collect();
        let sums: Vec<FieldSum> = minutes.values().filter_map(|minute| minute.fields.get(&field).copied()).collect();
        let of = |value: fn(&FieldSum) -> i64| sums.iter().map(value).collect::<Vec<i64>>();
        let (mins, maxs) = (of(|sum| sum.min.into()), of(|sum| i64::from(sum.max) - i64::from(sum.min)));
        // The mean is near the smallest value; what is left of the sum is small beside the sum.
        let sums = of(|sum| sum.sum.wrapping_sub(i64::from(sum.min).wrapping_mul(sum.count as i64)));
        [counts, mins, maxs, sums].iter().for_each(|values| column::put(values, &mut out));
    }
    checked(out.finish())
}

/// Unpacks minutes.
///
/// # Errors
/// [`Damaged`] for anything but what [`minutes_encode`] made.
pub fn minutes_decode(bytes: &[u8]) -> Result<BTreeMap<i64, Minute>, Damaged> {
    let mut from = BitReader::new(verified(bytes)?);
    let version = from.take(8)? as u8;
    if version != VERSION {
        return Err(Damaged::Version(version));
    }
    let count = bounded(from.take_number()?, 0, ROWS_MAX)?;
    let starts = column::take(count, &mut from)?;
    let counts = column::take(count, &mut from)?;
    let mut minutes: Vec<Minute> = counts.into_iter().map(|count| Minute { count: count as u64, fields: BTreeMap::new() }).collect();
    let mask = from.take(32)? as u32;
    for field in Field::ALL.into_iter().filter(|field| mask & field.mask() != 0) {
        take_field(field, &mut minutes, &mut from)?;
    }
    if !from.is_at_end() {
        return Err(Damaged::Long);
    }
    Ok(starts.into_iter().map(|start| start.wrapping_mul(MINUTE_MS)).zip(minutes).collect())
}

fn take_field(field: Field, minutes: &mut [Minute], from: &mut BitReader<'_>) -> Result<(), Damaged> {
    let counts = column::take(minutes.len(), from)?;
    let having = counts.iter().filter(|&&count| count != 0).count();
    let (mins, spans, sums) = (column::take(having, from)?, column::take(having, from)?, column::take(having, from)?);
    let narrow = |value: i64| i32::try_from(value).map_err(|_| Damaged::Number);
    let places = counts.into_iter().zip(minutes).filter(|(count, _)| *count != 0);
    for (place, (count, minute)) in places.enumerate() {
        let (min, max) = (narrow(mins[place])?, narrow(mins[place].wrapping_add(spans[place]))?);
        let sum = sums[place].wrapping_add(i64::from(min).wrapping_mul(count));
        minute.fields.insert(field, FieldSum { count: count as u64, sum, min, max });
    }
    Ok(())
}
