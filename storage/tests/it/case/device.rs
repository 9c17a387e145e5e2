//! Enrolment codes, keys, revocation and the log of devices.

use protocol::device::KEY_BYTES;
use protocol::frame::Role;
use protocol::text::Text;
use protocol::{DeviceId, GymId, HubId};
use storage::{Actor, DeviceDeed, Enrolment, Redeemed, Store, StoreError};
use uuid::Uuid;

use super::store::{COACH, GATEWAY, GYM, provision};
use crate::support::rows::machine;
use crate::support::{Bench, tenant};

const NOW_MS: i64 = 1_790_000_000_000;
const OPERATOR: Actor = Actor { role: Role::Operator, id: COACH.0 };

fn offer(code: u8, role: Role, subject: Uuid) -> Enrolment {
    Enrolment { code_hash: [code; 32], gym: GYM, role, subject, name: Text::cut("left wall"), until_at_ms: NOW_MS + 1_000 }
}

const fn device(number: u128) -> DeviceId {
    DeviceId(Uuid::from_u128(0xde_0000 + number))
}

const fn key(number: u8) -> [u8; KEY_BYTES] {
    [number; KEY_BYTES]
}

/// A device of the gateway, by a code and a key of this number.
async fn enrol(store: &Store, number: u8) -> Redeemed {
    store.offer_enrolment(tenant(), &offer(number, Role::Gateway, GATEWAY.0), OPERATOR, NOW_MS).await.unwrap();
    store.redeem([number; 32], key(number), device(number.into()), NOW_MS).await.unwrap()
}

pub(crate) async fn a_code_makes_one_device_once(bench: &Bench) {
    let house = bench.open().await;
    let store = &house.store;
    provision(store).await;
    let hub = HubId(Uuid::from_u128(7));
    assert_eq!(store.hub_id(hub).await.unwrap(), hub);
    assert_eq!(store.hub_id(HubId(Uuid::from_u128(8))).await.unwrap(), hub, "the first start names the installation");
    store.offer_enrolment(tenant(), &offer(1, Role::Gateway, GATEWAY.0), OPERATOR, NOW_MS).await.unwrap();
    let late = store.redeem([1; 32], key(1), device(1), NOW_MS + 1_000).await;
    assert!(matches!(late, Err(StoreError::NotFound { .. })), "it ran out: {late:?}");
    let made = store.redeem([1; 32], key(1), device(1), NOW_MS + 999).await.unwrap();
    assert_eq!((made.device.role, made.device.subject, made.replaced.len()), (Role::Gateway, GATEWAY.0, 0));
    for code in [1, 9] {
        let again = store.redeem([code; 32], key(2), device(2), NOW_MS).await;
        assert!(matches!(again, Err(StoreError::NotFound { .. })), "{again:?}");
    }
    assert_eq!(store.all_devices().await.unwrap(), std::slice::from_ref(&made.device));
    assert_eq!(store.devices(tenant(), GYM).await.unwrap(), [made.device]);
    house.close().await;
}

pub(crate) async fn a_code_is_for_a_gateway_or_machine_of_the_gym(bench: &Bench) {
    let house = bench.open().await;
    let store = &house.store;
    provision(store).await;
    let foreign = protocol::TenantId(Uuid::from_u128(0xbad));
    let cases = [
        (foreign, offer(1, Role::Gateway, GATEWAY.0)),
        (tenant(), offer(1, Role::Machine, GATEWAY.0)),
        (tenant(), offer(1, Role::Gateway, machine(1).0)),
        (tenant(), Enrolment { gym: GymId(Uuid::from_u128(0xbad)), ..offer(1, Role::Gateway, GATEWAY.0) }),
    ];
    for (tenant, offer) in cases {
        let refused = store.offer_enrolment(tenant, &offer, OPERATOR, NOW_MS).await;
        assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
    }
    store.offer_enrolment(tenant(), &offer(1, Role::Machine, machine(1).0), OPERATOR, NOW_MS).await.unwrap();
    assert!(store.devices(foreign, GYM).await.unwrap().is_empty());
    assert!(store.device_log(foreign, machine(1).0).await.unwrap().is_empty());
    house.close().await;
}

pub(crate) async fn a_key_names_one_device_for_ever(bench: &Bench) {
    let house = bench.open().await;
    let store = &house.store;
    provision(store).await;
    enrol(store, 1).await;
    store.offer_enrolment(tenant(), &offer(2, Role::Machine, machine(1).0), OPERATOR, NOW_MS).await.unwrap();
    let copied = store.redeem([2; 32], key(1), device(2), NOW_MS).await;
    assert!(matches!(copied, Err(StoreError::Conflict { .. })), "{copied:?}");
    store.redeem([2; 32], key(2), device(2), NOW_MS).await.expect("the code is good still");
    let taken = store.rotate_device_key(device(2), key(2), key(1), NOW_MS + 10, NOW_MS).await;
    assert!(matches!(taken, Err(StoreError::Conflict { .. })), "{taken:?}");
    house.close().await;
}

pub(crate) async fn a_new_key_is_used_beside_the_old_for_the_overlap(bench: &Bench) {
    let house = bench.open().await;
    let store = &house.store;
    provision(store).await;
    enrol(store, 1).await;
    let keys = |record: &storage::DeviceRecord| {
        let mut keys: Vec<(u8, Option<i64>)> = record.keys.iter().map(|key| (key.key[0], key.until_at_ms)).collect();
        keys.sort_unstable();
        keys
    };
    let record = store.rotate_device_key(device(1), key(1), key(2), NOW_MS + 100, NOW_MS + 1).await.unwrap();
    assert_eq!(keys(&record), [(1, Some(NOW_MS + 100)), (2, None)]);
    // The device lost the new key before it kept it, and comes again with the old one: the lost one ends at once.
    let record = store.rotate_device_key(device(1), key(1), key(3), NOW_MS + 200, NOW_MS + 50).await.unwrap();
    assert_eq!(keys(&record), [(1, Some(NOW_MS + 100)), (2, Some(NOW_MS + 50)), (3, None)], "an overlap is not made longer");
    assert_eq!(store.all_devices().await.unwrap(), [record]);
    house.close().await;
}

pub(crate) async fn whoever_redeems_takes_the_place_of_the_one_before(bench: &Bench) {
    let house = bench.open().await;
    let store = &house.store;
    provision(store).await;
    enrol(store, 1).await;
    let made = enrol(store, 2).await;
    assert_eq!(made.replaced, [device(1)]);
    let gone: Vec<_> = store.all_devices().await.unwrap().iter().map(|record| record.revoked_at_ms.is_some()).collect();
    assert_eq!(gone, [true, false]);
    let rotated = store.rotate_device_key(device(1), key(1), key(3), NOW_MS + 10, NOW_MS).await;
    assert!(matches!(rotated, Err(StoreError::NotFound { .. })), "a revoked device has no next key: {rotated:?}");
    house.close().await;
}

pub(crate) async fn marks_are_kept_and_who_made_them(bench: &Bench) {
    let house = bench.open().await;
    let store = &house.store;
    provision(store).await;
    enrol(store, 1).await;
    let mark = |deed, by, at_ms| store.mark_device(tenant(), device(1), deed, by, at_ms);
    assert_eq!(mark(DeviceDeed::Cloned, None, NOW_MS + 1).await.unwrap().cloned_at_ms, Some(NOW_MS + 1));
    assert_eq!(mark(DeviceDeed::Cloned, None, NOW_MS + 2).await.unwrap().cloned_at_ms, Some(NOW_MS + 1));
    assert_eq!(mark(DeviceDeed::Cleared, Some(OPERATOR), NOW_MS + 3).await.unwrap().cloned_at_ms, None);
    assert_eq!(mark(DeviceDeed::Revoked, Some(OPERATOR), NOW_MS + 4).await.unwrap().revoked_at_ms, Some(NOW_MS + 4));
    let foreign = protocol::TenantId(Uuid::from_u128(0xbad));
    let refused = store.mark_device(foreign, device(1), DeviceDeed::Revoked, None, NOW_MS).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
    let own = Some(Actor { role: Role::Gateway, id: GATEWAY.0 });
    let log = store.device_log(tenant(), GATEWAY.0).await.unwrap();
    let told: Vec<_> = log.iter().rev().map(|entry| (entry.what.as_str(), entry.by)).collect();
    let cloned = ("cloned", None);
    let people = [("cleared", Some(OPERATOR)), ("revoked", Some(OPERATOR))];
    assert_eq!(told, [("code_given", Some(OPERATOR)), ("enrolled", own), cloned, cloned, people[0], people[1]]);
    house.close().await;
}

pub(crate) async fn of_many_who_redeem_at_once_one_does(bench: &Bench) {
    let house = bench.open().await;
    provision(&house.store).await;
    house.store.offer_enrolment(tenant(), &offer(1, Role::Gateway, GATEWAY.0), OPERATOR, NOW_MS).await.unwrap();
    let racers = (1..=8_u8).map(|number| {
        let store = house.store.clone();
        tokio::spawn(async move { store.redeem([1; 32], key(number), device(number.into()), NOW_MS).await })
    });
    let mut made = 0;
    for racer in racers.collect::<Vec<_>>() {
        match racer.await.unwrap() {
            Ok(_) => made += 1,
            Err(error) => assert!(matches!(error, StoreError::NotFound { .. }), "{error:?}"),
        }
    }
    assert_eq!(made, 1);
    house.close().await;
}

pub(crate) async fn of_two_codes_at_once_one_device_stands(bench: &Bench) {
    let house = bench.open().await;
    provision(&house.store).await;
    for code in 1..=8 {
        house.store.offer_enrolment(tenant(), &offer(code, Role::Gateway, GATEWAY.0), OPERATOR, NOW_MS).await.unwrap();
    }
    let racers = (1..=8_u8).map(|number| {
        let store = house.store.clone();
        tokio::spawn(async move { store.redeem([number; 32], key(number), device(number.into()), NOW_MS).await })
    });
    for racer in racers.collect::<Vec<_>>() {
        racer.await.unwrap().expect("each code is good");
    }
    assert_eq!(bench.number("select count(*) from devices where revoked_at_ms is null").await, 1);
    assert_eq!(bench.number("select count(*) from devices").await, 8);
    house.close().await;
}

pub(crate) async fn a_code_for_a_machine_that_went_is_good_no_more(bench: &Bench) {
    let house = bench.open().await;
    let store = &house.store;
    provision(store).await;
    store.offer_enrolment(tenant(), &offer(1, Role::Machine, machine(1).0), OPERATOR, NOW_MS).await.unwrap();
    bench.sql("update machines set removed_at_ms = 1").await;
    let late = store.redeem([1; 32], key(1), device(1), NOW_MS).await;
    assert!(matches!(late, Err(StoreError::NotFound { .. })), "{late:?}");
    assert!(store.all_devices().await.unwrap().is_empty());
    house.close().await;
}

/// A store in which one gateway has three devices, as two codes at once could make them before schema 7.
pub(crate) async fn of_devices_that_stand_together_the_last_is_left(bench: &Bench) {
    let house = bench.open().await;
    provision(&house.store).await;
    for number in 1..=3 {
        enrol(&house.store, number).await;
    }
    house.close().await;
    for sql in [
        "drop index devices_standing",
        "drop index packed_kept",
        "drop index packed_kept_of",
        "delete from schema_versions where version = 7",
        "update devices set revoked_at_ms = null",
    ] {
        bench.sql(sql).await;
    }
    let house = bench.open().await;
    let stands: Vec<_> = house.store.all_devices().await.unwrap().iter().map(|record| record.revoked_at_ms.is_none()).collect();
    assert_eq!(stands, [false, false, true]);
    house.close().await;
}
