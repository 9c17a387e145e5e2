//! Notifications of one source to numbered readings: what the hub does with `ftms.raw`.
//!
//! In: seq, device time, characteristic and bytes, in any order. Out: rows to deliver and record, each once, parts merged, quirks applied.
//! Owns what must be remembered between notifications: open records, cranks, wheels, distances. Rates that follow from two
//! notifications are derived going forward only: a buffer that is replayed late has its counters and no cadence.

use smallvec::SmallVec;

use super::quirk::Rule;
use super::{Characteristic, DistanceSpeed, Merged, OpenRecords, Quirks, Record, RevCounter};
use crate::{Field, Reading};

/// Circumference of a wheel where nobody said another: 700 x 25C.
const WHEEL_MM: f64 = 2_105.0;

/// One reading of a source, made of one notification or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Seq of its first part.
    pub seq: u32,
    /// Device time of its first part.
    pub dev_ms: i64,
    /// Seqs of its other parts: they are done with this row.
    pub absorbed: SmallVec<[u32; 4]>,
    /// What was read; empty where the machine said nothing that means anything.
    pub reading: Reading,
    /// Fields that follow from the notification before, there or not: they do not make two readings of one number different.
    pub derived: u32,
}

/// The notification carries no reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// A characteristic that is not known here: `characteristic_unknown`.
    #[error("characteristic {0:#06x} is not known")]
    Unknown(u16),
    /// A characteristic without readings, such as machine status: decode it with [`super::Decoded`]. Its seq is done.
    #[error("{} carries no readings", .0.name())]
    NotAReading(Characteristic),
}

/// What one source has said so far.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    quirks: Quirks,
    open: OpenRecords,
    crank: RevCounter,
    wheel: RevCounter,
    distance: DistanceSpeed,
    /// The highest seq that rates were derived up to.
    derived_through: u32,
    closed: Vec<Merged>,
}

impl Stream {
    /// A source of which nothing was heard yet. Where its seqs do not begin with 1 now, say so by `pass(1, first - 1)`: the first
    /// record would else wait for a tick, because a part of it might still come.
    #[must_use]
    pub fn new(quirks: Quirks) -> Self {
        let late_parts = quirks.has(Characteristic::Rower, Rule::LateParts);
        Self { quirks, open: OpenRecords::new(late_parts), ..Self::default() }
    }

    /// Takes one notification; appends the rows that it completes.
    ///
    /// # Errors
    /// [`StreamError`] where the characteristic has no readings; its seq counts as passed.
    pub fn push(&mut self, seq: u32, dev_ms: i64, uuid: u16, bytes: &[u8], out: &mut Vec<Row>) -> Result<(), StreamError> {
        let characteristic = Characteristic::from_uuid(uuid).ok_or(StreamError::Unknown(uuid));
        let record = characteristic
            .and_then(|known| Record::decode(known, bytes, self.quirks).ok_or(StreamError::NotAReading(known)))
            .inspect_err(|_| self.pass(seq, seq, out))?;
        self.open.push(seq, dev_ms, record, &mut self.closed);
        self.drain(out);
        Ok(())
    }

    /// Says that these seqs hold no parts that are still to come: stored before, lost, or other than notifications.
    pub fn pass(&mut self, from: u32, to: u32, out: &mut Vec<Row>) {
        self.open.pass(from, to, &mut self.closed);
        self.drain(out);
    }

    /// Says that a row of this seq, or a part of it, was not taken and will come again. What is new does not wait for it.
    pub fn again(&mut self, seq: u32) {
        self.open.again(seq);
    }

    /// Closes records that began 400 ms or more before this device time. Call it while [`Self::open_from`] is some.
    pub fn tick(&mut self, dev_ms: i64, out: &mut Vec<Row>) {
        self.open.tick(dev_ms, &mut self.closed);
        self.drain(out);
    }

    /// Closes everything, at the end of the slot.
    pub fn close(&mut self, out: &mut Vec<Row>) {
        self.open.close(&mut self.closed);
        self.drain(out);
    }

    /// The lowest seq of a record that is still open: acknowledgements do not pass it.
    #[must_use]
    pub fn open_from(&self) -> Option<u32> {
        self.open.open_from()
    }

    fn drain(&mut self, out: &mut Vec<Row>) {
        // Taken out for the loop and put back: its memory is used again.
        let mut closed = std::mem::take(&mut self.closed);
        for merged in closed.drain(..) {
            let mut reading = Reading::new();
            for part in &merged.parts {
                part.read_into(&mut reading);
            }
            let derived = merged.parts.iter().fold(0, |mask, part| mask | self.derives(part, &reading));
            if merged.seq > self.derived_through {
                self.derived_through = merged.seq;
                for part in &merged.parts {
                    self.derive(part, merged.dev_ms, &mut reading);
                }
            }
            out.push(Row { seq: merged.seq, dev_ms: merged.dev_ms, absorbed: merged.absorbed, reading, derived });
        }
        self.closed = closed;
    }

    /// The fields that [`Self::derive`] may change in what was read.
    fn derives(&self, record: &Record, read: &Reading) -> u32 {
        let has = |name| record.raw(name).is_some();
        let cranks = has("cum_crank_revs") && has("last_crank_event_1024");
        let wheels = has("cum_wheel_revs") && (has("last_wheel_event_2048") || has("last_wheel_event_1024"));
        let stands = read.get(Field::Speed).is_none_or(|speed| speed == 0);
        let by_distance = self.quirks.has(record.characteristic(), Rule::SpeedFromDistance) && stands;
        let of = |derives: bool, field: Field| if derives { field.mask() } else { 0 };
        of(cranks, Field::Cadence) | of(wheels || by_distance, Field::Speed)
    }

    /// Adds rates that follow from this record and the one before.
    fn derive(&mut self, record: &Record, dev_ms: i64, reading: &mut Reading) {
        if let (Some(revs), Some(event)) = (record.raw("cum_crank_revs"), record.raw("last_crank_event_1024")) {
            let rate = self.crank.push(revs as u32, event as u16, 16, 1_024);
            set_rate(reading, Field::Cadence, rate.map(|per_min| per_min * 2.0));
        }
        let event_2048 = record.raw("last_wheel_event_2048").map(|event| (event, 2_048));
        let event = event_2048.or(record.raw("last_wheel_event_1024").map(|event| (event, 1_024)));
        if let (Some(revs), Some((event, ticks_per_s))) = (record.raw("cum_wheel_revs"), event) {
            let rate = self.wheel.push(revs as u32, event as u16, 32, ticks_per_s);
            // mm/min to 0.01 km/h.
            set_rate(reading, Field::Speed, rate.map(|per_min| per_min * WHEEL_MM * 60.0 / 10_000.0));
        }
        if self.quirks.has(record.characteristic(), Rule::SpeedFromDistance) && reading.get(Field::Speed).is_none_or(|speed| speed == 0) {
            let derived = reading.get(Field::Distance).and_then(|metres| self.distance.push(dev_ms, metres.into()));
            reading.remove(Field::Speed);
            set_rate(reading, Field::Speed, derived.map(f64::from));
        }
    }
}

/// Sets a derived field, unless it is more than the field can hold.
fn set_rate(reading: &mut Reading, field: Field, rate: Option<f64>) {
    if let Some(rate) = rate.map(f64::round).filter(|rate| (0.0..=65_535.0).contains(rate)) {
        reading.set(field, rate as i32);
    }
}
