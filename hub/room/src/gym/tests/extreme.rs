//! Numbers at the ends of their types: a peer may say anything, and no step panics of it.

use proptest::prelude::*;
use protocol::frame::*;
use protocol::text::Text;
use protocol::*;
use uuid::Uuid;

use super::kit::*;
use crate::input::*;

/// Numbers near the ends of 64 bits, near zero, and anything.
fn wide() -> impl Strategy<Value = i64> {
    prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0), -20_000..20_000_i64, Just(EPOCH_MS), 0..20_000_000_000_000_i64, any::<i64>()]
}

/// The same of 32 bits.
fn value() -> impl Strategy<Value = i32> {
    prop_oneof![Just(i32::MIN), Just(i32::MAX), Just(0), -50..2_000_i32, any::<i32>()]
}

fn seq() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), Just(1), Just(u32::MAX), Just(u32::MAX - 1), 1..30_u32, any::<u32>()]
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        value().prop_map(Target::SpeedCentikmh),
        value().prop_map(Target::InclinePermille),
        value().prop_map(Target::ResistanceTenths),
        value().prop_map(Target::PowerW),
        Just(Target::Pause)
    ]
}

fn what() -> impl Strategy<Value = Said> {
    let fields = prop::collection::vec((prop::sample::select(Field::ALL.to_vec()), value()), 0..6);
    prop_oneof![
        4 => fields.prop_map(|fields| {
            let mut reading = Reading::new();
            fields.into_iter().for_each(|(field, value)| reading.set(field, value));
            Said::Reading(reading)
        }),
        3 => (0x2acd_u16..0x2adb, prop::collection::vec(prop_oneof![Just(0_u8), Just(0xff), any::<u8>()], 0..24))
            .prop_map(|(uuid, bytes)| Said::Raw { uuid, bytes }),
        1 => (any::<u16>(), any::<u32>()).prop_map(|(short, long)| Said::Set(set(short, long))),
        1 => (any::<u16>(), any::<u32>()).prop_map(|(short, long)| Said::Rep(RepDetail {
            set: short, rep: short, load_hg: long, range_mm: short, mean_mm_s: short, peak_mm_s: short, peak_power_w: short,
            concentric_ms: short, eccentric_ms: short,
        })),
        1 => (any::<u16>(), any::<u32>()).prop_map(|(short, stroke)| Said::Stroke(StrokeDetail {
            stroke, drive_ms: short, recovery_ms: short, length_cm: short, peak_force_n: short, work_j: short,
        })),
    ]
}

fn set(short: u16, load_hg: u32) -> SetDetail {
    SetDetail {
        set: short,
        exercise: None,
        target_reps: short,
        reps: short,
        load_hg,
        seconds: short,
        rest_s: short,
        tempo: None,
        note: None,
    }
}

fn ranges() -> impl Strategy<Value = SeqRanges> {
    prop::collection::vec((1..=u32::MAX, seq()), 0..4)
        .prop_map(|pairs| pairs.into_iter().map(|(from, to)| (from.min(to.max(1)), from.max(to))).collect())
}

fn input() -> impl Strategy<Value = Input> {
    let (source, session) = (SourceHandle(2), LINK);
    let span = || prop::option::of((value(), value()));
    prop_oneof![
        8 => (seq(), wide(), what(), any::<bool>())
            .prop_map(move |(seq, dev_ms, what, backfill)| Input::Said { source, said: Numbered { seq, dev_ms, what, backfill } }),
        2 => (seq(), seq()).prop_map(move |(from, to)| Input::Lost { source, from, to }),
        2 => (wide(), wide(), wide()).prop_map(move |(asked_at_ms, received_dev_ms, sent_dev_ms)| Input::Clock {
            session,
            clock: Clock { clock: 0, asked_at_ms: if asked_at_ms % 2 == 0 { EPOCH_MS + 1_050 } else { asked_at_ms }, received_dev_ms, sent_dev_ms },
            answered_at_ms: EPOCH_MS + 1_100,
        }),
        2 => (span(), span(), span(), span()).prop_map(move |(speed, incline, resistance, power)| {
            let ranges = ControlRanges { speed_centikmh: speed, incline_permille: incline, resistance_tenths: resistance, power_w: power };
            Input::MachineHello { session, viewer: who(session), hello: MachineHello { ranges: Some(ranges), ..hello(2, None) } }
        }),
        1 => (ranges(), any::<u32>()).prop_map(move |(held, boot)| Input::Bind {
            session, viewer: who(session), source,
            bind: Bind { slot: 2, machine: Some(machine(2)), sensor: Text::cut("ftms"), boot, nonce: 9, clock: 0, held, quirk: None, claim_from_seq: Some(boot) },
        }),
        1 => Just(Input::Unbind { session, source }),
        1 => wide().prop_map(move |heard_at_ms| Input::MachineState {
            session, heard_at_ms,
            state: MachineState { machine: machine(2), state: MachineStatus::Active, cause: Cause::User, user_present: None },
        }),
        1 => (ranges(), seq()).prop_map(|(stored, seq)| Input::Stored {
            source: SourceKey { machine: Some(machine(2)), member: None, sensor: Text::cut("ftms") }, boot: 1, nonce: 9, stored, rejected: vec![(seq, 603)],
        }),
        1 => (seq(), seq()).prop_map(move |(seq, other)| Input::NotAccepted { source, seq, through: other, absorbed: vec![other] }),
        1 => Just(Input::RecorderReady),
        1 => prop::option::of(any::<u16>()).prop_map(|heart_rate_bpm| Input::Ceiling { member: member(1), heart_rate_bpm }),
        1 => any::<u64>().prop_map(|fence| Input::Revoke { machine: machine(1), fence, reason: ReleaseReason::Staff }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_number_makes_a_step_panic(steps in prop::collection::vec((input(), target(), wide(), any::<u8>()), 1..60)) {
        let mut world = World::linked(2);
        world.claim_by_code(1, 2);
        world.state(2, MachineStatus::Active);
        let workout = world.workout(2);
        world.join(phone(1), RoomName::Workout(workout));
        world.join(WALL, RoomName::Floor(GYM));
        for (at, (input, target, logged_at_ms, ticks)) in steps.into_iter().enumerate() {
            world.step(input);
            world.control(phone(1), 2, at as u128, target);
            let log = LogSet { req: 1, id: EventId(Uuid::from_u128(at as u128)), workout, logged_at_ms, set: set(u16::from(ticks), u32::MAX) };
            world.step(Input::LogSet { session: phone(1), viewer: who(phone(1)), log });
            world.tick_for(i64::from(ticks % 8) * 50);
        }
        world.skip(600_000);
    }
}
