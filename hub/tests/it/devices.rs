//! Machine identity as an operator and a gateway meet it: codes, keys, challenges, copies, rotation, revocation.

use std::time::Duration;

use loadtest::{Device, DeviceKey, Options, Peer, PeerError};
use protocol::frame::{Bind, EventBody, MachineHello, MachineKind, Role};
use protocol::text::Text;
use protocol::{CloseReason, ErrorCode, GatewayId, MachineId, RoomName, SeqRanges, ServerFrame};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use storage::{GatewayRecord, MachineRecord};
use tokio::time::Instant;
use uuid::Uuid;

use crate::house::{ANNA, BIKE, GATEWAY, GYM, TENANT, TestHub, bike_hello, sample};

const OPERATOR: Uuid = Uuid::from_u128(0xE0);

/// One request of somebody.
async fn ask(hub: &TestHub, who: Option<Role>, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let url = format!("http://{}{path}", hub.node().address);
    let mut request = Client::new().request(method, url).timeout(Duration::from_secs(10));
    if let Some(role) = who {
        let subject = if role == Role::Member { ANNA.0 } else { OPERATOR };
        request = request.bearer_auth(hub.token(TENANT, role, subject, Duration::from_secs(600)));
    }
    if !body.is_null() {
        request = request.json(&body);
    }
    let answer = request.send().await.expect("an answer");
    (answer.status(), answer.json().await.unwrap_or(Value::Null))
}

async fn code(hub: &TestHub, body: Value) -> String {
    let (status, answer) = ask(hub, Some(Role::Operator), Method::POST, "/v1/enrolments", body).await;
    assert_eq!(status, 200, "{answer}");
    answer["code"].as_str().expect("a code").to_owned()
}

async fn redeem(hub: &TestHub, code: &str) -> anyhow::Result<Device> {
    Device::enrol(&Client::new(), &format!("http://{}", hub.node().address), code, DeviceKey::draw()).await
}

/// A device of the gateway.
async fn enrol(hub: &TestHub) -> Device {
    let code = code(hub, json!({ "gym": GYM, "gateway": GATEWAY, "name": "left wall" })).await;
    redeem(hub, &code).await.expect("enrolled")
}

async fn connect(hub: &TestHub, device: &Device) -> Result<Peer, PeerError> {
    Peer::connect(&hub.url(), Options::enrolled(device.clone())).await
}

fn reason(refused: Result<Peer, PeerError>) -> Option<CloseReason> {
    refused.err().and_then(|error| error.close_reason())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_makes_a_device_once_and_the_device_needs_no_token() {
    let hub = TestHub::start().await;
    let code = code(&hub, json!({ "gym": GYM, "gateway": GATEWAY })).await;
    let device = redeem(&hub, &code.to_lowercase().replace('-', " ")).await.expect("enrolled, however it is typed");
    let again = redeem(&hub, &code).await.expect_err("once").to_string();
    assert!(again.contains(ErrorCode::EnrolmentCodeWrong.name()), "{again}");
    for options in [Options::enrolled(device.clone()), Options::enrolled(device.clone()).json()] {
        let mut gateway = Peer::connect(&hub.url(), options).await.expect("welcome");
        let welcome = gateway.welcome().expect("welcome").clone();
        assert_eq!((welcome.role, welcome.subject), (Role::Gateway, GATEWAY.0));
        gateway.send(bike_hello()).await.expect("sent");
        let ready = gateway.expect("machine_ready", |frame| matches!(frame, ServerFrame::MachineReady(_)).then_some(())).await;
        ready.expect("its own machine");
        gateway.close().await.expect("goodbye");
    }
    let (_, list) = ask(&hub, Some(Role::Operator), Method::GET, &format!("/v1/devices?gym={GYM}"), Value::Null).await;
    assert_eq!(list[0]["device"], json!(device.device));
    let (_, view) = ask(&hub, Some(Role::Operator), Method::GET, &format!("/v1/devices/{}", device.device), Value::Null).await;
    let told: Vec<_> = view["log"].as_array().expect("a log").iter().map(|entry| (entry["what"].clone(), entry["by"].clone())).collect();
    assert_eq!(told, [(json!("enrolled"), json!(GATEWAY)), (json!("code_given"), json!(OPERATOR))]);
    let stored = std::fs::read(hub.store_path()).expect("the store is a file");
    assert!(!stored.windows(code.len()).any(|window| window == code.as_bytes()), "the code itself is nowhere");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_for_nobody_is_refused() {
    let hub = TestHub::start().await;
    let wrong = [
        json!({ "gym": GYM }),
        json!({ "gym": GYM, "gateway": GATEWAY, "machine": BIKE }),
        json!({ "gym": GYM, "gateway": Uuid::now_v7() }),
        json!({ "gym": GYM, "gateway": GATEWAY, "life_s": 0 }),
    ];
    for body in wrong {
        let (status, answer) = ask(&hub, Some(Role::Operator), Method::POST, "/v1/enrolments", body).await;
        assert!(status == 422 || status == 404, "{status} {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_speaks_for_its_own_machines_alone() {
    let hub = TestHub::start().await;
    let (other, foreign) = (GatewayId(Uuid::now_v7()), MachineId(Uuid::now_v7()));
    let store = &hub.node().hub.store;
    store.put_gateways(TENANT, &[GatewayRecord { gateway: other, gym: GYM, name: Text::cut("other") }]).await.expect("a gateway");
    let record = MachineRecord {
        machine: foreign,
        gym: GYM,
        name: Text::cut("Rower"),
        kind: MachineKind::Rower,
        location: Text::cut("Hall"),
        gateway: Some(other),
        powered: false,
    };
    store.put_machines(TENANT, &[record]).await.expect("a machine");
    let stored = store.machine(TENANT, foreign).await.expect("the store answers").expect("it was put");
    hub.node().hub.add_machine(GYM, hub::seed::machine_record(stored));
    let mut gateway = connect(&hub, &enrol(&hub).await).await.expect("welcome");
    let error = |frame: &ServerFrame| if let ServerFrame::Error(error) = frame { Some(error.code) } else { None };
    gateway.send(MachineHello { machine: foreign, ..bike_hello() }).await.expect("sent");
    assert_eq!(gateway.expect("a refusal", error).await.expect("refused"), ErrorCode::Forbidden.code());
    let bind = Bind {
        slot: 1,
        machine: Some(foreign),
        sensor: Text::cut("ftms"),
        boot: 1,
        nonce: 7,
        clock: 0,
        held: SeqRanges::new(),
        quirk: None,
        claim_from_seq: None,
    };
    gateway.send(bind).await.expect("sent");
    let refused = gateway.expect("a refusal", error).await.expect("refused");
    assert!([ErrorCode::MachineNotHeard, ErrorCode::Forbidden].map(ErrorCode::code).contains(&refused), "{refused}");
    gateway.send(sample(1, 100)).await.expect("sent");
    assert_eq!(gateway.expect("a refusal", error).await.expect("refused"), ErrorCode::SlotUnknown.code());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_good_for_its_challenge_alone() {
    let hub = TestHub::start().await;
    let device = enrol(&hub).await;
    let challenged = async || {
        let mut peer = Peer::dial(&hub.url(), Options::enrolled(device.clone())).await.expect("a socket");
        peer.send(Options::enrolled(device.clone()).hello()).await.expect("sent");
        let challenge = peer
            .expect("challenge", |frame| if let ServerFrame::Challenge(challenge) = frame { Some(challenge.clone()) } else { None })
            .await
            .expect("challenged");
        (peer, challenge)
    };
    let (mut first, old) = challenged().await;
    let (mut second, new) = challenged().await;
    assert_ne!(old.nonce, new.nonce);
    second.send(device.prove(&old).expect("its own hub")).await.expect("sent");
    let refused = second.expect("an error", |frame| if let ServerFrame::Error(error) = frame { Some(error.code) } else { None }).await;
    assert_eq!(refused.expect("told why"), ErrorCode::ProofWrong.code());
    second.expect_close(CloseReason::DeviceRefused).await.expect("closed");
    first.send(device.prove(&old).expect("its own hub")).await.expect("sent");
    first.expect("welcome", |frame| matches!(frame, ServerFrame::Welcome(_)).then_some(())).await.expect("its own challenge");
    first.close().await.expect("goodbye");
    let stranger = Device::new(DeviceKey::draw(), protocol::DeviceId(Uuid::now_v7()), device.hub, device.tenant);
    assert_eq!(reason(connect(&hub, &stranger).await), Some(CloseReason::DeviceRefused));
    let (mut hasty, _) = challenged().await;
    hasty.send(bike_hello()).await.expect("sent");
    hasty.expect_close(CloseReason::HelloExpected).await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_device_loses_its_socket_and_gets_none() {
    let hub = TestHub::start().await;
    let device = enrol(&hub).await;
    let mut gateway = connect(&hub, &device).await.expect("welcome");
    let (status, answer) =
        ask(&hub, Some(Role::Operator), Method::POST, &format!("/v1/devices/{}/revoke", device.device), Value::Null).await;
    assert_eq!((status.as_u16(), &answer["closed"]), (200, &json!(1)), "{answer}");
    gateway.expect_close(CloseReason::DeviceRevoked).await.expect("closed");
    assert_eq!(reason(connect(&hub, &device).await), Some(CloseReason::DeviceRevoked));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_device_of_the_gateway_takes_the_place_of_the_first() {
    let hub = TestHub::start().await;
    let first = enrol(&hub).await;
    let mut old = connect(&hub, &first).await.expect("welcome");
    let second = enrol(&hub).await;
    old.expect_close(CloseReason::DeviceRevoked).await.expect("closed");
    connect(&hub, &second).await.expect("welcome").close().await.expect("goodbye");
    assert_eq!(reason(connect(&hub, &first).await), Some(CloseReason::DeviceRevoked));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_on_two_live_sockets_flags_both_until_an_operator_clears_it() {
    let hub = TestHub::start().await;
    let device = enrol(&hub).await;
    let mut staff = hub.peer(Role::Operator, OPERATOR).await;
    staff.join(RoomName::Floor(GYM)).await.expect("the floor");
    let mut first = connect(&hub, &device).await.expect("welcome");
    // Whoever reads answers the hub's question, as any WebSocket library does by itself.
    let copied = async {
        // It stands until the older one answers, which may be before its welcome is on the way.
        match connect(&hub, &device).await {
            Err(error) if error.close_reason() == Some(CloseReason::DeviceCloned) => Ok(()),
            connected => connected.expect("welcome").expect_close(CloseReason::DeviceCloned).await,
        }
    };
    let (older, newer) = tokio::join!(first.expect_close(CloseReason::DeviceCloned), copied);
    newer.expect("flagged");
    older.expect("flagged too");
    staff
        .expect("device_cloned", |frame| match frame {
            ServerFrame::Event(event) => match event.body {
                EventBody::DeviceCloned { device: told, subject } => Some((told, subject)),
                _ => None,
            },
            _ => None,
        })
        .await
        .map(|told| assert_eq!(told, (device.device, GATEWAY.0)))
        .expect("staff hear of it");
    assert!(hub.node().hub.metrics.scrape().contains("spotter_devices_cloned_total 1"));
    assert_eq!(reason(connect(&hub, &device).await), Some(CloseReason::DeviceCloned));
    let path = format!("/v1/devices/{}", device.device);
    let (_, view) = ask(&hub, Some(Role::Operator), Method::GET, &path, Value::Null).await;
    assert!(view["cloned_at_ms"].is_i64(), "{view}");
    let (status, _) = ask(&hub, Some(Role::Operator), Method::POST, &format!("{path}/clear"), Value::Null).await;
    assert_eq!(status, 200);
    connect(&hub, &device).await.expect("cleared").close().await.expect("goodbye");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_comes_back_is_no_copy() {
    let hub = TestHub::start().await;
    let device = enrol(&hub).await;
    // With its ticket: the older socket is over at once, though its far end could still answer.
    let mut first = connect(&hub, &device).await.expect("welcome");
    let second = Peer::connect(&hub.url(), first.resume()).await.expect("welcome");
    assert!(second.welcome().expect("welcome").resumed);
    first.expect_close(CloseReason::Replaced).await.expect("replaced");
    // Without it, as after a power cut: the older socket is asked, says nothing, and is over. It announces its machine on the new one meanwhile.
    let silent = second.stall();
    let mut third = connect(&hub, &device).await.expect("welcome");
    third.send(bike_hello()).await.expect("sent");
    third.expect("machine_ready", |frame| matches!(frame, ServerFrame::MachineReady(_)).then_some(())).await.expect("it works at once");
    hub.until("the silent socket is over", |hub| hub.directory.len() == 1).await;
    assert!(hub.node().hub.devices.good(device.device).is_ok(), "nobody is flagged");
    drop(silent);
    third.close().await.expect("goodbye");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_replaces_the_old_after_the_overlap() {
    let hub = TestHub::with(&[("auth.device_key_overlap", "500ms")]).await;
    let device = enrol(&hub).await;
    let mut gateway = connect(&hub, &device).await.expect("welcome");
    let (session, next) = (gateway.welcome().expect("welcome").session, DeviceKey::draw());
    let req = gateway.req();
    let mut stolen = device.rotate(req, session, &next);
    stolen.signature = stolen.proof.clone();
    let told = |frame: &ServerFrame| if let ServerFrame::KeyRotated(rotated) = frame { Some(rotated.old_until_at_ms) } else { None };
    let refused = gateway.request(stolen, req, told).await;
    assert!(matches!(refused, Err(PeerError::Refused(code, ..)) if code == ErrorCode::ProofWrong.code()), "{refused:?}");
    let req = gateway.req();
    gateway.request(device.rotate(req, session, &next), req, told).await.expect("rotated");
    let req = gateway.req();
    let again = gateway.request(device.rotate(req, session, &DeviceKey::draw()), req, told).await;
    assert!(matches!(again, Err(PeerError::Refused(code, ..)) if code == ErrorCode::TooFast.code()), "one a minute: {again:?}");
    gateway.close().await.expect("goodbye");
    let renewed = device.with_key(next);
    connect(&hub, &renewed).await.expect("the new key").close().await.expect("goodbye");
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match connect(&hub, &device).await {
            Ok(peer) => peer.close().await.expect("goodbye"),
            Err(refused) => break assert_eq!(refused.close_reason(), Some(CloseReason::DeviceRefused)),
        }
        assert!(Instant::now() < deadline, "the old key is good for ever");
    }
    connect(&hub, &renewed).await.expect("the new key goes on").close().await.expect("goodbye");
    let mut by_token = hub.peer(Role::Gateway, GATEWAY.0).await;
    let req = by_token.req();
    let session = by_token.welcome().expect("welcome").session;
    let refused = by_token.request(renewed.rotate(req, session, &DeviceKey::draw()), req, told).await;
    assert!(matches!(refused, Err(PeerError::Refused(code, ..)) if code == ErrorCode::Forbidden.code()), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_code_on_a_screen_is_shown_to_staff_of_the_gym_alone() {
    let hub = TestHub::start().await;
    let (_gateway, code) = hub.bike(1).await;
    let path = format!("/v1/machines/{BIKE}");
    let (_, staff) = ask(&hub, Some(Role::Operator), Method::GET, &path, Value::Null).await;
    assert_eq!(staff["code"], json!(code), "{staff}");
    for role in [Role::Member, Role::Display, Role::Service, Role::Coach] {
        let (status, other) = ask(&hub, Some(role), Method::GET, &path, Value::Null).await;
        assert_eq!((status.as_u16(), other.get("code")), (200, None), "{role:?}");
    }
}
