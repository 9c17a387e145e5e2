//! A link that stalls for a while again and again, and now and then is reset. Only the resets end connections; nothing is lost.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep};

use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::ground::{Ground, Load};
use crate::scenario::ledger::row::{Case, RANDOM_RUNS, Row, Store};

/// One in so many faults is a reset, the others are stalls.
const CUT_ONE_IN: u64 = 12;
/// Longest time that the link carries something, and nothing, milliseconds.
const OPEN_MOST_MS: u64 = 400;
const SILENT_MOST_MS: u64 = 600;

pub(in crate::scenario::ledger) const ROW: Row = Row {
    name: "link-lossy",
    about: "a gym's link stalls up to 0.6 s again and again, and is reset at random",
    stores: &[Store::Postgres],
    runs: RANDOM_RUNS,
    lasts: Duration::from_secs(15),
    alone: false,
    run: |case| Box::pin(run(case)),
};

async fn run(case: Case) -> anyhow::Result<Found> {
    let mut load = Load::of(&case);
    load.linked = true;
    let bad = load.lasts.mul_f64(0.8);
    let mut ground = Ground::open(&case, load).await?;
    let link = ground.link.take().context("no link")?;
    let mut dice = case.dice();
    ground.begin();
    let (began, mut cuts, mut stalls) = (Instant::now(), 0_u64, 0_u64);
    while began.elapsed() < bad {
        sleep(Duration::from_millis(50 + dice.below(OPEN_MOST_MS))).await;
        if dice.below(CUT_ONE_IN) == 0 {
            link.cut();
            cuts += 1;
        } else {
            link.set_silent(true);
            sleep(Duration::from_millis(dice.below(SILENT_MOST_MS))).await;
            link.set_silent(false);
            stalls += 1;
        }
    }
    let good = Instant::now();
    ground.sessions_back(good).await;
    ground.caught_up(good).await;
    let connections = link.connections();
    ground.found.set("cuts", cuts);
    ground.found.set("stalls", stalls);
    ground.found.set("connections", connections);
    ground.found.require(connections <= cuts + 1, || {
        format!("{connections} connections for {cuts} resets: stalls of {SILENT_MOST_MS} ms ended the others")
    });
    ground.link = Some(link);
    ground.finish().await
}
