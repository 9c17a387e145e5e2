//! Keys, times and flags of devices.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use protocol::device::{self, NONCE_BYTES};
use protocol::frame::Role;
use protocol::text::{Text, hex, unhex};
use protocol::{GymId, HubId};
use storage::DeviceKey;

use super::*;

const HUB: HubId = HubId(uuid::Uuid::from_u128(1));
const TENANT: TenantId = TenantId(uuid::Uuid::from_u128(2));
const DEVICE: DeviceId = DeviceId(uuid::Uuid::from_u128(3));

fn pair(seed: u8) -> (Ed25519KeyPair, [u8; KEY_BYTES]) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let key = pair.public_key().as_ref().try_into().unwrap();
    (pair, key)
}

fn record(keys: &[(u8, Option<i64>)]) -> DeviceRecord {
    DeviceRecord {
        device: DEVICE,
        tenant: TENANT,
        gym: GymId(uuid::Uuid::from_u128(4)),
        role: Role::Gateway,
        subject: uuid::Uuid::from_u128(5),
        name: Text::cut("left wall"),
        enrolled_at_ms: 0,
        revoked_at_ms: None,
        cloned_at_ms: None,
        keys: keys.iter().map(|&(seed, until_at_ms)| DeviceKey { key: pair(seed).1, added_at_ms: 0, until_at_ms }).collect(),
    }
}

fn devices(keys: &[(u8, Option<i64>)]) -> Devices {
    let devices = Devices::new(HUB);
    devices.put(record(keys));
    devices
}

fn message(nonce: u8) -> Vec<u8> {
    device::session(HUB, TENANT, DEVICE, &[nonce; NONCE_BYTES], 1_000)
}

fn sign(seed: u8, message: &[u8]) -> Vec<u8> {
    pair(seed).0.sign(message).as_ref().to_vec()
}

#[test]
fn a_signature_is_good_for_its_key_and_its_challenge_alone() {
    let devices = devices(&[(1, None)]);
    let good = sign(1, &message(7));
    assert_eq!(devices.signer(DEVICE, &message(7), &good, 0).map(|proved| proved.key), Ok(Some(pair(1).1)));
    let other_hub = device::session(HubId(uuid::Uuid::from_u128(9)), TENANT, DEVICE, &[7; NONCE_BYTES], 1_000);
    for wrong in [sign(2, &message(7)), sign(1, &message(8)), sign(1, &other_hub), good[..63].to_vec(), vec![], vec![0; 64]] {
        assert_eq!(devices.signer(DEVICE, &message(7), &wrong, 0), Err(DeviceError::Proof));
    }
    let nobody = DeviceId(uuid::Uuid::nil());
    assert_eq!(devices.signer(nobody, &message(7), &good, 0), Err(DeviceError::Unknown));
}

#[test]
fn the_old_key_is_refused_after_the_overlap() {
    let devices = devices(&[(1, Some(2_000)), (2, None)]);
    let (old, new) = (sign(1, &message(7)), sign(2, &message(7)));
    assert!(devices.signer(DEVICE, &message(7), &old, 1_999).is_ok());
    assert_eq!(devices.signer(DEVICE, &message(7), &old, 2_000), Err(DeviceError::Proof));
    assert!(devices.signer(DEVICE, &message(7), &new, i64::MAX).is_ok());
}

#[test]
fn what_comes_late_takes_nothing_back() {
    let devices = devices(&[(1, None)]);
    devices.put(DeviceRecord { revoked_at_ms: Some(5), ..record(&[(1, Some(9))]) });
    devices.put(record(&[(1, None), (2, None)]));
    assert_eq!(devices.good(DEVICE), Err(DeviceError::Revoked));
    let known = devices.of_tenant(TENANT, DEVICE).unwrap();
    let mut untils: Vec<_> = known.keys.iter().map(|key| key.until_at_ms).collect();
    untils.sort_unstable();
    assert_eq!(untils, [None, Some(9)]);
    assert!(devices.of_tenant(TenantId(uuid::Uuid::nil()), DEVICE).is_none());
    assert!(devices.is_empty());
}

/// The example of `docs/GATEWAY.md` section 1, so that another implementation can be held against it.
#[test]
fn the_example_of_the_gateway_document_is_what_is_checked_here() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/GATEWAY.md")).unwrap();
    let (_, example) = page.split_once("A worked example").unwrap();
    let value = |name: &str| {
        let line = example.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("`{name}` is not in the example"));
        line[name.len()..].trim().replace('-', "")
    };
    let bytes = |name: &str| unhex(&value(name)).unwrap_or_else(|| panic!("{name} is no hexadecimal"));
    let id = |name: &str| uuid::Uuid::parse_str(&value(name)).unwrap();
    let pair = Ed25519KeyPair::from_seed_unchecked(&bytes("seed")).unwrap();
    let key: [u8; KEY_BYTES] = pair.public_key().as_ref().try_into().unwrap();
    assert_eq!(hex(&key), value("public key"));
    let code = device::canonical_code(&value("code")).unwrap();
    let enrolment = device::enrolment(&code, &key);
    assert_eq!(hex(&enrolment), value("enrolment message"));
    assert_eq!(hex(pair.sign(&enrolment).as_ref()), value("enrolment signature"));
    let (hub, tenant, device) = (HubId(id("hub")), TenantId(id("tenant")), DeviceId(id("device")));
    let nonce: [u8; NONCE_BYTES] = bytes("nonce").try_into().unwrap();
    let at_ms: i64 = value("at_ms").parse().unwrap();
    let session = device::session(hub, tenant, device, &nonce, at_ms);
    assert_eq!(hex(&session), value("session message"));
    assert_eq!(hex(pair.sign(&session).as_ref()), value("session signature"));
}
