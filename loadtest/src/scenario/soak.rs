//! `soak`: a small gym lives for as long as asked: members come, claim, train and go; gateways lose their links; crowds of 200 are reset at once.
//!
//! After a warm-up everybody leaves and the hub's memory is read; then the gym lives again, everybody leaves again, and the memory must be what
//! it was. What every machine numbered must stand in the store, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use protocol::frame::Role;
use protocol::{GatewayId, MachineId, MemberId, RoomName};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::bench::{Bench, BenchArgs, NewMachine, Report, RssCurve, Wants, World, progress};
use crate::gateway::{Checksum, Dice, Expected, Said};
use crate::gym::{GymPlan, SimulatedGym, SimulatedMember, floor};
use crate::peer::{Follower, Options};

/// Memory when all are gone, over what it was after the warm-up.
const RSS_FACTOR_MAX: f64 = 1.1;
/// A gym's afternoon passes so many times faster.
const SPEED: f64 = 10.0;
const MEMBERS: usize = 60;
/// A crowd on the floor that is reset together.
const CROWD: usize = 200;
/// Something happens this often: the link of a gateway, or the crowd.
const FAULT_EVERY: Duration = Duration::from_secs(15);
const LINK_DOWN: Duration = Duration::from_secs(3);
const COME_BACK: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const SETTLE: Duration = Duration::from_secs(60);
/// The warm-up is as long as what follows, up to the time for which the room of a sealed workout is kept: from then on as many go as come.
const WARM_UP_MOST: Duration = Duration::from_secs(600);
/// After the last session: rooms, logs (two minutes after their last watcher) and buffers are given back.
const IDLE: Duration = Duration::from_secs(130);
const IDLE_QUICK: Duration = Duration::from_secs(4);
/// Points of the memory's curve in the report.
const POINTS: usize = 60;

/// Words of `soak`.
#[derive(Debug, Clone, clap::Args)]
pub struct SoakArgs {
    /// Minutes after the warm-up; 10, or a sixth with --quick. An hour is 60.
    #[arg(long)]
    pub minutes: Option<f64>,
}

/// Runs it.
///
/// # Errors
/// Where hub, gateways or members cannot do their part; what does not hold is in the report.
pub async fn run(args: &BenchArgs, own: &SoakArgs) -> anyhow::Result<Report> {
    let mut report = Report::new("soak");
    // The audit reads raw readings; in an hour those of early workouts would be packed (`loadtest ledger --row packed` is about that).
    let mut bench = Bench::start_with(args, Wants { set: vec!["retention.pack=false".to_owned()], ..Wants::default() }).await?;
    bench.child()?;
    let minutes = own.minutes.unwrap_or(if args.quick { 1.0 / 6.0 } else { 10.0 });
    let lasts = Duration::from_secs_f64(minutes * 60.0);
    let idle = if args.quick { IDLE_QUICK } else { IDLE };
    let club = Club::open(&bench, args.seed).await?;
    let curve = RssCurve::start(bench.pid().context("the hub is gone")?, Duration::from_millis(500));
    let mut life = Life::default();
    progress("soak: warming up");
    club.live(&bench, 1, lasts.min(WARM_UP_MOST), &mut life).await?;
    sleep(idle).await;
    let (_, before_kib) = bench.usage()?.context("the hub is gone")?;
    progress(&format!("soak: {before_kib} KiB when all are gone; now {minutes:.1} minutes"));
    club.live(&bench, 2, lasts, &mut life).await?;
    sleep(idle).await;
    let (_, after_kib) = bench.usage()?.context("the hub is gone")?;
    progress(&format!("soak: {after_kib} KiB when all are gone again"));
    report.set("minutes", minutes);
    report.set("rss_curve_kib", thin(&curve.points()));
    report.set("rss_kib_most", curve.most_kib());
    memory(&mut report, before_kib, after_kib);
    fill(&mut report, &life);
    rows(&mut report, &bench, &life.expected).await?;
    log(&mut report, &bench);
    Ok(report)
}

/// What happened.
#[derive(Default)]
struct Life {
    expected: Vec<Expected>,
    links_cut: u64,
    storms: u64,
    connects: u64,
    not_back: u64,
    gaps: u64,
    complaints: Vec<String>,
}

/// The provisioned gym.
struct Club {
    world: World,
    gateways: Vec<GatewayId>,
    machines: Vec<MachineId>,
    members: Vec<MemberId>,
    seed: u64,
}

impl Club {
    async fn open(bench: &Bench, seed: u64) -> anyhow::Result<Self> {
        let world = World::new(bench).await?;
        let gateways = world.gateways(bench, 2).await?;
        let places = floor();
        let new: Vec<NewMachine> = places
            .iter()
            .map(|place| NewMachine { machine: MachineId(Uuid::now_v7()), kind: place.kind, gateway: gateways[place.gateway] })
            .collect();
        world.machines(bench, &new).await?;
        let members = world.members(bench, MEMBERS).await?;
        Ok(Self { world, gateways, machines: new.iter().map(|new| new.machine).collect(), members, seed })
    }

    /// Opens the gym for a while, with everything that goes wrong, and closes it when all is stored.
    async fn live(&self, bench: &Bench, boot: u32, lasts: Duration, life: &mut Life) -> anyhow::Result<()> {
        let token = |gateway: usize| self.world.token(bench, Role::Gateway, self.gateways[gateway].0);
        let member = |&member: &MemberId| SimulatedMember { member, token: self.world.token(bench, Role::Member, member.0) };
        let mut gym = SimulatedGym::start(&GymPlan {
            url: bench.ws_url(),
            gym: self.world.gym,
            gateway_tokens: [token(0), token(1)],
            machines: self.machines.clone(),
            members: self.members.iter().map(member).collect(),
            speed: SPEED,
            seed: self.seed ^ u64::from(boot),
            boot,
        });
        let crowd = Crowd::gather(bench, self).await?;
        let (until, mut dice) = (Instant::now() + lasts, Dice::new(self.seed ^ 0x50a4 ^ u64::from(boot)));
        while Instant::now() < until {
            sleep(FAULT_EVERY.min(lasts / 4)).await;
            if dice.below(2) == 0 {
                let gateway = &gym.gateways()[dice.below(2) as usize];
                gateway.set_online(false);
                sleep(LINK_DOWN).await;
                gateway.set_online(true);
                life.links_cut += 1;
            } else {
                crowd.storm(life).await;
            }
        }
        gym.close(SETTLE).await?;
        crowd.end(life).await?;
        for gateway in gym.gateways() {
            gateway.settled(SETTLE).await?;
            gateway.with(|core, _| {
                life.expected.extend_from_slice(core.ledger().rows());
                life.connects += core.counts().connects;
                life.complaints.extend_from_slice(&core.counts().complaints);
            });
        }
        Ok(())
    }
}

/// People who look at the floor and at a machine, and whose network fails for all in the same instant.
struct Crowd {
    tasks: JoinSet<anyhow::Result<u64>>,
    storms: watch::Sender<Option<u32>>,
    back: Arc<AtomicUsize>,
}

impl Crowd {
    async fn gather(bench: &Bench, club: &Club) -> anyhow::Result<Self> {
        let (storms, back, mut tasks) = (watch::Sender::new(Some(0)), Arc::new(AtomicUsize::new(0)), JoinSet::new());
        for number in 0..CROWD {
            let token = club.world.token(bench, Role::Operator, Uuid::now_v7());
            let machine = RoomName::Machine(club.machines[number % club.machines.len()]);
            let options = Options::new(token).room(RoomName::Floor(club.world.gym)).room(machine);
            let follower = Follower::connect(&bench.ws_url(), options).await.context("somebody in the crowd could not connect")?;
            tasks.spawn(look(follower, bench.ws_url(), storms.subscribe(), back.clone()));
        }
        Ok(Self { tasks, storms, back })
    }

    /// Resets everybody and waits until all are back.
    async fn storm(&self, life: &mut Life) {
        self.back.store(0, Ordering::Relaxed);
        self.storms.send_modify(|round| *round = round.map(|round| round + 1));
        let struck = Instant::now();
        while self.back.load(Ordering::Relaxed) < CROWD && struck.elapsed() < COME_BACK {
            sleep(LOOK_EVERY).await;
        }
        life.storms += 1;
        life.not_back += (CROWD - self.back.load(Ordering::Relaxed)) as u64;
    }

    async fn end(mut self, life: &mut Life) -> anyhow::Result<()> {
        self.storms.send_replace(None);
        while let Some(one) = self.tasks.join_next().await {
            life.gaps += one??;
        }
        Ok(())
    }
}

/// Watches until the end, through every storm; the holes that nobody announced.
async fn look(
    mut follower: Follower,
    url: String,
    mut storms: watch::Receiver<Option<u32>>,
    back: Arc<AtomicUsize>,
) -> anyhow::Result<u64> {
    let (mut round, mut gaps) = (Some(0), 0);
    loop {
        let now = *storms.borrow_and_update();
        if now.is_none() {
            return Ok(gaps + follower.rooms().gaps());
        }
        if now != round {
            round = now;
            gaps += follower.rooms().gaps();
            let (again, how) = follower.come_back(&url, COME_BACK).await.context("somebody in the crowd did not come back")?;
            back.fetch_add(1, Ordering::Relaxed);
            gaps += how.gaps.saturating_sub(again.rooms().gaps());
            follower = again;
            continue;
        }
        tokio::select! {
            changed = storms.changed() => changed.context("the crowd was called off")?,
            read = follower.read() => read.context("the hub hung up on somebody in the crowd")?,
        }
    }
}

fn memory(report: &mut Report, before_kib: u64, after_kib: u64) {
    let factor = after_kib as f64 / before_kib.max(1) as f64;
    report.set("rss_kib_before", before_kib);
    report.set("rss_kib", after_kib);
    report.set_rounded("rss_factor", factor);
    report.require(factor <= RSS_FACTOR_MAX, || {
        format!("{after_kib} KiB when all are gone, {before_kib} KiB after the warm-up: {factor:.2} times, at most {RSS_FACTOR_MAX}")
    });
}

fn fill(report: &mut Report, life: &Life) {
    report.set("sessions", CROWD + MEMBERS + 2);
    report.set("storms", life.storms);
    report.set("links_cut", life.links_cut);
    report.set("connects", life.connects);
    report.set("gap", life.gaps);
    report.require(life.not_back == 0, || format!("{} of the crowd were not back in time", life.not_back));
    report.require(life.gaps == 0, || format!("{} holes in event logs that nobody announced", life.gaps));
    report.require(life.complaints.is_empty(), || format!("the hub complained to gateways: {:?}", life.complaints));
}

/// Every row that a machine numbered stands in the store once, and nothing else.
async fn rows(report: &mut Report, bench: &Bench, expected: &[Expected]) -> anyhow::Result<()> {
    let database = bench.database().await?;
    let wanted = Checksum::of(expected);
    let (stored, duplicate) = database.checksum().await?;
    let ((lost, differ), (ghost, _)) = (wanted.beyond(&stored), stored.beyond(&wanted));
    report.set("rows", stored.count());
    report.set("rows_expected", wanted.count());
    report.set("lost", lost.len());
    report.set("duplicate", duplicate);
    report.set("ghost", ghost.len() + differ.len());
    report.set("sealed", database.count("select count(distinct workout) from workout_totals").await?);
    report.require(lost.is_empty() && duplicate == 0 && ghost.is_empty() && differ.is_empty(), || {
        format!("{} rows lost, {duplicate} twice, {} that nobody sent, {} with other content", lost.len(), ghost.len(), differ.len())
    });
    report.require(stored.count() > 0, || "nothing was stored".to_owned());
    let said = |which: fn(&Said) -> bool| expected.iter().filter(|row| which(&row.said)).count() as i64;
    let tables = [
        ("strokes", "select count(*) from strokes", said(|said| matches!(said, Said::Stroke(_)))),
        ("reps", "select count(*) from reps", said(|said| matches!(said, Said::Rep(_)))),
        ("sets", "select count(*) from sets", said(|said| matches!(said, Said::Set(_)))),
        ("quarantined", "select count(*) from quarantine", 0),
    ];
    for (name, sql, wanted) in tables {
        let stored = database.count(sql).await?;
        report.set(name, stored);
        report.require(stored == wanted, || format!("{stored} {name} stored, {wanted} were sent to be"));
    }
    Ok(())
}

/// What the hub itself found wrong.
fn log(report: &mut Report, bench: &Bench) {
    let log = bench.log();
    let (errors, warnings) = (at_level(&log, "ERROR"), at_level(&log, "WARN"));
    report.set("log_errors", errors.len());
    report.set("log_warnings", warnings.len());
    report.require(errors.is_empty(), || format!("{} errors in the hub's log, such as {}", errors.len(), errors[0]));
}

fn at_level<'a>(log: &'a str, level: &str) -> Vec<&'a str> {
    let mark = format!("\"level\":\"{level}\"");
    log.lines().filter(|line| line.contains(&mark)).collect()
}

/// The curve in as many points as anybody looks at: seconds and KiB.
fn thin(points: &[(f64, u64)]) -> serde_json::Value {
    let step = points.len().div_ceil(POINTS).max(1);
    points.iter().step_by(step).map(|(at_s, kib)| serde_json::json!([at_s.round() as u64, kib])).collect()
}
