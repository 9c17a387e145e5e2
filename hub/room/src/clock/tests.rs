//! Clocks that are years off, drift, jump and restart.

use proptest::prelude::*;

use super::*;

const UTC: i64 = 1_763_700_000_000;

fn now(ms: i64) -> Now {
    Now { at_ms: UTC + ms, mono_ms: ms }
}

/// Asks at `ms`, the device hears after `out_ms`, its answer comes after `back_ms` more.
fn exchange(clock: &mut DeviceClock, dev: impl Fn(i64) -> i64, ms: i64, out_ms: i64, back_ms: i64) -> bool {
    let asked_at_ms = clock.ask(now(ms)).expect("due");
    let heard = dev(ms + out_ms);
    let frame = Clock { clock: 0, asked_at_ms, received_dev_ms: heard, sent_dev_ms: heard };
    let answered = now(ms + out_ms + back_ms);
    clock.pair(&frame, answered.at_ms, answered)
}

#[test]
fn a_clock_that_stands_in_1970_is_read_as_utc() {
    let mut clock = DeviceClock::default();
    assert!(exchange(&mut clock, |ms| ms + 77, 1_000, 20, 20));
    assert_eq!(clock.to_utc(5_077, now(5_000)), Some(UTC + 5_000));
    assert_eq!(clock.to_dev(UTC + 7_000, now(5_000)), Some(7_077));
    assert!(clock.is_sure(now(61_000)));
    assert!(!clock.is_sure(now(61_040)), "a pair of 60 s raises no effort");
}

#[test]
fn the_quickest_round_trip_is_believed() {
    let mut clock = DeviceClock::default();
    exchange(&mut clock, |ms| ms, 0, 5, 5);
    exchange(&mut clock, |ms| ms, 1_000, 400, 0);
    assert_eq!(clock.offset_ms(now(1_500)), Some(UTC));
}

#[test]
fn an_answer_to_no_question_is_not_believed() {
    let mut clock = DeviceClock::default();
    let frame = Clock { clock: 0, asked_at_ms: UTC, received_dev_ms: 0, sent_dev_ms: 0 };
    assert!(!clock.pair(&frame, UTC + 1, now(1)));
    assert!(!clock.is_sure(now(1)));
}

#[test]
fn the_same_answer_twice_counts_once() {
    let mut clock = DeviceClock::default();
    let asked_at_ms = clock.ask(now(0)).expect("due");
    let frame = Clock { clock: 0, asked_at_ms, received_dev_ms: 10, sent_dev_ms: 10 };
    assert!(clock.pair(&frame, UTC + 20, now(20)));
    assert!(!clock.pair(&frame, UTC + 50_000, now(50_000)));
    assert_eq!(clock.pair_age_ms(now(50_000)), Some(49_980));
}

#[test]
fn questions_come_quickly_at_first_and_then_four_a_minute() {
    let mut clock = DeviceClock::default();
    let mut asked = Vec::new();
    for ms in (0..60_000).step_by(50) {
        if let Some(asked_at_ms) = clock.ask(now(ms)) {
            asked.push(ms);
            clock.pair(&Clock { clock: 0, asked_at_ms, received_dev_ms: ms, sent_dev_ms: ms }, now(ms).at_ms, now(ms));
        }
    }
    assert_eq!(asked, [0, 1_000, 2_000, 3_000, 18_000, 33_000, 48_000]);
}

#[test]
fn a_drift_of_three_minutes_an_hour_leaves_fresh_readings_fresh() {
    let fast = |ms: i64| ms + ms / 20;
    let (mut clock, mut boot) = (DeviceClock::default(), BootClock::default());
    let mut before = i64::MIN;
    for second in 0..3_600 {
        let ms = second * 1_000;
        if let Some(asked_at_ms) = clock.ask(now(ms)) {
            let frame = Clock { clock: 0, asked_at_ms, received_dev_ms: fast(ms + 10), sent_dev_ms: fast(ms + 10) };
            clock.pair(&frame, now(ms + 20).at_ms, now(ms + 20));
        }
        let corrected = boot.correct(fast(ms), &clock, None, now(ms + 30));
        assert!(corrected > before, "second {second} stepped back");
        before = corrected;
        if second > 20 {
            let age_ms = clock.age_ms(fast(ms), now(ms + 30)).expect("heard");
            assert!(age_ms < 500, "second {second}: {age_ms} ms");
        }
    }
}

#[test]
fn a_jump_of_the_clock_forgets_what_was_known_before_it() {
    let mut clock = DeviceClock::default();
    exchange(&mut clock, |ms| ms, 0, 5, 5);
    exchange(&mut clock, |ms| ms - 3_600_000, 1_000, 9, 9);
    assert_eq!(clock.offset_ms(now(1_018)), Some(UTC + 3_600_000));
}

#[test]
fn a_step_of_utc_makes_no_reading_older() {
    let mut clock = DeviceClock::default();
    assert!(exchange(&mut clock, |ms| ms, 1_000, 10, 10));
    for step_ms in [-86_400_000, 300_000] {
        let stepped = Now { at_ms: UTC + 5_000 + step_ms, mono_ms: 5_000 };
        assert_eq!(clock.age_ms(4_900, stepped), Some(100), "UTC stepped by {step_ms} ms");
        assert_eq!(clock.to_dev(stepped.at_ms + 8_000, stepped), Some(13_000));
    }
}

#[test]
fn the_anchor_of_a_boot_does_not_move() {
    let (mut clock, mut boot) = (DeviceClock::default(), BootClock::default());
    clock.heard(5_000, now(6_000));
    boot.correct(5_000, &clock, None, now(6_000));
    assert_eq!(boot.anchor_at_ms(), Some(UTC + 1_000));
    exchange(&mut clock, |ms| ms, 7_000, 5, 5);
    boot.correct(8_000, &clock, None, now(8_005));
    assert_eq!(boot.anchor_at_ms(), Some(UTC + 1_000));
    assert_eq!(boot.offset_ms(), UTC, "the first pair after a guess counts at once");
}

#[test]
fn a_time_between_two_that_lie_centuries_apart_is_corrected() {
    let (clock, mut boot) = (DeviceClock::default(), BootClock::default());
    boot.correct(0, &clock, None, now(0));
    boot.correct(10_000_000_000_000, &clock, None, now(1));
    let between = boot.correct(5_000_000_000_000, &clock, None, now(2));
    assert!(between <= boot.correct(10_000_000_000_000, &clock, None, now(3)));
}

proptest! {
    #[test]
    fn corrected_time_never_steps_back_within_a_boot_whatever_the_clocks_do(
        skew in prop_oneof![Just(0_i64), Just(-7 * 3_600_000), any::<i64>()],
        steps in prop::collection::vec((0_i64..5_000, 0_i64..3_000, prop::option::of((0_i64..4_000, 0_i64..4_000, -100_000_i64..100_000))), 1..80),
    ) {
        let (mut clock, mut boot) = (DeviceClock::default(), BootClock::default());
        let (mut ms, mut before) = (0, i64::MIN);
        for (step, delay, pair) in steps {
            ms += step;
            let dev_ms = skew.saturating_add(ms);
            if let (Some((out, back, wrong)), Some(asked_at_ms)) = (pair, clock.ask(now(ms))) {
                let heard = dev_ms.saturating_add(out + wrong);
                clock.pair(&Clock { clock: 0, asked_at_ms, received_dev_ms: heard, sent_dev_ms: heard }, now(ms + out + back).at_ms, now(ms + out + back));
            }
            clock.heard(dev_ms, now(ms + delay));
            let corrected = boot.correct(dev_ms, &clock, None, now(ms + delay));
            prop_assert!(corrected >= before);
            before = corrected;
        }
    }

    #[test]
    fn any_numbers_make_a_time(frame in any::<(i64, i64, i64)>(), dev_ms in any::<i64>(), at_ms in 0_i64..1 << 50) {
        let mut clock = DeviceClock::default();
        let now = Now { at_ms, mono_ms: 0 };
        clock.ask(now);
        clock.pair(&Clock { clock: 0, asked_at_ms: frame.0, received_dev_ms: frame.1, sent_dev_ms: frame.2 }, at_ms, now);
        clock.heard(dev_ms, now);
        clock.to_dev(at_ms, now).expect("heard");
        BootClock::default().correct(dev_ms, &clock, None, now);
    }

    #[test]
    fn any_device_times_in_any_order_are_corrected(times in prop::collection::vec(prop_oneof![any::<i64>(), 0..20_000_000_000_000_i64], 1..60)) {
        let (mut clock, mut boot) = (DeviceClock::default(), BootClock::default());
        for (at, dev_ms) in times.into_iter().enumerate() {
            clock.heard(dev_ms, now(at as i64));
            boot.correct(dev_ms, &clock, None, now(at as i64));
        }
    }
}
