//! Watches a hub whose store takes nothing: when its queue is full, when sources hear of it, when it stops accepting, how much memory it takes.
//!
//! For rows in which the store is away for longer than the queue lasts. `FAULTS` rows 10 and 11: accepting stops within a second of the
//! buffer being full, sources are told within a second, memory is bounded, `/health` says so.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::ground::Ground;
use super::row::Case;

/// Rows that may wait, in full and where quick: a part of what the load makes while the store is away.
const QUEUE_ROWS: [u64; 2] = [4_000, 320];
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Accepting must have stopped, and sources must know, so long after the queue is full.
const STOPS_WITHIN: Duration = Duration::from_secs(1);
/// Acknowledgements are told once a second: what was taken before may be told so much later.
const TOLD_EACH: Duration = Duration::from_secs(1);
/// `store.statement_timeout` by default, and a little.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(12);
/// The queue, one batch and the rooms' rings: far above what they take, far below what a leak would.
const GROWTH_KIB_MAX: u64 = 96 * 1024;

/// The settings that a small queue takes.
pub(super) fn settings(case: &Case) -> Vec<String> {
    let rows = queue_rows(case);
    vec![format!("store.queue_rows={rows}"), format!("store.batch_rows={}", rows / 4)]
}

const fn queue_rows(case: &Case) -> u64 {
    QUEUE_ROWS[case.quick as usize]
}

/// Watches for `away`, the time that the store takes nothing; notes and judges what it saw.
pub(super) async fn watch(ground: &mut Ground, case: &Case, away: Duration) {
    let (began, before_kib) = (Instant::now(), ground.rss_kib());
    let (mut full, mut told, mut last_accepted, mut accepted) = (None, None, began, accepted_by(ground));
    let (mut most_kib, mut degraded) = (before_kib, false);
    let (mut last_stored, mut stored) = (began, stored_by(ground));
    let holds_before = holds(ground);
    while began.elapsed() < away {
        let waiting = ground.metric("spotter_recorder_queue_rows").await.unwrap_or_default();
        let now = Instant::now();
        if full.is_none() && waiting >= queue_rows(case) as f64 {
            full = Some(now);
        }
        if told.is_none() && holds(ground) > holds_before {
            told = Some(now);
        }
        let sum = accepted_by(ground);
        if sum > accepted {
            (accepted, last_accepted) = (sum, now);
        }
        let sum = stored_by(ground);
        if sum > stored {
            (stored, last_stored) = (sum, now);
        }
        most_kib = most_kib.max(ground.rss_kib());
        degraded |= !degraded && ground.health().await.as_deref() == Some("degraded");
        sleep(LOOK_EVERY).await;
    }
    let since = |instant: Instant| instant.saturating_duration_since(began).as_millis() as u64;
    ground.found.set("rss_growth_kib", most_kib.saturating_sub(before_kib));
    ground.found.set("full_after_ms", full.map(since));
    ground.found.set("told_after_ms", told.map(since));
    ground.found.set("last_accepted_after_ms", since(last_accepted));
    ground.found.set("last_stored_after_ms", since(last_stored));
    // What was committed just before may be told so much later; after that nothing can be stored, or there was no fault.
    let went_on = last_stored.saturating_duration_since(began);
    ground
        .found
        .require(went_on <= TOLD_EACH + STOPS_WITHIN, || format!("readings were stored until {went_on:?} after the store was away"));
    ground.found.require(full.is_some() || case.quick, || format!("the queue was not full within {away:?}"));
    // Before the first statement is given up, only the rows that wait show that something is slow.
    ground.found.require(degraded || away < GIVEN_UP_AFTER, || "/health never said degraded".to_owned());
    let growth_kib = most_kib.saturating_sub(before_kib);
    ground.found.require(growth_kib <= GROWTH_KIB_MAX, || format!("the hub grew by {growth_kib} KiB while its store was away"));
    if let Some(full) = full {
        let told = told.map_or(away, |told| told.saturating_duration_since(full));
        ground.found.require(told <= STOPS_WITHIN, || format!("sources were told to hold {told:?} after the queue was full"));
        let stopped = last_accepted.saturating_duration_since(full);
        let allowed = STOPS_WITHIN + TOLD_EACH;
        ground.found.require(stopped <= allowed, || format!("readings were accepted until {stopped:?} after the queue was full"));
    }
}

fn accepted_by(ground: &Ground) -> u64 {
    let of = |core: &crate::gateway::Gateway| {
        core.machines().iter().flat_map(|machine| machine.sources()).map(|source| u64::from(source.accepted_through())).sum::<u64>()
    };
    ground.floor.gateways.iter().map(|gateway| gateway.with(|core, _| of(core))).sum()
}

fn stored_by(ground: &Ground) -> u64 {
    let of = |core: &crate::gateway::Gateway| {
        core.machines().iter().flat_map(|machine| machine.sources()).map(|source| source.stored().count()).sum::<u64>()
    };
    ground.floor.gateways.iter().map(|gateway| gateway.with(|core, _| of(core))).sum()
}

fn holds(ground: &Ground) -> u64 {
    ground.floor.gateways.iter().map(|gateway| gateway.with(|core, _| core.counts().holds)).sum()
}
