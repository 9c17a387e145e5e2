//! Old buffers come again when the readings lie packed: each workout is sealed, its rows become columns, which are read
//! over HTTP and held against what was numbered, and every gateway sends all that it ever
//! numbered as if it had never heard that it is stored. It is refused as stored; nothing stands twice, raw or packed.

use std::time::Duration;

use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::ground::{Ground, Load};
use crate::scenario::ledger::row::{Case, LONG_RUNS, Row, Store};

/// The auditor reads rows before they are packed: within this time of the first seal.
const PACK_AFTER: &str = "retention.pack_after=25s";

pub(in crate::scenario::ledger) const ROW: Row = Row {
    name: "packed",
    about: "whole buffers sent again after their workouts were packed",
    stores: &[Store::Postgres, Store::Sqlite],
    runs: LONG_RUNS,
    lasts: Duration::from_secs(5),
    alone: false,
    run: |case| Box::pin(run(case)),
};

async fn run(case: Case) -> anyhow::Result<Found> {
    let mut load = Load::of(&case);
    load.set = vec![PACK_AFTER.to_owned()];
    let mut ground = Ground::open(&case, load).await?;
    ground.begin();
    ground.replay_packed = true;
    ground.finish().await
}
