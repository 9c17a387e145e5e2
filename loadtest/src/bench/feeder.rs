//! Readings for many slots as fast as a socket takes them: batches encoded once, patched with slot, seq and time.
//!
//! In: acknowledgements, requests to send again. Out: WebSocket frames ready to write. What stands under a seq follows from the seq
//! alone, so nothing is kept and anything can be sent again. Rows under way are bounded; what is asked for again is paced as told.

use protocol::frame::{Batch, Columns, Resend, Sample};
use protocol::limits::BATCH_READINGS_MAX;
use protocol::wire::Encoding;
use protocol::{ClientFrame, Field, Reading, SeqRanges, ServerFrame};

use crate::peer::masked_frame;

const ROWS: usize = BATCH_READINGS_MAX;
/// Device time between two readings of a slot.
const STEP_MS: i64 = 1_000;
/// Of this many slots one sends single samples instead of batches.
const SAMPLES_ONE_IN: usize = 8;

struct Slot {
    next_seq: u32,
    stored: SeqRanges,
    again: SeqRanges,
    again_rate: u32,
}

/// Feeds slots `0..count` with `rows_each` readings.
pub struct Feeder {
    slots: Vec<Slot>,
    rows_each: u32,
    at: usize,
    in_flight: u64,
    in_flight_max: u64,
    stored: u64,
    template: Vec<u8>,
    /// Where in the template slot, first seq and first device time stand.
    places: (usize, usize, usize),
    rows: Vec<Reading>,
    /// Bytes and rows sent as single samples.
    pub samples_sent: (u64, u64),
    /// Bytes and rows sent in batches.
    pub batched_sent: (u64, u64),
    /// `hold`s heard.
    pub holds: u64,
    /// `resend`s heard.
    pub resends: u64,
}

impl Feeder {
    /// A feeder with at most `in_flight_max` rows sent and not stored.
    #[must_use]
    pub fn new(slots: usize, rows_each: u32, in_flight_max: u64) -> Self {
        let rows: Vec<Reading> = (0..ROWS).map(row).collect();
        let (template, places) = template(&rows);
        let slot = || Slot { next_seq: 1, stored: SeqRanges::new(), again: SeqRanges::new(), again_rate: 1 };
        Self {
            slots: (0..slots).map(|_| slot()).collect(),
            rows_each,
            at: 0,
            in_flight: 0,
            in_flight_max,
            stored: 0,
            template,
            places,
            rows,
            samples_sent: (0, 0),
            batched_sent: (0, 0),
            holds: 0,
            resends: 0,
        }
    }

    /// Readings that will have been fed.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.slots.len() as u64 * u64::from(self.rows_each)
    }

    /// Readings sent for the first time.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.samples_sent.1 + self.batched_sent.1
    }

    /// Readings told to be stored.
    #[must_use]
    pub const fn stored(&self) -> u64 {
        self.stored
    }

    /// Everything is stored.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.stored == self.total()
    }

    /// Takes news of the hub.
    pub fn hear(&mut self, frame: &ServerFrame) {
        match frame {
            ServerFrame::Ack(ack) => {
                for ack in &ack.acks {
                    let Some(slot) = self.slots.get_mut(usize::from(ack.slot)) else { continue };
                    let new: u64 = ack.stored.iter().map(|range| slot.stored.insert(*range.start(), *range.end())).sum();
                    self.stored += new;
                    self.in_flight = self.in_flight.saturating_sub(new);
                }
            }
            ServerFrame::Hold(_) => self.holds += 1,
            ServerFrame::Resend(resend) => self.resend(resend),
            _ => (),
        }
    }

    fn resend(&mut self, resend: &Resend) {
        self.resends += 1;
        if let Some(slot) = self.slots.get_mut(usize::from(resend.slot)) {
            let missing = slot.stored.missing(resend.from, resend.to.min(slot.next_seq.saturating_sub(1)));
            slot.again.union(&missing);
            slot.again_rate = resend.rate.max(1);
        }
    }

    /// Appends one batch of the next slot that has some left; false when nothing may be sent now.
    pub fn next(&mut self, out: &mut Vec<u8>) -> bool {
        if self.in_flight + ROWS as u64 > self.in_flight_max {
            return false;
        }
        for _ in 0..self.slots.len() {
            let at = self.at;
            self.at = (self.at + 1) % self.slots.len();
            let from = self.slots[at].next_seq;
            let left = self.rows_each + 1 - from;
            if left == 0 {
                continue;
            }
            let count = left.min(ROWS as u32);
            self.slots[at].next_seq += count;
            self.in_flight += u64::from(count);
            self.write(at, from, count, out);
            return true;
        }
        false
    }

    /// Appends what was asked for again, as much as the rates allow in `passed_ms`.
    pub fn again(&mut self, passed_ms: u32, out: &mut Vec<u8>) {
        for at in 0..self.slots.len() {
            let mut budget = (u64::from(self.slots[at].again_rate) * u64::from(passed_ms) / 1_000) as u32;
            while budget > 0
                && let Some((from, end)) = first(&self.slots[at].again)
            {
                let count = (end - from + 1).min(budget).min(ROWS as u32);
                self.pack(at, from, count, out);
                let next = from + count;
                let rest = &self.slots[at].again;
                let rest: SeqRanges =
                    rest.iter().filter(|range| *range.end() >= next).map(|range| (*range.start().max(&next), *range.end())).collect();
                self.slots[at].again = rest;
                budget -= count;
            }
        }
    }

    fn write(&mut self, at: usize, from: u32, count: u32, out: &mut Vec<u8>) {
        let before = out.len();
        if at % SAMPLES_ONE_IN == SAMPLES_ONE_IN - 1 {
            let mut payload = Vec::with_capacity(40);
            for seq in from..from + count {
                payload.clear();
                let sample = Sample { slot: at as u16, seq, dev_ms: dev_ms(seq), reading: self.rows[place(seq)].clone() };
                ClientFrame::from(sample).encode(Encoding::MessagePack, &mut payload);
                self.samples_sent.0 += payload.len() as u64;
                masked_frame(2, &payload, out);
            }
            self.samples_sent.1 += u64::from(count);
            return;
        }
        if count as usize == ROWS && place(from) == 0 {
            let start = out.len();
            out.extend_from_slice(&self.template);
            let (slot, seq, dev) = self.places;
            out[start + slot..start + slot + 2].copy_from_slice(&(at as u16).to_be_bytes());
            out[start + seq..start + seq + 4].copy_from_slice(&from.to_be_bytes());
            out[start + dev..start + dev + 8].copy_from_slice(&dev_ms(from).to_be_bytes());
        } else {
            self.pack(at, from, count, out);
        }
        self.batched_sent.0 += (out.len() - before) as u64;
        self.batched_sent.1 += u64::from(count);
    }

    fn pack(&self, at: usize, from: u32, count: u32, out: &mut Vec<u8>) {
        let rows: Vec<_> = (from..from + count).map(|seq| (seq, dev_ms(seq), self.rows[place(seq)].clone())).collect();
        let batch = Batch { slot: at as u16, columns: Columns::pack(&rows) };
        masked_frame(2, &ClientFrame::from(batch).to_bytes(Encoding::MessagePack), out);
    }
}

fn first(ranges: &SeqRanges) -> Option<(u32, u32)> {
    ranges.iter().next().map(std::ops::RangeInclusive::into_inner)
}

const fn dev_ms(seq: u32) -> i64 {
    3_600_000 + seq as i64 * STEP_MS
}

const fn place(seq: u32) -> usize {
    (seq as usize - 1) % ROWS
}

/// Six fields that move as those of a bike do.
fn row(index: usize) -> Reading {
    let wave = (index as f64 / 20.0).sin();
    let mut reading = Reading::new();
    for (field, value) in [
        (Field::Speed, 2_900.0 + 120.0 * wave),
        (Field::Cadence, 172.0 + 8.0 * wave),
        (Field::Power, 210.0 + 60.0 * wave),
        (Field::HeartRate, 148.0 + 6.0 * wave),
        (Field::Distance, 4_000.0 + 8.0 * index as f64),
        (Field::Elapsed, 600.0 + index as f64),
    ] {
        reading.set(field, value as i32);
    }
    reading
}

/// A whole batch with wide numbers where they are patched, framed; and where those are.
fn template(rows: &[Reading]) -> (Vec<u8>, (usize, usize, usize)) {
    let number = |value: i64, out: &mut Vec<u8>| match value {
        0..=127 => out.push(value as u8),
        -32..=-1 => out.push(value as i8 as u8),
        _ => {
            out.push(0xd2);
            out.extend_from_slice(&(value as i32).to_be_bytes());
        }
    };
    let list = |out: &mut Vec<u8>| {
        out.push(0xdc);
        out.extend_from_slice(&(ROWS as u16).to_be_bytes());
    };
    let mut payload = vec![0x93, 14, 0xcd, 0, 0, 0x94];
    let slot = 3;
    payload.push(0xce);
    payload.extend_from_slice(&rows[0].mask().to_be_bytes());
    list(&mut payload);
    payload.push(0xce);
    let seq = payload.len();
    payload.extend_from_slice(&[0; 4]);
    payload.extend(std::iter::repeat_n(1, ROWS - 1));
    list(&mut payload);
    payload.push(0xd3);
    let dev = payload.len();
    payload.extend_from_slice(&[0; 8]);
    (1..ROWS).for_each(|_| number(STEP_MS, &mut payload));
    let fields = rows[0].values().len();
    payload.push(0x90 | fields as u8);
    for field in 0..fields {
        list(&mut payload);
        let mut before = 0;
        for row in rows {
            let value = i64::from(row.values()[field]);
            number(value - before, &mut payload);
            before = value;
        }
    }
    let mut framed = Vec::new();
    masked_frame(2, &payload, &mut framed);
    let head = framed.len() - payload.len();
    (framed, (head + slot, head + seq, head + dev))
}

#[cfg(test)]
mod tests {
    use protocol::frame::{Ack, SlotAck};

    use super::*;

    fn rows_of(framed: &[u8]) -> Vec<(u16, u32, i64, Reading)> {
        let (mut at, mut rows) = (0, Vec::new());
        while at < framed.len() {
            let (head, length) = match framed[at + 1] & 0x7f {
                126 => (8, usize::from(u16::from_be_bytes([framed[at + 2], framed[at + 3]]))),
                length => (6, usize::from(length)),
            };
            match ClientFrame::decode(Encoding::MessagePack, &framed[at + head..at + head + length]).unwrap() {
                ClientFrame::Batch(batch) => {
                    rows.extend(
                        batch.columns.unpack().unwrap().into_iter().map(|(seq, dev_ms, reading)| (batch.slot, seq, dev_ms, reading)),
                    );
                }
                ClientFrame::Sample(sample) => rows.push((sample.slot, sample.seq, sample.dev_ms, sample.reading)),
                other => panic!("{other:?}"),
            }
            at += head + length;
        }
        rows
    }

    #[test]
    fn patched_batches_and_packed_ones_say_the_same_of_a_seq() {
        let mut feeder = Feeder::new(9, 600, 1_000_000);
        let mut framed = Vec::new();
        while feeder.next(&mut framed) {}
        let rows = rows_of(&framed);
        assert_eq!(rows.len() as u64, feeder.total());
        feeder.hear(&Resend { slot: 3, from: 100, to: 399, rate: 3_000 }.into());
        framed.clear();
        feeder.again(1_000, &mut framed);
        let again = rows_of(&framed);
        assert_eq!(again.len(), 300);
        assert!(again.iter().all(|row| rows.contains(row)));
        framed.clear();
        feeder.again(1_000, &mut framed);
        assert!(framed.is_empty());
    }

    #[test]
    fn rows_under_way_are_bounded_until_they_are_stored() {
        let mut feeder = Feeder::new(1, 1_000, 512);
        let mut framed = Vec::new();
        assert!(feeder.next(&mut framed) && feeder.next(&mut framed) && !feeder.next(&mut framed));
        let stored = SeqRanges::from_iter([(1, 256)]);
        for _ in 0..2 {
            feeder.hear(&Ack { acks: vec![SlotAck { slot: 0, accepted_through: 512, stored: stored.clone() }] }.into());
        }
        assert_eq!(feeder.stored(), 256, "told twice, counted once");
        assert!(feeder.next(&mut framed) && !feeder.next(&mut framed));
    }
}
