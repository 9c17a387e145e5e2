//! Tokens good and bad, against real keys of every algorithm.

mod attacks;
mod claims;
mod issuer;
mod jwks;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use config::{Algorithm, Auth, Claims, Issuer, Keys, StaticKey, SubjectForm};
use jsonwebtoken::{EncodingKey, Header};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{AuthError, Identity, Revocations, Verifier};

pub(super) const AT_MS: i64 = 1_800_000_000_000;
pub(super) const AT_S: i64 = AT_MS / 1000;
pub(super) const TENANT: &str = "018f0000-0000-7000-8000-000000000001";
pub(super) const SUBJECT: &str = "018f0000-0000-7000-8000-000000000002";
pub(super) const GYM: &str = "018f0000-0000-7000-8000-000000000003";

/// A key pair of one algorithm, with its public half in both forms.
pub(super) struct Pair {
    pub(super) algorithm: Algorithm,
    pub(super) signing: EncodingKey,
    pub(super) pem: String,
    jwk: Value,
}

impl Pair {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        let random = SystemRandom::new();
        match algorithm {
            Algorithm::RS256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
                let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
                let public = pair.public_key();
                let jwk = json!({ "kty": "RSA", "n": b64(public.modulus().big_endian_without_leading_zero()), "e": b64(public.exponent().big_endian_without_leading_zero()) });
                // jsonwebtoken takes PKCS#1 in DER, or PKCS#8 in PEM.
                let signing = EncodingKey::from_rsa_pem(pem("PRIVATE KEY", der.as_ref()).as_bytes()).unwrap();
                Self { algorithm, signing, pem: spki(public), jwk }
            }
            Algorithm::ES256 => {
                let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref()).unwrap();
                let point = pair.public_key().as_ref();
                let jwk = json!({ "kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..65]) });
                Self { algorithm, signing: EncodingKey::from_ec_der(der.as_ref()), pem: spki(pair.public_key()), jwk }
            }
            Algorithm::EdDSA => {
                let der = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                let pair = Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap();
                let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key().as_ref()) });
                Self { algorithm, signing: EncodingKey::from_ed_der(der.as_ref()), pem: spki(pair.public_key()), jwk }
            }
            Algorithm::HS256 => {
                let secret = "a secret shared by two, of 32 bytes at least";
                let jwk = json!({ "kty": "oct", "k": b64(secret.as_bytes()) });
                Self { algorithm, signing: EncodingKey::from_secret(secret.as_bytes()), pem: secret.to_owned(), jwk }
            }
        }
    }

    pub(super) fn jwk(&self, kid: &str) -> Value {
        let mut jwk = self.jwk.clone();
        jwk["kid"] = kid.into();
        jwk["use"] = "sig".into();
        jwk
    }

    pub(super) fn static_key(&self, kid: Option<&str>) -> StaticKey {
        StaticKey { kid: kid.map(str::to_owned), algorithm: self.algorithm, material: SecretString::from(self.pem.clone()) }
    }

    pub(super) fn sign(&self, kid: Option<&str>, claims: &Value) -> String {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(jwt(self.algorithm)) };
        jsonwebtoken::encode(&header, claims, &self.signing).unwrap()
    }
}

pub(super) const fn jwt(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
        Algorithm::HS256 => jsonwebtoken::Algorithm::HS256,
    }
}

pub(super) fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn pem(label: &str, der: &[u8]) -> String {
    let lines: Vec<String> = STANDARD.encode(der).as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn spki<'a, K: AsDer<PublicKeyX509Der<'a>>>(key: &K) -> String {
    pem("PUBLIC KEY", key.as_der().unwrap().as_ref())
}

pub(super) fn auth(issuers: Vec<Issuer>) -> Auth {
    Auth {
        leeway: Duration::from_secs(30),
        jwks_refresh: Duration::from_secs(3600),
        jwks_min_interval: Duration::from_millis(200),
        jwks_timeout: Duration::from_secs(2),
        unknown_key_wait: Duration::from_secs(2),
        device_key_overlap: Duration::from_secs(3600),
        issuers,
    }
}

pub(super) fn issuer(name: &str, algorithms: &[Algorithm], keys: Keys) -> Issuer {
    Issuer {
        issuer: name.to_owned(),
        audience: vec!["spotter".to_owned()],
        algorithms: algorithms.to_vec(),
        keys,
        tenant: None,
        subject: SubjectForm::Uuid,
        claims: Claims::default(),
        roles: None,
    }
}

pub(super) fn verifier(issuers: Vec<Issuer>) -> Verifier {
    Verifier::new(&auth(issuers), None, false, Arc::new(Revocations::default())).unwrap()
}

/// One issuer with one Ed25519 key named `k`.
pub(super) fn simple(pair: &Pair, change: impl FnOnce(&mut Issuer)) -> Verifier {
    let mut issuer = issuer("https://id/", &[pair.algorithm], Keys::Static(vec![pair.static_key(Some("k"))]));
    change(&mut issuer);
    verifier(vec![issuer])
}

/// Claims of a member that are good at [`AT_MS`], with some replaced; `null` removes one.
pub(super) fn claims(change: &Value) -> Value {
    let mut claims = json!({
        "iss": "https://id/", "aud": "spotter", "sub": SUBJECT, "jti": "token-1", "iat": AT_S - 10, "exp": AT_S + 900,
        "tenant": TENANT, "roles": ["member"], "gyms": [GYM], "teams": [], "tier": "premium",
    });
    for (key, value) in change.as_object().unwrap() {
        claims[key] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(key);
        }
    }
    claims
}

/// What becomes of good claims with some replaced.
pub(super) fn outcome(change: &Value) -> Result<Identity, AuthError> {
    let pair = Pair::new(Algorithm::EdDSA);
    simple(&pair, |_| ()).verify(&pair.sign(Some("k"), &claims(change)), AT_MS)
}

pub(super) fn roles(pairs: &[(&str, protocol::frame::Role)]) -> Option<BTreeMap<String, protocol::frame::Role>> {
    Some(pairs.iter().map(|(word, role)| ((*word).to_owned(), *role)).collect())
}
