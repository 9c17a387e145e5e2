//! What a SIGKILL must not forget comes back from the machines and the store.

use protocol::frame::*;
use protocol::*;
use uuid::Uuid;

use super::kit::*;
use crate::input::{Input, MachineRecord, SourceKey, WorkoutRange, WorkoutRecord};

fn kept(fence: u64) -> HeldClaim {
    HeldClaim { member: member(1), fence, workout: WorkoutId(Uuid::from_u128(0x77)) }
}

#[test]
fn a_claim_that_the_machine_kept_is_believed_and_goes_on_under_its_fence() {
    let mut world = World::started(1, 2);
    world.hello(1, Some(kept(1 << 24 | 5)));
    assert_eq!((world.fence(1), world.workout(1)), (1 << 24 | 5, kept(0).workout));
    assert!(
        world.hear(LINK).iter().any(|frame| matches!(frame, ServerFrame::MachineReady(ready) if ready.claim == Some(kept(1 << 24 | 5))))
    );
    assert!(world.members.contains_key(&member(1)), "the member's room knows");
    world.step(Input::Revoke { machine: machine(1), fence: 1 << 24 | 5, reason: ReleaseReason::Released });
    assert!(world.claim_by_code(2, 1) > 1 << 24 | 5, "fences only grow");
}

#[test]
fn a_claim_older_than_the_stores_fence_is_cleared() {
    let mut world = World::started(0, 2);
    world.step(Input::MachineKnown { record: Box::new(MachineRecord { fence: 1 << 24 | 9, ..record(1) }) });
    world.hello(1, Some(kept(1 << 24 | 5)));
    assert_eq!(world.fence(1), 0);
    assert!(world.hear(LINK).iter().any(|frame| matches!(frame, ServerFrame::ClaimClear(clear) if clear.fence == 1 << 24 | 5)));
}

#[test]
fn a_fence_that_no_hub_could_have_given_is_cleared() {
    let mut world = World::started(1, 2);
    world.hello(1, Some(kept(u64::MAX)));
    assert_eq!(world.fence(1), 0);
    assert!(world.heard[&LINK].iter().any(|frame| matches!(frame, ServerFrame::ClaimClear(_))));
    assert_ne!(world.claim_by_code(1, 1), 0, "and the machine can be claimed");
}

#[test]
fn a_claim_that_the_store_did_not_get_to_know_may_not_move_a_motor() {
    let mut world = World::started(2, 2);
    world.hello(1, Some(kept(1 << 24 | 5)));
    world.hello(2, Some(HeldClaim { member: member(2), fence: 1 << 24 | 6, workout: WorkoutId(Uuid::from_u128(0x78)) }));
    let may = |world: &World, n| world.gym.machines[&machine(n)].hold.as_ref().expect("believed").may_control;
    assert!(!may(&world, 1) && may(&world, 2));
}

#[test]
fn a_claim_of_the_store_stands_before_its_machine_is_back_and_keeps_its_control() {
    let mut world = World::started(0, 2);
    let record = MachineRecord { claim: Some(kept(1 << 24 | 5)), fence: 1 << 24 | 5, may_control: true, ..record(1) };
    world.step(Input::MachineKnown { record: Box::new(record) });
    assert_eq!((world.fence(1), world.availability(1)), (1 << 24 | 5, Availability::Unknown));
    world.hello(1, Some(kept(1 << 24 | 5)));
    assert_eq!(world.availability(1), Availability::Occupied);
    assert!(world.gym.machines[&machine(1)].hold.as_ref().expect("held").may_control);
    assert!(!world.hear(LINK).iter().any(|frame| matches!(frame, ServerFrame::ClaimClear(_))));
}

#[test]
fn of_two_machines_that_say_a_member_holds_them_the_newer_fence_stands() {
    let mut world = World::started(2, 2);
    world.hello(1, Some(kept(1 << 24 | 9)));
    world.hello(2, Some(HeldClaim { fence: 1 << 24 | 5, ..kept(0) }));
    assert_eq!((world.fence(1), world.fence(2)), (1 << 24 | 9, 0));
}

#[test]
fn a_workout_goes_on_where_it_was_and_takes_the_buffer_of_its_source() {
    let mut world = World::started(0, 2);
    let source = SourceKey { machine: Some(machine(1)), member: None, sensor: text::Text::cut("ftms") };
    let ranges = vec![(WorkoutRange { source, boot: 3, from_seq: 10, to_seq: u32::MAX }, SeqRanges::from_iter([(1, 11)]))];
    let (workout, visit) = (kept(0).workout, VisitId(Uuid::from_u128(0x88)));
    let stage = WorkoutStage::Live;
    let known = WorkoutRecord { workout, member: member(1), started_at_ms: EPOCH_MS - 60_000, ended_at_ms: None, stage, visit, ranges };
    world.step(Input::WorkoutKnown { record: Box::new(known) });
    let record = MachineRecord { claim: Some(kept(1 << 24 | 5)), fence: 1 << 24 | 5, ..record(1) };
    world.step(Input::MachineKnown { record: Box::new(record) });
    world.hello(1, Some(kept(1 << 24 | 5)));
    world.bind_one(1, 3, SeqRanges::from_iter([(12, 20)]));
    assert_eq!(world.gym.workouts[&workout].seed().started_at_ms, EPOCH_MS - 60_000);
    assert_eq!(world.gym.workouts[&workout].seed().visit, visit);
    let source = &world.gym.sources[&crate::input::SourceHandle(1)];
    assert_eq!(source.workout_of(15).map(|of| of.0), Some(workout));
    assert_eq!(source.workout_of(9), None, "what was read before the claim is not of it");
}

#[test]
fn the_same_seed_and_inputs_make_the_same_effects() {
    let play = || {
        let mut world = World::linked(2);
        world.claim_by_code(1, 1);
        world.stop(phone(1), 1, 4);
        world.tick_for(2_000);
        world.effects
    };
    assert_eq!(play(), play());
}

#[test]
fn a_visit_from_before_goes_on_with_the_claim_or_expires() {
    let mut world = World::started(0, 2);
    let visit = |n| VisitId(Uuid::from_u128(n));
    let known = |n| Input::VisitKnown { member: member(n), visit: visit(n.into()), started_at_ms: 7, machines: vec![] };
    world.step(known(1));
    world.step(known(2));
    let record = MachineRecord { claim: Some(kept(1 << 24 | 5)), fence: 1 << 24 | 5, ..record(1) };
    world.step(Input::MachineKnown { record: Box::new(record) });
    world.facts();
    world.skip(limits::ABANDONED_AFTER_MS);
    let ended: Vec<_> = world
        .facts()
        .into_iter()
        .filter_map(|fact| if let crate::effect::Persist::Visit { visit, state, .. } = fact { Some((visit, state)) } else { None })
        .collect();
    assert_eq!(ended, [(visit(2), VisitState::Expired)]);
}

#[test]
fn a_late_word_of_the_store_does_not_bring_back_a_claim_that_ended() {
    let mut world = World::linked(1);
    let fence = world.claim_by_code(1, 1);
    let claim = HeldClaim { member: member(1), fence, workout: world.workout(1) };
    world.step(Input::Revoke { machine: machine(1), fence, reason: ReleaseReason::Staff });
    world.step(Input::MachineKnown { record: Box::new(MachineRecord { claim: Some(claim), fence, ..record(1) }) });
    assert_eq!(world.fence(1), 0);
}

#[test]
fn a_claim_that_was_released_while_its_link_was_lost_does_not_come_back_with_the_machine() {
    let mut world = World::linked(1);
    let fence = world.claim_by_code(1, 1);
    let claim = HeldClaim { member: member(1), fence, workout: world.workout(1) };
    world.gone(LINK);
    world.step(Input::Revoke { machine: machine(1), fence, reason: ReleaseReason::Released });
    world.hear(LINK);
    world.hello(1, Some(claim));
    assert_eq!(world.fence(1), 0);
    assert!(world.hear(LINK).iter().any(|frame| matches!(frame, ServerFrame::ClaimClear(clear) if clear.fence == fence)));
}

#[test]
fn a_claim_that_the_store_knows_to_be_over_does_not_come_back_after_a_restart() {
    let mut world = World::started(0, 2);
    world.step(Input::MachineKnown { record: Box::new(MachineRecord { fence: 1 << 24 | 5, ..record(1) }) });
    world.hello(1, Some(kept(1 << 24 | 5)));
    assert_eq!(world.fence(1), 0);
    world.hello(1, Some(kept(1 << 24 | 6)));
    assert_eq!(world.fence(1), 1 << 24 | 6, "what the store did not get to know is believed");
}
