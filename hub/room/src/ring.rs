//! The last 15 minutes of a workout, packed, so that a chart is whole after a reload.
//!
//! In: readings in order, and late ones from a source's buffer. Out: [`RingColumns`] for the snapshot, each in order of seq. Rows of one
//! source with the same fields share a chunk: numbers as differences to the row before, unchanged fields left out, about eight
//! bytes a row of six fields. Bounded: 16 KiB with its bookkeeping, whatever comes in; over it the oldest chunk goes. RR intervals
//! are not charted and not kept here.

use protocol::Reading;
use protocol::field::RR_BIT;
use protocol::frame::{Columns, RingColumns};
use protocol::limits::{BATCH_READINGS_MAX, RING_BYTES_MAX, RING_MS};
use smallvec::SmallVec;

/// Rows of a chunk: two minutes at 1 Hz, so that expiry by chunks is fine enough.
const CHUNK_ROWS_MAX: usize = 128;
/// Bytes of a chunk, so that one of wild numbers cannot fill the ring.
const CHUNK_BYTES_MAX: usize = 2_048;
/// A larger step of seq and of device time begins a chunk, so that a gap can be filled without taking chunks apart.
const GAP_SEQ_MIN: u32 = 4;
/// Machines that say their fields in many kinds of messages step in seq, and not in time.
const GAP_MS_MIN: i64 = 5_000;
/// Device time between rows that costs one byte: what nearly all machines do.
const STEP_MS: i64 = 1_000;
/// A chunk has one offset to UTC; rows that are further off begin another.
const OFFSET_TOLERANCE_MS: i64 = 250;

const _: () = assert!(CHUNK_ROWS_MAX * 2 <= BATCH_READINGS_MAX && CHUNK_BYTES_MAX * 4 <= RING_BYTES_MAX);

type Row = (u32, i64, Reading);

/// The last 15 minutes of all sources of one workout.
#[derive(Debug, Clone, Default)]
pub struct Ring {
    /// In order of source, mask, first seq; those of one source and mask do not overlap.
    chunks: Vec<Chunk>,
    /// Newest seq of each source.
    newest: SmallVec<[(u16, u32); 4]>,
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Chunk {
    source: u16,
    mask: u32,
    rows: usize,
    first_seq: u32,
    last_seq: u32,
    last_dev_ms: i64,
    offset_ms: i64,
    last: SmallVec<[i32; 6]>,
    packed: Vec<u8>,
}

impl Ring {
    /// Puts a reading in its place; one whose number is there already is passed over.
    ///
    /// `offset_ms` makes UTC of its device time. Late readings are taken as well as new ones; what is older than 15 minutes at
    /// `now_at_ms` is not.
    pub fn push(&mut self, source: u16, seq: u32, dev_ms: i64, offset_ms: i64, reading: &Reading, now_at_ms: i64) {
        let stripped;
        let reading = if reading.mask() & RR_BIT == 0 {
            reading
        } else {
            stripped = reading.only(!RR_BIT);
            &stripped
        };
        if reading.is_empty() || is_past(dev_ms.saturating_add(offset_ms), now_at_ms) {
            return;
        }
        if seq <= self.newest_of(source) && self.has(source, seq) {
            return;
        }
        self.note_newest(source, seq);
        let at = self.chunks.partition_point(|chunk| (chunk.source, chunk.mask, chunk.first_seq) <= (source, reading.mask(), seq));
        let same = |chunk: &&Chunk| chunk.holds(source, reading.mask());
        let before = at.checked_sub(1).and_then(|before| self.chunks.get(before)).filter(same);
        let next = self.chunks.get(at).filter(same);
        if before.is_some_and(|chunk| chunk.last_seq > seq) {
            self.insert(at - 1, (seq, dev_ms, reading.clone()));
        } else if before.is_some_and(|chunk| chunk.takes(seq, dev_ms, offset_ms)) {
            let chunk = &mut self.chunks[at - 1];
            let size = chunk.size();
            chunk.append(seq, dev_ms, reading.values());
            self.bytes += chunk.size() - size;
        } else if next.is_some_and(|chunk| chunk.takes_before(seq, dev_ms, offset_ms)) {
            self.insert(at, (seq, dev_ms, reading.clone()));
        } else {
            let chunk = Chunk::new(source, offset_ms, seq, dev_ms, reading);
            self.bytes += chunk.size();
            self.chunks.insert(at, chunk);
        }
        self.shrink();
    }

    /// Forgets what is older than 15 minutes; call it now and then.
    pub fn expire(&mut self, now_at_ms: i64) {
        self.chunks.retain(|chunk| !is_past(chunk.last_at_ms(), now_at_ms));
        self.bytes = self.chunks.iter().map(Chunk::size).sum();
    }

    /// Everything, in stretches of one source with the same fields, each in order of seq, the oldest stretch first.
    #[must_use]
    pub fn unpack(&self) -> Vec<RingColumns> {
        let mut stretches: Vec<(u16, i64, Vec<Row>)> = Vec::new();
        let mut before: Option<&Chunk> = None;
        for chunk in &self.chunks {
            let joins = before.is_some_and(|before| before.holds(chunk.source, chunk.mask) && before.is_near(chunk.offset_ms));
            match stretches.last_mut() {
                Some((_, offset_ms, rows))
                    if joins
                        && (*offset_ms - chunk.offset_ms).abs() <= OFFSET_TOLERANCE_MS
                        && rows.len() + chunk.rows <= BATCH_READINGS_MAX =>
                {
                    rows.extend(chunk.rows());
                }
                _ => stretches.push((chunk.source, chunk.offset_ms, chunk.rows().collect())),
            }
            before = Some(chunk);
        }
        stretches.sort_by_key(|(source, offset_ms, rows)| (rows[0].1.saturating_add(*offset_ms), *source));
        stretches.into_iter().map(|(source, offset_ms, rows)| RingColumns { source, offset_ms, columns: Columns::pack(&rows) }).collect()
    }

    /// Bytes held, bookkeeping included.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn newest_of(&self, source: u16) -> u32 {
        self.newest.iter().find(|(known, _)| *known == source).map_or(0, |(_, seq)| *seq)
    }

    fn note_newest(&mut self, source: u16, seq: u32) {
        match self.newest.iter_mut().find(|(known, _)| *known == source) {
            Some((_, newest)) => *newest = seq.max(*newest),
            None => self.newest.push((source, seq)),
        }
    }

    fn has(&self, source: u16, seq: u32) -> bool {
        let around = |chunk: &&Chunk| chunk.source == source && (chunk.first_seq..=chunk.last_seq).contains(&seq);
        self.chunks.iter().filter(around).any(|chunk| chunk.rows().any(|row| row.0 == seq))
    }

    /// Takes a chunk apart for a row in its middle.
    fn insert(&mut self, at: usize, row: Row) {
        let old = self.chunks.remove(at);
        self.bytes -= old.size();
        let mut rows: Vec<Row> = old.rows().collect();
        let place = rows.partition_point(|other| other.0 < row.0);
        rows.insert(place, row);
        let half = if rows.len() > CHUNK_ROWS_MAX || old.packed.len() >= CHUNK_BYTES_MAX { rows.len().div_ceil(2) } else { rows.len() };
        for (at, part) in (at..).zip(rows.chunks(half)) {
            let (seq, dev_ms, first) = &part[0];
            let mut chunk = Chunk::new(old.source, old.offset_ms, *seq, *dev_ms, first);
            part[1..].iter().for_each(|(seq, dev_ms, reading)| chunk.append(*seq, *dev_ms, reading.values()));
            self.bytes += chunk.size();
            self.chunks.insert(at, chunk);
        }
    }

    fn shrink(&mut self) {
        while self.bytes > RING_BYTES_MAX {
            let oldest = self.chunks.iter().enumerate().min_by_key(|(_, chunk)| chunk.last_at_ms()).map(|(at, _)| at);
            let Some(at) = oldest else { return };
            self.bytes -= self.chunks.remove(at).size();
        }
    }
}

fn is_past(at_ms: i64, now_at_ms: i64) -> bool {
    at_ms < now_at_ms.saturating_sub(RING_MS)
}

impl Chunk {
    fn new(source: u16, offset_ms: i64, seq: u32, dev_ms: i64, reading: &Reading) -> Self {
        let mut packed = Vec::with_capacity(128);
        reading.values().iter().for_each(|value| put_signed(&mut packed, i64::from(*value)));
        put_signed(&mut packed, dev_ms);
        Self {
            source,
            mask: reading.mask(),
            rows: 1,
            first_seq: seq,
            last_seq: seq,
            last_dev_ms: dev_ms,
            offset_ms,
            last: reading.values().into(),
            packed,
        }
    }

    fn holds(&self, source: u16, mask: u32) -> bool {
        self.source == source && self.mask == mask
    }

    fn is_near(&self, offset_ms: i64) -> bool {
        self.offset_ms.abs_diff(offset_ms) <= OFFSET_TOLERANCE_MS.unsigned_abs()
    }

    fn has_room(&self) -> bool {
        self.rows < CHUNK_ROWS_MAX && self.packed.len() < CHUNK_BYTES_MAX
    }

    /// Whether a row after its last one goes on in it.
    fn takes(&self, seq: u32, dev_ms: i64, offset_ms: i64) -> bool {
        let goes_on = seq - self.last_seq < GAP_SEQ_MIN || dev_ms.abs_diff(self.last_dev_ms) < GAP_MS_MIN.unsigned_abs();
        self.has_room() && goes_on && self.is_near(offset_ms)
    }

    /// Whether a row just before its first one is put into it: a buffer that is sent backwards must not make a chunk of each row.
    fn takes_before(&self, seq: u32, dev_ms: i64, offset_ms: i64) -> bool {
        let first_dev_ms = self.rows().next().map_or(i64::MAX, |row| row.1);
        let goes_on = self.first_seq - seq < GAP_SEQ_MIN || dev_ms.abs_diff(first_dev_ms) < GAP_MS_MIN.unsigned_abs();
        self.has_room() && goes_on && self.is_near(offset_ms)
    }

    fn last_at_ms(&self) -> i64 {
        self.last_dev_ms.saturating_add(self.offset_ms)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.packed.len() + if self.last.spilled() { self.last.len() * 4 } else { 0 }
    }

    /// Appends a row: which values changed and whether seq skips, then the differences.
    fn append(&mut self, seq: u32, dev_ms: i64, values: &[i32]) {
        let skips = seq - self.last_seq != 1;
        let changed =
            values.iter().zip(&self.last).enumerate().filter(|(_, (new, old))| new != old).fold(0_u64, |bits, (at, _)| bits | 1 << at);
        put(&mut self.packed, changed << 1 | u64::from(skips));
        if skips {
            put(&mut self.packed, u64::from(seq - self.last_seq));
        }
        put_signed(&mut self.packed, dev_ms.wrapping_sub(self.last_dev_ms).wrapping_sub(STEP_MS));
        for (new, old) in values.iter().zip(&mut self.last).filter(|(new, old)| new != old) {
            put_signed(&mut self.packed, i64::from(*new) - i64::from(*old));
            *old = *new;
        }
        (self.last_seq, self.last_dev_ms) = (seq, dev_ms);
        self.rows += 1;
    }

    fn rows(&self) -> Rows<'_> {
        Rows { mask: self.mask, left: self.rows, packed: &self.packed, seq: self.first_seq, dev_ms: 0, values: None }
    }
}

/// Rows of a chunk, unpacked one by one.
struct Rows<'a> {
    mask: u32,
    left: usize,
    packed: &'a [u8],
    seq: u32,
    dev_ms: i64,
    values: Option<SmallVec<[i32; 8]>>,
}

impl Iterator for Rows<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        self.left = self.left.checked_sub(1)?;
        let fields = self.mask.count_ones() as usize;
        let values = match self.values.take() {
            None => {
                let first = (0..fields).map(|_| take_signed(&mut self.packed) as i32).collect();
                self.dev_ms = take_signed(&mut self.packed);
                first
            }
            Some(mut values) => {
                let head = take(&mut self.packed);
                self.seq += if head & 1 == 1 { take(&mut self.packed) as u32 } else { 1 };
                self.dev_ms = self.dev_ms.wrapping_add(take_signed(&mut self.packed)).wrapping_add(STEP_MS);
                for (at, value) in values.iter_mut().enumerate() {
                    if head >> (at + 1) & 1 == 1 {
                        *value = (i64::from(*value) + take_signed(&mut self.packed)) as i32;
                    }
                }
                values
            }
        };
        self.values = Some(values.clone());
        let reading = Reading::from_parts(self.mask, values).expect("a chunk has a value for each bit of its mask");
        Some((self.seq, self.dev_ms, reading))
    }
}

/// LEB128, seven bits a byte.
fn put(packed: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        packed.push(number as u8 | 0x80);
        number >>= 7;
    }
    packed.push(number as u8);
}

fn put_signed(packed: &mut Vec<u8>, number: i64) {
    put(packed, (number << 1 ^ number >> 63) as u64);
}

fn take(packed: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    while let Some((byte, rest)) = packed.split_first() {
        *packed = rest;
        number |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
}

fn take_signed(packed: &mut &[u8]) -> i64 {
    let number = take(packed);
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests;
