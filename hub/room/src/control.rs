//! Targets for machines: what may be sent, and what is known of it afterwards.
//!
//! In: a target and everything known of the machine, its answers, readings, time. Out: a command with its expiry in the machine's own
//! clock, or the error that refuses it; then [`ControlNews`]. One command at a time. A powered machine that stands is never sent a
//! target above zero; without a clock pair younger than 60 s nothing that raises effort is sent; a raise is bounded by the ramp
//! limit. Acknowledged is the machine's success, applied is a later reading that shows the target, everything else is unknown.
//! Nothing is sent twice and nothing outlives the link.

use protocol::field::{Field, Reading};
use protocol::frame::{CommandStage, ControlOutcome, ControlRanges, MachineStatus, Target};
use protocol::limits::COMMAND_LIFE_MS;
use protocol::{CommandId, ErrorCode, SessionId};
use smallvec::SmallVec;

use crate::machine::moves;

/// FTMS result code of success (FTMS 1.0, 4.16.2.22).
const SUCCESS: u8 = 1;
/// After its success a machine has this long to show the target in a reading.
const SHOWN_WITHIN_MS: i64 = 8_000;
/// The answer to a command may come this long after it expired.
const ANSWER_GRACE_MS: i64 = 500;
/// Results remembered for issuers who ask again under the same id.
const ENDED_MAX: usize = 4;

/// What is known of a machine when a target is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation {
    pub(crate) powered: bool,
    pub(crate) status: Option<MachineStatus>,
    pub(crate) ranges: Option<ControlRanges>,
    /// A fresh reading shows that it moves.
    pub(crate) moves: bool,
    /// Fresh value of the field that the target is about.
    pub(crate) current: Option<i32>,
    /// A clock pair younger than 60 s, and no stop just before.
    pub(crate) sure: bool,
    /// `now` plus a command's life by the machine's clock, if anything is known of that clock.
    pub(crate) expires_dev_ms: Option<i64>,
}

/// Why a target was not sent, with the numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) detail: Option<String>,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, detail: None }
    }
}

/// The field of a target and what it should become; none for a pause.
pub(crate) const fn aim(target: Target) -> Option<(Field, i32)> {
    match target {
        Target::SpeedCentikmh(value) => Some((Field::Speed, value)),
        Target::InclinePermille(value) => Some((Field::Incline, value)),
        Target::ResistanceTenths(value) => Some((Field::Resistance, value)),
        Target::PowerW(value) => Some((Field::Power, value)),
        Target::Pause => None,
    }
}

/// Most that one command may raise: 2 km/h, 3 %, five levels, 75 W.
const fn ramp(target: Target) -> i32 {
    match target {
        Target::SpeedCentikmh(_) => 200,
        Target::InclinePermille(_) => 30,
        Target::ResistanceTenths(_) => 50,
        Target::PowerW(_) => 75,
        Target::Pause => 0,
    }
}

const fn range(ranges: ControlRanges, target: Target) -> Option<(i32, i32)> {
    match target {
        Target::SpeedCentikmh(_) => ranges.speed_centikmh,
        Target::InclinePermille(_) => ranges.incline_permille,
        Target::ResistanceTenths(_) => ranges.resistance_tenths,
        Target::PowerW(_) => ranges.power_w,
        Target::Pause => None,
    }
}

/// Decides about a target. Returns the expiry of its command in the machine's clock.
///
/// # Errors
/// [`Refusal`] with the catalogue's code and the numbers that decided.
pub(crate) fn admit(target: Target, seen: &Situation) -> Result<i64, Refusal> {
    let expires_dev_ms = seen.expires_dev_ms.ok_or(ErrorCode::RaisesEffort)?;
    let Some((_, value)) = aim(target) else { return Ok(expires_dev_ms) };
    let (least, most) = seen.ranges.and_then(|ranges| range(ranges, target)).ok_or(ErrorCode::NotControllable)?;
    let refuse = |code, detail: String| Err(Refusal { code, detail: Some(detail) });
    if !(least..=most).contains(&value) {
        return refuse(ErrorCode::OutOfRange, format!("{least} to {most}"));
    }
    let stands = !seen.moves || !matches!(seen.status, Some(MachineStatus::Active | MachineStatus::Manual));
    if seen.powered && stands && value > 0 {
        return Err(ErrorCode::StartForbidden.into());
    }
    // What it is at now is not always read; then the careful guess is the least it can be.
    let from = seen.current.unwrap_or(least);
    if value > from {
        if !seen.sure {
            return Err(ErrorCode::RaisesEffort.into());
        }
        if i64::from(value) - i64::from(from) > i64::from(ramp(target)) {
            return refuse(ErrorCode::OutOfRange, format!("at most {} at once from {from}", ramp(target)));
        }
    }
    Ok(expires_dev_ms)
}

/// Whether a reading shows the target, within what machines round to.
fn shows(target: Target, reading: &Reading) -> bool {
    let Some((field, value)) = aim(target) else { return moves(reading) == Some(false) };
    let near = match target {
        Target::SpeedCentikmh(_) => 10,
        Target::InclinePermille(_) | Target::ResistanceTenths(_) => 5,
        Target::PowerW(_) => (value.unsigned_abs() / 10).max(10),
        Target::Pause => 0,
    };
    reading.get(field).is_some_and(|read| read.abs_diff(value) <= near)
}

/// What the issuer and the rooms must hear of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ControlNews {
    pub(crate) session: SessionId,
    pub(crate) id: CommandId,
    pub(crate) target: Target,
    pub(crate) outcome: ControlOutcome,
    pub(crate) code: Option<u8>,
}

impl ControlNews {
    /// Whether nothing more will come of the command.
    pub(crate) fn is_last(&self) -> bool {
        !matches!(self.outcome, ControlOutcome::Received | ControlOutcome::Acknowledged)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pending {
    session: SessionId,
    id: CommandId,
    target: Target,
    acknowledged: bool,
    known: Option<ControlOutcome>,
    until_mono_ms: i64,
}

/// What is known of a command under this id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing: it is new.
    New,
    /// It was sent before; what is known since, if anything.
    Repeat(Option<ControlOutcome>),
    /// Another one is pending.
    Busy,
}

/// The commands of one machine: at most one pending, and the last results.
#[derive(Debug, Clone, Default)]
pub(crate) struct Controls {
    pending: Option<Pending>,
    /// A stop ended; until then nothing raises effort.
    calm_until_mono_ms: Option<i64>,
    ended: SmallVec<[(CommandId, ControlOutcome); ENDED_MAX]>,
}

impl Controls {
    pub(crate) fn known(&self, id: CommandId) -> Known {
        if let Some((_, outcome)) = self.ended.iter().find(|ended| ended.0 == id) {
            return Known::Repeat(Some(*outcome));
        }
        match &self.pending {
            Some(pending) if pending.id == id => Known::Repeat(pending.known),
            Some(_) => Known::Busy,
            None => Known::New,
        }
    }

    /// A command goes out now.
    pub(crate) fn sent(&mut self, session: SessionId, id: CommandId, target: Target, mono_ms: i64) {
        let until_mono_ms = mono_ms + COMMAND_LIFE_MS + ANSWER_GRACE_MS;
        self.pending = Some(Pending { session, id, target, acknowledged: false, known: None, until_mono_ms });
    }

    /// A stop ended: what was asked for before it may still be on its way for as long as a command lives.
    pub(crate) fn calm(&mut self, mono_ms: i64) {
        self.calm_until_mono_ms = Some(mono_ms + COMMAND_LIFE_MS);
    }

    /// Whether a stop ended just now.
    pub(crate) fn is_calm(&self, mono_ms: i64) -> bool {
        self.calm_until_mono_ms.is_some_and(|until_mono_ms| mono_ms < until_mono_ms)
    }

    /// The machine answers.
    pub(crate) fn answered(&mut self, id: CommandId, stage: CommandStage, result: Option<u8>, mono_ms: i64) -> Option<ControlNews> {
        let pending = self.pending.as_mut().filter(|pending| pending.id == id)?;
        match (stage, result) {
            (CommandStage::Received, _) if pending.known.is_none() => {
                pending.known = Some(ControlOutcome::Received);
                Some(pending.news(ControlOutcome::Received, None))
            }
            (CommandStage::Answered, Some(SUCCESS)) if !pending.acknowledged => {
                pending.acknowledged = true;
                pending.known = Some(ControlOutcome::Acknowledged);
                pending.until_mono_ms = mono_ms + SHOWN_WITHIN_MS;
                Some(pending.news(ControlOutcome::Acknowledged, result))
            }
            (CommandStage::Received, _) | (CommandStage::Answered, Some(SUCCESS)) => None,
            (CommandStage::Answered, Some(code)) => self.end(ControlOutcome::Refused, Some(code)),
            (CommandStage::Answered, None) => self.end(ControlOutcome::Unknown, None),
            (CommandStage::Expired, _) => self.end(ControlOutcome::Expired, result),
            (CommandStage::ControlLost, _) => self.end(ControlOutcome::Lost, result),
        }
    }

    /// A new reading: after the machine's success it can show the target.
    pub(crate) fn read(&mut self, reading: &Reading) -> Option<ControlNews> {
        let shown = self.pending.filter(|pending| pending.acknowledged && shows(pending.target, reading))?;
        debug_assert_eq!(self.pending.map(|pending| pending.id), Some(shown.id));
        self.end(ControlOutcome::Applied, None)
    }

    /// Time passes.
    pub(crate) fn tick(&mut self, mono_ms: i64) -> Option<ControlNews> {
        self.pending.filter(|pending| mono_ms >= pending.until_mono_ms)?;
        self.cancel()
    }

    /// A stop was asked for, or the link was lost: nobody knows what became of what was sent, and it is not sent again.
    pub(crate) fn cancel(&mut self) -> Option<ControlNews> {
        self.end(ControlOutcome::Unknown, None)
    }

    /// Another claim: what was said under the one before is no longer known.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    fn end(&mut self, outcome: ControlOutcome, code: Option<u8>) -> Option<ControlNews> {
        let pending = self.pending.take()?;
        if self.ended.len() == ENDED_MAX {
            self.ended.remove(0);
        }
        self.ended.push((pending.id, outcome));
        Some(pending.news(outcome, code))
    }
}

impl Pending {
    const fn news(&self, outcome: ControlOutcome, code: Option<u8>) -> ControlNews {
        ControlNews { session: self.session, id: self.id, target: self.target, outcome, code }
    }
}
