//! Each role against each route, on things of its own gym and team, of others, and of another tenant: what happens is what the table says.

use std::collections::BTreeSet;

use room::Viewer;
use room::rights::{self, Action, Object};

use super::*;

/// What a route acts on.
#[derive(Debug, Clone, Copy, PartialEq)]
enum On {
    /// The caller's own tenant, and nothing narrower.
    Tenant,
    /// A list of what the caller may see.
    Seen,
    Gym,
    Machine,
    Member,
}

struct Row {
    method: &'static str,
    pattern: &'static str,
    path: String,
    on: On,
    body: Value,
}

fn row(method: &'static str, pattern: &'static str, query: &str, on: On, body: Value) -> Row {
    let path = pattern
        .replace("{gym}", &GYM.to_string())
        .replace("{machine}", &if method == "DELETE" { SPARE } else { MACHINE }.to_string())
        .replace("{member}", &MEMBER.to_string())
        .replace("{workout}", &WORKOUT.to_string())
        .replace("{board}", &BOARD.to_string())
        .replace("{ticket}", &TICKET.to_string())
        .replace("{device}", &DEVICE.to_string());
    Row { method, pattern, path: format!("{path}{query}"), on, body }
}

fn rows() -> Vec<Row> {
    let none = || Value::Null;
    let items = |item: Value| json!({ "items": [item] });
    let of_gym = &format!("?gym={GYM}");
    let of_member = &format!("?member={MEMBER}");
    vec![
        row("GET", "/v1/gyms", "", On::Seen, none()),
        row("PUT", "/v1/gyms", "", On::Tenant, items(json!({ "gym": GYM, "name": "Gym", "time_zone": "Europe/Rome" }))),
        row("GET", "/v1/gyms/{gym}", "", On::Gym, none()),
        row("PUT", "/v1/gateways", "", On::Tenant, items(json!({ "gateway": GATEWAY, "gym": GYM, "name": "Gateway" }))),
        row("GET", "/v1/machines", of_gym, On::Gym, none()),
        row(
            "PUT",
            "/v1/machines",
            "",
            On::Tenant,
            items(json!({ "machine": MACHINE, "gym": GYM, "name": "Bike", "kind": "bike", "gateway": GATEWAY })),
        ),
        row("GET", "/v1/machines/{machine}", "", On::Machine, none()),
        row("GET", "/v1/machines/{machine}/sticker.svg", "", On::Machine, none()),
        row("GET", "/v1/machines/{machine}/code.svg", "?code=123456", On::Machine, none()),
        row("GET", "/v1/machines/{machine}/maintenance", "", On::Machine, none()),
        row("POST", "/v1/machines/{machine}/maintenance", "", On::Machine, json!({ "open": false, "text": "looked at" })),
        row("GET", "/v1/tickets", of_gym, On::Gym, none()),
        row("POST", "/v1/tickets/{ticket}/close", "", On::Gym, none()),
        row("GET", "/v1/members", "", On::Tenant, none()),
        row("PUT", "/v1/members", "", On::Tenant, items(json!({ "member": MEMBER, "handle": "Alex" }))),
        row("GET", "/v1/members/{member}", "", On::Member, none()),
        row("PUT", "/v1/members/{member}/consents", "", On::Member, json!({ "wall": true })),
        row("PUT", "/v1/members/{member}/ceiling", "", On::Member, json!({ "ceiling_bpm": 170 })),
        row("PUT", "/v1/staff", "", On::Tenant, items(json!({ "staff": id(0xc1), "role": "coach", "name": "Kim" }))),
        row("GET", "/v1/teams", "", On::Seen, none()),
        row("PUT", "/v1/teams", "", On::Tenant, items(json!({ "team": TEAM, "name": "Team", "members": [MEMBER] }))),
        row("GET", "/v1/visits", of_member, On::Member, none()),
        row("GET", "/v1/workouts", of_member, On::Member, none()),
        row("GET", "/v1/workouts/{workout}", "", On::Member, none()),
        row("GET", "/v1/workouts/{workout}/samples", "", On::Member, none()),
        row("GET", "/v1/members/{member}/days", "", On::Member, none()),
        row("GET", "/v1/members/{member}/export", "", On::Member, none()),
        row("GET", "/v1/workouts/{workout}/export.fit", "", On::Member, none()),
        row("GET", "/v1/workouts/{workout}/export.tcx", "", On::Member, none()),
        row("POST", "/v1/members/{member}/uploads", of_gym, On::Member, json!(files::TCX)),
        row("GET", "/v1/events", "", On::Tenant, none()),
        row("POST", "/v1/revocations", "", On::Tenant, json!({ "token": "nobody's" })),
        row("GET", "/v1/boards", of_gym, On::Gym, none()),
        row("PUT", "/v1/boards", "", On::Gym, board()),
        row("GET", "/v1/boards/{board}", "", On::Gym, none()),
        row("DELETE", "/v1/boards/{board}", "", On::Gym, none()),
        row("POST", "/v1/enrolments", "", On::Gym, json!({ "gym": GYM, "gateway": GATEWAY })),
        row("GET", "/v1/devices", of_gym, On::Gym, none()),
        row("GET", "/v1/devices/{device}", "", On::Gym, none()),
        row("POST", "/v1/devices/{device}/clear", "", On::Gym, none()),
        row("POST", "/v1/devices/{device}/revoke", "", On::Gym, none()),
        row("DELETE", "/v1/machines/{machine}", "", On::Tenant, none()),
        row("DELETE", "/v1/members/{member}", "", On::Tenant, none()),
    ]
}

/// The right of each route, as the document names it.
fn right_of(row: &Row) -> Action {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let name = document["paths"][row.pattern][row.method.to_lowercase()]["x-right"]
        .as_str()
        .unwrap_or_else(|| panic!("{} {}", row.method, row.pattern))
        .to_owned();
    *Action::ALL.iter().find(|action| action.name() == name).unwrap_or_else(|| panic!("{name} is no row of the table"))
}

/// Everybody: each role at home, in another gym and team, and with the same ids in another tenant.
fn everybody() -> Vec<(&'static str, TokenRequest)> {
    let mut all = Vec::new();
    for role in Role::ALL {
        let own = match role {
            Role::Member => MEMBER.0,
            Role::Machine => MACHINE.0,
            Role::Gateway => GATEWAY,
            _ => id(0xd0 + role as u128),
        };
        all.push(("own", who(TENANT, role, own, &[GYM], &[TEAM])));
        all.push(("another gym, team and subject", who(TENANT, role, id(0xe0 + role as u128), &[GYM_2], &[TEAM_2])));
        all.push(("another tenant", who(OTHER_TENANT, role, own, &[GYM], &[TEAM])));
    }
    all
}

fn object(row: &Row, viewer: &Viewer) -> Object<'static> {
    let of_tenant = Object { tenant: Some(TENANT), ..Object::default() };
    match row.on {
        On::Tenant => Object { tenant: Some(viewer.tenant), ..Object::default() },
        On::Seen => unreachable!("lists are looked at one by one"),
        On::Gym => Object { gym: Some(GYM), ..of_tenant },
        On::Machine => Object { gym: Some(GYM), machine: Some(MACHINE), gateway: Some(protocol::GatewayId(GATEWAY)), ..of_tenant },
        On::Member => Object { member: Some(MEMBER), teams: &[TEAM], ..of_tenant },
    }
}

#[tokio::test]
async fn what_each_role_may_do_on_each_route_is_what_the_table_says() {
    let house = House::with(&[("limits.requests_per_subject_per_minute", "100000")]).await;
    house.furnish().await;
    let (mut asked, mut wrong) = (0, Vec::new());
    for row in rows().iter().filter(|row| row.on != On::Seen) {
        let action = right_of(row);
        for (stance, request) in everybody() {
            let TokenRequest { tenant, role, subject, gyms, teams, .. } = request.clone();
            let viewer = Viewer { tenant, role, subject, gyms, teams };
            let allowed = rights::allows(&viewer, action, &object(row, &viewer)).is_ok();
            // Taking a thing of another tenant out is allowed by nobody's table: it is not there.
            let allowed = allowed && !(row.method == "DELETE" && tenant != TENANT);
            if row.pattern == "/v1/boards/{board}" {
                // Whoever was allowed before took it down.
                house.ask("PUT", "/v1/boards", &service(), board()).await;
            }
            let told = house.ask(row.method, &row.path, &request, row.body.clone()).await;
            asked += 1;
            let done = told.status.is_success();
            let denied = matches!(told.status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND);
            if done != allowed || denied == allowed {
                wrong.push(format!(
                    "{role:?}, {stance}: {} {} {} but the table says {allowed}: {}",
                    row.method, row.path, told.status, told.body
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked} are not as the table says:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(asked, 24 * 41);
}

#[test]
fn every_route_with_a_right_is_tried() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let mut documented = BTreeSet::new();
    let mut open = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let name = format!("{} {path}", method.to_uppercase());
            if operation.get("x-right").is_some() {
                documented.insert(name)
            } else {
                open.insert(name)
            };
        }
    }
    let tried: BTreeSet<String> = rows().iter().map(|row| format!("{} {}", row.method, row.pattern)).collect();
    assert_eq!(tried, documented);
    let known = [
        "GET /health",
        "GET /metrics",
        "GET /ready",
        "GET /v1/dev/personas",
        "GET /v1/openapi.json",
        "POST /v1/dev/login",
        "POST /v1/enrol",
    ];
    assert_eq!(open, known.into_iter().map(str::to_owned).collect(), "a route without a right must be meant");
}

#[tokio::test]
async fn lists_show_what_the_table_lets_each_role_see_and_nothing_else() {
    let house = House::open().await;
    house.furnish().await;
    for (stance, request) in everybody() {
        let role = request.role;
        for (path, action) in [("/v1/gyms", Action::HttpGymRead), ("/v1/teams", Action::HttpTeamRead)] {
            let told = house.ask("GET", path, &request, Value::Null).await;
            if action.rule(role) == rights::Rule::No {
                assert_eq!(told.status, StatusCode::FORBIDDEN, "{role:?} {stance} {path}");
                continue;
            }
            let key = if path == "/v1/gyms" { "gym" } else { "team" };
            let seen: BTreeSet<&str> = told.body.as_array().unwrap().iter().map(|one| one[key].as_str().unwrap()).collect();
            let (own, all) = if key == "gym" {
                (GYM.to_string(), vec![GYM.to_string(), GYM_2.to_string()])
            } else {
                (TEAM.to_string(), vec![TEAM.to_string(), TEAM_2.to_string()])
            };
            let expected: Vec<String> = match (stance, action.rule(role)) {
                ("another tenant", rights::Rule::Tenant) if key == "gym" => vec![id(0xb1).to_string()],
                ("another tenant", _) => vec![],
                (_, rights::Rule::Tenant) => all,
                ("own", _) => vec![own],
                _ => vec![all[1].clone()],
            };
            assert_eq!(seen, expected.iter().map(String::as_str).collect(), "{role:?} {stance} {path}");
        }
    }
}

#[tokio::test]
async fn a_service_of_another_tenant_takes_nothing_over() {
    let house = House::open().await;
    house.furnish().await;
    let other = TokenRequest { tenant: OTHER_TENANT, ..service() };
    for row in rows().iter().filter(|row| row.method == "PUT" && row.on == On::Tenant && row.pattern != "/v1/staff") {
        let told = house.ask("PUT", &row.path, &other, row.body.clone()).await;
        assert_eq!(told.body["results"][0]["stored"], false, "{}: {}", row.pattern, told.body);
    }
    for path in ["/v1/members", "/v1/events"] {
        assert_eq!(house.ask("GET", path, &other, Value::Null).await.body, json!([]), "{path}");
    }
}

#[tokio::test]
async fn members_see_their_own_where_they_name_nobody_and_cannot_name_others() {
    let house = House::open().await;
    house.furnish().await;
    let alex = who(TENANT, Role::Member, MEMBER.0, &[GYM], &[]);
    let robin = who(TENANT, Role::Member, MEMBER_2.0, &[GYM], &[]);
    for path in ["/v1/visits", "/v1/workouts"] {
        assert_eq!(house.ask("GET", path, &alex, Value::Null).await.body["items"].as_array().map(Vec::len), Some(1), "{path}");
        assert_eq!(house.ask("GET", path, &robin, Value::Null).await.body["items"].as_array().map(Vec::len), Some(0), "{path}");
        let named = format!("{path}?member={MEMBER}");
        assert_eq!(house.ask("GET", &named, &robin, Value::Null).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}
