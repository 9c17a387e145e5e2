//! Stops: section 7 of the design, through a whole gym.

use protocol::frame::StopOutcome::{Refused, Stopped, Unconfirmed};
use protocol::frame::*;
use protocol::limits::{STOP_CONFIRM_MS, STOP_OUTLIVES_LINK_MS, STOP_REPEAT_MS};
use protocol::*;
use uuid::Uuid;

use super::kit::*;
use crate::input::Input;

fn answer(world: &mut World, n: u8, id: u128, stage: StopStage, result: Option<u8>) {
    let answer = StopAnswer { machine: machine(n), id: StopId(Uuid::from_u128(id)), answer: stage, result };
    world.step(Input::StopAnswer { session: LINK, answer });
}

#[test]
fn a_stop_reaches_the_machine_in_the_step_that_asks_for_it_and_by_the_safety_lane() {
    let mut world = World::linked(1);
    let fence = world.claim_by_code(1, 1);
    world.hear(LINK);
    world.stop(phone(1), 1, 50);
    assert_eq!(world.stops_sent(), [(machine(1), StopId(Uuid::from_u128(50)), fence)]);
    world.tick_for(STOP_REPEAT_MS * 2);
    assert_eq!(world.stops_sent().len(), 2, "each 250 ms");
    assert!(world.stops_go_by_the_safety_lane());
}

#[test]
fn the_claimer_staff_and_the_watching_coach_may_stop_and_nobody_else() {
    let mut world = World::linked(1);
    world.claim_by_code(1, 1);
    world.known(1, false);
    for (session, may) in [(phone(2), false), (WALL, false), (COACH, false), (OPERATOR, true), (phone(1), true)] {
        world.stop(session, 1, 60 + session.0.as_u128());
        assert_eq!(world.error(session).is_none(), may, "{session:?}");
    }
    let workout = world.workout(1);
    world.join(COACH, RoomName::Workout(workout));
    world.hear(COACH);
    world.stop(COACH, 1, 70);
    assert_eq!(world.error(COACH), None, "a coach who watches may stop");
}

#[test]
fn each_of_the_three_results_reaches_its_issuer() {
    let mut world = World::linked(3);
    for (n, stage, expected) in [(1, Some(StopStage::Stopped), Stopped), (2, Some(StopStage::Refused), Refused), (3, None, Unconfirmed)] {
        world.claim_by_code(n, n);
        world.stop(phone(n), n, u128::from(n));
        if let Some(stage) = stage {
            answer(&mut world, n, u128::from(n), stage, Some(4));
        }
        world.tick_for(STOP_CONFIRM_MS);
        assert_eq!(world.results(phone(n)), [expected]);
    }
}

#[test]
fn a_machine_that_says_it_stands_has_stopped() {
    let mut world = World::linked(1);
    world.claim_by_code(1, 1);
    world.stop(phone(1), 1, 1);
    world.state(1, MachineStatus::Idle);
    assert!(world.results(phone(1)).is_empty(), "heard before the stop went out");
    world.tick_for(50);
    world.state(1, MachineStatus::Active);
    assert!(world.results(phone(1)).is_empty());
    world.state(1, MachineStatus::Paused);
    assert_eq!(world.results(phone(1)), [Stopped]);
}

#[test]
fn a_confirmation_and_two_readings_at_rest_are_a_stop() {
    let mut world = World::linked(1);
    world.claim_by_code(1, 1);
    world.stop(phone(1), 1, 1);
    answer(&mut world, 1, 1, StopStage::Confirmed, Some(1));
    world.read(1, &[(Field::Speed, 0)]);
    assert!(world.results(phone(1)).is_empty());
    world.read(1, &[(Field::Speed, 0)]);
    assert_eq!(world.results(phone(1)), [Stopped]);
}

#[test]
fn an_unconfirmed_stop_alerts_staff_and_a_late_word_still_comes() {
    let mut world = World::linked(1);
    world.claim_by_code(1, 1);
    world.join(OPERATOR, RoomName::Floor(GYM));
    world.join(WALL, RoomName::Floor(GYM));
    world.hear(WALL);
    world.stop(phone(1), 1, 1);
    world.tick_for(STOP_CONFIRM_MS);
    let alerted = |event: &EventBody| matches!(event, EventBody::StopUnconfirmed { .. });
    assert!(world.events(OPERATOR).iter().any(alerted));
    assert!(!world.events(WALL).iter().any(alerted), "a wall is not staff");
    answer(&mut world, 1, 1, StopStage::Stopped, None);
    assert!(world.events(OPERATOR).iter().any(|event| matches!(event, EventBody::Stop { outcome: Some(Stopped), .. })));
}

#[test]
fn a_stop_cancels_the_pending_target_and_lets_none_pass() {
    let mut world = World::linked(1);
    world.claim_by_code(1, 1);
    world.state(1, MachineStatus::Active);
    world.read(1, &[(Field::Speed, 800)]);
    world.control(phone(1), 1, 5, Target::SpeedCentikmh(900));
    world.hear(phone(1));
    world.stop(phone(1), 1, 1);
    let cancelled = |frame: &ServerFrame| matches!(frame, ServerFrame::ControlResult(result) if result.result == ControlOutcome::Unknown);
    assert!(world.hear(phone(1)).iter().any(cancelled));
    world.control(phone(1), 1, 6, Target::SpeedCentikmh(700));
    assert_eq!(world.error(phone(1)), Some(ErrorCode::CommandPending));
}

#[test]
fn a_stop_goes_on_after_a_lost_link_under_the_same_claim() {
    let mut world = World::linked(1);
    let fence = world.claim_by_code(1, 1);
    let workout = world.workout(1);
    world.stop(phone(1), 1, 1);
    world.gone(LINK);
    world.tick_for(STOP_OUTLIVES_LINK_MS / 2);
    world.hear(LINK);
    world.hello(1, Some(HeldClaim { member: member(1), fence, workout }));
    assert_eq!(world.stops_sent(), [(machine(1), StopId(Uuid::from_u128(1)), fence)]);
}

#[test]
fn a_stop_is_over_ten_seconds_after_the_link_was_lost() {
    let mut world = World::linked(1);
    let fence = world.claim_by_code(1, 1);
    let workout = world.workout(1);
    world.stop(phone(1), 1, 1);
    world.gone(LINK);
    world.tick_for(STOP_OUTLIVES_LINK_MS);
    world.hear(LINK);
    world.hello(1, Some(HeldClaim { member: member(1), fence, workout }));
    assert!(world.stops_sent().is_empty());
}

#[test]
fn a_stop_never_stops_the_next_member() {
    let mut world = World::linked(1);
    world.claim_by_code(1, 1);
    world.stop(phone(1), 1, 1);
    let fence = world.fence(1);
    world.step(Input::Release { session: phone(1), viewer: who(phone(1)), release: Release { req: 1, machine: machine(1), fence } });
    world.claim_by_code(2, 1);
    world.hear(LINK);
    world.stop(OPERATOR, 1, 1);
    world.tick_for(STOP_REPEAT_MS * 4);
    assert!(world.stops_sent().is_empty(), "neither by time nor by a repeat of the old id");
}

#[test]
fn a_release_does_not_take_a_pending_stop_back() {
    let mut world = World::linked(1);
    let fence = world.claim_by_code(1, 1);
    world.stop(phone(1), 1, 1);
    world.step(Input::Release { session: phone(1), viewer: who(phone(1)), release: Release { req: 1, machine: machine(1), fence } });
    world.hear(LINK);
    world.tick_for(STOP_REPEAT_MS);
    assert_eq!(world.stops_sent().len(), 1);
}
