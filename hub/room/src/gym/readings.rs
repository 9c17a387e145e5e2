//! Readings: from a bound source to whoever watches, and into the Recorder.
//!
//! In: binds, numbered things, clock pairs, the Recorder's words. Out: `Keep` for everything, live values for watchers, acks, holds and
//! resends. What a source said is put in order by [`Source`]; what is whole goes to the machine (does it move? does a reading show the
//! target, or rest?), to its workout and to the floor. A sample is one input, one step, all its effects.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use protocol::field::{Field, RR_BIT};
use protocol::frame::{Bind, Bound, Clock, ClockAsk, EventBody, Hold, RoomSource};
use protocol::limits::OWN_SOURCES_MAX;
use protocol::{ErrorCode, MachineId, MemberId, SeqRanges, SessionId};

use super::Gym;
use crate::ack::AckClock;
use crate::clock::DeviceClock;
use crate::effect::{KeepWhat, Lane};
use crate::input::{Numbered, SourceHandle, SourceKey, Viewer};
use crate::rights::{Action, allows};
use crate::source::{Source, Taken};
use crate::turn::Turn;

/// Clocks one connection may have: one each for its machines, and the straps of a member.
const CLOCKS_MAX: usize = protocol::limits::MACHINES_PER_SESSION_MAX;
/// Sources that a machine's room lists; a sensor with a new boot takes the place of the one before.
const SOURCES_MAX: usize = 16;
/// After a reconnect the sources of a gym bring their buffers at different times, within this.
const JITTER_MS: u32 = 2_000;
/// What walls and staff do not see of a machine: it is a person's health.
const HEALTH: u32 = Field::HeartRate.mask() | Field::Contact.mask() | RR_BIT;

/// A connection that carries machines or sources.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    pub(super) machines: Vec<MachineId>,
    sources: Vec<SourceHandle>,
    pub(super) clocks: BTreeMap<u16, DeviceClock>,
    acks: AckClock,
}

impl Connection {
    pub(super) fn is_empty(&self) -> bool {
        self.machines.is_empty() && self.sources.is_empty()
    }
}

impl Gym {
    pub(super) fn bind(&mut self, turn: &mut Turn<'_>, session: SessionId, viewer: &Viewer, handle: SourceHandle, bind: Bind) {
        let key = match bind.machine {
            Some(id) if !self.carries(session, id) => return turn.refuse(session, None, ErrorCode::MachineNotHeard),
            Some(id) => SourceKey { machine: Some(id), member: None, sensor: bind.sensor.clone() },
            None => SourceKey { machine: None, member: Some(MemberId(viewer.subject)), sensor: bind.sensor.clone() },
        };
        let object = match key.machine {
            Some(id) => self.machine_object(id, false),
            None => self.member_object(MemberId(viewer.subject)),
        };
        if let Err(code) = allows(viewer, Action::Bind, &object) {
            return turn.refuse(session, None, code);
        }
        let own = |known: &Connection| key.machine.is_none() && known.sources.len() >= OWN_SOURCES_MAX;
        if self.clocks_full(session, bind.clock) || self.connections.get(&session).is_some_and(own) {
            return turn.refuse(session, None, ErrorCode::TooManySlots);
        }
        let connection = self.connections.entry(session).or_default();
        connection.clocks.entry(bind.clock).or_default();
        connection.sources.push(handle);
        let mut source = Source::new(handle, session, key, &bind);
        self.boots_of_one_source(&mut source);
        self.pace.want(handle, session, bind.slot, &bind.held, i64::from(turn.draw.below(JITTER_MS)), turn.now);
        if let Some(id) = source.key.machine.filter(|_| !source.is_outlived())
            && let Some(machine) = self.machines.get_mut(&id)
        {
            machine.list_source(&source.key, source.boot, SOURCES_MAX);
        }
        self.of_boot.entry((source.key.clone(), source.boot)).or_default().push(handle);
        self.sources.insert(handle, Box::new(source));
        self.workout_source_bound(turn, handle, &bind.held);
        turn.deliver(session, Lane::Event, Bound { slot: bind.slot });
    }

    /// Of the boots of a source on one connection only the last runs. One that is newer than what was known was just started, and its clock
    /// with it.
    fn boots_of_one_source(&mut self, new: &mut Source) {
        let listed = new.key.machine.and_then(|id| self.machines.get(&id)).and_then(|machine| machine.listed_boot(&new.key));
        let mut is_started = listed.is_some_and(|boot| boot < new.boot);
        let boots = (new.key.clone(), 0)..=(new.key.clone(), u32::MAX);
        for handle in self.of_boot.range(boots).flat_map(|(_, handles)| handles) {
            let Some(known) = self.sources.get_mut(handle).filter(|known| known.session == new.session) else { continue };
            match known.boot.cmp(&new.boot) {
                Ordering::Less => {
                    known.outlived();
                    is_started = true;
                }
                Ordering::Equal => (),
                Ordering::Greater => new.outlived(),
            }
        }
        if is_started
            && !new.is_outlived()
            && let Some(clock) = self.connections.get_mut(&new.session).and_then(|connection| connection.clocks.get_mut(&new.clock))
        {
            clock.restart();
        }
    }

    /// Whether the connection has no room for this clock.
    pub(super) fn clocks_full(&self, session: SessionId, clock: u16) -> bool {
        self.connections.get(&session).is_some_and(|of| !of.clocks.contains_key(&clock) && of.clocks.len() >= CLOCKS_MAX)
    }

    pub(super) fn unbind(&mut self, turn: &mut Turn<'_>, session: SessionId, handle: SourceHandle) {
        let Some(source) = self.sources.remove(&handle) else { return };
        self.pace.forget(handle);
        if let Entry::Occupied(mut of) = self.of_boot.entry((source.key.clone(), source.boot)) {
            of.get_mut().retain(|other| *other != handle);
            if of.get().is_empty() {
                of.remove();
            }
        }
        if let Some(connection) = self.connections.get_mut(&session) {
            connection.sources.retain(|other| *other != handle);
            if connection.is_empty() {
                self.connections.remove(&session);
            }
        }
        self.workout_source_gone(turn, &source);
    }

    /// The connection ended, and its sources with it. A record that still waits for parts is not kept half: nothing of it was
    /// acknowledged, the source holds its parts and brings them again.
    pub(super) fn sources_gone(&mut self, turn: &mut Turn<'_>, session: SessionId) {
        self.pace.gone(session);
        let sources = self.connections.get(&session).map(|connection| connection.sources.clone()).unwrap_or_default();
        for handle in sources {
            self.unbind(turn, session, handle);
        }
    }

    pub(super) fn said(&mut self, turn: &mut Turn<'_>, handle: SourceHandle, said: Numbered) {
        self.pace.came(handle, said.seq, said.seq);
        self.with_source(turn, handle, |source, clock, turn, taken| match source.said(said, clock, turn.now, taken) {
            Ok(counter) => counter.into_iter().for_each(|counter| turn.count(counter)),
            Err(code) => turn.refuse(source.session, None, code),
        });
    }

    pub(super) fn lost(&mut self, turn: &mut Turn<'_>, handle: SourceHandle, from: u32, to: u32) {
        self.pace.came(handle, from, to);
        self.with_source(turn, handle, |source, clock, turn, taken| source.lost(from, to, clock, turn.now, taken));
    }

    /// Lets a source take something, and does what becomes whole by it.
    fn with_source(
        &mut self,
        turn: &mut Turn<'_>,
        handle: SourceHandle,
        step: impl FnOnce(&mut Source, &mut DeviceClock, &mut Turn<'_>, &mut Vec<Taken>),
    ) {
        let Some(mut source) = self.sources.remove(&handle) else { return };
        let mut taken = std::mem::take(&mut self.taken);
        if let Some(connection) = self.connections.get_mut(&source.session) {
            connection.acks.count();
            let clock = connection.clocks.entry(source.clock).or_default();
            step(&mut source, clock, turn, &mut taken);
        }
        for taken in taken.drain(..) {
            self.take(turn, &mut source, taken);
        }
        self.taken = taken;
        self.sources.insert(handle, source);
    }

    /// One whole thing: to the machine, to the workout, to the Recorder.
    fn take(&mut self, turn: &mut Turn<'_>, source: &mut Source, taken: Taken) {
        if let (Some(age_ms), Some(id)) = (taken.live_age_ms, source.key.machine) {
            self.machine_reads(turn, id, source, &taken, age_ms);
        }
        let workout = self.workout_takes(turn, source, &taken);
        if let Some(age_ms) = taken.live_age_ms {
            self.on_wall(turn, source, &taken, age_ms);
        }
        turn.out.push(source.keep(taken, workout));
    }

    /// Shows a fresh reading on the floor, at the machine or where the member of the device stands; a heart rate only with consent.
    fn on_wall(&mut self, turn: &Turn<'_>, source: &Source, taken: &Taken, age_ms: u32) {
        let Some(reading) = taken.reading() else { return };
        let at = match (source.key.machine, source.key.member) {
            (Some(id), _) => self.machines.get(&id),
            // The workout that it belongs to knows where its member stands.
            (None, Some(member)) => source
                .workout_of(taken.seq)
                .and_then(|(id, _)| self.workouts.get(&id)?.station().machine)
                .and_then(|id| self.machines.get(&id))
                .filter(|machine| machine.holder() == Some(member)),
            (None, None) => None,
        };
        let Some(machine) = at else { return };
        let record = machine.holder().and_then(|member| self.members.get(&member)).and_then(|here| here.record.as_ref());
        let (index, consented) = (machine.index, record.is_some_and(|record| record.wall_consent));
        if source.key.machine.is_some() {
            self.floor.live(index, reading, age_ms, consented, turn.now);
        } else {
            // Of a member's own device a wall shows the heart only; what moves is the machine's to say.
            self.floor.live(index, &reading.only(HEALTH), age_ms, consented, turn.now);
        }
    }

    /// Something new of a machine, fresh.
    fn machine_reads(&mut self, turn: &mut Turn<'_>, id: MachineId, source: &Source, taken: &Taken, age_ms: u32) {
        let now = turn.now;
        let Some(machine) = self.machines.get_mut(&id) else { return };
        machine.heard_at_ms = Some(now.at_ms);
        let moves = match &taken.what {
            KeepWhat::Reading(reading) => {
                if let Some(index) = machine.source_index(&source.key, source.boot) {
                    machine.classes.live(index, taken.seq, age_ms, &reading.only(!HEALTH), now, turn.out);
                }
                machine.motion.heard(reading, now.mono_ms)
            }
            KeepWhat::Rep(_) | KeepWhat::Stroke(_) => Some(true),
            KeepWhat::Set(_) | KeepWhat::Poison { .. } | KeepWhat::Lost { .. } => None,
        };
        let applied = taken.reading().and_then(|reading| machine.controls.read(reading));
        let stopped = moves.map(|moves| machine.stops.read(moves, now.mono_ms)).unwrap_or_default();
        self.control_news(turn, id, applied);
        self.stop_news(turn, id, stopped);
        if moves == Some(true) {
            self.moved(turn, id);
        }
    }

    pub(super) fn clock(&mut self, turn: &mut Turn<'_>, session: SessionId, clock: &Clock, answered_at_ms: i64) {
        let Some(connection) = self.connections.get_mut(&session) else { return };
        if let Some(device) = connection.clocks.get_mut(&clock.clock)
            && device.pair(clock, answered_at_ms, turn.now)
        {
            self.kept_since(turn, session, clock.clock);
        }
    }

    /// What is stored of a boot: for whoever says it under this nonce. Another device that has the same boot by mistake keeps what it has.
    pub(super) fn stored(
        &mut self,
        turn: &mut Turn<'_>,
        key: &SourceKey,
        (boot, nonce): (u32, u32),
        stored: &SeqRanges,
        rejected: &[(u32, u16)],
    ) {
        for &handle in self.of_boot.get(&(key.clone(), boot)).into_iter().flatten() {
            let Some(source) = self.sources.get_mut(&handle).filter(|source| source.nonce == nonce) else { continue };
            source.acks.store(stored);
            let session = source.session;
            let words: Vec<_> = rejected.iter().map(|(seq, code)| source.rejected(*seq, *code)).collect();
            words.into_iter().for_each(|word| turn.deliver(session, Lane::Event, word));
            stored.iter().for_each(|range| self.pace.came(handle, *range.start(), *range.end()));
        }
        self.workout_stored(turn, key, boot, stored);
    }

    pub(super) fn source_conflict(&mut self, turn: &mut Turn<'_>, key: &SourceKey, boot: u32) {
        self.tell_staff(turn, EventBody::SourceConflict { machine: key.machine, boot });
        let sessions: Vec<SessionId> =
            self.sources.values().filter(|source| source.key == *key && source.boot == boot).map(|source| source.session).collect();
        for session in sessions {
            turn.refuse(session, None, ErrorCode::SourceConflict);
        }
    }

    pub(super) fn not_accepted(&mut self, turn: &mut Turn<'_>, handle: SourceHandle, seq: u32, through: u32, absorbed: &[u32]) {
        self.pace.recorder_is_full(true);
        let Some(source) = self.sources.get_mut(&handle) else { return };
        if source.refuse(seq, through, absorbed) {
            turn.deliver(source.session, Lane::Event, Hold { slot: source.slot });
        }
    }

    pub(super) fn recorder_ready(&mut self, turn: &mut Turn<'_>) {
        self.pace.recorder_is_full(false);
        for source in self.sources.values_mut() {
            let refused = source.go_on();
            let jitter_ms = i64::from(turn.draw.below(JITTER_MS));
            self.pace.want(source.handle, source.session, source.slot, &refused, jitter_ms, turn.now);
        }
    }

    pub(super) fn readings_tick(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        let open: Vec<SourceHandle> = self.sources.iter().filter(|(_, source)| source.waits()).map(|(handle, _)| *handle).collect();
        for handle in open {
            self.with_source(turn, handle, |source, clock, turn, taken| source.tick(clock, turn.now, taken));
        }
        for (session, connection) in &mut self.connections {
            for (clock, device) in &mut connection.clocks {
                if let Some(asked_at_ms) = device.ask(now) {
                    turn.deliver(*session, Lane::Event, ClockAsk { clock: *clock, asked_at_ms });
                }
            }
        }
        self.acks_tick(turn);
        for (handle, ranges) in self.pace.tick(now, turn.out) {
            self.workout_source_fails(turn, handle, &ranges);
        }
    }

    fn acks_tick(&mut self, turn: &mut Turn<'_>) {
        for (session, connection) in &mut self.connections {
            let (due, mut news) = (connection.acks.is_due(turn.now), Vec::new());
            for handle in &connection.sources {
                if let Some(source) = self.sources.get_mut(handle) {
                    news.extend(source.acks.tick(source.slot, due));
                }
            }
            if let Some(ack) = connection.acks.packed(news, turn.now) {
                turn.deliver(*session, Lane::Event, ack);
            }
        }
    }

    /// Sources as the machine's room lists them.
    pub(super) fn sources_of_machine(&self, id: MachineId) -> Vec<RoomSource> {
        self.machines.get(&id).map(|machine| machine.sources()).unwrap_or_default()
    }
}
