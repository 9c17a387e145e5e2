//! Values with units: times, sizes, counts, ports of call.
//!
//! In: what stands in a file, in the environment or in a flag. Out: a value that cannot be zero by accident. Each says
//! in one sentence what to write, and that sentence is what the operator reads when it is wrong.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected, Visitor};

/// Reads a time such as `25s`; zero is refused.
pub(crate) fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(SpanVisitor)
}

/// Reads a size such as `64KiB`, or a whole number of bytes; zero is refused.
pub(crate) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    deserializer.deserialize_any(SizeVisitor)
}

/// Reads a whole number from 1.
pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    deserializer.deserialize_any(CountVisitor)
}

struct SpanVisitor;

impl Visitor<'_> for SpanVisitor {
    type Value = Duration;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time above zero with its unit, such as \"250ms\", \"25s\", \"10m\", \"24h\" or \"7d\"")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        span_of(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = usize;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size above zero, such as \"64KiB\", \"1MiB\" or 65536")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<usize, E> {
        parse_size(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<usize, E> {
        usize::try_from(bytes).ok().filter(|bytes| *bytes > 0).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(bytes), &self))
    }
    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<usize, E> {
        u64::try_from(bytes).map_err(|_| E::invalid_value(Unexpected::Signed(bytes), &self)).and_then(|bytes| self.visit_u64(bytes))
    }
}

struct CountVisitor;

impl Visitor<'_> for CountVisitor {
    type Value = u32;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number from 1 to 4294967295")
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<u32, E> {
        u32::try_from(number).ok().filter(|n| *n > 0).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<u32, E> {
        u64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self)).and_then(|n| self.visit_u64(n))
    }
}

/// Splits `25s` into its number and its unit.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    Some((text[..end].parse().ok()?, text[end..].trim_start()))
}

/// Reads a time such as `25s` from a flag.
///
/// # Errors
/// A sentence with what to write.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    span_of(text).ok_or_else(|| "write a time with its unit, such as 250ms, 25s, 10m, 24h or 7d".to_owned())
}

fn span_of(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    // Ten years bound every time, so that no sum of a time and a clock can overflow.
    number.checked_mul(milliseconds).filter(|ms| (1..=315_360_000_000).contains(ms)).map(Duration::from_millis)
}

fn parse_size(text: &str) -> Option<usize> {
    let (number, unit) = match text.trim().parse::<u64>() {
        Ok(number) => (number, "B"),
        Err(_) => number_and_unit(text)?,
    };
    let bytes: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    number.checked_mul(bytes).filter(|bytes| *bytes > 0).and_then(|bytes| usize::try_from(bytes).ok())
}

/// How many shards run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardCount {
    /// One for each core.
    Auto,
    /// So many.
    Fixed(NonZeroUsize),
}

impl ShardCount {
    /// The number for a machine of `cores` cores.
    #[must_use]
    pub fn on(self, cores: NonZeroUsize) -> NonZeroUsize {
        match self {
            Self::Auto => cores,
            Self::Fixed(count) => count,
        }
    }
}

impl<'de> Deserialize<'de> for ShardCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShardCountVisitor)
    }
}

struct ShardCountVisitor;

impl Visitor<'_> for ShardCountVisitor {
    type Value = ShardCount;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"auto\" or a whole number from 1 to 1024")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<ShardCount, E> {
        if text == "auto" { Ok(ShardCount::Auto) } else { Err(E::invalid_value(Unexpected::Str(text), &self)) }
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<ShardCount, E> {
        let count = usize::try_from(number).ok().filter(|n| *n <= 1024).and_then(NonZeroUsize::new);
        count.map(ShardCount::Fixed).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<ShardCount, E> {
        u64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self)).and_then(|n| self.visit_u64(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_are_never_zero() {
        for (text, ms) in [("250ms", 250), ("25s", 25_000), ("10 m", 600_000), ("24h", 86_400_000), ("7d", 604_800_000)] {
            assert_eq!(span_of(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "25", "0s", "s", "-1s", "1.5s", "25 seconds", "99999999999999999999s", "9999999999999d"] {
            assert_eq!(span_of(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_may_have_units_and_are_never_zero() {
        for (text, bytes) in [("64KiB", 65_536), ("1 MiB", 1_048_576), ("1kB", 1000), ("17", 17), ("3B", 3)] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "0", "0KiB", "KiB", "64K", "-4KiB", "99999999999GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
