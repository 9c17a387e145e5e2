//! The built-in issuer: tokens for newcomers, tests and the demo (`dev` profile only).
//!
//! In: who a token should name. Out: an Ed25519-signed token. Owns one key: kept in a file that only its owner reads, or in memory for tests.

use std::io::Write;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use config::{Config, StoreTarget};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use protocol::frame::Role;
use protocol::{GymId, TeamId, TenantId};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// `iss` of its tokens.
pub const BUILT_IN_ISSUER: &str = "spotter:built-in";
/// `aud` of its tokens.
pub const BUILT_IN_AUDIENCE: &str = "spotter";

/// The key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The key file cannot be read or written.
    #[error("the built-in issuer's key cannot be kept in {path}")]
    File {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The key file holds no such key.
    #[error("{0} holds no Ed25519 key in PKCS#8: remove it, and a new one is made")]
    NotAKey(PathBuf),
    /// No key could be made.
    #[error("no key could be made")]
    Generate,
    /// A token could not be signed.
    #[error("the token could not be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

/// Signs tokens.
pub struct BuiltInIssuer {
    encoding: EncodingKey,
    public: Vec<u8>,
    kid: String,
}

/// Who a token should name.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// The tenant.
    pub tenant: TenantId,
    /// The role.
    pub role: Role,
    /// The person or thing.
    pub subject: Uuid,
    /// Gyms it may act in.
    pub gyms: Vec<GymId>,
    /// Teams it belongs to.
    pub teams: Vec<TeamId>,
    /// Now, UTC.
    pub at_ms: i64,
    /// How long it is good.
    pub ttl_ms: i64,
}

#[derive(Serialize)]
struct SignedClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: Uuid,
    jti: Uuid,
    iat: f64,
    exp: f64,
    tenant: TenantId,
    roles: [&'a str; 1],
    gyms: &'a [GymId],
    teams: &'a [TeamId],
}

impl BuiltInIssuer {
    /// A key that lives as long as the process.
    ///
    /// # Errors
    /// [`IssuerError::Generate`] where the machine gives no randomness.
    pub fn in_memory() -> Result<Self, IssuerError> {
        Self::of_pkcs8(&generate()?).ok_or(IssuerError::Generate)
    }

    /// The key of a file, made there when it is missing, readable by its owner only. Two processes that start at once end up with one key.
    ///
    /// # Errors
    /// [`IssuerError`] with the path.
    pub fn in_file(path: &Path) -> Result<Self, IssuerError> {
        let failed = |source| IssuerError::File { path: path.to_owned(), source };
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => match write_new(path, &generate()?) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(error)),
                Ok(()) | Err(_) => std::fs::read(path).map_err(failed)?,
            },
            Err(error) => return Err(failed(error)),
        };
        Self::of_pkcs8(&bytes).ok_or_else(|| IssuerError::NotAKey(path.to_owned()))
    }

    /// The file that a configuration keeps the key in: the one it names, or one beside the embedded store; none in memory only.
    #[must_use]
    pub fn key_file(config: &Config) -> Option<PathBuf> {
        match (&config.dev.issuer_key, &config.store.target) {
            (Some(path), _) => Some(path.clone()),
            (None, StoreTarget::Sqlite(store)) => Some(store.with_file_name("spotter-issuer.p8")),
            (None, StoreTarget::Postgres(_)) => None,
        }
    }

    fn of_pkcs8(bytes: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8(bytes).ok()?;
        let public = pair.public_key().as_ref().to_vec();
        let digest = Sha256::digest(&public);
        let kid = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Some(Self { encoding: EncodingKey::from_ed_der(bytes), public, kid })
    }

    /// Name of the key.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub(super) fn decoding_key(&self) -> DecodingKey {
        DecodingKey::from_ed_der(&self.public)
    }

    /// A signed token.
    ///
    /// # Errors
    /// [`IssuerError::Sign`].
    pub fn token(&self, request: &TokenRequest) -> Result<String, IssuerError> {
        let claims = SignedClaims {
            iss: BUILT_IN_ISSUER,
            aud: BUILT_IN_AUDIENCE,
            sub: request.subject,
            jti: Uuid::now_v7(),
            // With their milliseconds, so that a revocation "before now" and a token of now do not meet in one second.
            iat: request.at_ms as f64 / 1000.0,
            exp: request.at_ms.saturating_add(request.ttl_ms) as f64 / 1000.0,
            tenant: request.tenant,
            roles: [request.role.name()],
            gyms: &request.gyms,
            teams: &request.teams,
        };
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, &claims, &self.encoding).map_err(IssuerError::Sign)
    }
}

fn generate() -> Result<Vec<u8>, IssuerError> {
    let document = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).map_err(|_| IssuerError::Generate)?;
    Ok(document.as_ref().to_vec())
}

/// Writes beside, then links: a reader sees the whole key or none, and the first of two writers wins.
fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let beside = path.with_extension(format!("{}.new", Uuid::now_v7()));
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&beside, path);
    std::fs::remove_file(&beside)?;
    linked
}
