//! Rows of a floor tick as MessagePack: those that say the same fields stand together, so that the fields are named once.
//!
//! A wall hears of a hundred machines of a few kinds twice a second, and all machines of a kind have the same mask. In: rows in any order. Out: a
//! list of groups `[[mask, availability], index, age_ms, values…, index, age_ms, values…, …]`. JSON has one object a row. A row by itself,
//! `[index, availability, age_ms, mask, values…]`, is read too: a hub before groups wrote it so. RR intervals, which no wall shows and whose number
//! no mask says, go to the end of the list, so a row with some is a group of its own.

use std::fmt;

use serde::de::{self, IgnoredAny, SeqAccess, Visitor};
use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use super::FloorRow;
use crate::field::{RR_BIT, Reading};
use crate::limits::RR_MAX;

type Values = SmallVec<[i32; 8]>;

pub(super) fn serialize<S: Serializer>(rows: &[FloorRow], serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        return rows.serialize(serializer);
    }
    let mut sorted: Vec<&FloorRow> = rows.iter().collect();
    sorted.sort_by_key(|row| head(row));
    let groups = sorted.chunk_by(|a, b| head(a) == head(b) && head(a).0 & RR_BIT == 0);
    serializer.collect_seq(groups.map(Group).collect::<SmallVec<[_; 8]>>())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<FloorRow>, D::Error> {
    if deserializer.is_human_readable() {
        return Vec::deserialize(deserializer);
    }
    deserializer.deserialize_seq(RowsVisitor)
}

/// What all rows of a group share.
fn head(row: &FloorRow) -> (u32, u8) {
    (row.reading.mask(), row.availability)
}

/// Rows of one head.
struct Group<'a>(&'a [&'a FloorRow]);

impl Serialize for Group<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let items = 1 + self.0.iter().map(|row| 2 + row.reading.values().len()).sum::<usize>();
        let mut seq = serializer.serialize_seq(Some(items))?;
        if let Some(row) = self.0.first() {
            seq.serialize_element(&head(row))?;
        }
        for row in self.0 {
            seq.serialize_element(&row.index)?;
            seq.serialize_element(&row.age_ms)?;
            for value in row.reading.values() {
                seq.serialize_element(value)?;
            }
        }
        seq.end()
    }
}

struct RowsVisitor;

impl<'de> Visitor<'de> for RowsVisitor {
    type Value = Vec<FloorRow>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows of a floor")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut rows = Vec::new();
        while let Some(GroupRows(group)) = seq.next_element()? {
            rows.extend(group);
        }
        // In the order in which they are written, so that a tick that is read and written again reads the same.
        rows.sort_by_key(head);
        Ok(rows)
    }
}

/// One group, or one row by itself.
struct GroupRows(Vec<FloorRow>);

impl<'de> Deserialize<'de> for GroupRows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(GroupVisitor).map(Self)
    }
}

struct GroupVisitor;

impl<'de> Visitor<'de> for GroupVisitor {
    type Value = Vec<FloorRow>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[[mask, availability], index, age_ms, values…, …]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let (mask, availability) = match next(&mut seq, "head")? {
            Head::Group(mask, availability) => (mask, availability),
            Head::Row(index) => {
                let (availability, age_ms, mask) = (next(&mut seq, "availability")?, next(&mut seq, "age_ms")?, next(&mut seq, "mask")?);
                let row = FloorRow { index, availability, age_ms, reading: reading(&mut seq, mask)? };
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(vec![row]);
            }
        };
        let mut rows = Vec::new();
        while let Some(index) = seq.next_element()? {
            let age_ms = next(&mut seq, "age_ms")?;
            rows.push(FloorRow { index, availability, age_ms, reading: reading(&mut seq, mask)? });
        }
        Ok(rows)
    }
}

fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(seq: &mut A, name: &'static str) -> Result<T, A::Error> {
    seq.next_element()?.ok_or_else(|| de::Error::missing_field(name))
}

fn reading<'de, A: SeqAccess<'de>>(seq: &mut A, mask: u32) -> Result<Reading, A::Error> {
    let fields = (mask & !RR_BIT).count_ones();
    let mut values = (0..fields).map(|_| next(seq, "value")).collect::<Result<Values, _>>()?;
    while mask & RR_BIT != 0
        && let Some(interval) = seq.next_element()?
    {
        // One more than a reading may have is enough to refuse it.
        if values.len() <= fields as usize + RR_MAX {
            values.push(interval);
        }
    }
    Reading::from_parts(mask, values).map_err(de::Error::custom)
}

/// How a list begins: a group with what its rows share, a row with its index.
enum Head {
    Group(u32, u8),
    Row(u16),
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeadVisitor;
        impl<'de> Visitor<'de> for HeadVisitor {
            type Value = Head;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[mask, availability] or an index")
            }
            fn visit_u64<E: de::Error>(self, index: u64) -> Result<Head, E> {
                u16::try_from(index).map(Head::Row).map_err(E::custom)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Head, A::Error> {
                let head = Head::Group(next(&mut seq, "mask")?, next(&mut seq, "availability")?);
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(head)
            }
        }
        deserializer.deserialize_any(HeadVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Field;
    use crate::frame::FloorTick;

    fn row(index: u16, availability: u8, fields: &[(Field, i32)]) -> FloorRow {
        let mut reading = Reading::new();
        fields.iter().for_each(|&(field, value)| reading.set(field, value));
        FloorRow { index, availability, age_ms: 40, reading }
    }

    #[test]
    fn rows_with_the_same_fields_name_them_once_and_all_come_back() {
        let bike = |index, watts| row(index, 1, &[(Field::Cadence, 170), (Field::Power, watts)]);
        let rows = vec![bike(0, 200), row(1, 0, &[]), bike(2, 210), row(3, 0, &[(Field::Power, 5)])];
        let tick = FloorTick { handle: 1, at_ms: 2, rows };
        let bytes = rmp_serde::to_vec(&tick).unwrap();
        // Two groups of one row have five bytes of their own; the second bike spares the list's head, the mask and the availability.
        assert_eq!(bytes.len(), 3 + 1 + (1 + 3 + 2 * (1 + 1 + 2 + 2)) + (1 + 3 + 2) + (1 + 3 + 3));
        let mut back: FloorTick = rmp_serde::from_slice(&bytes).unwrap();
        back.rows.sort_by_key(|row| row.index);
        assert_eq!(back, tick);
    }

    #[test]
    fn a_row_by_itself_is_read_as_it_was_written_before_groups() {
        let before = rmp_serde::to_vec(&(1, 2, [(7, 1, 300, Field::Power.mask(), 250)])).unwrap();
        let tick: FloorTick = rmp_serde::from_slice(&before).unwrap();
        assert_eq!(tick.rows, [FloorRow { age_ms: 300, ..row(7, 1, &[(Field::Power, 250)]) }]);
    }

    #[test]
    fn groups_in_another_order_are_read_written_and_read_again_as_the_same() {
        let (fast, idle) = (((0b10, 0), 0, 0, -2), ((0, 0), 0, 42));
        let bytes = rmp_serde::to_vec(&(0, 0, (fast, idle))).unwrap();
        let tick: FloorTick = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(tick.rows.len(), 2);
        assert_eq!(rmp_serde::from_slice::<FloorTick>(&rmp_serde::to_vec(&tick).unwrap()).unwrap(), tick);
    }

    #[test]
    fn a_group_that_ends_within_a_row_is_no_group() {
        for (cut, whole) in [(3, false), (4, true), (5, false), (6, false)] {
            let mut group = rmp_serde::to_vec(&((4, 1), 7, 300, 250, 8, 300)).unwrap();
            group[0] = 0x90 + cut;
            let mut bytes = vec![0x93, 1, 2, 0x91];
            bytes.extend(group);
            let decoded = rmp_serde::from_slice::<FloorTick>(&bytes);
            assert_eq!(decoded.is_ok(), whole, "{cut} items: {decoded:?}");
        }
    }
}
