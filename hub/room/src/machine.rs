//! One machine of a gym: what the store, its link and its member say of it.
//!
//! Owned by its gym. Who holds it, what it was told and what stops it stand in `claim`, `control` and `stop`; this file has the
//! state that they share, its link, and what becomes of it when the link is lost and comes back.

use protocol::field::{Field, Reading};
use protocol::frame::{Availability, Cause, ControlRanges, HeldClaim, MachineHello, MachineStatus, RoomSource, Sign};
use protocol::limits::STALE_MS;
use protocol::text::Text;
use protocol::{MachineId, MemberId, SessionId};

use crate::availability::{Seen, availability};
use crate::claim::Asking;
use crate::classes::Classes;
use crate::control::Controls;
use crate::gym::Kept;
use crate::input::{MachineRecord, SourceKey};
use crate::stop::Stops;
use crate::turn::Head;

/// A machine's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// Not heard since this node started.
    Never,
    /// Heard on this session.
    Up { session: SessionId, clock: u16 },
    /// Lost since.
    Lost { since_mono_ms: i64 },
}

/// What it said of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Facts {
    pub(crate) powered: bool,
    pub(crate) screen: bool,
    pub(crate) ranges: Option<ControlRanges>,
}

/// A claim that stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hold {
    pub(crate) held: HeldClaim,
    pub(crate) may_control: bool,
    pub(crate) sign: Option<Sign>,
    /// Last sign of life of its member; moved on by the time a link was lost.
    pub(crate) alive_mono_ms: i64,
    /// The machine's log before this is of other members.
    pub(crate) since_offset: u64,
}

/// Latest value of each field that control asks for, with when it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Motion {
    values: [Option<(i32, i64)>; MOTION.len()],
    /// When the last reading came that says whether it moves, and whether it did.
    moving: Option<(bool, i64)>,
}

const MOTION: [Field; 4] = [Field::Speed, Field::Incline, Field::Resistance, Field::Power];
/// Any of these above zero is movement; all that are there at zero is rest.
const MOVES: [Field; 5] = [Field::Speed, Field::Cadence, Field::Power, Field::StrokeRate, Field::StepRate];

impl Motion {
    /// Takes a new reading. Returns whether the machine moves, if the reading says.
    pub(crate) fn heard(&mut self, reading: &Reading, mono_ms: i64) -> Option<bool> {
        for (field, value) in MOTION.iter().zip(&mut self.values) {
            if let Some(read) = reading.get(*field) {
                *value = Some((read, mono_ms));
            }
        }
        let moves = moves(reading)?;
        self.moving = Some((moves, mono_ms));
        Some(moves)
    }

    /// The value of a field, if it is fresh.
    pub(crate) fn fresh(&self, field: Field, mono_ms: i64) -> Option<i32> {
        let at = MOTION.iter().position(|known| *known == field)?;
        self.values[at].filter(|(_, heard)| mono_ms - heard <= STALE_MS).map(|(value, _)| value)
    }

    /// Whether a fresh reading shows that it moves. Not known is not moving.
    pub(crate) fn moves(&self, mono_ms: i64) -> bool {
        self.shows(mono_ms) == Some(true)
    }

    /// What the last fresh reading shows: movement, rest, or nothing that could say.
    pub(crate) fn shows(&self, mono_ms: i64) -> Option<bool> {
        self.moving.filter(|(_, heard)| mono_ms - heard <= STALE_MS).map(|(moves, _)| moves)
    }

    /// Forgets everything: what was read before a break says nothing now.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Whether a reading shows movement; none where it has no field that could.
#[must_use]
pub(crate) fn moves(reading: &Reading) -> Option<bool> {
    MOVES.iter().filter_map(|field| reading.get(*field)).map(|value| value > 0).reduce(|one, other| one || other)
}

/// What walls were told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) availability: Availability,
    pub(crate) state: Option<MachineStatus>,
    pub(crate) member: Option<Text<48>>,
}

/// One machine.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) record: MachineRecord,
    pub(crate) index: u16,
    pub(crate) head: Head,
    pub(crate) classes: Classes,
    pub(crate) link: Link,
    pub(crate) heard_at_ms: Option<i64>,
    /// When it last said hello.
    pub(crate) hello_mono_ms: i64,
    pub(crate) facts: Option<Facts>,
    pub(crate) status: Option<MachineStatus>,
    pub(crate) cause: Cause,
    pub(crate) user_present: Option<bool>,
    /// The newest fence that was ever seen for it.
    pub(crate) fence: u64,
    /// The newest fence whose claim is known to be over: it does not come back, whatever the machine kept.
    pub(crate) ended_fence: u64,
    pub(crate) hold: Option<Hold>,
    /// The claim that it said it kept; counts while it is the one that stands.
    pub(crate) kept: Option<Kept>,
    pub(crate) asking: Option<Asking>,
    pub(crate) motion: Motion,
    /// Sensors heard, by the index that live values carry.
    sources: Vec<(SourceKey, u32)>,
    pub(crate) controls: Controls,
    pub(crate) stops: Stops,
    /// What the floor was told last.
    pub(crate) told: Option<Told>,
}

impl Machine {
    pub(crate) fn new(record: MachineRecord, index: u16, head: Head) -> Self {
        let fence = record.fence.max(record.claim.map_or(0, |claim| claim.fence));
        let ended_fence = if record.claim.is_none() { record.fence } else { 0 };
        let classes = Classes::new(head.name, head.log.handle());
        Self {
            record,
            index,
            head,
            classes,
            link: Link::Never,
            heard_at_ms: None,
            hello_mono_ms: 0,
            facts: None,
            status: None,
            cause: Cause::Unknown,
            user_present: None,
            fence,
            ended_fence,
            hold: None,
            kept: None,
            asking: None,
            motion: Motion::default(),
            sources: Vec::new(),
            controls: Controls::default(),
            stops: Stops::default(),
            told: None,
        }
    }

    pub(crate) fn id(&self) -> MachineId {
        self.record.machine
    }

    pub(crate) fn session(&self) -> Option<SessionId> {
        match self.link {
            Link::Up { session, .. } => Some(session),
            Link::Never | Link::Lost { .. } => None,
        }
    }

    pub(crate) fn holder(&self) -> Option<MemberId> {
        self.hold.as_ref().map(|hold| hold.held.member)
    }

    /// Fence of the claim that stands; 0 where nobody holds it.
    pub(crate) fn held_fence(&self) -> u64 {
        self.hold.as_ref().map_or(0, |hold| hold.held.fence)
    }

    /// A motor moves it. Not known is powered: the careful side.
    pub(crate) fn powered(&self) -> bool {
        self.facts.is_none_or(|facts| facts.powered)
    }

    pub(crate) fn availability(&self) -> Availability {
        availability(Seen {
            maintenance: self.record.maintenance,
            linked: self.session().is_some(),
            status: self.status,
            user_present: self.user_present,
            claimed: self.hold.is_some(),
        })
    }

    /// Whether a code or sticker of it may be claimed now.
    pub(crate) fn claimable(&self) -> bool {
        self.hold.is_none() && matches!(self.availability(), Availability::Available | Availability::Occupied)
    }

    /// Whether it stands, by all that is known now: only then is a later movement a sign of somebody new.
    pub(crate) fn rests(&self, mono_ms: i64) -> bool {
        !self.motion.moves(mono_ms) && matches!(self.status, Some(MachineStatus::Idle))
    }

    /// Takes what it says of itself on a new link.
    pub(crate) fn linked(&mut self, session: SessionId, hello: &MachineHello, mono_ms: i64) {
        if let (Link::Lost { since_mono_ms }, Some(hold)) = (self.link, &mut self.hold) {
            hold.alive_mono_ms += mono_ms - since_mono_ms;
        }
        self.link = Link::Up { session, clock: hello.clock };
        self.hello_mono_ms = mono_ms;
        self.facts = Some(Facts { powered: hello.model.powered, screen: hello.screen, ranges: hello.ranges });
        self.kept = hello.claim.map(|claim| Kept { fence: claim.fence, workout: claim.workout, since_dev_ms: hello.claim_since_dev_ms });
        self.status = Some(hello.state);
        self.cause = Cause::Unknown;
        self.user_present = hello.user_present;
        self.motion.forget();
    }

    /// Notes a source; a sensor with a new boot takes the place of the one before, a new sensor past `most` that of the last.
    pub(crate) fn list_source(&mut self, key: &SourceKey, boot: u32, most: usize) {
        if let Some((_, known)) = self.sources.iter_mut().find(|(known, _)| known == key) {
            *known = boot;
            return;
        }
        self.sources.truncate(most.saturating_sub(1));
        self.sources.push((key.clone(), boot));
    }

    /// The boot that a source was last bound with.
    pub(crate) fn listed_boot(&self, key: &SourceKey) -> Option<u32> {
        self.sources.iter().find(|(known, _)| known == key).map(|(_, boot)| *boot)
    }

    /// The index under which live values of a source go out.
    pub(crate) fn source_index(&self, key: &SourceKey, boot: u32) -> Option<u16> {
        let at = self.sources.iter().position(|(known, known_boot)| known == key && *known_boot == boot)?;
        u16::try_from(at).ok()
    }

    /// Its sources as rooms list them.
    pub(crate) fn sources(&self) -> Vec<RoomSource> {
        let workout = self.hold.as_ref().map(|hold| hold.held.workout);
        let list = |(at, (key, boot)): (usize, &(SourceKey, u32))| RoomSource {
            source: at as u16,
            machine: key.machine,
            sensor: key.sensor.clone(),
            boot: *boot,
            workout,
        };
        self.sources.iter().enumerate().map(list).collect()
    }

    /// Whether the member on it gave a sign of life.
    pub(crate) fn alive(&mut self, mono_ms: i64) {
        if let Some(hold) = &mut self.hold {
            hold.alive_mono_ms = mono_ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(values: &[(Field, i32)]) -> Reading {
        let mut reading = Reading::new();
        values.iter().for_each(|(field, value)| reading.set(*field, *value));
        reading
    }

    #[test]
    fn a_reading_without_motion_says_nothing_and_one_moving_field_is_movement() {
        assert_eq!(moves(&reading(&[(Field::HeartRate, 120)])), None);
        assert_eq!(moves(&reading(&[(Field::Speed, 0), (Field::Cadence, 0)])), Some(false));
        assert_eq!(moves(&reading(&[(Field::Speed, 0), (Field::Cadence, 4)])), Some(true));
    }

    #[test]
    fn movement_is_believed_for_three_seconds() {
        let mut motion = Motion::default();
        assert!(!motion.moves(0));
        motion.heard(&reading(&[(Field::Speed, 800)]), 1_000);
        assert!(motion.moves(1_000 + STALE_MS) && !motion.moves(1_001 + STALE_MS));
        assert_eq!(motion.fresh(Field::Speed, 1_001 + STALE_MS), None);
    }
}
