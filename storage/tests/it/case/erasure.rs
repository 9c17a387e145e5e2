//! One member goes: out of every table and file, also out of chunks shared with others, and nothing that comes again brings them back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use protocol::frame::{EventBody, SetDetail, Totals, VisitState, WorkoutStage};
use protocol::text::Text;
use protocol::{BoardId, EventId, MemberId, TenantId};
use storage::{Erasure, Fact, MemberRecord, Row, RowWhat, SourceKey, StoreError, WorkoutRange};
use tokio::time::Instant;
use uuid::Uuid;

use super::history::{packing, unpacked, until_number};
use super::store::{GYM, MEMBER, VISIT, WORKOUT, event_fact, persist, provision, range_fact, workout_fact};
use crate::support::rows::{keep, machine, rows, source};
use crate::support::{Bench, House, PATIENCE, tenant};

const CANARY: &str = "canary-7f3a9c51e2";
/// 14 November 2020: whole days ago, whenever this runs.
const OLD_AT_MS: i64 = 1_605_312_000_000;
/// 2096: what retention leaves alone.
const LATER_AT_MS: i64 = 4_000_000_000_000;

fn strap() -> Arc<SourceKey> {
    Arc::new(SourceKey::Member(tenant(), MEMBER, Text::cut(CANARY)))
}

fn set() -> SetDetail {
    let text = || Some(Text::cut(CANARY));
    SetDetail {
        set: 1,
        exercise: text().map(|text: Text<64>| Text::cut(&text)),
        target_reps: 5,
        reps: 5,
        load_hg: 600,
        seconds: 30,
        rest_s: 60,
        tempo: None,
        note: Some(Text::cut(CANARY)),
    }
}

/// What the bike and the strap said. The workout is 5 to 2590 of boot 1, all of boot 2 and all of the strap; 100 to 110 are still under way.
fn said() -> (Vec<Row>, Vec<Row>) {
    let mut all = rows(&source(1), 1, 1..=2_600);
    all.extend(rows(&source(1), 2, 1..=300));
    all.extend(rows(&strap(), 9, 1..=120));
    all[199].what = RowWhat::Set(Box::new(set()));
    all[299].what = RowWhat::Poison { code: 603, bytes: CANARY.as_bytes().to_vec() };
    all.iter_mut().for_each(|row| row.anchor_at_ms = OLD_AT_MS);
    all.into_iter().partition(|row| row.boot != 1 || !(100..=110).contains(&row.seq))
}

fn facts() -> Vec<Fact> {
    let range = WorkoutRange { source: strap(), boot: 9, from_seq: 1, to_seq: 120 };
    let visit = Fact::Visit {
        visit: VISIT,
        gym: GYM,
        member: MEMBER,
        state: VisitState::Completed,
        started_at_ms: OLD_AT_MS,
        ended_at_ms: Some(OLD_AT_MS + 1),
        machines: vec![machine(1)],
    };
    let claim =
        Fact::Claim { gym: GYM, machine: machine(1), member: MEMBER, fence: 7, workout: WORKOUT, may_control: true, at_ms: OLD_AT_MS };
    let logged = Fact::LoggedSet {
        id: EventId(Uuid::from_u128(9)),
        workout: WORKOUT,
        member: MEMBER,
        logged_at_ms: OLD_AT_MS,
        set: Box::new(set()),
    };
    let totals = Fact::Totals { workout: WORKOUT, revision: 0, totals: Totals { readings: 1, ..Totals::default() } };
    vec![
        visit,
        claim,
        workout_fact(WorkoutStage::Ended),
        range_fact(1, 5, 2_590),
        range_fact(2, 1, 300),
        Fact::WorkoutRange { workout: WORKOUT, range },
        logged,
        Fact::BoardScore { board: BoardId(Uuid::from_u128(0xb0a)), workout: WORKOUT, member: MEMBER, base: 0, score: Some(7) },
        event_fact(77, EventBody::Achievement { name: Text::cut(CANARY) }),
        totals,
    ]
}

/// Files below a folder, or one file and its log, that hold the canary.
fn found_in(path: &Path) -> Vec<String> {
    if path.is_dir() {
        return std::fs::read_dir(path).unwrap().flat_map(|entry| found_in(&entry.unwrap().path())).collect();
    }
    // A file may be unlinked between the list and the look.
    let bytes = std::fs::read(path).unwrap_or_default();
    let holds = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
    if holds { vec![path.display().to_string()] } else { Vec::new() }
}

fn found(bench: &Bench) -> Option<Vec<String>> {
    Some(bench.files()?.iter().flat_map(|path| found_in(path)).collect())
}

const TABLES_OF_MEMBERS: &str = "select (select count(*) from workouts) + (select count(*) from workout_ranges) + (select count(*) from workout_totals)
     + (select count(*) from logged_sets) + (select count(*) from visits) + (select count(*) from visit_machines) + (select count(*) from events)
     + (select count(*) from achievements) + (select count(*) from days) + (select count(*) from members) + (select count(*) from sets)
     + (select count(*) from quarantine) + (select count(*) from sources where kind = 'member') + (select count(*) from board_scores)
     + (select count(*) from idempotency) + (select count(*) from team_people where kind = 'member')
     + (select count(*) from claims where member is not null or workout is not null)";
const READINGS: &str = "select (select count(*) from samples) + (select cast(coalesce(sum(samples), 0) as bigint) from packed)";

pub(crate) async fn an_erased_member_is_in_no_table_and_no_file_and_does_not_come_back(bench: &Bench) {
    let (early, under_way) = said();
    let mut house = House::open(unpacked(bench)).await;
    provision(&house.store).await;
    let ada = MemberRecord { handle: Some(Text::cut(CANARY)), ..MemberRecord::new(MEMBER) };
    house.store.put_members(tenant(), &[ada]).await.unwrap();
    persist(&house, facts()).await;
    // A request of the member's own, and one of the backend that names them.
    for (subject, request) in [(MEMBER.0, CANARY.to_owned()), (Uuid::from_u128(0x5e), format!("{CANARY} {}", MEMBER.0))] {
        house.store.take_key(tenant(), subject, "key", request.as_bytes(), LATER_AT_MS).await.unwrap();
    }
    house.keep(early.clone()).await;
    house.until("stored", |heard| heard.stored_count() == early.len() as u64).await;
    house.close().await;

    // Packed by days: chunks hold what is the member's and what is nobody's.
    let mut options = packing(bench);
    (options.history.pack_after, options.history.loose_after) = (None, Some(Duration::ZERO));
    let mut house = House::open(options).await;
    until_number(bench, "select count(*) from samples", 0).await;
    until_number(bench, "select count(*) from days", 1).await;
    bench.checkpoint().await;
    assert!(found(bench).is_none_or(|found| !found.is_empty()), "what is looked for can be found");

    let began = Instant::now();
    let stranger = house.store.erase_member(TenantId(Uuid::from_u128(0xbad)), MEMBER, None, 1).await;
    assert!(matches!(stranger, Err(StoreError::NotFound { .. })));
    let gone = house.store.erase_member(tenant(), MEMBER, Some(Uuid::from_u128(1)), 1).await.unwrap();
    assert_eq!((gone["members"], gone["workouts"], gone["logged_sets"], gone["sets"]), (1, 1, 1, 1));
    assert_eq!((gone["board_scores"], gone["idempotency"], gone["team_people"]), (1, 2, 1));
    assert_eq!(house.store.scrub().await.unwrap(), Vec::<String>::new());
    bench.checkpoint().await;
    assert_eq!(found(bench).unwrap_or_default(), Vec::<String>::new());
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!(bench.number(TABLES_OF_MEMBERS).await, 0);
    assert_eq!(bench.number(READINGS).await, 14, "what is nobody's stays, also in chunks that were shared");
    assert_eq!(bench.number("select count(*) from claims where fence = 7").await, 1, "the fence stays");
    assert_eq!(bench.number("select count(*) from audit where action = 'erase'").await, 1);

    // Everything again, what was still under way, and what rooms say late.
    house.heard.stored.clear();
    let again: Vec<Row> = early.into_iter().chain(under_way).collect();
    let count = again.len() as u64;
    house.keep(again).await;
    house.until("told as stored", |heard| heard.stored_count() == count).await;
    persist(&house, facts()).await;
    let new_strap = keep(&strap(), 10, 1, RowWhat::Reading(crate::support::rows::reading(1)));
    house.keep([new_strap]).await;
    house.until("told as stored", |heard| heard.stored_count() == count + 1).await;
    assert_eq!(bench.number(TABLES_OF_MEMBERS).await, 0);
    assert_eq!(bench.number(READINGS).await, 14);

    let nothing = house.store.erase_member(tenant(), MEMBER, None, 2).await.unwrap();
    assert!(nothing.is_empty(), "{nothing:?}");
    house.close().await;
}

pub(crate) async fn erasing_one_leaves_another(bench: &Bench) {
    let mut house = House::open(unpacked(bench)).await;
    provision(&house.store).await;
    let bob = MemberId(Uuid::from_u128(0xb0b));
    house.store.put_members(tenant(), &[MemberRecord::new(bob)]).await.unwrap();
    let (early, _) = said();
    persist(&house, facts()).await;
    house.keep(early.iter().filter(|row| row.boot == 1).cloned()).await;
    house.until("stored", |heard| heard.stored_count() > 2_500).await;
    let until = Instant::now() + PATIENCE;
    while house.store.erase_member(tenant(), bob, None, 1).await.is_err() {
        assert!(Instant::now() < until);
    }
    assert_eq!(bench.number("select count(*) from members").await, 1);
    assert_eq!(bench.number("select count(*) from samples").await, 2_600 - 11 - 2);
    assert_eq!(bench.number("select count(*) from workouts").await, 1);
    house.close().await;
}

/// What the member left in any table but the marks: also in sources and boots that writers made meanwhile.
const LEFT_OF_MEMBERS: &str = "select (select count(*) from sources where kind = 'member') + (select count(*) from samples s
     where not exists (select 1 from sources o where o.source = s.source))";

pub(crate) async fn what_waits_in_a_queue_while_its_member_is_erased_is_erased_too(bench: &Bench) {
    let mut house = House::open(unpacked(bench)).await;
    provision(&house.store).await;
    let bike = source(1);
    persist(&house, [workout_fact(WorkoutStage::Live), range_fact(1, 5, u32::MAX)]).await;
    house.keep(rows(&bike, 1, 1..=50)).await;
    house.keep(rows(&strap(), 9, 1..=20)).await;
    house.until("stored", |heard| heard.stored_count() == 70).await;
    house.store.erase_member(tenant(), MEMBER, None, 1).await.unwrap();
    // Rows that were taken before, in the stretch that nobody had closed, and of the strap whose number the writer remembers.
    house.keep(rows(&bike, 1, 51..=60)).await;
    house.keep(rows(&strap(), 9, 21..=30)).await;
    house.keep(rows(&strap(), 10, 1..=10)).await;
    house.until("told as stored", |heard| heard.stored_count() == 100).await;
    // The stretch ends, and a workout comes whose fact was still on its way when the member was erased.
    let late = protocol::WorkoutId(Uuid::from_u128(0x1a7e));
    let Fact::Workout { gym, member, visit, stage, started_at_ms, ended_at_ms, .. } = workout_fact(WorkoutStage::Live) else {
        unreachable!()
    };
    let started = Fact::Workout { workout: late, gym, member, visit, stage, started_at_ms, ended_at_ms };
    let stretch = |from_seq, to_seq| Fact::WorkoutRange {
        workout: late,
        range: WorkoutRange { source: Arc::clone(&bike), boot: 1, from_seq, to_seq },
    };
    persist(&house, [range_fact(1, 5, 60), started, stretch(61, u32::MAX)]).await;
    house.keep(rows(&bike, 1, 61..=70)).await;
    house.until("told as stored", |heard| heard.stored_count() == 110).await;
    // In a transaction of its own, after its workout was dropped; five of its readings come later still.
    persist(&house, [stretch(61, 75)]).await;
    house.keep(rows(&bike, 1, 71..=80)).await;
    house.until("told as stored", |heard| heard.stored_count() == 120).await;
    assert_eq!(bench.number(TABLES_OF_MEMBERS).await, 0);
    assert_eq!(bench.number(LEFT_OF_MEMBERS).await, 0);
    assert_eq!(bench.number(READINGS).await, 4 + 5, "nobody's, before and after");
    house.close().await;
}

pub(crate) async fn a_member_is_erased_beside_a_busy_writer(bench: &Bench) {
    const MEMBERS: u128 = 12;
    const STRAPS: u32 = 10;
    let mut house = House::open(unpacked(bench)).await;
    provision(&house.store).await;
    let members: Vec<MemberId> = (1..=MEMBERS).map(|n| MemberId(Uuid::from_u128(0x5eed_0000 + n))).collect();
    house.store.put_members(tenant(), &members.iter().copied().map(MemberRecord::new).collect::<Vec<_>>()).await.unwrap();
    let mut kept = 0;
    for member in &members {
        let straps: Vec<Arc<SourceKey>> =
            (0..STRAPS).map(|n| Arc::new(SourceKey::Member(tenant(), *member, Text::cut(&format!("strap {n}"))))).collect();
        let store = house.store.clone();
        let erase = async { store.erase_member(tenant(), *member, None, 1).await.unwrap() };
        // New devices, new boots and old ones, while the erasure goes through the tables.
        let write = async {
            for boot in 1..=3 {
                for strap in &straps {
                    house.keep(rows(strap, boot, 1..=2)).await;
                    kept += 2;
                    tokio::task::yield_now().await;
                }
                house.until("told as stored", |heard| heard.stored_count() >= kept).await;
            }
        };
        tokio::join!(write, erase);
    }
    assert_eq!(bench.number(LEFT_OF_MEMBERS).await, 0);
    assert_eq!(bench.number(READINGS).await, 0);
    house.close().await;
}

pub(crate) async fn an_erasure_that_was_cut_is_finished_after_the_next_start(bench: &Bench) {
    let mut house = House::open(unpacked(bench)).await;
    provision(&house.store).await;
    let (early, _) = said();
    let count = early.len() as u64;
    persist(&house, facts()).await;
    house.keep(early).await;
    house.until("stored", |heard| heard.stored_count() == count).await;
    // The last step cannot be done: everything before it is, and the request stands.
    bench.sql("alter table visit_machines rename to hidden").await;
    let by = Uuid::from_u128(1);
    assert!(house.store.erase_member(tenant(), MEMBER, Some(by), 7).await.is_err());
    assert_eq!(bench.number("select count(*) from members").await, 0, "gone for every question");
    house.crash().await;
    bench.sql("alter table hidden rename to visit_machines").await;

    let house = House::open(unpacked(bench)).await;
    assert_eq!(house.store.unfinished_erasures(6).await.unwrap(), []);
    let cut = house.store.unfinished_erasures(7).await.unwrap();
    assert_eq!(cut, [Erasure { tenant: tenant(), member: MEMBER, by: Some(by), at_ms: 7 }]);
    let mut gone = storage::Erased::new();
    house.store.finish_erasure(cut[0], &mut gone).await.unwrap();
    assert_eq!(gone["workouts"], 1, "{gone:?}");
    assert_eq!(house.store.unfinished_erasures(i64::MAX).await.unwrap(), []);
    assert_eq!(bench.number(TABLES_OF_MEMBERS).await, 0);
    assert_eq!(bench.number("select count(*) from audit where action = 'erase'").await, 1);
    house.close().await;
}
