//! Phones and watchers of the floor are reset (TCP RST) again and again while the hub lives, and come back after a while to where they were: what happened
//! meanwhile is recovered from the rooms' logs without a hole, or they are told that it is not.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::ground::{Ground, Load};
use crate::scenario::ledger::row::{Case, RANDOM_RUNS, Row, Store};

/// At most so long with a network, and without.
const EVERY_MOST_MS: u64 = 600;
const AWAY_MOST_MS: u64 = 600;
/// Of the rooms that are asked for again, so many go on where they were: the hub lives, and its logs reach far further back.
const RESUMED_LEAST: f64 = 0.99;
/// Of all rooms at each cut, so many are asked for again: whoever is cut while it joins had no place yet.
const ANSWERED_LEAST: f64 = 0.8;

pub(in crate::scenario::ledger) const ROW: Row = Row {
    name: "viewers-cut",
    about: "every phone and watcher reset again and again, and back where it was",
    stores: &[Store::Postgres, Store::Sqlite],
    runs: RANDOM_RUNS,
    lasts: Duration::from_secs(8),
    alone: false,
    run: |case| Box::pin(run(case)),
};

async fn run(case: Case) -> anyhow::Result<Found> {
    let load = Load::of(&case);
    let lasts = load.lasts;
    let mut ground = Ground::open(&case, load).await?;
    let mut dice = case.dice();
    ground.begin();
    let (began, mut cuts) = (Instant::now(), 0_u64);
    while began.elapsed() < lasts {
        sleep(Duration::from_millis(50 + dice.below(EVERY_MOST_MS))).await;
        ground.floor.viewers_online.send_replace(false);
        sleep(Duration::from_millis(dice.below(AWAY_MOST_MS))).await;
        ground.floor.viewers_online.send_replace(true);
        let back = Instant::now();
        ground.sessions_back(back).await;
        cuts += 1;
    }
    ground.caught_up(Instant::now()).await;
    let all = cuts * ground.rooms_watched();
    ground.found.set("cuts", cuts);
    let mut found = ground.finish().await?;
    let of = |name: &str| found.figures.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0);
    let (answered, resumed, recovered) = (of("answered"), of("resumed"), of("recovered"));
    found.require(answered as f64 >= all as f64 * ANSWERED_LEAST, || format!("{answered} of {all} rooms were asked for again"));
    found.require(resumed as f64 >= answered as f64 * RESUMED_LEAST, || format!("{resumed} rooms went on where they were, of {answered}"));
    found.require(recovered > 0, || "nothing happened while anybody was away".to_owned());
    Ok(found)
}
