//! Units of files against units of `protocol::Field`, rounded so that a value that goes out and comes back is the same.

use protocol::{Field, Reading};

use crate::Sport;

/// Seconds from 1970 to the epoch of FIT, 1989-12-31.
pub(crate) const FIT_EPOCH_S: i64 = 631_065_600;
/// Times that a file may hold, UTC milliseconds: 1998-07-03 (FIT says nothing earlier) until 2100.
pub(crate) const AT_MS: std::ops::Range<i64> = (FIT_EPOCH_S + 0x1000_0000) * 1000..4_102_444_800_000;

/// 0.01 km/h as millimetres a second.
pub(crate) fn mm_per_s(centikmh: i32) -> u32 {
    (f64::from(centikmh.max(0)) / 0.36).round() as u32
}

/// Metres a second as 0.01 km/h; none where no machine goes so fast.
pub(crate) fn centikmh(m_per_s: f64) -> Option<i32> {
    within(Field::Speed, m_per_s * 360.0)
}

/// A rounded value where it lies within the bounds of its field.
pub(crate) fn within(field: Field, value: f64) -> Option<i32> {
    let (low, high) = field.bounds();
    let rounded = value.round();
    (rounded >= f64::from(low) && rounded <= f64::from(high)).then_some(rounded as i32)
}

/// Sets a field where the value lies within its bounds.
pub(crate) fn set(reading: &mut Reading, field: Field, value: Option<f64>) {
    if let Some(value) = value.and_then(|value| within(field, value)) {
        reading.set(field, value);
    }
}

/// Turns a minute in halves, from whatever field has them; strides for who is on foot.
pub(crate) fn half_turns(reading: &Reading) -> Option<i32> {
    let fields = [Field::Cadence, Field::StrokeRate, Field::StepRate];
    fields.into_iter().find_map(|field| reading.get(field))
}

/// Takes a cadence of a file, in turns a minute, into the field of the sport.
pub(crate) fn set_cadence(reading: &mut Reading, sport: Sport, per_minute: f64) {
    let field = match sport {
        Sport::Rowing => Field::StrokeRate,
        _ if sport.on_foot() => Field::StepRate,
        _ => Field::Cadence,
    };
    // A step rate is two steps a stride, the other two count halves: both are twice the number.
    set(reading, field, Some(per_minute * 2.0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_speed_comes_back_as_it_went() {
        for speed in 0..=65_535 {
            assert_eq!(centikmh(f64::from(mm_per_s(speed)) / 1000.0), Some(speed));
        }
    }

    #[test]
    fn what_no_field_can_hold_is_no_value() {
        for value in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            assert_eq!(centikmh(value), None);
        }
    }
}
