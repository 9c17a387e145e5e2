//! Workouts as they are read: totals, amendments, pages, resolutions, checksums.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::frame::{RepDetail, Totals, WorkoutStage};
use protocol::text::{Text, hex};
use protocol::{Field, MemberId, Reading, WorkoutId};
use storage::canonical::Checksummer;
use storage::{Fact, Report, Row, RowWhat, SampleCursor, SampleQuery, SourceKey, WorkoutRange};
use tokio::time::{Instant, sleep};

use super::store::{GYM, MEMBER, WORKOUT, persist, provision, range_fact, workout_fact};
use crate::support::rows::{ANCHOR_AT_MS, keep, reading, row, rows, source};
use crate::support::{Bench, House, PATIENCE, tenant};

pub(crate) const QUERY: SampleQuery = SampleQuery { workout: WORKOUT, from_at_ms: None, to_at_ms: None };

/// Workouts that are marked as under way or late.
const MARKED: &str = "select count(*) from workouts where late_at_ms is not null";

fn strap() -> Arc<SourceKey> {
    Arc::new(SourceKey::Member(tenant(), MemberId(MEMBER.0), Text::cut("strap:8C3D")))
}

/// Distance and energy that wrap, correct themselves and go missing.
fn odd(seq: u32) -> Reading {
    let mut reading = Reading::new();
    let value = i32::try_from(seq).unwrap();
    if !seq.is_multiple_of(5) {
        let since_reset = if seq < 30 { value * 10 } else { (value - 30) * 10 };
        reading.set(Field::Distance, 1_000 * i32::from(seq < 30) + since_reset - i32::from(seq.is_multiple_of(11)));
    }
    reading.set(Field::Energy, value / 4);
    reading.set(Field::Power, 100 + value * 7 % 50 - 120 * i32::from(seq == 9));
    if seq.is_multiple_of(2) {
        reading.set(Field::HeartRate, 90 + value % 60);
    }
    reading.set(Field::Strokes, value / 2);
    reading
}

/// The definition of `docs/STORAGE.md`, written again from its words.
fn recompute(rows: &[Row]) -> Totals {
    let mut totals = Totals { power_max_w: i32::MIN, heart_rate_max_bpm: i32::MIN, ..Totals::default() };
    let mut boots: BTreeMap<(Arc<SourceKey>, u32), BTreeMap<u32, &Row>> = BTreeMap::new();
    for row in rows {
        boots.entry((Arc::clone(&row.source), row.boot)).or_default().insert(row.seq, row);
    }
    for ((source, _), rows) in boots {
        let counted = |field: Field| {
            let values: Vec<i64> = rows
                .values()
                .filter_map(|row| if let RowWhat::Reading(reading) = &row.what { reading.get(field) } else { None })
                .map(i64::from)
                .collect();
            let step = |pair: &[i64]| match pair[1] - pair[0] {
                rise @ 0.. => rise,
                _ if pair[1] * 2 <= pair[0] => pair[1],
                _ => 0,
            };
            values.windows(2).map(step).sum::<i64>()
        };
        let readings: Vec<(i64, &Reading)> = rows
            .values()
            .filter_map(|row| if let RowWhat::Reading(reading) = &row.what { Some((row.dev_ms, reading)) } else { None })
            .collect();
        totals.readings += readings.len() as u64;
        totals.duration_ms +=
            readings.iter().map(|(dev_ms, _)| dev_ms).max().unwrap() - readings.iter().map(|(dev_ms, _)| dev_ms).min().unwrap();
        if source.machine().is_some() {
            totals.distance_m += counted(Field::Distance);
            totals.energy_kcal += counted(Field::Energy);
        }
        totals.strokes += u32::try_from(counted(Field::Strokes)).unwrap();
        totals.reps += rows.values().filter(|row| matches!(row.what, RowWhat::Rep(_))).count() as u32;
        for (_, reading) in readings {
            if let Some(power) = reading.get(Field::Power) {
                totals.power_sum_w += i64::from(power);
                totals.power_count += 1;
                totals.power_max_w = totals.power_max_w.max(power);
            }
            if let Some(bpm) = reading.get(Field::HeartRate) {
                totals.heart_rate_sum_bpm += i64::from(bpm);
                totals.heart_rate_count += 1;
                totals.heart_rate_max_bpm = totals.heart_rate_max_bpm.max(bpm);
            }
        }
    }
    totals
}

pub(crate) async fn totals_equal_an_independent_recompute(bench: &Bench) {
    let mut house = bench.open().await;
    provision(&house.store).await;
    let mut sent: Vec<Row> = (1..=80).map(|seq| keep(&source(1), 1, seq, RowWhat::Reading(odd(seq)))).collect();
    sent.extend((1..=40).map(|seq| keep(&source(1), 2, seq, RowWhat::Reading(odd(seq)))));
    sent.extend((1..=60).map(|seq| keep(&strap(), 9, seq, RowWhat::Reading(odd(seq)))));
    let rep = RepDetail {
        set: 1,
        rep: 1,
        load_hg: 0,
        range_mm: 0,
        mean_mm_s: 0,
        peak_mm_s: 0,
        peak_power_w: 0,
        concentric_ms: 0,
        eccentric_ms: 0,
    };
    sent.push(keep(&source(1), 2, 41, RowWhat::Rep(rep)));
    let mut reversed = sent.clone();
    reversed.reverse();
    house.keep(reversed).await;
    house.keep(sent.clone()).await;
    house.until("stored", |heard| heard.stored_count() == sent.len() as u64).await;

    let strap_range = WorkoutRange { source: strap(), boot: 9, from_seq: 1, to_seq: u32::MAX };
    // Ranges that overlap count each reading once.
    let facts = [
        workout_fact(WorkoutStage::Ended),
        range_fact(1, 1, 50),
        range_fact(1, 40, 80),
        range_fact(2, 1, u32::MAX),
        Fact::WorkoutRange { workout: WORKOUT, range: strap_range },
    ];
    persist(&house, facts).await;
    persist(&house, [Fact::AddUp { workout: WORKOUT, revision: 0 }]).await;
    let wanted = recompute(&sent);
    assert!(wanted.distance_m > 0 && wanted.reps == 1 && wanted.power_max_w > 0, "{wanted:?}");
    let known = Report::TotalsKnown { workout: WORKOUT, revision: 0, totals: wanted };
    house.until("the totals", |heard| heard.has(&known)).await;
    assert_eq!(house.store.add_up(tenant(), WORKOUT).await.unwrap(), wanted);
    house.close().await;
}

pub(crate) async fn late_rows_amend_a_sealed_workout(bench: &Bench) {
    let mut house = bench.open().await;
    provision(&house.store).await;
    house.keep(rows(&source(1), 1, 1..=40)).await;
    house.until("stored", |heard| heard.stored_count() == 40).await;
    persist(&house, [workout_fact(WorkoutStage::Ended), range_fact(1, 1, 50)]).await;
    let boots = house.store.gym_seed(GYM).await.unwrap().unwrap().boots;
    assert_eq!(boots.iter().map(|boot| (&boot.source, boot.boot)).collect::<Vec<_>>(), [(&source(1), 1)]);
    assert_eq!(boots[0].stored, protocol::SeqRanges::from_iter([(1, 40)]), "a room that starts again knows how far the stretch reached");
    let sealed = house.store.add_up(tenant(), WORKOUT).await.unwrap();
    let seal = Fact::Totals { workout: WORKOUT, revision: 0, totals: sealed };
    persist(&house, [seal.clone(), seal, workout_fact(WorkoutStage::Live)]).await;
    let record = house.store.workout(tenant(), WORKOUT).await.unwrap().unwrap().record;
    assert_eq!((record.stage, record.revision, record.totals), (WorkoutStage::Sealed, Some(0), Some(sealed)));

    // A row of another workout on the same boot changes nothing; the missing ones do.
    house.keep(rows(&source(1), 1, 51..=60)).await;
    house.keep(rows(&source(1), 1, 41..=50)).await;
    let all: Vec<Row> = rows(&source(1), 1, 1..=50);
    let mut wanted = recompute(&all);
    wanted.readings = 50;
    let amended = |report: &Report| matches!(report, Report::TotalsKnown { revision: 1.., totals, .. } if *totals == wanted);
    house.until("the amendment", |heard| heard.others.iter().any(amended)).await;
    let record = house.store.workout(tenant(), WORKOUT).await.unwrap().unwrap().record;
    assert_eq!(record.totals, Some(wanted));
    assert!(record.revision >= Some(1));
    assert_eq!(bench.number("select count(*) from workout_totals where revision = 0").await, 1, "what was sealed first is kept");
    house.close().await;
}

/// A workout with rows 1 to 40 of its first 50, added up and not sealed: the totals that were told.
async fn added_up(bench: &Bench, house: &mut House) -> Totals {
    provision(&house.store).await;
    house.keep(rows(&source(1), 1, 1..=40)).await;
    house.until("stored", |heard| heard.stored_count() == 40).await;
    persist(house, [workout_fact(WorkoutStage::Ended), range_fact(1, 1, 50)]).await;
    assert_eq!(bench.number(MARKED).await, 0, "nobody asked for totals yet");
    persist(house, [Fact::AddUp { workout: WORKOUT, revision: 0 }]).await;
    let told = house.store.add_up(tenant(), WORKOUT).await.unwrap();
    let known = Report::TotalsKnown { workout: WORKOUT, revision: 0, totals: told };
    house.until("the totals", |heard| heard.has(&known)).await;
    told
}

async fn until_unmarked(bench: &Bench) {
    let until = Instant::now() + PATIENCE;
    while bench.number(MARKED).await > 0 {
        assert!(Instant::now() < until, "a mark stays");
        sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn what_comes_between_the_adding_up_and_the_seal_amends(bench: &Bench) {
    let mut house = bench.open().await;
    let told = added_up(bench, &mut house).await;
    // The missing rows; then totals that were asked for twice, of which the first are sealed.
    house.keep(rows(&source(1), 1, 41..=50)).await;
    house.until("the rows between", |heard| heard.stored_count() == 50).await;
    persist(&house, [Fact::AddUp { workout: WORKOUT, revision: 0 }]).await;
    let again = Report::TotalsKnown { workout: WORKOUT, revision: 0, totals: recompute(&rows(&source(1), 1, 1..=50)) };
    house.until("the totals again", |heard| heard.has(&again)).await;
    persist(&house, [Fact::Totals { workout: WORKOUT, revision: 0, totals: told }]).await;
    let wanted = Report::TotalsKnown { workout: WORKOUT, revision: 1, totals: recompute(&rows(&source(1), 1, 1..=50)) };
    house.until("the amendment", |heard| heard.has(&wanted)).await;
    until_unmarked(bench).await;

    // A stretch that comes between, of rows that were there, does the same.
    let other = WorkoutId(uuid::Uuid::from_u128(0x306));
    let range =
        |from_seq, to_seq| Fact::WorkoutRange { workout: other, range: WorkoutRange { source: source(1), boot: 1, from_seq, to_seq } };
    let Fact::Workout { gym, member, visit, stage, started_at_ms, ended_at_ms, .. } = workout_fact(WorkoutStage::Ended) else {
        unreachable!("it is a workout")
    };
    let ended = Fact::Workout { workout: other, gym, member, visit, stage, started_at_ms, ended_at_ms };
    persist(&house, [ended, range(1, 10), Fact::AddUp { workout: other, revision: 0 }]).await;
    let totals = recompute(&rows(&source(1), 1, 1..=10));
    house.until("its totals", |heard| heard.has(&Report::TotalsKnown { workout: other, revision: 0, totals })).await;
    persist(&house, [range(21, 30), Fact::Totals { workout: other, revision: 0, totals }]).await;
    let amended = |report: &Report| matches!(report, Report::TotalsKnown { workout, revision: 1, totals } if *workout == other && totals.readings == 20);
    house.until("its amendment", |heard| heard.others.iter().any(amended)).await;
    until_unmarked(bench).await;
    house.close().await;
}

pub(crate) async fn nothing_between_the_adding_up_and_the_seal_makes_no_revision(bench: &Bench) {
    let mut house = bench.open().await;
    let told = added_up(bench, &mut house).await;
    assert_eq!(bench.number(MARKED).await, 1, "it is under way");
    // A seal that is said twice is one.
    let seal = Fact::Totals { workout: WORKOUT, revision: 0, totals: told };
    persist(&house, [seal.clone(), seal]).await;
    assert_eq!(bench.number(MARKED).await, 0, "nothing came: nothing is added up again");

    // A mark for which nothing is found, as by rows of another workout in between: looked at again, and left as it was.
    bench.sql("update workouts set late_at_ms = 1").await;
    until_unmarked(bench).await;
    let record = house.store.workout(tenant(), WORKOUT).await.unwrap().unwrap().record;
    assert_eq!((record.stage, record.revision, record.totals), (WorkoutStage::Sealed, Some(0), Some(told)));
    assert_eq!(bench.number("select count(*) from workout_totals").await, 1);
    let amended = |report: &Report| matches!(report, Report::TotalsKnown { revision: 1.., .. });
    assert!(!house.heard.others.iter().any(amended), "nobody is told of it");
    house.close().await;
}

pub(crate) async fn samples_come_by_page_range_and_resolution(bench: &Bench) {
    let mut house = bench.open().await;
    provision(&house.store).await;
    house.keep(rows(&source(1), 1, 1..=100).into_iter().chain(rows(&strap(), 1, 1..=20))).await;
    house.until("stored", |heard| heard.stored_count() == 120).await;
    let strap_range = WorkoutRange { source: strap(), boot: 1, from_seq: 1, to_seq: 20 };
    persist(
        &house,
        [
            workout_fact(WorkoutStage::Live),
            range_fact(1, 1, 30),
            range_fact(1, 41, 90),
            Fact::WorkoutRange { workout: WORKOUT, range: strap_range },
        ],
    )
    .await;

    let mut pages = Vec::new();
    let mut after: Option<SampleCursor> = None;
    loop {
        let page = house.store.samples(tenant(), QUERY, after, 7).await.unwrap();
        assert!(page.samples.len() <= 7);
        pages.extend(page.samples);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let seqs = |of: &Arc<SourceKey>| pages.iter().filter(|sample| sample.source == *of).map(|sample| sample.seq).collect::<Vec<_>>();
    assert_eq!(seqs(&source(1)), (1..=30).chain(41..=90).collect::<Vec<_>>());
    assert_eq!(seqs(&strap()), (1..=20).collect::<Vec<_>>());
    let sent = row(&source(1), 1, 49);
    let found = pages.iter().find(|sample| sample.source == source(1) && sample.seq == 49).unwrap();
    assert_eq!((&found.reading, found.dev_ms, found.at_ms), (&reading(49), 49_000, ANCHOR_AT_MS + 49_000));
    assert_eq!((found.received_at_ms, found.corrected_at_ms), (sent.received_at_ms, sent.corrected_at_ms));

    let range = SampleQuery { from_at_ms: Some(ANCHOR_AT_MS + 10_000), to_at_ms: Some(ANCHOR_AT_MS + 12_000), ..QUERY };
    let some = house.store.samples(tenant(), range, None, 100).await.unwrap();
    assert_eq!(some.samples.iter().map(|sample| sample.seq).collect::<Vec<_>>(), [10, 11, 10, 11]);

    let buckets = house.store.buckets(tenant(), QUERY, 10_000).await.unwrap();
    let second = buckets.iter().find(|bucket| bucket.source == source(1) && bucket.at_ms == ANCHOR_AT_MS + 20_000).unwrap();
    assert_eq!(second.count, 10);
    let power = second.fields.iter().find(|summary| summary.field == Field::Power).unwrap();
    assert_eq!((power.min, power.max), (170, 179));
    assert!((power.avg - 174.5).abs() < 1e-9);
    assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), 100);
    house.close().await;
}

pub(crate) async fn checksums_equal_the_senders_own(bench: &Bench) {
    let mut house = bench.open().await;
    provision(&house.store).await;
    let mut sum = Checksummer::default();
    let mut empty_rr = Reading::new();
    empty_rr.set(Field::HeartRate, 61);
    let rr_mask = empty_rr.mask() | protocol::field::RR_BIT;
    let empty_rr = Reading::from_parts(rr_mask, empty_rr.values().into()).unwrap();
    let full = Reading::from_parts(u32::MAX >> 1, Field::ALL.iter().map(|field| field.bounds().1).collect()).unwrap();
    for (boot, seq, value) in [(1, 1, Reading::new()), (1, 2, empty_rr), (1, 3, full), (1, 4, reading(4)), (u32::MAX, u32::MAX, reading(7))]
    {
        let mut row = keep(&source(1), boot, seq, RowWhat::Reading(value.clone()));
        row.nonce = u32::MAX;
        row.dev_ms = 5;
        house.keep([row]).await;
        sum.add(boot, seq, 5, &value);
    }
    house.until("stored", |heard| heard.stored_count() == 5).await;
    let checksums = house.store.checksums(tenant()).await.unwrap();
    assert_eq!(checksums.len(), 1);
    assert_eq!(checksums[0].checksum, sum.finish());
    // The same figure on every back end, for good: it is the contract with whoever keeps a list of their own.
    assert_eq!(hex(&checksums[0].checksum.sha256[..8]), "4ef1e8fe0959ab67");
    house.close().await;
}
