//! What an enrolled device signs: the exact bytes, the same for hub, gateway and examiner.
//!
//! A device has one Ed25519 key (RFC 8032) that never leaves it. It signs three things in its life: the request that enrols it, the answer to each
//! challenge, and the step to its next key. Each message begins with a context of its own and has a fixed length, so that a signature of one kind is
//! never one of another, and names hub, tenant and device, so that it is of no use elsewhere. No cryptography here: data only.
//! `docs/GATEWAY.md` section 2 has a worked example, which a test keeps equal to this.

use crate::{DeviceId, HubId, SessionId, TenantId};

/// Bytes of an Ed25519 public key.
pub const KEY_BYTES: usize = 32;
/// Bytes of an Ed25519 signature.
pub const SIGNATURE_BYTES: usize = 64;
/// Bytes of the nonce in a `challenge`.
pub const NONCE_BYTES: usize = 32;
/// Characters of an enrolment code in its canonical form: 80 bits.
pub const CODE_CHARS: usize = 16;
/// The characters of a code: Crockford's base 32, without letters that read as digits.
pub const CODE_ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Begins what the answer to a challenge signs.
pub const SESSION_CONTEXT: &[u8] = b"spotter device session v1\0";
/// Begins what an enrolment signs.
pub const ENROLMENT_CONTEXT: &[u8] = b"spotter device enrolment v1\0";
/// Begins what a new key is signed with.
pub const ROTATION_CONTEXT: &[u8] = b"spotter device rotation v1\0";

/// What `prove` signs: context, hub, tenant, device (16 bytes each), the nonce, and the hub's time of the challenge as 8 bytes, big end first.
///
/// The time is the hub's own word: a device without a clock signs it all the same, and whoever keeps the signature knows of when it is.
#[must_use]
pub fn session(hub: HubId, tenant: TenantId, device: DeviceId, nonce: &[u8; NONCE_BYTES], at_ms: i64) -> Vec<u8> {
    [SESSION_CONTEXT, hub.0.as_bytes(), tenant.0.as_bytes(), device.0.as_bytes(), nonce, &at_ms.to_be_bytes()].concat()
}

/// What an enrolment signs with the key that it brings: context, the code in its canonical form, the public key.
#[must_use]
pub fn enrolment(code: &[u8; CODE_CHARS], key: &[u8; KEY_BYTES]) -> Vec<u8> {
    [ENROLMENT_CONTEXT, code, key].concat()
}

/// What `rotate_key` signs, once with the old key and once with the new: context, hub, tenant, device, the session that it is asked in, the new key.
#[must_use]
pub fn rotation(hub: HubId, tenant: TenantId, device: DeviceId, session: SessionId, key: &[u8; KEY_BYTES]) -> Vec<u8> {
    [ROTATION_CONTEXT, hub.0.as_bytes(), tenant.0.as_bytes(), device.0.as_bytes(), session.0.as_bytes(), key].concat()
}

/// The canonical form of a code as somebody typed it: upper case, no blanks and hyphens, `O` is 0, `I` and `L` are 1. None where it is no code.
#[must_use]
pub fn canonical_code(typed: &str) -> Option<[u8; CODE_CHARS]> {
    let mut code = [0; CODE_CHARS];
    let mut at = 0;
    for byte in typed.bytes().filter(|byte| !matches!(byte, b' ' | b'-')) {
        let byte = match byte.to_ascii_uppercase() {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            other => other,
        };
        if at == CODE_CHARS || !CODE_ALPHABET.contains(&byte) {
            return None;
        }
        code[at] = byte;
        at += 1;
    }
    (at == CODE_CHARS).then_some(code)
}

/// The code of 80 random bits.
#[must_use]
pub fn code_of(random: [u8; 10]) -> [u8; CODE_CHARS] {
    let bits = random.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    std::array::from_fn(|at| CODE_ALPHABET[(bits >> (5 * (CODE_CHARS - 1 - at)) & 31) as usize])
}

/// A code as it is shown: groups of four.
#[must_use]
pub fn shown_code(code: &[u8; CODE_CHARS]) -> String {
    let groups: Vec<String> = code.chunks(4).map(|group| group.iter().map(|byte| char::from(*byte)).collect()).collect();
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const HUB: HubId = HubId(Uuid::from_u128(1));
    const TENANT: TenantId = TenantId(Uuid::from_u128(2));
    const DEVICE: DeviceId = DeviceId(Uuid::from_u128(3));

    #[test]
    fn messages_have_fixed_lengths_and_differ_by_context() {
        let session = session(HUB, TENANT, DEVICE, &[7; NONCE_BYTES], 1);
        assert_eq!(session.len(), SESSION_CONTEXT.len() + 48 + 32 + 8);
        let rotation = rotation(HUB, TENANT, DEVICE, SessionId(Uuid::from_u128(4)), &[9; KEY_BYTES]);
        assert_eq!(rotation.len(), ROTATION_CONTEXT.len() + 64 + 32);
        assert_eq!(enrolment(b"0123456789ABCDEF", &[9; KEY_BYTES]).len(), ENROLMENT_CONTEXT.len() + 48);
        let contexts = [SESSION_CONTEXT, ENROLMENT_CONTEXT, ROTATION_CONTEXT];
        for (at, one) in contexts.iter().enumerate() {
            assert!(contexts.iter().enumerate().all(|(other, context)| other == at || !context.starts_with(one)));
        }
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = code_of([0xff; 10]);
        assert_eq!(&code, b"ZZZZZZZZZZZZZZZZ");
        assert_eq!(shown_code(&code_of([0; 10])), "0000-0000-0000-0000");
        assert_eq!(canonical_code("oil0-abcd efgh-jkmn"), canonical_code("0110ABCDEFGHJKMN"));
        assert_eq!(canonical_code(&shown_code(&code)), Some(code));
        for wrong in ["", "0000-0000-0000-000", "0000-0000-0000-00000", "U000-0000-0000-0000", "0000-0000-0000-000\u{e9}"] {
            assert_eq!(canonical_code(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_bit_of_a_code_counts() {
        let codes: std::collections::BTreeSet<_> = (0..80)
            .map(|bit| {
                let mut random = [0; 10];
                random[bit / 8] = 1 << (bit % 8);
                code_of(random)
            })
            .collect();
        assert_eq!(codes.len(), 80);
    }
}
