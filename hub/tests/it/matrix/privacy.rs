//! What leaks beside the answers: hearts and names on walls, other people's tickets and tokens, rooms under a stolen id.

use std::time::Duration;

use loadtest::{Options, Peer};
use protocol::frame::{
    Claim, ClaimBy, EventBody, HeldClaim, Join, JoinRoom, MachineHello, MachineState, MachineStatus, Ping, Role, Sample, Snapshot, Stop,
};
use protocol::text::Text;
use protocol::{ClientFrame, CloseReason, ErrorCode, Field, Reading, RoomName, ServerFrame, StopId};
use serde_json::json;
use storage::Consents;
use uuid::Uuid;

use super::expect::Stance;
use super::world::{self, A, B, World, bind_of, hello_of};
use crate::house::TestHub;

const HEART: u32 = 147;

/// A reading of Anna's bike, of her heart too.
fn heartbeat(seq: u32) -> ClientFrame {
    let mut reading = Reading::new();
    reading.set(Field::HeartRate, HEART as i32);
    reading.set(Field::Power, 200 + seq as i32);
    Sample { slot: 1, seq, dev_ms: i64::from(seq) * 1000, reading }.into()
}

async fn sees(peer: &mut Peer, what: &str, mut shows: impl FnMut(&Reading) -> bool) {
    let seen = peer.expect(what, |frame| readings(frame).iter().any(&mut shows).then_some(())).await;
    seen.unwrap_or_else(|error| panic!("{what}: {error}"));
}

/// Every reading in a frame.
fn readings(frame: &ServerFrame) -> Vec<Reading> {
    match frame {
        ServerFrame::Live(live) => vec![live.reading.clone()],
        ServerFrame::FloorTick(tick) => tick.rows.iter().map(|row| row.reading.clone()).collect(),
        ServerFrame::Joined(joined) => match &joined.snapshot {
            Some(Snapshot::Floor(floor)) => floor.machines.iter().map(|machine| machine.reading.clone()).collect(),
            Some(Snapshot::Machine(machine)) => vec![machine.machine.reading.clone()],
            _ => vec![],
        },
        _ => vec![],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heart_rate_is_for_the_member_and_their_coach_and_not_for_staff_or_walls() {
    let world = World::open().await;
    let target = world.target();
    let (floor, machine, workout) = (RoomName::Floor(target.gym), RoomName::Machine(target.machine), RoomName::Workout(target.workout));
    let mut may = [world.peer(Role::Member, Stance::Own).await, world.peer(Role::Coach, Stance::Own).await];
    for peer in &mut may {
        peer.join(workout).await.expect("theirs");
    }
    let mut operator = world.peer(Role::Operator, Stance::Own).await;
    operator.join(machine).await.expect("staff of the gym");
    let mut others = [operator, world.peer(Role::Display, Stance::Own).await, world.peer(Role::Member, Stance::OtherPerson).await];
    for peer in &mut others {
        peer.join(floor).await.expect("of the gym");
    }
    for seq in 1..=4 {
        world.to_gateway.send(heartbeat(seq)).await.expect("the gateway lives");
    }
    for peer in &mut may {
        sees(peer, "the heart", |reading| reading.get(Field::HeartRate) == Some(HEART as i32)).await;
    }
    for mut peer in others {
        let mut hearts = 0;
        sees(&mut peer, "the power", |reading| {
            hearts += usize::from(reading.get(Field::HeartRate).is_some());
            reading.get(Field::Power) == Some(204)
        })
        .await;
        let fresh = peer.join(floor).await.expect("of the gym");
        hearts += readings(&fresh.into()).iter().filter(|reading| reading.get(Field::HeartRate).is_some()).count();
        assert_eq!(hearts, 0, "{:?} saw a heart", peer.welcome());
    }
}

/// The name that the floor shows for Anna's bike, and how many tickets of the rower.
async fn shown(peer: &mut Peer) -> (Option<String>, usize) {
    let joined = peer.join(RoomName::Floor(A.home())).await.expect("of the gym");
    let Some(Snapshot::Floor(floor)) = joined.snapshot else { panic!("no snapshot: {joined:?}") };
    let of = |machine| floor.machines.iter().find(|shown| shown.machine == machine).expect("on the floor");
    (of(A.bike()).member.as_ref().map(|name| name.to_string()), of(A.rower()).tickets.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_on_the_wall_with_consent_only_and_tickets_are_for_staff() {
    let world = World::open().await;
    let mut wall = world.peer(Role::Display, Stance::Own).await;
    let mut operator = world.peer(Role::Operator, Stance::Own).await;
    assert_eq!(shown(&mut wall).await, (None, 0));
    assert_eq!(shown(&mut operator).await, (None, 1));
    let token = world.token(&world::request(Role::Member, Stance::Own));
    for (consent, name) in [(true, Some("Anna")), (false, None)] {
        let url = format!("http://{}/v1/members/{}/consents", world.house.node().address, A.anna());
        let done = world.http.put(url).bearer_auth(&token).json(&json!({ "wall": consent })).send().await.expect("an answer");
        assert_eq!(done.status().as_u16(), 200);
        let told = wall.expect("the wall to hear of it", |frame| match frame {
            ServerFrame::Event(event) => match &event.body {
                EventBody::Availability { machine, member, .. } if *machine == A.bike() => Some(member.as_deref().map(str::to_owned)),
                _ => None,
            },
            _ => None,
        });
        assert_eq!(told.await.expect("told").as_deref(), name);
        assert_eq!(shown(&mut wall).await.0.as_deref(), name);
    }
    let stored = world.house.node().hub.store.member(A.tenant(), A.anna()).await.expect("the store answers").expect("known");
    assert_eq!(stored.consents, Consents::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_a_member_have_nothing_of_another_member() {
    let world = World::open().await;
    let token = world.token(&world::request(Role::Member, Stance::Own));
    for path in ["/v1/visits", "/v1/workouts"] {
        let url = format!("http://{}{path}?gym={}", world.house.node().address, A.home());
        let text = world.http.get(url).bearer_auth(&token).send().await.expect("an answer").text().await.expect("a body");
        assert!(!text.contains(&A.boris().to_string()), "{path}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resume_ticket_is_good_for_its_subject_only() {
    let world = World::open().await;
    let boris = world.peer(Role::Member, Stance::OtherPerson).await;
    let ticket = boris.welcome().expect("welcome").ticket.to_string();
    for stance in [Stance::Own, Stance::StolenIds, Stance::OtherTenant] {
        let mut thief = Options::new(world.token(&world::request(Role::Member, stance)));
        thief.ticket = Some(ticket.clone());
        let thief = Peer::connect(&world.house.url(), thief).await.expect("welcome");
        assert!(!thief.welcome().expect("welcome").resumed, "{stance:?}");
    }
    let mut own = Options::new(world.token(&world::request(Role::Member, Stance::OtherPerson)));
    own.ticket = Some(ticket);
    let own = Peer::connect(&world.house.url(), own).await.expect("welcome");
    assert!(own.welcome().expect("welcome").resumed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stolen_member_id_opens_no_room_of_the_member_and_hears_nothing() {
    let mut world = World::open().await;
    // Nobody spoke of this member before: the thief comes first.
    let mut request = world::request(Role::Member, Stance::StolenIds);
    request.subject = A.id(0x500);
    let room = RoomName::Member(protocol::MemberId(request.subject));
    let mut thief = world::connect(&world.house, &request).await;
    let first = thief.join(room).await;
    request.tenant = A.tenant();
    let mut own = world::connect(&world.house, &request).await;
    own.join(room).await.expect("their own room");
    // The member of the first tenant takes a machine: the room tells its devices.
    let mut machine = hello_of(A.rower());
    machine.state = MachineStatus::Idle;
    let mut gateway = world.peer(Role::Gateway, Stance::OtherGym).await;
    gateway.send(MachineHello { ..machine }).await.expect("sent");
    let code = gateway
        .expect("show_code", |frame| if let ServerFrame::ShowCode(show) = frame { Some(show.code.to_string()) } else { None })
        .await
        .expect("a code");
    let req = own.req();
    own.send(Claim { req, gym: A.home(), by: ClaimBy::Code(Text::cut(&code)), hand_over: None }).await.expect("sent");
    own.expect("the claim in the member's room", |frame| {
        matches!(frame, ServerFrame::Event(event) if matches!(event.body, EventBody::Claimed { .. })).then_some(())
    })
    .await
    .expect("told");
    world.settle().await;
    thief.send(Ping { n: 5 }).await.expect("sent");
    loop {
        match thief.next().await.expect("a pong") {
            ServerFrame::Pong(_) => break,
            ServerFrame::Event(event) => panic!("the thief, who was told {first:?}, heard {event:?}"),
            _ => (),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_names_a_workout_of_another_tenant_takes_nothing_of_it() {
    let mut world = World::open().await;
    let target = world.target();
    let mut member = world.peer(Role::Member, Stance::Own).await;
    member.join(RoomName::Member(target.member)).await.expect("their own");
    let before = world.state().await;
    // Its own rower, with a claim that it says it kept: the member and the workout are the other tenant's.
    let claim = HeldClaim { member: target.member, fence: target.fence + 1, workout: target.workout };
    let mut gateway = world.peer(Role::Gateway, Stance::OtherTenant).await;
    gateway.send(MachineHello { claim: Some(claim), ..hello_of(B.rower()) }).await.expect("sent");
    let ready =
        gateway.expect("machine_ready", |frame| if let ServerFrame::MachineReady(ready) = frame { Some(ready.claim) } else { None });
    assert_eq!(ready.await.expect("its own machine"), None, "the claim is not believed");
    let mut thief = world.peer(Role::Operator, Stance::OtherTenant).await;
    let machine = thief.join(RoomName::Machine(B.rower())).await.expect("staff of that gym");
    assert!(!format!("{machine:?}").contains("Anna"), "{machine:?}");
    member.join(RoomName::Workout(target.workout)).await.expect("still theirs");
    member.set_patience(Duration::from_millis(300));
    let told = member.expect("nothing", |frame| matches!(frame, ServerFrame::Event(_)).then_some(())).await;
    assert!(told.is_err(), "the member heard of a machine of another tenant");
    world.settle().await;
    assert_eq!(world.state().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sticker_of_another_tenant_claims_nothing_and_tells_nothing() {
    let mut world = World::open().await;
    let mut member = world.peer(Role::Member, Stance::OtherTenant).await;
    let mut codes = Vec::new();
    for machine in [A.bike(), A.spare(), A.rower(), protocol::MachineId(Uuid::now_v7())] {
        let req = member.req();
        let claim = Claim { req, gym: B.home(), by: ClaimBy::Sticker(machine), hand_over: None };
        let told = member.request(claim, req, |frame| matches!(frame, ServerFrame::Claimed(_)).then_some(())).await;
        codes.push(told.expect_err("not of this tenant").to_string());
    }
    assert!(codes.iter().all(|told| *told == codes[0]), "{codes:?}");
    let before = world.state().await;
    world.settle().await;
    assert_eq!(world.state().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coach_who_does_not_watch_stops_nothing() {
    let world = World::open().await;
    let mut coach = world.peer(Role::Coach, Stance::Own).await;
    coach.send(Stop { machine: A.bike(), id: StopId(Uuid::now_v7()), reason: None }).await.expect("sent");
    let told = coach.expect("an error", |frame| if let ServerFrame::Error(error) = frame { Some(error.code) } else { None }).await;
    assert_eq!(told.expect("refused"), ErrorCode::Forbidden.code());
    assert_eq!(world.orders().iter().filter(|order| **order == "stop_machine").count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_did_not_say_who_it_is_can_do_nothing() {
    let mut world = World::open().await;
    let before = world.state().await;
    let target = world.target();
    let join = JoinRoom { room: RoomName::Floor(target.gym), epoch: None, offset: 0, every_ms: 0, fields: 0 };
    let frames: [ClientFrame; 7] = [
        Ping { n: 1 }.into(),
        Join { req: 1, join }.into(),
        hello_of(target.link).into(),
        bind_of(1, Some(target.link)).into(),
        Stop { machine: target.machine, id: StopId(Uuid::now_v7()), reason: None }.into(),
        MachineState { machine: target.machine, state: MachineStatus::Faulted, cause: Default::default(), user_present: None }.into(),
        heartbeat(1),
    ];
    for frame in frames {
        let name = frame.name();
        let mut stranger = Peer::dial(&world.house.url(), Options::new("")).await.expect("upgraded");
        stranger.send(frame).await.expect("sent");
        stranger.expect_close(CloseReason::HelloExpected).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(stranger.heard().frames, 0, "{name} was answered");
    }
    world.settle().await;
    assert_eq!(world.state().await, before);
    assert!(!world.orders().contains(&"stop_machine"));
}

/// A token of one issuer's key that says what it likes.
fn forged(issuer: &str, secret: &str, tenant: protocol::TenantId) -> String {
    let now_s = hub::clock::at_ms() / 1000;
    let claims = json!({
        "iss": issuer, "aud": "spotter", "sub": A.anna(), "iat": now_s, "exp": now_s + 600,
        "tenant": tenant, "roles": ["member"], "gyms": [A.home()], "teams": []
    });
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).expect("signed")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_of_one_tenant_cannot_speak_for_another() {
    const KEYS: [&str; 2] = ["the secret of the first chain, 32 bytes", "the secret of the second, also 32 bytes"];
    let issuer = |name: &str, tenant: protocol::TenantId, secret: &str| {
        format!(
            "{{issuer=\"{name}\",audience=[\"spotter\"],algorithms=[\"HS256\"],tenant=\"{tenant}\",keys=[{{algorithm=\"HS256\",secret=\"{secret}\"}}]}}"
        )
    };
    let issuers = format!("[{},{}]", issuer("https://a", A.tenant(), KEYS[0]), issuer("https://b", B.tenant(), KEYS[1]));
    let house = TestHub::with(&[("auth.issuers", &issuers), ("dev.hs256", "true")]).await;
    world::provision(&house, A).await;
    let room = RoomName::Floor(A.home());
    let enter = async |token: String| {
        let mut options = Options::new(token);
        options.patience = Duration::from_secs(5);
        Peer::connect(&house.url(), options).await
    };
    enter(forged("https://a", KEYS[0], A.tenant())).await.expect("welcome").join(room).await.expect("its own gym");
    // The other chain's key under this chain's name is no signature.
    let refused = enter(forged("https://a", KEYS[1], A.tenant())).await.err().expect("refused");
    assert!(refused.close_reason() == Some(CloseReason::TokenInvalid), "{refused}");
    // Under its own name it speaks for its own tenant only, whatever the token says. (A stolen member id has a test of its own.)
    let mut other = enter(forged("https://b", KEYS[1], A.tenant())).await.expect("a session of the other tenant");
    for room in [room, RoomName::Machine(A.bike())] {
        other.join(room).await.expect_err("not of its tenant");
    }
}
