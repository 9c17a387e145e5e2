//! What a workout says: to its room, to the member's other devices, to the store.
//!
//! In: what happened. Out: effects. Event ids follow from their causes (UUID version 5, RFC 9562), so that what is told twice, after a
//! restart too, is one event in the log and one row in the store.

use std::fmt;

use protocol::frame::{Alarm, EventBody, Saved, Totals};
use protocol::limits::SEQ_RANGES_MAX;
use protocol::{EventId, RoomName, ServerFrame, WorkoutId};
use uuid::Uuid;

use super::Workout;
use super::life::Life;
use super::points::Award;
use crate::classes::live_key;
use crate::effect::{Audience, Effect, Lane, Persist, Tell};
use crate::input::{MemberInput, Now};

/// Ids of events that follow from a cause live under this name.
const CAUSES: Uuid = Uuid::from_u128(0x8f14_9a52_77c1_4f0e_9d3b_1b62_2f60_5a11);
/// Tells a *saved* frame's key from a live one's of the same source.
const SAVED_KEY: u64 = 1 << 63;

impl Workout {
    pub(super) fn room(&self) -> RoomName {
        RoomName::Workout(self.seed.workout)
    }

    /// The id of an event that this workout caused.
    pub(super) fn cause(&self, cause: fmt::Arguments<'_>) -> EventId {
        event_id(self.seed.workout.0, cause)
    }

    /// The id of an event that a source numbered: the same from every connection.
    pub(super) fn numbered(&self, what: &str, index: u16, seq: u32) -> EventId {
        let stretch = &self.stretches[usize::from(index)];
        let (machine, sensor, boot) = (stretch.key.machine, &stretch.key.sensor, stretch.boot);
        self.cause(format_args!("{what}:{machine:?}:{sensor}:{boot}:{seq}"))
    }

    /// Tells the room. Returns whether it was new.
    pub(super) fn tell(&mut self, id: EventId, body: EventBody, now: Now, out: &mut Vec<Effect>) -> bool {
        let Some(event) = self.log.append(id, now.at_ms, body) else { return false };
        let frame = Box::new(ServerFrame::Event(event));
        out.push(Effect::Broadcast { room: self.room(), audience: Audience::All, lane: Lane::Event, frame });
        true
    }

    /// Tells the room and the store.
    pub(super) fn tell_and_keep(&mut self, id: EventId, body: EventBody, now: Now, out: &mut Vec<Effect>) {
        let Some(event) = self.log.append(id, now.at_ms, body) else { return };
        let (gym, room, member) = (self.seed.gym, self.room(), Some(self.seed.member));
        out.push(Effect::Persist(Persist::Event { gym, room, member, event: event.clone() }));
        let frame = Box::new(ServerFrame::Event(event));
        out.push(Effect::Broadcast { room, audience: Audience::All, lane: Lane::Event, frame });
    }

    /// Tells the room, the store and the member's other devices.
    fn tell_everywhere(&mut self, id: EventId, body: EventBody, now: Now, out: &mut Vec<Effect>) {
        if self.log.knows(id) {
            return;
        }
        self.tell_and_keep(id, body.clone(), now, out);
        let input = Box::new(MemberInput::Happened { body: Box::new(body) });
        out.push(Effect::Tell(Tell::Member { member: self.seed.member, input }));
    }

    /// Tells the store how it stands.
    pub(super) fn persist(&self, out: &mut Vec<Effect>) {
        let ended_at_ms = match self.life {
            Life::Running => None,
            Life::Ended { at_ms, .. } | Life::Sealed { at_ms, .. } => Some(at_ms),
        };
        out.push(Effect::Persist(Persist::Workout {
            workout: self.seed.workout,
            gym: self.seed.gym,
            member: self.seed.member,
            visit: self.seed.visit,
            stage: self.stage,
            started_at_ms: self.seed.started_at_ms,
            ended_at_ms,
        }));
    }

    pub(super) fn tell_stage(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.persist(out);
        let body = EventBody::Workout { workout: self.seed.workout, stage: self.stage, machine: self.station.machine };
        let id = self.cause(format_args!("stage:{:?}:{:?}:{}:{}", self.stage, self.station.machine, now.at_ms, self.log.offset()));
        self.tell_everywhere(id, body, now, out);
    }

    /// Gives points and achievements that these totals have earned.
    pub(super) fn earn(&mut self, totals: &Totals, now: Now, out: &mut Vec<Effect>) {
        let mut awards = Vec::new();
        self.points.earn(totals, |award| awards.push(award));
        for award in awards {
            let (id, body) = match award {
                Award::Points { ladder, step, points, reason } => {
                    (self.cause(format_args!("points:{ladder}:{step}")), EventBody::Points { points, reason })
                }
                Award::Achievement { name } => {
                    (event_id(self.seed.member.0, format_args!("achievement:{name}")), EventBody::Achievement { name })
                }
            };
            self.tell_everywhere(id, body, now, out);
        }
    }

    pub(super) fn raise(&self, alarm: Alarm, out: &mut Vec<Effect>) {
        let frame = Box::new(ServerFrame::Alarm(alarm));
        out.push(Effect::Broadcast { room: self.room(), audience: Audience::All, lane: Lane::Safety, frame });
    }

    /// Tells how far each source is stored, where that is news. At most 64 ranges, the highest: the page marks its newest readings.
    pub(super) fn tell_saved(&mut self, out: &mut Vec<Effect>) {
        let (room, handle) = (self.room(), self.seed.handle);
        for (index, stretch) in self.stretches.iter_mut().enumerate().filter(|(_, stretch)| stretch.news) {
            stretch.news = false;
            let source = index as u16;
            let over = stretch.stored.iter().len().saturating_sub(SEQ_RANGES_MAX);
            let stored = stretch.stored.iter().skip(over).map(|range| (*range.start(), *range.end())).collect();
            let lane = Lane::Live { key: SAVED_KEY | live_key(handle, source) };
            let frame = Box::new(ServerFrame::Saved(Saved { handle, source, stored }));
            out.push(Effect::Broadcast { room, audience: Audience::All, lane, frame });
        }
    }

    pub(super) fn persist_range(&self, index: u16, out: &mut Vec<Effect>) {
        if let Some(stretch) = self.stretches.get(usize::from(index)) {
            out.push(Effect::Persist(Persist::WorkoutRange { workout: self.seed.workout, range: stretch.range() }));
        }
    }
}

/// The id of what follows from a cause of something. Same cause, same id, on every node and after every restart.
/// The id of the event that a workout is sealed, or was amended, with this revision: whoever tells it, it is one.
#[must_use]
pub fn sealed_event(workout: WorkoutId, revision: u32) -> EventId {
    event_id(workout.0, format_args!("sealed:{revision}"))
}

fn event_id(whose: Uuid, cause: fmt::Arguments<'_>) -> EventId {
    let name = format!("{whose}:{cause}");
    EventId(Uuid::new_v5(&CAUSES, name.as_bytes()))
}
