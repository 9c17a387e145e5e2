//! What a gateway said under each of its slots, and what that breaks.
//!
//! Books are kept by source and boot, so that they outlive connections. What was told to be stored is what a hub would have stored: all but
//! the newest few, so that there is always something that must be kept.

use std::collections::{BTreeMap, HashMap};

use protocol::frame::{Ack, Bind, Hold, Lost, Resend, SlotAck};
use protocol::text::Text;
use protocol::wire::Encoding;
use protocol::{ClientFrame, MachineId, SeqRanges, ServerFrame};

use super::Rule;

/// Readings of each boot that are never told to be stored until they are older than this many.
const HELD_BACK: u32 = 5;
/// Readings whose content is remembered, by boot.
const CONTENT_MAX: usize = 4_096;
/// How much faster than asked a resend may be before it counts, and what may come at once.
const RATE_FACTOR: f64 = 1.5;
const RATE_BURST: f64 = 300.0;

/// Rule and what broke it; none: it was kept.
pub(super) type Noted = (Rule, Option<String>);
type Key = (Option<MachineId>, Text<32>, u32);

/// One boot of a source.
#[derive(Debug, Default)]
struct Book {
    nonce: u32,
    clock: u16,
    heard: SeqRanges,
    lost: SeqRanges,
    told_stored: SeqRanges,
    newest_dev_ms: Option<(u32, i64)>,
    content: HashMap<u32, Vec<u8>>,
    /// Listed by the last bind, and not asked for since.
    held: SeqRanges,
    asked: SeqRanges,
    /// When it was asked, how fast, and how many came since.
    asking: Option<(i64, u32, u64)>,
    live_since_bind: bool,
    live_since_hold: Option<bool>,
}

/// The claim that was given to a machine, and how far its sources were.
#[derive(Debug)]
struct Claimed {
    machine: MachineId,
    /// The newest number of each boot when the claim was sent.
    before: BTreeMap<Key, u32>,
    /// And when it was answered.
    taken: Option<BTreeMap<Key, u32>>,
}

/// All boots, and which slot stands for which.
#[derive(Debug, Default)]
pub(super) struct SlotBook {
    books: BTreeMap<Key, Book>,
    slots: BTreeMap<u16, Key>,
    claimed: Option<Claimed>,
    clocks: HashMap<u16, i64>,
    readings: u64,
}

impl SlotBook {
    pub(super) const fn readings(&self) -> u64 {
        self.readings
    }

    pub(super) fn opened(&mut self) {
        self.slots.clear();
        self.clocks.clear();
    }

    pub(super) fn clock_is(&mut self, clock: u16, dev_ms: i64) {
        self.clocks.insert(clock, dev_ms);
    }

    /// The last answer of the clock that stamps a machine's readings.
    pub(super) fn dev_ms_of(&self, clock: u16) -> Option<i64> {
        self.clocks.get(&clock).copied()
    }

    pub(super) fn unbind(&mut self, slot: u16) {
        self.slots.remove(&slot);
    }

    pub(super) fn bind(&mut self, bind: Bind, again: bool) -> Vec<Noted> {
        let mut noted = vec![(Rule::AnnounceThenBind, None)];
        let key: Key = (bind.machine, bind.sensor.clone(), bind.boot);
        if self.slots.insert(bind.slot, key.clone()).is_some() {
            noted.push((Rule::AnnounceThenBind, Some(format!("slot {} was bound twice", bind.slot))));
        }
        let older = self.books.range((key.0, key.1.clone(), 0)..key.clone()).next_back().map(|(older, book)| (older.2, book.nonce));
        if let Some((boot, nonce)) = older.filter(|(_, nonce)| *nonce == bind.nonce) {
            noted.push((Rule::BootAndNonce, Some(format!("boot {} has the nonce {nonce} of boot {boot}", bind.boot))));
        }
        if again {
            noted.extend(self.claim_from(&bind, &key));
        }
        let new = !self.books.contains_key(&key);
        let book = self.books.entry(key).or_default();
        if !new && book.nonce != bind.nonce {
            noted.push((
                Rule::BootAndNonce,
                Some(format!("boot {} came back with the nonce {}, not {}", bind.boot, bind.nonce, book.nonce)),
            ));
        } else {
            noted.push((Rule::BootAndNonce, None));
        }
        (book.nonce, book.clock) = (bind.nonce, bind.clock);
        if again && !new {
            let gone = book.heard.difference(&book.told_stored).difference(&bind.held).difference(&book.lost);
            noted.push((
                Rule::KeepUntilStored,
                (!gone.is_empty()).then(|| format!("slot {}: {gone:?} were not stored and are not held", bind.slot)),
            ));
        }
        book.held = bind.held;
        book.asked.clear();
        (book.asking, book.live_since_bind, book.live_since_hold) = (None, false, None);
        noted
    }

    /// A machine is given a claim.
    pub(super) fn claim_sent(&mut self, machine: MachineId) {
        self.claimed = Some(Claimed { machine, before: self.newest_of(machine), taken: None });
    }

    /// The machine says that it took the claim.
    pub(super) fn claim_taken(&mut self, machine: MachineId) {
        let newest = self.newest_of(machine);
        if let Some(claimed) = self.claimed.as_mut().filter(|claimed| claimed.machine == machine) {
            claimed.taken.get_or_insert(newest);
        }
    }

    fn newest_of(&self, machine: MachineId) -> BTreeMap<Key, u32> {
        let own = self.books.iter().filter(|(key, _)| key.0 == Some(machine));
        own.map(|(key, book)| (key.clone(), book.heard.max())).collect()
    }

    /// What came before the claim was sent was numbered before the machine took it; what comes after its answer, after.
    fn claim_from(&self, bind: &Bind, key: &Key) -> Option<Noted> {
        let claimed = self.claimed.as_ref().filter(|claimed| Some(claimed.machine) == bind.machine)?;
        let taken = claimed.taken.as_ref()?;
        let sensor = |of: &&Key| (of.0, &of.1) == (key.0, &key.1);
        let (least, most) = match (claimed.before.get(key), taken.get(key)) {
            (before, Some(most)) => (before.copied().unwrap_or(0) + 1, most + 1),
            // A boot since then is under the claim from its first number on.
            (_, None) if taken.keys().filter(sensor).all(|of| of.2 < key.2) => (1, 1),
            (_, None) => return None,
        };
        let told = bind.claim_from_seq;
        let wrong = !told.is_some_and(|from_seq| (least..=most).contains(&from_seq));
        let seen = || format!("slot {}: the claim counts from {told:?}, not from {least} to {most}", bind.slot);
        Some((Rule::ClaimFrom, wrong.then(seen)))
    }

    /// One frame of readings, or of what is lost.
    pub(super) fn hear(&mut self, frame: &ClientFrame, now_ms: i64) -> Vec<Noted> {
        if let ClientFrame::Lost(lost) = frame {
            return self.lost(lost);
        }
        let Some((slot, rows)) = rows_of(frame) else {
            return vec![(Rule::Decodable, Some(format!("the columns of a `{}` make no rows", frame.name())))];
        };
        let Some(book) = self.slots.get(&slot).and_then(|key| self.books.get_mut(key)) else {
            return vec![(Rule::AnnounceThenBind, Some(format!("slot {slot} was used and not bound")))];
        };
        self.readings += rows.len() as u64;
        let mut noted = Vec::new();
        for (seq, dev_ms, content) in rows {
            book.hear(slot, seq, dev_ms, content, now_ms, &mut noted);
        }
        noted
    }

    fn lost(&mut self, lost: &Lost) -> Vec<Noted> {
        if let Some(book) = self.slots.get(&lost.slot).and_then(|key| self.books.get_mut(key)) {
            book.lost.insert(lost.from, lost.to);
            book.asked = book.asked.difference(&[(lost.from, lost.to)].into_iter().collect());
            book.held = book.held.difference(&[(lost.from, lost.to)].into_iter().collect());
        }
        Vec::new()
    }

    /// What a hub would tell to be stored now.
    pub(super) fn ack(&mut self) -> Option<ServerFrame> {
        let mut acks = Vec::new();
        for (&slot, key) in &self.slots {
            let Some(book) = self.books.get_mut(key) else { continue };
            let through = book.heard.max().saturating_sub(HELD_BACK);
            let storable = if through == 0 { SeqRanges::new() } else { book.heard.difference(&beyond(through)) };
            let stored = storable.difference(&book.told_stored);
            if !stored.is_empty() {
                book.told_stored.union(&stored);
                book.asked = book.asked.difference(&stored);
                acks.push(SlotAck { slot, accepted_through: book.heard.max(), stored });
            }
        }
        (!acks.is_empty()).then(|| Ack { acks }.into())
    }

    /// Tells every slot to hold.
    pub(super) fn hold(&mut self) -> Vec<ServerFrame> {
        let slots: Vec<u16> = self.slots.keys().copied().collect();
        for key in self.slots.values() {
            if let Some(book) = self.books.get_mut(key) {
                book.live_since_hold = Some(false);
            }
        }
        slots.into_iter().map(|slot| Hold { slot }.into()).collect()
    }

    /// Asks for everything that is heard or held and not told to be stored.
    pub(super) fn resend(&mut self, rate: u32, now_ms: i64) -> Vec<ServerFrame> {
        let mut asks = Vec::new();
        for (&slot, key) in &self.slots {
            let Some(book) = self.books.get_mut(key) else { continue };
            let mut wanted = book.heard.clone();
            wanted.union(&book.held);
            let wanted = wanted.difference(&book.told_stored);
            for range in wanted.iter() {
                asks.push(Resend { slot, from: *range.start(), to: *range.end(), rate }.into());
            }
            book.asked.union(&wanted);
            book.held.clear();
            book.asking = Some((now_ms, rate, 0));
        }
        asks
    }

    /// What a stretch of the programme showed: whether live went on under hold, whether everything asked for came.
    pub(super) fn review(&mut self, rule: Rule) -> Vec<Noted> {
        let mut noted = Vec::new();
        for (slot, key) in &self.slots {
            let Some(book) = self.books.get_mut(key).filter(|book| !book.heard.is_empty()) else { continue };
            let broken = match rule {
                Rule::HoldGoesOn => (book.live_since_hold == Some(false)).then(|| format!("slot {slot} fell silent under hold")),
                Rule::ResendAtRate => {
                    (!book.asked.is_empty()).then(|| format!("slot {slot}: {:?} were asked for, not sent and not lost", book.asked))
                }
                Rule::LiveFirst => (!book.live_since_bind).then(|| format!("slot {slot} sent nothing new after the connect")),
                _ => None,
            };
            noted.push((rule, broken));
            book.live_since_hold = None;
        }
        noted
    }
}

impl Book {
    fn hear(&mut self, slot: u16, seq: u32, dev_ms: i64, content: Vec<u8>, now_ms: i64, noted: &mut Vec<Noted>) {
        let newest = self.heard.max();
        let asked = self.asked.contains(seq);
        if seq > newest && !self.held.contains(seq) {
            let expected = newest.max(self.lost.max()).max(self.held.max()) + 1;
            noted.push((Rule::SeqByOne, (seq != expected).then(|| format!("slot {slot}: seq {seq} came, {expected} was next"))));
            let backwards = self.newest_dev_ms.filter(|(_, before)| *before > dev_ms);
            noted.push((
                Rule::Monotonic,
                backwards.map(|(at, before)| format!("slot {slot}: {dev_ms} ms at seq {seq} after {before} ms at seq {at}")),
            ));
            self.newest_dev_ms = Some((seq, dev_ms));
            self.live_since_bind = true;
            self.live_since_hold = self.live_since_hold.map(|_| true);
        } else if self.held.contains(seq) && !asked {
            noted.push((Rule::LiveFirst, Some(format!("slot {slot}: {seq} was held and is sent although nobody asked"))));
            self.held = self.held.difference(&[(seq, seq)].into_iter().collect());
        }
        if asked {
            self.asked = self.asked.difference(&[(seq, seq)].into_iter().collect());
            noted.push((Rule::ResendAtRate, self.too_fast(slot, now_ms)));
        }
        match self.content.get(&seq) {
            Some(before) => {
                noted.push((Rule::SameAgain, (*before != content).then(|| format!("slot {slot}: seq {seq} came with other content"))))
            }
            None if self.content.len() < CONTENT_MAX => drop(self.content.insert(seq, content)),
            None => (),
        }
        self.heard.insert(seq, seq);
    }

    fn too_fast(&mut self, slot: u16, now_ms: i64) -> Option<String> {
        let (since_ms, rate, count) = self.asking.as_mut()?;
        *count += 1;
        let allowed = RATE_BURST + f64::from(*rate) * (now_ms - *since_ms) as f64 / 1_000.0 * RATE_FACTOR;
        (*count as f64 > allowed).then(|| format!("slot {slot}: {count} readings in {} ms at a rate of {rate}", now_ms - *since_ms))
    }
}

fn beyond(seq: u32) -> SeqRanges {
    seq.checked_add(1).map(|from| (from, u32::MAX)).into_iter().collect()
}

/// Seq, device time, and canonical content without either.
type ContentRow = (u32, i64, Vec<u8>);

/// Slot and rows of a frame.
fn rows_of(frame: &ClientFrame) -> Option<(u16, Vec<ContentRow>)> {
    let reading = |reading: &protocol::Reading| {
        let mut bytes = reading.mask().to_be_bytes().to_vec();
        reading.values().iter().for_each(|value| bytes.extend_from_slice(&value.to_be_bytes()));
        bytes
    };
    let (slot, rows) = match frame {
        ClientFrame::Sample(sample) => (sample.slot, vec![(sample.seq, sample.dev_ms, reading(&sample.reading))]),
        ClientFrame::Batch(batch) => {
            let rows = batch.columns.unpack().ok()?;
            (batch.slot, rows.into_iter().map(|(seq, dev_ms, row)| (seq, dev_ms, reading(&row))).collect())
        }
        ClientFrame::FtmsRaw(raw) => (raw.slot, vec![(raw.seq, raw.dev_ms, raw.bytes.0.to_vec())]),
        ClientFrame::Rep(rep) => (rep.slot, vec![(rep.seq, rep.dev_ms, frame.to_bytes(Encoding::MessagePack))]),
        ClientFrame::Set(set) => (set.slot, vec![(set.seq, set.dev_ms, frame.to_bytes(Encoding::MessagePack))]),
        ClientFrame::Stroke(stroke) => (stroke.slot, vec![(stroke.seq, stroke.dev_ms, frame.to_bytes(Encoding::MessagePack))]),
        _ => return None,
    };
    Some((slot, rows))
}
