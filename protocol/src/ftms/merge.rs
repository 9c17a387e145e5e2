//! Makes one record of the parts that a machine sends it in.
//!
//! In: notifications of one source with their seq and device time, in any order, also twice. Out: closed records, each once, with the seq
//! of its first part and the seqs it absorbed. A record ends with the part that carries the bit-0 fields, where a field repeats,
//! or 400 ms of device time after it began. It is closed as soon as both its ends are known, so a record that comes
//! whole and in order waits for nothing; parts that come out of order wait for what lies between, until [`OpenRecords::tick`].
//! Bounded: at most [`OPEN_RECORDS_MAX`] records are open, the oldest is closed for the next.

use std::collections::VecDeque;

use smallvec::SmallVec;

use super::Record;
use crate::SeqRanges;

/// Parts of one record are not further apart than this in device time.
pub const WINDOW_MS: i64 = 400;
/// Records that may be open at once.
pub const OPEN_RECORDS_MAX: usize = 8;
/// Parts of one record: more groups of fields than any record has.
const PARTS_MAX: usize = 16;
/// Parts of open records; one more than fits is there while the oldest is closed for it.
const PARTS_OPEN_MAX: u64 = (PARTS_MAX * (OPEN_RECORDS_MAX + 1)) as u64;
/// Stretches of seq that are remembered as done; the lowest are forgotten, the store knows them anyway.
const ENDED_RANGES_MAX: usize = 32;

/// One record, closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// Seq of its first part: its own.
    pub seq: u32,
    /// Device time of its first part.
    pub dev_ms: i64,
    /// Seqs of its other parts, in order.
    pub absorbed: SmallVec<[u32; 4]>,
    /// Its parts in order of seq.
    pub parts: SmallVec<[Record; 1]>,
}

#[derive(Debug, Clone)]
struct Part {
    seq: u32,
    dev_ms: i64,
    record: Record,
    /// Came before, and what it made was not taken.
    redone: bool,
}

/// The parts of one record so far, in order of seq; never empty.
#[derive(Debug, Clone)]
struct Open(SmallVec<[Part; 1]>);

impl Open {
    fn has(&self, seq: u32) -> bool {
        self.0.iter().any(|part| part.seq == seq)
    }

    fn first(&self) -> u32 {
        self.0[0].seq
    }

    fn last(&self) -> &Part {
        &self.0[self.0.len() - 1]
    }

    fn is_redone(&self) -> bool {
        self.0.iter().any(|part| part.redone)
    }

    fn began_dev_ms(&self) -> i64 {
        self.0.iter().map(|part| part.dev_ms).min().unwrap_or(i64::MAX)
    }

    fn takes(&self, new: &Part, late_parts: bool) -> bool {
        let ends_in_order = |part: &Part| {
            let (before, after) = if part.seq < new.seq { (part, new) } else { (new, part) };
            late_parts || before.record.goes_on() || after.seq == before.seq
        };
        let near = |part: &Part| part.dev_ms.abs_diff(new.dev_ms) <= WINDOW_MS.unsigned_abs();
        let joins = |part: &Part| {
            part.record.characteristic() == new.record.characteristic()
                && near(part)
                && !part.record.repeats(&new.record)
                && ends_in_order(part)
        };
        self.0.len() < PARTS_MAX && self.0.iter().all(joins)
    }

    fn add(&mut self, part: Part) {
        let at = self.0.partition_point(|other| other.seq < part.seq);
        self.0.insert(at, part);
    }

    fn into_merged(self) -> Merged {
        let mut merged = Merged { seq: self.first(), dev_ms: self.0[0].dev_ms, absorbed: SmallVec::new(), parts: SmallVec::new() };
        for part in self.0 {
            if part.seq != merged.seq {
                merged.absorbed.push(part.seq);
            }
            merged.parts.push(part.record);
        }
        merged
    }
}

/// The records of one source that are not closed yet.
#[derive(Debug, Clone, Default)]
pub struct OpenRecords {
    open: VecDeque<Open>,
    /// Seqs that are done, for telling ends and repeats.
    ended: SeqRanges,
    /// Those of them that will come again. To what is new they are done all the same; to one another they are not.
    again: SeqRanges,
    late_parts: bool,
}

impl OpenRecords {
    /// Nothing open. With `late_parts` a record stays open for its window after the part that ends it.
    #[must_use]
    pub fn new(late_parts: bool) -> Self {
        Self { late_parts, ..Self::default() }
    }

    /// Takes one notification; appends the records that it closes.
    pub fn push(&mut self, seq: u32, dev_ms: i64, record: Record, out: &mut Vec<Merged>) {
        let redone = self.again.remove(seq, seq) > 0;
        if redone {
            self.ended.remove(seq, seq);
        }
        if self.ended.contains(seq) || self.open.iter().any(|open| open.has(seq)) {
            return;
        }
        let part = Part { seq, dev_ms, record, redone };
        if !part.record.characteristic().comes_in_parts() {
            self.finish(Open(SmallVec::from_iter([part])), out);
        } else if let Some(open) = self.open.iter_mut().find(|open| open.takes(&part, self.late_parts)) {
            open.add(part);
        } else {
            self.open.push_back(Open(SmallVec::from_iter([part])));
        }
        self.close_complete(out);
        if self.open.len() > OPEN_RECORDS_MAX {
            self.close_at(0, out);
        }
    }

    /// What this seq made was not taken: it will come again. What is new does not wait for it.
    pub fn again(&mut self, seq: u32) {
        if self.ended.contains(seq) {
            self.again.insert(seq, seq);
        }
        // A stretch that cannot be remembered is as if it had never come.
        while self.again.iter().len() > ENDED_RANGES_MAX {
            let Some((from, to)) = self.again.iter().next().map(|range| (*range.start(), *range.end())) else { return };
            self.again.remove(from, to);
            self.ended.remove(from, to);
        }
    }

    /// Says that these seqs are no parts: other notifications, stored or lost readings.
    pub fn pass(&mut self, from: u32, to: u32, out: &mut Vec<Merged>) {
        self.remember(from, to);
        self.close_complete(out);
    }

    /// Closes what began 400 ms or more before this device time.
    pub fn tick(&mut self, dev_ms: i64, out: &mut Vec<Merged>) {
        while let Some(at) = self.open.iter().position(|open| dev_ms.saturating_sub(open.began_dev_ms()) >= WINDOW_MS) {
            self.close_at(at, out);
        }
        self.close_complete(out);
    }

    /// Closes everything.
    pub fn close(&mut self, out: &mut Vec<Merged>) {
        while !self.open.is_empty() {
            self.close_at(0, out);
        }
    }

    /// The lowest seq of a record that is still open: acknowledgements do not pass it.
    #[must_use]
    pub fn open_from(&self) -> Option<u32> {
        self.open.iter().map(Open::first).min()
    }

    /// Whether a seq is done or here, for a record that is new, or one that is made once more.
    fn known(&self, seq: u32, redone: bool) -> bool {
        let done = self.ended.contains(seq) && !(redone && self.again.contains(seq));
        seq == 0 || done || self.open.iter().any(|open| open.has(seq))
    }

    fn is_complete(&self, open: &Open) -> bool {
        let (last, redone) = (open.last(), open.is_redone());
        let end = (!last.record.goes_on() && !self.late_parts) || last.seq.checked_add(1).is_none_or(|next| self.known(next, redone));
        end && open.first().checked_sub(1).is_none_or(|before| self.known(before, redone)) && self.whole(open.first(), last.seq, redone)
    }

    /// Whether every seq of `first..=last` is known: what is not done must be parts of open records, and those are few.
    fn whole(&self, first: u32, last: u32, redone: bool) -> bool {
        if redone && self.again.iter().any(|range| *range.start() <= last && *range.end() >= first) {
            return false;
        }
        let missing = self.ended.missing(first, last);
        missing.count() <= PARTS_OPEN_MAX && missing.iter().flatten().all(|seq| self.known(seq, redone))
    }

    fn close_complete(&mut self, out: &mut Vec<Merged>) {
        while let Some(at) = self.open.iter().position(|open| self.is_complete(open)) {
            self.close_at(at, out);
        }
    }

    fn close_at(&mut self, at: usize, out: &mut Vec<Merged>) {
        if let Some(open) = self.open.remove(at) {
            self.finish(open, out);
        }
    }

    fn finish(&mut self, open: Open, out: &mut Vec<Merged>) {
        for part in &open.0 {
            self.remember(part.seq, part.seq);
        }
        out.push(open.into_merged());
    }

    fn remember(&mut self, from: u32, to: u32) {
        self.ended.insert(from, to);
        self.again.remove(from, to);
        let ranges = self.ended.iter().len();
        if ranges > ENDED_RANGES_MAX {
            self.ended = self.ended.iter().skip(ranges - ENDED_RANGES_MAX).map(|range| (*range.start(), *range.end())).collect();
        }
    }
}
