//! Signatures, algorithms and keys that should not be believed.

use protocol::{CloseReason, ErrorCode};

use super::*;

const PUBLIC: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

#[test]
fn every_algorithm_is_believed_with_its_key_and_with_no_other() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::HS256] {
        let (pair, other) = (Pair::new(algorithm), Pair::new(algorithm));
        let verifier = simple(&pair, |_| ());
        assert!(verifier.verify(&pair.sign(Some("k"), &claims(&json!({}))), AT_MS).is_ok(), "{algorithm:?}");
        if algorithm != Algorithm::HS256 {
            assert_eq!(verifier.verify(&other.sign(Some("k"), &claims(&json!({}))), AT_MS), Err(AuthError::Signature), "{algorithm:?}");
        }
    }
}

#[test]
fn a_changed_claim_or_signature_is_found() {
    let pair = Pair::new(Algorithm::ES256);
    let verifier = simple(&pair, |_| ());
    let token = pair.sign(Some("k"), &claims(&json!({})));
    let parts: Vec<&str> = token.split('.').collect();
    let raised = b64(serde_json::to_string(&claims(&json!({ "roles": ["operator"] }))).unwrap().as_bytes());
    assert_eq!(verifier.verify(&format!("{}.{raised}.{}", parts[0], parts[2]), AT_MS), Err(AuthError::Signature));
    let flipped = if parts[2].starts_with('A') { "B" } else { "A" };
    assert_eq!(verifier.verify(&format!("{}.{}.{flipped}{}", parts[0], parts[1], &parts[2][1..]), AT_MS), Err(AuthError::Signature));
}

#[test]
fn none_is_no_algorithm_however_it_is_spelled() {
    let pair = Pair::new(Algorithm::RS256);
    let verifier = simple(&pair, |_| ());
    let payload = b64(serde_json::to_string(&claims(&json!({}))).unwrap().as_bytes());
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = b64(json!({ "alg": alg, "kid": "k" }).to_string().as_bytes());
        let signed = format!("{header}.{payload}.{}", b64(b"x"));
        assert_eq!(verifier.verify(&signed, AT_MS), Err(AuthError::Algorithm), "{alg}");
        assert!(matches!(verifier.verify(&format!("{header}.{payload}."), AT_MS), Err(AuthError::Malformed(_))), "{alg} unsigned");
    }
}

#[test]
fn a_public_key_is_never_a_shared_secret() {
    // The classic: HS256 over the text of the RSA public key, which everybody has.
    let pair = Pair::new(Algorithm::RS256);
    let forged = |secret: &[u8]| {
        let header = Header { kid: Some("k".into()), ..Header::new(jsonwebtoken::Algorithm::HS256) };
        jsonwebtoken::encode(&header, &claims(&json!({})), &EncodingKey::from_secret(secret)).unwrap()
    };
    for change in [|_: &mut Issuer| (), |issuer: &mut Issuer| issuer.algorithms.push(Algorithm::HS256)] {
        assert_eq!(simple(&pair, change).verify(&forged(pair.pem.as_bytes()), AT_MS), Err(AuthError::Algorithm));
        assert_eq!(simple(&pair, change).verify(&forged(pair.pem.trim().as_bytes()), AT_MS), Err(AuthError::Algorithm));
    }
}

#[test]
fn a_key_signs_with_its_own_algorithm_only() {
    for of_key in PUBLIC {
        for of_token in PUBLIC.into_iter().filter(|other| *other != of_key) {
            let verifier = simple(&Pair::new(of_key), |issuer| issuer.algorithms = PUBLIC.to_vec());
            let token = Pair::new(of_token).sign(Some("k"), &claims(&json!({})));
            assert_eq!(verifier.verify(&token, AT_MS), Err(AuthError::Algorithm), "{of_token:?} for a key of {of_key:?}");
        }
    }
}

#[test]
fn two_issuers_with_keys_of_one_name_do_not_open_each_others_doors() {
    let (ours, theirs) = (Pair::new(Algorithm::EdDSA), Pair::new(Algorithm::EdDSA));
    let one = |name: &str, pair: &Pair| issuer(name, &[Algorithm::EdDSA], Keys::Static(vec![pair.static_key(Some("k"))]));
    let verifier = verifier(vec![one("https://ours/", &ours), one("https://theirs/", &theirs)]);
    let token = |pair: &Pair, iss: &str| pair.sign(Some("k"), &claims(&json!({ "iss": iss })));
    assert!(verifier.verify(&token(&ours, "https://ours/"), AT_MS).is_ok());
    assert!(verifier.verify(&token(&theirs, "https://theirs/"), AT_MS).is_ok());
    assert_eq!(verifier.verify(&token(&theirs, "https://ours/"), AT_MS), Err(AuthError::Signature));
    assert_eq!(verifier.verify(&token(&ours, "https://theirs/"), AT_MS), Err(AuthError::Signature));
}

#[test]
fn issuers_and_keys_are_known_letter_for_letter() {
    let pair = Pair::new(Algorithm::EdDSA);
    let verifier = simple(&pair, |_| ());
    for iss in ["https://id", "https://ID/", "https://id//", ""] {
        assert_eq!(verifier.verify(&pair.sign(Some("k"), &claims(&json!({ "iss": iss }))), AT_MS), Err(AuthError::UnknownIssuer), "{iss}");
    }
    assert_eq!(verifier.verify(&pair.sign(Some("K"), &claims(&json!({}))), AT_MS), Err(AuthError::UnknownKey));
    assert!(verifier.verify(&pair.sign(None, &claims(&json!({}))), AT_MS).is_ok(), "a token without a name is for the only key");
}

#[test]
fn a_token_may_not_bring_its_own_key_or_demand_extensions() {
    let (pair, own) = (Pair::new(Algorithm::EdDSA), Pair::new(Algorithm::EdDSA));
    let verifier = simple(&pair, |_| ());
    let header = Header {
        kid: Some("k".into()),
        jku: Some("http://127.0.0.1:1/jwks".into()),
        jwk: Some(serde_json::from_value(own.jwk("k")).unwrap()),
        ..Header::new(jsonwebtoken::Algorithm::EdDSA)
    };
    let token = jsonwebtoken::encode(&header, &claims(&json!({})), &own.signing).unwrap();
    assert_eq!(verifier.verify(&token, AT_MS), Err(AuthError::Signature));
    let payload = b64(claims(&json!({})).to_string().as_bytes());
    let header = b64(json!({ "alg": "EdDSA", "kid": "k", "crit": ["b64"], "b64": false }).to_string().as_bytes());
    assert!(matches!(verifier.verify(&format!("{header}.{payload}.AAAA"), AT_MS), Err(AuthError::Malformed(_))));
}

#[test]
fn what_is_no_token_is_refused_without_panic() {
    let verifier = simple(&Pair::new(Algorithm::EdDSA), |_| ());
    let long = format!("{}.a.b", "a".repeat(9000));
    for text in ["", ".", "..", "...", "a.b.c", "a.b.c.d", "....", "ä.ö.ü", "e30.e30.e30", "bnVsbA.bnVsbA.bnVsbA", "member", long.as_str()]
    {
        assert!(matches!(verifier.verify(text, AT_MS), Err(AuthError::Malformed(_))), "{text:?}: {:?}", verifier.verify(text, AT_MS));
    }
}

#[test]
fn a_refusal_has_a_catalogued_answer_and_repeats_nothing_of_the_token() {
    let error = outcome(&json!({ "exp": AT_S - 31 })).unwrap_err();
    assert_eq!((error.code(), error.close_reason()), (ErrorCode::TokenExpired, CloseReason::TokenExpired));
    let canary = "canary-of-the-token";
    for change in [
        json!({ "iss": canary }),
        json!({ "sub": canary }),
        json!({ "roles": canary }),
        json!({ "tenant": canary }),
        json!({ "gyms": [canary] }),
    ] {
        let error = outcome(&change).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(canary), "{error}");
        assert_eq!((error.code(), error.close_reason()), (ErrorCode::Unauthenticated, CloseReason::TokenInvalid));
    }
}
