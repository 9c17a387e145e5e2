//! Random hours in a gym, with the invariants checked after every step.
//!
//! In: random deeds (`hours`). Out: nothing, or the log of deeds as JSON lines and the invariant that broke.

use proptest::prelude::*;
use protocol::frame::*;

use super::hours::*;

fn deed() -> impl Strategy<Value = Deed> {
    let (machine, member, id) = (1..=MACHINES, 1..=MEMBERS, 0..4_u8);
    let target = prop_oneof![
        (0..1_600).prop_map(Target::SpeedCentikmh),
        (-20..160).prop_map(Target::InclinePermille),
        (0..220).prop_map(Target::ResistanceTenths),
        (0..450).prop_map(Target::PowerW),
        Just(Target::Pause),
    ];
    let sign = prop_oneof![Just(Sign::Movement), Just(Sign::Console), Just(Sign::Nfc)];
    let stage = prop_oneof![Just(StopStage::Received), Just(StopStage::Confirmed), Just(StopStage::Stopped), Just(StopStage::Refused)];
    let command = prop_oneof![
        Just((CommandStage::Received, None)),
        Just((CommandStage::Answered, Some(1))),
        Just((CommandStage::Answered, Some(4))),
        Just((CommandStage::Expired, None)),
        Just((CommandStage::ControlLost, None))
    ];
    let state = prop_oneof![
        1 => Just(MachineStatus::Idle),
        3 => Just(MachineStatus::Active),
        1 => Just(MachineStatus::Paused),
        1 => Just(MachineStatus::Manual),
        1 => Just(MachineStatus::SafetyStopped),
        1 => Just(MachineStatus::Booting),
    ];
    let kept = prop_oneof![4 => Just(Kept::Own), 1 => Just(Kept::Nothing), 1 => Just(Kept::Stale)];
    let (m, p) = (machine, member);
    prop_oneof![
        6 => (p.clone(), m.clone(), any::<bool>()).prop_map(|(member, machine, hand_over)| Deed::Code { member, machine, hand_over }),
        2 => (p.clone(), m.clone(), any::<bool>()).prop_map(|(member, machine, hand_over)| Deed::Sticker { member, machine, hand_over }),
        2 => (m.clone(), sign).prop_map(|(machine, sign)| Deed::Sign { machine, sign }),
        1 => m.clone().prop_map(|machine| Deed::Approve { machine }),
        3 => (p.clone(), m.clone(), any::<bool>()).prop_map(|(member, machine, stale)| Deed::Release { member, machine, stale }),
        1 => p.clone().prop_map(|member| Deed::CheckOut { member }),
        1 => (m.clone(), any::<bool>()).prop_map(|(machine, stale)| Deed::Revoke { machine, stale }),
        1 => (p.clone(), m.clone()).prop_map(|(member, machine)| Deed::Late { member, machine }),
        6 => (0..6_u8, m.clone(), id.clone()).prop_map(|(who, machine, id)| Deed::Stop { who, machine, id }),
        4 => (m.clone(), id.clone(), stage).prop_map(|(machine, id, stage)| Deed::StopAnswer { machine, id, stage }),
        9 => (p.clone(), m.clone(), id.clone(), target, prop::bool::weighted(0.1))
            .prop_map(|(member, machine, id, target, stale)| Deed::Control { member, machine, id, target, stale }),
        3 => (m.clone(), id, command).prop_map(|(machine, id, (stage, result))| Deed::Answer { machine, id, stage, result }),
        8 => (m.clone(), prop_oneof![Just(0_u16), 300..1_400_u16], any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(machine, speed, heart, again)| Deed::Read { machine, speed, heart, again }),
        4 => (m.clone(), state).prop_map(|(machine, state)| Deed::State { machine, state }),
        4 => (m.clone(), kept).prop_map(|(machine, kept)| Deed::Hello { machine, kept }),
        2 => (m.clone(), 1..3_u8).prop_map(|(machine, boot)| Deed::Bind { machine, boot }),
        1 => Just(Deed::LinkLost),
        3 => (0..6_u8, m.clone(), 0..3_u8).prop_map(|(who, machine, room)| Deed::Join { who, machine, room }),
        1 => (0..6_u8).prop_map(|who| Deed::Gone { who }),
        3 => (p, any::<bool>()).prop_map(|(member, consent)| Deed::Known { member, consent }),
        1 => (m, prop::bool::weighted(0.2)).prop_map(|(machine, error)| Deed::Fault { machine, error }),
        2 => Just(Deed::Clock),
        6 => (50..3_000_u16).prop_map(|ms| Deed::Tick { ms }),
        1 => (1..12_u8).prop_map(|minutes| Deed::Wait { minutes }),
        1 => Just(Deed::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_invariants_hold(deeds in prop::collection::vec(deed(), 1..80)) {
        if let Err(broken) = play(&deeds) {
            return Err(TestCaseError::fail(format!("{broken}\nreplay this log:\n{}", log_of(&deeds))));
        }
    }

    #[test]
    fn a_log_plays_again_as_it_was(deeds in prop::collection::vec(deed(), 1..30)) {
        let end = |watch: Watch| (watch.fences, watch.flash, format!("{:?}", watch.world.heard));
        prop_assert_eq!(play(&deeds).map(end), replay(&log_of(&deeds)).map(end));
    }
}

#[test]
fn the_random_hours_reach_grants_commands_stops_and_restarts() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut claims, mut commands, mut results, mut named) = (0, 0, 0, 0);
    for _ in 0..200 {
        let deeds = prop::collection::vec(deed(), 40..80).new_tree(&mut runner).expect("deeds").current();
        let watch = play(&deeds).expect("the invariants hold");
        claims += watch.fences.len();
        commands += watch.commands;
        results += watch.asked.values().map(|asked| asked.results).sum::<usize>();
        named += usize::from(watch.named);
    }
    assert!(claims > 200 && commands > 20 && results > 100 && named > 10, "{claims} {commands} {results} {named}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_bytes_a_fuzzer_tries_are_an_hour(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(random(&bytes), Ok(()));
    }
}
