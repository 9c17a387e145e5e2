//! What a token claims, as configuration maps it.
//!
//! In: the claims of a token whose signature was found good, the issuer's mapping, the time. Out: an [`Identity`]. Strict: what is missing
//! or means nothing here denies; nothing is guessed.

use std::sync::Arc;

use config::{Issuer, SubjectForm};
use protocol::TenantId;
use protocol::frame::Role;
use room::Viewer;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{AuthError, Identity};

/// Bytes of a `jti` that is kept.
const TOKEN_ID_BYTES_MAX: usize = 256;
/// Bytes of a tier's name.
const TIER_BYTES_MAX: usize = 32;

/// Reads everything, in the order in which a reader would doubt it.
pub(super) fn identity(claims: &Map<String, Value>, issuer: &Issuer, leeway_ms: i64, at_ms: i64) -> Result<Identity, AuthError> {
    let (expires_at_ms, issued_at_ms) = times(claims, leeway_ms, at_ms)?;
    audience(claims, &issuer.audience)?;
    let role = role(claims, issuer)?;
    let viewer = Viewer {
        tenant: tenant(claims, issuer)?,
        role,
        subject: subject(claims, issuer)?,
        gyms: ids(find(claims, &issuer.claims.gyms), "gyms")?,
        teams: ids(find(claims, &issuer.claims.teams), "teams")?,
    };
    // A gateway, a machine or a wall stands in one place.
    if matches!(role, Role::Gateway | Role::Machine | Role::Display) && viewer.gyms.len() != 1 {
        return Err(AuthError::Claim("gym"));
    }
    Ok(Identity {
        viewer: Arc::new(viewer),
        expires_at_ms,
        issued_at_ms,
        token_id: short(claims.get("jti"), TOKEN_ID_BYTES_MAX, "token id")?,
        tier: short(find(claims, &issuer.claims.tier), TIER_BYTES_MAX, "tier")?,
    })
}

/// `exp`, `nbf` and `iat` against the clock. A token from the future would dodge a revocation by time.
fn times(claims: &Map<String, Value>, leeway_ms: i64, at_ms: i64) -> Result<(i64, i64), AuthError> {
    let expires_at_ms = millis(claims.get("exp"), "expiry")?.ok_or(AuthError::Claim("expiry"))?;
    if at_ms >= expires_at_ms.saturating_add(leeway_ms) {
        return Err(AuthError::Expired);
    }
    let issued_at_ms = millis(claims.get("iat"), "time of issue")?.unwrap_or(0);
    let from_ms = millis(claims.get("nbf"), "begin")?.unwrap_or(i64::MIN);
    if from_ms.max(issued_at_ms) > at_ms.saturating_add(leeway_ms) {
        return Err(AuthError::NotYet);
    }
    Ok((expires_at_ms, issued_at_ms))
}

/// Seconds since 1970, also with a fraction, as milliseconds (RFC 7519 section 2).
fn millis(claim: Option<&Value>, what: &'static str) -> Result<Option<i64>, AuthError> {
    let Some(claim) = claim else { return Ok(None) };
    if let Some(seconds) = claim.as_i64() {
        return Ok(Some(seconds.saturating_mul(1000)));
    }
    // The cast saturates, which is what is wanted of a time beyond all clocks.
    claim.as_f64().filter(|seconds| seconds.is_finite()).map(|seconds| Some((seconds * 1000.0) as i64)).ok_or(AuthError::Claim(what))
}

fn audience(claims: &Map<String, Value>, wanted: &[String]) -> Result<(), AuthError> {
    let fits = |value: &Value| value.as_str().is_some_and(|text| wanted.iter().any(|wanted| wanted == text));
    match claims.get("aud") {
        Some(Value::Array(all)) if all.iter().any(fits) => Ok(()),
        Some(one) if fits(one) => Ok(()),
        _ => Err(AuthError::Audience),
    }
}

fn subject(claims: &Map<String, Value>, issuer: &Issuer) -> Result<Uuid, AuthError> {
    let text =
        find(claims, &issuer.claims.subject).and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or(AuthError::Claim("subject"))?;
    match issuer.subject {
        SubjectForm::Uuid => text.parse().map_err(|_| AuthError::Claim("subject")),
        SubjectForm::Derive => Ok(Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{}\n{text}", issuer.issuer).as_bytes())),
    }
}

fn tenant(claims: &Map<String, Value>, issuer: &Issuer) -> Result<TenantId, AuthError> {
    match issuer.tenant {
        Some(tenant) => Ok(tenant),
        None => {
            find(claims, &issuer.claims.tenant).and_then(Value::as_str).and_then(|text| text.parse().ok()).ok_or(AuthError::Claim("tenant"))
        }
    }
}

/// The one role among the words of the claim. Words that are no roles are other people's; two roles are a doubt, and a doubt denies.
fn role(claims: &Map<String, Value>, issuer: &Issuer) -> Result<Role, AuthError> {
    let of_word = |word: &str| match &issuer.roles {
        Some(mapped) => mapped.get(word).copied(),
        None => Role::from_name(word),
    };
    let mut found = None;
    for role in words(find(claims, &issuer.claims.roles)).filter_map(of_word) {
        if found.is_some_and(|other| other != role) {
            return Err(AuthError::Role);
        }
        found = Some(role);
    }
    found.ok_or(AuthError::Role)
}

/// Ids of gyms or teams; a missing claim is none, a word that is no id is a doubt. Bounded by the size of a token.
fn ids<T: From<Uuid>>(claim: Option<&Value>, what: &'static str) -> Result<Vec<T>, AuthError> {
    if claim.and_then(Value::as_array).is_some_and(|all| all.iter().any(|one| !one.is_string())) {
        return Err(AuthError::Claim(what));
    }
    words(claim).map(|word| word.parse::<Uuid>().map(T::from).map_err(|_| AuthError::Claim(what))).collect()
}

/// Text, or a list of text.
fn words(claim: Option<&Value>) -> impl Iterator<Item = &str> {
    let (one, many) = match claim {
        Some(Value::Array(all)) => (None, all.as_slice()),
        Some(Value::String(text)) => (Some(text.as_str()), [].as_slice()),
        _ => (None, [].as_slice()),
    };
    one.into_iter().chain(many.iter().filter_map(Value::as_str))
}

fn short(claim: Option<&Value>, bytes_max: usize, what: &'static str) -> Result<Option<Box<str>>, AuthError> {
    match claim {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= bytes_max => Ok(Some(text.as_str().into())),
        Some(_) => Err(AuthError::Claim(what)),
    }
}

/// A claim by its whole name, which may be a URL, or else by a path with dots.
fn find<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    if let Some(claim) = claims.get(path) {
        return Some(claim);
    }
    let (first, rest) = path.split_once('.')?;
    rest.split('.').try_fold(claims.get(first)?, |value, name| value.get(name))
}
