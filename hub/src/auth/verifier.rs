//! From a token to who is speaking.
//!
//! In: a token and the time. Out: an [`Identity`], or why not. The issuer is read from the token before anything is checked, only to know
//! whose keys may have signed it; the key then decides the algorithm. Synchronous, no IO: safe on any path.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use config::{Algorithm, Auth, Claims, Issuer, Keys, SubjectForm};
use jsonwebtoken::errors::ErrorKind;
use protocol::limits::TOKEN_BYTES_MAX;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::jwks::{Fetcher, Source};
use super::keys::KeySet;
use super::revocations::Revocations;
use super::{AuthError, BUILT_IN_AUDIENCE, BUILT_IN_ISSUER, BuiltInIssuer, Identity, claims, personas};

/// The configured issuers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A written key cannot be read.
    #[error("key {index} of issuer {issuer} cannot be read: give a public key in PEM that fits its algorithm")]
    Key {
        /// Whose.
        issuer: String,
        /// Which, from 0.
        index: usize,
        /// Why.
        source: jsonwebtoken::errors::Error,
    },
    /// The file with a key set cannot be read.
    #[error("the key set of issuer {issuer} cannot be read from {path}")]
    File {
        /// Whose.
        issuer: String,
        /// Where.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file holds no key set.
    #[error("the key set of issuer {issuer} in {path} has no key that it may use")]
    Empty {
        /// Whose.
        issuer: String,
        /// Where.
        path: String,
    },
    /// The HTTP client for key sets could not be made.
    #[error("no HTTP client for key sets")]
    Client(#[source] reqwest::Error),
}

/// One issuer with the keys known now.
pub(super) struct Known {
    pub(super) issuer: Issuer,
    pub(super) keys: Arc<ArcSwap<KeySet>>,
    pub(super) source: Option<Arc<Source>>,
}

/// Checks tokens. Shared by all sessions and requests.
pub struct Verifier {
    issuers: HashMap<String, Known>,
    leeway_ms: i64,
    unknown_key_wait: Duration,
    revocations: Arc<Revocations>,
    open: bool,
}

#[derive(Deserialize)]
struct Header {
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

impl Verifier {
    /// Prepares the issuers of the configuration, and the built-in one where there is one. `open` lets personas in by name (`dev` only).
    ///
    /// # Errors
    /// [`SetupError`] names the issuer whose keys cannot be read; the hub does not start.
    pub fn new(auth: &Auth, built_in: Option<&BuiltInIssuer>, open: bool, revocations: Arc<Revocations>) -> Result<Self, SetupError> {
        let mut issuers = HashMap::with_capacity(auth.issuers.len() + 1);
        for issuer in &auth.issuers {
            issuers.insert(issuer.issuer.clone(), prepare(issuer, auth)?);
        }
        if let Some(built_in) = built_in {
            let mut keys = KeySet::default();
            keys.insert(Some(built_in.kid().to_owned()), Algorithm::EdDSA, built_in.decoding_key());
            let known = Known { issuer: built_in_as_configured(), keys: Arc::new(ArcSwap::from_pointee(keys)), source: None };
            issuers.insert(BUILT_IN_ISSUER.to_owned(), known);
        }
        let leeway_ms = i64::try_from(auth.leeway.min(config::LEEWAY_MAX).as_millis()).unwrap_or(0);
        Ok(Self { issuers, leeway_ms, unknown_key_wait: auth.unknown_key_wait, revocations, open })
    }

    /// The tasks that fetch key sets; each runs until it is told to stop.
    #[must_use]
    pub fn fetchers(&self) -> Vec<Fetcher> {
        self.issuers.values().filter_map(|known| known.source.clone().map(|source| Fetcher::new(source, known.keys.clone()))).collect()
    }

    /// What is revoked.
    #[must_use]
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// Checks a token with the keys that are here.
    ///
    /// # Errors
    /// [`AuthError`]; [`AuthError::UnknownKey`] may be mended by a fetch, see [`Self::verify_waiting`].
    pub fn verify(&self, token: &str, at_ms: i64) -> Result<Identity, AuthError> {
        if self.open
            && let Some(persona) = personas::by_name(token)
        {
            return Ok(persona.identity(at_ms));
        }
        let (header, known) = self.read(token)?;
        let keys = known.keys.load();
        let key = keys.get(header.kid.as_deref()).ok_or(AuthError::UnknownKey)?;
        let checked = jsonwebtoken::decode::<Map<String, Value>>(token, &key.decoding, &key.validation).map_err(|error| refusal(&error))?;
        // The issuer was read before the signature was checked; what counts is what was signed.
        if checked.claims.get("iss").and_then(Value::as_str) != Some(known.issuer.issuer.as_str()) {
            return Err(AuthError::UnknownIssuer);
        }
        let identity = claims::identity(&checked.claims, &known.issuer, self.leeway_ms, at_ms)?;
        if self.revocations.hits(&identity) { Err(AuthError::Revoked) } else { Ok(identity) }
    }

    /// Checks a token; where its key is unknown, waits for a fetch of its issuer's key set that begins from now on, within the configured time.
    ///
    /// Safe to drop at await.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub async fn verify_waiting(&self, token: &str, clock: impl Fn() -> i64) -> Result<Identity, AuthError> {
        let first = self.verify(token, clock());
        if first != Err(AuthError::UnknownKey) {
            return first;
        }
        let Some(source) = self.read(token).ok().and_then(|(_, known)| known.source.clone()) else { return first };
        let Some(mut wanted) = source.ask(self.unknown_key_wait) else { return first };
        // A fetch that ended between the check and the asking may have brought it.
        let again = self.verify(token, clock());
        if again != Err(AuthError::UnknownKey) {
            return again;
        }
        let until_known = async {
            loop {
                let last = wanted.one_ended().await;
                let checked = self.verify(token, clock());
                if last || checked != Err(AuthError::UnknownKey) {
                    return checked;
                }
            }
        };
        tokio::time::timeout(self.unknown_key_wait, until_known).await.unwrap_or(again)
    }

    /// Header and issuer of a token that nobody has checked yet.
    fn read(&self, token: &str) -> Result<(Header, &Known), AuthError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(AuthError::Malformed("it is longer than a token may be"));
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(AuthError::Malformed("it has not three parts"));
        };
        if signature.is_empty() {
            return Err(AuthError::Malformed("it has no signature"));
        }
        let header: Header = part(header)?;
        if header.crit.is_some() {
            return Err(AuthError::Malformed("it demands an extension"));
        }
        #[derive(Deserialize)]
        struct Issued {
            iss: String,
        }
        let issued: Issued = part(payload)?;
        let known = self.issuers.get(&issued.iss).ok_or(AuthError::UnknownIssuer)?;
        Ok((header, known))
    }
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, AuthError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| AuthError::Malformed("a part is no base64url"))?;
    serde_json::from_slice(&bytes).map_err(|_| AuthError::Malformed("a part is not the JSON it should be"))
}

fn refusal(error: &jsonwebtoken::errors::Error) -> AuthError {
    match error.kind() {
        ErrorKind::InvalidSignature => AuthError::Signature,
        // The header's alg is unknown ("none" among them), or not the key's.
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName | ErrorKind::InvalidKeyFormat | ErrorKind::Json(_) => {
            AuthError::Algorithm
        }
        _ => AuthError::Signature,
    }
}

fn prepare(issuer: &Issuer, auth: &Auth) -> Result<Known, SetupError> {
    let (keys, source) = match &issuer.keys {
        Keys::Static(keys) => {
            let keys =
                KeySet::of_static(keys).map_err(|(index, source)| SetupError::Key { issuer: issuer.issuer.clone(), index, source })?;
            (keys, None)
        }
        Keys::JwksFile(path) => {
            let shown = path.display().to_string();
            let text =
                std::fs::read(path).map_err(|source| SetupError::File { issuer: issuer.issuer.clone(), path: shown.clone(), source })?;
            let keys = serde_json::from_slice(&text).map(|set| KeySet::of_jwks(&set, &issuer.algorithms)).unwrap_or_default();
            if keys.len() == 0 {
                return Err(SetupError::Empty { issuer: issuer.issuer.clone(), path: shown });
            }
            (keys, None)
        }
        Keys::Jwks(url) => (KeySet::default(), Some(Arc::new(Source::new(issuer, url, auth)?))),
    };
    Ok(Known { issuer: issuer.clone(), keys: Arc::new(ArcSwap::from_pointee(keys)), source })
}

/// The built-in issuer in the words of any other.
fn built_in_as_configured() -> Issuer {
    Issuer {
        issuer: BUILT_IN_ISSUER.to_owned(),
        audience: vec![BUILT_IN_AUDIENCE.to_owned()],
        algorithms: vec![Algorithm::EdDSA],
        keys: Keys::Static(Vec::new()),
        tenant: None,
        subject: SubjectForm::Uuid,
        claims: Claims::default(),
        roles: None,
    }
}
