//! The long run: packing changes no answer, late rows amend, days are the gym's own, what may be forgotten goes.

use std::sync::Arc;
use std::time::Duration;

use protocol::frame::{Totals, WorkoutStage};
use protocol::text::Text;
use protocol::{Field, WorkoutId};
use storage::{
    Bucket, Fact, History, Keep, Options, Report, Row, RowWhat, SampleCursor, SampleQuery, SampleRecord, SourceChecksum, SourceKey, Store,
    Whose, WorkoutRange,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::store::{GYM, MEMBER, VISIT, WORKOUT, persist, provision, range_fact, workout_fact};
use crate::support::rows::{ANCHOR_AT_MS, keep, reading, row, rows, source};
use crate::support::{Bench, House, PATIENCE, tenant};

const MINUTE_MS: i64 = 60_000;
const DAY: Duration = Duration::from_secs(86_400);

pub(crate) fn strap() -> Arc<SourceKey> {
    Arc::new(SourceKey::Member(tenant(), MEMBER, Text::cut("strap:8C3D")))
}

/// Nothing is packed until a case says so.
pub(crate) fn unpacked(bench: &Bench) -> Options {
    Options { history: History { pack_after: None, loose_after: None, ..quick() }, ..bench.options() }
}

fn quick() -> History {
    let often = Duration::from_millis(20);
    History { look_every: often, walk_every: often, forget_every: often, ..History::default() }
}

/// What is sealed is packed at once.
pub(crate) fn packing(bench: &Bench) -> Options {
    Options { history: History { pack_after: Some(Duration::ZERO), loose_after: None, ..quick() }, ..bench.options() }
}

pub(crate) async fn until_number(bench: &Bench, sql: &str, wanted: i64) {
    let until = Instant::now() + PATIENCE;
    loop {
        let found = bench.number(sql).await;
        if found == wanted {
            return;
        }
        assert!(Instant::now() < until, "{sql}: {found}, not {wanted}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Everything that can be asked of the workout's readings.
#[derive(Debug, PartialEq)]
struct Answers {
    checksums: Vec<SourceChecksum>,
    samples: Vec<SampleRecord>,
    some: Vec<SampleRecord>,
    buckets: Vec<Vec<Bucket>>,
    totals: Totals,
}

impl Answers {
    async fn of(store: &Store) -> Self {
        let query = SampleQuery { workout: WORKOUT, from_at_ms: None, to_at_ms: None };
        let whole = SampleQuery { from_at_ms: Some(ANCHOR_AT_MS + MINUTE_MS), to_at_ms: Some(ANCHOR_AT_MS + 30 * MINUTE_MS), ..query };
        let odd = SampleQuery { from_at_ms: Some(ANCHOR_AT_MS + 90_500), to_at_ms: Some(ANCHOR_AT_MS + 2_100_000), ..query };
        let mut buckets = Vec::new();
        for (query, resolution_ms) in
            [(query, 5_000), (query, MINUTE_MS), (query, 5 * MINUTE_MS), (whole, MINUTE_MS), (odd, MINUTE_MS), (whole, 86_400_000)]
        {
            buckets.push(store.buckets(tenant(), query, resolution_ms).await.unwrap());
        }
        Self {
            checksums: store.checksums(tenant()).await.unwrap(),
            samples: all(store, query, 1_000).await,
            some: all(store, odd, 77).await,
            buckets,
            totals: store.add_up(tenant(), WORKOUT).await.unwrap(),
        }
    }
}

async fn all(store: &Store, query: SampleQuery, limit: u32) -> Vec<SampleRecord> {
    let (mut samples, mut after): (Vec<SampleRecord>, Option<SampleCursor>) = (Vec::new(), None);
    loop {
        let page = store.samples(tenant(), query, after, limit).await.unwrap();
        samples.extend(page.samples);
        after = page.next;
        if after.is_none() {
            return samples;
        }
    }
}

/// A bike over two boots, some of it beyond the workout, some of it with derived fields, and a strap.
fn training() -> Vec<Row> {
    let mut rows: Vec<Row> = rows(&source(1), 1, 1..=2_600);
    rows.extend((1..=300).map(|seq| row(&source(1), 2, seq)));
    for row in rows.iter_mut().filter(|row| row.seq % 3 == 0) {
        let mut reading = reading(row.seq);
        reading.set(Field::Cadence, 170);
        (row.what, row.derived) = (RowWhat::Reading(reading), Field::Cadence.mask());
    }
    rows.extend((1..=120).map(|seq| row(&strap(), 9, seq)));
    rows
}

fn ranges() -> [Fact; 3] {
    let strap_range = WorkoutRange { source: strap(), boot: 9, from_seq: 1, to_seq: 120 };
    [range_fact(1, 5, 2_590), range_fact(2, 1, 300), Fact::WorkoutRange { workout: WORKOUT, range: strap_range }]
}

/// Stores a training and seals it.
async fn train(house: &mut House, sent: &[Row]) {
    provision(&house.store).await;
    house.keep(sent.iter().cloned()).await;
    house.until("stored", |heard| heard.stored_count() == sent.len() as u64).await;
    persist(house, std::iter::once(workout_fact(WorkoutStage::Ended)).chain(ranges())).await;
    let totals = house.store.add_up(tenant(), WORKOUT).await.unwrap();
    persist(house, [Fact::Totals { workout: WORKOUT, revision: 0, totals }]).await;
}

const UNPACKED: &str = "select count(*) from workouts where packed_revision is null or packed_revision <> revision";

pub(crate) async fn packing_changes_no_answer_and_refuses_old_buffers(bench: &Bench) {
    let sent = training();
    let mut house = House::open(unpacked(bench)).await;
    train(&mut house, &sent).await;
    let before = Answers::of(&house.store).await;
    assert_eq!(before.samples.len(), 2_586 + 300 + 120);
    house.close().await;

    let mut house = House::open(packing(bench)).await;
    until_number(bench, UNPACKED, 0).await;
    assert_eq!(bench.number("select count(*) from samples").await, 14, "what lies beyond the workout is raw");
    assert_eq!(bench.number("select agrees from schema_versions where version = 2").await, 2);
    assert_eq!(Answers::of(&house.store).await, before);

    // The whole buffer again, without what was derived: each is known, none is another.
    let mut again = sent.clone();
    for row in &mut again {
        if std::mem::take(&mut row.derived) != 0 {
            row.what = RowWhat::Reading(reading(row.seq));
        }
    }
    house.keep(again).await;
    let duplicates = || house.counters.now().duplicates;
    let until = Instant::now() + PATIENCE;
    while duplicates() < sent.len() as u64 {
        assert!(Instant::now() < until, "{} duplicates", duplicates());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The same number with other content is a conflict, also when the first is packed.
    let mut other = sent[99].clone();
    other.what = RowWhat::Reading(reading(7));
    house.keep([other]).await;
    house.until("the conflict", |heard| heard.rejected.len() == 1).await;
    assert_eq!(house.heard.rejected[0].code, 604);
    assert_eq!(bench.number("select count(*) from samples").await, 14);
    assert_eq!(Answers::of(&house.store).await, before);
    house.close().await;
}

pub(crate) async fn late_rows_amend_what_is_packed_and_are_packed_again(bench: &Bench) {
    let sent = training();
    let (late, early): (Vec<Row>, Vec<Row>) =
        sent.iter().cloned().partition(|row| row.boot == 1 && (700..=900).contains(&row.seq) && row.seq % 2 == 0);
    let mut house = House::open(unpacked(bench)).await;
    train(&mut house, &early).await;
    house.close().await;
    let mut house = House::open(packing(bench)).await;
    until_number(bench, UNPACKED, 0).await;
    house.keep(late.clone()).await;
    house.until("late rows stored", |heard| heard.stored.values().map(protocol::SeqRanges::count).sum::<u64>() == late.len() as u64).await;
    let readings = 2_586 + 300 + 120;
    let query = SampleQuery { workout: WORKOUT, from_at_ms: None, to_at_ms: None };
    assert_eq!(all(&house.store, query, 5_000).await.len(), readings, "late rows are read at once");
    let minutes = house.store.buckets(tenant(), query, MINUTE_MS).await.unwrap();
    assert_eq!(minutes.iter().map(|bucket| bucket.count).sum::<u64>(), readings as u64);

    let amended =
        |report: &Report| matches!(report, Report::TotalsKnown { revision: 1.., totals, .. } if totals.readings == readings as u64);
    house.until("the amendment", |heard| heard.others.iter().any(amended)).await;
    until_number(bench, UNPACKED, 0).await;
    assert_eq!(bench.number("select count(*) from samples").await, 14, "late rows are packed too");
    let spans = "select count(*) from packed a join packed b on a.source = b.source and a.boot = b.boot
         and a.from_seq < b.from_seq and a.to_seq >= b.from_seq";
    assert_eq!(bench.number(spans).await, 0, "spans of chunks do not overlap");
    let day = house.store.days(tenant(), MEMBER, None, None).await.unwrap();
    until_number(bench, "select count(*) from workouts where rolled_revision <> revision", 0).await;
    assert_eq!(day.len(), 1);
    let packed = Answers::of(&house.store).await;
    house.close().await;

    let whole = Bench::sqlite();
    let mut house = House::open(unpacked(&whole)).await;
    train(&mut house, &sent).await;
    let wanted = Answers::of(&house.store).await;
    assert_eq!((packed.checksums, packed.totals, packed.buckets), (wanted.checksums, wanted.totals, wanted.buckets));
    house.close().await;
}

pub(crate) async fn a_killed_packer_loses_and_doubles_nothing(bench: &Bench) {
    let sent = training();
    let mut house = House::open(unpacked(bench)).await;
    train(&mut house, &sent).await;
    let before = Answers::of(&house.store).await;
    house.close().await;
    // Cut after 1 to 128 ms: somewhere between reading, deleting, writing and noting.
    for cut in [0, 2, 3, 4, 5, 7] {
        let house = House::open(packing(bench)).await;
        tokio::time::sleep(Duration::from_millis(1 << cut)).await;
        house.crash().await;
        let house = House::open(unpacked(bench)).await;
        let rows = "select (select count(*) from samples) + (select cast(coalesce(sum(samples), 0) as bigint) from packed)";
        assert_eq!(bench.number(rows).await, sent.len() as i64);
        assert_eq!(house.store.checksums(tenant()).await.unwrap(), before.checksums);
        house.close().await;
    }
    let house = House::open(packing(bench)).await;
    until_number(bench, UNPACKED, 0).await;
    assert_eq!(Answers::of(&house.store).await, before);
    house.close().await;
}

pub(crate) async fn readings_of_no_workout_are_packed_by_whole_days(bench: &Bench) {
    let mut house = House::open(unpacked(bench)).await;
    provision(&house.store).await;
    // From 23:40 on, 14 November 2020: over midnight; and a boot of today that stays raw.
    let old = 1_605_397_200_000;
    let mut sent = rows(&source(1), 1, 1..=3_000);
    sent.iter_mut().for_each(|row| row.anchor_at_ms = old);
    let mut young = rows(&source(1), 2, 1..=10);
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    young.iter_mut().for_each(|row| row.anchor_at_ms = now_ms);
    house.keep(sent.into_iter().chain(young)).await;
    house.until("stored", |heard| heard.stored_count() == 3_010).await;
    let before = house.store.checksums(tenant()).await.unwrap();
    house.close().await;

    let mut options = packing(bench);
    (options.history.pack_after, options.history.loose_after) = (None, Some(Duration::ZERO));
    let house = House::open(options).await;
    until_number(bench, "select count(*) from samples", 10).await;
    assert_eq!(house.store.checksums(tenant()).await.unwrap(), before);
    assert_eq!(bench.number("select count(*) from packed where from_at_ms / 86400000 <> to_at_ms / 86400000").await, 0);
    house.close().await;
}

/// A sealed workout of a member that began at a time and came to so many metres.
fn sealed(number: u128, started_at_ms: i64, distance_m: i64) -> [Fact; 2] {
    let workout = WorkoutId(Uuid::from_u128(0xda0_0000 + number));
    let stage = WorkoutStage::Ended;
    let totals = Totals { distance_m, readings: 1, ..Totals::default() };
    [
        Fact::Workout { workout, gym: GYM, member: MEMBER, visit: VISIT, stage, started_at_ms, ended_at_ms: None },
        Fact::Totals { workout, revision: 0, totals },
    ]
}

pub(crate) async fn days_are_the_gyms_own_over_both_changes_of_a_year(bench: &Bench) {
    const HOUR_MS: i64 = 3_600_000;
    let house = House::open(unpacked(bench)).await;
    provision(&house.store).await;
    // Rome: 29 March 2026 has 23 hours (from 28 March 23:00 UTC on), 25 October 25 (from 24 October 22:00 UTC on).
    let (march, october) = (1_774_738_800_000, 1_792_879_200_000);
    let began = [
        march - 1,
        march,
        march + 23 * HOUR_MS - 1,
        march + 23 * HOUR_MS,
        october - 1,
        october,
        october + 25 * HOUR_MS - 1,
        october + 25 * HOUR_MS,
    ];
    let facts = began.iter().enumerate().flat_map(|(number, &at_ms)| sealed(number as u128, at_ms, 1 << number));
    persist(&house, facts.collect::<Vec<_>>()).await;
    let undone = "select count(*) from workouts where rolled_revision is null or rolled_revision <> revision";
    until_number(bench, undone, 0).await;
    let days = || async {
        let days = house.store.days(tenant(), MEMBER, None, None).await.unwrap();
        days.into_iter().map(|day| (day.day, day.workouts, day.totals.distance_m)).collect::<Vec<_>>()
    };
    let of = |day: &str, workouts, distance_m| (day.to_owned(), workouts, distance_m);
    let wanted = [
        of("2026-03-28", 1, 1),
        of("2026-03-29", 2, 6),
        of("2026-03-30", 1, 8),
        of("2026-10-24", 1, 16),
        of("2026-10-25", 2, 96),
        of("2026-10-26", 1, 128),
    ];
    assert_eq!(days().await, wanted);

    // An amendment changes its day, and only once.
    let amended = Fact::Totals {
        workout: WorkoutId(Uuid::from_u128(0xda0_0001)),
        revision: 1,
        totals: Totals { distance_m: 2_000, ..Totals::default() },
    };
    persist(&house, [amended.clone(), amended]).await;
    until_number(bench, undone, 0).await;
    assert_eq!(days().await[1], of("2026-03-29", 2, 2_004));
    let some = house.store.days(tenant(), MEMBER, Some("2026-10-25"), Some("2026-10-26")).await.unwrap();
    assert_eq!(some.iter().map(|day| day.day.as_str()).collect::<Vec<_>>(), ["2026-10-25"]);
    assert_eq!(house.store.days(protocol::TenantId(Uuid::from_u128(0xbad)), MEMBER, None, None).await.unwrap(), []);

    // A gym that moves to another zone has other days.
    let moved = storage::GymRecord { time_zone: Text::cut("America/New_York"), ..super::store::gym() };
    house.store.put_gyms(tenant(), &[moved]).await.unwrap();
    until_number(bench, undone, 0).await;
    assert_eq!(days().await.iter().map(|day| day.1).sum::<u32>(), 8);
    assert_eq!(days().await[0], of("2026-03-28", 2, 2_001));
    house.close().await;
}

pub(crate) async fn readings_go_before_their_minutes_and_each_gym_has_its_rule(bench: &Bench) {
    let sent = training();
    let mut house = House::open(packing(bench)).await;
    train(&mut house, &sent).await;
    until_number(bench, UNPACKED, 0).await;
    let query = SampleQuery { workout: WORKOUT, from_at_ms: None, to_at_ms: None };
    let minutes = house.store.buckets(tenant(), query, MINUTE_MS).await.unwrap();
    house.close().await;

    // The gym keeps its machines' readings for good; everybody else's go (the strap), and keep their minutes.
    let mut options = packing(bench);
    let short = Keep { packed: Some(Duration::ZERO), rollups: None };
    options.history.keep = short;
    options.history.rules = vec![(Whose::Gym(GYM), Keep::default()), (Whose::Tenant(tenant()), short)];
    let ahead = "update packed set from_at_ms = from_at_ms - 864000000000, to_at_ms = to_at_ms - 864000000000";
    bench.sql(ahead).await;
    let house = House::open(options.clone()).await;
    until_number(bench, "select count(*) from packed where chunk is null", 1).await;
    assert_eq!(bench.number("select count(*) from packed where chunk is not null").await, 3);
    house.close().await;

    // Nobody keeps readings; then nobody keeps anything, but the ranges.
    options.history.rules.clear();
    let house = House::open(options.clone()).await;
    until_number(bench, "select count(*) from packed where chunk is not null", 0).await;
    bench.sql(&ahead.replace('-', "+")).await;
    assert_eq!(house.store.buckets(tenant(), query, MINUTE_MS).await.unwrap().len(), minutes.len(), "minutes outlive their readings");
    assert_eq!(all(&house.store, query, 1_000).await, []);
    house.close().await;
    bench.sql(ahead).await;
    options.history.keep = Keep { packed: Some(DAY), rollups: Some(2 * DAY) };
    let mut house = House::open(options).await;
    until_number(bench, "select count(*) from packed", 0).await;
    house.keep(sent[..100].iter().cloned()).await;
    house.until("told as stored", |heard| heard.stored_count() == 100).await;
    assert_eq!(bench.number("select count(*) from samples where boot = 1 and seq between 5 and 100").await, 0, "old buffers stay refused");
    house.close().await;
}

pub(crate) async fn late_rows_leave_the_totals_of_what_was_forgotten(bench: &Bench) {
    let sent = training();
    let late = |row: &Row| row.boot == 1 && matches!(row.seq, 700 | 800 | 900);
    let (late, early): (Vec<Row>, Vec<Row>) = sent.iter().cloned().partition(late);
    let mut house = House::open(packing(bench)).await;
    train(&mut house, &early).await;
    until_number(bench, UNPACKED, 0).await;
    house.close().await;
    let first = "select revision from workouts";
    let revision = bench.number(first).await;
    // All of it is old. First the readings go, then their minutes too; a row that nobody had comes after each.
    let of_old = "update packed set from_at_ms = from_at_ms - 864000000000, to_at_ms = to_at_ms - 864000000000";
    bench.sql(of_old).await;
    let (mut options, mut kept) = (packing(bench), Vec::new());
    for (keep, gone, late) in [
        (Keep { packed: Some(DAY), rollups: None }, "select count(*) from packed where chunk is not null and to_at_ms < 1", &late[..1]),
        (Keep { packed: Some(DAY), rollups: Some(DAY) }, "select count(*) from packed where to_at_ms < 1000000000000", &late[1..]),
    ] {
        options.history.keep = keep;
        let mut house = House::open(options.clone()).await;
        until_number(bench, gone, 0).await;
        let all = late.len() as u64;
        house.keep(late.iter().cloned()).await;
        house.until("the late rows stored", |heard| heard.stored_count() == all).await;
        until_number(bench, "select count(*) from workouts where late_at_ms is not null", 0).await;
        until_number(bench, UNPACKED, 0).await;
        kept.push(house.store.workout(tenant(), WORKOUT).await.unwrap().unwrap().record.totals.unwrap().readings);
        house.close().await;
    }
    let readings = 2_586 + 300 + 120 - 3;
    assert_eq!(kept, [readings; 2], "what was sealed stands");
    assert_eq!(bench.number(first).await, revision, "and no revision is made");
}

pub(crate) async fn what_cannot_be_read_holds_nothing_else_up(bench: &Bench) {
    let sent = training();
    let (late, early): (Vec<Row>, Vec<Row>) = sent.iter().cloned().partition(|row| row.boot == 1 && row.seq == 700);
    let mut house = House::open(packing(bench)).await;
    train(&mut house, &early).await;
    until_number(bench, UNPACKED, 0).await;
    // More workouts than a look takes whose totals do not read, and before all others.
    let broken = (0..40).flat_map(|number| sealed(number, ANCHOR_AT_MS + number as i64, 1));
    persist(&house, broken.filter(|fact| !matches!(fact, Fact::WorkoutRange { .. })).collect::<Vec<_>>()).await;
    let rolled = "select count(*) from workouts where rolled_revision is null or rolled_revision <> revision";
    until_number(bench, rolled, 0).await;
    until_number(bench, UNPACKED, 0).await;
    house.close().await;
    for sql in [
        "update workout_totals set totals = '{'",
        "update workouts set late_at_ms = 1, rolled_revision = null",
        if bench.is_postgres() { "update packed set chunk = '\\x00'" } else { "update packed set chunk = x'00'" },
    ] {
        bench.sql(sql).await;
    }
    // One more that is as it should be, and comes after all of them.
    let mut options = packing(bench);
    options.history.loose_after = Some(Duration::ZERO);
    options.history.quarantine = Some(Duration::ZERO);
    let mut house = House::open(options).await;
    let [workout, totals] = sealed(0xffff, ANCHOR_AT_MS + 5 * 86_400_000, 7);
    let Fact::Workout { workout: good, .. } = workout else { unreachable!("a workout comes first") };
    let sound = rows(&source(2), 1, 1..=50);
    house.keep(sound.iter().chain(&late).cloned()).await;
    house.until("stored", |heard| heard.stored_count() == 51).await;
    let range = WorkoutRange { source: source(2), boot: 1, from_seq: 1, to_seq: 60 };
    persist(&house, [workout, Fact::WorkoutRange { workout: good, range }, totals]).await;
    let good = good.0.simple();
    let hex = if bench.is_postgres() { format!("'{good}'") } else { format!("x'{good}'") };
    until_number(bench, &format!("select count(*) from workouts where workout = {hex} and packed_revision = revision"), 1).await;
    until_number(bench, "select count(*) from days where totals like '%\"distance_m\":7%'", 1).await;
    house.keep(rows(&source(2), 1, 51..=60)).await;
    house.until("stored", |heard| heard.stored_count() == 61).await;
    house.until("the amendment", |heard| heard.others.iter().any(|report| matches!(report, Report::TotalsKnown { revision: 1, .. }))).await;
    assert!(house.counters.now().history_failed > 40, "each is counted");
    house.close().await;
}

pub(crate) async fn a_set_is_kept_while_its_readings_are_packed(bench: &Bench) {
    let mut house = House::open(packing(bench)).await;
    let rep = protocol::frame::StrokeDetail { stroke: 1, drive_ms: 2, recovery_ms: 3, length_cm: 4, peak_force_n: 5, work_j: 6 };
    let mut sent = training();
    sent.retain(|row| row.boot != 1 || row.seq != 50);
    sent.push(keep(&source(1), 1, 50, RowWhat::Stroke(rep)));
    train(&mut house, &sent).await;
    until_number(bench, UNPACKED, 0).await;
    house.keep([keep(&source(1), 1, 50, RowWhat::Reading(reading(50)))]).await;
    house.until("the conflict", |heard| heard.rejected.len() == 1).await;
    assert_eq!(bench.number("select count(*) from strokes").await, 1);
    house.close().await;
}
