//! Bulk records, what rooms hear of them, and reading them back.

use super::*;

#[tokio::test]
async fn one_bad_record_does_not_hold_back_the_others() {
    let house = House::open().await;
    house.furnish().await;
    let good = |n: u128| json!({ "machine": id(0x1000 + n), "gym": GYM, "name": format!("Bike {n}"), "kind": "bike" });
    let mut items: Vec<Value> = (0..40).map(good).collect();
    items[7]["gym"] = json!(id(0xb1)); // a gym of another tenant
    items[23]["name"] = json!("");
    items[31]["gateway"] = json!(id(0xfff)); // nobody's gateway
    let told = house.ask("PUT", "/v1/machines", &service(), json!({ "items": items })).await;
    assert_eq!(told.status, StatusCode::OK);
    let results = told.body["results"].as_array().unwrap();
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result["stored"], !matches!(n, 7 | 23 | 31), "{n}: {result}");
        assert_eq!(result["id"], json!(id(0x1000 + n as u128)));
    }
    let names = [7, 23, 31].map(|n: usize| results[n]["error"]["name"].as_str().unwrap().to_owned());
    assert_eq!(names, ["not_found", "unprocessable", "not_found"]);
    let told = house.ask("GET", &format!("/v1/machines?gym={GYM}"), &service(), Value::Null).await;
    assert_eq!(told.body.as_array().unwrap().len(), 37 + 2);
}

#[tokio::test]
async fn a_time_zone_that_nobody_knows_is_refused() {
    let house = House::open().await;
    let gym = |n: u128, zone: &str| json!({ "gym": id(0x900 + n), "name": "Gym", "time_zone": zone });
    let zones = ["Europe/Rome", "Europe/Atlantis", "", "UTC", "Etc/Unknown", "../../etc/passwd"];
    let items: Vec<Value> = (0..).zip(zones).map(|(n, zone)| gym(n, zone)).collect();
    let told = house.ask("PUT", "/v1/gyms", &service(), json!({ "items": items })).await;
    let stored: Vec<bool> = told.body["results"].as_array().unwrap().iter().map(|result| result["stored"] == true).collect();
    assert_eq!(stored, [true, false, false, true, false, false], "{}", told.body);
}

#[tokio::test]
async fn a_thousand_at_once_and_not_one_more() {
    let house = House::open().await;
    let members = |count: u128| (0..count).map(|n| json!({ "member": id(0x10_0000 + n) })).collect::<Vec<_>>();
    let told = house.ask("PUT", "/v1/members", &service(), json!({ "items": members(1000) })).await;
    assert!(told.body["results"].as_array().unwrap().iter().all(|result| result["stored"] == true));
    assert_eq!(
        house.ask("PUT", "/v1/members", &service(), json!({ "items": members(1001) })).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let (mut seen, mut after) = (0, String::new());
    loop {
        let page = house.ask("GET", &format!("/v1/members?limit=300{after}"), &service(), Value::Null).await.body;
        let page = page.as_array().unwrap();
        seen += page.len();
        match page.last() {
            Some(last) if page.len() == 300 => after = format!("&after={}", last["member"].as_str().unwrap()),
            _ => break,
        }
    }
    assert_eq!(seen, 1000);
}

#[tokio::test]
async fn provisioning_again_changes_and_does_not_double() {
    let house = House::open().await;
    house.furnish().await;
    house.furnish().await;
    let told = house.ask("GET", &format!("/v1/machines?gym={GYM}"), &service(), Value::Null).await;
    assert_eq!(told.body.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_machine_is_on_the_floor_as_soon_as_it_is_provisioned() {
    let house = House::open().await;
    house.furnish().await;
    let path = format!("/v1/machines/{MACHINE}");
    let told = house.ask("GET", &path, &service(), Value::Null).await;
    assert_eq!((told.status, &told.body["live"]["availability"]), (StatusCode::OK, &json!("unknown")), "{}", told.body);
    let staff = who(TENANT, Role::Operator, id(0x55), &[GYM], &[]);
    let told = house.ask("POST", &format!("{path}/maintenance"), &staff, json!({ "open": true, "text": "belt" })).await;
    assert_eq!(told.status, StatusCode::OK);
    let told = house.ask("GET", &path, &staff, Value::Null).await;
    assert_eq!((&told.body["maintenance"], &told.body["live"]["availability"]), (&json!(true), &json!("maintenance")), "{}", told.body);
    assert_eq!(told.body["tickets"].as_array().map(Vec::len), Some(1));
    let told = house.ask("POST", &format!("/v1/tickets/{TICKET}/close"), &staff, Value::Null).await;
    assert!(told.body["closed_at_ms"].is_i64(), "{}", told.body);
    let told = house.ask("GET", &path, &staff, Value::Null).await;
    assert_eq!(told.body["tickets"].as_array().map(Vec::len), Some(0));
    let member = who(TENANT, Role::Member, MEMBER.0, &[GYM], &[]);
    assert_eq!(house.ask("GET", &path, &member, Value::Null).await.body.get("tickets"), None, "faults are for staff");
    assert_eq!(house.ask("DELETE", &path, &service(), Value::Null).await.status, StatusCode::OK);
    assert_eq!(house.ask("GET", &path, &service(), Value::Null).await.body["name"], "no_such_machine");
}

#[tokio::test]
async fn stickers_and_codes_are_pictures_that_lead_to_the_phone_page() {
    let house = House::open().await;
    house.furnish().await;
    let told = house.ask("GET", &format!("/v1/machines/{MACHINE}/sticker.svg"), &service(), Value::Null).await;
    assert_eq!(told.headers["content-type"], "image/svg+xml");
    assert!(told.body.as_str().unwrap().starts_with("<?xml"), "{}", told.body);
    let gateway = who(TENANT, Role::Gateway, GATEWAY, &[GYM], &[]);
    let code = |code: &str| house.request("GET", &format!("/v1/machines/{MACHINE}/code.svg?code={code}"), &gateway, Value::Null).body();
    assert_eq!(house.call(code("123456")).await.status, StatusCode::OK);
    assert_eq!(house.call(code("12345x")).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn consent_ceiling_and_teams_are_read_back_as_they_were_set() {
    let house = House::open().await;
    house.furnish().await;
    let alex = who(TENANT, Role::Member, MEMBER.0, &[GYM], &[]);
    let path = format!("/v1/members/{MEMBER}");
    let told = house.ask("GET", &path, &alex, Value::Null).await;
    assert_eq!((&told.body["consents"]["wall"], &told.body["teams"]), (&json!(false), &json!([TEAM])), "off by default");
    let told = house.ask("PUT", &format!("{path}/consents"), &alex, json!({ "wall": true })).await;
    assert_eq!(told.body["consents"], json!({ "processing": false, "health": false, "marketing": false, "wall": true }));
    let told = house.ask("PUT", &format!("{path}/ceiling"), &alex, json!({ "ceiling_bpm": 170 })).await;
    assert_eq!(told.body["ceiling_bpm"], 170);
    for bpm in [59, 231] {
        assert_eq!(
            house.ask("PUT", &format!("{path}/ceiling"), &alex, json!({ "ceiling_bpm": bpm })).await.status,
            StatusCode::UNPROCESSABLE_ENTITY
        );
    }
    let told = house.ask("PUT", &format!("{path}/ceiling"), &alex, json!({ "ceiling_bpm": null })).await;
    assert_eq!(told.body.get("ceiling_bpm"), None);
    house.ask("PUT", "/v1/teams", &service(), json!({ "items": [{ "team": TEAM, "name": "Team", "members": [] }] })).await;
    let coach = who(TENANT, Role::Coach, id(0x66), &[GYM], &[TEAM]);
    assert_eq!(
        house.ask("GET", &path, &coach, Value::Null).await.status,
        StatusCode::FORBIDDEN,
        "whoever left the team is its coach's no more"
    );
}

#[tokio::test]
async fn workouts_are_read_by_page_one_by_one_and_with_their_samples() {
    let house = House::open().await;
    house.furnish().await;
    let told = house.ask("GET", &format!("/v1/workouts/{WORKOUT}"), &service(), Value::Null).await;
    assert_eq!((&told.body["stage"], &told.body["ranges"]), (&json!("live"), &json!([])), "{}", told.body);
    let path = format!("/v1/workouts/{WORKOUT}/samples");
    assert_eq!(house.ask("GET", &path, &service(), Value::Null).await.body, json!({ "samples": [] }));
    assert_eq!(house.ask("GET", &format!("{path}?resolution_ms=60000"), &service(), Value::Null).await.body, json!({ "buckets": [] }));
    for query in ["?resolution_ms=1", "?after=x", "?limit=0", "?limit=5001"] {
        assert_eq!(house.ask("GET", &format!("{path}{query}"), &service(), Value::Null).await.status, StatusCode::BAD_REQUEST, "{query}");
    }
    for query in ["?before=x", "?before=1:x", "?limit=0", "?limit=501", "?from_ms=-1", "?to_ms=-1"] {
        assert_eq!(
            house.ask("GET", &format!("/v1/visits{query}"), &service(), Value::Null).await.status,
            StatusCode::BAD_REQUEST,
            "{query}"
        );
    }
}
