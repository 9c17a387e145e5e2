//! Two tenants with one subject: what one of them erases is its own, in every table, before, meanwhile and after.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::frame::{BoardMetric, Event, EventBody, MachineKind, SetDetail, Totals, VisitState, WorkoutStage};
use protocol::text::Text;
use protocol::{BoardId, EventId, GymId, RoomName, TeamId, TenantId, VisitId, WorkoutId};
use sha2::Digest as _;
use storage::{
    BoardRecord, Fact, GymRecord, MachineRecord, MemberRecord, Options, Row, RowWhat, SourceKey, StoreError, TeamRecord, TimeQuery, Units,
    WorkoutRange,
};
use uuid::Uuid;

use super::history::{unpacked, until_number};
use super::store::{MEMBER, persist};
use crate::support::rows::{ANCHOR_AT_MS, machine, rows, source};
use crate::support::{Bench, House, tenant};

/// 2096: what retention leaves alone.
const LATER_AT_MS: i64 = 4_000_000_000_000;

/// A tenant with a gym, in which [`MEMBER`] trains.
#[derive(Clone, Copy)]
struct Side {
    tenant: TenantId,
    number: u128,
}

fn sides() -> (Side, Side) {
    (Side { tenant: tenant(), number: 1 }, Side { tenant: TenantId(Uuid::from_u128(0xbad)), number: 2 })
}

/// What tells of the member, by table; claims keep their fences.
const COUNTED: [(&str, &str); 17] = [
    ("achievements", "1 = 1"),
    ("board_scores", "1 = 1"),
    ("claims", "member is not null and workout is not null and ended_at_ms is null"),
    ("days", "1 = 1"),
    ("events", "1 = 1"),
    ("idempotency", "1 = 1"),
    ("logged_sets", "1 = 1"),
    ("quarantine", "1 = 1"),
    ("samples", "1 = 1"),
    ("sets", "1 = 1"),
    ("sources", "kind = 'member'"),
    ("team_people", "1 = 1"),
    ("visit_machines", "1 = 1"),
    ("visits", "1 = 1"),
    ("workout_ranges", "1 = 1"),
    ("workout_totals", "1 = 1"),
    ("workouts", "1 = 1"),
];

async fn counted(bench: &Bench) -> BTreeMap<&'static str, i64> {
    let mut all = BTreeMap::new();
    for (table, which) in COUNTED {
        all.insert(table, bench.number(&format!("select count(*) from {table} where {which}")).await);
    }
    all
}

impl Side {
    const fn id(self, kind: u128) -> Uuid {
        Uuid::from_u128((self.number << 32) + kind)
    }

    const fn gym(self) -> GymId {
        GymId(self.id(1))
    }

    const fn workout(self) -> WorkoutId {
        WorkoutId(self.id(2))
    }

    fn strap(self) -> Arc<SourceKey> {
        Arc::new(SourceKey::Member(self.tenant, MEMBER, Text::cut("strap")))
    }

    /// The gym, its machine, a team; not the member.
    async fn provision(self, house: &House) {
        let gym = GymRecord {
            gym: self.gym(),
            name: Text::cut("Gym"),
            time_zone: Text::cut("Europe/Rome"),
            units: Units::Metric,
            addresses: Vec::new(),
        };
        let bike = MachineRecord {
            machine: machine(self.number),
            gym: self.gym(),
            name: Text::cut("Bike"),
            kind: MachineKind::Bike,
            location: Text::cut("window"),
            gateway: None,
            powered: true,
        };
        let team = TeamRecord { team: TeamId(self.id(3)), name: Text::cut("Team"), sport: None, staff: Vec::new(), members: Vec::new() };
        house.store.put_gyms(self.tenant, &[gym]).await.unwrap();
        house.store.put_machines(self.tenant, &[bike]).await.unwrap();
        house.store.put_teams(self.tenant, &[team]).await.unwrap();
        let board = BoardRecord {
            board: BoardId(self.id(7)),
            gym: self.gym(),
            name: Text::cut("Board"),
            metric: BoardMetric::Distance,
            machines: Vec::new(),
            starts_at_ms: ANCHOR_AT_MS,
            ends_at_ms: ANCHOR_AT_MS + 1,
            every_ms: 1_000,
        };
        house.store.put_boards(self.tenant, &[board]).await.unwrap();
    }

    fn facts(self) -> Vec<Fact> {
        let (gym, workout, member, machine) = (self.gym(), self.workout(), MEMBER, machine(self.number));
        let visit = VisitId(self.id(4));
        let badge = EventBody::Achievement { name: Text::cut("first") };
        let event = Event { handle: 0, offset: 1, id: EventId(self.id(5)), at_ms: ANCHOR_AT_MS, body: badge };
        let range = |source, boot, to_seq| Fact::WorkoutRange { workout, range: WorkoutRange { source, boot, from_seq: 1, to_seq } };
        let started_at_ms = ANCHOR_AT_MS;
        vec![
            Fact::Visit {
                visit,
                gym,
                member,
                state: VisitState::Completed,
                started_at_ms,
                ended_at_ms: Some(started_at_ms + 1),
                machines: vec![machine],
            },
            Fact::Claim { gym, machine, member, fence: 7, workout, may_control: true, at_ms: started_at_ms },
            Fact::Workout { workout, gym, member, visit, stage: WorkoutStage::Ended, started_at_ms, ended_at_ms: Some(started_at_ms + 9) },
            range(source(self.number), 1, 40),
            range(self.strap(), 9, 20),
            Fact::LoggedSet { id: EventId(self.id(6)), workout, member, logged_at_ms: started_at_ms, set: Box::new(set()) },
            Fact::BoardScore { board: BoardId(self.id(7)), workout, member, base: 0, score: Some(9) },
            Fact::Event { gym, room: RoomName::Workout(workout), member: Some(member), event: Box::new(event) },
            Fact::Totals { workout, revision: 0, totals: Totals { readings: 1, ..Totals::default() } },
        ]
    }

    fn rows(self) -> Vec<Row> {
        let mut all = rows(&source(self.number), 1, 1..=40);
        all[5].what = RowWhat::Set(Box::new(set()));
        all[6].what = RowWhat::Poison { code: 603, bytes: b"?".to_vec() };
        all.extend(rows(&self.strap(), 9, 1..=20));
        all
    }

    /// Requests of the member's own, one of the backend that names them, a fact that was refused, and a place in the team.
    async fn words(self, bench: &Bench, house: &House) {
        let id = MEMBER.0.to_string();
        for (subject, request) in [(MEMBER.0, b"own".as_slice()), (self.id(8), id.as_bytes())] {
            house.store.take_key(self.tenant, subject, "key", request, LATER_AT_MS).await.unwrap();
        }
        let content: String =
            format!("Visit {{ gym: {}, member: {id} }}", self.gym().0).bytes().map(|byte| format!("{byte:02x}")).collect();
        let bytes = bytes(bench, &content);
        let sql = format!(
            "insert into quarantine (source, boot, seq, code, detail, content, fingerprint, received_at_ms)
             values (null, 0, 0, 603, '', {bytes}, {}, {LATER_AT_MS})",
            self.number
        );
        bench.sql(&sql).await;
        let [team, person] =
            [self.id(3), MEMBER.0].map(|id| if bench.is_postgres() { format!("'{id}'") } else { format!("x'{}'", id.simple()) });
        bench.sql(&format!("insert into team_people (team, kind, person) values ({team}, 'member', {person})")).await;
    }

    /// Everything of the member in this tenant, sealed and in its day.
    async fn train(self, bench: &Bench, house: &mut House, days: i64) {
        let mut facts = self.facts();
        let sealed = facts.pop();
        persist(house, facts).await;
        let count = house.heard.stored_count();
        house.keep(self.rows()).await;
        house.until("stored", |heard| heard.stored_count() == count + 60).await;
        // After its rows: none is late, and nothing is amended while it is counted.
        persist(house, sealed).await;
        self.words(bench, house).await;
        until_number(bench, "select count(*) from days", days).await;
    }
}

fn bytes(bench: &Bench, hex: &str) -> String {
    if bench.is_postgres() { format!("'\\x{hex}'") } else { format!("x'{hex}'") }
}

fn set() -> SetDetail {
    SetDetail { set: 1, exercise: None, target_reps: 5, reps: 5, load_hg: 600, seconds: 30, rest_s: 60, tempo: None, note: None }
}

pub(crate) async fn an_erasure_touches_nothing_of_another_tenant_with_the_same_subject(bench: &Bench) {
    let (ours, theirs) = sides();
    let mut house = House::open(unpacked(bench)).await;
    theirs.provision(&house).await;
    theirs.train(bench, &mut house, 1).await;
    let before = counted(bench).await;
    let sums = house.store.checksums(theirs.tenant).await.unwrap();
    ours.provision(&house).await;
    house.store.put_members(ours.tenant, &[MemberRecord::new(MEMBER)]).await.unwrap();
    ours.train(bench, &mut house, 2).await;
    for (table, count) in counted(bench).await {
        assert!(before[table] > 0 && count > before[table], "{table} holds something of both");
    }
    let own = house.store.member(ours.tenant, MEMBER).await.unwrap().unwrap();
    assert_eq!(own.achievements.len(), 1);
    for side in [ours, theirs] {
        let both = [ours.workout(), theirs.workout()];
        let claims = house.store.claims_of(side.tenant, MEMBER, &both).await.unwrap();
        assert_eq!(claims.iter().map(|claim| (claim.machine, claim.workout)).collect::<Vec<_>>(), [(machine(side.number), side.workout())]);
        let scores = house.store.scores_of(side.tenant, MEMBER, &both).await.unwrap();
        assert_eq!(scores.iter().map(|score| (score.workout, score.score)).collect::<Vec<_>>(), [(side.workout(), Some(9))]);
    }

    let refused = house.store.erase_member(theirs.tenant, MEMBER, None, 1).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })), "who is not their member is not theirs to erase");
    let gone = house.store.erase_member(ours.tenant, MEMBER, None, 1).await.unwrap();
    assert_eq!(gone["workouts"], 1);
    assert_eq!(counted(bench).await, before);
    assert_eq!(house.store.checksums(theirs.tenant).await.unwrap(), sums);

    // Ours again is dropped; theirs, also what is new to the writer, is written. Both in one batch.
    persist(&house, ours.facts().into_iter().chain(theirs.facts())).await;
    let stored = house.heard.stored_count();
    house.keep(rows(&ours.strap(), 10, 1..=5).into_iter().chain(rows(&theirs.strap(), 10, 1..=5))).await;
    house.until("told as stored", |heard| heard.stored_count() == stored + 10).await;
    assert_eq!(house.store.checksum(&theirs.strap()).await.unwrap().rows, 25);
    assert_eq!(house.store.checksum(&ours.strap()).await.unwrap().rows, 0);
    let mut now = counted(bench).await;
    now.insert("samples", now["samples"] - 5);
    assert_eq!(now, before);

    // Their member by now; asked for again, ours has nothing to say about it.
    house.store.put_members(theirs.tenant, &[MemberRecord::new(MEMBER)]).await.unwrap();
    let again = house.store.erase_member(ours.tenant, MEMBER, None, 2).await.unwrap();
    assert!(again.is_empty(), "{again:?}");
    assert_eq!(house.store.member(theirs.tenant, MEMBER).await.unwrap().unwrap().achievements.len(), 1);
    let theirs_workouts = house.store.workouts(theirs.tenant, TimeQuery { limit: 9, ..TimeQuery::default() }).await.unwrap();
    assert_eq!(theirs_workouts.items.len(), 1);

    house.store.erase_member(theirs.tenant, MEMBER, None, 3).await.unwrap();
    let rest: i64 = counted(bench).await.into_values().sum();
    assert_eq!(rest, 0, "each erased its own, nothing is left");
    house.close().await;
}

/// A binary of schema 7 or less marks the id alone, and says in the audit whose it was.
pub(crate) async fn a_mark_of_the_binary_before_holds_for_its_tenant(bench: &Bench) {
    let (ours, theirs) = sides();
    // Rows come after the seal here; nothing is amended while it is counted.
    let options = Options { amend_after: Duration::from_secs(3600), ..unpacked(bench) };
    let mut house = House::open(options).await;
    ours.provision(&house).await;
    theirs.provision(&house).await;
    let mark = sha2::Sha256::digest([b"erased".as_slice(), MEMBER.0.as_bytes()].concat());
    let mark = bytes(bench, &mark.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let of = bytes(bench, &ours.tenant.0.simple().to_string());
    let of = if bench.is_postgres() { format!("'{}'", ours.tenant.0) } else { of };
    bench.sql(&format!("insert into erased (subject, at_ms) values ({mark}, 1)")).await;
    bench.sql(&format!("insert into audit (tenant, action, subject, at_ms, counts) values ({of}, 'mark', {mark}, 1, '{{}}')")).await;
    persist(&house, ours.facts().into_iter().chain(theirs.facts())).await;
    house.keep(rows(&ours.strap(), 9, 1..=20).into_iter().chain(rows(&theirs.strap(), 9, 1..=20))).await;
    house.until("told as stored", |heard| heard.stored_count() == 40).await;
    assert_eq!(house.store.checksum(&ours.strap()).await.unwrap().rows, 0);
    assert_eq!(house.store.checksum(&theirs.strap()).await.unwrap().rows, 20);
    for table in ["workouts", "visits", "events", "achievements", "board_scores", "logged_sets", "workout_totals"] {
        assert_eq!(bench.number(&format!("select count(*) from {table}")).await, 1, "{table}");
    }
    // Asked for again, this one finishes what that one began, and that one would know the mark of this one.
    assert!(house.store.erase_member(ours.tenant, MEMBER, None, 2).await.unwrap().is_empty());
    assert_eq!(bench.number(&format!("select count(*) from erased where subject = {mark}")).await, 1);
    house.close().await;
}

pub(crate) async fn more_days_and_events_than_a_page_are_all_given(bench: &Bench) {
    let (ours, _) = sides();
    let house = House::open(unpacked(bench)).await;
    ours.provision(&house).await;
    let [member, gym] =
        [MEMBER.0, ours.gym().0].map(|id| if bench.is_postgres() { format!("'{id}'::uuid") } else { format!("x'{}'", id.simple()) });
    let totals = serde_json::to_string(&Totals::default()).unwrap();
    let days = format!(
        "with recursive n(x) as (select 0 union all select x + 1 from n where x < 2003)
         insert into days (member, gym, day, workouts, totals, at_ms)
         select {member}, {gym}, (2030 + x) || '-01-01', 1, '{totals}', {LATER_AT_MS} from n"
    );
    assert_eq!(bench.sql(&days).await, 2_004);
    let all = house.store.all_days(ours.tenant, MEMBER).await.unwrap();
    assert_eq!((all.len(), all[0].day.as_str(), all[2_003].day.as_str()), (2_004, "2030-01-01", "4033-01-01"));
    assert!(all.is_sorted_by(|one, next| one.day < next.day), "each once");

    let event = |number: u128| {
        let body = EventBody::Points { points: 1, reason: Text::cut("1 km") };
        let event = Event { handle: 0, offset: 1, id: EventId(Uuid::from_u128(number)), at_ms: ANCHOR_AT_MS, body };
        Fact::Event { gym: ours.gym(), room: RoomName::Workout(ours.workout()), member: Some(MEMBER), event: Box::new(event) }
    };
    persist(&house, (1..=5).map(event)).await;
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = house.store.member_events(ours.tenant, MEMBER, before, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.cursor);
        seen.extend(page.iter().map(|record| record.event.id.0.as_u128()));
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
    house.close().await;
}
