//! A class from its first second to its results: made over HTTP, seen on a wall, kept over a restart.

use std::time::Duration;

use loadtest::Peer;
use protocol::frame::{BoardStage, EndWorkout, EventBody, Role, Sample, Snapshot};
use protocol::{BoardId, Field, MemberId, Reading, RoomName, ServerFrame};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::house::{ANNA, BIKE, BORIS, GYM, TENANT, TestHub, claim};

const BOARD: BoardId = BoardId(Uuid::from_u128(0xb0));

fn distance(seq: u32, distance_m: i32) -> Sample {
    let mut reading = Reading::default();
    reading.set(Field::Power, 150);
    reading.set(Field::Distance, distance_m);
    Sample { slot: 1, seq, dev_ms: i64::from(seq) * 1000, reading }
}

/// One request of the operator's own service or of staff.
async fn ask(hub: &TestHub, role: Role, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let token = hub.token(TENANT, role, Uuid::from_u128(0xf), Duration::from_secs(60));
    let url = format!("http://{}{path}", hub.node().address);
    let mut request = reqwest::Client::new().request(method.parse().expect("a method"), url).bearer_auth(token);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

async fn agree(hub: &TestHub, member: MemberId, handle: &str, wall: bool) {
    let item = json!({ "member": member, "handle": handle, "consents": { "wall": wall }, "max_heart_rate_bpm": 190 });
    let (status, told) = ask(hub, Role::Service, "PUT", "/v1/members", Some(json!({ "items": [item] }))).await;
    assert_eq!((status, &told["results"][0]["stored"]), (200, &json!(true)), "{told}");
}

fn class(lasts_ms: i64) -> Value {
    let at_ms = hub::clock::at_ms();
    json!({ "items": [{ "board": BOARD, "gym": GYM, "name": "Spin", "metric": "distance", "machines": [BIKE],
        "starts_at_ms": at_ms - 1_000, "ends_at_ms": at_ms + lasts_ms, "every_ms": 500 }] })
}

/// Waits for a tick whose best has this score.
async fn best(wall: &mut Peer, score: u32) {
    let told = wall
        .expect("a tick", |frame| match frame {
            ServerFrame::BoardTick(tick) => tick.rows.first().filter(|row| row.score == score).map(|_| ()),
            _ => None,
        })
        .await;
    told.expect("the board tells the score");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_class_is_made_seen_and_kept() {
    let hub = TestHub::start().await;
    agree(&hub, ANNA, "Ada", true).await;
    let (status, told) = ask(&hub, Role::Coach, "PUT", "/v1/boards", Some(class(60_000))).await;
    assert_eq!((status, &told["results"][0]["stored"]), (200, &json!(true)), "{told}");
    let mut wall = hub.peer(Role::Display, Uuid::from_u128(0xD)).await;
    wall.join(RoomName::Board(BOARD)).await.expect("the board is watched");
    let (mut gateway, code) = hub.bike(1).await;
    let mut phone = hub.phone().await;
    let (workout, _) = claim(&mut phone, &mut gateway, &code).await;
    for (seq, distance_m) in [(1, 0), (2, 300), (3, 640)] {
        gateway.send(distance(seq, distance_m)).await.expect("sent");
    }
    let name = wall
        .expect("a name", |frame| match frame {
            ServerFrame::Event(event) => match &event.body {
                EventBody::BoardEntered { index: 0, name } => Some(name.to_string()),
                _ => None,
            },
            _ => None,
        })
        .await;
    assert_eq!(name.expect("told"), "Ada");
    best(&mut wall, 640).await;
    let req = phone.req();
    phone.send(EndWorkout { req, workout }).await.expect("sent");
    // Sealed with the totals of the store: the results have it.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let (status, results) = ask(&hub, Role::Operator, "GET", &format!("/v1/boards/{BOARD}"), None).await;
        assert_eq!(status, 200);
        if results["standings"] == json!([{ "rank": 1, "name": "Ada", "score": 640 }]) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{results}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    agree(&hub, ANNA, "Ada", false).await;
    let reset = wall.expect("a reset", |frame| if let ServerFrame::Reset(reset) = frame { Some(reset.snapshot.clone()) } else { None });
    let Snapshot::Board(board) = reset.await.expect("everybody takes the board anew") else { panic!("a board") };
    assert_eq!((board.count, board.entries.len()), (0, 0));
    let (_, results) = ask(&hub, Role::Operator, "GET", &format!("/v1/boards/{BOARD}"), None).await;
    assert_eq!(results["standings"], json!([]), "without consent no name, in the results either");
    for peer in [phone, gateway, wall] {
        peer.close().await.expect("goodbye");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_ends_by_itself_and_is_gone_when_it_is_taken_down() {
    let hub = TestHub::start().await;
    ask(&hub, Role::Service, "PUT", "/v1/boards", Some(class(1_500))).await;
    let mut phone = hub.peer(Role::Member, BORIS.0).await;
    let joined = phone.join(RoomName::Board(BOARD)).await.expect("a member of the gym may watch");
    assert!(matches!(joined.snapshot, Some(Snapshot::Board(board)) if board.stage == BoardStage::Running));
    let over = |frame: &ServerFrame| match frame {
        ServerFrame::Event(event) => (event.body == EventBody::BoardStage { stage: BoardStage::Over }).then_some(()),
        _ => None,
    };
    phone.expect("the end", over).await.expect("told");
    let (status, _) = ask(&hub, Role::Operator, "DELETE", &format!("/v1/boards/{BOARD}"), None).await;
    assert_eq!(status, 200);
    phone.expect("put out", |frame| matches!(frame, ServerFrame::Left(_)).then_some(())).await.expect("told");
    phone.join(RoomName::Board(BOARD)).await.expect_err("no such room");
    phone.close().await.expect("goodbye");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_that_cannot_be_is_refused_in_words() {
    let hub = TestHub::start().await;
    let mut wrong = class(60_000);
    wrong["items"][0]["every_ms"] = json!(100);
    let (status, told) = ask(&hub, Role::Service, "PUT", "/v1/boards", Some(wrong)).await;
    assert_eq!((status, &told["results"][0]["error"]["detail"]), (200, &json!("every_ms: 500 to 1000")));
}
