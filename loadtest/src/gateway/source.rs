//! One source: numbering, the buffer in flash, and what of it is stored.
//!
//! In: items as they are read, acknowledgements, requests to send again. Out: frames. Owns boot, nonce and the buffer, which is bounded:
//! full, it forgets its oldest unstored reading and declares it lost. Nothing leaves the buffer before it is stored.

use std::collections::VecDeque;

use protocol::frame::{Batch, Bind, Columns, FtmsRaw, Lost, Rep, RepDetail, Sample, Set, SetDetail, SlotAck, Stroke, StrokeDetail};
use protocol::limits::{BATCH_READINGS_MAX, RAW_BYTES_MAX, SEQ_RANGES_MAX};
use protocol::text::{Blob, Text};
use protocol::{ClientFrame, MachineId, Reading, SeqRanges};

/// What stands under a number.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A decoded reading.
    Reading(Reading),
    /// A notification as the machine sent it.
    Raw {
        /// 16-bit UUID of the characteristic.
        uuid: u16,
        /// The value.
        bytes: Blob<RAW_BYTES_MAX>,
    },
    /// A repetition.
    Rep(RepDetail),
    /// A set.
    Set(SetDetail),
    /// A stroke.
    Stroke(StrokeDetail),
}

/// One numbered item in the buffer.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Its number.
    pub seq: u32,
    /// Device time.
    pub dev_ms: i64,
    /// What.
    pub item: Item,
}

impl Held {
    fn frame(&self, slot: u16) -> ClientFrame {
        let (seq, dev_ms) = (self.seq, self.dev_ms);
        match self.item.clone() {
            Item::Reading(reading) => Sample { slot, seq, dev_ms, reading }.into(),
            Item::Raw { uuid, bytes } => FtmsRaw { slot, seq, dev_ms, uuid, bytes }.into(),
            Item::Rep(rep) => Rep { slot, seq, dev_ms, rep }.into(),
            Item::Set(set) => Set { slot, seq, dev_ms, set }.into(),
            Item::Stroke(stroke) => Stroke { slot, seq, dev_ms, stroke }.into(),
        }
    }
}

/// One source on a gateway.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its slot on every connection of this gateway.
    pub slot: u16,
    /// The machine it belongs to.
    pub machine: MachineId,
    /// Which sensor.
    pub sensor: Text<32>,
    /// Which clock stamps it.
    pub clock: u16,
    boot: u32,
    nonce: u32,
    last_seq: u32,
    /// The first number under the claim that the machine keeps.
    claim_from_seq: Option<u32>,
    buffer: VecDeque<Held>,
    buffer_max: usize,
    stored: SeqRanges,
    accepted_through: u32,
    lost: SeqRanges,
    lost_untold: SeqRanges,
    /// Bound on this connection.
    live: bool,
    /// Highest seq that this connection has seen or that its `bind` listed as held.
    offered_through: u32,
    wanted: SeqRanges,
    rate_per_s: u32,
    budget: f64,
    held_back: bool,
    /// Everything ever numbered, kept beside the buffer for replays of old buffers.
    archive: Option<Vec<Held>>,
}

impl Source {
    /// A source at its first reading of a boot.
    #[must_use]
    pub fn new(slot: u16, machine: MachineId, sensor: &str, clock: u16, boot: u32, nonce: u32, buffer_max: usize) -> Self {
        Self {
            slot,
            machine,
            sensor: Text::cut(sensor),
            clock,
            boot,
            nonce,
            last_seq: 0,
            claim_from_seq: None,
            buffer: VecDeque::new(),
            buffer_max: buffer_max.max(1),
            stored: SeqRanges::new(),
            accepted_through: 0,
            lost: SeqRanges::new(),
            lost_untold: SeqRanges::new(),
            live: false,
            offered_through: 0,
            wanted: SeqRanges::new(),
            rate_per_s: 0,
            budget: 0.0,
            held_back: false,
            archive: None,
        }
    }

    /// Keeps everything ever numbered from now on.
    #[must_use]
    pub fn archived(mut self) -> Self {
        self.archive = Some(Vec::new());
        self
    }

    /// This source as it would be with a buffer that was never told what is stored.
    #[must_use]
    pub(super) fn with_old_buffer(&self) -> Self {
        let mut old = self.clone();
        old.buffer = self.archive.iter().flatten().cloned().collect();
        old.buffer_max = old.buffer.len().max(1);
        (old.stored, old.lost, old.lost_untold) = (SeqRanges::new(), SeqRanges::new(), SeqRanges::new());
        old.unbound();
        old
    }

    /// The run of the source.
    #[must_use]
    pub const fn boot(&self) -> u32 {
        self.boot
    }

    /// Random bits of the run.
    #[must_use]
    pub const fn nonce(&self) -> u32 {
        self.nonce
    }

    /// The last number given.
    #[must_use]
    pub const fn last_seq(&self) -> u32 {
        self.last_seq
    }

    /// What the hub said is stored.
    #[must_use]
    pub const fn stored(&self) -> &SeqRanges {
        &self.stored
    }

    /// What the hub said it took.
    #[must_use]
    pub const fn accepted_through(&self) -> u32 {
        self.accepted_through
    }

    /// What fell out of the buffer.
    #[must_use]
    pub const fn lost(&self) -> &SeqRanges {
        &self.lost
    }

    /// Whether the hub said hold, and not yet resend.
    #[must_use]
    pub const fn is_held_back(&self) -> bool {
        self.held_back
    }

    /// Readings in the buffer: not known to be stored.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Everything ever numbered is stored or declared lost.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.stored.missing(1, self.last_seq).difference(&self.lost).is_empty() || self.last_seq == 0
    }

    /// The machine took a claim: what is numbered from now on is under it. In a boot that starts under a claim, that is everything.
    pub(super) fn claim_begins(&mut self) {
        self.claim_from_seq = self.last_seq.checked_add(1);
    }

    /// The claim is over, or this boot was before it.
    pub(super) fn forget_claim(&mut self) {
        self.claim_from_seq = None;
    }

    /// Numbers an item, keeps it, and sends it if the slot stands.
    pub fn record(&mut self, dev_ms: i64, item: Item, out: &mut Vec<ClientFrame>) -> u32 {
        self.last_seq += 1;
        if self.buffer.len() == self.buffer_max
            && let Some(oldest) = self.buffer.pop_front()
        {
            self.lost.insert(oldest.seq, oldest.seq);
            self.lost_untold.insert(oldest.seq, oldest.seq);
        }
        let held = Held { seq: self.last_seq, dev_ms, item };
        if self.live {
            self.offered_through = self.last_seq;
            out.push(held.frame(self.slot));
        }
        if let Some(archive) = &mut self.archive {
            archive.push(held.clone());
        }
        self.buffer.push_back(held);
        self.last_seq
    }

    /// The `bind` of a new connection, with everything that is held. Ranges beyond the wire's bound are told by a later bind.
    pub fn bind(&mut self) -> Bind {
        self.live = false;
        self.wanted.clear();
        // What was told to be stored in the middle of the buffer is still in it: said to be held, it would be waited for in vain.
        let stored = &self.stored;
        self.buffer.retain(|held| !stored.contains(held.seq));
        let held: SeqRanges = self.buffer.iter().map(|held| held.seq).collect();
        let told: SeqRanges = held.iter().take(SEQ_RANGES_MAX).map(|range| (*range.start(), *range.end())).collect();
        self.offered_through = self.last_seq;
        Bind {
            slot: self.slot,
            machine: Some(self.machine),
            sensor: self.sensor.clone(),
            boot: self.boot,
            nonce: self.nonce,
            clock: self.clock,
            held: told,
            quirk: None,
            claim_from_seq: self.claim_from_seq,
        }
    }

    /// The slot stands: what was read since the `bind` goes out, live from now on.
    pub fn bound(&mut self, out: &mut Vec<ClientFrame>) {
        self.live = true;
        for held in self.buffer.iter().filter(|held| held.seq > self.offered_through) {
            out.push(held.frame(self.slot));
        }
        self.offered_through = self.last_seq;
        // The connection before may have ended with the word of a loss on its way.
        self.lost_untold.union(&self.lost.difference(&self.stored));
        self.tell_lost(out);
    }

    /// The connection is gone.
    pub fn unbound(&mut self) {
        self.live = false;
        self.wanted.clear();
    }

    /// News of what is taken and stored.
    pub fn ack(&mut self, ack: &SlotAck) {
        self.accepted_through = self.accepted_through.max(ack.accepted_through);
        self.stored.union(&ack.stored);
        let stored = &self.stored;
        if ack.stored.iter().any(|range| self.buffer.front().is_some_and(|front| range.contains(&front.seq))) {
            while self.buffer.front().is_some_and(|front| stored.contains(front.seq)) {
                self.buffer.pop_front();
            }
        }
        if ack.stored.iter().len() > 1 {
            self.buffer.retain(|held| !stored.contains(held.seq));
        }
    }

    /// The hub cannot take readings now.
    pub const fn hold(&mut self) {
        self.held_back = true;
    }

    /// The hub wants these again. What is neither kept nor stored is lost, and said so.
    pub fn resend(&mut self, from: u32, to: u32, rate_per_s: u32, out: &mut Vec<ClientFrame>) {
        self.held_back = false;
        self.rate_per_s = rate_per_s.max(1);
        let kept: SeqRanges = self.buffer.iter().map(|held| held.seq).filter(|seq| (from..=to).contains(seq)).collect();
        for gone in self.stored.missing(from, to.min(self.last_seq)).difference(&kept).iter() {
            self.lost.insert(*gone.start(), *gone.end());
            self.lost_untold.insert(*gone.start(), *gone.end());
        }
        self.wanted.union(&kept);
        self.tell_lost(out);
    }

    fn tell_lost(&mut self, out: &mut Vec<ClientFrame>) {
        if self.live {
            for range in std::mem::take(&mut self.lost_untold).iter() {
                out.push(Lost { slot: self.slot, from: *range.start(), to: *range.end() }.into());
            }
        }
    }

    /// Sends as much of what is wanted as the rate allows for `passed_ms`.
    pub fn backfill(&mut self, passed_ms: i64, out: &mut Vec<ClientFrame>) {
        if self.live {
            self.tell_lost(out);
        }
        if !self.live || self.wanted.is_empty() {
            self.budget = 0.0;
            return;
        }
        let burst = f64::from(self.rate_per_s).max(1.0);
        self.budget = (self.budget + f64::from(self.rate_per_s) * passed_ms as f64 / 1_000.0).min(burst);
        while self.budget >= 1.0 && !self.wanted.is_empty() {
            let rows = self.next_rows(self.budget as usize);
            self.budget -= rows.len() as f64;
            let Some((first, last)) = rows.first().zip(rows.last()).map(|(first, last)| (first.seq, last.seq)) else {
                // All that was wanted was stored meanwhile.
                self.wanted.clear();
                return;
            };
            self.wanted = self
                .wanted
                .iter()
                .filter_map(|range| (*range.end() > last).then(|| ((*range.start()).max(last + 1), *range.end())))
                .collect();
            debug_assert!(first <= last);
            push_rows(self.slot, &rows, out);
        }
    }

    /// The next wanted rows that fit one batch: readings of one mask, or one of anything else.
    fn next_rows(&self, rows_max: usize) -> Vec<Held> {
        let rows_max = rows_max.min(BATCH_READINGS_MAX);
        let mut rows: Vec<Held> = Vec::new();
        let from = self.wanted.iter().next().map_or(0, |range| *range.start());
        let start = self.buffer.partition_point(|held| held.seq < from);
        for held in self.buffer.iter().skip(start).filter(|held| self.wanted.contains(held.seq)) {
            let fits = match (&held.item, rows.first().map(|first| &first.item)) {
                (_, None) => true,
                (Item::Reading(reading), Some(Item::Reading(first))) => {
                    reading.mask() == first.mask() && reading.mask() & protocol::field::RR_BIT == 0
                }
                _ => false,
            };
            if !fits || rows.len() == rows_max {
                break;
            }
            rows.push(held.clone());
        }
        rows
    }

    /// Whether something waits to be sent again.
    #[must_use]
    pub fn has_wanted(&self) -> bool {
        self.live && !self.wanted.is_empty()
    }

    /// Everything in the buffer.
    pub fn buffer(&self) -> impl Iterator<Item = &Held> {
        self.buffer.iter()
    }
}

fn push_rows(slot: u16, rows: &[Held], out: &mut Vec<ClientFrame>) {
    let readings: Vec<(u32, i64, Reading)> = rows
        .iter()
        .filter_map(|held| match &held.item {
            Item::Reading(reading) if reading.rr().is_empty() => Some((held.seq, held.dev_ms, reading.clone())),
            _ => None,
        })
        .collect();
    if readings.len() == rows.len() {
        out.push(Batch { slot, columns: Columns::pack(&readings) }.into());
    } else {
        out.extend(rows.iter().map(|held| held.frame(slot)));
    }
}
