//! A member is erased while they train: sockets close, rooms forget, and what the gateway still sends brings nobody back.

use std::time::{Duration, Instant};

use protocol::frame::{Role, ServerFrame};
use protocol::{CloseReason, RoomName};
use serde_json::Value;
use uuid::Uuid;

use crate::house::{ANNA, BORIS, TENANT, TestHub, claim, sample};

/// Asks the hub over HTTP as the operator's own backend.
async fn ask(hub: &TestHub, method: reqwest::Method, path: &str) -> (u16, Value) {
    let token = hub.token(TENANT, Role::Service, Uuid::from_u128(0x5e), Duration::from_secs(60));
    let url = format!("http://{}{path}", hub.node().address);
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let answer = client.request(method, url).bearer_auth(token).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_who_is_erased_while_training_is_gone_at_once_and_stays_gone() {
    let hub = TestHub::start().await;
    let (mut gateway, code) = hub.bike(1).await;
    let mut phone = hub.phone().await;
    let (workout, _) = claim(&mut phone, &mut gateway, &code).await;
    let mut coach = hub.peer(Role::Coach, Uuid::from_u128(0xc0)).await;
    coach.join(RoomName::Workout(workout)).await.expect("the coach watches");
    for seq in 1..=20 {
        gateway.send(sample(seq, 150)).await.expect("sent");
    }
    coach.expect("a reading", |frame| matches!(frame, ServerFrame::Live(live) if live.seq == 20).then_some(())).await.expect("live");
    // What the workout is made of is committed with its readings, or before them.
    let stored =
        |frame: &ServerFrame| matches!(frame, ServerFrame::Ack(ack) if ack.acks.iter().any(|ack| ack.slot == 1 && ack.stored.contains(20)));
    gateway.expect("an ack", |frame| stored(frame).then_some(())).await.expect("stored");
    let (status, export) = ask(&hub, reqwest::Method::GET, &format!("/v1/members/{}/export", ANNA.0)).await;
    assert_eq!(status, 200);
    assert_eq!(export["health_data"]["workouts"].as_array().map(Vec::len), Some(1), "{export}");
    assert_eq!(export["health_data"]["claims"][0]["workout"], export["health_data"]["workouts"][0]["workout"], "{export}");
    assert_eq!(export["next"], Value::Null, "one page has it all");
    let page = |after: &str| format!("/v1/members/{}/export?after={after}", ANNA.0);
    let (status, rest) = ask(&hub, reqwest::Method::GET, &page(&format!("0.{}.0", Uuid::nil()))).await;
    assert_eq!(
        (status, &rest["events"], &rest["health_data"]["workouts"]),
        (200, &serde_json::json!([]), &serde_json::json!([])),
        "{rest}"
    );
    let (status, events) = ask(&hub, reqwest::Method::GET, &page(&format!("0.{}.9999999999", Uuid::nil()))).await;
    assert_eq!((status, &events["events"]), (200, &export["events"]), "workouts were at their end, events were not");
    for wrong in ["", "0", "0.1.2", "1.0c7d0000-0000-0000-0000-000000000000", "0.0c7d0000-0000-0000-0000-000000000000.-1"] {
        assert_eq!(ask(&hub, reqwest::Method::GET, &page(wrong)).await.0, 400, "{wrong}");
    }

    let began = Instant::now();
    let (status, gone) = ask(&hub, reqwest::Method::DELETE, &format!("/v1/members/{}", ANNA.0)).await;
    assert_eq!(status, 200, "{gone}");
    assert_eq!((&gone["rows"]["members"], &gone["rows"]["workouts"]), (&Value::from(1), &Value::from(1)), "{gone}");
    phone.expect_close(CloseReason::TokenRevoked).await.expect("closed");
    let left = coach.expect("put out", |frame| if let ServerFrame::Left(left) = frame { Some(left.room) } else { None }).await;
    assert_eq!(left.expect("put out"), RoomName::Workout(workout));
    assert!(began.elapsed() < Duration::from_secs(10));

    // The same buffer again, and the claim as the machine remembers it: the numbers are done, the member is nobody.
    for seq in 1..=20 {
        gateway.send(sample(seq, 150)).await.expect("sent");
    }
    let store = &hub.node().hub.store;
    for path in ["", "/export", "/days"] {
        let (status, answer) = ask(&hub, reqwest::Method::GET, &format!("/v1/members/{}{path}", ANNA.0)).await;
        assert_eq!(status, 404, "{answer}");
    }
    assert_eq!(store.workout(TENANT, workout).await.expect("read"), None);
    assert_eq!(store.member_events(TENANT, ANNA, None, 10).await.expect("read"), []);
    let (status, again) = ask(&hub, reqwest::Method::DELETE, &format!("/v1/members/{}", ANNA.0)).await;
    assert_eq!((status, &again["rows"]), (200, &serde_json::json!({})), "nothing came back");
    let (status, _) = ask(&hub, reqwest::Method::DELETE, &format!("/v1/members/{}", Uuid::from_u128(0xdead))).await;
    assert_eq!(status, 404);
    let boris = store.member(TENANT, BORIS).await.expect("read");
    assert!(boris.is_some(), "another member is not concerned");
    gateway.close().await.expect("goodbye");
    coach.close().await.expect("goodbye");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_was_cut_is_finished_by_the_next_hub() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let hub = TestHub::beside(folder.path(), &listener, true).await;
    let (mut gateway, code) = hub.bike(1).await;
    let mut phone = hub.phone().await;
    let (workout, _) = claim(&mut phone, &mut gateway, &code).await;
    for seq in 1..=20 {
        gateway.send(sample(seq, 150)).await.expect("sent");
    }
    let stored =
        |frame: &ServerFrame| matches!(frame, ServerFrame::Ack(ack) if ack.acks.iter().any(|ack| ack.slot == 1 && ack.stored.contains(20)));
    gateway.expect("an ack", |frame| stored(frame).then_some(())).await.expect("stored");
    // As a hub leaves it that is killed after the first step: the request stands, the training is there.
    let store = &hub.node().hub.store;
    store.ask_erasure(TENANT, ANNA, None, hub::clock::at_ms()).await.expect("asked");
    assert!(store.workout(TENANT, workout).await.expect("read").is_some());
    gateway.cut();
    phone.cut();
    hub.end().await;

    let hub = TestHub::beside(folder.path(), &listener, false).await;
    let store = &hub.node().hub.store;
    let until = Instant::now() + Duration::from_secs(10);
    while !store.unfinished_erasures(i64::MAX).await.expect("read").is_empty() {
        assert!(Instant::now() < until, "the erasure was not finished");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(store.workout(TENANT, workout).await.expect("read"), None);
    assert_eq!(store.member_events(TENANT, ANNA, None, 10).await.expect("read"), []);
}
