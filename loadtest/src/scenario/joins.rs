//! `joins`: a class starts. As many sessions as the descriptors allow connect and join one room, as fast as 40,000 within a minute.
//!
//! What does a join cost the hub in CPU, memory and time; and what would 40,000 cost? Sessions are members of the gym, each with a token of their
//! own; the room is the floor, quiet, so that joins are measured and not its ticks.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use protocol::RoomName;
use protocol::frame::Role;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::bench::{Bench, BenchArgs, Latency, Report, RssCurve, World, files_max, progress};
use crate::peer::{Follower, Options};

/// The class of `GYM` section 4.4: so many within a minute.
const CLASS: f64 = 40_000.0;
const WITHIN: Duration = Duration::from_secs(60);
/// Sessions that come first, so that pools and tables that exist once are not counted.
const WARM: usize = 200;
const SETTLE: Duration = Duration::from_secs(3);
const FILES_APART: usize = 300;
/// Sessions from one address.
const PER_ADDRESS: usize = 5_000;
/// Arrivals are let go in steps of this length.
const STEP: Duration = Duration::from_millis(10);

/// Words of `joins`.
#[derive(Debug, Clone, clap::Args)]
pub struct JoinsArgs {
    /// How many sessions; as many as descriptors allow, or 2,000 with --quick.
    #[arg(long)]
    pub sessions: Option<usize>,
    /// Joins a second; 40,000 within a minute.
    #[arg(long, default_value_t = CLASS / WITHIN.as_secs_f64())]
    pub rate: f64,
}

/// Runs it.
///
/// # Errors
/// Where the hub or the first sessions fail; a join that fails is in the report.
pub async fn run(args: &BenchArgs, own: &JoinsArgs) -> anyhow::Result<Report> {
    let mut report = Report::new("joins");
    let bench = Bench::start(args).await?;
    let world = World::new(&bench).await?;
    let most = files_max()?.saturating_sub(FILES_APART + WARM);
    let sessions = own.sessions.unwrap_or(if args.quick { 2_000 } else { usize::MAX }).min(most);
    let over = watch::Sender::new(false);
    let mut warm = Class::new(&bench, &world, &over);
    warm.come(WARM, own.rate).await?;
    let warm_up = warm.all_in().await?;
    anyhow::ensure!(warm_up.failed.is_empty(), "the first sessions could not join: {:?}", warm_up.failed.first());
    tokio::time::sleep(SETTLE).await;
    let (cpu_before_s, before_kib) = bench.usage()?.context("joins measures a hub of its own: leave --hub away")?;
    let curve = RssCurve::start(bench.pid().context("the hub is gone")?, Duration::from_millis(200));
    progress(&format!("joins: {sessions} sessions at {:.0} a second", own.rate));
    let began = Instant::now();
    let mut class = Class::new(&bench, &world, &over);
    class.come(sessions, own.rate).await?;
    let joined = class.all_in().await?;
    let took = began.elapsed();
    let (cpu_s, _) = bench.usage()?.context("the hub is gone")?;
    tokio::time::sleep(SETTLE).await;
    let (_, after_kib) = bench.usage()?.context("the hub is gone")?;
    over.send_replace(true);
    let lost = class.lost().await + warm.lost().await;
    let cost = Cost {
        joins: joined.latency.count() as f64,
        cpu_s: cpu_s - cpu_before_s,
        rss_kib: after_kib.saturating_sub(before_kib) as f64,
        took,
    };
    report.set("sessions", sessions);
    report.set("rss_kib", after_kib);
    report.set("rss_kib_most", curve.most_kib());
    fill(&mut report, &joined, &cost, own.rate);
    report.require(lost == 0, || format!("{lost} sessions were hung up on after they had joined"));
    report.require(took <= WITHIN, || format!("the joins took {took:?}, at most {WITHIN:?}"));
    Ok(report)
}

/// What the joins cost.
struct Cost {
    joins: f64,
    cpu_s: f64,
    rss_kib: f64,
    took: Duration,
}

/// How they went.
#[derive(Default)]
struct Joined {
    latency: Latency,
    longest: Duration,
    failed: Vec<String>,
}

/// People on their way into one room.
struct Class<'a> {
    bench: &'a Bench,
    world: &'a World,
    over: &'a watch::Sender<bool>,
    dials: JoinSet<anyhow::Result<(Follower, Duration)>>,
    inside: JoinSet<bool>,
    joined: Joined,
    dialled: usize,
}

impl<'a> Class<'a> {
    fn new(bench: &'a Bench, world: &'a World, over: &'a watch::Sender<bool>) -> Self {
        Self { bench, world, over, dials: JoinSet::new(), inside: JoinSet::new(), joined: Joined::default(), dialled: 0 }
    }

    /// Lets so many come, evenly at this rate, whether or not those before are inside.
    async fn come(&mut self, count: usize, rate: f64) -> anyhow::Result<()> {
        let (began, mut sent) = (Instant::now(), 0);
        while sent < count {
            let due = (began.elapsed().as_secs_f64() * rate).ceil() as usize;
            for _ in sent..due.min(count) {
                let token = self.world.token(self.bench, Role::Member, Uuid::now_v7());
                let mut options = Options::new(token).room(RoomName::Floor(self.world.gym));
                options.from = Some(address(self.dialled));
                self.dialled += 1;
                let url = self.bench.ws_url();
                self.dials.spawn(async move {
                    let began = Instant::now();
                    Ok((Follower::connect(&url, options).await?, began.elapsed()))
                });
            }
            sent = sent.max(due.min(count));
            while let Some(done) = self.dials.try_join_next() {
                self.enter(done?);
            }
            tokio::time::sleep(STEP).await;
        }
        Ok(())
    }

    fn enter(&mut self, done: anyhow::Result<(Follower, Duration)>) {
        match done {
            Ok((follower, after)) => {
                self.joined.latency.add(after);
                self.joined.longest = self.joined.longest.max(after);
                self.inside.spawn(stay(follower, self.over.subscribe()));
            }
            Err(error) => self.joined.failed.push(format!("{error:#}")),
        }
    }

    /// Waits until everybody on the way is inside or failed.
    async fn all_in(&mut self) -> anyhow::Result<Joined> {
        while let Some(done) = self.dials.join_next().await {
            self.enter(done?);
        }
        Ok(std::mem::take(&mut self.joined))
    }

    /// How many did not stand to the end.
    async fn lost(mut self) -> usize {
        let mut lost = 0;
        while let Some(stood) = self.inside.join_next().await {
            lost += usize::from(!stood.unwrap_or(false));
        }
        lost
    }
}

/// Sessions come from several addresses of this machine, as [`Options::from`] explains.
fn address(number: usize) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, 2 + (number / PER_ADDRESS % 200) as u8).into()
}

/// Watches to the end; whether the session stood.
async fn stay(mut follower: Follower, mut over: watch::Receiver<bool>) -> bool {
    loop {
        tokio::select! {
            biased;
            changed = over.wait_for(|over| *over) => return changed.is_ok(),
            read = follower.read() => if read.is_err() { return false },
        }
    }
}

fn fill(report: &mut Report, joined: &Joined, cost: &Cost, rate: f64) {
    let joins = cost.joins.max(1.0);
    let (cpu_ms, kib) = (cost.cpu_s * 1_000.0 / joins, cost.rss_kib / joins);
    report.set("joined", cost.joins);
    report.set("joins_failed", joined.failed.len());
    report.set("join_ms_p50", joined.latency.quantile_us(0.5) / 1_000);
    report.set("join_ms_p99", joined.latency.quantile_us(0.99) / 1_000);
    report.set("join_ms_max", joined.longest.as_millis() as u64);
    report.set_rounded("joins_per_s", joins / cost.took.as_secs_f64());
    report.set_rounded("cpu_ms_per_join", cpu_ms);
    report.set_rounded("rss_kib_per_session", kib);
    report.set_rounded("class_cpu_s", cpu_ms * CLASS / 1_000.0);
    report.set_rounded("class_rss_mib", kib * CLASS / 1_024.0);
    report.set_rounded("class_s", CLASS / rate);
    progress(&format!(
        "joins: {cpu_ms:.2} ms of CPU and {kib:.1} KiB each; {CLASS} within {:.0} s: {:.1} s of CPU ({:.0} % of one core), {:.0} MiB",
        CLASS / rate,
        cpu_ms * CLASS / 1_000.0,
        cpu_ms * rate / 10.0,
        kib * CLASS / 1_024.0
    ));
    report.require(joined.failed.is_empty(), || {
        format!("{} joins failed, such as: {}", joined.failed.len(), joined.failed.first().map_or("", String::as_str))
    });
    report.require(cpu_ms * rate < 1_000.0, || format!("{cpu_ms:.2} ms of CPU a join: one core does not do {rate:.0} a second"));
}
