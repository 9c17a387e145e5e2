//! Claims: I1 of the domain's invariants, and everything about codes, stickers, hand-over, walking away.

use protocol::frame::*;
use protocol::limits::{ABANDONED_AFTER_MS, CODE_LIFE_MS};
use protocol::text::Text;
use protocol::*;

use super::kit::*;
use crate::input::{Input, MemberInput, Reservation};

fn claimed(world: &mut World, session: SessionId) -> Vec<Claimed> {
    let heard = world.hear(session);
    heard.into_iter().filter_map(|frame| if let ServerFrame::Claimed(claimed) = frame { Some(claimed) } else { None }).collect()
}

#[test]
fn a_code_from_the_screen_grants_the_machine_with_a_fence_and_control() {
    let mut world = World::linked(1);
    let fence = world.claim_by_code(1, 1);
    let granted = claimed(&mut world, phone(1));
    assert_eq!(granted.len(), 1);
    assert_eq!((granted[0].state, granted[0].fence, granted[0].may_control), (ClaimState::Granted, fence, true));
    assert!(world.hear(LINK).iter().any(|frame| matches!(frame, ServerFrame::ClaimSet(set) if set.claim.fence == fence)));
    assert_eq!(world.availability(1), Availability::Occupied);
}

#[test]
fn a_code_works_once_and_rotates_after_sixty_seconds() {
    let mut world = World::linked(2);
    let first = world.code(1);
    world.skip(CODE_LIFE_MS);
    let second = world.code(1);
    assert_ne!(first, second);
    world.claim(phone(1), ClaimBy::Code(first), None);
    assert_eq!(world.error(phone(1)), Some(ErrorCode::CodeWrong));
    world.claim(phone(1), ClaimBy::Code(second.clone()), None);
    assert_ne!(world.fence(1), 0);
    world.claim(phone(2), ClaimBy::Code(second), None);
    assert_eq!(world.error(phone(2)), Some(ErrorCode::CodeWrong));
}

#[test]
fn guessing_codes_is_slowed_down() {
    let mut world = World::linked(1);
    for _ in 0..5 {
        world.claim(phone(1), ClaimBy::Code(Text::cut("wrong!")), None);
    }
    let code = world.code(1);
    world.claim(phone(1), ClaimBy::Code(code), None);
    assert_eq!(world.error(phone(1)), Some(ErrorCode::TooFast));
    assert_eq!(world.fence(1), 0);
}

#[test]
fn a_sticker_waits_for_a_second_sign_and_then_grants() {
    let mut world = World::linked(2);
    world.claim(phone(1), ClaimBy::Sticker(machine(2)), None);
    assert_eq!(claimed(&mut world, phone(1))[0].state, ClaimState::AwaitingSign);
    assert_eq!(world.fence(2), 0);
    world.step(Input::SecondSign { session: LINK, sign: SecondSign { machine: machine(2), sign: Sign::Console } });
    let granted = claimed(&mut world, phone(1));
    assert_eq!((granted[0].state, granted[0].may_control), (ClaimState::Granted, true), "a bike has no motor");
}

#[test]
fn a_sticker_never_controls_a_powered_machine() {
    let mut world = World::linked(1);
    world.claim(phone(1), ClaimBy::Sticker(machine(1)), None);
    world.step(Input::SecondSign { session: LINK, sign: SecondSign { machine: machine(1), sign: Sign::Nfc } });
    assert!(!claimed(&mut world, phone(1)).pop().expect("granted").may_control);
    world.state(1, MachineStatus::Active);
    world.read(1, &[(Field::Speed, 800)]);
    world.control(phone(1), 1, 1, Target::SpeedCentikmh(700));
    assert_eq!(world.error(phone(1)), Some(ErrorCode::NotControllable));
    assert!(world.commands().is_empty());
}

#[test]
fn a_sticker_without_a_second_sign_is_over_after_sixty_seconds() {
    let mut world = World::linked(1);
    world.claim(phone(1), ClaimBy::Sticker(machine(1)), None);
    world.skip(CODE_LIFE_MS);
    assert_eq!(world.error(phone(1)), Some(ErrorCode::SignMissing));
    world.step(Input::SecondSign { session: LINK, sign: SecondSign { machine: machine(1), sign: Sign::Console } });
    assert_eq!(world.fence(1), 0);
}

#[test]
fn the_movement_of_whoever_was_on_it_before_is_no_sign() {
    let mut world = World::linked(1);
    world.state(1, MachineStatus::Manual);
    world.read(1, &[(Field::Speed, 900)]);
    world.claim(phone(1), ClaimBy::Sticker(machine(1)), None);
    world.read(1, &[(Field::Speed, 900)]);
    assert_eq!(world.fence(1), 0);
}

#[test]
fn the_first_movement_of_a_machine_at_rest_is_a_sign() {
    let mut world = World::linked(1);
    world.claim(phone(1), ClaimBy::Sticker(machine(1)), None);
    world.read(1, &[(Field::Speed, 300)]);
    assert_ne!(world.fence(1), 0);
}

#[test]
fn staff_of_the_gym_is_a_second_sign_and_a_member_is_not() {
    let mut world = World::linked(1);
    world.claim(phone(1), ClaimBy::Sticker(machine(1)), None);
    world.step(Input::Approve { session: phone(2), viewer: who(phone(2)), req: 90, machine: machine(1) });
    assert_eq!((world.error(phone(2)), world.fence(1)), (Some(ErrorCode::Forbidden), 0));
    world.step(Input::Approve { session: OPERATOR, viewer: who(OPERATOR), req: 91, machine: machine(1) });
    assert_ne!(world.fence(1), 0);
}

#[test]
fn one_member_holds_a_machine() {
    let mut world = World::linked(1);
    world.claim_by_code(1, 1);
    world.claim(phone(2), ClaimBy::Sticker(machine(1)), None);
    assert_eq!(world.error(phone(2)), Some(ErrorCode::MachineBusy));
}

#[test]
fn a_member_holds_one_machine_unless_handing_over() {
    let mut world = World::linked(2);
    let first = world.claim_by_code(1, 1);
    world.claim_by_code(1, 2);
    assert_eq!(world.error(phone(1)), Some(ErrorCode::MemberBusy));
    assert_eq!((world.fence(1), world.fence(2)), (first, 0));
}

#[test]
fn handing_over_frees_the_machine_left_and_takes_the_workout_along() {
    let mut world = World::linked(2);
    let first = world.claim_by_code(1, 1);
    let workout = world.workout(1);
    let code = world.code(2);
    world.claim(phone(1), ClaimBy::Code(code), Some(first));
    assert_eq!(world.fence(1), 0);
    assert!(world.fence(2) > first);
    assert_eq!(world.workout(2), workout);
    assert_ne!(world.gym.workouts[&workout].stage(), WorkoutStage::Ended);
}

#[test]
fn a_release_needs_the_fence_that_stands_and_makes_the_machine_forget() {
    let mut world = World::linked(1);
    let fence = world.claim_by_code(1, 1);
    let release = |fence| Release { req: 1, machine: machine(1), fence };
    world.step(Input::Release { session: phone(1), viewer: who(phone(1)), release: release(fence - 1) });
    assert_eq!(world.error(phone(1)), Some(ErrorCode::StaleFence));
    world.step(Input::Release { session: phone(2), viewer: who(phone(2)), release: release(fence) });
    assert_eq!(world.error(phone(2)), Some(ErrorCode::NotClaimed));
    let workout = world.workout(1);
    world.hear(LINK);
    world.step(Input::Release { session: phone(1), viewer: who(phone(1)), release: release(fence) });
    let heard = world.hear(LINK);
    assert!(heard.iter().any(|frame| matches!(frame, ServerFrame::ClaimClear(clear) if clear.fence == fence)));
    assert!(heard.iter().any(|frame| matches!(frame, ServerFrame::ShowCode(_))), "the next one can claim it");
    assert_eq!(world.availability(1), Availability::Available);
    assert_eq!(world.gym.workouts[&workout].stage(), WorkoutStage::Ended);
}

#[test]
fn who_walks_away_loses_the_claim_after_ten_minutes_without_a_sign_of_life() {
    let mut world = World::linked(1);
    world.claim_by_code(1, 1);
    world.skip(ABANDONED_AFTER_MS - 1_000);
    world.read(1, &[(Field::Speed, 100)]);
    world.skip(ABANDONED_AFTER_MS - 1_000);
    assert_ne!(world.fence(1), 0, "movement is a sign of life");
    world.skip(1_000);
    assert_eq!(world.fence(1), 0);
}

#[test]
fn the_walk_away_clock_stands_still_while_the_link_is_lost() {
    let mut world = World::linked(1);
    let fence = world.claim_by_code(1, 1);
    let workout = world.workout(1);
    world.skip(60_000);
    world.gone(LINK);
    world.skip(3 * ABANDONED_AFTER_MS);
    assert_eq!(world.fence(1), fence);
    world.hello(1, Some(HeldClaim { member: member(1), fence, workout }));
    world.skip(ABANDONED_AFTER_MS - 62_000);
    assert_eq!(world.fence(1), fence);
    world.skip(3_000);
    assert_eq!(world.fence(1), 0);
}

#[test]
fn a_machine_in_maintenance_or_unheard_is_not_claimed() {
    let mut world = World::linked(1);
    let code = world.code(1);
    world.gone(LINK);
    world.claim(phone(1), ClaimBy::Code(code), None);
    assert_eq!(world.error(phone(1)), Some(ErrorCode::CodeWrong), "an unheard machine shows no code");
    world.claim(phone(1), ClaimBy::Sticker(machine(1)), None);
    assert_eq!(world.error(phone(1)), Some(ErrorCode::MachineNotAvailable));
}

#[test]
fn an_answer_that_comes_too_late_grants_nothing_and_lets_the_member_go() {
    let mut world = World::linked(1);
    world.step_member(member(1), MemberInput::Reserve { gym: GYM, machine: machine(9), hand_over: None });
    world.step(Input::Reserved { machine: machine(1), member: member(1), answer: Reservation::Granted });
    assert_eq!(world.fence(1), 0);
}

#[test]
fn a_reservation_of_another_gym_holds_the_member_for_two_seconds() {
    let mut world = World::linked(1);
    world.step_member(member(1), MemberInput::Reserve { gym: GymId(uuid::Uuid::from_u128(8)), machine: machine(9), hand_over: None });
    world.claim_by_code(1, 1);
    assert_eq!(world.error(phone(1)), Some(ErrorCode::ClaimPending));
    world.tick_for(2_000);
    assert_ne!(world.claim_by_code(1, 1), 0);
}
