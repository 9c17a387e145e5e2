//! The floor of a gym: the latest value of each machine, told once a tick.
//!
//! In: live readings, availability, time. Out: each 500 ms the rows of those machines that have news, for one frame that all watchers share; latest
//! values for snapshots. A row says the age of its values; it is told again when they go stale and when they are blank, so a value never looks
//! alive by being repeated. A tick costs what changed, not what stands or who watches. Heart rates are shown only of members who
//! consented to be on walls. Names, tickets and silence are the gym's to tell, in snapshots and events.

use protocol::frame::{FloorRow, FloorTick};
use protocol::limits::{BLANK_MS, FLOOR_TICK_MS, STALE_MS};
use protocol::{Field, Reading, RoomName, ServerFrame, SessionId};

use crate::effect::{Audience, Effect, Lane};
use crate::fresh::Latest;
use crate::input::Now;

/// Fields that a wall shows. What else a machine says is for its member.
const SHOWN: u32 = mask(&[
    Field::Speed,
    Field::Cadence,
    Field::Power,
    Field::Distance,
    Field::Energy,
    Field::Elapsed,
    Field::Incline,
    Field::Resistance,
    Field::Pace,
    Field::StrokeRate,
    Field::Strokes,
    Field::Steps,
    Field::StepRate,
    Field::Floors,
]);
/// Shown with consent only: it says how a person is.
const PERSONAL: u32 = Field::HeartRate.mask();

const _: () = assert!(SHOWN & PERSONAL == 0 && FLOOR_TICK_MS < STALE_MS);

const fn mask(fields: &[Field]) -> u32 {
    let (mut mask, mut at) = (0, 0);
    while at < fields.len() {
        mask |= fields[at].mask();
        at += 1;
    }
    mask
}

/// How much of a machine's value was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Told {
    /// Nothing is shown.
    #[default]
    Blank,
    /// As fresh.
    Fresh,
    /// As stale.
    Stale,
}

#[derive(Debug, Clone, Default)]
struct Place {
    availability: u8,
    latest: Latest,
    told: Told,
    /// Is in `changed` already.
    changed: bool,
    /// Is in `shown` already.
    shown: bool,
}

impl Place {
    fn row(&self, index: u16, now: Now) -> FloorRow {
        let (age_ms, reading) = self.latest.shown(now.mono_ms);
        FloorRow { index, availability: self.availability, age_ms, reading }
    }
}

/// Latest values of a gym's machines, by their floor index.
#[derive(Debug, Clone, Default)]
pub struct Floor {
    places: Vec<Place>,
    /// Indexes with news since the last tick.
    changed: Vec<u16>,
    /// Indexes with a value that may go stale or blank.
    shown: Vec<u16>,
    next_mono_ms: i64,
}

impl Floor {
    /// Takes a live reading of a machine or of its member's strap, `age_ms` old. `consented` is the member's to be shown on walls.
    pub fn live(&mut self, index: u16, reading: &Reading, age_ms: u32, consented: bool, now: Now) {
        let mask = if consented { SHOWN | PERSONAL } else { SHOWN };
        if reading.mask() & mask == 0 {
            return;
        }
        self.change(index).latest.take(reading, mask, now.mono_ms - i64::from(age_ms));
        let place = &mut self.places[usize::from(index)];
        if !place.shown {
            place.shown = true;
            self.shown.push(index);
        }
    }

    /// Takes the number of a machine's availability (0 available, 1 occupied, 2 maintenance, 3 unknown).
    pub fn availability(&mut self, index: u16, availability: u8) {
        if self.places.get(usize::from(index)).is_none_or(|place| place.availability != availability) {
            self.change(index).availability = availability;
        }
    }

    /// Forgets the values of a machine: its member left, or it was taken out.
    pub fn clear(&mut self, index: u16) {
        if self.places.get(usize::from(index)).is_some_and(|place| place.latest.taken_mono_ms().is_some()) {
            self.change(index).latest.clear();
        }
    }

    /// Takes the heart rate off the wall: the consent was withdrawn.
    pub fn withdraw(&mut self, index: u16) {
        if usize::from(index) < self.places.len() {
            self.change(index).latest.hide(PERSONAL);
        }
    }

    /// What is shown of a machine now, with its age; empty and 0 where blank.
    #[must_use]
    pub fn shown(&self, index: u16, now: Now) -> (u32, Reading) {
        self.places.get(usize::from(index)).map_or_else(|| (0, Reading::new()), |place| place.latest.shown(now.mono_ms))
    }

    /// The heart rate that may be shown of a machine's member, if it is fresh.
    #[must_use]
    pub fn heart_rate(&self, index: u16, now: Now) -> Option<i32> {
        self.places.get(usize::from(index))?.latest.fresh(Field::HeartRate, now.mono_ms)
    }

    /// Once each 500 ms, the rows with news; empty in between. Call at each tick of time.
    pub fn tick(&mut self, now: Now) -> Vec<FloorRow> {
        if now.mono_ms < self.next_mono_ms {
            return Vec::new();
        }
        // Ticks keep their beat; after a pause the beat starts anew.
        self.next_mono_ms = if now.mono_ms - self.next_mono_ms < FLOOR_TICK_MS { self.next_mono_ms } else { now.mono_ms } + FLOOR_TICK_MS;
        self.age(now);
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        let rows = changed.drain(..).map(|index| self.row(index, now)).collect();
        self.changed = changed;
        rows
    }

    /// Finds values that went stale or blank since they were told.
    fn age(&mut self, now: Now) {
        let (places, changed) = (&mut self.places, &mut self.changed);
        self.shown.retain(|index| {
            let place = &mut places[usize::from(*index)];
            let age_ms = place.latest.taken_mono_ms().map_or(i64::MAX, |taken| now.mono_ms - taken);
            let is = if age_ms >= BLANK_MS {
                Told::Blank
            } else if age_ms >= STALE_MS {
                Told::Stale
            } else {
                Told::Fresh
            };
            if is == Told::Blank {
                place.latest.clear();
            }
            if is != place.told && !place.changed {
                place.changed = true;
                changed.push(*index);
            }
            place.told = is;
            place.shown = is != Told::Blank;
            place.shown
        });
    }

    /// Every row as it stands, news or not: for a session that missed some. What counts as told does not change by it.
    #[must_use]
    pub fn all(&self, now: Now) -> Vec<FloorRow> {
        (0..).zip(&self.places).map(|(index, place)| place.row(index, now)).collect()
    }

    fn row(&mut self, index: u16, now: Now) -> FloorRow {
        let place = &mut self.places[usize::from(index)];
        place.changed = false;
        place.row(index, now)
    }

    /// The place of a machine, which has news now. Places are made up to the index, as machines are added.
    fn change(&mut self, index: u16) -> &mut Place {
        let at = usize::from(index);
        if at >= self.places.len() {
            self.places.resize_with(at + 1, || Place { availability: 3, ..Place::default() });
        }
        let place = &mut self.places[at];
        if !place.changed {
            place.changed = true;
            self.changed.push(index);
        }
        place
    }
}

/// One frame of these rows for an audience that knows the room under `handle`.
#[must_use]
pub fn broadcast(room: RoomName, audience: Audience, handle: u32, rows: Vec<FloorRow>, now: Now) -> Effect {
    Effect::Broadcast { room, audience, lane: lane(handle), frame: frame(handle, rows, now) }
}

/// One frame of all rows for a session that missed a tick.
#[must_use]
pub fn again(to: SessionId, handle: u32, rows: Vec<FloorRow>, now: Now) -> Effect {
    Effect::Deliver { to, lane: lane(handle), frame: frame(handle, rows, now) }
}

fn lane(handle: u32) -> Lane {
    Lane::Changes { key: u64::from(handle) << 16 }
}

fn frame(handle: u32, rows: Vec<FloorRow>, now: Now) -> Box<ServerFrame> {
    Box::new(ServerFrame::FloorTick(FloorTick { handle, at_ms: now.at_ms, rows }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(mono_ms: i64) -> Now {
        Now { at_ms: 0, mono_ms }
    }

    fn power(watts: i32) -> Reading {
        let mut reading = Reading::new();
        reading.set(Field::Power, watts);
        reading
    }

    /// Rows as (index, age, power).
    fn told(rows: &[FloorRow]) -> Vec<(u16, u32, Option<i32>)> {
        rows.iter().map(|row| (row.index, row.age_ms, row.reading.get(Field::Power))).collect()
    }

    #[test]
    fn a_tick_tells_only_what_changed_and_the_latest_of_it() {
        let mut floor = Floor::default();
        floor.tick(at(0));
        floor.live(3, &power(100), 20, false, at(100));
        floor.live(3, &power(110), 20, false, at(300));
        floor.live(1, &power(90), 0, false, at(400));
        assert_eq!(floor.tick(at(450)), []);
        assert_eq!(told(&floor.tick(at(500))), [(1, 100, Some(90)), (3, 220, Some(110))]);
        assert_eq!(floor.tick(at(1_000)), []);
    }

    #[test]
    fn a_machine_that_fell_silent_is_told_stale_and_then_blank_once_each() {
        let mut floor = Floor::default();
        floor.live(0, &power(100), 0, false, at(0));
        let told: Vec<_> = (0..80).flat_map(|tick| told(&floor.tick(at(tick * 500)))).collect();
        assert_eq!(told, [(0, 0, Some(100)), (0, 3_000, Some(100)), (0, 0, None)]);
    }

    #[test]
    fn a_heart_rate_is_on_the_wall_only_with_consent_and_goes_with_it() {
        let mut floor = Floor::default();
        let mut reading = power(100);
        reading.set(Field::HeartRate, 150);
        floor.live(0, &reading, 0, false, at(0));
        assert_eq!(floor.shown(0, at(10)).1.get(Field::HeartRate), None);
        floor.live(0, &reading, 0, true, at(20));
        assert_eq!(floor.shown(0, at(30)).1.get(Field::HeartRate), Some(150));
        floor.withdraw(0);
        assert_eq!(floor.shown(0, at(40)).1.get(Field::HeartRate), None);
    }

    #[test]
    fn whoever_missed_ticks_gets_every_row_at_once_and_nobody_else_hears_of_it() {
        let mut floor = Floor::default();
        floor.live(0, &power(100), 0, false, at(0));
        floor.tick(at(0));
        floor.live(1, &power(110), 0, false, at(600));
        assert_eq!(told(&floor.all(at(700))), [(0, 700, Some(100)), (1, 100, Some(110))]);
        assert_eq!(told(&floor.tick(at(1_000))), [(1, 400, Some(110))], "it is still news to all others");
    }

    #[test]
    fn availability_is_news_when_it_changes_and_unknown_before() {
        let mut floor = Floor::default();
        floor.availability(2, 0);
        floor.availability(2, 0);
        let rows = floor.tick(at(0));
        assert_eq!(rows.iter().map(|row| (row.index, row.availability)).collect::<Vec<_>>(), [(2, 0)]);
        floor.live(1, &power(1), 0, false, at(10));
        assert_eq!(floor.tick(at(500))[0].availability, 3);
    }

    #[test]
    fn a_member_who_leaves_takes_the_values_along() {
        let mut floor = Floor::default();
        floor.live(0, &power(100), 0, false, at(0));
        floor.tick(at(0));
        floor.clear(0);
        assert_eq!(told(&floor.tick(at(500))), [(0, 0, None)]);
    }

    proptest! {
        /// A wall that applies the ticks shows, at each tick, what the floor holds: within one tick for values, and never anything blank.
        #[test]
        fn a_wall_that_applies_the_ticks_shows_what_the_floor_holds(
            steps in prop::collection::vec((0_u16..6, 0_i32..500, 0_u32..4_000, 1_i64..4_000), 1..120),
        ) {
            let mut floor = Floor::default();
            let mut wall = std::collections::BTreeMap::new();
            let (mut ms, mut next) = (0, 0);
            for (index, watts, age_ms, pause_ms) in steps {
                floor.live(index, &power(watts), age_ms, false, at(ms));
                ms += pause_ms;
                while next <= ms {
                    for row in floor.tick(at(next)) { wall.insert(row.index, row.reading.get(Field::Power)); }
                    for index in 0..6 {
                        let held = floor.shown(index, at(next)).1.get(Field::Power);
                        prop_assert_eq!(wall.get(&index).copied().flatten(), held, "index {} at {}", index, next);
                    }
                    next += FLOOR_TICK_MS;
                }
            }
        }
    }
}
