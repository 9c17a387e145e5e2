//! Tokens: any text, and any claims under a good signature. Nothing panics, and nothing is let in that its claims do not name.
//!
//! Input: a byte that chooses, then a token as text, or claims as JSON that are signed here.

#![no_main]

use std::sync::{Arc, LazyLock};

use config::{Profile, Sources};
use hub::auth::{Revocations, Verifier};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

const ISSUER: &str = "fuzz";
const SECRET: &str = "a secret of thirty-two bytes or more";
const NOW_MS: i64 = 1_764_000_000_000;

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let issuers = format!(
        r#"[{{issuer = "{ISSUER}", audience = ["spotter"], algorithms = ["HS256"], keys = [{{algorithm = "HS256", secret = "{SECRET}"}}]}}]"#
    );
    let sources = Sources::of(Profile::Dev).flag("dev.hs256", "true", "fuzz").flag("auth.issuers", issuers, "fuzz");
    let config = config::load(&sources).expect("a good configuration");
    Verifier::new(&config.auth, None, false, Arc::new(Revocations::default())).expect("good keys")
});

fuzz_target!(|bytes: &[u8]| {
    let [way, rest @ ..] = bytes else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    if way & 1 == 0 {
        assert!(VERIFIER.verify(text, NOW_MS).is_err(), "a token that nobody signed");
        return;
    }
    let Ok(mut claims) = serde_json::from_str::<Map<String, Value>>(text) else { return };
    // Without these no claim is looked at.
    for (name, value) in [("iss", Value::from(ISSUER)), ("aud", Value::from("spotter"))] {
        claims.entry(name).or_insert(value);
    }
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let Ok(token) = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key) else { return };
    if let Ok(identity) = VERIFIER.verify(&token, NOW_MS) {
        assert_eq!(claims.get("iss").and_then(Value::as_str), Some(ISSUER));
        assert!(identity.expires_at_ms > NOW_MS - 60_000, "an expired token was let in: {claims:?}");
        let subject = identity.viewer.subject.to_string();
        assert!(
            claims.get("sub").and_then(Value::as_str).is_some_and(|sub| sub.to_ascii_lowercase().contains(&subject[..8])),
            "{claims:?}"
        );
    }
});
