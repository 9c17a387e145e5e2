//! Values made of flags and fields: the six data records of FTMS and the four sensor measurements.
//!
//! In: bytes and the quirks of their device. Out: a [`Record`] of raw numbers with what was odd, never an error: a record that is cut
//! keeps its complete fields. And back. The numbers are as the machine wrote them; `reading` gives them their meaning.

use smallvec::SmallVec;

use super::Characteristic;
use super::bits::{Bits, Width, put};
use super::issue::{Issue, Issues};
use super::layout::{Layout, choose, present};
use super::quirk::Quirks;
use super::table::{self, Row, Table, When};
use crate::Field;

/// One notification, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    characteristic: Characteristic,
    layout: Layout,
    /// As meant: bits that a quirk adds are among them.
    flags: u32,
    /// Row of the table and raw number, in order of the bytes; none where the machine says that it has no value.
    values: SmallVec<[(u8, Option<i64>); 12]>,
    rr: SmallVec<[u16; 4]>,
    issues: Issues,
}

/// Bit of the RR list in a heart rate measurement.
const RR_LIST: u32 = 1 << 4;
/// What Life Fitness writes into an unsigned elevation that it does not know.
pub(super) const ELEVATION_UNAVAILABLE: i64 = 0x7fff;

impl Record {
    /// Reads one value; none where the characteristic is no record of flags and fields.
    #[must_use]
    pub fn decode(characteristic: Characteristic, bytes: &[u8], quirks: Quirks) -> Option<Self> {
        let table = table::of(characteristic)?;
        let mut record = Self::empty(characteristic, Layout::default(), u32::from(table.split));
        let Some((flags, fields)) = bytes.split_at_checked(table.flag_bytes) else {
            record.issues.add(Issue::Truncated);
            return Some(record);
        };
        let declared = flags.iter().rev().fold(0, |flags, &byte| flags << 8 | u32::from(byte));
        let read = declared & !(table::extension_bits(characteristic) & !quirks.extensions(characteristic));
        record.flags = quirks.meant(characteristic, table, read, bytes.len());
        record.layout = choose(table, record.flags, bytes.len());
        record.issues.add_if(declared & !table.known_bits() != 0 || read != declared, Issue::ReservedFlags);
        record.issues.add_if(table.split && declared & 1 == 1, Issue::MoreData);
        record.read_fields(table, fields);
        Some(record)
    }

    fn empty(characteristic: Characteristic, layout: Layout, flags: u32) -> Self {
        Self { characteristic, layout, flags, values: SmallVec::new(), rr: SmallVec::new(), issues: Issues::default() }
    }

    fn read_fields(&mut self, table: &'static Table, fields: &[u8]) {
        let mut bits = Bits(fields);
        for (at, row) in present(table, self.flags) {
            let width = row.forms[self.layout as usize].width;
            let Some(raw) = bits.take(width) else {
                self.issues.add(Issue::Truncated);
                return;
            };
            let unavailable = row.shared && raw == width.unavailable();
            self.issues.add_if(unavailable || is_blank_elevation(row, raw), Issue::Unavailable);
            self.values.push((at, (!unavailable).then_some(raw)));
        }
        if self.characteristic == Characteristic::HeartRate && self.flags & RR_LIST != 0 {
            self.rr.extend(std::iter::from_fn(|| bits.u16()));
            self.issues.add_if(!bits.0.is_empty(), Issue::Truncated);
        } else {
            self.issues.add_if(!bits.0.is_empty(), Issue::TrailingBytes);
        }
    }

    /// A record of named fields with their raw numbers, in the units of the characteristic: how simulated machines say what no
    /// reading has, such as the revolutions of a crank. A data record without its bit-0 fields goes on (More Data).
    ///
    /// None where a name is not of this characteristic, a number does not fit, or a field is missing that others cannot come without.
    #[must_use]
    pub fn of_fields(characteristic: Characteristic, layout: Layout, fields: &[(&str, i64)]) -> Option<Self> {
        let table = table::of(characteristic)?;
        let holds = |row: &Row, raw: i64| {
            let (low, high) = row.forms[layout as usize].width.bounds();
            (low..=high).contains(&raw)
        };
        let mut record = Self::empty(characteristic, layout, 0);
        let mut ends = !table.split;
        for &(name, raw) in fields {
            let at = table.rows.iter().position(|row| row.name == name && holds(row, raw))?;
            match table.rows[at].when {
                When::Set(bit) => record.flags |= 1 << bit,
                When::Clear(_) => ends = true,
                When::Always => (),
            }
            record.values.push((at as u8, Some(raw)));
        }
        record.flags |= u32::from(!ends);
        for (at, row) in present(table, record.flags) {
            if record.values.iter().all(|(given, _)| *given != at) {
                row.shared.then(|| record.values.push((at, None)))?;
            }
        }
        record.values.sort_unstable_by_key(|(at, _)| *at);
        record.values.windows(2).all(|pair| pair[0].0 < pair[1].0).then_some(record)
    }

    /// A record of these raw numbers, for the encoder; rows in order.
    pub(super) fn build(characteristic: Characteristic, layout: Layout, flags: u32, values: &[(u8, Option<i64>)], rr: &[u16]) -> Self {
        let mut record = Self::empty(characteristic, layout, flags);
        record.values.extend_from_slice(values);
        record.rr.extend_from_slice(rr);
        record
    }

    /// The bytes of the record. What was cut off or reserved is not written again.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let table = self.table();
        let mut out = self.flags.to_le_bytes()[..table.flag_bytes].to_vec();
        for &(at, raw) in &self.values {
            let width = table.rows[usize::from(at)].forms[self.layout as usize].width;
            put(&mut out, width, raw.unwrap_or(width.unavailable()));
        }
        for &interval in &self.rr {
            put(&mut out, Width::U16, i64::from(interval));
        }
        out
    }

    pub(super) fn table(&self) -> &'static Table {
        table::of(self.characteristic).expect("a record is only made of a characteristic with a table")
    }

    /// What it is a value of.
    #[must_use]
    pub const fn characteristic(&self) -> Characteristic {
        self.characteristic
    }

    /// The layout it was read in.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// The flags as meant.
    #[must_use]
    pub const fn flags(&self) -> u32 {
        self.flags
    }

    /// Whether the record goes on in another notification (More Data).
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.table().split && self.flags & 1 == 1
    }

    /// What was odd.
    #[must_use]
    pub const fn issues(&self) -> Issues {
        self.issues
    }

    /// RR intervals in 1/1024 s, oldest first.
    #[must_use]
    pub fn rr(&self) -> &[u16] {
        &self.rr
    }

    /// Rows and raw numbers in order.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&'static Row, Option<i64>)> + '_ {
        let rows = self.table().rows;
        self.values.iter().map(move |&(at, raw)| (&rows[usize::from(at)], raw))
    }

    /// The raw number of a named field.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<i64> {
        self.rows().find(|(row, _)| row.name == name).and_then(|(_, raw)| raw)
    }

    /// Whether both carry a field of the same name.
    pub(super) fn repeats(&self, other: &Self) -> bool {
        self.values.iter().any(|(at, _)| other.values.iter().any(|(other, _)| at == other))
    }
}

/// Whether an elevation has the blank that stands for a signed field in an unsigned one.
pub(super) fn is_blank_elevation(row: &Row, raw: i64) -> bool {
    matches!(row.field, Some(Field::ElevGain | Field::ElevLoss)) && raw == ELEVATION_UNAVAILABLE
}
