//! One reading in ten comes twice, one in ten in the wrong place, a gateway comes back in the middle, and at the end every gateway sends its
//! whole buffer again as if it had never heard that it is stored.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::ground::{Ground, Load};
use crate::scenario::ledger::row::{Case, RANDOM_RUNS, Row, Store};

pub(in crate::scenario::ledger) const ROW: Row = Row {
    name: "duplicates",
    about: "10 % twice, 10 % out of order, whole buffers sent again",
    stores: &[Store::Postgres, Store::Sqlite],
    runs: RANDOM_RUNS,
    lasts: Duration::from_secs(5),
    alone: false,
    run: |case| Box::pin(run(case)),
};

async fn run(case: Case) -> anyhow::Result<Found> {
    let mut ground = Ground::open(&case, Load::of(&case)).await?;
    let mut dice = case.dice();
    ground.begin();
    ground.replay_buffers = true;
    sleep(Duration::from_millis(500 + dice.below(1_000))).await;
    let which = dice.below(ground.floor.gateways.len() as u64) as usize;
    ground.floor.gateways[which].set_online(false);
    sleep(Duration::from_millis(200 + dice.below(800))).await;
    ground.floor.gateways[which].set_online(true);
    let back = Instant::now();
    ground.caught_up(back).await;
    ground.finish().await
}
