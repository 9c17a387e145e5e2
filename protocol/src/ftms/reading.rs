//! Records to readings and back.
//!
//! A reading has meaning where a record has bytes: 0 beats a minute and 255 are no heart rate, an elevation of 0x7FFF is none. The encoder
//! writes what simulated machines say, in either layout and in parts where a notification is too short for all.

use smallvec::SmallVec;

use super::bits::Width;
use super::layout::{choose, need};
use super::record::is_blank_elevation;
use super::table::{self, Form, Row, Scale, Table, When};
use super::{Characteristic, Layout, NOTIFICATION_BYTES_MIN, Record};
use crate::field::RR_BIT;
use crate::{Field, Reading};

const CONTACT_NOW: u32 = 1 << 1;
const CONTACT_SUPPORTED: u32 = 1 << 2;
const RR_LIST: u32 = 1 << 4;

/// The integer of a reading, where the raw number means one.
fn meaning(row: &Row, form: Form, raw: i64) -> Option<i32> {
    let field = row.field?;
    let is_blank = match field {
        Field::HeartRate => raw == 0 || (form.width == Width::U8 && raw == 0xff),
        Field::ElevGain | Field::ElevLoss => is_blank_elevation(row, raw) || raw == 0xffff,
        _ => false,
    };
    let value = match form.scale {
        Scale::Times(times) => raw * times,
        Scale::Pace if raw == 0 => return None,
        // 0.5 km at raw / 10 km/min, in seconds.
        Scale::Pace => (300 + raw / 2) / raw,
        Scale::Mps256 => (raw * 360 + 128) / 256,
        Scale::Decimetres => raw / 10,
        Scale::Kilojoules => (raw * 1_000 + 2_092) / 4_184,
    };
    if is_blank { None } else { i32::try_from(value).ok() }
}

/// The raw number that means this value exactly.
fn raw_of(row: &Row, layout: Layout, value: i32) -> Option<i64> {
    let form = row.forms[layout as usize];
    let raw = match form.scale {
        Scale::Times(times) => i64::from(value) / times,
        Scale::Pace if value > 0 => (300 + i64::from(value) / 2) / i64::from(value),
        Scale::Pace | Scale::Mps256 | Scale::Decimetres | Scale::Kilojoules => return None,
    };
    let (low, high) = form.width.bounds();
    let fits = (low..=high).contains(&raw) && !(row.shared && raw == form.width.unavailable());
    (fits && meaning(row, form, raw) == Some(value)).then_some(raw)
}

impl Record {
    /// Adds what the record says to a reading.
    pub fn read_into(&self, reading: &mut Reading) {
        for (row, raw) in self.rows() {
            let value = raw.and_then(|raw| meaning(row, row.forms[self.layout() as usize], raw));
            if let (Some(field), Some(value)) = (row.field, value) {
                reading.set(field, value);
            }
        }
        if let Some(contact) = self.contact() {
            reading.set(Field::Contact, i32::from(contact));
        }
        if !self.rr().is_empty() {
            reading.set_rr(self.rr());
        }
    }

    /// Skin contact, where it is a heart rate measurement of a sensor that can tell.
    #[must_use]
    pub fn contact(&self) -> Option<bool> {
        let tells = self.characteristic() == Characteristic::HeartRate && self.flags() & CONTACT_SUPPORTED != 0;
        tells.then_some(self.flags() & CONTACT_NOW != 0)
    }
}

/// What a reading looks like on the air.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encoded {
    /// Notifications in the order of sending; the last one ends the record, if the reading has its bit-0 fields.
    pub parts: Vec<Vec<u8>>,
    /// Mask of the fields that this characteristic cannot say, or not this value of them.
    pub left_out: u32,
}

/// Rows that share a flag, with their raw numbers.
struct Group {
    when: When,
    values: SmallVec<[(u8, Option<i64>); 3]>,
}

impl Group {
    fn flag(&self) -> u32 {
        if let When::Set(bit) = self.when { 1 << bit } else { 0 }
    }
}

/// The groups of a table that a reading fills. One that is only half filled is there if the rest may be "not available".
fn groups(table: &'static Table, layout: Layout, reading: &Reading, extensions: u32) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut from = 0;
    while let Some(first) = table.rows.get(from) {
        let to = from + table.rows[from..].iter().take_while(|row| row.when == first.when).count();
        let raw = |row: &Row| row.field.and_then(|field| reading.get(field)).and_then(|value| raw_of(row, layout, value));
        let values: SmallVec<[_; 3]> = (from..to).map(|at| (at as u8, raw(&table.rows[at]))).collect();
        let group = Group { when: first.when, values };
        let missing = group.values.iter().filter(|(_, raw)| raw.is_none()).count();
        if missing < group.values.len() && (missing == 0 || first.shared) && group.flag() & extensions == 0 {
            groups.push(group);
        }
        from = to;
    }
    groups
}

/// Writes a reading as values of a characteristic, none longer than `bytes_max` (at least 20).
///
/// A data record that is too long is split: More Data is set on all parts but the last, which carries the bit-0 fields. Cycling
/// power carries power alone; CSC and RSC, which carry counters, carry nothing: see [`Record::of_fields`].
#[must_use]
pub fn encode_reading(characteristic: Characteristic, layout: Layout, reading: &Reading, bytes_max: usize) -> Encoded {
    match characteristic {
        Characteristic::HeartRate => return encode_heart_rate(reading),
        Characteristic::CyclingPower => return encode_power(layout, reading),
        _ => (),
    }
    let Some(table) = table::of(characteristic).filter(|table| table.split) else {
        return Encoded { parts: Vec::new(), left_out: reading.mask() };
    };
    let groups = groups(table, layout, reading, table::extension_bits(characteristic));
    let said = groups.iter().flat_map(|group| &group.values).filter(|(_, raw)| raw.is_some());
    let said = said.filter_map(|(at, _)| table.rows[usize::from(*at)].field).fold(0, |mask, field| mask | field.mask());
    let parts = split(table, layout, &groups, bytes_max.max(NOTIFICATION_BYTES_MIN));
    let parts = parts.iter().map(|part| write(characteristic, layout, part)).collect();
    Encoded { parts, left_out: reading.mask() & !said }
}

fn flags(part: &[&Group]) -> u32 {
    let ends = part.iter().any(|group| group.when == When::Clear(0));
    part.iter().fold(u32::from(!ends), |flags, group| flags | group.flag())
}

/// Whether a part is short enough, and its length reads as the layout it is written in.
fn fits(table: &'static Table, layout: Layout, part: &[&Group], bytes_max: usize) -> bool {
    let flags = flags(part);
    let len = need(table, flags, layout);
    let one_layout = need(table, flags, Layout::Xml2017) == need(table, flags, Layout::Gss2024);
    len <= bytes_max && (one_layout || choose(table, flags, len) == layout)
}

fn split<'a>(table: &'static Table, layout: Layout, groups: &'a [Group], bytes_max: usize) -> Vec<Vec<&'a Group>> {
    if groups.is_empty() {
        return Vec::new();
    }
    let whole: Vec<&Group> = groups.iter().collect();
    if fits(table, layout, &whole, bytes_max) {
        return vec![whole];
    }
    let mut parts: Vec<Vec<&Group>> = Vec::new();
    // The group of bit 0 ends the record, so it goes into the last part.
    let (last, others): (Vec<&Group>, Vec<&Group>) = groups.iter().partition(|group| group.when == When::Clear(0));
    for group in others.into_iter().chain(last) {
        if let Some(part) = parts.last_mut() {
            part.push(group);
            if fits(table, layout, part, bytes_max) {
                continue;
            }
            part.pop();
        }
        parts.push(vec![group]);
    }
    parts
}

fn write(characteristic: Characteristic, layout: Layout, part: &[&Group]) -> Vec<u8> {
    let mut values: SmallVec<[(u8, Option<i64>); 24]> = part.iter().flat_map(|group| group.values.iter().copied()).collect();
    values.sort_unstable_by_key(|(at, _)| *at);
    Record::build(characteristic, layout, flags(part), &values, &[]).encode()
}

fn encode_power(layout: Layout, reading: &Reading) -> Encoded {
    let Some(power) = reading.get(Field::Power).filter(|power| i16::try_from(*power).is_ok()) else {
        return Encoded { parts: Vec::new(), left_out: reading.mask() };
    };
    let record = Record::build(Characteristic::CyclingPower, layout, 0, &[(0, Some(i64::from(power)))], &[]);
    Encoded { parts: vec![record.encode()], left_out: reading.mask() & !Field::Power.mask() }
}

fn encode_heart_rate(reading: &Reading) -> Encoded {
    let heart_rate = reading.get(Field::HeartRate).and_then(|bpm| u16::try_from(bpm).ok());
    let wide = heart_rate.is_some_and(|bpm| bpm >= 0xff);
    let contact = reading.get(Field::Contact);
    let rr: SmallVec<[u16; 16]> = reading.rr().iter().filter_map(|&interval| u16::try_from(interval).ok()).collect();
    let flags = u32::from(wide)
        | if contact.is_some() { CONTACT_SUPPORTED } else { 0 }
        | if contact == Some(1) { CONTACT_NOW } else { 0 }
        | if rr.is_empty() { 0 } else { RR_LIST };
    // 0 is "no reading".
    let value = (u8::from(wide), Some(i64::from(heart_rate.unwrap_or(0))));
    let record = Record::build(Characteristic::HeartRate, Layout::default(), flags, &[value], &rr);
    let said = Field::Contact.mask() | RR_BIT | if heart_rate.is_some() { Field::HeartRate.mask() } else { 0 };
    Encoded { parts: vec![record.encode()], left_out: reading.mask() & !said }
}
