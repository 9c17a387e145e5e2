//! Effects, carried out in the order in which a step asked for them.
//!
//! In: what one step appended. Out: frames in outboxes, rows and facts at the Recorder, words to other state machines, what the registry must know.
//! Nothing here waits; what could (a look at the store) is a task of its own whose answer comes in as an input.

use std::time::Duration;

use protocol::{GymId, MemberId, TenantId};
use room::effect::{KeepWhat, Persist};
use room::{Effect, Input, Tell};

use super::inbox::Order;
use super::task::Shard;
use crate::registry::Registry;

/// A member's record is asked for this often before it is given up until the member matters again.
const LOOK_UPS_MAX: u32 = 10;
/// Pause between two such questions.
const LOOK_UP_PAUSE: Duration = Duration::from_secs(1);

/// Whose step it was.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stepped {
    /// A gym's.
    Gym(GymId),
    /// A member's of this tenant.
    Member(TenantId),
}

/// Whose a gym is. Only gyms keep rows and stretches of them, and a gym that is stepped is known.
fn tenant_in(registry: &Registry, gym: Option<GymId>) -> TenantId {
    gym.and_then(|gym| registry.gym(gym)).map_or(TenantId(uuid::Uuid::nil()), |place| place.tenant)
}

impl Shard {
    /// Carries out the effects of one step.
    pub(super) fn perform(&mut self, stepped: Stepped, effects: &mut Vec<Effect>) {
        // A gym's rooms are its tenant's alone; two tenants may have tokens for one member id.
        let (gym, of) = match stepped {
            Stepped::Gym(gym) => (Some(gym), None),
            Stepped::Member(tenant) => (None, Some(tenant)),
        };
        for effect in effects.drain(..) {
            match effect {
                Effect::Deliver { to, lane, frame } => self.watchers.deliver(to, lane, &frame),
                Effect::Broadcast { room, audience, lane, frame } => self.watchers.broadcast(room, of, audience, lane, &frame),
                Effect::Watch { room, session, class, staff } => self.watchers.watch(room, session, class, staff),
                Effect::Unwatch { room, session } => self.watchers.unwatch(room, session),
                Effect::Keep(keep) => {
                    let (source, seq, absorbed) = (keep.handle, keep.seq, keep.absorbed.clone());
                    let through = if let KeepWhat::Lost { to } = keep.what { to } else { seq };
                    let registry = &self.hub.registry;
                    if self.keeper.keep(|| tenant_in(registry, gym), keep).is_err()
                        && let Some(gym) = gym
                    {
                        let input = Input::NotAccepted { source, seq, through, absorbed };
                        self.again.push_back(Order::Gym { gym, from: None, input });
                    }
                }
                Effect::Persist(fact) => {
                    self.note(&fact);
                    let registry = &self.hub.registry;
                    self.keeper.persist(|| tenant_in(registry, gym), fact);
                }
                Effect::Tell(tell) => self.tell(gym, tell),
                Effect::Close { session, reason } => self.watchers.close(session, reason),
                Effect::Count(counter) => self.hub.metrics.room(counter),
            }
        }
    }

    /// What routing and rights must know of a fact, before anybody hears of it.
    fn note(&self, fact: &Persist) {
        use protocol::frame::{VisitState, WorkoutStage};
        let registry = &self.hub.registry;
        match fact {
            Persist::Claim { machine, member, fence, .. } => registry.claimed(*machine, *member, *fence),
            Persist::ClaimEnded { machine, fence, .. } => registry.released(*machine, *fence),
            Persist::Workout { workout, stage: WorkoutStage::Sealed, .. } => registry.remove_workout(*workout),
            Persist::Workout { workout, gym, member, stage, .. } => {
                registry.add_workout(*workout, *gym, *member);
                // The end of one says nothing of where its member is now.
                if *stage != WorkoutStage::Ended {
                    registry.member_in(*member, *gym);
                }
            }
            Persist::Visit { gym, member, state: VisitState::Active, .. } => registry.member_in(*member, *gym),
            _ => (),
        }
    }

    fn tell(&mut self, gym: Option<GymId>, tell: Tell) {
        let registry = &self.hub.registry;
        let (shard, order) = match tell {
            Tell::Member { member, input } => {
                let Some(tenant) = self.tenant_of(gym) else { return };
                (registry.shard_of(member.0), Order::Member { member, tenant, from: None, input: *input })
            }
            Tell::Gym { gym, input } => (registry.shard_of(gym.0), Order::Gym { gym, from: None, input: *input }),
            Tell::LookUpMember { gym, member } => return self.look_up(gym, member),
            Tell::ForgetBoard { board } => return registry.remove_board(board),
        };
        if shard == self.index {
            self.again.push_back(order);
        } else {
            self.hub.shards.owe(shard, order);
        }
    }

    fn tenant_of(&self, gym: Option<GymId>) -> Option<TenantId> {
        gym.and_then(|gym| self.hub.registry.gym(gym)).map(|place| place.tenant)
    }

    /// Reads a member's record; while the store is away it is asked again for a while.
    fn look_up(&self, gym: GymId, member: MemberId) {
        let Some(tenant) = self.tenant_of(Some(gym)) else { return };
        let hub = self.hub.clone();
        let stopped = hub.tasks.stopped();
        self.hub.tasks.spawn("member look-up", async move {
            for _ in 0..LOOK_UPS_MAX {
                match hub.read_member(tenant, member).await {
                    Ok(record) => {
                        let input = Input::MemberKnown { member, record };
                        return hub.shards.owe(hub.registry.shard_of(gym.0), Order::Gym { gym, from: None, input });
                    }
                    Err(error) => tracing::warn!(error = %crate::chain(&error), "a member's record could not be read"),
                }
                tokio::select! {
                    () = stopped.cancelled() => return,
                    () = tokio::time::sleep(LOOK_UP_PAUSE) => (),
                }
            }
        });
    }
}
