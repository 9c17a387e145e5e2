//! After a start beside another hub: what that one still changed in the store, until it is gone.
//!
//! In: the store, again and again for a while. Out: the same inputs as at the start, for what is new. A hub reads the store once and then knows better than
//! it; during an upgrade two hubs stand on one store for some seconds, and the older one goes on granting claims, ending them and answering
//! the API. Only a hub that was handed its listener follows: no other has a predecessor. Nobody waits for it, and no session asks the store.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use protocol::frame::ReleaseReason;
use protocol::{GymId, MachineId};
use room::Input;
use storage::{GymSeed, StoreError};
use tokio::time::Instant;

use crate::hub::Hub;
use crate::seed;

/// How long the predecessor may live: its drain ends within `drain.grace`, and whoever upgrades has as long to tell it to.
const FOR: Duration = Duration::from_secs(120);
/// Pause between two looks; a look that takes long is followed by a longer one.
const PAUSE: Duration = Duration::from_secs(1);
/// Members are one question each: they are looked at in one look of so many.
const MEMBERS_EVERY: u32 = 10;
/// A look takes at most one part in so many of the time.
const SHARE: u32 = 10;

/// Follows until the predecessor must be gone, or the node stops.
pub(crate) async fn follow(hub: Arc<Hub>) {
    let (until, stopped) = (Instant::now() + FOR, hub.tasks.stopped());
    let mut looks = 0_u32;
    while Instant::now() < until {
        let began = Instant::now();
        looks += 1;
        if let Err(error) = look(&hub, looks.is_multiple_of(MEMBERS_EVERY)).await {
            tracing::warn!(error = %crate::chain(&error), "what another hub changed could not be read; it is tried again");
        }
        tokio::select! {
            () = stopped.cancelled() => return,
            () = tokio::time::sleep(PAUSE.max(began.elapsed() * SHARE)) => (),
        }
    }
}

/// One look at gyms and revocations, and at members where wanted.
async fn look(hub: &Hub, with_members: bool) -> Result<(), StoreError> {
    seed::revocations(hub).await?;
    seed::devices(hub).await?;
    // Before the store: what is provisioned here meanwhile must not look like removed there.
    let mut machines = hub.registry.machines_by_gym();
    for found in hub.store.all_gyms().await? {
        let gym = found.gym.gym;
        let known = machines.remove(&gym).unwrap_or_default();
        let Some(seed) = hub.store.gym_seed(gym).await? else { continue };
        match hub.registry.gym(gym) {
            None => seed::open(hub, seed),
            Some(_) => compare(hub, gym, &known, seed),
        }
        seed::boards(hub, gym).await?;
    }
    if with_members { members(hub).await } else { Ok(()) }
}

/// What changed in a gym that is known.
fn compare(hub: &Hub, gym: GymId, known: &[MachineId], seed: GymSeed) {
    let new_workouts = seed.workouts.into_iter().filter(|workout| hub.registry.workout(workout.record.workout).is_none()).collect();
    // Only of members who were not seen in this gym: a visit that is told again would be news to their phones each second.
    let seen = |visit: &storage::VisitRecord| hub.registry.gyms_of_member(seed.tenant, visit.member).contains(&gym);
    let new_visits = seed.visits.into_iter().filter(|visit| !seen(visit)).collect();
    seed::trainings(hub, gym, new_visits, new_workouts, seed.boots);
    let stored: HashSet<MachineId> = seed.machines.iter().map(|machine| machine.record.machine).collect();
    known.iter().filter(|machine| !stored.contains(machine)).for_each(|machine| hub.remove_machine(*machine));
    // Claims that began first: a workout that moved on to another machine does not end with the claim that it left.
    let over: Vec<_> = seed.machines.iter().filter_map(|machine| ended(hub, machine)).collect();
    for machine in seed.machines {
        let record = seed::machine_record(machine);
        hub.registry.add_machine(record.machine, gym, record.gateway);
        hub.to_gym(gym, Input::ChangedBeside { record: Box::new(record) });
    }
    for (machine, fence) in over {
        hub.to_gym(gym, Input::Revoke { machine, fence, reason: ReleaseReason::Superseded });
    }
}

/// The claim that is thought to stand here and is over by the store, which knows it: it has this fence or a newer one.
fn ended(hub: &Hub, stored: &storage::MachineSeed) -> Option<(MachineId, u64)> {
    let machine = stored.record.machine;
    let (_, fence) = hub.registry.machine(machine)?.holder?;
    let stands = stored.claim.is_some_and(|claim| claim.fence == fence);
    (stored.fence >= fence && !stands).then_some((machine, fence))
}

/// Members of whom something is known here: consent that was withdrawn at the other hub counts here too.
async fn members(hub: &Hub) -> Result<(), StoreError> {
    for (member, tenant, known) in hub.registry.members() {
        let read = hub.read_member(tenant, member).await?;
        if read != *known {
            hub.member_changed(tenant, member, &read);
        }
    }
    Ok(())
}
