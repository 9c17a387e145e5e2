//! `ingest`: how many readings a second go from gateway sockets to committed rows, each exactly once?
//!
//! The clock runs from the first byte to the last reading that the hub told to be stored. Then the store is counted.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use protocol::MachineId;
use protocol::frame::{MachineKind, Role};
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use crate::bench::{Bench, BenchArgs, Feeder, NewMachine, Publisher, Report, World, progress};

/// Targets of `DESIGN` section 8, on two cores shared with the load.
const POSTGRES_ROWS_PER_S: f64 = 60_000.0;
const SQLITE_ROWS_PER_S: f64 = 20_000.0;
/// Nothing newly stored for so long means that something hangs.
const STALLED: Duration = Duration::from_secs(30);
const AGAIN_EVERY_MS: u32 = 100;
/// Bytes of one write.
const WRITE_BYTES: usize = 48 * 1024;

/// Words of `ingest`.
#[derive(Debug, Clone, clap::Args)]
pub struct IngestArgs {
    /// Readings in all.
    #[arg(long)]
    pub rows: Option<u64>,
    /// Gateway sockets.
    #[arg(long, default_value_t = 2)]
    pub gateways: usize,
    /// Machines on each.
    #[arg(long, default_value_t = 100)]
    pub machines: usize,
    /// Readings sent and not yet stored, over all gateways.
    #[arg(long, default_value_t = 80_000)]
    pub in_flight: u64,
}

/// Runs it.
///
/// # Errors
/// Where hub or gateways fail, or nothing is stored any more.
pub async fn run(args: &BenchArgs, own: &IngestArgs) -> anyhow::Result<Report> {
    let mut report = Report::new("ingest");
    let bench = Bench::start(args).await?;
    let world = World::new(&bench).await?;
    let is_sqlite = args.store == "sqlite";
    let usual = match (args.quick, is_sqlite) {
        (true, _) => 200_000,
        (false, true) => 600_000,
        (false, false) => 2_000_000,
    };
    let slots = own.gateways * own.machines;
    let rows_each = own.rows.unwrap_or(usual).div_ceil(slots as u64) as u32;
    let gateways = world.gateways(&bench, own.gateways).await?;
    let mut feeds = Vec::new();
    for gateway in gateways {
        let machines: Vec<NewMachine> =
            (0..own.machines).map(|_| NewMachine { machine: MachineId(Uuid::now_v7()), kind: MachineKind::Bike, gateway }).collect();
        world.machines(&bench, &machines).await?;
        let ids: Vec<MachineId> = machines.iter().map(|new| new.machine).collect();
        let token = world.token(&bench, Role::Gateway, gateway.0);
        let publisher = Publisher::connect(&bench.ws_url(), &token, &ids, args.seed as u32).await?;
        feeds.push((publisher, Feeder::new(own.machines, rows_each, own.in_flight / own.gateways as u64)));
    }
    let total = u64::from(rows_each) * slots as u64;
    progress(&format!("ingest: {total} readings over {} sockets", own.gateways));
    let before = bench.usage()?;
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for (publisher, feeder) in feeds {
        tasks.spawn(feed(publisher, feeder));
    }
    let mut feeders = Vec::new();
    while let Some(done) = tasks.join_next().await {
        feeders.push(done?.with_context(|| bench.log_end())?);
    }
    let elapsed_s = start.elapsed().as_secs_f64();
    let after = bench.usage()?;
    let rows_per_s = total as f64 / elapsed_s;
    report.set("sessions", own.gateways);
    report.set("store", if is_sqlite { "sqlite" } else { "postgres" });
    report.set("rows", total);
    report.set_rounded("rows_per_s", rows_per_s);
    if let Some(((before_s, _), (after_s, rss_kib))) = before.zip(after) {
        report.set_rounded("cpu_s", after_s - before_s);
        report.set_rounded("cpu_s_per_million", (after_s - before_s) * 1e6 / total as f64);
        report.set("rss_kib", rss_kib);
    }
    let add = |pick: fn(&Feeder) -> (u64, u64)| feeders.iter().map(pick).fold((0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1));
    let (samples, batched) = (add(|feeder| feeder.samples_sent), add(|feeder| feeder.batched_sent));
    report.set_rounded("bytes_per_sample", samples.0 as f64 / samples.1.max(1) as f64);
    report.set_rounded("bytes_per_batched_row", batched.0 as f64 / batched.1.max(1) as f64);
    report.set("holds", feeders.iter().map(|feeder| feeder.holds).sum::<u64>());
    report.set("resends", feeders.iter().map(|feeder| feeder.resends).sum::<u64>());
    count_store(&bench, &mut report, total).await?;
    let target = if is_sqlite { SQLITE_ROWS_PER_S } else { POSTGRES_ROWS_PER_S };
    report.set("rows_per_s_target", target);
    // A quick run is often a debug build on a busy machine: it proves exactly-once, not speed.
    report.require(args.quick || rows_per_s >= target, || format!("{rows_per_s:.0} rows a second, at least {target}"));
    report.require(report.number("bytes_per_sample").is_some_and(|bytes| bytes <= 32.0), || "a sample takes more than 32 bytes".to_owned());
    Ok(report)
}

/// Feeds until everything is told to be stored.
async fn feed(mut publisher: Publisher, mut feeder: Feeder) -> anyhow::Result<Feeder> {
    let writer = publisher.writer();
    let mut timer = interval(Duration::from_millis(AGAIN_EVERY_MS.into()));
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut moved = (Instant::now(), 0);
    let mut out = Vec::with_capacity(WRITE_BYTES * 2);
    while !feeder.is_done() {
        while let Ok(frame) = publisher.news.try_recv() {
            feeder.hear(&frame);
        }
        out.clear();
        while out.len() < WRITE_BYTES && feeder.next(&mut out) {}
        if !out.is_empty() {
            writer.send_framed(&out).await.context("the hub does not take readings")?;
            tokio::task::yield_now().await;
        } else {
            tokio::select! {
                frame = publisher.news.recv() => match frame {
                    Some(frame) => feeder.hear(&frame),
                    None => return Err(publisher.ended().await),
                },
                _ = timer.tick() => {
                    feeder.again(AGAIN_EVERY_MS, &mut out);
                    writer.send_framed(&out).await.context("the hub does not take readings")?;
                }
            }
        }
        if feeder.stored() > moved.1 {
            moved = (Instant::now(), feeder.stored());
        }
        anyhow::ensure!(moved.0.elapsed() < STALLED, "nothing was stored for {STALLED:?}: {} of {}", feeder.stored(), feeder.total());
    }
    Ok(feeder)
}

/// Holds the store against what was fed.
async fn count_store(bench: &Bench, report: &mut Report, total: u64) -> anyhow::Result<()> {
    if bench.pid().is_none() {
        return Ok(());
    }
    let database = bench.database().await?;
    let rows = database.count("select count(*) from samples").await?;
    let twice = "select count(*) from (select 1 as one from samples group by source, boot, seq having count(*) > 1) as twice";
    let duplicate = database.count(twice).await?;
    let quarantined = database.count("select count(*) from quarantine").await?;
    let kept = rows - duplicate;
    report.set("lost", (total as i64 - kept).max(0));
    report.set("duplicate", duplicate);
    report.set("ghost", (kept - total as i64).max(0));
    report.set("quarantined", quarantined);
    report.require(kept == total as i64 && duplicate == 0, || format!("{kept} rows stored once and {duplicate} twice, of {total}"));
    report.require(quarantined == 0, || format!("{quarantined} rows in quarantine"));
    Ok(())
}
