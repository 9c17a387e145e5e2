//! A chunk: version, rows by column, checksum.
//!
//! Columns in order: seq; device time; receive and corrected time, each as they are or as their distance from the time by anchor; which of the
//! few distinct (mask, derived) pairs; each field that occurs; numbers of RR intervals; the intervals; fingerprints that cannot be
//! computed again.

use std::collections::BTreeMap;

use protocol::Reading;
use protocol::field::RR_BIT;
use protocol::limits::RR_MAX;
use sha2::{Digest as _, Sha256};
use smallvec::SmallVec;

use super::bits::{BitReader, BitWriter};
use super::{Damaged, NotAChunk, ROWS_MAX, column};

const VERSION: u8 = 1;
const CHECK_BYTES: usize = 4;

/// One reading as the raw row had it, but for what its chunk says once.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedRow {
    /// Its number.
    pub seq: u32,
    /// Device time.
    pub dev_ms: i64,
    /// When the hub got it, UTC.
    pub received_at_ms: i64,
    /// Device time plus the offset estimated then, UTC.
    pub corrected_at_ms: i64,
    /// What.
    pub reading: Reading,
    /// Fields that were derived: left out of what the fingerprint is computed of.
    pub derived: u32,
    /// The fingerprint, where it does not follow from the rest.
    pub fingerprint: Option<i64>,
}

/// Readings of one boot.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// UTC of device time 0.
    pub anchor_at_ms: i64,
    /// In order of seq.
    pub rows: Vec<PackedRow>,
}

/// Packs readings.
///
/// # Errors
/// [`NotAChunk`] where there are none, more than [`ROWS_MAX`], or not in order of seq.
pub fn encode(anchor_at_ms: i64, rows: &[PackedRow]) -> Result<Vec<u8>, NotAChunk> {
    if rows.is_empty() || rows.len() > ROWS_MAX || !rows.is_sorted_by(|a, b| a.seq < b.seq) {
        return Err(NotAChunk);
    }
    let mut out = BitWriter::default();
    out.put(VERSION.into(), 8);
    out.put_number(rows.len() as u64);
    out.put(anchor_at_ms as u64, 64);
    column::put(&all(rows, |row| row.seq.into()), &mut out);
    column::put(&all(rows, |row| row.dev_ms), &mut out);
    put_time(anchor_at_ms, rows, |row| row.received_at_ms, &mut out);
    put_time(anchor_at_ms, rows, |row| row.corrected_at_ms, &mut out);
    put_shapes(rows, &mut out);
    put_values(rows, &mut out);
    put_fingerprints(rows, &mut out);
    Ok(checked(out.finish()))
}

fn all(rows: &[PackedRow], value: impl Fn(&PackedRow) -> i64) -> Vec<i64> {
    rows.iter().map(value).collect()
}

/// A time as it is, or as its distance from anchor and device time, whichever is shorter.
fn put_time(anchor_at_ms: i64, rows: &[PackedRow], time: impl Fn(&PackedRow) -> i64, out: &mut BitWriter) {
    let plain = all(rows, &time);
    let apart = all(rows, |row| time(row).wrapping_sub(anchor_at_ms.wrapping_add(row.dev_ms)));
    let is_apart = column::cost(&apart) < column::cost(&plain);
    out.put(is_apart.into(), 1);
    column::put(if is_apart { &apart } else { &plain }, out);
}

fn put_shapes(rows: &[PackedRow], out: &mut BitWriter) {
    let mut shapes: BTreeMap<(u32, u32), i64> = rows.iter().map(|row| ((row.reading.mask(), row.derived), 0)).collect();
    out.put_number(shapes.len() as u64);
    for (place, ((mask, derived), number)) in shapes.iter_mut().enumerate() {
        *number = place as i64;
        out.put((*mask).into(), 32);
        out.put((*derived).into(), 32);
    }
    column::put(&all(rows, |row| shapes[&(row.reading.mask(), row.derived)]), out);
}

fn put_values(rows: &[PackedRow], out: &mut BitWriter) {
    for bit in 0..31 {
        let of_field = |row: &PackedRow| {
            let mask = row.reading.mask();
            let place = (mask & ((1 << bit) - 1)).count_ones() as usize;
            (mask & (1 << bit) != 0).then(|| i64::from(row.reading.values()[place]))
        };
        column::put(&rows.iter().filter_map(of_field).collect::<Vec<_>>(), out);
    }
    let lists: Vec<&[i32]> = rows.iter().filter(|row| row.reading.mask() & RR_BIT != 0).map(|row| row.reading.rr()).collect();
    column::put(&lists.iter().map(|list| list.len() as i64).collect::<Vec<_>>(), out);
    column::put(&lists.iter().flat_map(|list| list.iter().map(|&interval| interval.into())).collect::<Vec<_>>(), out);
}

fn put_fingerprints(rows: &[PackedRow], out: &mut BitWriter) {
    let odd: Vec<(i64, i64)> =
        rows.iter().enumerate().filter_map(|(place, row)| row.fingerprint.map(|fingerprint| (place as i64, fingerprint))).collect();
    out.put_number(odd.len() as u64);
    column::put(&odd.iter().map(|(place, _)| *place).collect::<Vec<_>>(), out);
    odd.iter().for_each(|(_, fingerprint)| out.put(*fingerprint as u64, 64));
}

/// The bytes and their checksum.
pub(super) fn checked(mut body: Vec<u8>) -> Vec<u8> {
    let digest = Sha256::digest(&body);
    body.extend_from_slice(&digest[..CHECK_BYTES]);
    body
}

/// The bytes without their checksum.
pub(super) fn verified(bytes: &[u8]) -> Result<&[u8], Damaged> {
    let (body, check) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or(Damaged::Short)?;
    if Sha256::digest(body)[..CHECK_BYTES] == check[..] { Ok(body) } else { Err(Damaged::Checksum) }
}

/// Unpacks a chunk.
///
/// # Errors
/// [`Damaged`] for anything but what [`encode`] made. Never panics; the answer is bounded whatever the bytes say.
pub fn decode(bytes: &[u8]) -> Result<Chunk, Damaged> {
    decode_body(verified(bytes)?)
}

/// Unpacks a chunk without its checksum; apart for tests that damage bytes on purpose.
///
/// # Errors
/// [`Damaged`], as [`decode`].
pub fn decode_body(body: &[u8]) -> Result<Chunk, Damaged> {
    let mut from = BitReader::new(body);
    let version = from.take(8)? as u8;
    if version != VERSION {
        return Err(Damaged::Version(version));
    }
    let count = bounded(from.take_number()?, 1, ROWS_MAX)?;
    let anchor_at_ms = from.take(64)? as i64;
    let seqs = take_seqs(count, &mut from)?;
    let dev_ms = column::take(count, &mut from)?;
    let received = take_time(anchor_at_ms, &dev_ms, &mut from)?;
    let corrected = take_time(anchor_at_ms, &dev_ms, &mut from)?;
    let shapes = take_shapes(count, &mut from)?;
    let readings = take_readings(&shapes, &mut from)?;
    let mut rows: Vec<PackedRow> = (readings.into_iter().enumerate())
        .map(|(place, reading)| PackedRow {
            seq: seqs[place],
            dev_ms: dev_ms[place],
            received_at_ms: received[place],
            corrected_at_ms: corrected[place],
            reading,
            derived: shapes[place].1,
            fingerprint: None,
        })
        .collect();
    take_fingerprints(&mut rows, &mut from)?;
    if from.is_at_end() { Ok(Chunk { anchor_at_ms, rows }) } else { Err(Damaged::Long) }
}

pub(super) fn bounded(number: u64, least: usize, most: usize) -> Result<usize, Damaged> {
    usize::try_from(number).ok().filter(|number| (least..=most).contains(number)).ok_or(Damaged::Number)
}

fn take_seqs(count: usize, from: &mut BitReader<'_>) -> Result<Vec<u32>, Damaged> {
    let wide = column::take(count, from)?;
    let seqs = wide.into_iter().map(|seq| u32::try_from(seq).map_err(|_| Damaged::Number)).collect::<Result<Vec<u32>, _>>()?;
    if seqs.is_sorted_by(|a, b| a < b) { Ok(seqs) } else { Err(Damaged::Number) }
}

fn take_time(anchor_at_ms: i64, dev_ms: &[i64], from: &mut BitReader<'_>) -> Result<Vec<i64>, Damaged> {
    let is_apart = from.take(1)? == 1;
    let mut times = column::take(dev_ms.len(), from)?;
    if is_apart {
        for (time, dev_ms) in times.iter_mut().zip(dev_ms) {
            *time = time.wrapping_add(anchor_at_ms.wrapping_add(*dev_ms));
        }
    }
    Ok(times)
}

fn take_shapes(count: usize, from: &mut BitReader<'_>) -> Result<Vec<(u32, u32)>, Damaged> {
    let distinct = bounded(from.take_number()?, 1, count)?;
    let mut shapes = Vec::with_capacity(distinct);
    for _ in 0..distinct {
        shapes.push((from.take(32)? as u32, from.take(32)? as u32));
    }
    let places = column::take(count, from)?;
    let shape = |place: i64| usize::try_from(place).ok().and_then(|place| shapes.get(place).copied()).ok_or(Damaged::Number);
    places.into_iter().map(shape).collect()
}

fn take_readings(shapes: &[(u32, u32)], from: &mut BitReader<'_>) -> Result<Vec<Reading>, Damaged> {
    let mut values: Vec<SmallVec<[i32; 8]>> = vec![SmallVec::new(); shapes.len()];
    for bit in 0..31 {
        let has = |shape: &(u32, u32)| shape.0 & (1 << bit) != 0;
        let column = take_narrow(shapes.iter().filter(|shape| has(shape)).count(), from)?;
        let having = values.iter_mut().zip(shapes).filter(|(_, shape)| has(shape));
        having.zip(column).for_each(|((values, _), value)| values.push(value));
    }
    let with_rr = || shapes.iter().enumerate().filter(|(_, shape)| shape.0 & RR_BIT != 0).map(|(place, _)| place);
    let counts = column::take(with_rr().count(), from)?;
    let counts = counts.into_iter().map(|count| bounded(count as u64, 0, RR_MAX)).collect::<Result<Vec<usize>, _>>()?;
    let mut intervals = take_narrow(counts.iter().sum(), from)?.into_iter();
    for (place, count) in with_rr().zip(counts) {
        values[place].extend(intervals.by_ref().take(count));
    }
    let reading = |(values, shape): (SmallVec<[i32; 8]>, &(u32, u32))| Reading::from_parts(shape.0, values).map_err(|_| Damaged::Number);
    values.into_iter().zip(shapes).map(reading).collect()
}

fn take_narrow(count: usize, from: &mut BitReader<'_>) -> Result<Vec<i32>, Damaged> {
    column::take(count, from)?.into_iter().map(|value| i32::try_from(value).map_err(|_| Damaged::Number)).collect()
}

fn take_fingerprints(rows: &mut [PackedRow], from: &mut BitReader<'_>) -> Result<(), Damaged> {
    let odd = bounded(from.take_number()?, 0, rows.len())?;
    let places = column::take(odd, from)?;
    for place in places {
        let row = usize::try_from(place).ok().and_then(|place| rows.get_mut(place)).ok_or(Damaged::Number)?;
        row.fingerprint = Some(from.take(64)? as i64);
    }
    Ok(())
}
