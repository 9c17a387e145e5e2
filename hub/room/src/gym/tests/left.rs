//! Machines that are left while their link is lost, and who trains there next.

use protocol::frame::*;
use protocol::text::Text;
use protocol::*;

use super::kit::*;
use crate::effect::{Effect, Keep};
use crate::input::{Input, Numbered, Said, SourceHandle, SourceKey};

/// Machine 1 on one connection, machine 2 on another.
fn apart() -> World {
    let mut world = World::new(2);
    world.hello(1, None);
    world.bind_one(1, 1, SeqRanges::new());
    link_two(&mut world, None);
    world.tick_for(1_000);
    world.clock();
    world
}

fn link_two(world: &mut World, claim: Option<HeldClaim>) {
    world.step(Input::MachineHello { session: LINK_TWO, viewer: who(LINK_TWO), hello: hello(2, claim) });
    let sensor = Text::cut("ftms");
    let held = SeqRanges::new();
    let bind = Bind { slot: 2, machine: Some(machine(2)), sensor, boot: 1, nonce: 9, clock: 0, held, quirk: None, claim_from_seq: None };
    world.step(Input::Bind { session: LINK_TWO, viewer: who(LINK_TWO), source: SourceHandle(2), bind });
}

/// Reads at machine 2; answers whose it is.
fn read(world: &mut World, seq: u32) -> Option<WorkoutId> {
    world.tick_for(1_000);
    let mut reading = Reading::new();
    reading.set(Field::Power, 150);
    let dev_ms = world.now.at_ms - DEV_OFFSET_MS;
    world.effects.clear();
    let said = Numbered { seq, dev_ms, what: Said::Reading(reading), backfill: false };
    world.step(Input::Said { source: SourceHandle(2), said });
    let keep = |effect: &Effect| if let Effect::Keep(Keep { workout, .. }) = effect { Some(*workout) } else { None };
    world.effects.iter().find_map(keep).expect("kept")
}

fn code_of_two(world: &World) -> Text<16> {
    let shown = world.heard.get(&LINK_TWO).into_iter().flatten().rev().find_map(|frame| match frame {
        ServerFrame::ShowCode(show) => Some(show.code.clone()),
        _ => None,
    });
    shown.expect("the machine was told a code")
}

fn ranges(world: &World, workout: WorkoutId) -> Vec<(u32, u32)> {
    let source = SourceKey { machine: Some(machine(2)), member: None, sensor: Text::cut("ftms") };
    world.gym.workouts[&workout].stretches_of(&source, 1).map(|(_, from, to)| (from, to)).collect()
}

#[test]
fn what_a_machine_reads_after_a_hand_over_that_its_link_missed_is_not_the_workouts_that_left_it() {
    let mut world = apart();
    world.claim(phone(1), ClaimBy::Code(code_of_two(&world)), None);
    let (first, fence) = (world.workout(2), world.fence(2));
    for seq in 1..=3 {
        assert_eq!(read(&mut world, seq), Some(first));
    }
    world.gone(LINK_TWO);
    let code = world.code(1);
    world.claim(phone(1), ClaimBy::Code(code), Some(fence));
    assert_eq!((world.workout(1), world.fence(2)), (first, 0));
    assert_ne!(world.gym.workouts[&first].stage(), WorkoutStage::Interrupted, "it goes on where its member is");
    world.tick_for(5_000);
    link_two(&mut world, None);
    assert_eq!(read(&mut world, 4), None, "somebody who did not log in");
    world.claim(phone(2), ClaimBy::Code(code_of_two(&world)), None);
    let second = world.workout(2);
    assert_eq!(read(&mut world, 5), Some(second));
    let end = EndWorkout { req: 77, workout: first };
    world.step(Input::EndWorkout { session: phone(1), viewer: who(phone(1)), end });
    assert_eq!(read(&mut world, 6), Some(second), "the end of the first takes nothing from the second");
    assert_eq!((ranges(&world, first), ranges(&world, second)), (vec![(1, 3)], vec![(5, u32::MAX)]));
}

#[test]
fn a_workout_that_is_long_over_does_not_swallow_what_the_next_member_reads() {
    let mut world = apart();
    world.claim(phone(1), ClaimBy::Code(code_of_two(&world)), None);
    let (first, fence) = (world.workout(2), world.fence(2));
    read(&mut world, 1);
    world.gone(LINK_TWO);
    world.step(Input::Release { session: phone(1), viewer: who(phone(1)), release: Release { req: 9, machine: machine(2), fence } });
    link_two(&mut world, None);
    let source = SourceKey { machine: Some(machine(2)), member: None, sensor: Text::cut("ftms") };
    world.step(Input::Stored { source, boot: 1, nonce: 9, stored: SeqRanges::from_iter([1]), rejected: vec![] });
    world.tick_for(5_000);
    world.step(Input::TotalsKnown { workout: first, revision: 0, totals: Totals::default() });
    for _ in 0..16 {
        world.skip(50_000);
    }
    assert!(!world.gym.workouts.contains_key(&first), "it is forgotten here");
    world.claim(phone(2), ClaimBy::Code(code_of_two(&world)), None);
    let second = world.workout(2);
    assert_eq!(read(&mut world, 2), Some(second));
}
