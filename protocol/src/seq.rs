//! Sets of sequence numbers as sorted, disjoint, inclusive ranges.
//!
//! What a source holds, what is stored, what is lost: always ranges of `seq` within one boot (`DESIGN` section 4 of the
//! storage contract). Pure arithmetic; bounded by [`crate::limits::SEQ_RANGES_MAX`] where it comes from the wire.

use std::fmt;
use std::ops::RangeInclusive;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::SEQ_RANGES_MAX;

/// A set of `seq`, 1..=`u32::MAX`. On the wire a flat list `[from, to, from, to, ..]`, sorted, inclusive.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct SeqRanges(Vec<(u32, u32)>);

impl SeqRanges {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds `from..=to`, merging what touches. Returns how many numbers were not in the set before.
    ///
    /// `from` above `to` adds nothing.
    pub fn insert(&mut self, from: u32, to: u32) -> u64 {
        if from > to {
            return 0;
        }
        // First range that could touch: its end + 1 >= from.
        let start = self.0.partition_point(|&(_, end)| end < from && end + 1 < from);
        let mut stop = start;
        let (mut low, mut high, mut had) = (from, to, 0_u64);
        while let Some(&(a, b)) = self.0.get(stop) {
            if to < u32::MAX && a > to + 1 {
                break;
            }
            let (cut_low, cut_high) = (a.max(from), b.min(to));
            if cut_low <= cut_high {
                had += u64::from(cut_high - cut_low) + 1;
            }
            low = low.min(a);
            high = high.max(b);
            stop += 1;
        }
        self.0.splice(start..stop, [(low, high)]);
        u64::from(to - from) + 1 - had
    }

    /// Adds every number of `other`.
    pub fn union(&mut self, other: &Self) {
        for &(from, to) in &other.0 {
            self.insert(from, to);
        }
    }

    /// Takes `from..=to` out. Returns how many numbers were in the set before.
    pub fn remove(&mut self, from: u32, to: u32) -> u64 {
        let start = self.0.partition_point(|&(_, end)| end < from);
        let stop = start + self.0[start..].partition_point(|&(begin, _)| begin <= to);
        if from > to || start >= stop {
            return 0;
        }
        let (first, last) = (self.0[start], self.0[stop - 1]);
        let had: u64 = self.0[start..stop].iter().map(|&(a, b)| u64::from(b.min(to) - a.max(from)) + 1).sum();
        let left = (first.0 < from).then(|| (first.0, from - 1));
        let right = (last.1 > to).then(|| (to + 1, last.1));
        self.0.splice(start..stop, left.into_iter().chain(right));
        had
    }

    /// Keeps the highest `most` ranges, and forgets the lower ones.
    pub fn keep_highest(&mut self, most: usize) {
        self.0.drain(..self.0.len().saturating_sub(most));
    }

    /// Whether `seq` is in the set.
    #[must_use]
    pub fn contains(&self, seq: u32) -> bool {
        let at = self.0.partition_point(|&(_, end)| end < seq);
        self.0.get(at).is_some_and(|&(from, _)| from <= seq)
    }

    /// The numbers of `from..=to` that are not in the set.
    #[must_use]
    pub fn missing(&self, from: u32, to: u32) -> Self {
        let mut gaps = Vec::new();
        let mut next = u64::from(from);
        for &(a, b) in &self.0[self.0.partition_point(|&(_, end)| end < from)..] {
            if a > to {
                break;
            }
            if u64::from(a) > next {
                gaps.push((next as u32, a - 1));
            }
            next = u64::from(b) + 1;
        }
        if next <= u64::from(to) {
            gaps.push((next as u32, to));
        }
        Self(gaps)
    }

    /// The numbers of `self` that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self(self.0.iter().flat_map(|&(from, to)| other.missing(from, to).0).collect())
    }

    /// How many numbers are in the set.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|&(from, to)| u64::from(to - from) + 1).sum()
    }

    /// The highest number, or 0 when empty.
    #[must_use]
    pub fn max(&self) -> u32 {
        self.0.last().map_or(0, |&(_, to)| to)
    }

    /// The highest number up to which the set is whole from 1 on, or 0.
    #[must_use]
    pub fn contiguous_through(&self) -> u32 {
        match self.0.first() {
            Some(&(1, to)) => to,
            _ => 0,
        }
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = RangeInclusive<u32>> + '_ {
        self.0.iter().map(|&(from, to)| from..=to)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl FromIterator<u32> for SeqRanges {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut ranges = Self::new();
        for seq in numbers {
            ranges.insert(seq, seq);
        }
        ranges
    }
}

impl FromIterator<(u32, u32)> for SeqRanges {
    fn from_iter<I: IntoIterator<Item = (u32, u32)>>(pairs: I) -> Self {
        let mut ranges = Self::new();
        for (from, to) in pairs {
            ranges.insert(from, to);
        }
        ranges
    }
}

impl fmt::Debug for SeqRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for SeqRanges {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq as _;
        let mut seq = serializer.serialize_seq(Some(self.0.len() * 2))?;
        for (from, to) in &self.0 {
            seq.serialize_element(from)?;
            seq.serialize_element(to)?;
        }
        seq.end()
    }
}

impl<'de> Deserialize<'de> for SeqRanges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RangesVisitor;
        impl<'de> Visitor<'de> for RangesVisitor {
            type Value = SeqRanges;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a flat list [from, to, from, to, ..] of at most {SEQ_RANGES_MAX} ranges with 1 <= from <= to")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<SeqRanges, A::Error> {
                let mut ranges = SeqRanges::new();
                for _ in 0..SEQ_RANGES_MAX {
                    let Some(from) = seq.next_element::<u32>()? else { return Ok(ranges) };
                    let Some(to) = seq.next_element::<u32>()? else {
                        return Err(de::Error::custom("a range has a `from` and no `to`"));
                    };
                    if from == 0 || from > to {
                        return Err(de::Error::custom(format_args!("range {from}..={to}: 1 <= from <= to")));
                    }
                    ranges.insert(from, to);
                }
                if seq.next_element::<u32>()?.is_some() {
                    return Err(de::Error::custom(format_args!("more than {SEQ_RANGES_MAX} ranges: send the lowest first")));
                }
                Ok(ranges)
            }
        }
        deserializer.deserialize_seq(RangesVisitor)
    }
}

impl JsonSchema for SeqRanges {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SeqRanges".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": { "type": "integer", "minimum": 1, "maximum": u32::MAX },
            "maxItems": SEQ_RANGES_MAX * 2, "description": "Set of seq as a flat list `[from, to, from, to, ..]`, inclusive." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_become_one() {
        let mut ranges = SeqRanges::from_iter([(1, 3), (5, 7)]);
        assert_eq!(ranges.insert(4, 4), 1);
        assert_eq!(ranges, SeqRanges::from_iter([(1, 7)]));
        assert_eq!(ranges.insert(2, 9), 2);
        assert_eq!(ranges.contiguous_through(), 9);
    }

    #[test]
    fn the_highest_number_is_an_ordinary_one() {
        let mut ranges = SeqRanges::from_iter([(u32::MAX, u32::MAX)]);
        assert_eq!(ranges.insert(u32::MAX - 1, u32::MAX), 1);
        assert_eq!(ranges.missing(u32::MAX, u32::MAX), SeqRanges::new());
    }

    proptest::proptest! {
        #[test]
        fn a_set_of_ranges_is_a_set_of_numbers(pairs in proptest::collection::vec((1_u32..60, 0_u32..9), 0..24), low in 1_u32..60, span in 0_u32..30) {
            let mut ranges = SeqRanges::new();
            let mut numbers = std::collections::BTreeSet::new();
            for (from, span) in pairs {
                let new = (from..=from + span).filter(|seq| numbers.insert(*seq)).count() as u64;
                proptest::prop_assert_eq!(ranges.insert(from, from + span), new);
            }
            proptest::prop_assert_eq!(ranges.count(), numbers.len() as u64);
            proptest::prop_assert!(ranges.0.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            proptest::prop_assert!((1..80).all(|seq| ranges.contains(seq) == numbers.contains(&seq)));
            let missing = ranges.missing(low, low + span);
            let mut rest = ranges.clone();
            proptest::prop_assert_eq!(rest.remove(low, low + span), u64::from(span) + 1 - missing.count());
            proptest::prop_assert_eq!(rest, ranges.difference(&SeqRanges::from_iter([(low, low + span)])));
            proptest::prop_assert!((low..=low + span).all(|seq| missing.contains(seq) != numbers.contains(&seq)));
        }
    }
}
