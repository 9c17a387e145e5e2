//! Exactly once: permutations, duplicates, conflicts, poison, nonces, losses, retention, full queues.

use std::sync::Arc;

use proptest::strategy::{Just, Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, TestRunner};
use protocol::frame::{RepDetail, SetDetail, StrokeDetail};
use protocol::text::Text;
use protocol::{ErrorCode, Field, Reading, SeqRanges};
use storage::canonical::Checksummer;
use storage::{Fact, FactsFull, Full, Report, Row, RowWhat, SourceKey};

use crate::support::Bench;
use crate::support::rows::{ANCHOR_AT_MS, keep, machine, reading, row, rows, source};

pub(crate) async fn any_permutation_with_duplicates_is_stored_once(bench: &Bench) {
    const SOURCES: u128 = 3;
    const SEQS: u32 = 40;
    let mut house = bench.open().await;
    let mut runner = TestRunner::new(Config { cases: 1, failure_persistence: None, ..Config::default() });
    for boot in 1..=6_u32 {
        let mut wanted: Vec<Row> = (0..SOURCES).flat_map(|number| rows(&source(number), boot, 1..=SEQS)).collect();
        wanted.extend(wanted.clone().into_iter().filter(|row| row.seq % 3 == 0));
        let shuffled = Just(wanted).prop_shuffle().new_tree(&mut runner).unwrap().current();
        let chunk = 7 * boot as usize;
        for part in shuffled.chunks(chunk) {
            house.keep(part.to_vec()).await;
        }
        let all = u64::from(boot) * SOURCES as u64 * u64::from(SEQS);
        house.until("every number stored", |heard| heard.stored_count() == all).await;
    }
    for number in 0..SOURCES {
        let mut sum = Checksummer::default();
        for boot in 1..=6 {
            (1..=SEQS).for_each(|seq| sum.add(boot, seq, i64::from(seq) * 1_000, &reading(seq)));
        }
        assert_eq!(house.store.checksum(&source(number)).await.unwrap(), sum.finish());
        let boot = house.store.boot(&source(number), 3).await.unwrap().unwrap();
        assert_eq!((boot.stored, boot.lost, boot.anchor_at_ms), (SeqRanges::from_iter([(1, SEQS)]), SeqRanges::new(), ANCHOR_AT_MS));
    }
    let now = house.counters.now();
    assert_eq!(now.stored, 6 * SOURCES as u64 * u64::from(SEQS));
    assert_eq!(now.accepted, now.stored + now.duplicates);
    assert_eq!(now.quarantined, 0);
    house.close().await;
}

pub(crate) async fn the_same_number_with_other_content_goes_to_quarantine(bench: &Bench) {
    let mut house = bench.open().await;
    let bike = source(1);
    let mut other_value = row(&bike, 1, 5);
    other_value.what = RowWhat::Reading(reading(6));
    let mut other_time = row(&bike, 1, 6);
    other_time.dev_ms += 1;
    let other_kind = keep(
        &bike,
        1,
        7,
        RowWhat::Stroke(StrokeDetail { stroke: 1, drive_ms: 800, recovery_ms: 0, length_cm: 0, peak_force_n: 0, work_j: 0 }),
    );
    let mut later = row(&bike, 1, 8);
    later.received_at_ms += 9_999;
    later.corrected_at_ms += 9_999;

    house.keep(rows(&bike, 1, 1..=9)).await;
    house.until("rows stored", |heard| heard.stored_count() == 9).await;
    for _ in 0..2 {
        // The second time they are in quarantine already, and so only duplicates.
        house.heard.stored.clear();
        house.keep([other_value.clone(), other_time.clone(), other_kind.clone(), later.clone()]).await;
        house.until("told", |heard| heard.stored_count() == 4).await;
    }
    assert_eq!(house.heard.rejected.len(), 3);
    assert!(house.heard.rejected.iter().all(|rejected| rejected.code == ErrorCode::SeqConflict.code() && (5..=7).contains(&rejected.seq)));
    assert_eq!(bench.number("select count(*) from quarantine").await, 3, "the same conflict twice is one row");
    assert_eq!(bench.number("select count(*) from samples").await, 9);
    assert_eq!(bench.number("select count(*) from strokes").await, 0);

    // Both in one batch: the first stands.
    let mut twice = row(&bike, 2, 1);
    twice.what = RowWhat::Reading(reading(2));
    house.keep([row(&bike, 2, 1), twice]).await;
    house.until("the second in the batch refused", |heard| heard.rejected.len() == 4).await;
    assert_eq!(house.counters.now().duplicates, 5, "receive time is not content");
    house.close().await;
}

pub(crate) async fn a_poison_row_does_not_hold_up_its_neighbours(bench: &Bench) {
    let mut house = bench.open().await;
    let bike = source(1);
    let mut batch = rows(&bike, 1, 1..=300);
    let mut impossible = Reading::new();
    impossible.set(Field::Speed, 800);
    impossible.set(Field::HeartRate, 0);
    batch[120].what = RowWhat::Reading(impossible.clone());
    batch[200].what = RowWhat::Poison { code: ErrorCode::NotDecodable.code(), bytes: vec![0xd1, 0x2a, 0, 1] };
    house.keep(batch.clone()).await;
    house.until("all stored or put aside", |heard| heard.stored_count() == 300).await;
    let codes: Vec<(u32, u16)> = house.heard.rejected.iter().map(|rejected| (rejected.seq, rejected.code)).collect();
    assert_eq!(codes, [(121, ErrorCode::ReadingPoison.code()), (201, ErrorCode::NotDecodable.code())]);
    assert!(house.heard.rejected[0].detail.contains("heart_rate_bpm is 0"), "{}", house.heard.rejected[0].detail);
    assert_eq!(bench.number("select count(*) from samples").await, 298);

    // Sent again, and then mended under the same number: nothing is dropped in silence.
    house.keep([batch[120].clone(), row(&bike, 1, 121)]).await;
    house.until("the mended row is a conflict", |heard| heard.rejected.len() == 3).await;
    assert_eq!(house.heard.rejected[2].code, ErrorCode::SeqConflict.code());
    let tenant = crate::support::tenant();
    assert_eq!(house.store.quarantine(tenant, 10).await.unwrap(), [], "the machine is nobody's yet");
    assert_eq!(bench.number("select count(*) from quarantine").await, 3);
    house.close().await;
}

pub(crate) async fn what_is_refused_outside_the_rows_holds_nobody_up(bench: &Bench) {
    let mut house = bench.open().await;
    // A rule of the operator's again, this time for the names of sources.
    if bench.is_postgres() {
        bench.sql("alter table sources add constraint no_odd check (sensor <> 'odd')").await;
    } else {
        bench.sql("create trigger no_odd before insert on sources when new.sensor = 'odd' begin select raise(abort, 'no_odd'); end").await;
    }
    let odd = Arc::new(SourceKey::Machine(machine(2), Text::cut("odd")));
    let mut batch = rows(&source(1), 1, 1..=300);
    batch.insert(150, row(&odd, 1, 1));
    house.keep(batch).await;
    house.until("all stored or put aside", |heard| heard.stored_count() == 301).await;
    assert_eq!(house.heard.rejected.len(), 1);
    assert!(house.heard.rejected[0].detail.contains("no_odd"), "{}", house.heard.rejected[0].detail);
    assert_eq!(bench.number("select count(*) from samples").await, 300);
    assert_eq!(bench.number("select count(*) from quarantine where source is null").await, 1);
    house.close().await;
}

pub(crate) async fn what_the_database_refuses_is_found_and_put_aside(bench: &Bench) {
    let mut house = bench.open().await;
    // A rule that the operator added: the Recorder does not know it.
    if bench.is_postgres() {
        bench.sql("alter table samples add constraint no_413 check (power_w is null or power_w <> 413)").await;
    } else {
        bench.sql("create trigger no_413 before insert on samples when new.power_w = 413 begin select raise(abort, 'no_413'); end").await;
    }
    let bike = source(1);
    let mut batch = rows(&bike, 1, 1..=1_000);
    let mut refused = reading(500);
    refused.set(Field::Power, 413);
    for at in [3, 499, 998] {
        batch[at].what = RowWhat::Reading(refused.clone());
    }
    house.keep(batch).await;
    house.until("all stored or put aside", |heard| heard.stored_count() == 1_000).await;
    let mut seqs: Vec<u32> = house.heard.rejected.iter().map(|rejected| rejected.seq).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, [4, 500, 999]);
    assert!(house.heard.rejected.iter().all(|rejected| rejected.detail.contains("no_413")));
    assert_eq!(bench.number("select count(*) from samples").await, 997);
    assert_eq!(house.counters.now().retries, 0, "poison is no reason to try the batch again");
    house.close().await;
}

pub(crate) async fn another_nonce_is_a_conflict_and_not_stored(bench: &Bench) {
    let mut house = bench.open().await;
    let bike = source(1);
    house.keep(rows(&bike, 1, 1..=5)).await;
    house.until("the first device stored", |heard| heard.stored_count() == 5).await;
    let mut impostor = rows(&bike, 1, 4..=8);
    impostor.iter_mut().for_each(|row| row.nonce = 7);
    house.keep(impostor).await;
    let conflict = Report::SourceConflict { source: Arc::clone(&bike), boot: 1, nonce: 7, seqs: SeqRanges::from_iter([(4, 8)]) };
    house.until("the conflict", |heard| heard.has(&conflict)).await;
    assert_eq!(house.heard.stored_count(), 5, "numbers of the impostor are not the first device's");
    house.keep(rows(&bike, 1, 6..=7)).await;
    house.until("the first device goes on", |heard| heard.stored_count() == 7).await;
    let boot = house.store.boot(&bike, 1).await.unwrap().unwrap();
    assert!(boot.conflict);
    assert_eq!(boot.stored, SeqRanges::from_iter([(1, 7)]));
    assert_eq!(bench.number("select count(*) from quarantine where code = 410").await, 5);
    house.close().await;
}

pub(crate) async fn a_derived_field_makes_no_other_reading(bench: &Bench) {
    let mut house = bench.open().await;
    let bike = source(1);
    let said = |seq, power, cadence: Option<i32>| {
        let mut reading = Reading::new();
        reading.set(Field::Power, power);
        cadence.into_iter().for_each(|cadence| reading.set(Field::Cadence, cadence));
        Row { derived: Field::Cadence.mask(), ..keep(&bike, 1, seq, RowWhat::Reading(reading)) }
    };
    house.keep([said(1, 200, Some(180)), said(2, 210, None)]).await;
    house.until("stored", |heard| heard.stored_count() == 2).await;
    // After a break the first of a buffer has none before it, and another may have one now.
    house.keep([said(1, 200, None), said(2, 210, Some(182)), said(3, 220, None)]).await;
    house.until("3 stored", |heard| heard.stored_count() == 3).await;
    assert_eq!((house.heard.rejected.len(), bench.number("select count(*) from quarantine").await), (0, 0));
    assert_eq!(
        bench.number("select cast(cadence_half_rpm as bigint) from samples where seq = 1").await,
        180,
        "what was stored first stays"
    );
    house.keep([said(1, 201, None)]).await;
    house.until("the conflict", |heard| heard.rejected.len() == 1).await;
    house.close().await;
}

pub(crate) async fn what_is_lost_counts_as_stored_and_stays_apart(bench: &Bench) {
    let mut house = bench.open().await;
    let bike = source(1);
    house.keep(rows(&bike, 1, 1..=3)).await;
    house.keep([keep(&bike, 1, 3, RowWhat::Lost { to: 10 })]).await;
    let mut merged = row(&bike, 1, 11);
    merged.absorbed = vec![12, 13];
    house.keep([merged.clone()]).await;
    house.until("all told", |heard| heard.stored_count() == 13).await;
    let boot = house.store.boot(&bike, 1).await.unwrap().unwrap();
    assert_eq!(boot.stored, SeqRanges::from_iter([(1, 13)]));
    assert_eq!(boot.lost, SeqRanges::from_iter([(4, 10)]), "3 is stored and cannot be lost");
    // Found after all: 8 is stored and no longer lost. The parts of a merged record are done, they do not come back.
    house.keep(rows(&bike, 1, 8..=8).into_iter().chain([merged, row(&bike, 1, 12), row(&bike, 1, 14)])).await;
    house.until("14 stored", |heard| heard.stored_count() == 14).await;
    assert_eq!(bench.number("select count(*) from samples").await, 6);
    let boot = house.store.boot(&bike, 1).await.unwrap().unwrap();
    assert_eq!(boot.lost, SeqRanges::from_iter([(4, 7), (9, 10)]));
    // A loss as the first word of a boot does not say when the boot began.
    let mut loss = keep(&bike, 2, 1, RowWhat::Lost { to: 2 });
    loss.anchor_at_ms = ANCHOR_AT_MS + 7_000_000;
    house.keep([loss, row(&bike, 2, 3)]).await;
    house.until("the second boot stored", |heard| heard.stored_count() == 17).await;
    assert_eq!(bench.number("select anchor_at_ms from boots where boot = 2").await, ANCHOR_AT_MS);
    assert_eq!(house.heard.rejected, []);
    house.close().await;
}

pub(crate) async fn an_old_buffer_is_refused_after_its_rows_are_gone(bench: &Bench) {
    let mut house = bench.open().await;
    let bike = source(1);
    house.keep(rows(&bike, 1, 1..=100)).await;
    house.until("stored", |heard| heard.stored_count() == 100).await;
    assert_eq!(bench.sql("delete from samples").await, 100);

    house.heard.stored.clear();
    house.keep(rows(&bike, 1, 1..=101)).await;
    house.until("told as stored again", |heard| heard.stored_count() == 101).await;
    assert_eq!(bench.number("select count(*) from samples").await, 1, "only the new one");
    assert_eq!(house.heard.rejected, []);
    house.close().await;
}

pub(crate) async fn a_full_queue_refuses_and_tells_when_there_is_room(bench: &Bench) {
    let mut options = bench.options();
    options.queue_rows = 64;
    options.batch_rows = 16;
    let mut house = crate::support::House::open(options).await;
    let bike = source(1);
    let mut refused = Vec::new();
    for row in rows(&bike, 1, 1..=5_000) {
        if house.recorder.try_keep(row.clone()) == Err(Full) {
            refused.push(row);
        }
    }
    assert!(!refused.is_empty(), "5,000 rows do not fit into 64 places");
    assert_eq!(house.counters.now().held, refused.len() as u64);
    house.until("room again", |heard| heard.has(&Report::Ready)).await;
    house.keep(refused).await;
    house.until("all stored", |heard| heard.stored_count() == 5_000).await;
    assert_eq!(house.counters.now().queue_bytes, 0);
    house.close().await;

    let mut options = bench.options();
    options.queue_bytes = 4_096;
    let house = crate::support::House::open(options).await;
    let taken = rows(&bike, 2, 1..=1_000).into_iter().filter(|row| house.recorder.try_keep(row.clone()).is_ok()).count();
    assert!(taken < 1_000, "bytes are bounded too");
    house.close().await;
}

pub(crate) async fn a_row_turned_away_for_its_facts_is_wanted_once_they_are_given(bench: &Bench) {
    let mut options = bench.options();
    options.queue_facts = 4;
    let mut house = crate::support::House::open(options).await;
    for at_ms in 1..=200 {
        let mut fact = Fact::Maintenance { machine: machine(1), open: true, text: Text::cut("filter"), at_ms };
        while let Err(FactsFull(again)) = house.recorder.persist(fact) {
            assert_eq!(house.recorder.turn_away(), Full);
            fact = *again;
            tokio::task::yield_now().await;
        }
    }
    let turned_away = house.counters.now().held;
    assert!(turned_away > 0, "200 facts do not fit into 4 places");
    house.until("rows are wanted", |heard| heard.has(&Report::Ready)).await;
    house.keep(rows(&source(1), 1, 1..=5)).await;
    house.until("stored", |heard| heard.stored_count() == 5).await;
    assert_eq!(house.counters.now().held, turned_away);
    assert_eq!(bench.number("select count(*) from maintenance").await, 200, "and the facts before them");
    house.close().await;
}

pub(crate) async fn times_from_1970_to_2199_are_kept_and_others_put_aside(bench: &Bench) {
    let mut house = bench.open().await;
    let bike = source(1);
    let at = |seq: u32, at_ms: i64| {
        let mut row = row(&bike, 1, seq);
        row.dev_ms = at_ms - ANCHOR_AT_MS;
        row
    };
    let year_2200 = 7_258_118_400_000;
    house.keep([at(1, 0), at(2, year_2200 - 1), at(3, year_2200), at(4, -1), at(5, ANCHOR_AT_MS)]).await;
    let mut overflow = row(&bike, 1, 6);
    overflow.dev_ms = i64::MAX;
    house.keep([overflow]).await;
    house.until("all told", |heard| heard.stored_count() == 6).await;
    let mut seqs: Vec<u32> = house.heard.rejected.iter().map(|rejected| rejected.seq).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, [3, 4, 6]);
    assert_eq!(bench.number("select count(*) from samples").await, 3);

    // The anchor is the first one for good: another start of the clock does not move what is stored.
    let mut moved = row(&bike, 1, 7);
    moved.anchor_at_ms += 123_456;
    house.keep([moved]).await;
    house.until("stored under the old anchor", |heard| heard.stored_count() == 7).await;
    assert_eq!(bench.number("select at_ms from samples where seq = 7").await, ANCHOR_AT_MS + 7_000);

    // Seq 0 is no number: put aside, and nobody hears that it is stored.
    house.keep([row(&bike, 1, 0), row(&bike, 1, 8)]).await;
    house.until("8 stored", |heard| heard.stored_count() == 8).await;
    assert!(!house.heard.stored.values().any(|seqs| seqs.contains(0)));
    house.close().await;
}

pub(crate) async fn reps_sets_and_strokes_share_the_numbers_of_their_boot(bench: &Bench) {
    let mut house = bench.open().await;
    let press = source(1);
    let rep = RepDetail {
        set: 1,
        rep: 2,
        load_hg: 600,
        range_mm: 450,
        mean_mm_s: 400,
        peak_mm_s: 700,
        peak_power_w: 380,
        concentric_ms: 900,
        eccentric_ms: 1_400,
    };
    let set = SetDetail {
        set: 1,
        exercise: Some(Text::cut("bench press")),
        target_reps: 8,
        reps: 8,
        load_hg: 600,
        seconds: 41,
        rest_s: 90,
        tempo: None,
        note: Some(Text::cut("")),
    };
    let stroke = StrokeDetail { stroke: 9, drive_ms: 800, recovery_ms: 1_500, length_cm: 130, peak_force_n: 600, work_j: 700 };
    let all = [
        row(&press, 1, 1),
        keep(&press, 1, 2, RowWhat::Rep(rep)),
        keep(&press, 1, 3, RowWhat::Set(Box::new(set.clone()))),
        keep(&press, 1, 4, RowWhat::Stroke(stroke)),
    ];
    house.keep(all.clone()).await;
    house.until("stored", |heard| heard.stored_count() == 4).await;
    let mut odd = set;
    odd.note = Some(Text::cut("a\0b"));
    house.keep(all.into_iter().chain([keep(&press, 1, 5, RowWhat::Set(Box::new(odd)))])).await;
    house.until("5 told", |heard| heard.stored_count() == 5).await;
    assert_eq!(house.counters.now().duplicates, 4);
    assert_eq!(house.heard.rejected.iter().map(|rejected| rejected.seq).collect::<Vec<_>>(), [5]);
    for (table, sum) in
        [("reps", "rep + load_hg + eccentric_ms"), ("sets", "reps + load_hg + rest_s"), ("strokes", "stroke + work_j + drive_ms")]
    {
        let wanted = match table {
            "reps" => 2 + 600 + 1_400,
            "sets" => 8 + 600 + 90,
            _ => 9 + 700 + 800,
        };
        assert_eq!(bench.number(&format!("select {sum} from {table}")).await, wanted, "{table}");
    }
    house.close().await;
}
