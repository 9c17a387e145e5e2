//! Schema, provisioning, facts, events, keys, and the wall between tenants.

use protocol::frame::{
    Event, EventBody, HeldClaim, MachineFault, MachineKind, ReleaseReason, Role, SetDetail, Severity, StopOutcome, VisitState, WorkoutStage,
};
use protocol::text::Text;
use protocol::{EventId, GatewayId, GymId, MemberId, RoomName, StaffId, StopId, TeamId, TenantId, TicketId, VisitId, WorkoutId};
use storage::{
    Consents, Fact, GatewayRecord, GymRecord, Idempotency, MachineRecord, MaintenanceEntry, MemberRecord, OpenError, Retention, Revocation,
    Revoked, SampleQuery, StaffRecord, Store, StoreError, TeamRecord, TicketClose, TimeQuery, Units, WorkoutRange,
};
use uuid::Uuid;

use crate::support::rows::{ANCHOR_AT_MS, machine, rows, source};
use crate::support::{Bench, House, tenant};

const fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) const GYM: GymId = GymId(id(0x611));
pub(crate) const GATEWAY: GatewayId = GatewayId(id(0x9a7e));
pub(crate) const MEMBER: MemberId = MemberId(id(0x3e3));
pub(crate) const COACH: StaffId = StaffId(id(0xc0ac));
pub(crate) const TEAM: TeamId = TeamId(id(0x7ea));
pub(crate) const WORKOUT: WorkoutId = WorkoutId(id(0x305));
pub(crate) const VISIT: VisitId = VisitId(id(0x515));
const OTHER: TenantId = TenantId(id(0xbad));

pub(crate) fn gym() -> GymRecord {
    GymRecord {
        gym: GYM,
        name: Text::cut("Centro"),
        time_zone: Text::cut("Europe/Rome"),
        units: Units::Metric,
        addresses: vec![Text::cut("203.0.113.0/28")],
    }
}

fn bike() -> MachineRecord {
    MachineRecord {
        machine: machine(1),
        gym: GYM,
        name: Text::cut("Bike 1"),
        kind: MachineKind::Bike,
        location: Text::cut("window"),
        gateway: Some(GATEWAY),
        powered: false,
    }
}

fn ada() -> MemberRecord {
    let consents = Consents { wall: true, health: true, ..Consents::default() };
    MemberRecord { handle: Some(Text::cut("Ada")), consents, ceiling_bpm: Some(170), units: Units::Imperial, ..MemberRecord::new(MEMBER) }
}

fn team() -> TeamRecord {
    TeamRecord { team: TEAM, name: Text::cut("Rowers"), sport: None, staff: vec![COACH], members: vec![MEMBER] }
}

/// One gym with one bike, one member, one coach and one team.
pub(crate) async fn provision(store: &Store) {
    let gateway = GatewayRecord { gateway: GATEWAY, gym: GYM, name: Text::cut("floor 1") };
    let coach = StaffRecord { staff: COACH, role: Role::Coach, name: Text::cut("Bob"), gyms: vec![GYM] };
    store.put_gyms(tenant(), &[gym()]).await.unwrap();
    store.put_gateways(tenant(), &[gateway]).await.unwrap();
    store.put_machines(tenant(), &[bike()]).await.unwrap();
    store.put_members(tenant(), &[ada()]).await.unwrap();
    store.put_staff(tenant(), &[coach]).await.unwrap();
    store.put_teams(tenant(), &[team()]).await.unwrap();
}

pub(crate) fn workout_fact(stage: WorkoutStage) -> Fact {
    Fact::Workout { workout: WORKOUT, gym: GYM, member: MEMBER, visit: VISIT, stage, started_at_ms: ANCHOR_AT_MS, ended_at_ms: None }
}

pub(crate) fn range_fact(boot: u32, from_seq: u32, to_seq: u32) -> Fact {
    Fact::WorkoutRange { workout: WORKOUT, range: WorkoutRange { source: source(1), boot, from_seq, to_seq } }
}

fn visit_fact(state: VisitState, ended_at_ms: Option<i64>) -> Fact {
    Fact::Visit { visit: VISIT, gym: GYM, member: MEMBER, state, started_at_ms: ANCHOR_AT_MS, ended_at_ms, machines: vec![machine(1)] }
}

fn claim_fact(fence: u64) -> Fact {
    Fact::Claim { gym: GYM, machine: machine(1), member: MEMBER, fence, workout: WORKOUT, may_control: true, at_ms: ANCHOR_AT_MS }
}

pub(crate) fn event_fact(number: u128, body: EventBody) -> Fact {
    let event = Event { handle: 0, offset: 1, id: EventId(id(number)), at_ms: ANCHOR_AT_MS, body };
    Fact::Event { gym: GYM, room: RoomName::Workout(WORKOUT), member: Some(MEMBER), event: Box::new(event) }
}

/// Persists facts and waits until they are committed.
pub(crate) async fn persist(house: &House, facts: impl IntoIterator<Item = Fact>) {
    let before = house.counters.now();
    let mut count = 0;
    for fact in facts {
        house.recorder.persist(fact).unwrap();
        count += 1;
    }
    let until = tokio::time::Instant::now() + crate::support::PATIENCE;
    while house.counters.now().facts + house.counters.now().facts_refused < before.facts + before.facts_refused + count {
        assert!(tokio::time::Instant::now() < until, "facts are not committed");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    assert_eq!(house.counters.now().facts_refused, before.facts_refused);
}

pub(crate) async fn a_newer_schema_is_refused_with_words(bench: &Bench) {
    bench.open().await.close().await;
    bench.sql("insert into schema_versions (version, agrees, at_ms) values (98, 1, 0)").await;
    bench.open().await.close().await;
    bench.sql("insert into schema_versions (version, agrees, at_ms) values (99, 99, 0)").await;
    let error = storage::open(bench.options()).await.err().expect("schema 99 is not for this binary");
    assert!(matches!(error, OpenError::NewerSchema { found: 99, needs: 99, .. }), "{error:?}");
    assert!(error.to_string().contains("start the newer binary"), "{error}");
    assert!(
        matches!(storage::open(storage::Options::new("mysql://secret@there")).await, Err(OpenError::Address(scheme)) if scheme == "mysql")
    );
}

pub(crate) async fn node_starts_count_up(bench: &Bench) {
    for start in 1..=3 {
        let house = bench.open().await;
        assert_eq!(house.node_start, start);
        house.close().await;
    }
}

pub(crate) async fn nothing_crosses_tenants(bench: &Bench) {
    let mut house = bench.open().await;
    provision(&house.store).await;
    house.keep(rows(&source(1), 1, 1..=5)).await;
    house.until("stored", |heard| heard.stored_count() == 5).await;
    let fault = MachineFault { machine: machine(1), code: Text::cut("0x02AB"), severity: Severity::Error, subsystem: None, text: None };
    let ticket = TicketId(id(0x71c));
    let ticket_fact = Fact::Ticket { gym: GYM, machine: machine(1), ticket, severity: Severity::Error, fault: Box::new(fault), at_ms: 1 };
    let points = EventBody::Points { points: 5, reason: Text::cut("1 km") };
    persist(
        &house,
        [visit_fact(VisitState::Active, None), workout_fact(WorkoutStage::Live), range_fact(1, 1, 5), ticket_fact, event_fact(1, points)],
    )
    .await;

    let store = &house.store;
    let query = TimeQuery { limit: 10, ..TimeQuery::default() };
    let samples = SampleQuery { workout: WORKOUT, from_at_ms: None, to_at_ms: None };
    let key = id(0x5e);
    store.take_key(tenant(), key, "k", b"r", 5).await.unwrap();
    // Everything is there for its own tenant, and nothing of it for the other: the same calls, side by side.
    for (who, mine) in [(tenant(), true), (OTHER, false)] {
        let n = usize::from(mine);
        assert_eq!(store.gyms(who).await.unwrap().len(), n);
        assert_eq!(store.gym(who, GYM).await.unwrap().is_some(), mine);
        assert_eq!(store.gateway(who, GATEWAY).await.unwrap().is_some(), mine);
        assert_eq!(store.machines(who, GYM).await.unwrap().len(), n);
        assert_eq!(store.machine(who, machine(1)).await.unwrap().is_some(), mine);
        assert_eq!(store.tickets(who, GYM).await.unwrap().len(), n);
        assert_eq!(store.member(who, MEMBER).await.unwrap().is_some(), mine);
        assert_eq!(store.members(who, None, 10).await.unwrap().len(), n);
        assert_eq!(store.staff(who, COACH).await.unwrap().is_some(), mine);
        assert_eq!(store.teams(who).await.unwrap().len(), n);
        assert_eq!(store.visits(who, query).await.unwrap().items.len(), n);
        assert_eq!(store.visit(who, VISIT).await.unwrap().is_some(), mine);
        assert_eq!(store.workouts(who, query).await.unwrap().items.len(), n);
        assert_eq!(store.workout(who, WORKOUT).await.unwrap().is_some(), mine);
        assert_eq!(store.workout_member(who, WORKOUT).await.unwrap().is_some(), mine);
        assert_eq!(store.samples(who, samples, None, 10).await.is_ok(), mine);
        assert_eq!(store.buckets(who, samples, 1_000).await.is_ok(), mine);
        assert_eq!(store.add_up(who, WORKOUT).await.is_ok(), mine);
        assert_eq!(store.checksums(who).await.unwrap().len(), n);
        assert_eq!(store.events(who, None, 0, 10).await.unwrap().len(), n);
        assert_eq!(store.events(who, Some(GYM), 0, 10).await.unwrap().len(), n);
        assert_eq!(store.member_events(who, MEMBER, None, 10).await.unwrap().len(), n);
        assert_eq!(store.quarantine(who, 10).await.unwrap().len(), 0);
        let taken = store.take_key(who, key, "k", b"r", 6).await.unwrap();
        assert_eq!(taken == Idempotency::Running, mine);
    }
    strangers_change_nothing(store, ticket).await;
    house.close().await;
}

async fn strangers_change_nothing(store: &Store, ticket: TicketId) {
    let entry = MaintenanceEntry { open: true, text: Text::cut("belt"), by: None, at_ms: 9 };
    let own_gym = GymRecord { gym: GymId(id(0x612)), ..gym() };
    store.put_gyms(OTHER, &[own_gym]).await.unwrap();
    let gateway = |gym| GatewayRecord { gateway: GATEWAY, gym, name: Text::cut("mine now") };
    let coach = StaffRecord { staff: COACH, role: Role::Coach, name: Text::cut("Eve"), gyms: vec![] };
    let away = |gateway| MachineRecord { gym: GymId(id(0x612)), gateway, ..bike() };
    let refused: Vec<(&str, Result<(), StoreError>)> = vec![
        ("gym", store.put_gyms(OTHER, &[gym()]).await),
        ("gateway into a foreign gym", store.put_gateways(OTHER, &[gateway(GYM)]).await),
        ("gateway", store.put_gateways(OTHER, &[gateway(GymId(id(0x612)))]).await),
        ("machine into a foreign gym", store.put_machines(OTHER, &[bike()]).await),
        ("machine on a foreign gateway", store.put_machines(OTHER, &[away(Some(GATEWAY))]).await),
        ("machine", store.put_machines(OTHER, &[away(None)]).await),
        ("member", store.put_members(OTHER, &[ada()]).await),
        ("staff", store.put_staff(OTHER, &[coach]).await),
        ("team", store.put_teams(OTHER, &[TeamRecord { staff: vec![], members: vec![], ..team() }]).await),
        ("team with foreign people", store.put_teams(OTHER, &[TeamRecord { team: TeamId(id(1)), ..team() }]).await),
        ("removal", store.remove_machine(OTHER, machine(1), 1).await),
        ("maintenance", store.log_maintenance(OTHER, machine(1), &entry).await),
        ("ceiling", store.set_ceiling(OTHER, MEMBER, None).await),
        ("consents", store.set_consents(OTHER, MEMBER, Consents::default()).await),
        ("ticket", store.close_ticket(OTHER, TicketClose { ticket, by: COACH.0, at_ms: 1 }).await.map(drop)),
    ];
    for (what, answer) in refused {
        assert!(matches!(answer, Err(StoreError::Conflict { .. } | StoreError::NotFound { .. })), "{what}: {answer:?}");
    }
    assert_eq!(store.gym(tenant(), GYM).await.unwrap(), Some(gym()));
    assert_eq!(store.machine(tenant(), machine(1)).await.unwrap().unwrap().record, bike());
    assert_eq!(store.maintenance_log(tenant(), machine(1)).await.unwrap(), []);
    assert_eq!(store.member(tenant(), MEMBER).await.unwrap().unwrap().ceiling_bpm, Some(170));
    assert_eq!(store.teams(tenant()).await.unwrap(), [team()]);
    assert_eq!(store.tickets(tenant(), GYM).await.unwrap()[0].closed_at_ms, None);
    assert_eq!(store.maintenance_log(OTHER, machine(1)).await.unwrap(), []);
}

pub(crate) async fn provisioning_twice_changes_nothing(bench: &Bench) {
    let house = bench.open().await;
    provision(&house.store).await;
    provision(&house.store).await;
    let store = &house.store;
    assert_eq!(store.gyms(tenant()).await.unwrap(), [gym()]);
    assert_eq!(store.all_gyms().await.unwrap().len(), 1);
    assert_eq!(store.machines(tenant(), GYM).await.unwrap()[0].record, bike());
    let member = store.member(tenant(), MEMBER).await.unwrap().unwrap();
    assert_eq!(member, MemberRecord { teams: vec![TEAM], ..ada() });
    assert_eq!(store.teams(tenant()).await.unwrap(), [team()]);

    store.set_ceiling(tenant(), MEMBER, Some(150)).await.unwrap();
    store.set_consents(tenant(), MEMBER, Consents { wall: false, ..Consents::default() }).await.unwrap();
    let member = store.member(tenant(), MEMBER).await.unwrap().unwrap();
    assert_eq!((member.ceiling_bpm, member.consents), (Some(150), Consents::default()));

    let entry = |open, at_ms| MaintenanceEntry { open, text: Text::cut("belt slips"), by: Some(COACH.0), at_ms };
    for entry in [entry(true, 10), entry(true, 10), entry(false, 20), entry(true, 30)] {
        store.log_maintenance(tenant(), machine(1), &entry).await.unwrap();
    }
    assert_eq!(store.maintenance_log(tenant(), machine(1)).await.unwrap(), [entry(true, 30), entry(false, 20), entry(true, 10)]);
    assert!(store.machine(tenant(), machine(1)).await.unwrap().unwrap().maintenance);
    store.remove_machine(tenant(), machine(1), 40).await.unwrap();
    assert_eq!(store.machines(tenant(), GYM).await.unwrap(), []);
    store.put_machines(tenant(), &[bike()]).await.unwrap();
    assert_eq!(store.machines(tenant(), GYM).await.unwrap().len(), 1);
    house.close().await;
}

pub(crate) async fn facts_are_idempotent_and_seed_a_gym(bench: &Bench) {
    let house = bench.open().await;
    provision(&house.store).await;
    let set = SetDetail {
        set: 2,
        exercise: Some(Text::cut("row")),
        target_reps: 0,
        reps: 10,
        load_hg: 0,
        seconds: 0,
        rest_s: 0,
        tempo: None,
        note: None,
    };
    let fault = MachineFault {
        machine: machine(1),
        code: Text::cut("E7"),
        severity: Severity::Warning,
        subsystem: Some(Text::cut("belt")),
        text: None,
    };
    let fault = |ticket, severity| Fact::Ticket {
        gym: GYM,
        machine: machine(1),
        ticket: TicketId(id(ticket)),
        severity,
        fault: Box::new(fault.clone()),
        at_ms: 5,
    };
    let facts = vec![
        claim_fact(1 << 24 | 1),
        Fact::ClaimEnded { machine: machine(1), fence: 1 << 24 | 1, reason: ReleaseReason::HandedOver, at_ms: 7 },
        claim_fact(1 << 24 | 2),
        visit_fact(VisitState::Active, None),
        workout_fact(WorkoutStage::Live),
        // It turned out to reach further back: the wider one takes its place.
        range_fact(1, 5, u32::MAX),
        range_fact(1, 1, u32::MAX),
        Fact::LoggedSet { id: EventId(id(0x109)), workout: WORKOUT, member: MEMBER, logged_at_ms: 77, set: Box::new(set.clone()) },
        fault(1, Severity::Warning),
        fault(2, Severity::Error),
        Fact::Maintenance { machine: machine(1), open: true, text: Text::cut("E7"), at_ms: 8 },
        Fact::Stop { gym: GYM, machine: machine(1), stop: StopId(id(3)), outcome: StopOutcome::Unconfirmed, code: None, at_ms: 9 },
        event_fact(4, EventBody::Achievement { name: Text::cut("first 10 km") }),
    ];
    persist(&house, facts.clone()).await;
    let seed = house.store.gym_seed(GYM).await.unwrap().unwrap();
    persist(&house, facts).await;
    assert_eq!(house.store.gym_seed(GYM).await.unwrap().unwrap(), seed, "replaying changes nothing");

    assert_eq!((seed.tenant, &seed.gym), (tenant(), &gym()));
    let machine_seed = &seed.machines[0];
    assert_eq!(machine_seed.claim, Some(HeldClaim { member: MEMBER, fence: 1 << 24 | 2, workout: WORKOUT }));
    assert_eq!((machine_seed.fence, machine_seed.may_control, machine_seed.maintenance), (1 << 24 | 2, true, true));
    assert_eq!(machine_seed.tickets.iter().map(|ticket| ticket.severity).collect::<Vec<_>>(), [Severity::Error, Severity::Warning]);
    assert_eq!(&*machine_seed.tickets[0].text, "E7: belt");
    assert_eq!(seed.visits.len(), 1);
    assert_eq!(seed.visits[0].machines, [machine(1)]);
    assert_eq!(seed.workouts[0].record.stage, WorkoutStage::Live);
    assert_eq!(seed.workouts[0].ranges, [WorkoutRange { source: source(1), boot: 1, from_seq: 1, to_seq: u32::MAX }]);
    assert_eq!(seed.workouts[0].logged[0].set, set);
    assert_eq!(&*house.store.member(tenant(), MEMBER).await.unwrap().unwrap().achievements[0], "first 10 km");

    let ended = [
        Fact::Stop { gym: GYM, machine: machine(1), stop: StopId(id(3)), outcome: StopOutcome::Stopped, code: Some(1), at_ms: 11 },
        Fact::ClaimEnded { machine: machine(1), fence: 1 << 24 | 2, reason: ReleaseReason::Released, at_ms: 12 },
        range_fact(1, 1, 40),
        visit_fact(VisitState::Completed, Some(ANCHOR_AT_MS + 9)),
        workout_fact(WorkoutStage::Ended),
        // Said again by a node that came back with old news: what ended stays ended.
        visit_fact(VisitState::Active, None),
        workout_fact(WorkoutStage::Live),
        claim_fact(1 << 24 | 2),
    ];
    persist(&house, ended).await;
    let seed = house.store.gym_seed(GYM).await.unwrap().unwrap();
    assert_eq!((seed.machines[0].claim, seed.machines[0].fence), (None, 1 << 24 | 2));
    assert_eq!((seed.visits.len(), seed.workouts[0].record.stage), (0, WorkoutStage::Ended));
    assert_eq!(seed.workouts[0].ranges[0].to_seq, 40);
    assert_eq!(house.store.visit(tenant(), VISIT).await.unwrap().unwrap().ended_at_ms, Some(ANCHOR_AT_MS + 9));
    assert_eq!(bench.number("select count(*) from stops where outcome = 'stopped' and code = 1").await, 1);
    let close = TicketClose { ticket: TicketId(id(2)), by: COACH.0, at_ms: 50 };
    assert_eq!(house.store.close_ticket(tenant(), close).await.unwrap().closed_by, Some(COACH.0));
    assert_eq!(house.store.close_ticket(tenant(), TicketClose { at_ms: 60, ..close }).await.unwrap().closed_at_ms, Some(50));
    assert_eq!(house.store.machine(tenant(), machine(1)).await.unwrap().unwrap().tickets.len(), 1);
    house.close().await;
}

pub(crate) async fn events_follow_a_cursor_and_age_by_kind(bench: &Bench) {
    let house = bench.open().await;
    provision(&house.store).await;
    let points = |number| event_fact(number, EventBody::Points { points: 1, reason: Text::cut("x") });
    persist(&house, (1..=5).map(points)).await;
    persist(&house, [points(3), event_fact(6, EventBody::Achievement { name: Text::cut("a") })]).await;
    let first = house.store.events(tenant(), None, 0, 4).await.unwrap();
    assert_eq!(first.iter().map(|event| event.event.id.0.as_u128()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let rest = house.store.events(tenant(), None, first[3].cursor, 100).await.unwrap();
    assert_eq!(rest.iter().map(|event| event.event.id.0.as_u128()).collect::<Vec<_>>(), [5, 6]);
    assert_eq!((rest[1].kind.as_str(), rest[1].room, rest[1].member), ("achievement", RoomName::Workout(WORKOUT), Some(MEMBER)));

    let events_before_ms = vec![("achievement".to_owned(), 0), ("*".to_owned(), ANCHOR_AT_MS + 1)];
    let retention = Retention { events_before_ms, ..Retention::default() };
    assert_eq!(house.store.prune(&retention, ANCHOR_AT_MS).await.unwrap().events, 5);
    let left = house.store.events(tenant(), None, 0, 100).await.unwrap();
    assert_eq!(left.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(), ["achievement"]);
    house.close().await;
}

pub(crate) async fn keys_and_revocations_are_kept(bench: &Bench) {
    const DAY_MS: i64 = 86_400_000;
    let house = bench.open().await;
    let (store, who) = (&house.store, id(5));
    let take = |request: &'static [u8], now| store.take_key(tenant(), who, "key", request, now);
    assert_eq!(take(b"one", 1_000).await.unwrap(), Idempotency::New);
    assert_eq!(take(b"one", 1_001).await.unwrap(), Idempotency::Running);
    assert_eq!(take(b"two", 1_002).await.unwrap(), Idempotency::Mismatch);
    store.answer_key(tenant(), who, "key", 201, b"{}").await.unwrap();
    assert_eq!(take(b"one", 900_000).await.unwrap(), Idempotency::Answered { status: 201, body: b"{}".to_vec() });
    assert_eq!(take(b"two", 2_000 + DAY_MS).await.unwrap(), Idempotency::New, "a day later the key is free");
    assert_eq!(take(b"two", 2_000 + DAY_MS + 61_000).await.unwrap(), Idempotency::New, "an abandoned request gives way");
    store.release_key(tenant(), who, "key").await.unwrap();
    assert_eq!(take(b"three", 2_000 + DAY_MS + 61_001).await.unwrap(), Idempotency::New);

    let revocation = |revoked, until_at_ms| Revocation { tenant: tenant(), revoked, until_at_ms };
    for revoked in [
        revocation(Revoked::Token("jti-1".to_owned()), 100),
        revocation(Revoked::Subject(who, 50), 200),
        revocation(Revoked::Subject(who, 40), 150),
        revocation(Revoked::IssuedBefore(60), 300),
    ] {
        store.revoke(&revoked).await.unwrap();
    }
    let mut found = store.revocations(100).await.unwrap();
    found.sort_by_key(|revocation| revocation.until_at_ms);
    assert_eq!(found, [revocation(Revoked::Subject(who, 50), 200), revocation(Revoked::IssuedBefore(60), 300)]);
    assert!(store.prune(&Retention::default(), 250).await.unwrap().expired >= 2);
    house.close().await;
}
