//! `storm`: many sessions with resume tickets watch rooms in which things happen, and all are reset in the same instant.
//!
//! They come back as phones do: after the back-off of the close catalogue, with ticket and positions. How long until each stands again, did it
//! miss anything, did the database notice, what did the hub's memory do?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use protocol::frame::{Cause, MachineKind, MachineState, MachineStatus, Role};
use protocol::{MachineId, RoomName};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::bench::{Bench, BenchArgs, Latency, NewMachine, Publisher, Report, RssCurve, Scrape, World, files_max, progress};
use crate::peer::{Back, Follower, LightWriter, Options};

/// All must be back within this time (`FAULTS` row 4: 99 of 100).
const BACK_WITHIN: Duration = Duration::from_secs(15);
const BACK_SHARE_MIN: f64 = 0.99;
/// Sessions that go on without a hole; the rest are told.
const RESUMED_SHARE_MIN: f64 = 0.999;
const QUERIES_PER_RECONNECT_MAX: f64 = 0.01;
const RSS_FACTOR_MAX: f64 = 1.3;
/// A session that is not back by then has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// What was allocated on the way in is given back by then.
const SETTLE: Duration = Duration::from_secs(3);
/// Postgres' own counters are this late at most: an idle backend reports within 10 s.
const COUNTERS_LATE: Duration = Duration::from_secs(11);
/// Transactions a second while nothing happens: the hub's look at its store, Postgres' own housekeeping, the reader of these counts.
const USUAL_PER_S: f64 = 2.0;
const MACHINES: usize = 10;
/// A machine changes its state this often: 256 events, which a log keeps, last longer than a storm may.
const EVENT_EVERY: Duration = Duration::from_secs(1);
const DIALS: usize = 128;
const LOOK_EVERY: Duration = Duration::from_millis(20);
const FILES_APART: usize = 300;

/// Words of `storm`.
#[derive(Debug, Clone, clap::Args)]
pub struct StormArgs {
    /// How many sessions; 5,000, or 1,000 with --quick.
    #[arg(long)]
    pub sessions: Option<usize>,
}

/// Runs it.
///
/// # Errors
/// Where hub or sessions fail before the storm.
pub async fn run(args: &BenchArgs, own: &StormArgs) -> anyhow::Result<Report> {
    let mut report = Report::new("storm");
    let bench = Bench::start(args).await?;
    let world = World::new(&bench).await?;
    let (machines, publisher) = floor(&bench, &world).await?;
    let mut events = JoinSet::new();
    events.spawn(happen(publisher.writer(), machines.clone()));
    let wanted = own.sessions.unwrap_or(if args.quick { 1_000 } else { 5_000 });
    let sessions = wanted.min(files_max()?.saturating_sub(FILES_APART));
    progress(&format!("storm: connecting {sessions} sessions"));
    let storm = Storm::gather(&bench, &world, &machines, sessions).await?;
    tokio::time::sleep(SETTLE).await;
    let (_, before_kib) = bench.usage()?.context("storm measures a hub of its own: leave --hub away")?;
    let before = Work::read(&bench).await?;
    let curve = RssCurve::start(bench.pid().context("the hub is gone")?, Duration::from_millis(100));
    progress("storm: all sessions are reset");
    storm.strike().await?;
    tokio::time::sleep(SETTLE).await;
    let (_, after_kib) = bench.usage()?.context("the hub is gone")?;
    let after = Work::read(&bench).await?;
    memory(&mut report, before_kib, curve.most_kib(), after_kib);
    fill(&mut report, &storm.end().await?);
    database(&mut report, &bench, &before, &after, sessions).await?;
    drop((events, publisher));
    Ok(report)
}

async fn floor(bench: &Bench, world: &World) -> anyhow::Result<(Vec<MachineId>, Publisher)> {
    let gateway = world.gateways(bench, 1).await?[0];
    let machines: Vec<NewMachine> =
        (0..MACHINES).map(|_| NewMachine { machine: MachineId(Uuid::now_v7()), kind: MachineKind::Bike, gateway }).collect();
    world.machines(bench, &machines).await?;
    let ids: Vec<MachineId> = machines.iter().map(|new| new.machine).collect();
    let token = world.token(bench, Role::Gateway, gateway.0);
    let publisher = Publisher::connect(&bench.ws_url(), &token, &ids, 1).await?;
    Ok((ids, publisher))
}

/// Machines begin and end, one after another: each is an event in its room and on the floor.
async fn happen(writer: LightWriter, machines: Vec<MachineId>) {
    let mut timer = tokio::time::interval(EVENT_EVERY);
    for turn in 0_usize.. {
        timer.tick().await;
        let state = if (turn / machines.len()).is_multiple_of(2) { MachineStatus::Idle } else { MachineStatus::Active };
        let machine = machines[turn % machines.len()];
        let news = MachineState { machine, state, cause: Cause::default(), user_present: None };
        // The hub gone ends the run elsewhere.
        if writer.send(&news.into()).await.is_err() {
            return;
        }
    }
}

/// What the database was asked so far: by the hub's counts, and by Postgres' own where that is the store.
struct Work {
    at: Instant,
    questions: f64,
    transactions: Option<i64>,
}

impl Work {
    async fn read(bench: &Bench) -> anyhow::Result<Self> {
        let questions = Scrape::read(bench).await?.database_work();
        Ok(Self { at: Instant::now(), questions, transactions: bench.database().await?.transactions().await? })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Quiet,
    Struck,
    Over,
}

/// How one session came through.
struct Through {
    back: Back,
    /// Holes that nobody announced, before and after.
    gaps: u64,
    /// Whether it stood to the end.
    stood: bool,
}

/// Sessions that wait to be reset.
struct Storm {
    tasks: JoinSet<anyhow::Result<Through>>,
    stage: watch::Sender<Stage>,
    /// Back, or given up.
    settled: Arc<AtomicUsize>,
}

impl Storm {
    async fn gather(bench: &Bench, world: &World, machines: &[MachineId], sessions: usize) -> anyhow::Result<Self> {
        let (stage, settled) = (watch::Sender::new(Stage::Quiet), Arc::new(AtomicUsize::new(0)));
        let (mut tasks, mut dials) = (JoinSet::new(), JoinSet::new());
        let mut number = 0;
        loop {
            while number < sessions && dials.len() < DIALS {
                let (url, options) = (bench.ws_url(), viewer(bench, world, machines[number % machines.len()]));
                dials.spawn(async move { Follower::connect(&url, options).await });
                number += 1;
            }
            let Some(dialled) = dials.join_next().await else { break };
            let follower = dialled?.context("a session could not connect")?;
            tasks.spawn(weather(follower, bench.ws_url(), stage.subscribe(), settled.clone()));
        }
        Ok(Self { tasks, stage, settled })
    }

    /// Resets everybody and waits until each is back or gave up.
    async fn strike(&self) -> anyhow::Result<()> {
        let struck = Instant::now();
        self.stage.send_replace(Stage::Struck);
        while self.settled.load(Ordering::Relaxed) < self.tasks.len() {
            anyhow::ensure!(struck.elapsed() < PATIENCE + BACK_WITHIN, "sessions hang");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        progress(&format!("storm: over after {:.1} s", struck.elapsed().as_secs_f64()));
        Ok(())
    }

    /// Ends it; how each came through, or why not.
    async fn end(mut self) -> anyhow::Result<Vec<anyhow::Result<Through>>> {
        self.stage.send_replace(Stage::Over);
        let mut all = Vec::with_capacity(self.tasks.len());
        while let Some(one) = self.tasks.join_next().await {
            all.push(one?);
        }
        Ok(all)
    }
}

fn viewer(bench: &Bench, world: &World, machine: MachineId) -> Options {
    Options::new(world.token(bench, Role::Operator, Uuid::now_v7())).room(RoomName::Floor(world.gym)).room(RoomName::Machine(machine))
}

/// One session through the storm. It stays to the end.
async fn weather(
    mut follower: Follower,
    url: String,
    mut stage: watch::Receiver<Stage>,
    settled: Arc<AtomicUsize>,
) -> anyhow::Result<Through> {
    let stood = watch_until(&mut follower, &mut stage, Stage::Struck).await;
    anyhow::ensure!(stood, "the hub hung up on a session before the storm");
    let before = follower.rooms().gaps();
    let came = follower.come_back(&url, PATIENCE).await;
    settled.fetch_add(1, Ordering::Relaxed);
    let (mut follower, back) = came?;
    let stood = watch_until(&mut follower, &mut stage, Stage::Over).await;
    Ok(Through { gaps: before + back.gaps.max(follower.rooms().gaps()), back, stood })
}

/// Reads until the stage comes; false where the hub hung up first.
async fn watch_until(follower: &mut Follower, stage: &mut watch::Receiver<Stage>, until: Stage) -> bool {
    while *stage.borrow_and_update() != until {
        tokio::select! {
            changed = stage.changed() => if changed.is_err() { return false },
            read = follower.read() => if read.is_err() { return false },
        }
    }
    true
}

fn fill(report: &mut Report, all: &[anyhow::Result<Through>]) {
    let (count, mut back, mut longest) = (all.len().max(1) as f64, Latency::default(), Duration::ZERO);
    let (mut in_time, mut resumed, mut told, mut gap, mut tickets, mut attempts) = (0, 0, 0, 0, 0, 0);
    for through in all.iter().flatten() {
        let how = &through.back;
        back.add(how.after);
        longest = longest.max(how.after);
        in_time += u64::from(how.after <= BACK_WITHIN);
        resumed += u64::from(how.resumed);
        told += u64::from(how.told > 0);
        tickets += u64::from(how.ticket_taken);
        attempts += u64::from(how.failed);
        gap += through.gaps;
        report.require(through.stood, || "a session that was back was hung up on".to_owned());
    }
    let failed: Vec<String> = all.iter().filter_map(|one| one.as_ref().err().map(|error| format!("{error:#}"))).collect();
    report.set("sessions", all.len());
    report.set("back_ms_p50", back.quantile_us(0.5) / 1_000);
    report.set("back_ms_p99", back.quantile_us(0.99) / 1_000);
    report.set("back_ms_max", longest.as_millis() as u64);
    report.set_rounded("back_share", in_time as f64 / count);
    report.set_rounded("resumed_share", resumed as f64 / count);
    report.set("told", told);
    report.set("tickets_taken", tickets);
    report.set("attempts_failed", attempts);
    report.set("sessions_failed", failed.len());
    report.set("gap", gap);
    let first = failed.first().cloned().unwrap_or_default();
    report.require(in_time as f64 >= BACK_SHARE_MIN * count, || {
        format!("{in_time} of {count} sessions were back within {BACK_WITHIN:?}: {first}")
    });
    report.require(failed.is_empty(), || format!("{} sessions did not come back, such as: {first}", failed.len()));
    report.require(resumed as f64 >= RESUMED_SHARE_MIN * count, || format!("{resumed} of {count} sessions went on without a hole"));
    report.require(gap == 0, || format!("{gap} holes that nobody announced"));
}

/// Questions to the database that coming back cost. Postgres' own count has what the hub asks anyway in it, and this reader's.
async fn database(report: &mut Report, bench: &Bench, before: &Work, after: &Work, sessions: usize) -> anyhow::Result<()> {
    let questions = after.questions - before.questions;
    let each = questions / sessions.max(1) as f64;
    report.set("database_questions", questions);
    report.set_rounded("queries_per_reconnect", each);
    report.require(each <= QUERIES_PER_RECONNECT_MAX, || format!("{each:.4} questions to the database for each session that came back"));
    if let Some(transactions) = before.transactions {
        progress("storm: waiting for Postgres' own counters");
        tokio::time::sleep(COUNTERS_LATE).await;
        let counted = bench.database().await?.transactions().await?.unwrap_or_default() - transactions;
        let usual = before.at.elapsed().as_secs_f64() * USUAL_PER_S;
        report.set("database_transactions", counted);
        report.require(counted as f64 <= usual + QUERIES_PER_RECONNECT_MAX * sessions as f64, || {
            format!("Postgres counted {counted} transactions, of which {usual:.0} are usual in that time")
        });
    }
    Ok(())
}

fn memory(report: &mut Report, before_kib: u64, most_kib: u64, after_kib: u64) {
    report.set("rss_kib_before", before_kib);
    report.set("rss_kib_most", most_kib);
    report.set("rss_kib", after_kib);
    let factor = most_kib.max(after_kib) as f64 / before_kib.max(1) as f64;
    report.set_rounded("rss_factor", factor);
    report.require(factor < RSS_FACTOR_MAX, || format!("memory grew {factor:.2} times, at most {RSS_FACTOR_MAX}"));
}
