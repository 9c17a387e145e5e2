//! Each role in each stance against each route of the OpenAPI document.
//!
//! Allowed is what shows or changes the thing itself: a list counts by what it contains, a bulk call by what it stored, a revocation by the
//! session that it closed. What is refused is 403 or 404 in the words of the catalogue, without a token 401; and a foreign token
//! hears of this house's things what it hears of things that nobody has.

use std::collections::BTreeSet;

use protocol::frame::{MachineKind, Role};
use protocol::text::Text;
use protocol::{BoardId, MachineId, MemberId, TenantId};
use reqwest::Method;
use serde_json::{Value, json};
use storage::{MachineRecord, MemberRecord};
use uuid::Uuid;

use super::expect::{Stance, Tally, everybody, expected};
use super::world::{self, A, Target, World};

/// How one sees that it was done.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Seen {
    /// By the status.
    Status,
    /// By what the list contains.
    Listed,
    /// By the result of the one record.
    Stored,
    /// By a session that was closed.
    Closed,
}

/// Method and path, what it carries, who may, and how one sees it.
type Row = (&'static str, &'static str, &'static str, Seen);

/// In the order of the roles: member, coach, team manager, operator, machine, gateway, display, service.
const ROUTES: &[Row] = &[
    ("GET /health", "", "a a a a a a a a", Seen::Status),
    ("GET /ready", "", "a a a a a a a a", Seen::Status),
    ("GET /metrics", "", "a a a a a a a a", Seen::Status),
    ("GET /v1/openapi.json", "", "a a a a a a a a", Seen::Status),
    ("GET /v1/dev/personas", "", "a a a a a a a a", Seen::Status),
    ("POST /v1/dev/login", "", "a a a a a a a a", Seen::Status),
    ("GET /v1/gyms", "", "g g g g - - g x", Seen::Listed),
    ("PUT /v1/gyms", "", "- - - - - - - x", Seen::Stored),
    ("GET /v1/gyms/{gym}", "", "g g g g - - g x", Seen::Status),
    ("PUT /v1/gateways", "", "- - - - - - - x", Seen::Stored),
    ("PUT /v1/gateways", "a new one in this gym", "- - - - - - - x", Seen::Stored),
    ("GET /v1/machines", "?gym={gym}", "g g g g - - g x", Seen::Status),
    ("PUT /v1/machines", "", "- - - - - - - x", Seen::Stored),
    ("PUT /v1/machines", "a new one in this gym", "- - - - - - - x", Seen::Stored),
    ("GET /v1/machines/{machine}", "", "g g g g - - g x", Seen::Status),
    ("DELETE /v1/machines/{machine}", "", "- - - - - - - x", Seen::Status),
    ("GET /v1/machines/{machine}/sticker.svg", "", "- - - g - - - x", Seen::Status),
    ("GET /v1/machines/{machine}/code.svg", "?code=123456", "- - - g p p - -", Seen::Status),
    ("GET /v1/machines/{machine}/maintenance", "", "- - - g - - - x", Seen::Status),
    ("POST /v1/machines/{machine}/maintenance", "", "- - - g - - - x", Seen::Status),
    ("GET /v1/boards", "?gym={gym}", "g g g g - - g x", Seen::Status),
    ("PUT /v1/boards", "", "- g g g - - - x", Seen::Stored),
    ("PUT /v1/boards", "a new one in this gym", "- g g g - - - x", Seen::Stored),
    ("GET /v1/boards/{board}", "", "g g g g - - g x", Seen::Status),
    ("DELETE /v1/boards/{board}", "", "- g g g - - - x", Seen::Status),
    ("GET /v1/tickets", "?gym={gym}", "- - - g - - - x", Seen::Status),
    ("POST /v1/tickets/{ticket}/close", "", "- - - g - - - x", Seen::Status),
    ("GET /v1/members", "", "- - - - - - - x", Seen::Listed),
    ("PUT /v1/members", "", "- - - - - - - x", Seen::Stored),
    ("GET /v1/members/{member}", "", "p p p - - - - x", Seen::Status),
    ("PUT /v1/members/{member}/consents", "", "p - - - - - - x", Seen::Status),
    ("PUT /v1/members/{member}/ceiling", "", "p p - - - - - -", Seen::Status),
    ("PUT /v1/staff", "", "- - - - - - - x", Seen::Stored),
    ("PUT /v1/staff", "a new one of this gym", "- - - - - - - x", Seen::Stored),
    ("GET /v1/teams", "", "- p p - - - - x", Seen::Listed),
    ("PUT /v1/teams", "", "- - - - - - - x", Seen::Stored),
    ("PUT /v1/teams", "a new one with this member", "- - - - - - - x", Seen::Stored),
    ("GET /v1/visits", "?member={member}", "p p - - - - - x", Seen::Status),
    ("GET /v1/visits", "?gym={gym}", "p - - - - - - x", Seen::Listed),
    ("GET /v1/workouts", "?member={member}", "p p - - - - - x", Seen::Status),
    ("GET /v1/workouts", "?gym={gym}", "p - - - - - - x", Seen::Listed),
    ("GET /v1/workouts/{workout}", "", "p p - - - - - x", Seen::Status),
    ("GET /v1/workouts/{workout}/samples", "", "p p - - - - - x", Seen::Status),
    ("GET /v1/workouts/{workout}/export.fit", "", "p p - - - - - x", Seen::Status),
    ("GET /v1/workouts/{workout}/export.tcx", "", "p p - - - - - x", Seen::Status),
    ("POST /v1/members/{member}/uploads", "?gym={gym}", "p - - - - - - x", Seen::Status),
    ("GET /v1/events", "", "- - - - - - - x", Seen::Listed),
    ("GET /v1/events", "?gym={gym}", "- - - - - - - x", Seen::Listed),
    ("GET /v1/members/{member}/days", "", "p p - - - - - x", Seen::Status),
    ("GET /v1/members/{member}/export", "", "p - - - - - - x", Seen::Status),
    ("POST /v1/revocations", "", "- - - - - - - x", Seen::Closed),
    ("DELETE /v1/members/{member}", "", "- - - - - - - x", Seen::Status),
    ("POST /v1/enrolments", "", "- - - g - - - x", Seen::Status),
    ("POST /v1/enrol", "", "- - - - - - - -", Seen::Status),
    ("GET /v1/devices", "?gym={gym}", "- - - g - - - x", Seen::Status),
    ("GET /v1/devices/{device}", "", "- - - g - - - x", Seen::Status),
    ("POST /v1/devices/{device}/revoke", "", "- - - g - - - x", Seen::Status),
    ("POST /v1/devices/{device}/clear", "", "- - - g - - - x", Seen::Status),
];

/// The routes that need no token.
fn is_open(route: &str) -> bool {
    is_enrolment(route) || ["/health", "/ready", "/metrics", "/v1/openapi.json", "/v1/dev/"].iter().any(|open| route.contains(open))
}

/// The route that needs no token, but a code that nobody here has.
fn is_enrolment(route: &str) -> bool {
    route == "POST /v1/enrol"
}

/// What a member uploads.
const FILE: &str = "<TrainingCenterDatabase><Activities><Activity Sport=\"Biking\"><Lap><Track><Trackpoint><Time>2026-01-02T03:04:05Z</Time>\
    <Cadence>80</Cadence></Trackpoint></Track></Lap></Activity></Activities></TrainingCenterDatabase>";

/// One request as it goes out.
struct Asked {
    method: Method,
    path: String,
    body: Value,
}

fn asked(route: &str, what: &str, target: &Target, victim: Uuid) -> Asked {
    let (method, pattern) = route.split_once(' ').expect("method and path");
    let query = if what.starts_with('?') { what } else { "" };
    // What can be taken away, maintained or shown with a code is the machine that nobody holds.
    let path = format!("{pattern}{query}")
        .replace("{gym}", &target.gym.to_string())
        .replace("{machine}", &target.link.to_string())
        .replace("{member}", &target.member.to_string())
        .replace("{workout}", &target.workout.to_string())
        .replace("{board}", &target.board.to_string())
        .replace("{ticket}", &target.ticket.to_string())
        .replace("{device}", &target.device.to_string());
    let new = !what.is_empty();
    let of = |own: Uuid| if new { Uuid::now_v7() } else { own };
    let items = |item: Value| json!({ "items": [item] });
    let Target { gym, member, gateway, .. } = *target;
    let body = match (method, pattern) {
        ("PUT", "/v1/gyms") => items(json!({ "gym": gym, "name": "Gym", "time_zone": "Europe/Rome" })),
        ("PUT", "/v1/gateways") => items(json!({ "gateway": of(gateway.0), "gym": gym, "name": "Gateway" })),
        ("PUT", "/v1/machines") => items(
            json!({ "machine": of(target.machine.0), "gym": gym, "name": "Machine", "kind": "bike", "location": "Hall", "gateway": gateway }),
        ),
        ("PUT", "/v1/boards") => {
            let (starts_at_ms, ends_at_ms) = (hub::clock::at_ms(), hub::clock::at_ms() + 1_000);
            items(json!({ "board": of(target.board.0), "gym": gym, "name": "Today", "metric": "energy", "starts_at_ms": starts_at_ms,
                "ends_at_ms": ends_at_ms }))
        }
        ("PUT", "/v1/members") => items(json!({ "member": member, "handle": "Anna" })),
        ("PUT", "/v1/staff") => items(json!({ "staff": of(A.staff()), "role": "coach", "name": "Kim", "gyms": [gym] })),
        ("PUT", "/v1/teams") => items(json!({ "team": of(target.team.0), "name": "Team", "members": [member] })),
        ("PUT", "/v1/members/{member}/consents") => json!({ "wall": false }),
        ("PUT", "/v1/members/{member}/ceiling") => json!({ "ceiling_bpm": 171 }),
        ("POST", "/v1/machines/{machine}/maintenance") => json!({ "open": false, "text": "looked at" }),
        ("POST", "/v1/members/{member}/uploads") => Value::String(FILE.to_owned()),
        ("POST", "/v1/revocations") => json!({ "subject": victim }),
        ("POST", "/v1/enrolments") => json!({ "gym": gym, "gateway": gateway }),
        ("POST", "/v1/enrol") => json!({ "code": "no such code, ever", "key": "00".repeat(32), "signature": "00".repeat(64) }),
        ("POST", "/v1/dev/login") => json!({ "persona": "member" }),
        _ => Value::Null,
    };
    Asked { method: method.parse().expect("a method"), path, body }
}

/// What came back.
struct Told {
    status: u16,
    body: Value,
}

async fn ask(world: &World, asked: &Asked, token: Option<&str>) -> Told {
    let url = format!("http://{}{}", world.house.node().address, asked.path);
    let mut request = world.http.request(asked.method.clone(), url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    request = match &asked.body {
        Value::Null => request,
        Value::String(file) => request.body(file.clone()),
        body => request.json(body),
    };
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let text = response.text().await.expect("a body");
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Told { status, body }
}

/// What of the target a list must contain to show it.
fn listed(route: &str, target: &Target) -> String {
    match route {
        "GET /v1/gyms" => target.gym.to_string(),
        "GET /v1/teams" => target.team.to_string(),
        "GET /v1/members" | "GET /v1/visits" | "GET /v1/workouts" => target.member.to_string(),
        "GET /v1/events" => target.gym.to_string(),
        other => panic!("{other} is no list"),
    }
}

fn was_done(told: &Told, (route, _, _, seen): &Row, target: &Target) -> bool {
    let good = (200..300).contains(&told.status);
    good && match seen {
        Seen::Status => true,
        Seen::Listed => told.body.to_string().contains(&listed(route, target)),
        Seen::Stored => told.body["results"][0]["stored"] == true,
        Seen::Closed => told.body["closed"].as_u64().is_some_and(|closed| closed > 0),
    }
}

/// Whether a refusal is one of the catalogue: 403 or 404 as a whole, or nothing of it in a list or a bulk call.
fn was_refused(told: &Told, seen: Seen) -> bool {
    match told.status {
        200 => seen != Seen::Status,
        403 | 404 => told.body["code"].is_u64() && told.body["name"].is_string(),
        _ => false,
    }
}

/// An answer without the id that was asked for.
fn nameless(told: &Told, target: &Target) -> String {
    let Target { gym, machine, link, workout, member, team, ticket, gateway, board, device, .. } = *target;
    let mut text = format!("{} {}", told.status, told.body);
    for id in [gym.0, machine.0, link.0, workout.0, member.0, team.0, ticket.0, gateway.0, board.0, device.0] {
        text = text.replace(&id.to_string(), "ID");
    }
    text
}

#[test]
fn every_route_of_the_document_has_a_row() {
    let document: Value = serde_json::from_str(&hub::transport::http::document()).expect("JSON");
    let mut documented = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let route = format!("{} {path}", method.to_uppercase());
            assert_eq!(operation.get("x-right").is_none(), is_open(&route), "{route}: a route without a right must be meant");
            documented.insert(route);
        }
    }
    let tried: BTreeSet<String> = ROUTES.iter().map(|row| row.0.to_owned()).collect();
    assert_eq!(tried, documented);
}

/// A member of the first tenant who may be erased.
async fn another_member(world: &World) -> MemberId {
    let member = MemberId(Uuid::now_v7());
    world.house.node().hub.store.put_members(A.tenant(), &[MemberRecord::new(member)]).await.expect("stored");
    member
}

/// A machine of the first gym that may be taken away.
async fn another_machine(world: &World) -> MachineId {
    let machine = MachineId(Uuid::now_v7());
    let record = MachineRecord {
        machine,
        gym: A.home(),
        name: Text::cut("Old"),
        kind: MachineKind::Bike,
        location: Text::cut("Hall"),
        gateway: Some(A.gateway()),
        powered: false,
    };
    let hub = &world.house.node().hub;
    hub.store.put_machines(A.tenant(), &[record]).await.expect("stored");
    let stored = hub.store.machine(A.tenant(), machine).await.expect("the store answers").expect("it was put");
    hub.add_machine(A.home(), hub::seed::machine_record(stored));
    machine
}

/// A board of the first gym that may be taken down.
async fn another_board(world: &World) -> BoardId {
    let board = BoardId(Uuid::now_v7());
    let hub = &world.house.node().hub;
    hub.store.put_boards(A.tenant(), &[world::board_of(A, board)]).await.expect("stored");
    board
}

/// A member of the first tenant with a live session, whom nobody else is.
async fn a_victim(world: &World) -> (Uuid, loadtest::Peer) {
    let mut request = world::request(Role::Member, Stance::Own);
    request.subject = Uuid::now_v7();
    (request.subject, world::connect(&world.house, &request).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_against_each_route_of_its_own_and_another_tenant() {
    let mut world = World::open().await;
    stored_in_time(&world, A.tenant()).await;
    let mut tally = Tally::default();
    for wanted in [false, true] {
        let before = world.state().await;
        for (role, stance) in everybody() {
            let token = world.token(&world::request(role, stance));
            for row in ROUTES.iter().filter(|row| expected(row.2, role, stance) == wanted) {
                try_one(&world, &mut tally, row, (role, stance), &token, wanted).await;
            }
        }
        world.settle().await;
        let after = world.state().await;
        if !wanted && before != after {
            tally.fault(format!("what was refused had an effect:\n{before}\nbecame\n{after}"));
        }
    }
    tally.end("routes", ROUTES.len() * 40);
}

async fn try_one(world: &World, tally: &mut Tally, row: &Row, who: (Role, Stance), token: &str, wanted: bool) {
    let (route, what, _, seen) = row;
    let mut target = world.target();
    if wanted && route.starts_with("DELETE") {
        target.link = another_machine(world).await;
        target.member = another_member(world).await;
        target.board = another_board(world).await;
    }
    let victim = if *seen == Seen::Closed { Some(a_victim(world).await) } else { None };
    let victim_id = victim.as_ref().map_or_else(Uuid::nil, |(id, _)| *id);
    let told = ask(world, &asked(route, what, &target, victim_id), Some(token)).await;
    let done = was_done(&told, row, &target);
    let text = format!("{} {}", told.status, told.body.to_string().chars().take(300).collect::<String>());
    tally.note(&format!("{route} {what}"), who, wanted, done, &text);
    if !wanted && !done && !was_refused(&told, *seen) {
        tally.fault(format!("{route} {what} by {}, {:?} is refused with {text}", who.0.name(), who.1));
    }
    // Whoever chooses the id of a new record learns where it is taken: that much a key must tell.
    if who.1.foreign() && !matches!(seen, Seen::Stored | Seen::Closed) && !is_open(route) {
        let nowhere = Target::nowhere(1);
        let of_nothing = ask(world, &asked(route, what, &nowhere, Uuid::now_v7()), Some(token)).await;
        let (this, nothing) = (nameless(&told, &target), nameless(&of_nothing, &nowhere));
        if this != nothing {
            tally.fault(format!(
                "{route} {what} tells {}, {:?}, that the thing exists: {this}, and {nothing} of nothing",
                who.0.name(),
                who.1
            ));
        }
    }
}

/// Waits until the workout and an event of the world are stored.
async fn stored_in_time(world: &World, tenant: TenantId) {
    let store = &world.house.node().hub.store;
    let workout = world.target().workout;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let known = store.workout_member(tenant, workout).await.expect("the store answers").is_some();
        let told = !store.events(tenant, None, 0, 10).await.expect("the store answers").is_empty();
        if known && told {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "the workout is not stored");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_good_token_every_route_with_a_right_answers_401() {
    let world = World::open().await;
    let target = world.target();
    for (route, what, _, _) in ROUTES {
        for token in [None, Some("not.a.token")] {
            let told = ask(&world, &asked(route, what, &target, Uuid::now_v7()), token).await;
            let wanted = if is_enrolment(route) { 404 } else { 401 };
            assert_eq!(
                told.status,
                if is_open(route) && !is_enrolment(route) { 200 } else { wanted },
                "{route} with {token:?}: {}",
                told.body
            );
        }
    }
}
