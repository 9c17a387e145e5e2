//! The same key answers the same, without doing it again.

use super::*;

fn log_entry(text: &str) -> Value {
    json!({ "open": true, "text": text })
}

async fn entries(house: &House) -> usize {
    house.ask("GET", &format!("/v1/machines/{MACHINE}/maintenance"), &service(), Value::Null).await.body.as_array().unwrap().len()
}

#[tokio::test]
async fn a_write_that_is_sent_again_is_answered_again_and_done_once() {
    let house = House::open().await;
    house.furnish().await;
    let path = format!("/v1/machines/{MACHINE}/maintenance");
    let send =
        |text: &str, key: &str| house.call(house.request("POST", &path, &service(), log_entry(text)).header("idempotency-key", key).body());
    let first = send("belt", "key-1").await;
    let again = send("belt", "key-1").await;
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    assert_eq!((first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"].to_str().unwrap()), (None, "true"));
    assert_eq!(entries(&house).await, 1);
    let mismatch = send("other", "key-1").await;
    assert_eq!((mismatch.status, mismatch.body["name"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("idempotency_mismatch")));
    send("belt", "key-2").await;
    assert_eq!(entries(&house).await, 2);
}

#[tokio::test]
async fn many_at_once_with_one_key_do_it_once() {
    let house = House::open().await;
    house.furnish().await;
    let path = format!("/v1/machines/{MACHINE}/maintenance");
    let send = || house.call(house.request("POST", &path, &service(), log_entry("belt")).header("idempotency-key", "key").body());
    let told = futures_util::future::join_all((0..8).map(|_| send())).await;
    for one in &told {
        assert!(matches!(one.status, StatusCode::OK | StatusCode::CONFLICT), "{} {}", one.status, one.body);
    }
    assert!(told.iter().any(|one| one.status == StatusCode::OK));
    assert_eq!(entries(&house).await, 1);
}

#[tokio::test]
async fn keys_are_of_one_subject_and_the_right_is_checked_each_time() {
    let house = House::open().await;
    house.furnish().await;
    let path = format!("/v1/machines/{MACHINE}/maintenance");
    let send =
        |who: TokenRequest| house.call(house.request("POST", &path, &who, log_entry("belt")).header("idempotency-key", "key").body());
    assert_eq!(send(service()).await.status, StatusCode::OK);
    let member = who(TENANT, Role::Member, MEMBER.0, &[GYM], &[]);
    assert_eq!(send(member).await.status, StatusCode::FORBIDDEN);
    let other_tenant = TokenRequest { tenant: OTHER_TENANT, ..service() };
    assert_eq!(send(other_tenant).await.status, StatusCode::NOT_FOUND);
    assert_eq!(entries(&house).await, 1);
}

#[tokio::test]
async fn a_key_that_is_no_key_is_refused() {
    let house = House::open().await;
    for key in ["", "two words", &"x".repeat(129)] {
        let request = house.request("PUT", "/v1/gyms", &service(), json!({ "items": [] })).header("idempotency-key", key).body();
        assert_eq!(house.call(request).await.status, StatusCode::BAD_REQUEST, "{} characters", key.len());
    }
}
