//! One machine's stops, without a gym around them.

use super::*;
use protocol::frame::StopOutcome::{Refused, Stopped, Unconfirmed};
use uuid::Uuid;

const PHONE: SessionId = SessionId(Uuid::from_u128(1));
const COACH: SessionId = SessionId(Uuid::from_u128(2));
const ID: StopId = StopId(Uuid::from_u128(10));
const OTHER: StopId = StopId(Uuid::from_u128(11));
const FENCE: u64 = 7;
const SEND: StopNews = StopNews::Send { id: ID, fence: FENCE };

fn result(session: SessionId, id: StopId, outcome: StopOutcome) -> StopNews {
    StopNews::Result { session, id, outcome, code: None }
}

fn over(outcome: StopOutcome) -> StopNews {
    StopNews::Over { id: ID, outcome, code: None }
}

fn asked() -> Stops {
    let mut stops = Stops::default();
    assert_eq!(stops.ask(PHONE, ID, FENCE, 0).as_slice(), [SEND]);
    stops
}

#[test]
fn a_stop_goes_out_at_once_and_again_each_quarter_second() {
    let mut stops = asked();
    assert!(stops.tick(STOP_REPEAT_MS - 1).is_empty());
    for nth in 1..4 {
        assert_eq!(stops.tick(nth * STOP_REPEAT_MS).as_slice(), [SEND]);
    }
}

#[test]
fn a_repeat_joins_the_pending_stop_and_sends_nothing_more() {
    let mut stops = asked();
    assert!(stops.ask(PHONE, ID, FENCE, 250).is_empty());
    assert!(stops.ask(COACH, OTHER, FENCE, 300).is_empty());
    let news = stops.answered(ID, StopStage::Stopped, None, 400);
    assert_eq!(news.as_slice(), [result(PHONE, ID, Stopped), result(COACH, OTHER, Stopped), over(Stopped)]);
    assert!(!stops.is_pending());
}

#[test]
fn an_issuer_who_asks_again_after_the_end_hears_the_same_result_and_stops_nothing() {
    let mut stops = asked();
    stops.answered(ID, StopStage::Stopped, None, 100);
    assert_eq!(stops.ask(PHONE, ID, FENCE, 250).as_slice(), [result(PHONE, ID, Stopped)]);
    assert!(!stops.is_pending());
}

#[test]
fn a_confirmation_counts_only_with_two_readings_at_rest_in_a_row() {
    let mut stops = asked();
    assert!(stops.read(false, 10).is_empty());
    assert!(stops.read(false, 20).is_empty(), "rest without a confirmation proves nothing");
    assert!(stops.answered(ID, StopStage::Confirmed, Some(1), 30).is_empty());
    assert!(stops.read(false, 40).is_empty());
    assert!(stops.read(true, 50).is_empty());
    assert!(stops.read(false, 60).is_empty());
    assert_eq!(stops.read(false, 70).as_slice(), [result(PHONE, ID, Stopped), over(Stopped)]);
}

#[test]
fn a_refusal_carries_the_machines_code() {
    let mut stops = asked();
    let news = stops.answered(ID, StopStage::Refused, Some(5), 100);
    let code = Some(5);
    assert_eq!(
        news.as_slice(),
        [StopNews::Result { session: PHONE, id: ID, outcome: Refused, code }, StopNews::Over { id: ID, outcome: Refused, code }]
    );
}

#[test]
fn silence_for_a_second_is_unconfirmed_once_alerts_staff_once_and_the_stop_goes_on() {
    let mut stops = asked();
    let news = stops.tick(STOP_CONFIRM_MS);
    assert_eq!(news.as_slice(), [SEND, result(PHONE, ID, Unconfirmed), StopNews::Alert { id: ID }]);
    assert_eq!(stops.tick(STOP_CONFIRM_MS + STOP_REPEAT_MS).as_slice(), [SEND]);
    let late = stops.answered(ID, StopStage::Stopped, None, 3_000);
    assert_eq!(late.as_slice(), [over(Stopped)], "the late word is told to the rooms, the issuer has had its result");
}

#[test]
fn a_pending_stop_outlives_a_lost_link_by_ten_seconds_and_no_more() {
    let mut stops = asked();
    stops.link_lost(100);
    stops.tick(STOP_CONFIRM_MS);
    assert!(stops.linked(9_000).as_slice() == [SEND]);
    stops.link_lost(9_500);
    stops.tick(100 + STOP_OUTLIVES_LINK_MS);
    assert!(!stops.is_pending(), "a link that flaps does not keep it alive");
    assert!(stops.linked(20_000).is_empty());
}

#[test]
fn a_stop_that_nobody_answers_ends_ten_seconds_after_it_was_last_asked_for() {
    let mut stops = asked();
    stops.tick(STOP_CONFIRM_MS);
    stops.ask(PHONE, OTHER, FENCE, 5_000);
    stops.tick(STOP_OUTLIVES_LINK_MS);
    assert!(stops.is_pending());
    stops.tick(5_000 + STOP_OUTLIVES_LINK_MS);
    assert!(!stops.is_pending());
}

#[test]
fn a_stop_that_is_asked_for_again_by_the_same_issuer_does_not_end_before_ten_seconds_after_that() {
    let mut stops = asked();
    stops.tick(STOP_CONFIRM_MS);
    assert_eq!(stops.ask(PHONE, ID, FENCE, 5_000).as_slice(), [result(PHONE, ID, Unconfirmed)]);
    stops.tick(STOP_OUTLIVES_LINK_MS);
    assert!(stops.is_pending());
    stops.tick(5_000 + STOP_OUTLIVES_LINK_MS);
    assert!(!stops.is_pending());
}

#[test]
fn after_the_link_is_back_a_stop_that_is_asked_for_again_lives_on() {
    let mut stops = asked();
    stops.link_lost(100);
    stops.linked(2_000);
    stops.ask(COACH, OTHER, FENCE, 9_000);
    stops.tick(100 + STOP_OUTLIVES_LINK_MS);
    assert!(stops.is_pending());
}

#[test]
fn who_asks_again_after_an_unconfirmed_end_has_the_machine_stopped_again() {
    let mut stops = asked();
    stops.tick(STOP_OUTLIVES_LINK_MS);
    assert!(!stops.is_pending());
    assert_eq!(stops.ask(PHONE, ID, FENCE, STOP_OUTLIVES_LINK_MS + 100).as_slice(), [SEND]);
    let news = stops.answered(ID, StopStage::Stopped, None, STOP_OUTLIVES_LINK_MS + 200);
    assert_eq!(news.as_slice(), [result(PHONE, ID, Stopped), over(Stopped)]);
}

#[test]
fn a_state_that_was_heard_before_the_stop_went_out_does_not_show_that_the_machine_stands() {
    let mut stops = Stops::default();
    stops.ask(PHONE, ID, FENCE, 1_000);
    assert!(stops.stands(990, 1_010).is_empty());
    assert!(stops.is_pending());
    assert_eq!(stops.stands(1_005, 1_010).as_slice(), [result(PHONE, ID, Stopped), over(Stopped)]);
}

#[test]
fn another_claim_ends_the_stop_of_the_one_before() {
    let mut stops = asked();
    assert!(stops.claim_began(FENCE, 50).is_empty(), "the same claim heard again changes nothing");
    assert_eq!(stops.claim_began(FENCE + 1, 60).as_slice(), [result(PHONE, ID, Unconfirmed), StopNews::Alert { id: ID }]);
    assert!(stops.tick(STOP_REPEAT_MS).is_empty());
    let repeat = stops.ask(PHONE, ID, FENCE + 1, 250);
    assert_eq!(repeat.as_slice(), [result(PHONE, ID, Unconfirmed)], "a late repeat is not a new stop under the new claim");
}

#[test]
fn an_old_id_under_another_claim_is_unconfirmed_however_late_it_comes_and_under_its_own_it_is_a_new_stop() {
    let mut stops = asked();
    stops.answered(ID, StopStage::Stopped, None, 100);
    let late = 100 + STOP_OUTLIVES_LINK_MS;
    assert_eq!(stops.ask(PHONE, ID, FENCE + 1, late).as_slice(), [result(PHONE, ID, Unconfirmed)]);
    assert!(!stops.is_pending());
    assert_eq!(stops.ask(PHONE, ID, FENCE, late).as_slice(), [SEND]);
}

#[test]
fn a_crowd_of_issuers_is_bounded_and_each_hears_a_result() {
    let mut stops = asked();
    let mut told = 0;
    for n in 0..200_u128 {
        let news = stops.ask(SessionId(Uuid::from_u128(100 + n)), OTHER, FENCE, 10);
        told += news.iter().filter(|news| matches!(news, StopNews::Result { outcome: Unconfirmed, .. })).count();
    }
    let news = stops.answered(ID, StopStage::Stopped, None, 20);
    told += news.iter().filter(|news| matches!(news, StopNews::Result { outcome: Stopped, .. })).count();
    assert_eq!(told, 201);
}
