//! Errors, limits, log-in, health: what a client is told, with which status.

use std::net::IpAddr;

use super::*;

fn from(address: &str, method: &str, path: &str) -> Request<Body> {
    let address: IpAddr = address.parse().unwrap();
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let body = if method == "POST" { Body::from(r#"{"role":"member"}"#) } else { Body::empty() };
    request.extension(ClientAddress(address)).body(body).unwrap()
}

#[tokio::test]
async fn no_token_a_bad_one_an_expired_one_and_a_revoked_one_are_told_apart() {
    let house = House::open().await;
    house.furnish().await;
    let told = house.call(from("192.0.2.1", "GET", "/v1/gyms")).await;
    assert_eq!((told.status, told.body["name"].as_str()), (StatusCode::UNAUTHORIZED, Some("unauthenticated")));
    assert_eq!(told.headers["www-authenticate"], "Bearer");
    let expired = TokenRequest { at_ms: crate::clock::at_ms() - 3_600_000, ttl_ms: 1000, ..service() };
    let told = house.ask("GET", "/v1/gyms", &expired, Value::Null).await;
    assert_eq!((told.status, told.body["name"].as_str()), (StatusCode::UNAUTHORIZED, Some("token_expired")));
    let coach = who(TENANT, Role::Coach, id(0x77), &[GYM], &[TEAM]);
    let coach = TokenRequest { at_ms: coach.at_ms - 5000, ..coach };
    assert_eq!(house.ask("GET", "/v1/gyms", &coach, Value::Null).await.status, StatusCode::OK);
    let told = house.ask("POST", "/v1/revocations", &service(), json!({ "subject": id(0x77) })).await;
    assert_eq!((told.status, told.body), (StatusCode::OK, json!({ "closed": 0 })));
    let told = house.ask("GET", "/v1/gyms", &coach, Value::Null).await;
    assert_eq!((told.status, told.body["name"].as_str()), (StatusCode::UNAUTHORIZED, Some("token_revoked")));
    let kept = house.node.hub.store.revocations(crate::clock::at_ms()).await.unwrap();
    assert_eq!(kept.len(), 1, "a revocation outlives the process");
}

#[tokio::test]
async fn a_revocation_that_no_longer_fits_is_not_stored_and_those_that_it_names_instead_are_taken() {
    let house = House::open().await;
    let revocations = house.node.hub.verifier.revocations();
    let mut n = 0_u32;
    while revocations.add(TENANT, &crate::auth::Revoked::Token(n.to_string()), i64::MAX).is_ok() {
        n += 1;
    }
    let stored = async || house.node.hub.store.revocations(crate::clock::at_ms()).await.unwrap().len();
    let told = house.ask("POST", "/v1/revocations", &service(), json!({ "token": "one more" })).await;
    assert_eq!((told.status, told.body["name"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("overloaded")));
    assert!(told.body["detail"].as_str().is_some_and(|detail| detail.contains("by subject or by time")), "{}", told.body);
    assert_eq!(stored().await, 0);
    for (count, body) in [json!({ "token": "7" }), json!({ "subject": id(0x77) }), json!({ "all": true })].into_iter().enumerate() {
        let told = house.ask("POST", "/v1/revocations", &TokenRequest { at_ms: crate::clock::at_ms() + 1000, ..service() }, body).await;
        assert_eq!((told.status, stored().await), (StatusCode::OK, count + 1), "{}", told.body);
    }
}

#[tokio::test]
async fn bodies_that_cannot_be_read_and_bodies_that_mean_nothing_are_told_apart() {
    let house = House::with(&[("limits.body_bytes", "4KiB")]).await;
    let send = |kind: &'static str, body: String| {
        let token = house.token(&service());
        let request = Request::builder()
            .method("PUT")
            .uri("/v1/gyms")
            .header("authorization", format!("bearer {token}"))
            .header("content-type", kind);
        house.call(request.body(Body::from(body)).unwrap())
    };
    let cases = [
        ("text/plain", "{}".to_owned(), 400, "malformed"),
        ("application/json", "{".to_owned(), 400, "malformed"),
        ("application/json", "{}".to_owned(), 422, "unprocessable"),
        ("application/json; charset=utf-8", r#"{"items":[]}"#.to_owned(), 422, "unprocessable"),
        ("application/json", r#"{"items":[{"gym":"x"}]}"#.to_owned(), 422, "unprocessable"),
        ("application/json", format!(r#"{{"items":["{}"]}}"#, "x".repeat(5000)), 413, "too_large"),
    ];
    for (kind, body, status, name) in cases {
        let told = send(kind, body).await;
        assert_eq!((told.status.as_u16(), told.body["name"].as_str()), (status, Some(name)), "{}", told.body);
    }
    let told = house.ask("GET", "/v1/gyms/not-a-uuid", &service(), Value::Null).await;
    assert_eq!((told.status.as_u16(), told.body["name"].as_str()), (400, Some("malformed")));
    for query in ["", "?gym=x", "?gym="] {
        let told = house.ask("GET", &format!("/v1/machines{query}"), &service(), Value::Null).await;
        assert_eq!(told.status, StatusCode::BAD_REQUEST, "{query}");
    }
    let told = house.ask("PATCH", "/v1/gyms", &service(), Value::Null).await;
    assert_eq!((told.status.as_u16(), told.body["name"].as_str()), (405, Some("method_not_allowed")));
}

#[tokio::test]
async fn strangers_are_counted_by_address_and_known_callers_are_not() {
    let house = House::with(&[("limits.requests_per_address_per_hour", "3"), ("limits.gym_addresses", "['198.51.100.0/24']")]).await;
    for n in 0..3 {
        assert_eq!(house.call(from("192.0.2.1", "GET", "/v1/gyms")).await.status, StatusCode::UNAUTHORIZED, "{n}");
    }
    let told = house.call(from("192.0.2.1", "GET", "/v1/gyms")).await;
    assert_eq!((told.status, told.body["name"].as_str()), (StatusCode::TOO_MANY_REQUESTS, Some("too_fast")));
    assert!(told.headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap() > 0);
    assert_eq!(house.call(from("192.0.2.2", "GET", "/v1/gyms")).await.status, StatusCode::UNAUTHORIZED);
    for _ in 0..20 {
        assert_eq!(
            house.call(from("198.51.100.7", "GET", "/v1/gyms")).await.status,
            StatusCode::UNAUTHORIZED,
            "a gym's own address has more"
        );
        assert_eq!(house.ask("GET", "/v1/gyms", &service(), Value::Null).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_subject_has_its_own_rate() {
    let house = House::with(&[("limits.requests_per_subject_per_minute", "4")]).await;
    for _ in 0..4 {
        assert_eq!(house.ask("GET", "/v1/gyms", &service(), Value::Null).await.status, StatusCode::OK);
    }
    assert_eq!(house.ask("GET", "/v1/gyms", &service(), Value::Null).await.status, StatusCode::TOO_MANY_REQUESTS);
    let other = TokenRequest { subject: id(0x99), ..service() };
    assert_eq!(house.ask("GET", "/v1/gyms", &other, Value::Null).await.status, StatusCode::OK);
}

#[tokio::test]
async fn anybody_logs_in_in_the_dev_profile_five_times_in_ten_minutes() {
    let house = House::with(&[("limits.logins_per_address_per_10m", "5")]).await;
    for _ in 0..5 {
        let told = house.call(from("192.0.2.1", "POST", "/v1/dev/login")).await;
        assert_eq!(told.status, StatusCode::OK, "{}", told.body);
        let identity = house.api.verifier.verify(told.body["token"].as_str().unwrap(), crate::clock::at_ms()).unwrap();
        assert_eq!(
            (identity.viewer.role, identity.viewer.subject.to_string().as_str()),
            (Role::Member, told.body["subject"].as_str().unwrap())
        );
    }
    assert_eq!(house.call(from("192.0.2.1", "POST", "/v1/dev/login")).await.status, StatusCode::TOO_MANY_REQUESTS);
    let personas = house.call(from("192.0.2.1", "GET", "/v1/dev/personas")).await;
    assert!(personas.body.as_array().unwrap().len() >= 5);
}

#[tokio::test]
async fn without_the_built_in_issuer_there_is_no_login() {
    let house = House::with(&[("dev.built_in_issuer", "false")]).await;
    assert_eq!(house.call(from("192.0.2.1", "POST", "/v1/dev/login")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(house.call(from("192.0.2.1", "GET", "/v1/dev/personas")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn health_ready_and_metrics_answer_whom_they_should() {
    let house = House::open().await;
    let told = house.call(from("192.0.2.1", "GET", "/health")).await;
    assert_eq!(
        (told.status, &told.body["database"]["status"], &told.body["database"]["kind"]),
        (StatusCode::OK, &json!("ok"), &json!("sqlite"))
    );
    assert!(told.body["disk"]["used"].as_f64().is_some(), "{}", told.body);
    assert_eq!(house.call(from("192.0.2.1", "GET", "/ready")).await.status, StatusCode::OK);
    house.node.hub.draining.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(house.call(from("192.0.2.1", "GET", "/ready")).await.body["name"], "draining");
    assert_eq!(house.call(from("192.0.2.1", "GET", "/metrics")).await.status, StatusCode::FORBIDDEN);
    let told = house.call(from("127.0.0.1", "GET", "/metrics")).await;
    let text = told.body.as_str().unwrap();
    assert!(text.contains("http_request_duration_seconds_count{method=\"GET\",route=\"/health\",status=\"200\"} 1"), "{text}");
    assert!(text.contains("spotter_errors_total{code=\"draining\"} 1"), "{text}");
    for gauge in ["spotter_disk_used_ratio 0.", "spotter_revocations 0"] {
        assert!(text.lines().any(|line| line.starts_with(gauge)), "{gauge} is missing in\n{text}");
    }
}

#[tokio::test]
async fn a_request_has_a_number_and_says_nothing_of_a_token() {
    let house = House::open().await;
    let brought = house.call(house.request("GET", "/v1/gyms", &service(), Value::Null).header("x-request-id", "phone-7").body()).await;
    assert_eq!(brought.headers["x-request-id"], "phone-7");
    let odd = house.call(house.request("GET", "/v1/gyms", &service(), Value::Null).header("x-request-id", "a b<script>").body()).await;
    assert!(Uuid::parse_str(odd.headers["x-request-id"].to_str().unwrap()).is_ok());
    assert_eq!(
        (odd.headers["cache-control"].to_str().unwrap(), odd.headers["x-content-type-options"].to_str().unwrap()),
        ("no-store", "nosniff")
    );
}
