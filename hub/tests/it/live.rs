//! A workout as it is lived: seen at once, stored once, resumed without a gap.

use std::time::Duration;

use hub::auth::TokenRequest;
use loadtest::{Options, Peer};
use protocol::frame::{Bind, Ceiling, Claim, ClaimBy, EventBody, MachineState, MachineStatus, Role, Sample, Snapshot};
use protocol::text::Text;
use protocol::{Field, GymId, Reading, RoomName, SeqRanges, ServerFrame, WorkoutId};
use storage::{GymRecord, Units};

use crate::house::{ANNA, BIKE, BORIS, GYM, OTHER_TENANT, TENANT, TestHub, claim, sample};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_sees_the_sample_of_the_bike_it_claimed_and_it_is_stored() {
    let hub = TestHub::start().await;
    let (mut gateway, code) = hub.bike(1).await;
    let mut phone = hub.phone().await;
    let (workout, _) = claim(&mut phone, &mut gateway, &code).await;
    phone.join(RoomName::Workout(workout)).await.expect("the workout is watched");
    for seq in 1..=3 {
        gateway.send(sample(seq, 150 + seq as i32)).await.expect("sent");
    }
    let power = phone
        .expect("the third reading", |frame| match frame {
            ServerFrame::Live(live) if live.seq == 3 => live.reading.get(Field::Power),
            _ => None,
        })
        .await;
    assert_eq!(power.expect("seen live"), 153);
    let stored = gateway
        .expect("an ack of all three", |frame| match frame {
            ServerFrame::Ack(ack) => ack.acks.iter().any(|ack| ack.slot == 1 && (1..=3).all(|seq| ack.stored.contains(seq))).then_some(()),
            _ => None,
        })
        .await;
    stored.expect("stored");
    phone.close().await.expect("goodbye");
    gateway.close().await.expect("goodbye");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_hears_what_was_missed_and_nothing_twice() {
    let hub = TestHub::start().await;
    let (mut gateway, _) = hub.bike(1).await;
    let options = hub.options(Role::Display, uuid::Uuid::from_u128(0xD)).room(RoomName::Floor(GYM));
    let mut wall = Peer::connect(&hub.url(), options).await.expect("welcome");
    let joined = wall.expect("joined", |frame| if let ServerFrame::Joined(joined) = frame { Some(joined.offset) } else { None }).await;
    joined.expect("the floor");
    let resume = wall.resume();
    wall.cut();
    hub.until("the hub missed the wall", |hub| hub.directory.len() == 1).await;
    for state in [MachineStatus::Active, MachineStatus::Idle] {
        let state = MachineState { machine: BIKE, state, cause: Default::default(), user_present: None };
        gateway.send(state).await.expect("sent");
    }
    // A reading behind the states: when it is acknowledged, both states were stepped.
    gateway.send(sample(1, 100)).await.expect("sent");
    gateway.expect("ack", |frame| matches!(frame, ServerFrame::Ack(_)).then_some(())).await.expect("acknowledged");
    let mut wall = Peer::connect(&hub.url(), resume).await.expect("welcome again");
    assert!(wall.welcome().expect("welcome").resumed);
    let joined = wall.expect("joined", |frame| if let ServerFrame::Joined(joined) = frame { Some(joined.clone()) } else { None }).await;
    let joined = joined.expect("the floor");
    assert!(joined.recovered && joined.snapshot.is_none());
    assert!(joined.events.iter().any(|event| matches!(event.body, EventBody::Availability { .. })), "{:?}", joined.events);
    let offsets: Vec<u64> = joined.events.iter().map(|event| event.offset).collect();
    assert!(offsets.windows(2).all(|pair| pair[1] == pair[0] + 1) && offsets.last() == Some(&joined.offset), "{offsets:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_and_messagepack_see_the_same_floor() {
    let hub = TestHub::start().await;
    let display = |id| hub.options(Role::Display, uuid::Uuid::from_u128(id)).room(RoomName::Floor(GYM));
    let mut json = Peer::connect(&hub.url(), display(1).json()).await.expect("welcome");
    let mut binary = Peer::connect(&hub.url(), display(2)).await.expect("welcome");
    let mut snapshots = Vec::new();
    for wall in [&mut json, &mut binary] {
        let machines = wall
            .expect("joined", |frame| match frame {
                ServerFrame::Joined(joined) => match &joined.snapshot {
                    Some(Snapshot::Floor(floor)) => Some(floor.machines.clone()),
                    _ => None,
                },
                _ => None,
            })
            .await;
        snapshots.push(machines.expect("a snapshot"));
    }
    assert_eq!(snapshots[0], snapshots[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_of_another_tenant_or_member_does_not_open() {
    let hub = TestHub::start().await;
    let stranger = hub.token(OTHER_TENANT, Role::Operator, uuid::Uuid::from_u128(9), Duration::from_secs(60));
    let mut stranger = Peer::connect(&hub.url(), Options::new(stranger)).await.expect("welcome");
    for room in [RoomName::Floor(GYM), RoomName::Machine(BIKE), RoomName::Member(ANNA)] {
        stranger.join(room).await.expect_err("not of this tenant");
    }
    let mut boris = hub.peer(Role::Member, BORIS.0).await;
    boris.join(RoomName::Member(ANNA)).await.expect_err("not his");
    boris.join(RoomName::Member(BORIS)).await.expect("his own");
    let mut coach = hub.peer(Role::Coach, uuid::Uuid::from_u128(0xC)).await;
    coach.join(RoomName::Member(ANNA)).await.expect("in the coach's team");
    coach.join(RoomName::Member(BORIS)).await.expect_err("in no team of the coach");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_the_store_is_known_to_their_tenant_only() {
    let hub = TestHub::start().await;
    let known = hub.node().hub.read_member(TENANT, ANNA).await.expect("the store answers");
    assert_eq!(known.teams, [crate::house::TEAM]);
    assert_eq!(hub.node().hub.look_up_teams(OTHER_TENANT, ANNA).await, Err(protocol::ErrorCode::NotFound));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coach_of_a_team_that_a_member_left_hears_of_the_member_no_more() {
    let hub = TestHub::start().await;
    let mut coach = hub.peer(Role::Coach, uuid::Uuid::from_u128(0xC)).await;
    coach.join(RoomName::Member(ANNA)).await.expect("in the coach's team");
    let in_no_team = room::input::MemberRecord::default();
    hub.node().hub.member_changed(TENANT, ANNA, &in_no_team);
    let left = coach.expect("left", |frame| if let ServerFrame::Left(left) = frame { Some(left.room) } else { None }).await;
    assert_eq!(left.expect("put out"), RoomName::Member(ANNA));
}

/// A phone whose token names another gym before ours, its strap bound, and who it asks for a machine.
async fn strapped(hub: &TestHub) -> (Peer, GymId) {
    let other = GymId(uuid::Uuid::from_u128(0x71));
    let gym =
        GymRecord { gym: other, name: Text::cut("Other"), time_zone: Text::cut("Europe/Rome"), units: Units::Metric, addresses: vec![] };
    hub.node().hub.store.put_gyms(TENANT, &[gym]).await.expect("a gym");
    hub.node().hub.add_gym(other, TENANT, Text::cut("Other"));
    let request = TokenRequest {
        tenant: TENANT,
        role: Role::Member,
        subject: ANNA.0,
        gyms: vec![other, GYM],
        teams: vec![],
        at_ms: hub::clock::at_ms(),
        ttl_ms: 600_000,
    };
    let token = hub.node().issuer.as_ref().expect("dev has an issuer").token(&request).expect("signed");
    let mut phone = Peer::connect(&hub.url(), Options::new(token)).await.expect("welcome");
    let (sensor, held) = (Text::cut("strap"), SeqRanges::new());
    let bind = Bind { slot: 9, machine: None, sensor, boot: 1, nonce: 3, clock: 0, held, quirk: None, claim_from_seq: None };
    phone.send(bind).await.expect("sent");
    phone.expect("bound", |frame| matches!(frame, ServerFrame::Bound(bound) if bound.slot == 9).then_some(())).await.expect("bound");
    (phone, other)
}

/// The strap beats once, and the room of the workout sees it.
async fn beats(phone: &mut Peer, seq: u32, heart_rate: i32) {
    let mut reading = Reading::default();
    reading.set(Field::HeartRate, heart_rate);
    phone.send(Sample { slot: 9, seq, dev_ms: i64::from(seq) * 1_000, reading }).await.expect("sent");
    let seen = |frame: &ServerFrame| match frame {
        ServerFrame::Live(live) => live.reading.get(Field::HeartRate).filter(|seen| *seen == heart_rate),
        _ => None,
    };
    phone.expect("the heart rate", seen).await.expect("seen live");
}

async fn stored(phone: &mut Peer, seq: u32) {
    let acked = phone.expect("an ack", |frame| match frame {
        ServerFrame::Ack(ack) => ack.acks.iter().any(|ack| ack.slot == 9 && ack.stored.contains(seq)).then_some(()),
        _ => None,
    });
    acked.await.expect("stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strap_that_was_bound_before_its_member_chose_a_gym_beats_in_the_workout_there() {
    let hub = TestHub::start().await;
    let (mut gateway, code) = hub.bike(1).await;
    let (mut phone, _) = strapped(&hub).await;
    let (workout, _) = claim(&mut phone, &mut gateway, &code).await;
    phone.join(RoomName::Workout(workout)).await.expect("the workout is watched");
    beats(&mut phone, 1, 141).await;
    stored(&mut phone, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_another_gym_refuses_takes_no_strap_along() {
    let hub = TestHub::start().await;
    let (mut gateway, code) = hub.bike(1).await;
    let (mut phone, other) = strapped(&hub).await;
    let (workout, _) = claim(&mut phone, &mut gateway, &code).await;
    phone.join(RoomName::Workout(workout)).await.expect("the workout is watched");
    beats(&mut phone, 1, 141).await;
    let req = phone.req();
    let by = ClaimBy::Code(Text::cut("000000"));
    let refused = phone.request(Claim { req, gym: other, by, hand_over: None }, req, |_| None::<()>).await;
    assert!(matches!(refused, Err(loadtest::PeerError::Refused(..))), "{refused:?}");
    beats(&mut phone, 2, 142).await;
    stored(&mut phone, 2).await;
}

/// The ceiling of a workout, as whoever joins its room is told.
async fn ceiling_of(peer: &mut Peer, workout: WorkoutId) -> Option<u16> {
    let joined = peer.join(RoomName::Workout(workout)).await.expect("the workout is watched");
    let Some(Snapshot::Workout(workout)) = joined.snapshot else { panic!("no snapshot: {joined:?}") };
    workout.ceiling_bpm
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ceiling_stands_when_a_coach_joins_the_workout() {
    let hub = TestHub::start().await;
    let (mut gateway, code) = hub.bike(1).await;
    let mut phone = hub.phone().await;
    let (workout, _) = claim(&mut phone, &mut gateway, &code).await;
    for ceiling_bpm in [Some(150), Some(140), None] {
        let req = phone.req();
        let ceiling = Ceiling { req, member: ANNA, heart_rate_bpm: ceiling_bpm };
        phone.request(ceiling, req, |frame| matches!(frame, ServerFrame::Done(_)).then_some(())).await.expect("set");
        let mut coach = hub.peer(Role::Coach, uuid::Uuid::from_u128(0xC)).await;
        assert_eq!(ceiling_of(&mut coach, workout).await, ceiling_bpm, "what the coach sees");
        assert_eq!(ceiling_of(&mut phone, workout).await, ceiling_bpm, "and after it");
    }
}
