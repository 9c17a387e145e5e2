//! Readings that come twice, late, in parts, out of order, refused or lost.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use protocol::ftms::{Characteristic, Layout, encode_reading};
use protocol::{Field, MachineId};
use uuid::Uuid;

use super::*;

const UTC: i64 = 1_763_700_000_000;

fn now(ms: i64) -> Now {
    Now { at_ms: UTC + ms, mono_ms: ms }
}

fn source(held: &[(u32, u32)]) -> Source {
    let key = SourceKey { machine: Some(MachineId(Uuid::nil())), member: None, sensor: Text::cut("ftms") };
    let bind = Bind {
        slot: 4,
        machine: key.machine,
        sensor: key.sensor.clone(),
        boot: 3,
        nonce: 99,
        clock: 0,
        held: held.iter().copied().collect(),
        quirk: None,
        claim_from_seq: None,
    };
    Source::new(SourceHandle(1), SessionId(Uuid::nil()), key, &bind)
}

fn power(watts: i32) -> Reading {
    let mut reading = Reading::new();
    reading.set(Field::Power, watts);
    reading
}

fn said(seq: u32, dev_ms: i64, watts: i32) -> Numbered {
    Numbered { seq, dev_ms, what: Said::Reading(power(watts)), backfill: false }
}

/// Feeds one thing at `ms` and returns what became whole: (seq, whether live).
fn feed(source: &mut Source, clock: &mut DeviceClock, said: Numbered, ms: i64) -> Vec<(u32, bool)> {
    let mut out = Vec::new();
    source.said(said, clock, now(ms), &mut out).expect("seq is not 0");
    out.iter().map(|taken| (taken.seq, taken.live_age_ms.is_some())).collect()
}

#[test]
fn what_is_new_in_order_and_fresh_is_live_and_the_rest_is_kept() {
    let (mut source, mut clock) = (source(&[(1, 9)]), DeviceClock::default());
    assert_eq!(feed(&mut source, &mut clock, said(10, 10_000, 1), 10_000), [(10, true)]);
    assert_eq!(feed(&mut source, &mut clock, said(12, 12_000, 1), 12_000), [(12, true)]);
    assert_eq!(feed(&mut source, &mut clock, said(11, 11_000, 1), 12_010), [(11, false)], "out of order");
    assert_eq!(feed(&mut source, &mut clock, said(5, 5_000, 1), 12_020), [(5, false)], "from the buffer");
    assert_eq!(feed(&mut source, &mut clock, said(13, 13_000, 1), 17_000), [(13, false)], "four seconds on its way");
    assert_eq!(feed(&mut source, &mut clock, Numbered { backfill: true, ..said(14, 17_000, 1) }, 17_000), [(14, false)]);
    assert_eq!(feed(&mut source, &mut clock, said(15, 17_100, 1), 17_100), [(15, true)]);
}

#[test]
fn where_a_source_stands_is_known_once_it_read_something_here() {
    let (mut source, mut clock, mut out) = (source(&[(3, 5)]), DeviceClock::default(), Vec::new());
    source.said(said(4, 4_000, 1), &mut clock, now(9_000_000), &mut out).expect("taken");
    assert_eq!((source.next_seq(), out[0].is_backfill), (None, true));
    source.said(said(5_001, 9_000_000, 1), &mut clock, now(9_000_000), &mut out).expect("taken");
    assert_eq!((source.next_seq(), out[1].is_backfill), (Some(5_002), false));
}

#[test]
fn the_same_again_is_dropped_and_acknowledged_and_other_content_goes_to_the_store() {
    let (mut source, mut clock) = (source(&[]), DeviceClock::default());
    feed(&mut source, &mut clock, said(1, 0, 100), 0);
    source.acks.store(&SeqRanges::from_iter([1]));
    let mut ack = crate::ack::AckClock::default();
    ack.pack([(4, &mut source.acks)].into_iter(), now(2_000)).expect("stored is news");
    assert_eq!(feed(&mut source, &mut clock, said(1, 0, 100), 2_100), []);
    let again = ack.pack([(4, &mut source.acks)].into_iter(), now(4_000)).expect("told again");
    assert!(again.acks[0].stored.contains(1));
    assert_eq!(feed(&mut source, &mut clock, said(1, 0, 101), 4_100), [(1, false)]);
}

#[test]
fn a_number_that_no_source_may_use_is_refused() {
    let mut out = Vec::new();
    assert_eq!(source(&[]).said(said(0, 0, 1), &mut DeviceClock::default(), now(0), &mut out), Err(ErrorCode::Malformed));
    assert!(out.is_empty());
}

#[test]
fn a_value_that_no_machine_can_mean_goes_to_quarantine() {
    let mut out = Vec::new();
    let counted = source(&[]).said(said(1, 0, 40_000), &mut DeviceClock::default(), now(0), &mut out);
    assert_eq!(counted, Ok(Some(Counter::ReadingPoison)));
    assert!(matches!(&out[0].what, KeepWhat::Poison { code: 603, .. }));
}

#[test]
fn a_refused_reading_is_told_to_be_held_once_and_asked_for_later() {
    let (mut source, mut clock) = (source(&[]), DeviceClock::default());
    for seq in 1..=3 {
        feed(&mut source, &mut clock, said(seq, i64::from(seq), 1), i64::from(seq));
    }
    assert!(source.refuse(2, 2, &[]));
    assert!(!source.refuse(3, 3, &[]), "told once");
    assert_eq!(source.go_on(), SeqRanges::from_iter([(2, 3)]));
    assert_eq!(feed(&mut source, &mut clock, said(2, 2, 1), 10), [(2, false)], "the same again is taken now");
    assert_eq!(source.go_on(), SeqRanges::from_iter([3]));
}

#[test]
fn lost_readings_are_kept_as_lost_and_acknowledged() {
    let (mut source, mut clock, mut out) = (source(&[]), DeviceClock::default(), Vec::new());
    clock.heard(0, now(5));
    source.lost(3, 7, &mut clock, now(9), &mut out);
    assert!(matches!(out[0].what, KeepWhat::Lost { to: 7 }));
    assert!(source.acks.has(5));
    let Effect::Keep(keep) = source.keep(out.remove(0), None) else { panic!("a keep") };
    assert_eq!((keep.seq, keep.anchor_at_ms), (3, UTC + 5));
    source.lost(9, 8, &mut clock, now(5), &mut out);
    assert!(out.is_empty());
}

#[test]
fn a_loss_as_the_first_word_of_a_boot_waits_for_a_clock_and_does_not_set_the_anchor() {
    let (mut source, mut clock, mut out) = (source(&[]), DeviceClock::default(), Vec::new());
    source.lost(1, 4, &mut clock, now(100_000), &mut out);
    source.tick(&mut clock, now(100_050), &mut out);
    assert!(out.is_empty() && source.waits() && !source.acks.has(1));
    source.said(said(5, 70_000, 1), &mut clock, now(100_100), &mut out).expect("taken");
    let anchors: Vec<_> = out
        .into_iter()
        .map(|taken| match source.keep(taken, None) {
            Effect::Keep(keep) => (keep.seq, keep.anchor_at_ms),
            other => panic!("a keep, not {other:?}"),
        })
        .collect();
    assert_eq!(anchors, [(1, UTC + 30_100), (5, UTC + 30_100)]);
    assert!(!source.waits() && source.acks.has(4));
}

#[test]
fn a_refused_loss_is_asked_for_whole() {
    let (mut source, mut clock, mut out) = (source(&[]), DeviceClock::default(), Vec::new());
    clock.heard(0, now(0));
    source.lost(3, 7, &mut clock, now(5), &mut out);
    source.refuse(3, 7, &[]);
    assert_eq!(source.go_on(), SeqRanges::from_iter([(3, 7)]));
    assert!(!source.acks.has(5));
}

#[test]
fn a_source_knows_which_workout_a_late_reading_belongs_to() {
    let mut source = source(&[]);
    let (first, second) = (WorkoutId(Uuid::from_u128(1)), WorkoutId(Uuid::from_u128(2)));
    source.begin(1, first, 0);
    source.end(first, 10);
    source.begin(15, second, 1);
    assert_eq!(source.workout_of(10), Some((first, 0)));
    assert_eq!(source.workout_of(12), None);
    assert_eq!(source.workout_of(4_000), Some((second, 1)));
    source.begin(11, first, 2);
    source.end(first, 12);
    assert_eq!((source.workout_of(12), source.workout_of(13)), (Some((first, 2)), None));
    assert_eq!(source.workout_of(15), Some((second, 1)), "an older stretch told later takes nothing away");
}

/// A bike record in parts of at most 20 bytes, as raw notifications from `seq` on.
fn bike(seq: u32, dev_ms: i64, watts: i32) -> Vec<Numbered> {
    let mut reading = power(watts);
    for (field, value) in [
        (Field::Speed, 3_000),
        (Field::AvgSpeed, 2_900),
        (Field::Cadence, 180),
        (Field::AvgCadence, 170),
        (Field::Distance, watts * 10),
        (Field::Resistance, 100),
        (Field::AvgPower, 150),
        (Field::HeartRate, 130),
        (Field::Elapsed, watts),
    ] {
        reading.set(field, value);
    }
    let encoded = encode_reading(Characteristic::IndoorBike, Layout::default(), &reading, 20);
    assert_eq!((encoded.parts.len(), encoded.left_out), (2, 0));
    let part = |(at, bytes)| Numbered {
        seq: seq + at as u32,
        dev_ms: dev_ms + at as i64 * 30,
        what: Said::Raw { uuid: Characteristic::IndoorBike.uuid(), bytes },
        backfill: false,
    };
    encoded.parts.into_iter().enumerate().map(part).collect()
}

#[test]
fn a_record_in_two_parts_is_one_reading_under_the_first_seq_and_acks_wait_for_it() {
    let (mut source, mut clock, mut out) = (source(&[]), DeviceClock::default(), Vec::new());
    let mut parts = bike(1, 1_000, 200).into_iter();
    source.said(parts.next().expect("first"), &mut clock, now(1_000), &mut out).expect("taken");
    assert_eq!((out.len(), source.open_from(), source.acks.has(1)), (0, Some(1), false));
    source.said(parts.next().expect("second"), &mut clock, now(1_030), &mut out).expect("taken");
    let [taken] = &out[..] else { panic!("one reading, not {out:?}") };
    assert_eq!((taken.seq, &taken.absorbed[..], taken.live_age_ms.is_some()), (1, &[2][..], true));
    assert_eq!(taken.reading().map(|reading| reading.mask().count_ones()), Some(10));
    assert!(source.acks.has(2));
}

#[test]
fn a_cadence_that_follows_from_the_crank_is_told_apart_from_what_was_said() {
    let said = |seq, hex: [u8; 8]| Numbered {
        seq,
        dev_ms: i64::from(seq) * 1_000,
        what: Said::Raw { uuid: Characteristic::CyclingPower.uuid(), bytes: hex.to_vec() },
        backfill: false,
    };
    let (one, two) = (said(1, [0x20, 0, 45, 0, 2, 0, 0xb8, 0x12]), said(2, [0x20, 0, 46, 0, 3, 0, 0xae, 0x17]));
    let heard = |said: &[Numbered]| {
        let (mut source, mut clock, mut out) = (source(&[]), DeviceClock::default(), Vec::new());
        for said in said {
            source.said(said.clone(), &mut clock, now(2_000), &mut out).expect("taken");
        }
        let taken = out.pop().expect("one reading at least");
        (taken.reading().expect("a reading").clone(), taken.derived)
    };
    let ((live, derived), (again, derived_again)) = (heard(&[one, two.clone()]), heard(&[two]));
    assert!(live.get(Field::Cadence).is_some() && again.get(Field::Cadence).is_none());
    assert_eq!((derived, derived_again), (Field::Cadence.mask(), Field::Cadence.mask()));
    assert_eq!(live.only(!derived), again.only(!derived));
}

#[test]
fn a_merged_record_that_was_refused_is_made_again_of_its_parts() {
    let (mut source, mut clock, mut out) = (source(&[]), DeviceClock::default(), Vec::new());
    for part in bike(1, 1_000, 200) {
        source.said(part, &mut clock, now(1_030), &mut out).expect("taken");
    }
    let first = out.remove(0);
    assert!(source.refuse(1, 1, &first.absorbed));
    assert_eq!(source.go_on(), SeqRanges::from_iter([(1, 2)]));
    for part in bike(1, 1_000, 200) {
        source.said(part, &mut clock, now(5_000), &mut out).expect("taken");
    }
    assert_eq!((&out[0].what, &out[0].absorbed), (&first.what, &first.absorbed));
}

#[test]
fn what_is_new_is_live_while_what_was_refused_is_still_to_come_again() {
    let (mut source, mut clock, mut out) = (source(&[]), DeviceClock::default(), Vec::new());
    for record in 0..5_u32 {
        let at_ms = i64::from(record + 1) * 1_000;
        for part in bike(1 + record * 2, at_ms, 200) {
            source.said(part, &mut clock, now(at_ms + 30), &mut out).expect("taken");
        }
        let [taken] = &out[..] else { panic!("record {record} is whole at once, not {out:?}") };
        assert!(taken.live_age_ms.is_some(), "record {record}");
        source.refuse(taken.seq, taken.seq, &taken.absorbed);
        out.clear();
    }
    assert_eq!(source.go_on(), SeqRanges::from_iter([(1, 10)]));
    // The second parts before the first ones, and something new between.
    let mut again: Vec<_> = (0..5_u32).flat_map(|record| bike(1 + record * 2, i64::from(record + 1) * 1_000, 200)).collect();
    for pair in again.chunks_mut(2) {
        pair.swap(0, 1);
    }
    again.splice(3..3, bike(11, 6_000, 200));
    for part in again {
        source.said(part, &mut clock, now(6_030), &mut out).expect("taken");
    }
    let mut made: Vec<_> = out.iter().map(|taken| (taken.seq, taken.absorbed.len(), taken.live_age_ms.is_some())).collect();
    made.sort_unstable();
    assert_eq!(made, [(1, 1, false), (3, 1, false), (5, 1, false), (7, 1, false), (9, 1, false), (11, 1, true)]);
}

#[test]
fn a_part_whose_rest_never_comes_is_taken_after_a_second() {
    let (mut source, mut clock, mut out) = (source(&[]), DeviceClock::default(), Vec::new());
    source.said(bike(1, 1_000, 200).remove(0), &mut clock, now(1_000), &mut out).expect("taken");
    source.tick(&mut clock, now(1_900), &mut out);
    assert!(out.is_empty());
    source.tick(&mut clock, now(2_000), &mut out);
    assert_eq!((out.len(), source.open_from()), (1, None));
}

#[test]
fn a_notification_without_a_reading_is_done_and_quarantined() {
    let (mut source, mut clock, mut out) = (source(&[]), DeviceClock::default(), Vec::new());
    let status = Numbered { seq: 1, dev_ms: 0, what: Said::Raw { uuid: 0x2ada, bytes: vec![1] }, backfill: false };
    source.said(status, &mut clock, now(0), &mut out).expect("taken");
    assert!(matches!(&out[0].what, KeepWhat::Poison { code: 606, .. }));
    assert!(source.acks.has(1));
}

proptest! {
    /// A skew of years, a clock in 1970 or one that gains three minutes an hour neither lose nor reorder anything.
    #[test]
    fn every_number_is_kept_once_and_live_ones_in_order_whatever_the_clock_says(
        skew in prop_oneof![Just(0_i64), Just(-UTC), Just(94_608_000_000), any::<i64>()],
        drift in prop_oneof![Just(0_i64), Just(50)],
        mut order in prop::collection::vec(1_u32..60, 1..200),
        held in 0_u32..30,
        jump in any::<bool>(),
    ) {
        if jump { order.sort_unstable(); }
        let mut source = source(if held == 0 { vec![] } else { vec![(1, held)] }.as_slice());
        let (mut clock, mut out) = (DeviceClock::default(), Vec::new());
        for (step, seq) in order.iter().enumerate() {
            let ms = step as i64 * 200;
            let dev_ms = skew.saturating_add(i64::from(*seq) * (1_000 + drift));
            source.said(said(*seq, dev_ms, *seq as i32), &mut clock, now(ms), &mut out).expect("not 0");
        }
        let mut kept = BTreeMap::<u32, Vec<&KeepWhat>>::new();
        for taken in &out { kept.entry(taken.seq).or_default().push(&taken.what); }
        prop_assert_eq!(kept.keys().copied().collect::<BTreeSet<_>>(), order.iter().copied().collect::<BTreeSet<_>>());
        prop_assert!(kept.values().all(|whats| whats.len() == 1));
        let live: Vec<u32> = out.iter().filter(|taken| taken.live_age_ms.is_some()).map(|taken| taken.seq).collect();
        prop_assert!(live.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(live.iter().all(|seq| *seq > held));
        prop_assert!(order.iter().all(|seq| source.acks.has(*seq)));
    }

    #[test]
    fn raw_records_in_any_order_and_twice_make_the_same_rows(
        mut sent in Just((0..12_u32).flat_map(|n| bike(n * 2 + 1, i64::from(n) * 1_000, 100 + n as i32)).collect::<Vec<_>>()).prop_shuffle(),
        twice in prop::collection::vec(0_usize..24, 0..10),
    ) {
        let mut source = source(&[]);
        let (mut clock, mut out) = (DeviceClock::default(), Vec::new());
        for at in twice { sent.push(sent[at].clone()); }
        for part in sent {
            source.said(part, &mut clock, now(0), &mut out).expect("not 0");
        }
        for second in 1..=30 { source.tick(&mut clock, now(second * 1_000), &mut out); }
        let seqs: BTreeSet<u32> = out.iter().flat_map(|taken| taken.absorbed.iter().copied().chain([taken.seq])).collect();
        prop_assert_eq!(seqs, (1..=24).collect::<BTreeSet<_>>());
        prop_assert_eq!(out.iter().map(|taken| 1 + taken.absorbed.len()).sum::<usize>(), 24, "no seq in two rows");
        prop_assert!((1..=24).all(|seq| source.acks.has(seq)));
    }
}

#[test]
fn the_same_number_with_another_note_or_peak_is_other_content() {
    let rep = |peak_power_w| protocol::frame::RepDetail {
        set: 1,
        rep: 1,
        load_hg: 500,
        range_mm: 0,
        mean_mm_s: 0,
        peak_mm_s: 0,
        peak_power_w,
        concentric_ms: 0,
        eccentric_ms: 0,
    };
    let numbered = |peak| Numbered { seq: 1, dev_ms: 0, what: Said::Rep(rep(peak)), backfill: false };
    let (mut source, mut clock) = (source(&[]), DeviceClock::default());
    assert_eq!(feed(&mut source, &mut clock, numbered(300), 0), [(1, true)]);
    assert_eq!(feed(&mut source, &mut clock, numbered(300), 10), []);
    assert_eq!(feed(&mut source, &mut clock, numbered(301), 20), [(1, false)], "the store decides");
}
