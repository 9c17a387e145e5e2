//! Who may issue tokens, by which keys, and where their tokens say what.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use protocol::TenantId;
use protocol::frame::Role;
use secrecy::SecretString;
use serde::Deserialize;

use crate::check::Checker;
use crate::dev::Dev;
use crate::store::secret_file;
use crate::unit;

/// Clocks may differ by at most this much: more would keep ended tokens alive.
pub const LEEWAY_MAX: Duration = Duration::from_secs(60);

/// Tokens and their issuers.
#[derive(Debug, Clone)]
pub struct Auth {
    /// How far clocks may differ.
    pub leeway: Duration,
    /// A key set is fetched again after this time.
    pub jwks_refresh: Duration,
    /// For tokens with an unknown key it is fetched at most this often.
    pub jwks_min_interval: Duration,
    /// Deadline of a fetch.
    pub jwks_timeout: Duration,
    /// A session with an unknown key waits so long for a fetch.
    pub unknown_key_wait: Duration,
    /// A device's old key is good for this long beside its next one.
    pub device_key_overlap: Duration,
    /// Who may issue.
    pub issuers: Vec<Issuer>,
}

/// One issuer of tokens.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// `iss`, letter for letter.
    pub issuer: String,
    /// `aud` must have one of these.
    pub audience: Vec<String>,
    /// What its keys may sign with.
    pub algorithms: Vec<Algorithm>,
    /// Where its keys are.
    pub keys: Keys,
    /// All its tokens are of this tenant; none: a claim names it.
    pub tenant: Option<TenantId>,
    /// What its `sub` is.
    pub subject: SubjectForm,
    /// Where its tokens say what.
    pub claims: Claims,
    /// Their words for our roles; none: their words are ours.
    pub roles: Option<BTreeMap<String, Role>>,
}

/// An algorithm of signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// ECDSA with P-256 and SHA-256.
    ES256,
    /// Ed25519.
    EdDSA,
    /// A shared secret; `dev` only.
    HS256,
}

/// Where an issuer's keys are.
#[derive(Debug, Clone)]
pub enum Keys {
    /// A key set at a URL, fetched and fetched again.
    Jwks(String),
    /// A key set in a file, read once.
    JwksFile(PathBuf),
    /// Keys written down.
    Static(Vec<StaticKey>),
}

/// A key written down.
#[derive(Debug, Clone)]
pub struct StaticKey {
    /// Its name in tokens; none: it fits tokens without a name.
    pub kid: Option<String>,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// PEM of the public key, or the shared secret.
    pub material: SecretString,
}

/// What `sub` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectForm {
    /// A UUID, as the store knows it.
    Uuid,
    /// Any text: the id is the UUIDv5 of issuer and text.
    Derive,
}

/// Where a token says what: names of claims, or paths with dots.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are the things named")]
pub struct Claims {
    pub subject: String,
    pub tenant: String,
    pub gyms: String,
    pub teams: String,
    pub roles: String,
    pub tier: String,
}

impl Default for Claims {
    fn default() -> Self {
        let own = str::to_owned;
        Self { subject: own("sub"), tenant: own("tenant"), gyms: own("gyms"), teams: own("teams"), roles: own("roles"), tier: own("tier") }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAuth {
    #[serde(deserialize_with = "unit::span")]
    leeway: Duration,
    #[serde(deserialize_with = "unit::span")]
    jwks_refresh: Duration,
    #[serde(deserialize_with = "unit::span")]
    jwks_min_interval: Duration,
    #[serde(deserialize_with = "unit::span")]
    jwks_timeout: Duration,
    #[serde(deserialize_with = "unit::span")]
    unknown_key_wait: Duration,
    #[serde(deserialize_with = "unit::span")]
    device_key_overlap: Duration,
    issuers: Vec<RawIssuer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIssuer {
    issuer: String,
    audience: Vec<String>,
    algorithms: Vec<Algorithm>,
    #[serde(default)]
    jwks_url: Option<String>,
    #[serde(default)]
    jwks_file: Option<PathBuf>,
    #[serde(default)]
    keys: Vec<RawKey>,
    #[serde(default)]
    tenant: Option<String>,
    #[serde(default)]
    subject: Option<SubjectForm>,
    #[serde(default)]
    claims: Claims,
    #[serde(default)]
    roles: Option<BTreeMap<String, Role>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKey {
    #[serde(default)]
    kid: Option<String>,
    algorithm: Algorithm,
    #[serde(default)]
    pem: Option<SecretString>,
    #[serde(default)]
    pem_file: Option<PathBuf>,
    #[serde(default)]
    secret: Option<SecretString>,
    #[serde(default)]
    secret_file: Option<PathBuf>,
}

pub(crate) fn check(checker: &mut Checker<'_>, dev: Option<&Dev>) -> Option<Auth> {
    let raw: RawAuth = checker.section("auth")?;
    checker.hold(
        raw.leeway <= LEEWAY_MAX,
        "auth.leeway",
        || format!("is {:?}: tokens would live that much longer than they say", raw.leeway),
        || "write at most \"60s\"".to_owned(),
    );
    checker.hold(
        raw.jwks_min_interval < raw.jwks_refresh,
        "auth.jwks_min_interval",
        || format!("is {:?} and auth.jwks_refresh is {:?}: a new key would wait for the refresh", raw.jwks_min_interval, raw.jwks_refresh),
        || "write less than auth.jwks_refresh".to_owned(),
    );
    let hs256 = dev.is_some_and(|dev| dev.hs256);
    let mut issuers: Vec<Issuer> = Vec::with_capacity(raw.issuers.len());
    for (index, issuer) in raw.issuers.into_iter().enumerate() {
        let key = format!("auth.issuers.{index}");
        checker.hold(
            issuers.iter().all(|other| other.issuer != issuer.issuer),
            &format!("{key}.issuer"),
            || format!("is \"{}\" a second time: whose keys would count?", issuer.issuer),
            || "write one table for each issuer, with all its keys".to_owned(),
        );
        issuers.extend(check_issuer(checker, &key, issuer, hs256));
    }
    Some(Auth {
        leeway: raw.leeway,
        jwks_refresh: raw.jwks_refresh,
        jwks_min_interval: raw.jwks_min_interval,
        jwks_timeout: raw.jwks_timeout,
        unknown_key_wait: raw.unknown_key_wait,
        device_key_overlap: raw.device_key_overlap,
        issuers,
    })
}

fn check_issuer(checker: &mut Checker<'_>, key: &str, raw: RawIssuer, hs256: bool) -> Option<Issuer> {
    let at = |field: &str| format!("{key}.{field}");
    checker.hold(!raw.issuer.is_empty(), &at("issuer"), || "is empty".to_owned(), || "write the `iss` of its tokens".to_owned());
    checker.hold(
        !raw.audience.is_empty(),
        &at("audience"),
        || "is empty: tokens that this issuer made for others would be good here".to_owned(),
        || "write the `aud` of tokens for this hub, such as [\"spotter\"]".to_owned(),
    );
    checker.hold(
        !raw.algorithms.is_empty(),
        &at("algorithms"),
        || "is empty: no token would be good".to_owned(),
        || "write [\"EdDSA\"]".to_owned(),
    );
    let shared = raw.algorithms.contains(&Algorithm::HS256) || raw.keys.iter().any(|key| key.algorithm == Algorithm::HS256);
    checker.hold(
        !shared || hs256,
        &at("algorithms"),
        || "has HS256: whoever can check a token can make one".to_owned(),
        || "write RS256, ES256 or EdDSA, or dev.hs256 = true in the dev profile".to_owned(),
    );
    let tenant = match raw.tenant.as_deref().map(str::parse::<TenantId>) {
        Some(Err(_)) => {
            checker.refuse(&at("tenant"), "is no UUID", "write the tenant's UUID");
            None
        }
        Some(Ok(tenant)) => Some(tenant),
        None => None,
    };
    let algorithms = raw.algorithms.clone();
    Some(Issuer {
        keys: check_keys(checker, key, raw.jwks_url, raw.jwks_file, raw.keys, &algorithms)?,
        issuer: raw.issuer,
        audience: raw.audience,
        algorithms,
        tenant,
        subject: raw.subject.unwrap_or(SubjectForm::Uuid),
        claims: raw.claims,
        roles: raw.roles,
    })
}

fn check_keys(
    checker: &mut Checker<'_>,
    key: &str,
    url: Option<String>,
    file: Option<PathBuf>,
    keys: Vec<RawKey>,
    algorithms: &[Algorithm],
) -> Option<Keys> {
    match (url, file, keys.is_empty()) {
        (Some(url), None, true) => {
            let safe = url.starts_with("https://")
                || ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|local| url.starts_with(local));
            checker.hold(
                safe,
                &format!("{key}.jwks_url"),
                || "is not https: whoever stands between could hand out keys of their own".to_owned(),
                || "write an https URL".to_owned(),
            );
            Some(Keys::Jwks(url))
        }
        (None, Some(file), true) => Some(Keys::JwksFile(file)),
        (None, None, false) => {
            let keys: Vec<StaticKey> = keys
                .into_iter()
                .enumerate()
                .filter_map(|(index, raw)| check_key(checker, &format!("{key}.keys.{index}"), raw, algorithms))
                .collect();
            Some(Keys::Static(keys))
        }
        (None, None, true) => {
            checker.refuse(key, "has no keys: none of its tokens could be checked", "write jwks_url, jwks_file or [[auth.issuers.keys]]");
            None
        }
        _ => {
            checker.refuse(
                key,
                "has keys from several places: which of them count?",
                "write one of jwks_url, jwks_file and [[auth.issuers.keys]]",
            );
            None
        }
    }
}

fn check_key(checker: &mut Checker<'_>, key: &str, raw: RawKey, algorithms: &[Algorithm]) -> Option<StaticKey> {
    checker.hold(
        algorithms.contains(&raw.algorithm),
        &format!("{key}.algorithm"),
        || format!("is {:?}, which the issuer's algorithms do not have: the key would never count", raw.algorithm),
        || "write it into algorithms too".to_owned(),
    );
    let (text, file, name) = match raw.algorithm {
        Algorithm::HS256 => (raw.secret, raw.secret_file, "secret"),
        Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA => (raw.pem, raw.pem_file, "pem"),
    };
    let material = match (text, file) {
        (Some(text), None) => text,
        (None, Some(file)) => secret_file(checker, &format!("{key}.{name}_file"), &file)?,
        _ => {
            checker.refuse(key, "needs its key in one place", format!("write {name} or {name}_file"));
            return None;
        }
    };
    Some(StaticKey { kid: raw.kid, algorithm: raw.algorithm, material })
}
