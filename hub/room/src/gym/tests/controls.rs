//! Targets: what is sent, what is refused, and that results are true (I2, I4, I5).

use protocol::frame::*;
use protocol::limits::{CLOCK_PAIR_LIFE_MS, COMMAND_LIFE_MS};
use protocol::*;
use uuid::Uuid;

use super::kit::*;
use crate::effect::{Effect, Lane};
use crate::input::Input;

/// A member on a treadmill that runs at 8 km/h, and its gateway heard.
fn running() -> World {
    let mut world = World::linked(2);
    world.claim_by_code(1, 1);
    world.state(1, MachineStatus::Active);
    world.read(1, &[(Field::Speed, 800), (Field::Incline, 0)]);
    world.hear(LINK);
    world.hear(phone(1));
    world
}

fn answer(world: &mut World, id: u128, stage: CommandStage, result: Option<u8>) {
    let answer = CommandAnswer { machine: machine(1), id: CommandId(Uuid::from_u128(id)), stage, result };
    world.step(Input::CommandAnswer { session: LINK, answer });
}

fn outcomes(world: &mut World) -> Vec<ControlOutcome> {
    let heard = world.hear(phone(1));
    heard.iter().filter_map(|frame| if let ServerFrame::ControlResult(result) = frame { Some(result.result) } else { None }).collect()
}

#[test]
fn a_command_carries_its_fence_and_its_expiry_in_the_machines_own_clock() {
    let mut world = running();
    world.control(phone(1), 1, 1, Target::SpeedCentikmh(900));
    let commands = world.commands();
    assert_eq!(commands.len(), 1);
    assert_eq!(commands[0].fence, world.fence(1));
    assert_eq!(commands[0].expires_dev_ms, world.now.at_ms - DEV_OFFSET_MS + COMMAND_LIFE_MS);
}

#[test]
fn a_powered_machine_that_stands_is_never_sent_a_target_above_zero() {
    let mut world = running();
    world.read(1, &[(Field::Speed, 0)]);
    for target in [Target::SpeedCentikmh(100), Target::InclinePermille(10)] {
        world.control(phone(1), 1, 1, target);
        assert_eq!(world.error(phone(1)), Some(ErrorCode::StartForbidden), "{target:?}");
    }
    world.read(1, &[(Field::Speed, 800)]);
    world.tick_for(4_000);
    world.control(phone(1), 1, 2, Target::SpeedCentikmh(900));
    assert_eq!(world.error(phone(1)), Some(ErrorCode::StartForbidden), "a stale reading does not show that it moves");
    assert!(world.commands().is_empty());
}

#[test]
fn without_a_fresh_clock_pair_nothing_raises_effort_and_lowering_passes() {
    let mut world = running();
    world.skip(CLOCK_PAIR_LIFE_MS);
    world.read(1, &[(Field::Speed, 800)]);
    world.control(phone(1), 1, 1, Target::SpeedCentikmh(850));
    assert_eq!(world.error(phone(1)), Some(ErrorCode::RaisesEffort));
    world.control(phone(1), 1, 2, Target::SpeedCentikmh(700));
    assert_eq!(world.commands().len(), 1);
}

#[test]
fn targets_are_bounded_by_the_machines_ranges_and_a_ramp() {
    let mut world = running();
    for (target, code) in [
        (Target::SpeedCentikmh(2_001), ErrorCode::OutOfRange),
        (Target::SpeedCentikmh(1_001), ErrorCode::OutOfRange),
        (Target::InclinePermille(-10), ErrorCode::OutOfRange),
        (Target::PowerW(100), ErrorCode::NotControllable),
    ] {
        world.control(phone(1), 1, 1, target);
        assert_eq!(world.error(phone(1)), Some(code), "{target:?}");
    }
    world.control(phone(1), 1, 1, Target::SpeedCentikmh(1_000));
    assert_eq!(world.commands().len(), 1);
}

#[test]
fn one_command_at_a_time_and_a_repeat_is_the_same_command() {
    let mut world = running();
    world.control(phone(1), 1, 1, Target::SpeedCentikmh(900));
    world.control(phone(1), 1, 1, Target::SpeedCentikmh(900));
    assert_eq!(world.commands().len(), 1);
    world.control(phone(1), 1, 2, Target::SpeedCentikmh(850));
    assert_eq!(world.error(phone(1)), Some(ErrorCode::CommandPending));
}

#[test]
fn acknowledged_is_the_machines_success_and_applied_is_a_later_reading() {
    let mut world = running();
    world.control(phone(1), 1, 1, Target::SpeedCentikmh(900));
    world.read(1, &[(Field::Speed, 900)]);
    assert!(outcomes(&mut world).is_empty(), "a reading before the success proves nothing");
    answer(&mut world, 1, CommandStage::Received, None);
    answer(&mut world, 1, CommandStage::Answered, Some(1));
    world.read(1, &[(Field::Speed, 850)]);
    assert_eq!(outcomes(&mut world), [ControlOutcome::Received, ControlOutcome::Acknowledged]);
    world.read(1, &[(Field::Speed, 898)]);
    assert_eq!(outcomes(&mut world), [ControlOutcome::Applied]);
}

#[test]
fn every_other_end_of_a_command_is_told_as_what_it_is() {
    for (stage, result, expected) in [
        (Some(CommandStage::Answered), Some(5), ControlOutcome::Refused),
        (Some(CommandStage::Expired), None, ControlOutcome::Expired),
        (Some(CommandStage::ControlLost), None, ControlOutcome::Lost),
        (None, None, ControlOutcome::Unknown),
    ] {
        let mut world = running();
        world.control(phone(1), 1, 1, Target::SpeedCentikmh(900));
        match stage {
            Some(stage) => answer(&mut world, 1, stage, result),
            None => world.tick_for(3_000),
        }
        assert_eq!(outcomes(&mut world), [expected]);
    }
}

#[test]
fn nothing_is_replayed_after_a_reconnect() {
    let mut world = running();
    world.control(phone(1), 1, 1, Target::SpeedCentikmh(900));
    world.gone(LINK);
    assert_eq!(outcomes(&mut world), [ControlOutcome::Unknown]);
    world.hear(LINK);
    world.hello(1, None);
    world.tick_for(1_000);
    assert!(world.commands().is_empty());
    world.control(phone(1), 1, 1, Target::SpeedCentikmh(900));
    assert!(world.commands().is_empty(), "the same id is over for good");
}

#[test]
fn a_stale_fence_moves_nothing() {
    let mut world = running();
    let fence = world.fence(1);
    world.control_under(phone(1), 1, 1, Target::SpeedCentikmh(700), fence - 1, None);
    assert_eq!(world.error(phone(1)), Some(ErrorCode::StaleFence));
    world.control_under(phone(2), 1, 2, Target::SpeedCentikmh(700), fence, None);
    assert_eq!(world.error(phone(2)), Some(ErrorCode::NotClaimed));
    world.control_under(COACH, 1, 3, Target::SpeedCentikmh(700), fence, None);
    assert_eq!(world.error(COACH), Some(ErrorCode::Forbidden));
    assert!(world.commands().is_empty());
}

#[test]
fn a_coach_proposes_and_only_the_member_moves_the_machine() {
    let mut world = running();
    world.known(1, false);
    let (workout, id) = (world.workout(1), ProposalId(Uuid::from_u128(77)));
    world.join(phone(1), RoomName::Workout(workout));
    let propose = Propose { req: 1, id, workout, target: Target::SpeedCentikmh(900), text: None };
    world.step(Input::Propose { session: OPERATOR, viewer: who(OPERATOR), propose: propose.clone() });
    assert_eq!(world.error(OPERATOR), Some(ErrorCode::Forbidden));
    world.step(Input::Propose { session: COACH, viewer: who(COACH), propose });
    assert!(world.commands().is_empty());
    assert!(world.events(phone(1)).iter().any(|event| matches!(event, EventBody::Proposed { .. })));
    let fence = world.fence(1);
    world.control_under(phone(1), 1, 2, Target::SpeedCentikmh(950), fence, Some(id));
    assert_eq!(world.error(phone(1)), Some(ErrorCode::Conflict), "not what was proposed");
    world.control_under(phone(1), 1, 3, Target::SpeedCentikmh(900), fence, Some(id));
    assert_eq!(world.commands().len(), 1);
}

#[test]
fn a_pause_is_taken_by_every_machine() {
    let mut world = running();
    world.control(phone(1), 1, 1, Target::Pause);
    assert_eq!(world.commands()[0].target, Target::Pause);
}

#[test]
fn a_command_goes_by_the_lane_of_stops_so_that_none_comes_after_the_stop_that_cancelled_it() {
    let mut world = running();
    world.effects.clear();
    world.control(phone(1), 1, 1, Target::SpeedCentikmh(900));
    world.stop(phone(1), 1, 50);
    let sent: Vec<_> = world
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Deliver { to: LINK, lane, frame } => Some((frame.name(), *lane)),
            _ => None,
        })
        .collect();
    assert_eq!(sent, [("command", Lane::Safety), ("stop_machine", Lane::Safety)]);
}

#[test]
fn a_target_that_waited_behind_a_stop_raises_nothing_for_the_life_of_a_command() {
    let mut world = World::linked(2);
    for n in [1, 2] {
        world.claim_by_code(n, n);
        world.state(n, MachineStatus::Active);
        world.read(n, &[(Field::Speed, 800)]);
    }
    world.hear(LINK);
    for (n, target) in [(1, Target::SpeedCentikmh(900)), (2, Target::PowerW(50))] {
        let stop = StopId(Uuid::from_u128(50 + u128::from(n)));
        world.stop(phone(n), n, stop.0.as_u128());
        let answer = StopAnswer { machine: machine(n), id: stop, answer: StopStage::Stopped, result: None };
        world.step(Input::StopAnswer { session: LINK, answer });
        world.control(phone(n), n, 1, target);
        assert!(world.error(phone(n)).is_some(), "the readings from before the stop do not let it pass: {target:?}");
        world.read(n, &[(Field::Speed, 700)]);
        world.control(phone(n), n, 2, target);
        assert_eq!(world.error(phone(n)), Some(ErrorCode::RaisesEffort), "{target:?}");
    }
    assert!(world.commands().is_empty());
    world.tick_for(COMMAND_LIFE_MS);
    world.control(phone(2), 2, 3, Target::PowerW(50));
    assert_eq!(world.commands().len(), 1);
}
