//! File descriptors run out: the hub may have few (`prlimit`), and a crowd of strangers takes all that are left. Who is connected goes on, the accept loop
//! neither dies nor spins, and when the crowd goes the next client is served.

use std::time::Duration;

use anyhow::Context as _;
use protocol::RoomName;
use protocol::frame::Role;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::peer::{Follower, Options};
use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::ground::{Ground, Load};
use crate::scenario::ledger::row::{Case, RANDOM_RUNS, Row, Store};

const FILES: usize = 160;
const CROWD: usize = 2 * FILES;
const HOLDS: Duration = Duration::from_secs(3);
const SERVED_WITHIN: Duration = Duration::from_secs(2);
/// CPU above what the load takes anyway, as a share of one core (`FAULTS` row 26).
const SPIN_MAX: f64 = 0.5;
const PATIENCE: Duration = Duration::from_secs(20);

pub(in crate::scenario::ledger) const ROW: Row = Row {
    name: "descriptors",
    about: "file descriptors exhausted by a crowd of strangers",
    stores: &[Store::Postgres],
    runs: RANDOM_RUNS,
    lasts: Duration::from_secs(10),
    alone: true,
    run: |case| Box::pin(run(case)),
};

async fn run(case: Case) -> anyhow::Result<Found> {
    if tokio::process::Command::new("prlimit").arg("--version").output().await.is_err() {
        return Ok(Found { skipped: Some("no `prlimit` here (util-linux)".to_owned()), ..Found::default() });
    }
    let mut load = Load::of(&case);
    load.lasts = load.lasts.max(HOLDS * 2 + Duration::from_secs(2));
    load.before = vec!["prlimit".to_owned(), format!("--nofile={FILES}:{FILES}")];
    let mut ground = Ground::open(&case, load).await?;
    ground.begin();
    let usual = cpu_share(&ground, HOLDS / 2).await?;
    let address = ground.bench.http().trim_start_matches("http://").to_owned();
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        // The kernel takes them for a hub that cannot, until its own queue is full.
        crowd.extend(timeout(Duration::from_millis(200), TcpStream::connect(&address)).await.ok().and_then(Result::ok));
    }
    let crowded = cpu_share(&ground, HOLDS).await?;
    let size = crowd.len();
    drop(crowd);
    let gone = Instant::now();
    let served = served(&ground).await;
    let took = gone.elapsed();
    ground.caught_up(gone).await;
    ground.found.set("crowd", size);
    ground.found.set("cpu_share", (usual * 100.0).round() / 100.0);
    ground.found.set("cpu_share_crowded", (crowded * 100.0).round() / 100.0);
    ground.found.set("served_ms", took.as_millis() as u64);
    ground.found.require(size > FILES, || format!("only {size} strangers connected"));
    ground.found.require(ground.bench.log().contains("no connection can be accepted now"), || "descriptors never ran out".to_owned());
    ground.found.require(crowded - usual < SPIN_MAX, || format!("{crowded:.2} of a core without descriptors, {usual:.2} else"));
    ground.found.require(served && took <= SERVED_WITHIN, || format!("a client was served {took:?} after the crowd had gone"));
    ground.finish().await
}

/// Whether a fresh client gets into a room before patience ends.
async fn served(ground: &Ground) -> bool {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let token = ground.floor.world.token(&ground.bench, Role::Operator, Uuid::now_v7());
        let options = Options::new(token).room(RoomName::Floor(ground.floor.world.gym));
        if Follower::connect(&ground.bench.ws_url(), options).await.is_ok() {
            return true;
        }
        sleep(Duration::from_millis(20)).await;
    }
    false
}

async fn cpu_share(ground: &Ground, time: Duration) -> anyhow::Result<f64> {
    let (before, _) = ground.bench.usage()?.context("the hub is gone")?;
    sleep(time).await;
    let (after, _) = ground.bench.usage()?.context("the hub is gone")?;
    Ok((after - before) / time.as_secs_f64())
}
