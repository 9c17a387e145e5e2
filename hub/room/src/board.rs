//! One board: who did how much while a class or a contest runs.
//!
//! In: what the gym's workouts add up to, names that may be shown, heart-rate zones, time. Out: the stages and entries as events, the whole top of the board once
//! a tick where it changed, and facts for the store: from where a workout counted, and what it came to. A workout counts from the
//! moment the board runs and it is seen on one of its machines, while it is on them, until it is sealed or the board is over. Its sums are the workout's
//! own, so a reading that comes twice counts once. After a restart a workout shows no less than before only when it is
//! sealed: until then its sums begin anew, as in its own room. Does not know machines, claims or consent: the gym does.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use protocol::frame::{BoardEntry, BoardMetric, BoardRow, BoardSnapshot, BoardStage, BoardTick, EventBody, Reset, Snapshot, Totals};
use protocol::limits::{BOARD_ENTRIES_MAX, BOARD_ROWS_MAX};
use protocol::text::Text;
use protocol::{GymId, MachineId, MemberId, WorkoutId};

use crate::effect::{Audience, Effect, Lane, Persist};
use crate::input::{BoardPart, BoardRecord, Now};
use crate::log::EventLog;
use crate::turn::{Head, Turn};

/// A board stays this long after its end, so that the wall still shows who won.
pub const STAYS_MS: i64 = 24 * 60 * 60 * 1000;
/// Tenths of the own maximum at which the zones 2 to 5 begin.
const ZONES_PERCENT: [i64; 4] = [60, 70, 80, 90];

/// What one workout brings.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    member: MemberId,
    /// What the workout had before it counted, and what it did elsewhere since.
    base: u32,
    /// What the workout had when it was heard last.
    seen: u32,
    /// On one of the board's machines, when it was heard last on any.
    is_here: bool,
    /// Counted before this memory was made: what it did elsewhere is not known.
    is_restored: bool,
    score: u32,
    /// Heard since this memory was made: its score is worth keeping.
    is_heard: bool,
    is_settled: bool,
}

impl Part {
    const fn new(member: MemberId, base: u32, seen: u32) -> Self {
        Self { member, base, seen, is_here: true, is_restored: false, score: 0, is_heard: true, is_settled: false }
    }

    /// What came since the last look is of where it was then.
    fn hear(&mut self, done: &Done, so_far: u32) {
        let came = so_far.saturating_sub(std::mem::replace(&mut self.seen, so_far));
        // A restored one that is sealed elsewhere has no better sum than all of it.
        if self.is_here || done.is_whole || (self.is_restored && done.is_sealed) {
            let score = so_far.saturating_sub(self.base);
            self.score = if done.is_sealed { score } else { score.max(self.score) };
        } else {
            self.base = self.base.saturating_add(came);
        }
        self.is_here = done.is_here.unwrap_or(self.is_here);
        self.is_heard = true;
    }
}

/// A member on the board.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    index: u16,
    /// The handle, where it may be shown.
    name: Option<Text<48>>,
    zone: u8,
}

/// What a workout says to a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) workout: WorkoutId,
    pub(crate) member: MemberId,
    pub(crate) started_at_ms: i64,
    /// Whether its machine is one of the board's; none while it is on no machine.
    pub(crate) is_here: Option<bool>,
    /// Whether it was on no other machine than the board's.
    pub(crate) is_whole: bool,
    /// Sealed: its totals are the store's.
    pub(crate) is_sealed: bool,
    pub(crate) totals: Totals,
}

/// One board and its room.
#[derive(Debug)]
pub(crate) struct Board {
    record: BoardRecord,
    pub(crate) head: Head,
    stage: BoardStage,
    parts: BTreeMap<WorkoutId, Part>,
    entries: BTreeMap<MemberId, Entry>,
    told: Vec<BoardRow>,
    next_mono_ms: i64,
}

impl Board {
    /// A board as the store has it.
    pub(crate) fn new(mut record: BoardRecord, head: Head, now: Now) -> Self {
        let parts = std::mem::take(&mut record.parts);
        let stage = stage_at(&record, now.at_ms);
        let mut board =
            Self { record, head, stage, parts: BTreeMap::new(), entries: BTreeMap::new(), told: Vec::new(), next_mono_ms: now.mono_ms };
        for BoardPart { workout, member, base, score, name } in parts {
            if board.enter(member) {
                let settled = (score.unwrap_or(0), score.is_some());
                let part =
                    Part { is_restored: true, score: settled.0, is_heard: false, is_settled: settled.1, ..Part::new(member, base, 0) };
                board.parts.insert(workout, part);
                board.entries.get_mut(&member).into_iter().for_each(|entry| entry.name.clone_from(&name));
            }
        }
        board
    }

    /// Name, machines or times were changed. What was counted stays.
    pub(crate) fn change(&mut self, mut record: BoardRecord) {
        record.parts.clear();
        self.record = record;
    }

    /// Whether a workout at this machine takes part.
    pub(crate) fn takes(&self, machine: Option<MachineId>) -> bool {
        self.record.machines.is_empty() || machine.is_some_and(|machine| self.record.machines.contains(&machine))
    }

    /// Whether a workout is on the board already.
    pub(crate) fn has(&self, workout: WorkoutId) -> bool {
        self.parts.contains_key(&workout)
    }

    /// Whether the board still wants to hear of a workout.
    pub(crate) fn wants(&self, workout: WorkoutId) -> bool {
        match self.parts.get(&workout) {
            Some(part) => !part.is_settled,
            None => self.stage == BoardStage::Running,
        }
    }

    /// Whether it is time to look at the workouts again.
    pub(crate) const fn is_due(&self, now: Now) -> bool {
        now.mono_ms >= self.next_mono_ms
    }

    /// Whether nobody needs it any more.
    pub(crate) const fn is_past(&self, now: Now) -> bool {
        now.at_ms >= self.record.ends_at_ms.saturating_add(STAYS_MS)
    }

    /// Takes what a workout adds up to now. One that began before the board, or on a machine that is not the board's, counts from what it has
    /// when it is first seen; what it does on other machines later does not count either.
    pub(crate) fn counts(&mut self, turn: &mut Turn<'_>, done: &Done) {
        let so_far = amount(self.record.metric, &done.totals);
        if !self.parts.contains_key(&done.workout) {
            if !self.enter(done.member) {
                return;
            }
            let is_all = done.is_whole && done.started_at_ms >= self.record.starts_at_ms;
            let part = Part::new(done.member, if is_all { 0 } else { so_far }, so_far);
            turn.persist(self.fact(done.workout, &part, None));
            self.parts.insert(done.workout, part);
        }
        let Some(part) = self.parts.get_mut(&done.workout).filter(|part| !part.is_settled) else { return };
        part.hear(done, so_far);
        if done.is_sealed {
            self.settle(turn, done.workout);
        }
    }

    /// The name that may be shown of a member, or none. Returns whether one that was shown must be forgotten.
    pub(crate) fn name(&mut self, turn: &mut Turn<'_>, member: MemberId, name: Option<Text<48>>) -> bool {
        let Some(entry) = self.entries.get_mut(&member).filter(|entry| entry.name != name) else { return false };
        let was_shown = entry.name.is_some();
        entry.name.clone_from(&name);
        let index = entry.index;
        // A new name must not leave the old one in the log either.
        if was_shown {
            return true;
        }
        let id = turn.event_id();
        name.into_iter().for_each(|name| drop(self.head.tell(turn, Audience::All, id, EventBody::BoardEntered { index, name })));
        false
    }

    /// A member is being erased: what they did counts no more, and their row has neither name nor score. Returns whether they were on it.
    pub(crate) fn erase(&mut self, member: MemberId) -> bool {
        self.parts.retain(|_, part| part.member != member);
        let Some(entry) = self.entries.get_mut(&member) else { return false };
        (entry.name, entry.zone) = (None, 0);
        true
    }

    /// Names that may no longer be shown are gone from the log too: everybody takes the board anew.
    pub(crate) fn forget(&mut self, turn: &mut Turn<'_>, gym: GymId) {
        let (room, handle, epoch) = (self.head.name, self.head.log.handle(), turn.draw.epoch());
        self.head.log = EventLog::new(handle, epoch);
        let snapshot = Snapshot::Board(Box::new(self.snapshot(gym, turn.now)));
        let frame = Box::new(Reset { handle, epoch, offset: 0, snapshot }.into());
        turn.out.push(Effect::Broadcast { room, audience: Audience::All, lane: Lane::Event, frame });
    }

    /// Zones are told anew at each tick: one that is not was too old.
    pub(crate) fn forget_zones(&mut self) {
        self.entries.values_mut().for_each(|entry| entry.zone = 0);
    }

    /// The zone that a member's heart beats in now; 0 where it is not known or not to be shown.
    pub(crate) fn zone(&mut self, member: MemberId, zone: u8) {
        if let Some(entry) = self.entries.get_mut(&member) {
            entry.zone = zone;
        }
    }

    /// Members that it shows.
    pub(crate) fn members(&self) -> Vec<MemberId> {
        self.entries.keys().copied().collect()
    }

    /// Once each tick: the stage, and the top where it is another than told last. `watched` boards only are told.
    pub(crate) fn tick(&mut self, turn: &mut Turn<'_>, watchers: usize) {
        let now = turn.now;
        self.next_mono_ms = now.mono_ms + i64::from(self.record.every_ms);
        let stage = stage_at(&self.record, now.at_ms);
        if stage != self.stage {
            self.stage = stage;
            if stage == BoardStage::Running {
                // Its end was moved after it was over: whoever still trains counts on.
                self.parts.values_mut().for_each(|part| part.is_settled = false);
            }
            let id = turn.event_id();
            self.head.tell(turn, Audience::All, id, EventBody::BoardStage { stage });
        }
        if stage == BoardStage::Over {
            let heard: Vec<WorkoutId> =
                self.parts.iter().filter(|(_, part)| part.is_heard && !part.is_settled).map(|(id, _)| *id).collect();
            heard.into_iter().for_each(|workout| self.settle(turn, workout));
        }
        self.head.log.watched_by(watchers, now);
        let (count, rows) = self.rows();
        if watchers > 0 && rows != self.told {
            let handle = self.head.log.handle();
            let frame = Box::new(BoardTick { handle, at_ms: now.at_ms, count, rows: rows.clone() }.into());
            let lane = Lane::Live { key: u64::from(handle) << 16 };
            turn.out.push(Effect::Broadcast { room: self.head.name, audience: Audience::All, lane, frame });
            self.told = rows;
        }
    }

    /// As it is.
    pub(crate) fn snapshot(&self, gym: GymId, now: Now) -> BoardSnapshot {
        let (count, rows) = self.rows();
        let mut entries: Vec<BoardEntry> =
            self.entries.values().filter_map(|entry| Some(BoardEntry { index: entry.index, name: entry.name.clone()? })).collect();
        entries.sort_unstable_by_key(|entry| entry.index);
        let BoardRecord { board, name, metric, starts_at_ms, ends_at_ms, .. } = self.record.clone();
        BoardSnapshot { board, gym, name, metric, starts_at_ms, ends_at_ms, stage: self.stage, at_ms: now.at_ms, entries, count, rows }
    }

    /// Makes room for a member. Whoever comes after the last place is not on the board.
    fn enter(&mut self, member: MemberId) -> bool {
        let index = self.entries.len();
        if self.entries.contains_key(&member) {
            return true;
        }
        if index >= BOARD_ENTRIES_MAX {
            return false;
        }
        self.entries.insert(member, Entry { index: index as u16, name: None, zone: 0 });
        true
    }

    fn settle(&mut self, turn: &mut Turn<'_>, workout: WorkoutId) {
        let Some(part) = self.parts.get_mut(&workout) else { return };
        part.is_settled = true;
        let part = part.clone();
        turn.persist(self.fact(workout, &part, Some(part.score)));
    }

    const fn fact(&self, workout: WorkoutId, part: &Part, score: Option<u32>) -> Persist {
        Persist::BoardScore { board: self.record.board, workout, member: part.member, base: part.base, score }
    }

    /// How many are shown, and the best of them.
    fn rows(&self) -> (u16, Vec<BoardRow>) {
        let mut scores: BTreeMap<MemberId, u32> = BTreeMap::new();
        for part in self.parts.values() {
            let score = scores.entry(part.member).or_default();
            *score = score.saturating_add(part.score);
        }
        let shown = self.entries.iter().filter(|(_, entry)| entry.name.is_some());
        let mut rows: Vec<BoardRow> = shown
            .map(|(member, entry)| BoardRow { index: entry.index, score: scores.get(member).copied().unwrap_or(0), zone: entry.zone })
            .collect();
        rows.sort_unstable_by_key(|row| (Reverse(row.score), row.index));
        let count = rows.len() as u16;
        rows.truncate(BOARD_ROWS_MAX);
        (count, rows)
    }
}

const _: () = assert!(BOARD_ENTRIES_MAX < u16::MAX as usize);

const fn stage_at(record: &BoardRecord, at_ms: i64) -> BoardStage {
    if at_ms < record.starts_at_ms {
        BoardStage::Waiting
    } else if at_ms < record.ends_at_ms {
        BoardStage::Running
    } else {
        BoardStage::Over
    }
}

/// What a workout did, in the unit of the metric.
#[must_use]
pub fn amount(metric: BoardMetric, totals: &Totals) -> u32 {
    let whole = |amount: i64| u32::try_from(amount.max(0)).unwrap_or(u32::MAX);
    match metric {
        BoardMetric::Distance => whole(totals.distance_m),
        BoardMetric::Energy => whole(totals.energy_kcal),
        BoardMetric::Reps => totals.reps,
        BoardMetric::Strokes => totals.strokes,
        BoardMetric::Duration => whole(totals.duration_ms / 1000),
    }
}

/// The zone of a heart rate against the member's own maximum: five zones of tenths, as on most watches.
pub(crate) fn zone(heart_rate_bpm: i32, max_bpm: u16) -> u8 {
    let percent = i64::from(heart_rate_bpm) * 100;
    let above = ZONES_PERCENT.iter().filter(|begins| percent >= **begins * i64::from(max_bpm)).count();
    if heart_rate_bpm <= 0 || max_bpm == 0 { 0 } else { above as u8 + 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::RoomName;
    use uuid::Uuid;

    use super::*;
    use crate::draw::Draw;

    fn board(draw: &mut Draw) -> Board {
        let record = BoardRecord {
            board: protocol::BoardId(Uuid::from_u128(1)),
            name: Text::cut("b"),
            metric: BoardMetric::Energy,
            machines: vec![],
            starts_at_ms: 0,
            ends_at_ms: 1_000_000,
            every_ms: 500,
            parts: vec![],
        };
        Board::new(record, Head::new(RoomName::Board(protocol::BoardId(Uuid::from_u128(1))), draw), Now { at_ms: 0, mono_ms: 0 })
    }

    #[test]
    fn zones_begin_at_tenths_of_the_maximum() {
        let zones: Vec<u8> = [0, 80, 119, 120, 139, 140, 160, 179, 180, 230].iter().map(|bpm| zone(*bpm, 200)).collect();
        assert_eq!(zones, [0, 1, 1, 2, 2, 3, 4, 4, 5, 5]);
        assert_eq!(zone(150, 0), 0);
    }

    #[test]
    fn only_what_was_done_on_the_boards_machines_counts() {
        let (mut draw, mut out) = (Draw::new([1; 32], 1, 0, 1), Vec::new());
        let mut board = board(&mut draw);
        let mut turn = Turn { now: Now { at_ms: 10, mono_ms: 10 }, draw: &mut draw, out: &mut out };
        let (member, workout) = (MemberId(Uuid::from_u128(1)), WorkoutId(Uuid::from_u128(2)));
        // 900 on a treadmill after the class began, then to the class bike, off it and onto it again, and sealed elsewhere.
        for (is_here, energy_kcal, is_sealed, score) in [
            (Some(true), 900, false, 0),
            (Some(true), 950, false, 50),
            (Some(false), 960, false, 60),
            (Some(false), 1_500, false, 60),
            (None, 1_600, false, 60),
            (Some(true), 1_700, false, 60),
            (Some(true), 1_710, false, 70),
            (Some(false), 1_715, false, 75),
            (None, 1_800, true, 75),
        ] {
            let totals = Totals { energy_kcal, ..Totals::default() };
            board.counts(&mut turn, &Done { workout, member, started_at_ms: 5, is_here, is_whole: false, is_sealed, totals });
            assert_eq!(board.parts[&workout].score, score, "at {energy_kcal}");
        }
        assert!(board.parts[&workout].is_settled);
    }

    #[test]
    fn a_workout_that_was_nowhere_else_counts_whole_and_late_readings_with_it() {
        let (mut draw, mut out) = (Draw::new([1; 32], 1, 0, 1), Vec::new());
        let mut board = board(&mut draw);
        let mut turn = Turn { now: Now { at_ms: 10, mono_ms: 10 }, draw: &mut draw, out: &mut out };
        let (member, workout) = (MemberId(Uuid::from_u128(1)), WorkoutId(Uuid::from_u128(2)));
        for (is_here, energy_kcal, is_sealed) in [(Some(true), 30, false), (Some(false), 40, false), (None, 90, false), (None, 80, true)] {
            let totals = Totals { energy_kcal, ..Totals::default() };
            board.counts(&mut turn, &Done { workout, member, started_at_ms: 5, is_here, is_whole: true, is_sealed, totals });
            assert_eq!(i64::from(board.parts[&workout].score), energy_kcal);
        }
    }

    proptest! {
        /// Whatever workouts say in whatever order, the board is sorted, names only whom it may, and each score is the sum of the most that
        /// each of the member's workouts had.
        #[test]
        fn a_board_is_the_sum_of_workouts_sorted(
            said in prop::collection::vec((0_u128..6, 0_u128..12, 0_i64..500), 1..200), named in prop::collection::vec(any::<bool>(), 6),
        ) {
            let (mut draw, mut out) = (Draw::new([1; 32], 1, 0, 1), Vec::new());
            let mut board = board(&mut draw);
            let mut turn = Turn { now: Now { at_ms: 10, mono_ms: 10 }, draw: &mut draw, out: &mut out };
            let mut best: BTreeMap<(u128, u128), u32> = BTreeMap::new();
            for (who, which, energy_kcal) in said {
                // A workout is one member's.
                let (member, workout) = (MemberId(Uuid::from_u128(who)), WorkoutId(Uuid::from_u128(who * 100 + which)));
                let totals = Totals { energy_kcal, ..Totals::default() };
                board.counts(&mut turn, &Done { workout, member, started_at_ms: 5, is_here: Some(true), is_whole: true, is_sealed: false, totals });
                let most = best.entry((who, which)).or_default();
                *most = (*most).max(energy_kcal as u32);
            }
            for (who, named) in named.iter().enumerate() {
                board.name(&mut turn, MemberId(Uuid::from_u128(who as u128)), named.then(|| Text::cut("x")));
            }
            let (count, rows) = board.rows();
            prop_assert!(rows.is_sorted_by_key(|row| (Reverse(row.score), row.index)));
            prop_assert_eq!(usize::from(count), rows.len());
            for (member, entry) in &board.entries {
                let sum: u32 = best.iter().filter(|((who, _), _)| *who == member.0.as_u128()).map(|(_, most)| *most).sum();
                let row = rows.iter().find(|row| row.index == entry.index);
                prop_assert_eq!(row.map(|row| row.score), named[member.0.as_u128() as usize].then_some(sum));
            }
        }
    }
}
