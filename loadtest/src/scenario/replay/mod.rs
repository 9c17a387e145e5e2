//! `replay`: recorded workouts as FTMS through simulated gateways, with an outage, skewed clocks, duplicates and reordering, and, where
//! asked, a hub that is killed or a Postgres that is gone. Afterwards the store must hold what the machines numbered: all of it, once,
//! and nothing else.

pub(super) mod check;
mod faults;
pub(super) mod floor;
pub(super) mod phone;
pub(super) mod shown;
mod upgrade;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use protocol::limits::STALE_MS;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, BenchArgs, Latency, Report, progress};
use crate::workout::Workout;
use floor::{Floor, FloorPlan, MISCHIEF};
use phone::{Seen, Training};

/// Records of a workout in a quick run.
const QUICK_RECORDS: usize = 600;
/// From the last reading to everything stored and sealed.
const SETTLE: Duration = Duration::from_secs(120);
/// Members give their machines back so long after the last reading was numbered. One that is on the way while its member gives the machine
/// back on another socket is nobody's or the member's, as it comes.
const GIVE_BACK_AFTER: Duration = Duration::from_millis(500);
/// Live values may be this much slower at p99 while the database is away (`FAULTS`: 1.2 times), and a millisecond for the clock's grain.
const AWAY_FACTOR: f64 = 1.2;
const AWAY_GRAIN_US: f64 = 1_000.0;
/// So much of what is numbered while the database is away must be seen.
pub(super) const AWAY_SEEN: f64 = 0.95;

/// Words of `replay`.
#[derive(Debug, Clone, clap::Args)]
pub struct ReplayArgs {
    /// Files, or folders of `*.jsonl`; those that ship with the house where none is given.
    #[arg(long, num_args = 1..)]
    pub workouts: Vec<PathBuf>,
    /// How many times faster than they were recorded.
    #[arg(long, default_value_t = 20.0, value_parser = speed)]
    pub speed: f64,
    /// Machines that replay each workout.
    #[arg(long, default_value_t = 2)]
    pub copies: usize,
    /// Gateways enrol a device each and sign challenges, instead of showing tokens.
    #[arg(long)]
    pub device_keys: bool,
    /// Kill the hub with SIGKILL so many times on the way.
    #[arg(long, default_value_t = 0)]
    pub kill: u32,
    /// Let another hub take over so many times on the way, while the one before still runs and then drains.
    #[arg(long, default_value_t = 0)]
    pub upgrade: u32,
    /// The first hub is of another release: its binary. It cannot be handed a listener, so a front stands before both.
    #[arg(long, requires = "upgrade")]
    pub from: Option<PathBuf>,
    /// Stop Postgres for so many seconds on the way (`--store postgres`).
    #[arg(long)]
    pub postgres_stop: Option<u64>,
}

fn speed(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|speed| (1.0..=20.0).contains(speed)).ok_or_else(|| "from 1 to 20".to_owned())
}

/// Runs it.
///
/// # Errors
/// Where hub, gateways or members cannot do their part at all; what merely does not hold is in the report.
pub async fn run(args: &BenchArgs, own: &ReplayArgs) -> anyhow::Result<Report> {
    let mut workouts = if own.workouts.is_empty() { Workout::shipped() } else { Workout::read_all(&own.workouts)? };
    if args.quick {
        workouts = workouts.iter().map(|workout| workout.first(QUICK_RECORDS)).collect();
    }
    let mut report = Report::new("replay");
    let mut bench = upgrade::start(args, own).await?;
    if own.postgres_stop.is_some() {
        bench.postgres()?;
    }
    let plan = FloorPlan {
        seed: args.seed,
        copies: own.copies,
        speed: own.speed,
        mischief: MISCHIEF,
        device_keys: own.device_keys,
        workouts,
        decoded: Vec::new(),
        last_url: None,
    };
    let floor = Floor::open(&bench, plan).await?;
    let outcome = train(&mut bench, &floor, own, &mut report).await;
    let seen = outcome.with_context(|| format!("the end of the hub's log:\n{}", bench.log_end()))?;
    fill(&mut report, &floor, &seen, own);
    upgrade::tell(&mut bench, own, &mut report)?;
    if bench.pid().is_some() {
        check::shown(&floor, &seen, &mut report);
        check::rows(&bench, &floor, &mut report).await?;
        check::totals(&bench, &floor, &seen, &mut report).await?;
        check::old_buffer(&bench, floor, &mut report).await?;
    }
    Ok(report)
}

/// Everybody trains, faults happen, everything settles; what the phones saw.
async fn train(bench: &mut Bench, floor: &Floor, own: &ReplayArgs, report: &mut Report) -> anyhow::Result<Vec<Seen>> {
    let release = CancellationToken::new();
    let mut phones = tokio::task::JoinSet::new();
    let mut trainings = Vec::new();
    for stand in &floor.stands {
        trainings.push(Training::claim(bench, floor, stand).await?);
    }
    progress(&format!("replay: {} machines, {} claims, {}x", floor.stands.len(), trainings.len(), own.speed));
    for training in trainings {
        phones.spawn(training.follow(bench.ws_url(), release.clone()));
    }
    let start = Instant::now();
    floor.begin(own.speed);
    let restarted = faults::happen(bench, floor, own, report).await?;
    for gateway in &floor.gateways {
        gateway.wait_for("the end of the workouts", floor.duration + SETTLE, crate::gateway::Gateway::is_over).await?;
    }
    progress("replay: all workouts are over; waiting until everything is stored");
    tokio::time::sleep(GIVE_BACK_AFTER).await;
    release.cancel();
    for gateway in &floor.gateways {
        gateway.settled(SETTLE).await?;
    }
    let elapsed = start.elapsed().as_secs_f64();
    report.set_rounded("rows_per_s", floor.expected_rows() as f64 / elapsed);
    let mut seen = Vec::new();
    while let Some(phone) = phones.join_next().await {
        seen.push(phone??);
    }
    live_again(floor, &seen, restarted, own, report);
    Ok(seen)
}

/// A machine that is started again is live for its member before its last value would be stale; not held against a hub that is away itself.
fn live_again(floor: &Floor, seen: &[Seen], restarted: Instant, own: &ReplayArgs, report: &mut Report) {
    let phone = seen.iter().find(|phone| phone.machine == Some(floor.stands[0].machine));
    let began = phone.into_iter().flat_map(|phone| phone.began.values()).filter(|began| began.into_std() > restarted).min();
    let after = began.map(|began| began.into_std() - restarted);
    report.set("restart_live_ms", after.map(|after| after.as_millis() as u64));
    let in_time = after.is_some_and(|after| after.as_millis() as i64 <= STALE_MS);
    report.require(in_time || own.kill > 0 || own.upgrade > 0, || {
        format!("the values of a machine that was started again were live after {after:?}, not within {STALE_MS} ms")
    });
}

fn fill(report: &mut Report, floor: &Floor, seen: &[Seen], own: &ReplayArgs) {
    report.set("sessions", floor.stands.len() + floor.gateways.len());
    report.set("speed", own.speed);
    report.set("seen", seen.iter().map(|phone| phone.lives).sum::<u64>());
    let gap: u64 = seen.iter().map(|phone| phone.gaps).sum();
    report.set("gap", gap);
    report.require(gap == 0, || format!("{gap} holes in event logs that nobody announced"));
    let stale: u64 = seen.iter().map(|phone| phone.stale).sum();
    report.set("stale_seen", stale);
    report.set("stale_told", seen.iter().map(|phone| phone.told_stale).sum::<u64>());
    report.require(stale == 0, || {
        let stalest = seen.iter().filter(|phone| phone.stale > 0).map(|phone| {
            let stand = floor.stands.iter().position(|stand| Some(stand.machine) == phone.machine);
            (stand, phone.stalest)
        });
        format!("viewers were shown {stale} values older than 3 s; stand, age and seq: {:?}", stalest.collect::<Vec<_>>())
    });
    let backwards: u64 = seen.iter().map(|phone| phone.backwards).sum();
    report.require(backwards == 0, || format!("viewers were shown {backwards} values older than the one before"));
    let moved: Vec<&String> = seen.iter().flat_map(|phone| &phone.moved).collect();
    report.require(moved.is_empty(), || format!("claims did not go on where they were: {moved:?}"));
    report.require(seen.iter().all(|phone| phone.lives > 0), || "a phone saw nothing".to_owned());
    let all = |pick: fn(&Seen) -> &Latency| {
        seen.iter().map(pick).fold(Latency::default(), |mut sum, one| {
            sum.merge(one);
            sum
        })
    };
    let (usual, away) = (all(|phone| &phone.usual), all(|phone| &phone.away));
    report.set("p50_us", usual.quantile_us(0.5));
    report.set("p99_us", usual.quantile_us(0.99));
    let numbered = floor.numbered_away();
    if numbered > 0 {
        report.require(away.count() as f64 >= numbered as f64 * AWAY_SEEN, || {
            format!("phones saw {} of {numbered} readings that were numbered while the database was away", away.count())
        });
        let (usual_us, away_us) = (usual.quantile_us(0.99) as f64, away.quantile_us(0.99) as f64);
        report.set("p99_us_away", away.quantile_us(0.99));
        report.require(away_us <= usual_us * AWAY_FACTOR + AWAY_GRAIN_US, || {
            format!("live p99 is {away_us} us while the database is away, {usual_us} us else")
        });
    }
    let counts: Vec<_> = floor.gateways.iter().map(|gateway| gateway.with(|core, _| core.counts().clone())).collect();
    report.set("connects", counts.iter().map(|count| count.connects).sum::<u64>());
    report.set("holds", counts.iter().map(|count| count.holds).sum::<u64>());
    report.set("resends", counts.iter().map(|count| count.resends).sum::<u64>());
    let lost: u64 = counts.iter().map(|count| count.claims_lost).sum();
    report.require(lost == 0, || format!("{lost} machines were told another claim than they kept"));
    let complaints: Vec<String> = counts.into_iter().flat_map(|count| count.complaints).collect();
    report.require(complaints.is_empty(), || format!("the hub complained to gateways: {complaints:?}"));
}
