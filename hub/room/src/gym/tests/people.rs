//! Visits, consent, and what a wall may know (I9, I11).

use protocol::frame::*;
use protocol::limits::ABANDONED_AFTER_MS;
use protocol::*;

use super::kit::*;
use crate::effect::Persist;
use crate::input::Input;

fn visits(world: &mut World) -> Vec<VisitState> {
    let facts = world.facts();
    facts.iter().filter_map(|fact| if let Persist::Visit { state, .. } = fact { Some(*state) } else { None }).collect()
}

/// Names in everything that a session heard.
fn names(world: &mut World, session: SessionId) -> usize {
    world.hear(session).iter().filter(|frame| format!("{frame:?}").contains("Anna")).count()
}

#[test]
fn a_visit_begins_with_the_first_claim_and_is_completed_by_check_out_with_everything_released() {
    let mut world = World::linked(1);
    world.claim_by_code(1, 1);
    assert_eq!(visits(&mut world), [VisitState::Active]);
    world.step(Input::CheckOut { session: phone(1), viewer: who(phone(1)), check_out: CheckOut { req: 1, gym: GYM } });
    assert_eq!(world.fence(1), 0);
    assert_eq!(visits(&mut world), [VisitState::Completed]);
}

#[test]
fn a_visit_expires_ten_minutes_after_the_last_sign_of_life() {
    let mut world = World::linked(1);
    let fence = world.claim_by_code(1, 1);
    world.skip(60_000);
    world.step(Input::Release { session: phone(1), viewer: who(phone(1)), release: Release { req: 1, machine: machine(1), fence } });
    world.facts();
    world.skip(ABANDONED_AFTER_MS - 100);
    assert!(visits(&mut world).is_empty());
    world.skip(100);
    assert_eq!(visits(&mut world), [VisitState::Expired]);
}

#[test]
fn a_visit_does_not_expire_while_the_link_of_the_members_machine_is_lost() {
    let mut world = World::linked(1);
    world.claim_by_code(1, 1);
    world.gone(LINK);
    world.facts();
    world.skip(5 * ABANDONED_AFTER_MS);
    assert!(visits(&mut world).is_empty());
}

#[test]
fn a_wall_hears_a_name_only_with_consent() {
    let mut world = World::linked(2);
    world.join(WALL, RoomName::Floor(GYM));
    world.claim_by_code(1, 1);
    world.known(1, false);
    world.join(WALL, RoomName::Floor(GYM));
    assert_eq!(names(&mut world, WALL), 0);
    world.known(1, true);
    assert_eq!(names(&mut world, WALL), 1);
}

#[test]
fn withdrawn_consent_takes_the_name_off_the_wall_and_out_of_what_it_can_resume() {
    let mut world = World::linked(1);
    world.join(WALL, RoomName::Floor(GYM));
    world.claim_by_code(1, 1);
    world.known(1, true);
    assert_eq!(names(&mut world, WALL), 1);
    let (epoch, offset) = (world.gym.public.log.epoch(), world.gym.public.log.offset());
    world.known(1, false);
    assert_eq!(names(&mut world, WALL), 0);
    world.join_from(WALL, JoinRoom { room: RoomName::Floor(GYM), epoch: Some(epoch), offset: offset - 1, every_ms: 0, fields: 0 });
    assert_eq!(names(&mut world, WALL), 0);
}

#[test]
fn a_heart_rate_is_on_a_wall_only_with_consent_and_never_in_the_machines_room() {
    let mut world = World::linked(1);
    world.join(WALL, RoomName::Floor(GYM));
    world.join(OPERATOR, RoomName::Machine(machine(1)));
    world.claim_by_code(1, 1);
    let heart = |world: &mut World, session| {
        world.tick_for(1_000);
        world.read(1, &[(Field::Speed, 800), (Field::HeartRate, 151)]);
        world.tick_for(1_000);
        world.hear(session).iter().filter(|frame| format!("{frame:?}").contains("151")).count()
    };
    assert_eq!(heart(&mut world, WALL), 0);
    assert_eq!(heart(&mut world, OPERATOR), 0);
    world.known(1, true);
    assert!(heart(&mut world, WALL) > 0);
    assert_eq!(heart(&mut world, OPERATOR), 0);
}

#[test]
fn a_machine_whose_link_is_lost_is_unknown_on_the_floor_at_once() {
    let mut world = World::linked(1);
    world.join(WALL, RoomName::Floor(GYM));
    world.hear(WALL);
    world.gone(LINK);
    assert_eq!(world.availability(1), Availability::Unknown);
    let unknown = |event: &EventBody| matches!(event, EventBody::Availability { availability: Availability::Unknown, state: None, .. });
    assert!(world.events(WALL).iter().any(unknown));
}

#[test]
fn a_fault_opens_a_ticket_that_only_staff_hears_of_and_an_error_takes_the_machine_out() {
    let mut world = World::linked(1);
    for session in [WALL, OPERATOR] {
        world.join(session, RoomName::Floor(GYM));
        world.hear(session);
    }
    let fault = MachineFault { machine: machine(1), code: text::Text::cut("E7"), severity: Severity::Error, subsystem: None, text: None };
    world.step(Input::MachineFault { session: LINK, fault: fault.clone() });
    world.step(Input::MachineFault { session: LINK, fault });
    let tickets = |events: Vec<EventBody>| events.iter().filter(|event| matches!(event, EventBody::Ticket { .. })).count();
    assert_eq!(tickets(world.events(OPERATOR)), 1);
    assert_eq!(tickets(world.events(WALL)), 0);
    assert_eq!(world.availability(1), Availability::Maintenance);
    world.join(WALL, RoomName::Floor(GYM));
    assert!(!world.hear(WALL).iter().any(|frame| format!("{frame:?}").contains("E7")));
}
