//! Workouts that pause, lose their link, hand over, end and seal.

use std::collections::BTreeSet;

use proptest::prelude::*;
use protocol::frame::{MachineStatus, RepDetail, Saved};
use protocol::limits::{ABANDONED_AFTER_MS, SEAL_AFTER_MS, SEQ_RANGES_MAX};
use protocol::{SeqRanges, ServerFrame};
use smallvec::SmallVec;
use uuid::Uuid;

use super::life::SEALED_LIFE_MS;
use super::*;
use crate::effect::{Audience, Lane, Tell};
use crate::input::{SourceKey, WorkoutRange};

const UTC: i64 = 1_763_700_000_000;

fn now(ms: i64) -> Now {
    Now { at_ms: UTC + ms, mono_ms: ms }
}

fn bike() -> SourceKey {
    SourceKey { machine: Some(MachineId(Uuid::from_u128(1))), member: None, sensor: Text::cut("ftms") }
}

fn strap() -> SourceKey {
    SourceKey { machine: None, member: Some(MemberId(Uuid::from_u128(2))), sensor: Text::cut("strap:8C3D") }
}

fn seed() -> WorkoutSeed {
    WorkoutSeed {
        workout: WorkoutId(Uuid::from_u128(10)),
        gym: GymId(Uuid::from_u128(11)),
        member: MemberId(Uuid::from_u128(2)),
        visit: VisitId(Uuid::from_u128(12)),
        started_at_ms: UTC,
        handle: 7,
        epoch: Epoch(9),
        achievements: Vec::new(),
        ceiling_bpm: Some(170),
    }
}

fn begun() -> Workout {
    let mut out = Vec::new();
    let mut workout = Workout::begin(seed(), Station { machine: bike().machine, fence: 5, may_control: true }, now(0), &mut out);
    assert_eq!(workout.attach(&bike(), 1, 1, now(0), &mut out), Some(0));
    workout
}

fn taken(seq: u32, ms: i64, what: KeepWhat) -> Taken {
    Taken {
        seq,
        absorbed: SmallVec::new(),
        dev_ms: ms,
        received_at_ms: UTC + ms,
        corrected_at_ms: UTC + ms,
        live_age_ms: Some(20),
        is_backfill: false,
        is_first: false,
        is_outlived: false,
        is_guess: false,
        what,
        derived: 0,
    }
}

fn ride(seq: u32, ms: i64) -> Taken {
    let mut reading = Reading::new();
    reading.set(Field::Power, 200);
    reading.set(Field::Distance, 5_000 + seq as i32 * 10);
    taken(seq, ms, KeepWhat::Reading(reading))
}

fn late(taken: Taken) -> Taken {
    Taken { live_age_ms: None, is_backfill: true, ..taken }
}

fn ranges(pairs: &[(u32, u32)]) -> SeqRanges {
    pairs.iter().copied().collect()
}

/// Stages told, in order.
fn stages(out: &[Effect]) -> Vec<WorkoutStage> {
    let stage = |effect: &Effect| if let Effect::Persist(Persist::Workout { stage, .. }) = effect { Some(*stage) } else { None };
    out.iter().filter_map(stage).collect()
}

fn asked_to_add_up(out: &[Effect]) -> usize {
    out.iter().filter(|effect| matches!(effect, Effect::Persist(Persist::AddUp { .. }))).count()
}

fn events(out: &[Effect]) -> Vec<EventBody> {
    let body = |effect: &Effect| match effect {
        Effect::Broadcast { frame, .. } => {
            if let ServerFrame::Event(event) = &**frame {
                Some(event.body.clone())
            } else {
                None
            }
        }
        _ => None,
    };
    out.iter().filter_map(body).collect()
}

#[test]
fn it_goes_live_with_its_first_reading_pauses_with_its_machine_and_seals_when_all_is_stored() {
    let (mut workout, mut out) = (begun(), Vec::new());
    assert!(workout.take(0, &ride(1, 1_000), now(1_000), &mut out));
    workout.machine_state(MachineStatus::Paused, now(2_000), &mut out);
    workout.machine_state(MachineStatus::Active, now(3_000), &mut out);
    workout.take(0, &ride(2, 3_000), now(3_000), &mut out);
    workout.stored(&bike(), 1, &ranges(&[(1, 1)]), now(3_500), &mut out);
    workout.end(now(4_000), &mut out);
    workout.tick(now(4_050), &mut out);
    assert_eq!(asked_to_add_up(&out), 0, "the second reading is not stored");
    workout.stored(&bike(), 1, &ranges(&[(2, 2)]), now(5_000), &mut out);
    workout.tick(now(5_050), &mut out);
    workout.tick(now(5_100), &mut out);
    assert_eq!(asked_to_add_up(&out), 1);
    workout.totals_known(0, Totals { readings: 2, ..Totals::default() }, now(6_000), &mut out);
    use WorkoutStage::{Ended, Live, Paused, Sealed};
    assert_eq!(stages(&out), [Live, Paused, Live, Ended, Sealed]);
    assert_eq!(workout.totals().readings, 2);
    assert!(out.iter().any(|effect| matches!(effect, Effect::Persist(Persist::Totals { revision: 0, .. }))));
    assert!(workout.is_over(now(6_000 + SEALED_LIFE_MS)));
}

#[test]
fn a_lost_link_interrupts_it_and_its_buffer_is_reconciled_before_it_goes_on() {
    let (mut workout, mut out) = (begun(), Vec::new());
    workout.take(0, &ride(1, 1_000), now(1_000), &mut out);
    workout.link_lost(&bike(), 1, false, now(2_000), &mut out);
    workout.link_back(&bike(), 1, &ranges(&[(2, 3)]), now(60_000), &mut out);
    workout.take(0, &ride(4, 60_000), now(60_000), &mut out);
    workout.take(0, &late(ride(2, 20_000)), now(61_000), &mut out);
    workout.take(0, &late(ride(3, 40_000)), now(61_000), &mut out);
    use WorkoutStage::{Interrupted, Live, Reconciling};
    assert_eq!(stages(&out), [Live, Interrupted, Reconciling, Live]);
    let ring = workout.snapshot().ring;
    let rows: usize = ring.iter().map(|columns| columns.columns.seq.len()).sum();
    assert_eq!((rows, workout.totals().readings), (4, 4), "the chart has no gap");
    assert_eq!(workout.totals().distance_m, 30, "counters that went on meanwhile are counted once");
}

#[test]
fn a_strap_that_comes_and_goes_does_not_interrupt_what_the_machine_reads() {
    let (mut workout, mut out) = (begun(), Vec::new());
    workout.attach(&strap(), 1, 1, now(0), &mut out);
    workout.take(0, &ride(1, 1_000), now(1_000), &mut out);
    workout.link_lost(&strap(), 1, false, now(2_000), &mut out);
    assert_eq!(workout.stage(), WorkoutStage::Live);
}

#[test]
fn the_abandonment_clock_stands_still_while_the_link_is_lost() {
    let (mut workout, mut out) = (begun(), Vec::new());
    workout.take(0, &ride(1, 1_000), now(1_000), &mut out);
    workout.link_lost(&bike(), 1, false, now(2_000), &mut out);
    assert!(!workout.is_silent(now(10_000_000)));
    workout.link_back(&bike(), 1, &SeqRanges::new(), now(10_000_000), &mut out);
    assert!(!workout.is_silent(now(10_000_000 + ABANDONED_AFTER_MS - 1_001)));
    assert!(workout.is_silent(now(10_000_000 + ABANDONED_AFTER_MS)));
    workout.link_lost(&bike(), 1, false, now(20_000_000), &mut out);
    assert!(workout.is_silent(now(20_000_000 + SEAL_AFTER_MS)), "a day is enough");
}

#[test]
fn a_machine_that_reads_zeros_after_its_member_left_is_no_sign_of_life() {
    let (mut workout, mut out) = (begun(), Vec::new());
    let mut zero = Reading::new();
    zero.set(Field::Speed, 0);
    workout.take(0, &taken(1, ABANDONED_AFTER_MS, KeepWhat::Reading(zero)), now(ABANDONED_AFTER_MS), &mut out);
    assert!(workout.is_silent(now(ABANDONED_AFTER_MS)));
}

#[test]
fn what_was_read_before_the_end_belongs_though_the_link_was_lost() {
    let (mut workout, mut out) = (begun(), Vec::new());
    workout.take(0, &ride(1, 1_000), now(1_000), &mut out);
    workout.link_lost(&bike(), 1, false, now(2_000), &mut out);
    workout.end(now(10_000), &mut out);
    workout.link_back(&bike(), 1, &ranges(&[(1, 30)]), now(60_000), &mut out);
    let belongs: Vec<u32> =
        (2..=30).filter(|seq| workout.take(0, &late(ride(*seq, i64::from(*seq) * 1_000)), now(61_000), &mut out)).collect();
    assert_eq!(belongs, (2..=10).collect::<Vec<_>>());
    let last = out
        .iter()
        .rev()
        .find_map(|effect| if let Effect::Persist(Persist::WorkoutRange { range, .. }) = effect { Some(range.clone()) } else { None });
    assert_eq!(last.map(|range| (range.from_seq, range.to_seq)), Some((1, 10)));
    workout.tick(now(62_000), &mut out);
    assert_eq!(asked_to_add_up(&out), 0);
    workout.stored(&bike(), 1, &ranges(&[(1, 30)]), now(63_000), &mut out);
    workout.tick(now(63_050), &mut out);
    assert_eq!(asked_to_add_up(&out), 1);
}

#[test]
fn a_source_that_never_comes_back_is_waited_for_a_day() {
    let (mut workout, mut out) = (begun(), Vec::new());
    workout.take(0, &ride(1, 1_000), now(1_000), &mut out);
    workout.link_lost(&bike(), 1, false, now(2_000), &mut out);
    workout.end(now(3_000), &mut out);
    workout.tick(now(3_000 + SEAL_AFTER_MS - 1), &mut out);
    assert_eq!(asked_to_add_up(&out), 0);
    workout.tick(now(3_000 + SEAL_AFTER_MS), &mut out);
    assert_eq!(asked_to_add_up(&out), 1);
}

#[test]
fn a_machine_that_was_started_again_goes_on_and_what_its_old_boot_held_still_counts() {
    let (mut workout, mut out) = (begun(), Vec::new());
    workout.take(0, &ride(1, 1_000), now(1_000), &mut out);
    workout.link_lost(&bike(), 1, false, now(2_000), &mut out);
    workout.link_back(&bike(), 2, &SeqRanges::new(), now(30_000), &mut out);
    assert_eq!(workout.attach(&bike(), 2, 1, now(30_000), &mut out), Some(1));
    workout.take(1, &ride(1, 30_000), now(30_000), &mut out);
    assert_eq!(workout.stage(), WorkoutStage::Live);
    workout.link_back(&bike(), 1, &ranges(&[(2, 2)]), now(31_000), &mut out);
    assert!(workout.take(0, &late(ride(2, 2_000)), now(31_500), &mut out));
    workout.end(now(32_000), &mut out);
    workout.stored(&bike(), 1, &ranges(&[(1, 2)]), now(33_000), &mut out);
    workout.stored(&bike(), 2, &ranges(&[(1, 1)]), now(33_000), &mut out);
    workout.tick(now(33_050), &mut out);
    assert_eq!(asked_to_add_up(&out), 1);
}

#[test]
fn a_boot_that_is_not_bound_again_is_given_up_a_minute_after_the_next_one() {
    let (mut workout, mut out) = (begun(), Vec::new());
    workout.take(0, &ride(1, 1_000), now(1_000), &mut out);
    workout.stored(&bike(), 1, &ranges(&[(1, 1)]), now(1_500), &mut out);
    workout.link_lost(&bike(), 1, false, now(2_000), &mut out);
    workout.link_back(&bike(), 2, &SeqRanges::new(), now(30_000), &mut out);
    workout.end(now(31_000), &mut out);
    workout.tick(now(89_999), &mut out);
    assert_eq!(asked_to_add_up(&out), 0);
    workout.tick(now(91_000), &mut out);
    assert_eq!(asked_to_add_up(&out), 1);
}

#[test]
fn an_amendment_after_sealing_is_told_with_its_revision_once() {
    let (mut workout, mut out) = (begun(), Vec::new());
    workout.end(now(1_000), &mut out);
    workout.tick(now(2_000), &mut out);
    workout.totals_known(0, Totals::default(), now(3_000), &mut out);
    out.clear();
    let amended = Totals { readings: 9, ..Totals::default() };
    workout.totals_known(1, amended, now(9_000), &mut out);
    workout.totals_known(1, amended, now(9_100), &mut out);
    let sealed: Vec<u32> = events(&out)
        .into_iter()
        .filter_map(|body| if let EventBody::Sealed { revision, .. } = body { Some(revision) } else { None })
        .collect();
    assert_eq!((sealed, workout.totals()), (vec![1], amended));
}

#[test]
fn it_goes_on_at_another_machine_with_both_counted() {
    let (mut workout, mut out) = (begun(), Vec::new());
    (1..=11).for_each(|seq| {
        workout.take(0, &ride(seq, i64::from(seq) * 1_000), now(i64::from(seq) * 1_000), &mut out);
    });
    workout.detach(&bike(), 1, 11, now(12_000), &mut out);
    let rower = SourceKey { machine: Some(MachineId(Uuid::from_u128(3))), member: None, sensor: Text::cut("ftms") };
    workout.move_to(Station { machine: rower.machine, fence: 6, may_control: false }, now(12_000), &mut out);
    assert_eq!(workout.attach(&rower, 4, 900, now(13_000), &mut out), Some(1));
    (900..=910).for_each(|seq| {
        workout.take(1, &ride(seq, i64::from(seq) * 1_000), now(i64::from(seq) * 1_000), &mut out);
    });
    let snapshot = workout.snapshot();
    assert_eq!((snapshot.machine, snapshot.fence, snapshot.sources.len()), (rower.machine, 6, 2));
    assert_eq!((snapshot.totals.distance_m, snapshot.totals.duration_ms), (200, 20_000));
    assert!(!workout.take(0, &ride(12, 12_000), now(14_000), &mut out), "the bike is somebody else's now");
}

#[test]
fn reps_sets_and_logs_stand_side_by_side_and_each_is_told_once() {
    let (mut workout, mut out) = (begun(), Vec::new());
    let rep = RepDetail {
        set: 1,
        rep: 1,
        load_hg: 600,
        range_mm: 0,
        mean_mm_s: 0,
        peak_mm_s: 0,
        peak_power_w: 0,
        concentric_ms: 0,
        eccentric_ms: 0,
    };
    let set = SetDetail { set: 1, exercise: None, target_reps: 0, reps: 8, load_hg: 600, seconds: 0, rest_s: 0, tempo: None, note: None };
    let logged = SetDetail { reps: 10, ..set.clone() };
    for _ in 0..2 {
        workout.take(0, &taken(1, 1_000, KeepWhat::Rep(rep)), now(1_000), &mut out);
        workout.take(0, &taken(2, 2_000, KeepWhat::Set(set.clone())), now(2_000), &mut out);
        workout.log_set(EventId(Uuid::from_u128(77)), UTC, &logged, now(3_000), &mut out);
    }
    assert_eq!(workout.snapshot().sets, [set, logged]);
    let told = events(&out);
    let count = |is: fn(&EventBody) -> bool| told.iter().filter(|body| is(body)).count();
    assert_eq!(count(|body| matches!(body, EventBody::Rep(_))), 1);
    assert_eq!(count(|body| matches!(body, EventBody::Set(_) | EventBody::SetLogged(_))), 2);
    assert_eq!((workout.totals().reps, workout.totals().sets), (1, 1));
}

#[test]
fn a_kilometre_earns_points_under_an_id_that_follows_from_it() {
    let mut ids = BTreeSet::new();
    for _ in 0..2 {
        let (mut workout, mut out) = (begun(), Vec::new());
        (1..=101).for_each(|seq| {
            workout.take(0, &ride(seq, i64::from(seq) * 1_000), now(i64::from(seq) * 1_000), &mut out);
        });
        assert_eq!(workout.snapshot().points, 10);
        let told = out.iter().filter_map(|effect| match effect {
            Effect::Persist(Persist::Event { event, .. }) if matches!(event.body, EventBody::Points { .. }) => Some(event.id),
            _ => None,
        });
        ids.extend(told);
        assert!(out.iter().any(|effect| matches!(effect, Effect::Tell(Tell::Member { .. }))));
    }
    assert_eq!(ids.len(), 1, "the same cause in another memory makes the same event");
}

#[test]
fn saved_is_told_once_a_second_and_only_what_the_store_said() {
    let (mut workout, mut out) = (begun(), Vec::new());
    workout.take(0, &ride(1, 100), now(100), &mut out);
    workout.tick(now(1_000), &mut out);
    workout.stored(&bike(), 1, &ranges(&[(1, 1)]), now(1_100), &mut out);
    workout.tick(now(1_500), &mut out);
    workout.tick(now(2_000), &mut out);
    workout.tick(now(3_000), &mut out);
    let saved: Vec<Saved> = out
        .iter()
        .filter_map(|effect| match effect {
            Effect::Broadcast { frame, .. } => {
                if let ServerFrame::Saved(saved) = &**frame {
                    Some(saved.clone())
                } else {
                    None
                }
            }
            _ => None,
        })
        .collect();
    assert_eq!(saved, [Saved { handle: 7, source: 0, stored: ranges(&[(1, 1)]) }]);
}

#[test]
fn a_heart_above_its_ceiling_is_told_on_the_safety_lane() {
    let (mut workout, mut out) = (begun(), Vec::new());
    workout.attach(&strap(), 1, 1, now(0), &mut out);
    for seq in 1..=12 {
        let mut reading = Reading::new();
        reading.set(Field::HeartRate, 180);
        let ms = i64::from(seq) * 1_000;
        workout.take(1, &taken(seq, ms, KeepWhat::Reading(reading)), now(ms), &mut out);
    }
    let alarms =
        out.iter().filter(|effect| matches!(effect, Effect::Broadcast { lane: Lane::Safety, audience: Audience::All, .. })).count();
    assert_eq!(alarms, 1);
}

#[test]
fn after_a_restart_it_goes_on_when_its_machine_is_back_and_seals_by_its_sources_word() {
    let range = WorkoutRange { source: bike(), boot: 1, from_seq: 1, to_seq: u32::MAX };
    let record = WorkoutRecord {
        workout: seed().workout,
        member: seed().member,
        started_at_ms: UTC,
        ended_at_ms: None,
        stage: WorkoutStage::Live,
        visit: seed().visit,
        ranges: vec![(range, SeqRanges::from_iter([(1, 399)]))],
    };
    let mut out = Vec::new();
    let mut workout = Workout::restore(seed(), Station::default(), &record, now(0));
    assert!(!workout.is_silent(now(10_000_000)));
    assert_eq!(workout.attach(&bike(), 1, 500, now(9_000), &mut out), Some(0), "the same stretch goes on");
    workout.link_back(&bike(), 1, &ranges(&[(400, 499)]), now(9_000), &mut out);
    assert_eq!(workout.stage(), WorkoutStage::Reconciling);
    (400..=500).for_each(|seq| {
        workout.take(0, &ride(seq, i64::from(seq)), now(9_500), &mut out);
    });
    workout.end(now(10_000), &mut out);
    workout.stored(&bike(), 1, &ranges(&[(400, 500)]), now(11_000), &mut out);
    workout.tick(now(11_050), &mut out);
    assert_eq!(asked_to_add_up(&out), 1);
}

fn restored(from_seq: u32, stored: &[(u32, u32)]) -> Workout {
    let record = WorkoutRecord {
        workout: seed().workout,
        member: seed().member,
        started_at_ms: UTC,
        ended_at_ms: None,
        stage: WorkoutStage::Live,
        visit: seed().visit,
        ranges: vec![(WorkoutRange { source: bike(), boot: 1, from_seq, to_seq: u32::MAX }, ranges(stored))],
    };
    Workout::restore(seed(), Station::default(), &record, now(0))
}

/// Where the range ends that was told last.
fn last_seq(out: &[Effect]) -> Option<u32> {
    let to = |effect: &Effect| if let Effect::Persist(Persist::WorkoutRange { range, .. }) = effect { Some(range.to_seq) } else { None };
    out.iter().rev().find_map(to)
}

#[test]
fn a_workout_that_ends_right_after_a_restart_keeps_what_was_read_before_it() {
    let ended = |out: &mut Vec<Effect>| {
        let mut workout = restored(100, &[]);
        workout.link_back(&bike(), 1, &SeqRanges::new(), now(1_000), out);
        workout.end(now(2_000), out);
        workout
    };
    let mut out = Vec::new();
    assert!(!ended(&mut out).take(0, &ride(700, 3_000), now(3_000), &mut out), "read after the end");
    assert_eq!(last_seq(&out), Some(699));
    let mut workout = ended(&mut out);
    workout.gives_way(&bike(), 1, 650, now(4_000), &mut out);
    assert_eq!(last_seq(&out), Some(649));
    workout.tick(now(4_100), &mut out);
    assert_eq!(asked_to_add_up(&out), 1);
    let mut workout = ended(&mut out);
    assert!(workout.take(0, &ride(101, 1_900), now(2_100), &mut out), "numbered while its bind was answered");
}

#[test]
fn a_source_that_holds_more_than_a_bind_can_list_is_not_taken_to_stand_where_the_list_ends() {
    let held: SeqRanges = (0..SEQ_RANGES_MAX as u32).map(|n| 100 + 2 * n).collect();
    let (mut workout, mut out) = (restored(100, &[]), Vec::new());
    workout.link_back(&bike(), 1, &held, now(1_000), &mut out);
    workout.stored(&bike(), 1, &held, now(1_500), &mut out);
    workout.end(now(9_000), &mut out);
    workout.tick(now(20_000), &mut out);
    assert_eq!((asked_to_add_up(&out), last_seq(&out)), (0, Some(u32::MAX)));
}

#[test]
fn a_machine_that_said_all_before_a_restart_does_not_keep_its_workout_from_sealing() {
    let (mut workout, mut out) = (restored(1, &[(1, 199)]), Vec::new());
    workout.link_back(&bike(), 1, &SeqRanges::new(), now(1_000), &mut out);
    workout.end(now(2_000), &mut out);
    workout.tick(now(2_900), &mut out);
    assert_eq!(asked_to_add_up(&out), 0, "what it read since its bind may be on the way");
    workout.tick(now(4_000), &mut out);
    assert_eq!(last_seq(&out), Some(199));
    assert_eq!(asked_to_add_up(&out), 1);
}

#[test]
fn a_boot_that_was_stored_before_a_restart_keeps_its_readings_when_the_next_one_takes_over() {
    let (mut workout, mut out) = (restored(1, &[(1, 270)]), Vec::new());
    assert_eq!(workout.attach(&bike(), 2, 1, now(1_000), &mut out), Some(1));
    workout.link_back(&bike(), 2, &SeqRanges::new(), now(1_000), &mut out);
    workout.end(now(2_000), &mut out);
    workout.tick(now(70_000), &mut out);
    let range = WorkoutRange { source: bike(), boot: 1, from_seq: 1, to_seq: 270 };
    assert!(out.contains(&Effect::Persist(Persist::WorkoutRange { workout: seed().workout, range })));
}

#[test]
fn a_workout_that_ended_before_a_restart_takes_what_was_read_before_its_end() {
    let record = WorkoutRecord {
        workout: seed().workout,
        member: seed().member,
        started_at_ms: UTC,
        ended_at_ms: Some(UTC + 5_000),
        stage: WorkoutStage::Ended,
        visit: seed().visit,
        ranges: vec![(WorkoutRange { source: bike(), boot: 1, from_seq: 1, to_seq: u32::MAX }, SeqRanges::new())],
    };
    let mut out = Vec::new();
    let mut workout = Workout::restore(seed(), Station::default(), &record, now(60_000));
    workout.link_back(&bike(), 1, &ranges(&[(1, 9)]), now(61_000), &mut out);
    let belongs = (1..=9).filter(|seq| workout.take(0, &late(ride(*seq, i64::from(*seq) * 1_000)), now(62_000), &mut out)).count();
    assert_eq!((belongs, workout.stage()), (5, WorkoutStage::Ended));
}

proptest! {
    /// Readings, losses, returns and commits in any order: what is counted is each number once, and it is added up only after
    /// everything that came was stored.
    #[test]
    fn it_is_never_added_up_before_all_that_came_is_stored(
        steps in prop::collection::vec((0_u8..6, 1_u32..40), 1..150),
    ) {
        let (mut workout, mut out) = (begun(), Vec::new());
        let (mut came, mut stored) = (SeqRanges::new(), SeqRanges::new());
        let mut ms = 0;
        for (what, seq) in steps {
            ms += 100;
            match what {
                0 | 1 => {
                    if workout.take(0, &ride(seq, i64::from(seq) * 100), now(ms), &mut out) { came.insert(seq, seq); }
                }
                2 if came.contains(seq) => { stored.insert(seq, seq); workout.stored(&bike(), 1, &ranges(&[(seq, seq)]), now(ms), &mut out); }
                3 => workout.link_lost(&bike(), 1, false, now(ms), &mut out),
                4 => { let held = came.difference(&stored); workout.link_back(&bike(), 1, &held, now(ms), &mut out); }
                _ => { workout.end(now(ms), &mut out); workout.tick(now(ms), &mut out); }
            }
            prop_assert_eq!(workout.totals().readings, came.count());
            if asked_to_add_up(&out) > 0 {
                let missing = came.difference(&stored);
                prop_assert!(missing.is_empty(), "{:?} are not stored", missing);
                break;
            }
        }
    }
}

#[test]
fn what_comes_of_a_boot_that_is_over_is_told_by_its_own_clock() {
    // The clock of the next boot says another time: an hour later, or earlier.
    for wrong_ms in [3_600_000, -3_600_000] {
        let (mut workout, mut out) = (begun(), Vec::new());
        workout.take(0, &ride(1, 1_000), now(1_000), &mut out);
        workout.link_lost(&bike(), 1, false, now(2_000), &mut out);
        workout.end(now(5_000), &mut out);
        workout.link_back(&bike(), 1, &ranges(&[(2, 9)]), now(30_000), &mut out);
        let outlived = |seq: u32, ms: i64| {
            let row = late(ride(seq, ms));
            Taken { is_outlived: true, corrected_at_ms: row.corrected_at_ms + wrong_ms, ..row }
        };
        assert!(workout.take(0, &outlived(2, 4_000), now(31_000), &mut out), "{wrong_ms}");
        let after = workout.take(0, &outlived(10, 9_000), now(31_000), &mut out);
        assert!(!after, "{wrong_ms}");
    }
}

#[test]
fn a_boot_that_is_over_and_unbound_holds_up_nothing() {
    let (mut workout, mut out) = (begun(), Vec::new());
    workout.take(0, &ride(1, 1_000), now(1_000), &mut out);
    workout.stored(&bike(), 1, &ranges(&[(1, 1)]), now(1_500), &mut out);
    workout.attach(&bike(), 2, 1, now(2_000), &mut out);
    workout.link_back(&bike(), 2, &SeqRanges::new(), now(2_000), &mut out);
    workout.take(1, &ride(1, 3_000), now(3_000), &mut out);
    workout.link_lost(&bike(), 1, true, now(4_000), &mut out);
    assert_eq!(workout.stage(), WorkoutStage::Live);
    // The whole connection goes: what the boot before held is waited for again.
    workout.link_lost(&bike(), 2, false, now(5_000), &mut out);
    assert_eq!(workout.stage(), WorkoutStage::Interrupted);
    workout.link_back(&bike(), 2, &SeqRanges::new(), now(70_000), &mut out);
    workout.take(1, &ride(2, 70_000), now(70_500), &mut out);
    workout.stored(&bike(), 2, &ranges(&[(1, 2)]), now(71_000), &mut out);
    workout.end(now(72_000), &mut out);
    workout.tick(now(129_000), &mut out);
    assert_eq!(asked_to_add_up(&out), 0);
    workout.tick(now(131_000), &mut out);
    assert_eq!(asked_to_add_up(&out), 1);
}

#[test]
fn numbers_full_of_holes_do_not_grow_without_bound() {
    let (mut workout, mut out) = (begun(), Vec::new());
    for step in 0..5_000_u32 {
        workout.take(0, &ride(1 + step * 2, i64::from(step)), now(i64::from(step)), &mut out);
        workout.stored(&bike(), 1, &ranges(&[(1 + step * 2, 1 + step * 2)]), now(i64::from(step)), &mut out);
    }
    let stretch = &workout.stretches[0];
    assert!(stretch.counted.iter().len() <= 1_024 && stretch.stored.iter().len() <= 1_024);
}

#[test]
fn what_a_machine_read_under_its_second_claim_is_not_missed_for_what_it_read_under_the_first() {
    let (mut workout, mut out) = (begun(), Vec::new());
    let (here, there) = (Station { machine: bike().machine, fence: 7, may_control: true }, Station { fence: 6, ..Station::default() });
    workout.take(0, &ride(1, 1_000), now(1_000), &mut out);
    workout.detach(&bike(), 1, 10, now(2_000), &mut out);
    workout.move_to(there, now(2_000), &mut out);
    workout.move_to(here, now(3_000), &mut out);
    workout.move_to(there, now(60_000), &mut out);
    let left = here.machine.map(|machine| (machine, here.fence)).expect("a machine");
    workout.attach_left(&bike(), 1, left, 11..=40, now(70_000), &mut out);
    assert_eq!(workout.stretches_of(&bike(), 1).map(|(_, from, to)| (from, to)).collect::<Vec<_>>(), [(1, 10), (11, u32::MAX)]);
}

#[test]
fn what_comes_of_a_boot_that_is_over_is_charted_when_it_was_read() {
    let (mut workout, mut out) = (begun(), Vec::new());
    workout.take(0, &ride(1, 1_000), now(1_000), &mut out);
    let row = late(ride(2, 2_000));
    let outlived = Taken { is_outlived: true, corrected_at_ms: row.corrected_at_ms + 500_000, ..row };
    workout.take(0, &outlived, now(600_000), &mut out);
    let charted = |workout: &Workout| workout.snapshot().ring.iter().map(|columns| columns.offset_ms).collect::<Vec<_>>();
    assert_eq!(charted(&workout), [UTC]);
}

#[test]
fn records_in_two_parts_are_one_range_and_none_counts_twice() {
    let (mut workout, mut out) = (begun(), Vec::new());
    let record = |seq: u32| Taken { absorbed: SmallVec::from_slice(&[seq + 1]), ..ride(seq, i64::from(seq) * 500) };
    for step in 0..2_000_u32 {
        workout.take(0, &record(1 + step * 2), now(i64::from(step) * 1_000), &mut out);
    }
    workout.take(0, &late(record(1)), now(2_000_000), &mut out);
    assert_eq!((workout.totals().readings, workout.stretches[0].counted.iter().len()), (2_000, 1));
}

#[test]
fn what_a_source_holds_and_does_not_bring_holds_up_nothing_and_is_late_when_it_comes() {
    let (mut workout, mut out) = (begun(), Vec::new());
    workout.link_back(&bike(), 1, &ranges(&[(1, 50)]), now(500), &mut out);
    assert_eq!(workout.stage(), WorkoutStage::Reconciling);
    workout.take(0, &ride(51, 1_000), now(1_000), &mut out);
    workout.stored(&bike(), 1, &ranges(&[(51, 51)]), now(2_000), &mut out);
    workout.not_brought(&bike(), 1, &ranges(&[(1, 50)]), now(90_000), &mut out);
    assert_eq!(workout.stage(), WorkoutStage::Live);
    workout.end(now(91_000), &mut out);
    workout.tick(now(91_050), &mut out);
    assert_eq!(asked_to_add_up(&out), 1);
    assert!(workout.take(0, &late(ride(7, 100)), now(92_000), &mut out));
}

#[test]
fn what_is_not_brought_before_an_end_that_nobody_knows_finds_its_place_later() {
    let (mut workout, mut out) = (begun(), Vec::new());
    workout.take(0, &ride(1, 1_000), now(1_000), &mut out);
    workout.link_lost(&bike(), 1, false, now(2_000), &mut out);
    workout.end(now(60_000), &mut out);
    workout.link_back(&bike(), 1, &ranges(&[(2, 50)]), now(70_000), &mut out);
    for seq in 2..=40 {
        assert!(workout.take(0, &late(ride(seq, i64::from(seq) * 1_000)), now(71_000), &mut out));
    }
    workout.not_brought(&bike(), 1, &ranges(&[(41, 50)]), now(150_000), &mut out);
    workout.stored(&bike(), 1, &ranges(&[(1, 40)]), now(151_000), &mut out);
    assert!(workout.take(0, &late(ride(41, 41_000)), now(200_000), &mut out));
}

#[test]
fn a_time_that_was_guessed_says_neither_when_a_workout_began_nor_what_belongs_to_it() {
    let record = WorkoutRecord {
        workout: seed().workout,
        member: seed().member,
        started_at_ms: UTC,
        ended_at_ms: Some(UTC + 600_000),
        stage: WorkoutStage::Ended,
        visit: seed().visit,
        ranges: vec![(WorkoutRange { source: bike(), boot: 1, from_seq: 1, to_seq: u32::MAX }, ranges(&[(1, 5)]))],
    };
    let mut workout = Workout::restore(seed(), Station::default(), &record, now(1_200_000));
    let mut out = Vec::new();
    workout.link_back(&bike(), 1, &ranges(&[(6, 900)]), now(1_201_000), &mut out);
    let guessed = Taken { is_outlived: true, is_guess: true, received_at_ms: UTC + 1_202_000, ..late(ride(6, -900_000)) };
    assert!(!workout.take(0, &guessed, now(1_202_000), &mut out), "it was not seen to be read before the end");
    assert_eq!(workout.seed().started_at_ms, UTC);
}

#[test]
fn a_stretch_whose_end_nobody_knows_ends_where_it_is_known_to_when_its_workout_is_forgotten() {
    let (mut workout, mut out) = (begun(), Vec::new());
    workout.take(0, &ride(1, 1_000), now(1_000), &mut out);
    workout.link_lost(&bike(), 1, false, now(2_000), &mut out);
    workout.end(now(3_000), &mut out);
    workout.forget(&mut out);
    assert_eq!(workout.stretches_of(&bike(), 1).map(|(_, from, to)| (from, to)).collect::<Vec<_>>(), [(1, 1)]);
}
