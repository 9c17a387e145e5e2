//! Where things are: machine, workout and member to gym, gym to shard.
//!
//! In: what the store said at start, what the HTTP API provisions, what rooms decide (claims, workouts, visits). Out: the route of a frame
//! and what the table of rights wants to know of its object. Only what routing and rights need: the rooms own the state. Look-ups copy
//! out and never hold a guard across an await.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use dashmap::DashMap;
use protocol::text::Text;
use protocol::{BoardId, GatewayId, GymId, MachineId, MemberId, TenantId, WorkoutId};
use room::input::MemberRecord;
use uuid::Uuid;

/// Sensors of one member's own devices that are known at a time.
const SENSORS_MAX: usize = 16;

/// A gym.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GymPlace {
    /// Whose.
    pub tenant: TenantId,
    /// Which shard steps it.
    pub shard: usize,
}

/// A machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachinePlace {
    /// Whose.
    pub tenant: TenantId,
    /// Where it stands.
    pub gym: GymId,
    /// The gateway that may publish it.
    pub gateway: Option<GatewayId>,
    /// Who holds it, with the fence.
    pub holder: Option<(MemberId, u64)>,
}

/// A workout that is not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkoutPlace {
    /// Whose tenant.
    pub tenant: TenantId,
    /// Where.
    pub gym: GymId,
    /// Whose.
    pub member: MemberId,
}

/// A member, as far as it is known here.
#[derive(Debug, Clone, Default)]
struct MemberPlace {
    tenant: Option<TenantId>,
    record: Option<Arc<MemberRecord>>,
    gym: Option<GymId>,
    gyms: HashSet<GymId>,
}

/// All of them.
pub struct Registry {
    shards: NonZeroUsize,
    gyms: DashMap<GymId, GymPlace>,
    machines: DashMap<MachineId, MachinePlace>,
    workouts: DashMap<WorkoutId, WorkoutPlace>,
    boards: DashMap<BoardId, GymId>,
    members: DashMap<MemberId, MemberPlace>,
    /// Sensors of members' own devices, the oldest first.
    sensors: DashMap<(TenantId, MemberId), Vec<(Text<32>, GymId)>>,
}

impl Registry {
    /// An empty registry over so many shards.
    #[must_use]
    pub fn new(shards: NonZeroUsize) -> Self {
        Self {
            shards,
            gyms: DashMap::new(),
            machines: DashMap::new(),
            workouts: DashMap::new(),
            boards: DashMap::new(),
            members: DashMap::new(),
            sensors: DashMap::new(),
        }
    }

    /// How many shards there are.
    #[must_use]
    pub const fn shards(&self) -> NonZeroUsize {
        self.shards
    }

    /// The shard that an id belongs to: ids are random in their low half.
    #[must_use]
    pub fn shard_of(&self, id: Uuid) -> usize {
        let (_, low) = id.as_u64_pair();
        (low % self.shards.get() as u64) as usize
    }

    /// Knows a gym. Answers where it is stepped.
    pub fn add_gym(&self, gym: GymId, tenant: TenantId) -> GymPlace {
        let place = GymPlace { tenant, shard: self.shard_of(gym.0) };
        self.gyms.insert(gym, place);
        place
    }

    /// Where a gym is stepped.
    #[must_use]
    pub fn gym(&self, gym: GymId) -> Option<GymPlace> {
        self.gyms.get(&gym).map(|place| *place)
    }

    /// All gyms.
    #[must_use]
    pub fn gyms(&self) -> Vec<(GymId, GymPlace)> {
        self.gyms.iter().map(|entry| (*entry.key(), *entry.value())).collect()
    }

    /// Knows a machine, or what changed of it. Its holder stays.
    pub fn add_machine(&self, machine: MachineId, gym: GymId, gateway: Option<GatewayId>) {
        let Some(place) = self.gym(gym) else { return };
        let mut entry = self.machines.entry(machine).or_insert(MachinePlace { tenant: place.tenant, gym, gateway, holder: None });
        (entry.tenant, entry.gym, entry.gateway) = (place.tenant, gym, gateway);
    }

    /// Forgets a machine.
    pub fn remove_machine(&self, machine: MachineId) {
        self.machines.remove(&machine);
    }

    /// Where a machine stands and who may publish and who holds it.
    #[must_use]
    pub fn machine(&self, machine: MachineId) -> Option<MachinePlace> {
        self.machines.get(&machine).map(|place| *place)
    }

    /// All machines, by gym.
    #[must_use]
    pub fn machines_by_gym(&self) -> HashMap<GymId, Vec<MachineId>> {
        let mut found: HashMap<GymId, Vec<MachineId>> = HashMap::new();
        self.machines.iter().for_each(|entry| found.entry(entry.gym).or_default().push(*entry.key()));
        found
    }

    /// A member holds the machine.
    pub fn claimed(&self, machine: MachineId, member: MemberId, fence: u64) {
        if let Some(mut place) = self.machines.get_mut(&machine) {
            place.holder = Some((member, fence));
        }
    }

    /// The claim of this fence is over.
    pub fn released(&self, machine: MachineId, fence: u64) {
        if let Some(mut place) = self.machines.get_mut(&machine)
            && place.holder.is_some_and(|(_, held)| held <= fence)
        {
            place.holder = None;
        }
    }

    /// A workout runs in a gym. One that another tenant has stays where it is: a machine may name any id as the one that it kept.
    pub fn add_workout(&self, workout: WorkoutId, gym: GymId, member: MemberId) {
        if let Some(place) = self.gym(gym) {
            let here = WorkoutPlace { tenant: place.tenant, gym, member };
            let mut known = self.workouts.entry(workout).or_insert(here);
            if known.tenant == here.tenant {
                *known = here;
            }
            drop(known);
            self.member_known_in(member, gym);
        }
    }

    /// A workout is sealed and over.
    pub fn remove_workout(&self, workout: WorkoutId) {
        self.workouts.remove(&workout);
    }

    /// Where a workout runs and whose it is.
    #[must_use]
    pub fn workout(&self, workout: WorkoutId) -> Option<WorkoutPlace> {
        self.workouts.get(&workout).map(|place| *place)
    }

    /// A board stands in a gym.
    pub fn add_board(&self, board: BoardId, gym: GymId) {
        self.boards.insert(board, gym);
    }

    /// A board is no more.
    pub fn remove_board(&self, board: BoardId) {
        self.boards.remove(&board);
    }

    /// The gym that a board stands in.
    #[must_use]
    pub fn board(&self, board: BoardId) -> Option<GymId> {
        self.boards.get(&board).map(|gym| *gym)
    }

    /// The member has something in this gym, such as a place on a board, wherever they are now.
    pub fn member_known_in(&self, member: MemberId, gym: GymId) {
        let tenant = self.gym(gym).map(|place| place.tenant);
        let mut place = self.members.entry(member).or_default();
        place.gyms.insert(gym);
        place.tenant = place.tenant.or(tenant);
    }

    /// The member trains in this gym now.
    pub fn member_in(&self, member: MemberId, gym: GymId) {
        self.member_known_in(member, gym);
        self.members.entry(member).or_default().gym = Some(gym);
    }

    /// The gym where the member was last seen.
    #[must_use]
    pub fn gym_of_member(&self, member: MemberId) -> Option<GymId> {
        self.members.get(&member).and_then(|place| place.gym)
    }

    /// All gyms of the tenant that the member was seen in since the start.
    #[must_use]
    pub fn gyms_of_member(&self, tenant: TenantId, member: MemberId) -> Vec<GymId> {
        let seen: Vec<GymId> = self.members.get(&member).map(|place| place.gyms.iter().copied().collect()).unwrap_or_default();
        seen.into_iter().filter(|gym| self.gym(*gym).is_some_and(|place| place.tenant == tenant)).collect()
    }

    /// Knows whose a member is, and their record.
    pub fn add_member(&self, member: MemberId, tenant: TenantId, record: Arc<MemberRecord>) {
        let mut place = self.members.entry(member).or_default();
        (place.tenant, place.record) = (Some(tenant), Some(record));
    }

    /// Tenant and record of a member, where it was read from the store before.
    #[must_use]
    pub fn member(&self, member: MemberId) -> Option<(TenantId, Arc<MemberRecord>)> {
        let place = self.members.get(&member)?;
        Some((place.tenant?, place.record.clone()?))
    }

    /// Every member whose record was read, with it.
    #[must_use]
    pub fn members(&self) -> Vec<(MemberId, TenantId, Arc<MemberRecord>)> {
        self.members.iter().filter_map(|entry| Some((*entry.key(), entry.tenant?, entry.record.clone()?))).collect()
    }

    /// Forgets a member who was erased; a record that is known to be of another tenant stays.
    pub fn forget_member(&self, tenant: TenantId, member: MemberId) {
        self.members.remove_if(&member, |_, place| place.tenant.is_none_or(|of| of == tenant));
        self.sensors.remove(&(tenant, member));
    }

    /// The gym that a member's own device reports to. Of one member the last [`SENSORS_MAX`] are known: names of sensors are free, and one that is
    /// bound again is known again.
    pub fn add_source(&self, (tenant, member): (TenantId, MemberId), sensor: &Text<32>, gym: GymId) {
        let mut sensors = self.sensors.entry((tenant, member)).or_default();
        sensors.retain(|(known, _)| known != sensor);
        if sensors.len() >= SENSORS_MAX {
            sensors.remove(0);
        }
        sensors.push((sensor.clone(), gym));
    }

    /// The gym that hears what became of a source's readings.
    #[must_use]
    pub fn gym_of_source(&self, source: &storage::SourceKey) -> Option<GymId> {
        match source {
            storage::SourceKey::Machine(machine, _) => self.machine(*machine).map(|place| place.gym),
            storage::SourceKey::Member(tenant, member, sensor) => {
                let sensors = self.sensors.get(&(*tenant, *member))?;
                sensors.iter().find(|(known, _)| known == sensor).map(|(_, gym)| *gym)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn registry() -> Registry {
        let registry = Registry::new(NonZeroUsize::new(3).expect("not zero"));
        registry.add_gym(GymId(id(7)), TenantId(id(1)));
        registry.add_machine(MachineId(id(70)), GymId(id(7)), Some(GatewayId(id(8))));
        registry
    }

    #[test]
    fn a_machine_is_found_with_its_gym_tenant_and_gateway() {
        let place = registry().machine(MachineId(id(70))).expect("known");
        assert_eq!((place.tenant, place.gym, place.gateway), (TenantId(id(1)), GymId(id(7)), Some(GatewayId(id(8)))));
    }

    #[test]
    fn an_older_release_does_not_end_a_newer_claim() {
        let registry = registry();
        let machine = MachineId(id(70));
        registry.claimed(machine, MemberId(id(5)), 10);
        registry.released(machine, 9);
        assert!(registry.machine(machine).expect("known").holder.is_some());
        registry.released(machine, 10);
        assert!(registry.machine(machine).expect("known").holder.is_none());
    }

    #[test]
    fn a_workout_of_another_tenant_is_not_moved() {
        let registry = registry();
        registry.add_gym(GymId(id(9)), TenantId(id(2)));
        let workout = WorkoutId(id(30));
        registry.add_workout(workout, GymId(id(7)), MemberId(id(5)));
        registry.add_workout(workout, GymId(id(9)), MemberId(id(6)));
        assert_eq!(registry.workout(workout), Some(WorkoutPlace { tenant: TenantId(id(1)), gym: GymId(id(7)), member: MemberId(id(5)) }));
    }

    #[test]
    fn of_one_member_the_last_sensors_are_known() {
        let (registry, member) = (registry(), MemberId(id(5)));
        let sensor = |n: usize| Text::cut(&format!("belt {n}"));
        let key = |n: usize, tenant: u128| storage::SourceKey::Member(TenantId(id(tenant)), member, sensor(n));
        for n in 0..=SENSORS_MAX {
            registry.add_source((TenantId(id(1)), member), &sensor(n), GymId(id(7)));
        }
        assert_eq!((registry.gym_of_source(&key(0, 1)), registry.gym_of_source(&key(1, 1))), (None, Some(GymId(id(7)))));
        registry.add_source((TenantId(id(1)), member), &sensor(0), GymId(id(7)));
        assert_eq!((registry.gym_of_source(&key(0, 1)), registry.gym_of_source(&key(1, 1))), (Some(GymId(id(7))), None));
        assert_eq!(registry.gym_of_source(&key(0, 2)), None, "another tenant's device of the same subject is another one");
    }

    #[test]
    fn a_machine_of_an_unknown_gym_is_not_known() {
        let registry = registry();
        registry.add_machine(MachineId(id(71)), GymId(id(9)), None);
        assert_eq!(registry.machine(MachineId(id(71))), None);
    }
}
