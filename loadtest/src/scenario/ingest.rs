//! `ingest`: how many readings a second go from gateway sockets to committed rows, each exactly once? And what do people who watch notice?
//!
//! Watchers of some machines have the hub for themselves and share it with the budget's rows a second, in turns: what else this machine does
//! changes by the minute, and is to be the same in both. Then the gateways send as fast as the hub takes. That clock runs from the
//! first byte in full to the last reading told to be stored. Then the store is counted.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use protocol::frame::{MachineKind, Role};
use protocol::limits::BATCH_READINGS_MAX;
use protocol::{GatewayId, MachineId};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::fanout::six;
use crate::bench::{Bench, BenchArgs, Feeder, NewMachine, Publisher, Pulse, Report, Second, World, median_p99_us, progress};

/// Targets of `DESIGN` section 8, on two cores shared with the load.
const POSTGRES_ROWS_PER_S: f64 = 60_000.0;
const SQLITE_ROWS_PER_S: f64 = 20_000.0;
/// Turns alone, and as many beside the paced rows.
const TURNS: u32 = 8;
/// How long a turn is.
const TURN: Duration = Duration::from_secs(3);
/// Of each turn this is not looked at: what the turn before left is still being stored.
const SETTLES: Duration = Duration::from_secs(1);
/// Nothing newly stored for so long means that something hangs.
const STALLED: Duration = Duration::from_secs(30);
const AGAIN_EVERY_MS: u32 = 100;
/// A paced gateway writes so often.
const STEP: Duration = Duration::from_millis(1);
/// Machines that are watched, how often each speaks, and by how many.
const WATCHED: usize = 10;
const WATCHED_HZ: f64 = 10.0;
const WATCHERS: usize = 50;
/// Live p99 while the budget's rows come in, of the p99 while none do.
const P99_FACTOR: f64 = 2.0;
/// Of the values due to the watchers, in the worst second.
const SEEN_MIN: f64 = 0.8;
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
    let target = if is_sqlite { SQLITE_ROWS_PER_S } else { POSTGRES_ROWS_PER_S };
    // A quick run is often a debug build on a busy machine.
    let (paced_rows_per_s, turns) = if args.quick { (target / 10.0, 1) } else { (target, TURNS) };
    let slots = own.gateways * own.machines;
    let paced_rows = paced_rows_per_s * TURN.as_secs_f64() * f64::from(turns);
    let rows_each = (own.rows.unwrap_or(usual) + paced_rows as u64).div_ceil(slots as u64) as u32;
    let gateways = world.gateways(&bench, own.gateways + 1).await?;
    let mut feeds = Vec::new();
    for gateway in gateways.iter().take(own.gateways) {
        let publisher = carry(&bench, &world, *gateway, own.machines, args.seed).await?.0;
        feeds.push((publisher, Feeder::new(own.machines, rows_each, own.in_flight / own.gateways as u64)));
    }
    let (publisher, watched) = carry(&bench, &world, gateways[own.gateways], WATCHED, args.seed).await?;
    let pulse = Pulse::start(&bench, &world, publisher, &watched, (WATCHED_HZ, six()), WATCHERS).await?;
    let total = u64::from(rows_each) * slots as u64;
    let (sockets, turn_s) = (own.gateways, TURN.as_secs());
    progress(&format!(
        "ingest: {WATCHERS} watchers, {turns} times {turn_s} s alone and {turn_s} s beside {paced_rows_per_s:.0} readings a second"
    ));
    let (start, mut tasks) = (Instant::now(), JoinSet::new());
    let each_per_s = paced_rows_per_s / own.gateways as f64;
    for (number, (publisher, feeder)) in feeds.into_iter().enumerate() {
        // Gateways do not beat together: their batches are spread over the time that one batch is long.
        let apart = Duration::from_secs_f64(BATCH_READINGS_MAX as f64 / each_per_s * number as f64 / own.gateways as f64);
        tasks.spawn(feed(publisher, feeder, Pace { start: start + apart, rows_per_s: each_per_s, turns }));
    }
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for turn in 0..turns * 2 {
        tokio::time::sleep_until((start + TURN * turn + SETTLES).into()).await;
        let seconds = pulse.seconds((TURN - SETTLES).as_secs() as u32).await;
        if turn % 2 == 0 { alone.extend(seconds) } else { beside.extend(seconds) }
    }
    let full = start + TURN * turns * 2;
    progress(&format!("ingest: the rest of {total} readings over {sockets} sockets"));
    let before = bench.usage()?;
    let mut feeders = Vec::new();
    while let Some(done) = tasks.join_next().await {
        feeders.push(done?.with_context(|| bench.log_end())?);
    }
    let elapsed_s = full.elapsed().as_secs_f64();
    let after = bench.usage()?;
    pulse.close().await?;
    let in_full = total - feeders.iter().map(|feeder| feeder.1).sum::<u64>();
    let feeders: Vec<Feeder> = feeders.into_iter().map(|feeder| feeder.0).collect();
    let rows_per_s = in_full as f64 / elapsed_s;
    report.set("sessions", own.gateways + 1 + WATCHERS);
    report.set("store", if is_sqlite { "sqlite" } else { "postgres" });
    report.set("rows", total);
    report.set_rounded("rows_per_s", rows_per_s);
    if let Some(((before_s, _), (after_s, rss_kib))) = before.zip(after) {
        report.set_rounded("cpu_s", after_s - before_s);
        report.set_rounded("cpu_s_per_million", (after_s - before_s) * 1e6 / in_full as f64);
        report.set("rss_kib", rss_kib);
    }
    let add = |pick: fn(&Feeder) -> (u64, u64)| feeders.iter().map(pick).fold((0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1));
    let (samples, batched) = (add(|feeder| feeder.samples_sent), add(|feeder| feeder.batched_sent));
    report.set_rounded("bytes_per_sample", samples.0 as f64 / samples.1.max(1) as f64);
    report.set_rounded("bytes_per_batched_row", batched.0 as f64 / batched.1.max(1) as f64);
    report.set("holds", feeders.iter().map(|feeder| feeder.holds).sum::<u64>());
    report.set("resends", feeders.iter().map(|feeder| feeder.resends).sum::<u64>());
    count_store(&bench, &mut report, total).await?;
    report.set("rows_per_s_target", target);
    noticed(&mut report, &alone, &beside, paced_rows_per_s, args.quick);
    // A quick run is often a debug build on a busy machine: it proves exactly-once, not speed.
    report.require(args.quick || rows_per_s >= target, || format!("{rows_per_s:.0} rows a second, at least {target}"));
    report.require(report.number("bytes_per_sample").is_some_and(|bytes| bytes <= 32.0), || "a sample takes more than 32 bytes".to_owned());
    Ok(report)
}

/// A gateway and its machines.
async fn carry(
    bench: &Bench,
    world: &World,
    gateway: GatewayId,
    machines: usize,
    seed: u64,
) -> anyhow::Result<(Publisher, Vec<MachineId>)> {
    let new = |_| NewMachine { machine: MachineId(Uuid::now_v7()), kind: MachineKind::Bike, gateway };
    let machines: Vec<NewMachine> = (0..machines).map(new).collect();
    world.machines(bench, &machines).await?;
    let ids: Vec<MachineId> = machines.iter().map(|new| new.machine).collect();
    let token = world.token(bench, Role::Gateway, gateway.0);
    Ok((Publisher::connect(&bench.ws_url(), &token, &ids, seed as u32).await?, ids))
}

/// What the watchers noticed of rows that came in at the budget's rate.
fn noticed(report: &mut Report, alone: &[Second], beside: &[Second], rows_per_s: f64, quick: bool) {
    let (alone_us, beside_us) = (median_p99_us(alone), median_p99_us(beside));
    let least = beside.iter().map(|second| second.share).fold(f64::INFINITY, f64::min);
    report.set("p99_us", alone_us);
    report.set("p99_us_beside", beside_us);
    report.set_rounded("p99_factor", beside_us as f64 / alone_us.max(1) as f64);
    report.set_rounded("seen_share_beside_least", least);
    report.require(alone_us > 0 && beside_us > 0, || "nobody saw anything".to_owned());
    if !quick {
        report.require(beside_us as f64 <= alone_us as f64 * P99_FACTOR, || {
            format!("live p99 is {beside_us} us while {rows_per_s:.0} rows a second come in, {alone_us} us while none do")
        });
        report.require(least >= SEEN_MIN, || format!("the watchers saw {least:.2} of what was due in a second, at least {SEEN_MIN}"));
    }
}

/// From `start` turns without rows and with so many a second; no bound after the last.
#[derive(Debug, Clone, Copy)]
struct Pace {
    start: Instant,
    rows_per_s: f64,
    turns: u32,
}

impl Pace {
    /// Rows that may have been sent by now.
    fn rows(self) -> u64 {
        self.rows_after(self.start.elapsed())
    }

    fn rows_after(self, elapsed: Duration) -> u64 {
        let turns = elapsed.as_secs_f64() / TURN.as_secs_f64();
        if turns >= f64::from(self.turns) * 2.0 {
            return u64::MAX;
        }
        // The first of each two is without rows.
        let beside = (turns / 2.0).floor() + (turns % 2.0 - 1.0).max(0.0);
        (beside * TURN.as_secs_f64() * self.rows_per_s) as u64
    }
}

/// Feeds until everything is told to be stored; with how many were sent paced.
async fn feed(mut publisher: Publisher, mut feeder: Feeder, pace: Pace) -> anyhow::Result<(Feeder, u64)> {
    let writer = publisher.writer();
    let mut paced = 0;
    let mut timer = interval(Duration::from_millis(AGAIN_EVERY_MS.into()));
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut moved = (Instant::now(), 0);
    let mut out = Vec::with_capacity(WRITE_BYTES * 2);
    while !feeder.is_done() {
        while let Ok(frame) = publisher.news.try_recv() {
            feeder.hear(&frame);
        }
        out.clear();
        let rows = pace.rows();
        while out.len() < WRITE_BYTES && feeder.sent() < rows && feeder.next(&mut out) {}
        if rows < u64::MAX {
            paced = feeder.sent();
        }
        if !out.is_empty() {
            writer.send_framed(&out).await.context("the hub does not take readings")?;
            tokio::task::yield_now().await;
        } else {
            tokio::select! {
                () = tokio::time::sleep(STEP), if rows < u64::MAX => (),
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
    Ok((feeder, paced))
}

/// Holds the store against what was fed.
async fn count_store(bench: &Bench, report: &mut Report, total: u64) -> anyhow::Result<()> {
    if bench.pid().is_none() {
        return Ok(());
    }
    let database = bench.database().await?;
    // What was watched is not counted: its device clock began with this run, the fed one an hour before.
    let rows = database.count("select count(*) from samples where dev_ms > 3600000").await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_in_every_other_turn_and_then_all() {
        let pace = Pace { start: Instant::now(), rows_per_s: 1_000.0, turns: 2 };
        let after = [0.0, 0.9, 1.5, 2.0, 2.9, 3.5, 3.9].map(|turns| pace.rows_after(TURN.mul_f64(turns)));
        assert_eq!(after.map(|rows| rows.div_ceil(10)), [0, 0, 150, 300, 300, 450, 570]);
        assert_eq!(pace.rows_after(TURN * 4), u64::MAX);
    }
}
