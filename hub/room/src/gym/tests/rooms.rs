//! Joining, resuming, losing the right to watch.

use protocol::frame::*;
use protocol::*;
use std::sync::Arc;

use super::kit::*;
use crate::input::{Input, MachineRecord, Viewer};

fn joined(world: &mut World, session: SessionId) -> Option<Joined> {
    world.hear(session).into_iter().rev().find_map(|frame| if let ServerFrame::Joined(joined) = frame { Some(joined) } else { None })
}

#[test]
fn a_join_without_a_past_gets_a_snapshot_and_a_return_gets_what_was_missed() {
    let mut world = World::linked(1);
    world.join(WALL, RoomName::Floor(GYM));
    let first = joined(&mut world, WALL).expect("joined");
    assert!(matches!(&first.snapshot, Some(Snapshot::Floor(floor)) if floor.machines.len() == 1));
    world.gone(WALL);
    world.state(1, MachineStatus::Manual);
    world.join_from(WALL, JoinRoom { room: RoomName::Floor(GYM), epoch: Some(first.epoch), offset: first.offset, every_ms: 0, fields: 0 });
    let again = joined(&mut world, WALL).expect("joined");
    assert!(again.recovered && again.snapshot.is_none());
    assert_eq!(again.events.len(), 1);
    assert_eq!((again.events[0].offset, again.events[0].handle), (first.offset + 1, first.handle));
}

#[test]
fn neither_staff_nor_the_others_see_a_gap_in_their_floor() {
    let mut world = World::linked(2);
    for session in [WALL, OPERATOR] {
        world.join(session, RoomName::Floor(GYM));
    }
    let mut next: std::collections::BTreeMap<SessionId, u64> =
        [WALL, OPERATOR].map(|session| (session, joined(&mut world, session).expect("joined").offset + 1)).into();
    world.claim_by_code(1, 1);
    let fault = MachineFault { machine: machine(2), code: text::Text::cut("E7"), severity: Severity::Notice, subsystem: None, text: None };
    world.step(Input::MachineFault { session: LINK, fault });
    world.state(1, MachineStatus::Active);
    for session in [WALL, OPERATOR] {
        for frame in world.hear(session) {
            if let ServerFrame::Event(event) = frame {
                let next = next.get_mut(&session).expect("joined");
                assert_eq!(event.offset, *next);
                *next += 1;
            }
        }
    }
    assert!(next[&OPERATOR] > next[&WALL] - 1);
}

#[test]
fn a_watcher_who_missed_ticks_gets_every_row_of_the_floor_and_a_stranger_nothing() {
    let mut world = World::linked(2);
    world.bind(2);
    world.clock();
    world.join(WALL, RoomName::Floor(GYM));
    world.read(1, &[(Field::Power, 150)]);
    world.tick_for(1_000);
    world.hear(WALL);
    for session in [WALL, OPERATOR] {
        world.step(Input::FloorAgain { session });
    }
    let rows = |frames: Vec<ServerFrame>| -> Vec<(u16, Option<i32>)> {
        let ticks = frames.into_iter().filter_map(|frame| if let ServerFrame::FloorTick(tick) = frame { Some(tick.rows) } else { None });
        ticks.flatten().map(|row| (row.index, row.reading.get(Field::Power))).collect()
    };
    assert_eq!(rows(world.hear(WALL)), [(0, Some(150)), (1, None)]);
    assert_eq!(rows(world.hear(OPERATOR)), [], "an operator who does not watch the floor");
}

#[test]
fn nobody_of_another_tenant_or_gym_or_team_watches() {
    let mut world = World::linked(1);
    world.claim_by_code(1, 1);
    let workout = world.workout(1);
    let other = Arc::new(Viewer { tenant: TenantId(uuid::Uuid::from_u128(99)), ..(*who(OPERATOR)).clone() });
    for room in [RoomName::Floor(GYM), RoomName::Machine(machine(1)), RoomName::Workout(workout)] {
        let join = JoinRoom { room, epoch: None, offset: 0, every_ms: 0, fields: 0 };
        world.step(Input::Join { session: OPERATOR, viewer: Arc::clone(&other), req: Some(1), join });
        assert_eq!(world.error(OPERATOR), Some(ErrorCode::NoSuchRoom), "{room}");
    }
    for (session, room) in [
        (OPERATOR, RoomName::Workout(workout)),
        (COACH, RoomName::Workout(workout)),
        (phone(2), RoomName::Workout(workout)),
        (phone(2), RoomName::Machine(machine(1))),
        (WALL, RoomName::Machine(machine(1))),
    ] {
        world.join(session, room);
        assert_eq!(world.error(session), Some(ErrorCode::Forbidden), "{session:?} {room}");
    }
    world.known(1, false);
    world.join(COACH, RoomName::Workout(workout));
    assert!(joined(&mut world, COACH).is_some());
}

#[test]
fn a_room_of_hello_that_may_not_be_watched_is_left_with_its_reason() {
    let mut world = World::linked(1);
    let join = JoinRoom { room: RoomName::Machine(machine(1)), epoch: None, offset: 0, every_ms: 0, fields: 0 };
    world.step(Input::Join { session: WALL, viewer: who(WALL), req: None, join });
    assert!(
        world.hear(WALL).iter().any(|frame| matches!(frame, ServerFrame::Left(left) if left.code == Some(ErrorCode::Forbidden.code())))
    );
}

#[test]
fn who_gives_the_machine_back_hears_no_more_of_it() {
    let mut world = World::linked(1);
    let fence = world.claim_by_code(1, 1);
    world.join(phone(1), RoomName::Machine(machine(1)));
    world.step(Input::Release { session: phone(1), viewer: who(phone(1)), release: Release { req: 1, machine: machine(1), fence } });
    assert!(
        world.hear(phone(1)).iter().any(|frame| matches!(frame, ServerFrame::Left(left) if left.room == RoomName::Machine(machine(1))))
    );
    world.claim_by_code(2, 1);
    assert!(world.hear(phone(1)).is_empty());
}

#[test]
fn the_next_holder_cannot_resume_into_the_past_of_the_one_before() {
    let mut world = World::linked(1);
    let fence = world.claim_by_code(1, 1);
    world.join(phone(1), RoomName::Machine(machine(1)));
    let past = joined(&mut world, phone(1)).expect("joined");
    world.step(Input::Release { session: phone(1), viewer: who(phone(1)), release: Release { req: 1, machine: machine(1), fence } });
    world.claim_by_code(2, 1);
    world.join_from(phone(2), JoinRoom { room: RoomName::Machine(machine(1)), epoch: Some(past.epoch), offset: 0, every_ms: 0, fields: 0 });
    let joined = joined(&mut world, phone(2)).expect("joined");
    assert!(joined.events.is_empty() && joined.snapshot.is_some());
}

#[test]
fn a_gateway_announces_only_machines_that_are_bound_to_it() {
    let mut world = World::new(1);
    let record = MachineRecord { gateway: None, ..record(2) };
    world.step(Input::MachineKnown { record: Box::new(record) });
    world.hello(2, None);
    assert_eq!(world.error(LINK), Some(ErrorCode::ForeignMachine));
    world.hello(9, None);
    assert_eq!(world.error(LINK), Some(ErrorCode::NoSuchMachine));
    world.state(1, MachineStatus::Idle);
    assert_eq!(world.error(LINK), Some(ErrorCode::MachineNotHeard));
}

#[test]
fn the_newest_connection_of_a_machine_wins() {
    let mut world = World::linked(1);
    let fence = world.claim_by_code(1, 1);
    let held = HeldClaim { member: member(1), fence, workout: world.workout(1) };
    world.step(Input::MachineHello { session: LINK_TWO, viewer: who(LINK_TWO), hello: hello(1, Some(held)) });
    let replaced = crate::effect::Effect::Close { session: LINK, reason: CloseReason::Replaced };
    assert!(world.effects.contains(&replaced));
    world.gone(LINK);
    assert_eq!((world.fence(1), world.availability(1)), (fence, Availability::Occupied), "the end of the old one changes nothing");
}

#[test]
fn a_machine_that_says_hello_again_and_again_has_not_more_clocks_than_a_connection_may() {
    let mut world = World::new(1);
    let mut refused = 0;
    for clock in 0..300 {
        let hello = MachineHello { clock, ..hello(1, None) };
        world.step(Input::MachineHello { session: LINK, viewer: who(LINK), hello });
        refused += usize::from(world.error(LINK) == Some(ErrorCode::TooManySlots));
    }
    assert_eq!(refused, 300 - limits::MACHINES_PER_SESSION_MAX);
}
