//! Machines that are started again while their connection stands, as behind a gateway: next boot, clock from anywhere, the boot before still bound.

use protocol::frame::*;
use protocol::limits::COMMAND_LIFE_MS;
use protocol::text::Text;
use protocol::*;

use super::kit::*;
use crate::effect::{Effect, Keep};
use crate::input::{Input, Numbered, Said, SourceHandle, SourceKey};

/// Of the source of machine 2 in this boot.
const fn handle(boot: u32) -> SourceHandle {
    SourceHandle(100 + boot as u64)
}

fn bind(world: &mut World, boot: u32, held: SeqRanges) {
    let (slot, machine, sensor) = (100 + boot as u16, Some(machine(2)), Text::cut("ftms"));
    let bind = Bind { slot, machine, sensor, boot, nonce: 9, clock: 0, held, quirk: None, claim_from_seq: None };
    world.step(Input::Bind { session: LINK, viewer: who(LINK), source: handle(boot), bind });
}

fn say(world: &mut World, boot: u32, seq: u32, dev_ms: i64) {
    let mut reading = Reading::new();
    reading.set(Field::Power, 150);
    let said = Numbered { seq, dev_ms, what: Said::Reading(reading), backfill: false };
    world.step(Input::Said { source: handle(boot), said });
}

/// What the Recorder was asked to keep since the last call.
fn kept(world: &mut World) -> Vec<Keep> {
    let effects = std::mem::take(&mut world.effects);
    effects.into_iter().filter_map(|effect| if let Effect::Keep(keep) = effect { Some(keep) } else { None }).collect()
}

/// Source and seq of the live values that a session was shown since the last call.
fn shown(world: &mut World, session: SessionId) -> Vec<(u16, u32)> {
    let live = |frame| if let ServerFrame::Live(live) = frame { Some((live.source, live.seq)) } else { None };
    world.hear(session).into_iter().filter_map(live).collect()
}

/// Boot 1 of machine 2 read a while, by a clock whose offset is well known.
fn read_a_while() -> World {
    let mut world = World::new(2);
    world.hello(2, None);
    bind(&mut world, 1, SeqRanges::new());
    for seq in 1..=20 {
        world.tick_for(1_000);
        world.clock();
        let dev_ms = world.now.at_ms - DEV_OFFSET_MS;
        say(&mut world, 1, seq, dev_ms);
    }
    world
}

#[test]
fn the_values_of_a_machine_that_was_started_again_are_live_at_once_and_stored_as_of_now() {
    // Its clock goes back, goes on, or jumps ahead by a day.
    for offset_ms in [-3_600_000, 0, 86_400_000] {
        let mut world = read_a_while();
        world.claim_by_code(1, 2);
        world.join(phone(1), RoomName::Workout(world.workout(2)));
        let dev_ms = |world: &World| world.now.at_ms - DEV_OFFSET_MS + offset_ms;
        world.hello(2, world.gym.machines[&machine(2)].hold.as_ref().map(|hold| hold.held));
        bind(&mut world, 2, SeqRanges::new());
        world.effects.clear();
        shown(&mut world, phone(1));
        for seq in 1..=4 {
            let read_dev_ms = dev_ms(&world);
            world.tick_for(100);
            say(&mut world, 2, seq, read_dev_ms);
            world.tick_for(900);
        }
        assert_eq!(shown(&mut world, phone(1)).len(), 4, "clock moved by {offset_ms} ms");
        for keep in kept(&mut world) {
            let late_ms = keep.received_at_ms - (keep.anchor_at_ms + keep.dev_ms);
            assert!((0..=100).contains(&late_ms), "{late_ms} ms off by its anchor, clock moved by {offset_ms} ms");
            assert!((0..=100).contains(&(keep.received_at_ms - keep.corrected_at_ms)), "clock moved by {offset_ms} ms");
        }
    }
}

#[test]
fn a_clock_that_began_again_is_asked_at_once_and_no_answer_to_an_earlier_question_counts() {
    let mut world = read_a_while();
    world.tick_for(15_000);
    let asked = |frame| if let ServerFrame::ClockAsk(ask) = frame { Some(ask.asked_at_ms) } else { None };
    let before: Vec<i64> = world.hear(LINK).into_iter().filter_map(asked).collect();
    bind(&mut world, 2, SeqRanges::new());
    let (asked_at_ms, answered_at_ms) = (before[before.len() - 1], world.now.at_ms);
    let clock = Clock { clock: 0, asked_at_ms, received_dev_ms: 5, sent_dev_ms: 5 };
    world.step(Input::Clock { session: LINK, clock, answered_at_ms });
    let known = world.gym.connections[&LINK].clocks[&0].offset_ms(world.now);
    assert_eq!(known, None);
    world.tick_for(50);
    assert_eq!(world.hear(LINK).into_iter().filter_map(asked).count(), 1);
}

#[test]
fn a_command_to_a_machine_that_was_started_again_waits_for_its_new_clock() {
    let mut world = read_a_while();
    world.claim_by_code(1, 2);
    bind(&mut world, 2, SeqRanges::new());
    say(&mut world, 2, 1, 400);
    world.control(phone(1), 2, 7, Target::PowerW(155));
    assert_eq!(world.error(phone(1)), Some(ErrorCode::RaisesEffort));
    world.tick_for(50);
    let asked_at_ms = world.now.at_ms;
    let clock = Clock { clock: 0, asked_at_ms, received_dev_ms: 450, sent_dev_ms: 450 };
    world.step(Input::Clock { session: LINK, clock, answered_at_ms: asked_at_ms });
    world.control(phone(1), 2, 8, Target::PowerW(155));
    assert_eq!(world.commands().iter().map(|command| command.expires_dev_ms).collect::<Vec<_>>(), [450 + COMMAND_LIFE_MS]);
}

#[test]
fn a_machine_that_says_hello_again_is_sent_nothing_that_raises_effort_before_its_clock_is_asked() {
    let mut world = read_a_while();
    world.claim_by_code(1, 2);
    world.hello(2, world.gym.machines[&machine(2)].hold.as_ref().map(|hold| hold.held));
    world.control(phone(1), 2, 7, Target::PowerW(5));
    assert_eq!(world.error(phone(1)), Some(ErrorCode::RaisesEffort));
    world.hear(LINK);
    world.tick_for(50);
    world.clock();
    world.control(phone(1), 2, 8, Target::PowerW(5));
    assert_eq!(world.commands().len(), 1);
}

#[test]
fn who_claims_a_machine_after_it_was_started_again_gets_nothing_of_what_it_read_before() {
    let mut world = read_a_while();
    bind(&mut world, 2, SeqRanges::new());
    for seq in 1..=5 {
        world.tick_for(1_000);
        say(&mut world, 2, seq, 1_000 * i64::from(seq));
    }
    world.claim_by_code(1, 2);
    let workout = world.workout(2);
    kept(&mut world);
    let source = SourceKey { machine: Some(machine(2)), member: None, sensor: Text::cut("ftms") };
    let ranges = |world: &World| {
        let of = |boot| world.gym.workouts[&workout].stretches_of(&source, boot).map(move |(_, from, _)| (boot, from)).collect::<Vec<_>>();
        (1..=2).flat_map(of).collect::<Vec<_>>()
    };
    assert_eq!(ranges(&world), [(2, 6)]);
    // A word of the boot before that was still under way is nobody's.
    let dev_ms = world.now.at_ms - DEV_OFFSET_MS;
    say(&mut world, 1, 21, dev_ms);
    say(&mut world, 2, 6, 6_000);
    let of: Vec<_> = kept(&mut world).into_iter().map(|keep| (keep.boot, keep.seq, keep.workout)).collect();
    assert_eq!(of, [(1, 21, None), (2, 6, Some(workout))]);
    assert_eq!(ranges(&world), [(2, 6)]);
}

#[test]
fn the_workout_on_a_machine_goes_on_with_the_first_reading_after_its_start() {
    let mut world = read_a_while();
    world.claim_by_code(1, 2);
    let workout = world.workout(2);
    let dev_ms = world.now.at_ms - DEV_OFFSET_MS;
    say(&mut world, 1, 21, dev_ms);
    bind(&mut world, 2, SeqRanges::new());
    kept(&mut world);
    say(&mut world, 2, 1, 10);
    assert_eq!(kept(&mut world).first().and_then(|keep| keep.workout), Some(workout));
}

#[test]
fn a_boot_that_is_over_may_be_bound_after_the_one_that_runs() {
    let mut world = World::new(2);
    world.hello(2, None);
    bind(&mut world, 5, SeqRanges::new());
    world.tick_for(1_000);
    world.clock();
    bind(&mut world, 4, SeqRanges::from_iter([(7, 9)]));
    assert_eq!(world.gym.sources_of_machine(machine(2)).iter().map(|source| source.boot).collect::<Vec<_>>(), [5]);
    assert!(world.gym.connections[&LINK].clocks[&0].is_sure(world.now), "its clock goes on");
    world.effects.clear();
    // Its clock had run far ahead of that of the boot that runs.
    let dev_ms = world.now.at_ms - DEV_OFFSET_MS + 500_000;
    say(&mut world, 4, 7, dev_ms);
    let keep = kept(&mut world).pop().expect("kept");
    assert!(keep.corrected_at_ms <= keep.received_at_ms && keep.anchor_at_ms + keep.dev_ms <= keep.received_at_ms);
}

#[test]
fn a_boot_between_two_starts_that_nobody_heard_is_the_workouts_whichever_is_bound_first() {
    for order in [[2, 3], [3, 2]] {
        let mut world = read_a_while();
        world.claim_by_code(1, 2);
        let (workout, claim) = (world.workout(2), world.gym.machines[&machine(2)].hold.as_ref().map(|hold| hold.held));
        let dev_ms = world.now.at_ms - DEV_OFFSET_MS;
        say(&mut world, 1, 21, dev_ms);
        world.gone(LINK);
        world.hello(2, claim);
        for boot in order {
            bind(&mut world, boot, if boot == 2 { SeqRanges::from_iter([(1, 3)]) } else { SeqRanges::new() });
        }
        kept(&mut world);
        (1..=3).for_each(|seq| say(&mut world, 2, seq, 1_000 * i64::from(seq)));
        let of: Vec<_> = kept(&mut world).into_iter().map(|keep| (keep.seq, keep.workout)).collect();
        assert_eq!(of, [1, 2, 3].map(|seq| (seq, Some(workout))), "bound in this order: {order:?}");
    }
}

#[test]
fn nothing_that_a_boot_held_which_nobody_heard_is_stored_as_of_a_time_to_come() {
    // It read for an hour; then its machine was started again, and the clock with it. Perhaps it lost the first of it.
    for lost in [None, Some((1, 50))] {
        let mut world = World::new(2);
        world.hello(2, None);
        bind(&mut world, 5, SeqRanges::new());
        world.tick_for(1_000);
        let asked_at_ms = world.now.at_ms;
        let clock = Clock { clock: 0, asked_at_ms: asked_at_ms - 1_000, received_dev_ms: 400, sent_dev_ms: 400 };
        world.step(Input::Clock { session: LINK, clock, answered_at_ms: asked_at_ms - 990 });
        bind(&mut world, 4, SeqRanges::from_iter([(51, 3_600)]));
        world.effects.clear();
        if let Some((from, to)) = lost {
            world.step(Input::Lost { source: handle(4), from, to });
        }
        world.tick_for(1_000);
        for seq in 51..=3_600 {
            say(&mut world, 4, seq, i64::from(seq) * 1_000);
        }
        world.tick_for(100);
        let kept = kept(&mut world);
        assert_eq!(kept.len(), 3_550 + usize::from(lost.is_some()), "the loss is handed over");
        for keep in &kept {
            let at_ms = keep.anchor_at_ms + keep.dev_ms;
            assert!(keep.corrected_at_ms <= keep.received_at_ms && at_ms <= keep.received_at_ms, "{keep:?}");
        }
    }
}
