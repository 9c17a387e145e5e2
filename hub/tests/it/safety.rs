//! A stop gets through whatever else happens on the same socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use hub::shard::Order;
use protocol::frame::{MachineState, MachineStatus, Role, Stop, StopAnswer, StopOutcome, StopStage};
use protocol::{ClientFrame, MachineId, ServerFrame, SessionId, StopId};
use tokio::time::Instant;
use uuid::Uuid;

use crate::house::{BIKE, TestHub, claim, sample};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_overtakes_a_flood_on_the_gateways_own_socket() {
    let hub = TestHub::with(&[
        ("limits.gateway_frames_per_s", "1000000"),
        ("limits.gateway_frames_burst", "1000000"),
        ("limits.gateway_bytes_per_s", "64MiB"),
        ("limits.gateway_bytes_burst", "64MiB"),
    ])
    .await;
    let (mut gateway, code) = hub.bike(1).await;
    let mut phone = hub.phone().await;
    claim(&mut phone, &mut gateway, &code).await;
    let storm: Vec<ClientFrame> = (1..=4_000).map(|seq| sample(seq, 100).into()).collect();
    gateway.send_all(&storm).await.expect("sent");
    let id = StopId(Uuid::now_v7());
    let started = Instant::now();
    phone.send(Stop { machine: BIKE, id, reason: None }).await.expect("sent");
    gateway
        .expect("stop_machine", |frame| matches!(frame, ServerFrame::StopMachine(stop) if stop.id == id).then_some(()))
        .await
        .expect("the machine is told");
    let took = started.elapsed();
    assert!(took < Duration::from_millis(250), "before the first repeat: {took:?}");
    gateway.send(StopAnswer { machine: BIKE, id, answer: StopStage::Stopped, result: None }).await.expect("sent");
    let result = phone
        .expect("stop_result", |frame| match frame {
            ServerFrame::StopResult(result) if result.id == id => Some(result.result),
            _ => None,
        })
        .await;
    assert_eq!(result.expect("a result"), StopOutcome::Stopped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_says_nothing_is_unconfirmed_after_a_second() {
    let hub = TestHub::start().await;
    let (mut gateway, code) = hub.bike(1).await;
    let mut phone = hub.phone().await;
    claim(&mut phone, &mut gateway, &code).await;
    let moving = MachineState { machine: BIKE, state: MachineStatus::Active, cause: Default::default(), user_present: Some(true) };
    gateway.send(moving).await.expect("sent");
    let started = Instant::now();
    let result = phone.stop(BIKE).await.expect("a result");
    assert_eq!(result.result, StopOutcome::Unconfirmed);
    assert!((Duration::from_millis(950)..Duration::from_millis(2000)).contains(&started.elapsed()), "{:?}", started.elapsed());
    let told = gateway.expect("stop_machine", |frame| matches!(frame, ServerFrame::StopMachine(_)).then_some(())).await;
    told.expect("it was told all the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_storm_the_second_of_an_unconfirmed_stop_still_passes() {
    let hub = TestHub::with(&[("shards.count", "1")]).await;
    let (mut gateway, code) = hub.bike(1).await;
    let mut phone = hub.phone().await;
    claim(&mut phone, &mut gateway, &code).await;
    let moving = MachineState { machine: BIKE, state: MachineStatus::Active, cause: Default::default(), user_present: Some(true) };
    gateway.send(moving).await.expect("sent");
    let shards = hub.node().hub.shards.clone();
    let over = Arc::new(AtomicBool::new(false));
    let storm = std::thread::spawn({
        let over = over.clone();
        move || {
            // Nothing for the shard to do, but always something in its inbox.
            while !over.load(Relaxed) {
                let orders = (0..4096).map(|_| Order::Detach(SessionId(Uuid::nil())));
                let _full = shards.push_all(0, orders);
            }
        }
    });
    let result = tokio::time::timeout(Duration::from_secs(8), phone.stop(BIKE)).await;
    over.store(true, Relaxed);
    storm.join().expect("the storm ends");
    assert_eq!(result.expect("in time").expect("a result").result, StopOutcome::Unconfirmed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_for_the_holder_and_staff_and_for_nobody_else() {
    let hub = TestHub::start().await;
    let (mut gateway, code) = hub.bike(1).await;
    let mut phone = hub.phone().await;
    claim(&mut phone, &mut gateway, &code).await;
    let mut boris = hub.peer(Role::Member, crate::house::BORIS.0).await;
    assert!(boris.stop(BIKE).await.is_err(), "he does not hold it");
    let mut nobody = hub.peer(Role::Display, Uuid::from_u128(0xD)).await;
    assert!(nobody.stop(BIKE).await.is_err(), "a wall stops nothing");
    let mut operator = hub.peer(Role::Operator, Uuid::from_u128(0xE)).await;
    operator.stop(BIKE).await.expect("staff of the gym");
    nobody.set_patience(Duration::from_millis(600));
    assert!(nobody.stop(MachineId(Uuid::from_u128(1))).await.is_err());
}
