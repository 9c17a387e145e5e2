//! Who is speaking: a token in, an [`Identity`] out.
//!
//! In: bearer tokens from `hello`, `refresh` and HTTP requests; key sets from issuers; revocations. Out: the viewer that the table of rights
//! asks about, and until when. [`Verifier::verify`] is synchronous on keys that are already here; only an unknown key of a known issuer
//! makes [`Verifier::verify_waiting`] wait, for one bounded fetch. Keys are kept by issuer *and* name: a key is never looked up by its name
//! alone (Centrifugo GHSA-g6vg-wj8f-48cj). The algorithm is the key's, never the token's (RFC 8725 section 3.1).
//! Does not decide rights (`room::rights`), and keeps no token. Gateways and machines may come without one, by a key of their own ([`devices`]).

mod claims;
pub mod devices;
mod error;
mod identity;
mod issuer;
mod jwks;
mod keys;
pub mod personas;
mod revocations;
mod verifier;

pub use error::AuthError;
pub use identity::Identity;
pub use issuer::{BUILT_IN_AUDIENCE, BUILT_IN_ISSUER, BuiltInIssuer, IssuerError, TokenRequest};
pub use jwks::Fetcher;
pub use revocations::{Revocations, Revoked, TooManyRevocations};
pub use verifier::{SetupError, Verifier};

#[cfg(test)]
mod tests;
