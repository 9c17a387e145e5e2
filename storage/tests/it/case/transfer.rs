//! A store copied whole: there and back, interrupted, and refused where it would do harm.

use std::sync::Arc;

use protocol::frame::{EventBody, WorkoutStage};
use protocol::text::Text;
use protocol::{Field, MemberId, Reading, TenantId};
use storage::{CopiedTable, CopyError, CopyOptions, Fact, OpenError, SourceKey};

use super::store::{MEMBER, WORKOUT, event_fact, persist, provision, range_fact, workout_fact};
use crate::support::postgres::Server;
use crate::support::rows::{keep, rows, source};
use crate::support::{Bench, tenant};

/// A store with something in most of its tables; the last event is gone again, and its number with it.
async fn filled(bench: &Bench) {
    let mut house = bench.open().await;
    provision(&house.store).await;
    let mut rr = Reading::new();
    rr.set(Field::HeartRate, 61);
    rr.set_rr(&[1000, 65_535]);
    let strap = Arc::new(SourceKey::Member(tenant(), MEMBER, Text::cut("strap:8C3D")));
    let poison = keep(&strap, 1, 2, storage::RowWhat::Poison { code: 605, bytes: vec![0, 255] });
    house.keep(rows(&source(1), 1, 1..=40)).await;
    house.keep([keep(&strap, 1, 1, storage::RowWhat::Reading(rr)), poison]).await;
    house.until("stored", |heard| heard.stored_count() == 42).await;
    let points = |number| event_fact(number, EventBody::Points { points: 5, reason: Text::cut("1 km \u{fc}ber 'alles'") });
    let totals = house.store.add_up(tenant(), WORKOUT).await.unwrap_or_default();
    let facts = [workout_fact(WorkoutStage::Live), range_fact(1, 1, 40), points(1), points(2)];
    persist(&house, facts.into_iter().chain([Fact::Totals { workout: WORKOUT, revision: 0, totals }])).await;
    house.store.take_key(tenant(), MEMBER.0, "k", b"request", 5).await.unwrap();
    house.close().await;
    bench.sql("delete from events where cursor = 2").await;
}

async fn copied(from: &Bench, to: &Bench, page_rows: u32) -> Result<Vec<CopiedTable>, CopyError> {
    storage::copy(CopyOptions { page_rows, ..CopyOptions::new(&from.url, &to.url) }, &mut |_| ()).await
}

/// What holds of a copy of [`filled`].
async fn is_whole(bench: &Bench) {
    let mut house = bench.open().await;
    assert_eq!(house.node_start, 2, "starts go on where the source's were");
    let page = house.store.samples(tenant(), super::training::QUERY, None, 100).await.unwrap();
    assert_eq!(page.samples.len(), 40);
    // What was stored is refused again, and numbers go on.
    house.keep(rows(&source(1), 1, 1..=41)).await;
    house.until("stored", |heard| heard.stored_count() == 41).await;
    assert_eq!(house.counters.now().stored, 1);
    let points = EventBody::Points { points: 1, reason: Text::cut("on") };
    persist(&house, [event_fact(3, points)]).await;
    house.close().await;
    assert_eq!(bench.number("select max(cursor) from events").await, 3, "the number of what was deleted is not given again");
}

pub(crate) async fn a_store_is_copied_whole_and_only_once(bench: &Bench) {
    filled(bench).await;
    let copy = Bench::sqlite();
    let tables = copied(bench, &copy, 7).await.unwrap();
    let rows_of = |name: &str| tables.iter().find(|table| table.table == name).unwrap().rows;
    assert_eq!((rows_of("samples"), rows_of("events"), rows_of("quarantine"), rows_of("sources")), (41, 1, 1, 2));
    assert!(matches!(copied(bench, &copy, 7).await, Err(CopyError::TargetNotEmpty { .. })));
    assert!(matches!(copied(bench, bench, 7).await, Err(CopyError::SameDatabase)));
    is_whole(&copy).await;
}

pub(crate) async fn an_interrupted_copy_goes_on_where_it_stood(bench: &Bench) {
    filled(bench).await;
    let (copy, mut pages) = (Bench::sqlite(), 0);
    let mut told = |step: storage::CopyStep| pages += u32::from(step.table == "samples" && !step.verifying);
    // Dropped at an await, as a killed process ends: in the middle of the samples.
    let options = CopyOptions { page_rows: 3, ..CopyOptions::new(&bench.url, &copy.url) };
    let (cut, mut cut_at) = (tokio_util::sync::CancellationToken::new(), 0);
    {
        let mut until = |step: storage::CopyStep| {
            if step.table == "samples" && step.rows >= 9 {
                (cut_at, _) = (step.rows, cut.cancel());
            }
        };
        tokio::select! {
            biased;
            () = cut.cancelled() => {}
            done = storage::copy(options.clone(), &mut until) => panic!("it was not interrupted: {done:?}"),
        }
    }
    assert!((9..41).contains(&cut_at));
    assert!(matches!(storage::open(copy.options()).await, Err(OpenError::HalfCopied)), "no hub starts on half a store");
    let elsewhere = Bench::sqlite();
    elsewhere.open().await.close().await;
    assert!(matches!(copied(&elsewhere, &copy, 3).await, Err(CopyError::OtherCopy)));
    let tables = storage::copy(options, &mut told).await.unwrap();
    assert_eq!(tables.iter().find(|table| table.table == "samples").unwrap().rows, 41);
    assert!(u64::from(pages) * 3 < 41, "what was copied before was not copied again: {pages} pages");
    is_whole(&copy).await;
}

pub(crate) async fn a_copy_is_refused_where_it_would_do_harm(bench: &Bench) {
    filled(bench).await;
    let house = bench.open().await;
    house.store.ping().await.unwrap();
    let refused = copied(bench, &Bench::sqlite(), 100).await;
    assert!(matches!(&refused, Err(CopyError::InUse { side: "source", .. })), "{refused:?}");
    house.close().await;
    bench.sql("create table notes (note text primary key)").await;
    let refused = copied(bench, &Bench::sqlite(), 100).await;
    assert!(matches!(&refused, Err(CopyError::StrangeTable { table, .. }) if table == "notes"), "{refused:?}");
    bench.sql("drop table notes").await;
    let newer = Bench::sqlite();
    newer.open().await.close().await;
    newer.sql("insert into schema_versions (version, agrees, at_ms) values (98, 1, 0)").await;
    assert!(matches!(copied(bench, &newer, 100).await, Err(CopyError::TargetNewer { found: 98, .. })));
    let nowhere = Bench::sqlite();
    assert!(matches!(copied(&nowhere, &Bench::sqlite(), 100).await, Err(CopyError::NoSource)));
}

/// SQLite to Postgres and back is the same store.
pub(crate) async fn there_and_back(server: &Server) {
    let (first, last) = (Bench::sqlite(), Bench::sqlite());
    let between = Bench::postgres(server, "copied").await;
    filled(&first).await;
    let there = copied(&first, &between, 7).await.unwrap();
    let back = copied(&between, &last, 7).await.unwrap();
    assert_eq!(there, back, "ids are the same bytes in both, and so are the sums");
    is_whole(&last).await;
    is_whole(&between).await;
    between.remove(server).await;
}

pub(crate) async fn two_tenants_with_one_subject_have_sources_of_their_own(bench: &Bench) {
    let mut house = bench.open().await;
    provision(&house.store).await;
    let other = TenantId(uuid::Uuid::from_u128(0xbad));
    let strap = |tenant| Arc::new(SourceKey::Member(tenant, MemberId(MEMBER.0), Text::cut("strap:8C3D")));
    let (ours, theirs) = (strap(tenant()), strap(other));
    house.keep(rows(&ours, 1, 1..=5)).await;
    let mut others: Vec<_> = rows(&theirs, 1, 1..=7);
    others.iter_mut().for_each(|row| row.nonce = 99);
    house.keep(others).await;
    house.until("stored", |heard| heard.stored_count() == 12).await;
    assert_eq!(house.heard.others, [], "the same boot with another nonce is another tenant's, no conflict");
    for (key, of, rows) in [(&ours, tenant(), 5), (&theirs, other, 7)] {
        assert_eq!(house.store.checksum(key).await.unwrap().rows, rows);
        assert_eq!(house.store.boots(key, 9).await.unwrap().len(), 1);
        let mine: Vec<_> = house.store.checksums(of).await.unwrap();
        assert_eq!(mine.iter().map(|sum| (&sum.source, sum.checksum.rows)).collect::<Vec<_>>(), [(key, rows)]);
    }
    house.close().await;
}

/// A binary of schema 4 runs on: it makes rows without a tenant, once; this one takes them over.
pub(crate) async fn the_previous_binary_makes_sources_beside_this_one(bench: &Bench) {
    let mut house = bench.open().await;
    provision(&house.store).await;
    let owner = if bench.is_postgres() { format!("'{}'", MEMBER.0) } else { format!("x'{}'", MEMBER.0.simple()) };
    let insert = format!("insert into sources (kind, owner, sensor) values ('member', {owner}, 'strap:8C3D') on conflict do nothing");
    assert_eq!((bench.sql(&insert).await, bench.sql(&insert).await), (1, 0));
    let strap = Arc::new(SourceKey::Member(tenant(), MEMBER, Text::cut("strap:8C3D")));
    house.keep(rows(&strap, 1, 1..=3)).await;
    house.until("stored", |heard| heard.stored_count() == 3).await;
    assert_eq!(bench.sql(&insert).await, 0, "the row that was taken over is still the previous binary's");
    assert_eq!(bench.number("select count(*) from sources").await, 1);
    house.close().await;
}

pub(crate) async fn a_recording_is_one_workout_however_often_it_comes(bench: &Bench) {
    let house = bench.open().await;
    provision(&house.store).await;
    persist(&house, [workout_fact(WorkoutStage::Live)]).await;
    let import = recording();
    let first = house.importer.keep(&import).await.unwrap();
    assert_eq!((first.fresh, first.overlaps), (true, vec![WORKOUT]));
    assert!(!house.importer.keep(&import).await.unwrap().fresh);
    let found = house.store.workout(tenant(), import.workout).await.unwrap().unwrap();
    let totals = found.record.totals.unwrap();
    assert_eq!((totals.readings, totals.sets, totals.distance_m), (2_500, 1, 2_499 * 3));
    assert_eq!(totals, house.store.add_up(tenant(), import.workout).await.unwrap(), "the same definition as everybody's");
    assert_eq!((found.record.revision, found.sets.len()), (Some(0), 1));
    assert_eq!(bench.number("select count(*) from samples").await, 2_500);
    let other = storage::Import { nonce: 8, workout: protocol::WorkoutId(uuid::Uuid::from_u128(9)), ..import };
    let taken = house.importer.keep(&other).await;
    assert!(matches!(taken, Err(storage::StoreError::Conflict { .. })), "{taken:?}");
    house.close().await;
}

/// Half of a recording's rows are there, of a process that ended; the same again completes it.
pub(crate) async fn an_interrupted_recording_is_completed(bench: &Bench) {
    let mut house = bench.open().await;
    provision(&house.store).await;
    let import = recording();
    let half = import.readings.iter().take(1_200).zip(1..).map(|((dev_ms, reading), seq)| {
        let mut row = keep(&import.source, import.boot, seq, storage::RowWhat::Reading(reading.clone()));
        (row.dev_ms, row.nonce, row.anchor_at_ms) = (*dev_ms, import.nonce, import.started_at_ms);
        row
    });
    house.keep(half.collect::<Vec<_>>()).await;
    house.until("stored", |heard| heard.stored_count() == 1_200).await;
    assert!(house.importer.keep(&import).await.unwrap().fresh);
    assert_eq!(bench.number("select count(*) from samples").await, 2_500);
    assert_eq!(house.store.add_up(tenant(), import.workout).await.unwrap().readings, 2_500);
    house.close().await;
}

fn recording() -> storage::Import {
    let second = |second: u32| (i64::from(second) * 1_000, crate::support::rows::reading(second));
    let set = protocol::frame::SetDetail {
        set: 1,
        exercise: None,
        target_reps: 0,
        reps: 5,
        load_hg: 600,
        seconds: 20,
        rest_s: 0,
        tempo: None,
        note: None,
    };
    storage::Import {
        tenant: tenant(),
        gym: super::store::GYM,
        member: MEMBER,
        workout: protocol::WorkoutId(uuid::Uuid::from_u128(0xf17)),
        source: Arc::new(SourceKey::Member(tenant(), MEMBER, Text::cut("upload.cycling"))),
        boot: 77,
        nonce: 7,
        started_at_ms: crate::support::rows::ANCHOR_AT_MS,
        ended_at_ms: crate::support::rows::ANCHOR_AT_MS + 2_500_000,
        received_at_ms: crate::support::rows::ANCHOR_AT_MS + 9_000_000,
        readings: (1..=2_500).map(second).collect(),
        sets: vec![(2_600_000, set)],
    }
}
