//! Signatures and hashes of devices (Ed25519 of RFC 8032, SHA-256), by aws-lc.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use protocol::device::{CODE_CHARS, KEY_BYTES};

/// An Ed25519 key in a certificate: these bytes, then the key (RFC 8410 section 4).
const ED25519_SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Whether the key signed this message.
#[must_use]
pub fn signed_by(key: &[u8; KEY_BYTES], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok()
}

/// What is kept of an enrolment code.
#[must_use]
pub fn code_hash(code: &[u8; CODE_CHARS]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, code).as_ref());
    hash
}

/// The key in a certificate's public key field, where it is of Ed25519.
pub(super) fn ed25519_key(spki: &[u8]) -> Option<[u8; KEY_BYTES]> {
    spki.strip_prefix(&ED25519_SPKI_HEAD)?.try_into().ok()
}
