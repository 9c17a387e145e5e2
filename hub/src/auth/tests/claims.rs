//! Times, audiences and the mapping of claims.

use protocol::frame::Role;
use protocol::{GymId, TenantId};
use uuid::Uuid;

use super::super::Revoked;
use super::*;

#[test]
fn a_good_token_says_who_and_until_when() {
    let identity = outcome(&json!({})).unwrap();
    assert_eq!(identity.viewer.tenant.to_string(), TENANT);
    assert_eq!(identity.viewer.subject.to_string(), SUBJECT);
    assert_eq!((identity.viewer.role, identity.viewer.gyms.len(), identity.viewer.teams.len()), (Role::Member, 1, 0));
    assert_eq!((identity.expires_at_ms, identity.issued_at_ms), (AT_MS + 900_000, AT_MS - 10_000));
    assert_eq!((identity.token_id.as_deref(), identity.tier.as_deref()), (Some("token-1"), Some("premium")));
}

#[test]
fn times_hold_within_the_leeway_and_not_beyond() {
    let cases = [
        (json!({ "exp": AT_S - 29 }), Ok(())),
        (json!({ "exp": AT_S - 30 }), Err(AuthError::Expired)),
        (json!({ "exp": AT_S as f64 - 29.5 }), Ok(())),
        (json!({ "exp": null }), Err(AuthError::Claim("expiry"))),
        (json!({ "exp": "tomorrow" }), Err(AuthError::Claim("expiry"))),
        (json!({ "exp": i64::MAX }), Ok(())),
        (json!({ "exp": i64::MIN }), Err(AuthError::Expired)),
        (json!({ "nbf": AT_S + 30 }), Ok(())),
        (json!({ "nbf": AT_S + 31 }), Err(AuthError::NotYet)),
        (json!({ "nbf": "x" }), Err(AuthError::Claim("begin"))),
        (json!({ "iat": AT_S + 31 }), Err(AuthError::NotYet)),
        (json!({ "iat": null }), Ok(())),
    ];
    for (change, expected) in cases {
        assert_eq!(outcome(&change).map(drop), expected, "{change}");
    }
}

#[test]
fn the_audience_must_have_this_hub() {
    for (aud, good) in [
        (json!("spotter"), true),
        (json!(["other", "spotter"]), true),
        (json!("other"), false),
        (json!([]), false),
        (json!(null), false),
        (json!("spotterx"), false),
    ] {
        let expected = if good { Ok(()) } else { Err(AuthError::Audience) };
        assert_eq!(outcome(&json!({ "aud": aud })).map(drop), expected, "{aud}");
    }
}

#[test]
fn what_is_in_doubt_denies() {
    let cases = [
        (json!({ "sub": "auth0|7" }), AuthError::Claim("subject")),
        (json!({ "sub": null }), AuthError::Claim("subject")),
        (json!({ "tenant": null }), AuthError::Claim("tenant")),
        (json!({ "tenant": 7 }), AuthError::Claim("tenant")),
        (json!({ "gyms": ["x"] }), AuthError::Claim("gyms")),
        (json!({ "gyms": [GYM, 7] }), AuthError::Claim("gyms")),
        (json!({ "roles": null }), AuthError::Role),
        (json!({ "roles": "admin" }), AuthError::Role),
        (json!({ "roles": ["member", "operator"] }), AuthError::Role),
        (json!({ "jti": 7 }), AuthError::Claim("token id")),
        (json!({ "jti": "x".repeat(257) }), AuthError::Claim("token id")),
        (json!({ "roles": "gateway", "gyms": [] }), AuthError::Claim("gym")),
        (json!({ "roles": "display", "gyms": [GYM, SUBJECT] }), AuthError::Claim("gym")),
    ];
    for (change, expected) in cases {
        assert_eq!(outcome(&change), Err(expected), "{change}");
    }
}

#[test]
fn other_peoples_words_beside_a_role_do_not_matter() {
    assert_eq!(outcome(&json!({ "roles": ["offline_access", "coach", "coach"] })).unwrap().viewer.role, Role::Coach);
}

#[test]
fn claims_are_found_by_name_by_url_and_by_path() {
    let pair = Pair::new(Algorithm::EdDSA);
    let verifier = simple(&pair, |issuer| {
        issuer.claims.roles = "realm_access.roles".into();
        issuer.claims.tenant = "https://gym.example/tenant".into();
        issuer.claims.gyms = "app.where.gyms".into();
        issuer.roles = roles(&[("gym-admin", Role::Operator)]);
    });
    let token = |word: &str| {
        pair.sign(
            Some("k"),
            &claims(&json!({
                "tenant": null, "roles": "member", "gyms": null, "https://gym.example/tenant": TENANT,
                "realm_access": { "roles": [word] }, "app": { "where": { "gyms": GYM } },
            })),
        )
    };
    let identity = verifier.verify(&token("gym-admin"), AT_MS).unwrap();
    assert_eq!((identity.viewer.role, identity.viewer.gyms.as_slice()), (Role::Operator, [GYM.parse::<GymId>().unwrap()].as_slice()));
    // With a mapping our own words mean nothing: a provider's "operator" may be anybody.
    assert_eq!(verifier.verify(&token("operator"), AT_MS), Err(AuthError::Role));
}

#[test]
fn an_issuer_may_be_of_one_tenant_and_have_subjects_that_are_no_uuids() {
    let pair = Pair::new(Algorithm::EdDSA);
    let fixed = TenantId(Uuid::from_u128(77));
    let verifier = simple(&pair, |issuer| {
        issuer.tenant = Some(fixed);
        issuer.subject = SubjectForm::Derive;
    });
    let who = |sub: &str| verifier.verify(&pair.sign(Some("k"), &claims(&json!({ "sub": sub }))), AT_MS).unwrap().viewer;
    // The claim names another tenant: what is configured counts.
    assert_eq!(who("auth0|7").tenant, fixed);
    assert_eq!(who("auth0|7").subject, Uuid::new_v5(&Uuid::NAMESPACE_URL, b"https://id/\nauth0|7"));
    assert_ne!(who("auth0|7").subject, who("auth0|8").subject);
}

#[test]
fn what_was_revoked_is_refused_by_token_subject_and_time() {
    let pair = Pair::new(Algorithm::EdDSA);
    let (tenant, other): (TenantId, TenantId) = (TENANT.parse().unwrap(), TenantId(Uuid::from_u128(9)));
    let subject: Uuid = SUBJECT.parse().unwrap();
    let cases = [
        (tenant, Revoked::Token("token-1".into()), true),
        (tenant, Revoked::Token("token-2".into()), false),
        (other, Revoked::Token("token-1".into()), false),
        (tenant, Revoked::Subject(subject, AT_MS), true),
        (tenant, Revoked::Subject(subject, AT_MS - 10_000), false),
        (tenant, Revoked::Subject(Uuid::from_u128(1), AT_MS), false),
        (other, Revoked::Subject(subject, AT_MS), false),
        (tenant, Revoked::IssuedBefore(AT_MS), true),
        (tenant, Revoked::IssuedBefore(AT_MS - 10_000), false),
        (other, Revoked::IssuedBefore(AT_MS), false),
    ];
    for (of, revoked, hit) in cases {
        let verifier = simple(&pair, |_| ());
        let token = pair.sign(Some("k"), &claims(&json!({})));
        assert!(verifier.verify(&token, AT_MS).is_ok());
        verifier.revocations().add(of, &revoked, AT_MS + 1).unwrap();
        let expected = if hit { Err(AuthError::Revoked) } else { Ok(()) };
        assert_eq!(verifier.verify(&token, AT_MS).map(drop), expected, "{revoked:?} of {of}");
        verifier.revocations().forget(AT_MS + 1);
        assert!(verifier.verify(&token, AT_MS).is_ok(), "forgotten when nothing can be hit any more");
    }
}

#[test]
fn a_token_that_does_not_say_when_it_was_issued_is_older_than_every_revocation() {
    let pair = Pair::new(Algorithm::EdDSA);
    let verifier = simple(&pair, |_| ());
    verifier.revocations().add(TENANT.parse().unwrap(), &Revoked::IssuedBefore(1), AT_MS + 1).unwrap();
    assert_eq!(verifier.verify(&pair.sign(Some("k"), &claims(&json!({ "iat": null }))), AT_MS), Err(AuthError::Revoked));
}
