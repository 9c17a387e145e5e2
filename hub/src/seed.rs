//! What the store knows, brought to where it is needed before the first connection.
//!
//! In: gyms, machines with their claims, running workouts and visits, revocations. Out: the registry filled, and inputs for the gyms. What machines keep
//! themselves (claim, fence, workout) comes again in their `hello` and is believed unless the store has a newer fence.

use std::collections::HashMap;
use std::sync::Arc;

use protocol::{CloseReason, GymId, TenantId};
use room::Input;
use room::board::{STAYS_MS, amount};
use room::input::{BoardPart, BoardRecord, MachineRecord, MemberRecord, WorkoutRange, WorkoutRecord};
use storage::{BoardSeed, BootRecord, GymSeed, MachineSeed, StoreError, VisitRecord, WorkoutDetail};

use crate::auth::Revoked;
use crate::hub::Hub;
use crate::keep::room_key;

/// Reads everything.
pub(crate) async fn load(hub: &Hub) -> Result<(), StoreError> {
    revocations(hub).await?;
    devices(hub).await?;
    let gyms = hub.store.all_gyms().await?;
    for found in &gyms {
        let gym = found.gym.gym;
        if let Some(seed) = hub.store.gym_seed(gym).await? {
            open(hub, seed);
        }
        boards(hub, gym).await?;
    }
    tracing::info!(gyms = gyms.len(), "gyms are open");
    Ok(())
}

/// Takes up the boards of a gym that are not known yet.
pub(crate) async fn boards(hub: &Hub, gym: GymId) -> Result<(), StoreError> {
    let seeds = hub.store.board_seeds(gym, crate::clock::at_ms() - STAYS_MS).await?;
    let records = seeds.into_iter().map(board_record);
    records.filter(|record| hub.registry.board(record.board).is_none()).for_each(|record| hub.add_board(gym, record));
    Ok(())
}

/// Reads who is enrolled with which keys, and closes the sockets of those who were revoked elsewhere.
pub(crate) async fn devices(hub: &Hub) -> Result<(), StoreError> {
    for device in hub.store.all_devices().await? {
        if device.revoked_at_ms.is_some() && hub.devices.good(device.device).is_ok() {
            hub.devices.end(device, CloseReason::DeviceRevoked);
        } else {
            hub.devices.put(device);
        }
    }
    Ok(())
}

/// Reads what is revoked: whole tenants and subjects first, which hit the most.
pub(crate) async fn revocations(hub: &Hub) -> Result<(), StoreError> {
    let mut stored = hub.store.revocations(crate::clock::at_ms()).await?;
    stored.sort_by_key(|revocation| match revocation.revoked {
        storage::Revoked::IssuedBefore(_) => 0,
        storage::Revoked::Subject(..) => 1,
        storage::Revoked::Token(_) => 2,
    });
    let mut left = 0_u64;
    for revocation in stored {
        let revoked = revoked_of(revocation.revoked);
        left += u64::from(hub.verifier.revocations().add(revocation.tenant, &revoked, revocation.until_at_ms).is_err());
    }
    if left > 0 {
        tracing::error!(revocations.left = left, "the store has more revocations than may be kept: the rest is not enforced");
    }
    Ok(())
}

/// Takes up one gym.
pub(crate) fn open(hub: &Hub, seed: GymSeed) {
    let gym = seed.gym.gym;
    hub.add_gym(gym, seed.tenant, seed.gym.name);
    trainings(hub, gym, seed.visits, seed.workouts, seed.boots);
    // Last: the claim of a machine goes on with its visit and its workout.
    for machine in seed.machines {
        hub.add_machine(gym, machine_record(machine));
    }
}

/// Takes up visits and workouts that run.
pub(crate) fn trainings(hub: &Hub, gym: GymId, visits: Vec<VisitRecord>, workouts: Vec<WorkoutDetail>, boots: Vec<BootRecord>) {
    for visit in visits {
        hub.registry.member_in(visit.member, gym);
        let VisitRecord { visit, member, started_at_ms, machines, .. } = visit;
        hub.to_gym(gym, Input::VisitKnown { member, visit, started_at_ms, machines });
    }
    let Some(tenant) = hub.registry.gym(gym).map(|place| place.tenant) else { return };
    let boots: Boots = boots.into_iter().map(|boot| ((boot.source, boot.boot), boot.stored)).collect();
    for workout in workouts {
        hub.registry.add_workout(workout.record.workout, gym, workout.record.member);
        if workout.record.stage != protocol::frame::WorkoutStage::Ended {
            hub.registry.member_in(workout.record.member, gym);
        }
        hub.to_gym(gym, Input::WorkoutKnown { record: Box::new(workout_record(hub, (tenant, gym), workout, &boots)) });
    }
}

/// A board with what was counted before.
#[must_use]
pub fn board_record(seed: BoardSeed) -> BoardRecord {
    let storage::BoardRecord { board, name, metric, machines, starts_at_ms, ends_at_ms, every_ms, .. } = seed.record;
    let parts = seed.scores.into_iter().map(|score| {
        // A workout that was sealed when the node went down is settled by its totals.
        let sealed = || score.totals.map(|totals| amount(metric, &totals).saturating_sub(score.base));
        let (workout, member, base) = (score.workout, score.member, score.base);
        BoardPart { workout, member, base, score: score.score.or_else(sealed), name: score.name }
    });
    BoardRecord { board, name, metric, machines, starts_at_ms, ends_at_ms, every_ms, parts: parts.collect() }
}

/// A member as rooms want them.
#[must_use]
pub fn member_record(stored: &storage::MemberRecord) -> MemberRecord {
    MemberRecord {
        handle: stored.handle.clone(),
        wall_consent: stored.consents.wall,
        teams: stored.teams.clone(),
        ceiling_bpm: stored.ceiling_bpm,
        achievements: stored.achievements.clone(),
        max_heart_rate_bpm: stored.max_heart_rate_bpm,
    }
}

/// A machine as rooms want it.
#[must_use]
pub fn machine_record(seed: MachineSeed) -> MachineRecord {
    MachineRecord {
        machine: seed.record.machine,
        name: seed.record.name,
        location: seed.record.location,
        kind: seed.record.kind,
        gateway: seed.record.gateway,
        maintenance: seed.maintenance,
        tickets: seed.tickets,
        claim: seed.claim,
        may_control: seed.may_control,
        fence: seed.fence,
    }
}

/// What is stored of boots.
type Boots = HashMap<(Arc<storage::SourceKey>, u32), protocol::SeqRanges>;

fn workout_record(hub: &Hub, (tenant, gym): (TenantId, GymId), workout: WorkoutDetail, boots: &Boots) -> WorkoutRecord {
    let ranges = workout.ranges.into_iter().map(|range| {
        let source = room_key(&range.source);
        if let Some(member) = source.member {
            hub.registry.add_source((tenant, member), &source.sensor, gym);
        }
        let stored = boots.get(&(range.source, range.boot)).cloned().unwrap_or_default();
        (WorkoutRange { source, boot: range.boot, from_seq: range.from_seq, to_seq: range.to_seq }, stored)
    });
    WorkoutRecord {
        workout: workout.record.workout,
        member: workout.record.member,
        started_at_ms: workout.record.started_at_ms,
        ended_at_ms: workout.record.ended_at_ms,
        stage: workout.record.stage,
        visit: workout.record.visit,
        ranges: ranges.collect(),
    }
}

/// A stored revocation as the verifier wants it.
#[must_use]
pub fn revoked_of(revoked: storage::Revoked) -> Revoked {
    match revoked {
        storage::Revoked::Token(id) => Revoked::Token(id),
        storage::Revoked::Subject(subject, before_ms) => Revoked::Subject(subject, before_ms),
        storage::Revoked::IssuedBefore(before_ms) => Revoked::IssuedBefore(before_ms),
    }
}
