//! Who rests and who is in a set, as a drain asks.

use protocol::Field;
use protocol::frame::{MachineStatus, ReleaseReason};

use super::kit::*;
use crate::gym::activity::{Activity, Who};
use crate::input::Input;

fn activity(world: &World, who: Who) -> Activity {
    world.gym.activities(world.now).get(&who).copied().unwrap_or_default()
}

fn both(world: &World, n: u8) -> (Activity, Activity) {
    (activity(world, Who::Machine(machine(n))), activity(world, Who::Member(member(n))))
}

#[test]
fn who_moves_is_in_a_set_and_who_stands_rests() {
    let mut world = World::linked(2);
    assert_eq!(both(&world, 2), (Activity::Idle, Activity::Idle));
    let fence = world.claim_by_code(2, 2);
    assert_eq!(both(&world, 2), (Activity::Resting, Activity::Resting), "claimed, nothing read yet");
    world.read(2, &[(Field::Power, 150), (Field::Cadence, 160)]);
    world.tick_for(50);
    assert_eq!(both(&world, 2), (Activity::InSet, Activity::InSet));
    world.tick_for(1_000);
    world.read(2, &[(Field::Power, 0), (Field::Cadence, 0)]);
    assert_eq!(both(&world, 2), (Activity::Resting, Activity::Resting));
    world.state(2, MachineStatus::Active);
    world.read(2, &[(Field::Power, 150), (Field::Cadence, 160)]);
    world.tick_for(5_000);
    assert_eq!(activity(&world, Who::Member(member(2))), Activity::InSet, "nothing was heard lately, and nothing says that it stopped");
    world.state(2, MachineStatus::Paused);
    world.tick_for(50);
    assert_eq!(activity(&world, Who::Member(member(2))), Activity::Resting);
    world.step(Input::Revoke { machine: machine(2), fence, reason: ReleaseReason::Released });
    assert_eq!(both(&world, 2), (Activity::Idle, Activity::Idle));
}

#[test]
fn a_machine_that_moves_without_a_member_is_not_disturbed_either() {
    let mut world = World::linked(1);
    world.read(1, &[(Field::Speed, 900)]);
    assert_eq!(activity(&world, Who::Machine(machine(1))), Activity::InSet);
    world.tick_for(4_000);
    assert_eq!(activity(&world, Who::Machine(machine(1))), Activity::Idle, "nothing was heard for longer than a reading is fresh");
}

#[test]
fn a_workout_whose_link_is_lost_counts_as_a_set() {
    let mut world = World::linked(1);
    world.claim_by_code(1, 1);
    world.read(1, &[(Field::Speed, 900)]);
    world.tick_for(5_000);
    world.gone(LINK);
    assert_eq!(both(&world, 1), (Activity::InSet, Activity::InSet));
}
