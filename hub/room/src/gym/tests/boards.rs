//! Boards: what counts, from when to when, and who is named (I6, I11).

use protocol::frame::*;
use protocol::text::Text;
use protocol::*;
use uuid::Uuid;

use super::kit::*;
use crate::board::STAYS_MS;
use crate::effect::{Effect, Persist, Tell};
use crate::input::{BoardPart, BoardRecord, Input, MemberRecord};

const BOARD: BoardId = BoardId(Uuid::from_u128(0xb0));
const ROOM: RoomName = RoomName::Board(BOARD);

/// A class on the bike (machine 2) from 10 s to 60 s after the start of the world.
fn class() -> BoardRecord {
    BoardRecord {
        board: BOARD,
        name: Text::cut("Spin"),
        metric: BoardMetric::Distance,
        machines: vec![machine(2)],
        starts_at_ms: EPOCH_MS + 10_000,
        ends_at_ms: EPOCH_MS + 60_000,
        every_ms: 1_000,
        parts: vec![],
    }
}

fn open(world: &mut World, record: BoardRecord) {
    world.step(Input::BoardKnown { record: Box::new(record) });
}

fn ride(world: &mut World, n: u8, distance_m: i32) {
    world.read(n, &[(Field::Power, 150), (Field::Distance, distance_m)]);
    world.tick_for(1_000);
}

/// Rows of the last tick that the wall heard, with how many are on the board.
fn top(world: &mut World) -> Option<(u16, Vec<(u16, u32)>)> {
    let heard = world.hear(WALL);
    let tick = heard.into_iter().rev().find_map(|frame| if let ServerFrame::BoardTick(tick) = frame { Some(tick) } else { None })?;
    Some((tick.count, tick.rows.iter().map(|row| (row.index, row.score)).collect()))
}

fn snapshot(world: &mut World) -> BoardSnapshot {
    world.join(WALL, ROOM);
    let heard = world.hear(WALL);
    let joined = heard.into_iter().find_map(|frame| if let ServerFrame::Joined(joined) = frame { joined.snapshot } else { None });
    match joined {
        Some(Snapshot::Board(board)) => *board,
        other => panic!("a board, not {other:?}"),
    }
}

fn scores(world: &mut World) -> Vec<(WorkoutId, u32, Option<u32>)> {
    let facts = world.facts();
    let scores = facts.into_iter().filter_map(|fact| match fact {
        Persist::BoardScore { workout, base, score, .. } => Some((workout, base, score)),
        _ => None,
    });
    scores.collect()
}

/// A member with consent on the bike, with 500 m before the class begins.
fn warmed_up() -> World {
    let mut world = World::linked(3);
    open(&mut world, class());
    world.claim_by_code(1, 2);
    world.known(1, true);
    ride(&mut world, 2, 0);
    ride(&mut world, 2, 500);
    world.facts();
    world.join(WALL, ROOM);
    world.hear(WALL);
    world.tick_for(10_000);
    world
}

#[test]
fn a_class_counts_from_its_start_what_is_done_on_its_machines() {
    let mut world = warmed_up();
    ride(&mut world, 2, 800);
    assert_eq!(top(&mut world), Some((1, vec![(0, 300)])));
    world.claim_by_code(2, 1);
    world.known(2, true);
    ride(&mut world, 1, 0);
    ride(&mut world, 1, 900);
    ride(&mut world, 2, 810);
    assert_eq!(top(&mut world), Some((1, vec![(0, 310)])), "the treadmill is not in the class");
}

#[test]
fn a_counter_that_begins_anew_goes_on_from_what_the_member_had() {
    let mut world = warmed_up();
    for distance_m in [600, 800, 800, 5] {
        ride(&mut world, 2, distance_m);
    }
    assert_eq!(snapshot(&mut world).rows[0].score, 305);
}

#[test]
fn the_end_freezes_the_board_and_keeps_what_everybody_came_to() {
    let mut world = warmed_up();
    ride(&mut world, 2, 900);
    let workout = world.workout(2);
    assert_eq!(scores(&mut world), [(workout, 500, None)]);
    world.tick_for(50_000);
    assert_eq!(scores(&mut world), [(workout, 500, Some(400))]);
    ride(&mut world, 2, 2_000);
    let board = snapshot(&mut world);
    assert_eq!((board.stage, board.rows[0].score), (BoardStage::Over, 400));
    world.skip(STAYS_MS);
    world.tick_for(1_000);
    assert!(world.effects.iter().any(|effect| matches!(effect, Effect::Tell(Tell::ForgetBoard { board: BOARD }))));
    world.hear(WALL);
    world.join(WALL, ROOM);
    assert_eq!(world.error(WALL), Some(ErrorCode::NoSuchRoom));
}

#[test]
fn a_board_whose_end_is_moved_after_it_was_over_counts_on() {
    let mut world = warmed_up();
    ride(&mut world, 2, 900);
    world.tick_for(50_000);
    let workout = world.workout(2);
    assert_eq!(scores(&mut world).last(), Some(&(workout, 500, Some(400))));
    open(&mut world, BoardRecord { ends_at_ms: EPOCH_MS + 90_000, ..class() });
    world.tick_for(1_000);
    ride(&mut world, 2, 2_000);
    let board = snapshot(&mut world);
    assert_eq!((board.stage, board.rows[0].score), (BoardStage::Running, 1_500));
    world.tick_for(40_000);
    assert_eq!(scores(&mut world).last(), Some(&(workout, 500, Some(1_500))), "and is kept at its new end");
}

#[test]
fn a_sealed_workout_counts_with_the_totals_of_the_store() {
    let mut world = warmed_up();
    ride(&mut world, 2, 900);
    let workout = world.workout(2);
    world.facts();
    world.step(Input::EndWorkout { session: phone(1), viewer: who(phone(1)), end: EndWorkout { req: 1, workout } });
    let totals = Totals { distance_m: 1_234, ..Totals::default() };
    world.step(Input::TotalsKnown { workout, revision: 0, totals });
    world.tick_for(1_000);
    assert_eq!(scores(&mut world), [(workout, 500, Some(734))]);
    assert_eq!(snapshot(&mut world).rows[0].score, 734);
}

#[test]
fn after_a_restart_a_board_goes_on_from_what_the_store_has() {
    let mut world = World::linked(2);
    let other = WorkoutId(Uuid::from_u128(0xf1));
    let part = BoardPart { workout: other, member: member(7), base: 0, score: Some(250), name: Some(Text::cut("Zoe")) };
    let quiet = BoardPart { workout: WorkoutId(Uuid::from_u128(0xf2)), member: member(8), base: 0, score: Some(999), name: None };
    open(&mut world, BoardRecord { starts_at_ms: EPOCH_MS, parts: vec![part, quiet], ..class() });
    world.claim_by_code(1, 2);
    world.known(1, true);
    ride(&mut world, 2, 0);
    ride(&mut world, 2, 300);
    let board = snapshot(&mut world);
    let named: Vec<(&str, u16)> = board.entries.iter().map(|entry| (&*entry.name, entry.index)).collect();
    assert_eq!(named, [("Zoe", 0), ("Anna", 2)]);
    assert_eq!(board.rows.iter().map(|row| (row.index, row.score)).collect::<Vec<_>>(), [(2, 300), (0, 250)]);
    assert_eq!(board.count, 2, "who did not agree is neither shown nor counted");
}

#[test]
fn nobody_is_on_a_board_without_consent_and_who_withdraws_it_is_gone_from_its_log() {
    let mut world = warmed_up();
    ride(&mut world, 2, 700);
    assert!(top(&mut world).is_some());
    world.known(1, false);
    let after = world.hear(WALL);
    assert!(matches!(&after[..], [ServerFrame::Reset(_)]), "{after:?}");
    assert!(!format!("{after:?}").contains("Anna"));
    assert_eq!(snapshot(&mut world).count, 0);
    world.known(1, true);
    assert!(matches!(&world.events(WALL)[..], [EventBody::BoardEntered { index: 0, name }] if &**name == "Anna"));
}

#[test]
fn a_member_who_left_the_gym_can_still_withdraw() {
    let mut world = World::linked(2);
    let part =
        BoardPart { workout: WorkoutId(Uuid::from_u128(1)), member: member(9), base: 0, score: Some(5), name: Some(Text::cut("Zoe")) };
    open(&mut world, BoardRecord { parts: vec![part], ..class() });
    assert_eq!(snapshot(&mut world).count, 1);
    world.step(Input::MemberKnown { member: member(9), record: MemberRecord::default() });
    assert_eq!(snapshot(&mut world).count, 0);
}

#[test]
fn a_zone_is_of_the_own_maximum_fresh_and_only_with_consent() {
    let mut world = warmed_up();
    let known = |world: &mut World, wall_consent| {
        let (handle, max_heart_rate_bpm) = (Some(Text::cut("Anna")), Some(200));
        let record = MemberRecord { handle, wall_consent, max_heart_rate_bpm, ..MemberRecord::default() };
        world.step(Input::MemberKnown { member: member(1), record });
    };
    let zone = |world: &mut World| snapshot(world).rows.first().map(|row| row.zone);
    known(&mut world, true);
    world.read(2, &[(Field::HeartRate, 165), (Field::Power, 150)]);
    world.tick_for(1_000);
    assert_eq!(zone(&mut world), Some(4));
    world.tick_for(6_000);
    assert_eq!(zone(&mut world), Some(0), "a heart rate of 7 s ago is nobody's now");
    known(&mut world, false);
    world.read(2, &[(Field::HeartRate, 165)]);
    world.tick_for(1_000);
    assert_eq!(zone(&mut world), None);
}

#[test]
fn a_board_is_told_when_it_changed_and_not_otherwise() {
    let mut world = warmed_up();
    ride(&mut world, 2, 700);
    assert!(top(&mut world).is_some());
    world.tick_for(5_000);
    assert_eq!(top(&mut world), None);
}
