//! The keys of one issuer, by name.
//!
//! In: keys written down in the configuration, or a key set (RFC 7517). Out: for a token's `kid`, the key with its own algorithm.
//! Keys that are not for signatures, of other algorithms than the issuer may use, or shared secrets in a public set, are left out.

use std::collections::HashMap;

use config::{Algorithm, StaticKey};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{DecodingKey, Validation};
use secrecy::ExposeSecret;

/// Keys of one issuer are at most this many; a set with more is cut.
const KEYS_MAX: usize = 64;

/// One key, which knows what it signs with.
pub(super) struct Key {
    pub(super) decoding: DecodingKey,
    pub(super) validation: Validation,
}

/// The keys of one issuer. A key without a name fits tokens that name none.
#[derive(Default)]
pub(super) struct KeySet {
    keys: HashMap<Option<String>, Key>,
}

impl KeySet {
    pub(super) fn get(&self, kid: Option<&str>) -> Option<&Key> {
        match kid {
            Some(kid) => self.keys.get(&Some(kid.to_owned())),
            // A token that names no key is for the issuer's only key.
            None => self.keys.get(&None).or_else(|| if self.keys.len() == 1 { self.keys.values().next() } else { None }),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Takes one key with its name and algorithm.
    pub(super) fn insert(&mut self, kid: Option<String>, algorithm: Algorithm, decoding: DecodingKey) {
        self.keys.insert(kid, Key { decoding, validation: signature_only(algorithm) });
    }

    /// Keys written down. Says which cannot be read.
    pub(super) fn of_static(keys: &[StaticKey]) -> Result<Self, (usize, jsonwebtoken::errors::Error)> {
        let mut set = Self::default();
        for (index, key) in keys.iter().enumerate() {
            let material = key.material.expose_secret().as_bytes();
            let decoding = match key.algorithm {
                Algorithm::RS256 => DecodingKey::from_rsa_pem(material),
                Algorithm::ES256 => DecodingKey::from_ec_pem(material),
                Algorithm::EdDSA => DecodingKey::from_ed_pem(material),
                Algorithm::HS256 => Ok(DecodingKey::from_secret(material)),
            };
            set.insert(key.kid.clone(), key.algorithm, decoding.map_err(|error| (index, error))?);
        }
        Ok(set)
    }

    /// A public key set, without what may not sign tokens of this issuer.
    pub(super) fn of_jwks(set: &JwkSet, allowed: &[Algorithm]) -> Self {
        let mut keys = Self::default();
        for jwk in set.keys.iter().take(KEYS_MAX) {
            let Some(algorithm) = algorithm_of(jwk).filter(|algorithm| allowed.contains(algorithm)) else { continue };
            if let Ok(decoding) = DecodingKey::from_jwk(jwk) {
                keys.insert(jwk.common.key_id.clone(), algorithm, decoding);
            }
        }
        keys
    }
}

/// Checks the signature and nothing else: claims are checked by `claims`, with the caller's clock.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(match algorithm {
        Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
        Algorithm::HS256 => jsonwebtoken::Algorithm::HS256,
    });
    validation.required_spec_claims.clear();
    (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
    validation
}

/// What a public key signs with: by its type, and by its `alg` where it says one. A shared secret is never public.
fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    if jwk.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
        return None;
    }
    let (algorithm, name) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => (Algorithm::ES256, KeyAlgorithm::ES256),
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => (Algorithm::EdDSA, KeyAlgorithm::EdDSA),
        _ => return None,
    };
    jwk.common.key_algorithm.is_none_or(|said| said == name).then_some(algorithm)
}
