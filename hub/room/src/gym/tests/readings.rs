//! Which workout a reading belongs to, and what its source hears of it.

use protocol::frame::*;
use protocol::*;

use super::kit::*;
use crate::effect::{Effect, Keep, Persist};
use crate::input::{Input, MachineRecord, Numbered, Said, SourceHandle, SourceKey};

/// A reading of machine `n` under this number, new and now.
fn say(world: &mut World, n: u8, seq: u32, backfill: bool) {
    let mut reading = Reading::new();
    reading.set(Field::Power, 150);
    let dev_ms = world.now.at_ms - DEV_OFFSET_MS;
    let said = Numbered { seq, dev_ms, what: Said::Reading(reading), backfill };
    world.step(Input::Said { source: SourceHandle(u64::from(n)), said });
}

/// What the Recorder was asked to keep since the last call: seq and workout.
fn kept(world: &mut World) -> Vec<(u32, Option<WorkoutId>)> {
    let effects = std::mem::take(&mut world.effects);
    let keep = |effect| if let Effect::Keep(Keep { seq, workout, .. }) = effect { Some((seq, workout)) } else { None };
    effects.into_iter().filter_map(keep).collect()
}

/// Stretches told to the store since the last call.
fn stretches(world: &mut World) -> Vec<(u32, u32)> {
    let facts = world.facts();
    let range = |fact| if let Persist::WorkoutRange { range, .. } = fact { Some((range.from_seq, range.to_seq)) } else { None };
    facts.into_iter().filter_map(range).collect()
}

fn ftms(n: u8) -> SourceKey {
    SourceKey { machine: Some(machine(n)), member: None, sensor: text::Text::cut("ftms") }
}

#[test]
fn a_workout_that_begins_after_a_quiet_reconnect_takes_only_what_is_read_under_it() {
    let mut world = World::linked(2);
    world.facts();
    world.claim_by_code(1, 2);
    let workout = world.workout(2);
    assert_eq!(stretches(&mut world), [], "nobody knows where the source stands");
    say(&mut world, 2, 4_000, true);
    say(&mut world, 2, 5_001, false);
    assert_eq!(kept(&mut world), [(4_000, None), (5_001, Some(workout))]);
}

#[test]
fn a_workout_begins_with_the_earliest_of_its_first_readings_however_they_come() {
    let mut world = World::linked(2);
    say(&mut world, 1, 40, false);
    world.claim_by_code(1, 2);
    world.claim_by_code(2, 1);
    let (first, second) = (world.workout(2), world.workout(1));
    world.effects.clear();
    for seq in [52, 51, 53, 50] {
        say(&mut world, 2, seq, false);
    }
    say(&mut world, 2, 49, true);
    say(&mut world, 1, 39, false);
    let first_of = |seq| (seq, Some(first));
    let effects = world.effects.clone();
    assert_eq!(kept(&mut world), [first_of(52), first_of(51), first_of(53), first_of(50), (49, None), (39, None)]);
    world.effects = effects;
    assert_eq!(stretches(&mut world), [(52, u32::MAX), (51, u32::MAX), (50, u32::MAX)]);
    assert_ne!(first, second);
}

#[test]
fn what_was_read_before_the_claim_and_after_its_end_is_nobodys() {
    let mut world = World::linked(2);
    say(&mut world, 2, 10, false);
    world.effects.clear();
    world.claim_by_code(1, 2);
    let workout = world.workout(2);
    say(&mut world, 2, 11, false);
    say(&mut world, 2, 12, false);
    let fence = world.fence(2);
    world.step(Input::Revoke { machine: machine(2), fence, reason: ReleaseReason::Staff });
    say(&mut world, 2, 13, false);
    let effects = world.effects.clone();
    assert_eq!(kept(&mut world), [(11, Some(workout)), (12, Some(workout)), (13, None)]);
    world.effects = effects;
    assert_eq!(stretches(&mut world), [(11, u32::MAX), (11, 12)]);
}

#[test]
fn the_next_member_takes_nothing_of_a_workout_whose_end_was_not_known() {
    let mut world = World::linked(2);
    say(&mut world, 2, 10, false);
    world.claim_by_code(1, 2);
    let first = world.workout(2);
    say(&mut world, 2, 11, false);
    // The link breaks; the member goes; the machine reads on into its buffer.
    world.step(Input::Gone { session: LINK });
    world.tick_for(5_000);
    let fence = world.fence(2);
    world.step(Input::Revoke { machine: machine(2), fence, reason: ReleaseReason::Staff });
    let ended_ms = world.now.at_ms - DEV_OFFSET_MS;
    world.tick_for(5_000);
    world.hello(2, None);
    world.bind_one(2, 1, SeqRanges::from_iter([(12, 20)]));
    world.tick_for(1_000);
    world.clock();
    world.claim_by_code(2, 2);
    let second = world.workout(2);
    world.effects.clear();
    say(&mut world, 2, 21, false);
    for seq in 12..=20 {
        let mut reading = Reading::new();
        reading.set(Field::Power, 150);
        let said = Numbered { seq, dev_ms: ended_ms + (i64::from(seq) - 15) * 1_000, what: Said::Reading(reading), backfill: true };
        world.step(Input::Said { source: SourceHandle(2), said });
    }
    let whose: Vec<_> = kept(&mut world);
    assert_eq!(whose[0], (21, Some(second)));
    assert!(whose[1..].iter().all(|(seq, workout)| *workout == (*seq <= 15).then_some(first)), "{whose:?}");
}

#[test]
fn a_full_recorder_holds_its_source_and_asks_again_when_it_can() {
    let mut world = World::linked(2);
    (1..=3).for_each(|seq| say(&mut world, 2, seq, false));
    world.step(Input::NotAccepted { source: SourceHandle(2), seq: 2, through: 2, absorbed: vec![] });
    world.step(Input::NotAccepted { source: SourceHandle(2), seq: 3, through: 3, absorbed: vec![] });
    world.tick_for(3_000);
    let heard = world.hear(LINK);
    assert_eq!(heard.iter().filter(|frame| matches!(frame, ServerFrame::Hold(Hold { slot: 2 }))).count(), 1);
    let through =
        heard.iter().filter_map(|frame| if let ServerFrame::Ack(ack) = frame { ack.acks.iter().find(|ack| ack.slot == 2) } else { None });
    assert_eq!(through.map(|ack| ack.accepted_through).max(), Some(1));
    assert!(!heard.iter().any(|frame| matches!(frame, ServerFrame::Resend(_))));
    world.step(Input::RecorderReady);
    world.tick_for(4_000);
    let resend = world.hear(LINK).into_iter().find_map(|frame| if let ServerFrame::Resend(resend) = frame { Some(resend) } else { None });
    assert_eq!(resend.map(|resend| (resend.slot, resend.from, resend.to)), Some((2, 2, 3)));
}

#[test]
fn a_sealed_workout_hears_what_is_stored_and_its_room_is_told() {
    let mut world = World::linked(2);
    world.known(1, false);
    world.claim_by_code(1, 2);
    let workout = world.workout(2);
    say(&mut world, 2, 1, false);
    world.join(phone(1), RoomName::Workout(workout));
    let fence = world.fence(2);
    world.step(Input::Release { session: phone(1), viewer: who(phone(1)), release: Release { req: 9, machine: machine(2), fence } });
    world.tick_for(1_000);
    assert!(!world.facts().iter().any(|fact| matches!(fact, Persist::AddUp { .. })));
    world.step(Input::Stored { source: ftms(2), boot: 1, nonce: 9, stored: SeqRanges::from_iter([1]), rejected: vec![] });
    world.tick_for(1_000);
    assert!(world.facts().iter().any(|fact| matches!(fact, Persist::AddUp { revision: 0, .. })));
    world.step(Input::TotalsKnown { workout, revision: 0, totals: Totals { readings: 1, ..Totals::default() } });
    let heard = world.hear(phone(1));
    assert!(heard.iter().any(|frame| matches!(frame, ServerFrame::Saved(saved) if saved.stored.contains(1))));
    assert!(
        heard.iter().any(|frame| matches!(frame, ServerFrame::Event(event) if matches!(event.body, EventBody::Sealed { revision: 0, .. })))
    );
}

#[test]
fn half_a_record_is_not_kept_when_its_source_goes_and_the_whole_is_when_it_is_back() {
    use protocol::ftms::{Characteristic, Layout, encode_reading};
    let mut reading = Reading::new();
    [(Field::Speed, 3_000), (Field::Cadence, 90), (Field::Power, 200), (Field::Distance, 10), (Field::Resistance, 50)]
        .into_iter()
        .chain([(Field::Energy, 5), (Field::HeartRate, 140), (Field::Elapsed, 9)])
        .for_each(|(field, value)| reading.set(field, value));
    let parts = encode_reading(Characteristic::IndoorBike, Layout::default(), &reading, 12).parts;
    assert!(parts.len() > 1);
    let mut world = World::linked(2);
    let dev_ms = world.now.at_ms - DEV_OFFSET_MS;
    let part = |at: usize, bytes: &Vec<u8>| Numbered {
        seq: at as u32 + 1,
        dev_ms,
        what: Said::Raw { uuid: Characteristic::IndoorBike.uuid(), bytes: bytes.clone() },
        backfill: false,
    };
    world.effects.clear();
    world.step(Input::Said { source: SourceHandle(2), said: part(0, &parts[0]) });
    world.step(Input::Unbind { session: LINK, source: SourceHandle(2) });
    assert_eq!(kept(&mut world), []);
    world.bind_one(2, 1, SeqRanges::from_iter([(1, parts.len() as u32)]));
    for (at, bytes) in parts.iter().enumerate() {
        world.step(Input::Said { source: SourceHandle(2), said: part(at, bytes) });
    }
    assert_eq!(kept(&mut world), [(1, None)]);
}

#[test]
fn a_machine_that_is_bound_to_another_gateway_or_taken_away_is_not_published_any_more_and_its_link_is_told() {
    let mut world = World::linked(2);
    let moved = MachineRecord { gateway: Some(GatewayId(uuid::Uuid::from_u128(5))), ..record(1) };
    for (n, input, code) in [
        (1, Input::MachineKnown { record: Box::new(moved) }, ErrorCode::ForeignMachine),
        (2, Input::MachineRemoved { machine: machine(2) }, ErrorCode::NoSuchMachine),
    ] {
        say(&mut world, n, 1, false);
        assert_eq!(kept(&mut world).len(), 1);
        world.step(input);
        assert_eq!(world.error(LINK), Some(code));
        say(&mut world, n, 2, false);
        assert_eq!(kept(&mut world), [], "machine {n}");
    }
    assert_eq!(world.availability(1), Availability::Unknown);
}

#[test]
fn a_device_that_has_the_boot_of_another_does_not_hear_that_its_readings_are_stored() {
    let mut world = World::linked(2);
    let sensor = text::Text::cut("hr");
    for (slot, nonce) in [(71, 5), (72, 6)] {
        let bind = Bind {
            slot,
            machine: None,
            sensor: sensor.clone(),
            boot: 1,
            nonce,
            clock: 0,
            held: SeqRanges::new(),
            quirk: None,
            claim_from_seq: None,
        };
        world.step(Input::Bind { session: phone(1), viewer: who(phone(1)), source: SourceHandle(slot.into()), bind });
        let mut reading = Reading::new();
        reading.set(Field::HeartRate, 140);
        let said = Numbered { seq: 1, dev_ms: 10, what: Said::Reading(reading), backfill: false };
        world.step(Input::Said { source: SourceHandle(slot.into()), said });
    }
    let source = SourceKey { machine: None, member: Some(member(1)), sensor };
    world.step(Input::Stored { source, boot: 1, nonce: 5, stored: SeqRanges::from_iter([1]), rejected: vec![] });
    world.tick_for(3_000);
    let told = |frame| if let ServerFrame::Ack(ack) = frame { Some(ack.acks) } else { None };
    let acks = world.hear(phone(1)).into_iter().filter_map(told).flatten();
    let slots: std::collections::BTreeSet<u16> = acks.filter(|ack| ack.stored.contains(1)).map(|ack| ack.slot).collect();
    assert_eq!(slots, [71].into());
}

#[test]
fn a_sensor_on_two_phones_does_not_bring_what_the_second_read_before_into_the_workout_on_the_first() {
    let mut world = World::linked(2);
    world.claim_by_code(1, 2);
    let own = |world: &mut World, session: SessionId, slot: u16, boot: u32, held: &[(u32, u32)]| {
        let (sensor, held) = (text::Text::cut("hr"), held.iter().copied().collect());
        let bind = Bind { slot, machine: None, sensor, boot, nonce: boot, clock: 0, held, quirk: None, claim_from_seq: None };
        world.step(Input::Bind { session, viewer: who(phone(1)), source: SourceHandle(slot.into()), bind });
    };
    let say = |world: &mut World, slot: u16, seq: u32, backfill: bool| {
        let mut reading = Reading::new();
        reading.set(Field::HeartRate, 140);
        let said = Numbered { seq, dev_ms: i64::from(seq) * 1_000, what: Said::Reading(reading), backfill };
        world.effects.clear();
        world.step(Input::Said { source: SourceHandle(slot.into()), said });
        kept(world)
    };
    own(&mut world, phone(1), 71, 5, &[]);
    assert_eq!(say(&mut world, 71, 1, false), [(1, Some(world.workout(2)))]);
    let tablet = SessionId(uuid::Uuid::from_u128(0x7ab));
    own(&mut world, tablet, 72, 9, &[(1, 2_000)]);
    assert_eq!(say(&mut world, 72, 7, true), [(7, None)], "it was read in the morning");
    assert_eq!(say(&mut world, 72, 2_001, false), [(2_001, Some(world.workout(2)))]);
    // The first phone loses its link for longer than a machine that was started again may take to bind what it holds.
    world.gone(phone(1));
    world.tick_for(70_000);
    own(&mut world, phone(1), 73, 5, &[(2, 60)]);
    assert_eq!(say(&mut world, 73, 2, true), [(2, Some(world.workout(2)))]);
    for slot in 100..200 {
        own(&mut world, tablet, slot, 1, &[]);
    }
    assert_eq!(world.gym.connections[&tablet].clocks.len(), 1);
    assert_eq!(world.error(tablet), Some(ErrorCode::TooManySlots), "a member brings so many sensors and no more");
}
