//! Readings: from a slot to the shard, fast.
//!
//! In: frames that carry numbers of a source. Out: inputs of its gym. Rights were resolved at `bind`; here only the slot is looked up. A shard
//! without room is not waited for: the reading is refused with `hold`, its source keeps it, and as soon as there is room again `resend` asks
//! for what was refused. So the read loop of a gateway goes on, and a stop behind a storm is still heard.

use std::collections::BTreeMap;

use protocol::frame::{Batch, Bind, Hold, Resend};
use protocol::limits::OWN_SOURCES_MAX;
use protocol::{ClientFrame, ErrorCode, GymId, SeqRanges};
use room::input::{Numbered, Said};
use room::rights::{self, Action, Object};
use room::{Input, Lane};

use super::dispatch::object_of;
use super::live::Session;
use super::slots::{Bound, Home};
use crate::metrics::Drop;
use crate::shard::Order;

/// Readings a second that a source sends again after a hold.
const RESEND_RATE: u32 = 200;
/// The lane keys of `hold`, one a slot.
const HOLD_KEY: u64 = 1 << 63;

/// What was refused for want of room, by slot: from, to.
pub(super) type Held = BTreeMap<u16, (u32, u32)>;

impl Session {
    /// Binds a slot: rights and route are resolved here, once.
    pub(super) fn bind(&mut self, bind: Bind) {
        self.settle();
        match self.resolve(&bind) {
            Ok(home) => self.bind_at(bind, home),
            Err(code) => self.refuse(None, code),
        }
    }

    fn resolve(&self, bind: &Bind) -> Result<Home, ErrorCode> {
        // A name is shown and stored as text; Postgres takes a NUL nowhere.
        if bind.sensor.chars().any(char::is_control) {
            return Err(ErrorCode::Unprocessable);
        }
        let Some(machine) = bind.machine else { return self.resolve_own(&bind.sensor) };
        let (place, _) = self.machine_and_home(machine).ok_or(ErrorCode::NoSuchMachine)?;
        rights::allows(&self.peer.viewer, Action::Bind, &object_of(machine, &place))?;
        self.slots.machine(machine).ok_or(ErrorCode::NoSuchMachine)
    }

    /// A member's own device reports to the gym where the member trains; before that is known, to the first of the token.
    fn resolve_own(&self, sensor: &str) -> Result<Home, ErrorCode> {
        let viewer = &self.peer.viewer;
        let member = protocol::MemberId(viewer.subject);
        // What is uploaded counts as a workout of its own: a device must not pass for it.
        if sensor.starts_with(storage::UPLOAD_PREFIX) {
            return Err(ErrorCode::Forbidden);
        }
        let own = Object { tenant: Some(viewer.tenant), member: Some(member), ..Object::default() };
        rights::allows(viewer, Action::Bind, &own)?;
        let seen: Option<GymId> = self.hub.registry.gym_of_member(member).filter(|gym| viewer.gyms.contains(gym));
        self.home.or_else(|| seen.or(viewer.gyms.first().copied()).and_then(|gym| self.home_of(gym))).ok_or(ErrorCode::NotFound)
    }

    fn bind_at(&mut self, bind: Bind, home: Home) {
        let source = self.hub.next_source();
        if let Err(code) = self.slots.bind(bind.slot, Bound { handle: source, gym: home.gym, shard: home.shard }) {
            return self.refuse(None, code);
        }
        self.home = Some(home);
        if bind.machine.is_none() {
            let owner = (self.peer.viewer.tenant, protocol::MemberId(self.peer.viewer.subject));
            self.hub.registry.add_source(owner, &bind.sensor, home.gym);
            if self.own.len() < OWN_SOURCES_MAX {
                self.own.push(Bind { held: SeqRanges::new(), ..bind.clone() });
            }
        }
        let (session, viewer) = (self.peer.session, self.peer.viewer.clone());
        self.must_tell_gym(home, Input::Bind { session, viewer, source, bind });
    }

    /// Where a claim in another gym was granted, the member trains there: straps that were bound before report there from now on. One that was
    /// refused moves nothing.
    fn settle(&mut self) {
        let granted = |home: &mut Home| {
            let member = protocol::MemberId(self.peer.viewer.subject);
            self.hub.registry.gym_of_member(member) == Some(home.gym)
        };
        let Some(home) = self.claims_at.take_if(granted) else { return };
        self.home = Some(home);
        let own = std::mem::take(&mut self.own);
        for bind in own {
            if self.slots.get(bind.slot).is_none_or(|bound| bound.gym == home.gym) {
                self.own.push(bind);
            } else {
                self.unbind(bind.slot);
                self.bind_at(bind, home);
            }
        }
    }

    /// Frees a slot.
    pub(super) fn unbind(&mut self, slot: u16) {
        match self.slots.unbind(slot) {
            Some(bound) => {
                self.own.retain(|bind| bind.slot != slot);
                self.held.remove(&slot);
                let input = Input::Unbind { session: self.peer.session, source: bound.handle };
                self.must_tell_gym(Home { gym: bound.gym, shard: bound.shard }, input);
            }
            None => self.refuse(None, ErrorCode::SlotUnknown),
        }
    }

    /// One frame of readings.
    pub(super) fn reading(&mut self, frame: ClientFrame) {
        // Only a machine counts repetitions and strokes: what a member counts is `log_set`.
        if matches!(frame, ClientFrame::Rep(_) | ClientFrame::Set(_) | ClientFrame::Stroke(_)) && !self.is_machine() {
            return self.refuse(None, ErrorCode::Forbidden);
        }
        self.settle();
        let (slot, numbered) = match frame {
            ClientFrame::Sample(sample) => (sample.slot, fresh(sample.seq, sample.dev_ms, Said::Reading(sample.reading))),
            ClientFrame::FtmsRaw(raw) => {
                (raw.slot, fresh(raw.seq, raw.dev_ms, Said::Raw { uuid: raw.uuid, bytes: raw.bytes.0.into_vec() }))
            }
            ClientFrame::Rep(rep) => (rep.slot, fresh(rep.seq, rep.dev_ms, Said::Rep(rep.rep))),
            ClientFrame::Set(set) => (set.slot, fresh(set.seq, set.dev_ms, Said::Set(set.set))),
            ClientFrame::Stroke(stroke) => (stroke.slot, fresh(stroke.seq, stroke.dev_ms, Said::Stroke(stroke.stroke))),
            ClientFrame::Batch(batch) => return self.batch(&batch),
            ClientFrame::Lost(lost) => return self.lost(lost.slot, lost.from, lost.to),
            _ => return,
        };
        let Some(bound) = self.bound(slot) else { return };
        let seq = numbered.seq;
        let order = said(bound, self.peer.session, numbered);
        match self.hub.shards.push(bound.shard, order) {
            Ok(()) => self.ask_again(),
            Err(_refused) => self.hold(slot, seq, seq),
        }
    }

    /// A batch is taken from its first row to the last that fits; the rest is asked for again.
    fn batch(&mut self, batch: &Batch) {
        let Some(bound) = self.bound(batch.slot) else { return };
        let rows = match batch.columns.unpack() {
            Ok(rows) => rows,
            Err(error) => {
                self.hub.refused(ErrorCode::NotDecodable);
                let answer = protocol::frame::Error::new(None, ErrorCode::NotDecodable).detail(&format!("slot {}: {error}", batch.slot));
                return self.say(answer);
            }
        };
        let (first, last) = rows.iter().fold((u32::MAX, 0), |(first, last), row| (first.min(row.0), last.max(row.0)));
        let session = self.peer.session;
        let mut taken_through = None;
        let orders = rows
            .into_iter()
            .map(|(seq, dev_ms, reading)| said(bound, session, Numbered { seq, dev_ms, what: Said::Reading(reading), backfill: true }));
        let taken = self.hub.shards.push_all(bound.shard, orders.inspect(|order| taken_through = seq_of(order)));
        match taken {
            Ok(()) => self.ask_again(),
            // The row that was refused is the last that was looked at.
            Err(_refused) => self.hold(batch.slot, taken_through.unwrap_or(first), last),
        }
    }

    fn lost(&mut self, slot: u16, from: u32, to: u32) {
        let Some(bound) = self.bound(slot) else { return };
        let input = Input::Lost { source: bound.handle, from, to };
        let order = Order::Gym { gym: bound.gym, from: Some(self.peer.session), input };
        if self.hub.shards.push(bound.shard, order).is_err() {
            self.hold(slot, from, to);
        }
    }

    fn bound(&mut self, slot: u16) -> Option<Bound> {
        let bound = self.slots.get(slot);
        if bound.is_none() {
            self.hub.refused(ErrorCode::SlotUnknown);
            let answer = protocol::frame::Error::new(None, ErrorCode::SlotUnknown).detail(&format!("slot {slot}"));
            self.say(answer);
        }
        bound
    }

    /// Refuses readings for want of room.
    fn hold(&mut self, slot: u16, from: u32, to: u32) {
        let held = self.held.entry(slot).or_insert((from, to));
        *held = (held.0.min(from), held.1.max(to));
        self.peer.holds(true);
        self.hub.metrics.dropped(Drop::ShardFull, u64::from(to.saturating_sub(from)) + 1);
        self.peer.send(Lane::Live { key: HOLD_KEY | u64::from(slot) }, &Hold { slot }.into());
        self.said = true;
    }

    /// Asks for what was refused, where there is room again. Each look of the wheel comes here too, so that a source that falls silent after the
    /// last reading of a workout is asked for it.
    pub(super) fn ask_again(&mut self) {
        if self.held.is_empty() {
            return;
        }
        for (slot, (from, to)) in std::mem::take(&mut self.held) {
            match self.slots.get(slot) {
                Some(bound) if self.hub.shards.inbox(bound.shard).has_room() => {
                    self.say(Resend { slot, from, to, rate: RESEND_RATE });
                }
                Some(_) => drop(self.held.insert(slot, (from, to))),
                None => (),
            }
        }
        self.peer.holds(!self.held.is_empty());
    }
}

fn fresh(seq: u32, dev_ms: i64, what: Said) -> Numbered {
    Numbered { seq, dev_ms, what, backfill: false }
}

fn said(bound: Bound, session: protocol::SessionId, said: Numbered) -> Order {
    Order::Gym { gym: bound.gym, from: Some(session), input: Input::Said { source: bound.handle, said } }
}

fn seq_of(order: &Order) -> Option<u32> {
    match order {
        Order::Gym { input: Input::Said { said, .. }, .. } => Some(said.seq),
        _ => None,
    }
}
