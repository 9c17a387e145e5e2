//! Times of XML Schema (`2026-11-21T13:45:00.250Z`) as UTC milliseconds, both ways.

const DAY_S: i64 = 86_400;

/// The time as text, to the millisecond where there is one.
pub(super) fn format(at_ms: i64) -> String {
    let (second, ms) = (at_ms.div_euclid(1000), at_ms.rem_euclid(1000));
    let (year, month, day) = civil(second.div_euclid(DAY_S));
    let of_day = second.rem_euclid(DAY_S);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let fraction = if ms == 0 { String::new() } else { format!(".{ms:03}") };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// The time of a text; without an offset it is UTC. None where it is not one.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (date, clock) = text.trim().split_once('T')?;
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let (clock, offset_s) = offset(clock)?;
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = whole.splitn(3, ':');
    let (hour, minute, second) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let good = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !good || year < 1970 || fraction.is_empty() || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let ms: i64 = fraction.bytes().chain(*b"000").take(3).fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Some((days(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second - offset_s) * 1000 + ms)
}

/// The clock without its offset, and the offset in seconds east.
fn offset(clock: &str) -> Option<(&str, i64)> {
    if let Some(clock) = clock.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(place) = clock.rfind(['+', '-']) else { return Some((clock, 0)) };
    let (clock, offset) = clock.split_at(place);
    let (hours, minutes) = offset[1..].split_once(':')?;
    let seconds = digits(hours, 2)? * 3600 + digits(minutes, 2)? * 60;
    Some((clock, if offset.starts_with('-') { -seconds } else { seconds }))
}

fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|digit| digit.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Year, month and day of a day since 1970 (Hinnant, chrono-compatible low-level date algorithms, `civil_from_days`).
const fn civil(day: i64) -> (i64, i64, i64) {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + (month <= 2) as i64, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// Day since 1970 (the same source, `days_from_civil`).
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_and_offsets_count() {
        assert_eq!(format(1_795_268_700_250), "2026-11-21T13:45:00.250Z");
        for at_ms in [0, 951_826_000_000, 1_795_268_700_250, 4_102_444_799_999] {
            assert_eq!(parse(&format(at_ms)), Some(at_ms));
        }
        assert_eq!(parse("2026-11-21T14:45:00.25+01:00"), Some(1_795_268_700_250));
        assert_eq!(parse("2026-11-21T13:45:00"), Some(1_795_268_700_000));
        for wrong in ["", "T", "2026-11-21", "2026-13-21T13:45:00Z", "2026-11-21T13:45Z", "x026-11-21T13:45:00Z", "2026-11-21T13:45:00.Z"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
