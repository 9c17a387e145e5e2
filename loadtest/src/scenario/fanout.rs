//! `fanout`, `pairs` and `wall`: readings in, many viewers out. What does a delivery cost, and when does it arrive?
//!
//! `fanout`: one machine, its room watched by 500. `pairs`: a thousand machines at 4 Hz, each watched by two. `wall`: a hundred machines at
//! 1 Hz on a floor watched by 500. Viewers are operators; every value is wanted except on the floor, which ticks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::frame::{MachineKind, Role};
use protocol::{Field, MachineId, Reading, RoomName};
use uuid::Uuid;

use crate::bench::{Bench, BenchArgs, Crowd, NewMachine, Publisher, Report, Seen, SentTimes, Viewer, World, beat, progress};

/// Machines that one gateway carries.
pub(super) const MACHINES_A_GATEWAY: usize = 250;
/// Readings under way that a ring remembers.
pub(super) const RING: usize = 256;
/// Share of values that may be replaced by newer ones: a busy machine conflates a little.
const REPLACED_SHARE_MAX: f64 = 0.01;
/// Share of what was sent that must arrive in the stretch that counts.
const ARRIVED_MIN: f64 = 0.95;
/// One watcher of the floor in so many decodes what it gets.
pub(super) const LOOKS_EVERY: usize = 25;
/// Age of a floor value at the viewer (`DESIGN` section 8).
pub(super) const AGE_P99_MAX: Duration = Duration::from_millis(1_250);
const WARM_UP: Duration = Duration::from_secs(2);

/// How a scenario of this family is laid out.
struct Layout {
    name: &'static str,
    machines: usize,
    hz: f64,
    viewers_each: usize,
    /// Viewers of the floor instead of machines.
    floor_viewers: usize,
    run: Duration,
    reading: Reading,
}

/// Runs `fanout`.
///
/// # Errors
/// Where hub or viewers fail.
pub async fn fanout(args: &BenchArgs) -> anyhow::Result<Report> {
    let (viewers_each, hz, run_s) = if args.quick { (200, 30.0, 8) } else { (500, 60.0, 20) };
    let run = Duration::from_secs(run_s);
    measure(args, Layout { name: "fanout", machines: 1, hz, viewers_each, floor_viewers: 0, run, reading: wide() }).await
}

/// Runs `pairs`.
///
/// # Errors
/// Where hub or viewers fail.
pub async fn pairs(args: &BenchArgs) -> anyhow::Result<Report> {
    let (machines, run_s) = if args.quick { (200, 8) } else { (1_000, 20) };
    let run = Duration::from_secs(run_s);
    measure(args, Layout { name: "pairs", machines, hz: 4.0, viewers_each: 2, floor_viewers: 0, run, reading: wide() }).await
}

/// Runs `wall`.
///
/// # Errors
/// Where hub or viewers fail.
pub async fn wall(args: &BenchArgs) -> anyhow::Result<Report> {
    let (machines, floor_viewers, run_s) = if args.quick { (40, 200, 10) } else { (100, 500, 30) };
    let run = Duration::from_secs(run_s);
    measure(args, Layout { name: "wall", machines, hz: 1.0, viewers_each: 0, floor_viewers, run, reading: six() }).await
}

/// Every field but the heart rate, which operators may not see: a frame of about 120 bytes.
pub(super) fn wide() -> Reading {
    let mut reading = Reading::new();
    for field in Field::ALL.into_iter().filter(|field| !matches!(field, Field::HeartRate | Field::Contact)) {
        reading.set(field, field.bounds().1.min(100_000));
    }
    reading
}

/// The six fields of a treadmill on a wall.
pub(super) fn six() -> Reading {
    let mut reading = Reading::new();
    for (field, value) in [
        (Field::Speed, 1_050),
        (Field::Distance, 3_200),
        (Field::Incline, 15),
        (Field::Energy, 240),
        (Field::Power, 180),
        (Field::Elapsed, 1_200),
    ] {
        reading.set(field, value);
    }
    reading
}

async fn measure(args: &BenchArgs, layout: Layout) -> anyhow::Result<Report> {
    let mut report = Report::new(layout.name);
    let bench = Bench::start(args).await?;
    let world = World::new(&bench).await?;
    let gateways = world.gateways(&bench, layout.machines.div_ceil(MACHINES_A_GATEWAY)).await?;
    let machines: Vec<NewMachine> = (0..layout.machines)
        .map(|number| NewMachine {
            machine: MachineId(Uuid::now_v7()),
            kind: MachineKind::Bike,
            gateway: gateways[number / MACHINES_A_GATEWAY],
        })
        .collect();
    world.machines(&bench, &machines).await?;
    let start = Instant::now();
    let sent: Vec<Arc<SentTimes>> = machines.iter().map(|_| Arc::new(SentTimes::new(start, RING))).collect();
    let mut publishers = Vec::new();
    for (number, gateway) in gateways.iter().enumerate() {
        let ids: Vec<MachineId> = machines.iter().filter(|new| new.gateway == *gateway).map(|new| new.machine).collect();
        let token = world.token(&bench, Role::Gateway, gateway.0);
        let first = number * MACHINES_A_GATEWAY;
        let publisher = Publisher::connect(&bench.ws_url(), &token, &ids, args.seed as u32).await?;
        publishers.push((publisher, sent[first..first + ids.len()].to_vec()));
    }
    let viewers = viewers(&bench, &world, &layout, &machines, &sent);
    progress(&format!("{}: {} viewers, {} machines at {} Hz", layout.name, viewers.len(), machines.len(), layout.hz));
    let crowd = Crowd::gather(&bench.ws_url(), viewers).await?;
    let sessions = crowd.size() + publishers.len();
    let (seen, sent_count, cpu_s) = publish(&bench, publishers, crowd, &layout).await?;
    fill(&mut report, &layout, &seen, sent_count, cpu_s, sessions);
    Ok(report)
}

fn viewers(bench: &Bench, world: &World, layout: &Layout, machines: &[NewMachine], sent: &[Arc<SentTimes>]) -> Vec<Viewer> {
    let token = || world.token(bench, Role::Operator, Uuid::now_v7());
    let of_machines = machines.iter().zip(sent).flat_map(|(new, sent)| {
        let room = RoomName::Machine(new.machine);
        (0..layout.viewers_each).map(move |_| Viewer { token: token(), room, sent: Some(sent.clone()), looks: false })
    });
    let of_floor = (0..layout.floor_viewers).map(|number| Viewer {
        token: token(),
        room: RoomName::Floor(world.gym),
        sent: None,
        looks: number % LOOKS_EVERY == 0,
    });
    of_machines.chain(of_floor).collect()
}

/// Publishes for the warm-up and the run; what was seen, readings sent while it counted, CPU seconds of the hub.
async fn publish(
    bench: &Bench,
    publishers: Vec<(Publisher, Vec<Arc<SentTimes>>)>,
    crowd: Crowd,
    layout: &Layout,
) -> anyhow::Result<(Seen, u64, Option<f64>)> {
    let mut tasks = tokio::task::JoinSet::new();
    let until = Instant::now() + WARM_UP + layout.run;
    for (publisher, sent) in publishers {
        tasks.spawn(beat(publisher, sent, layout.hz, layout.reading.clone(), until));
    }
    tokio::time::sleep(WARM_UP).await;
    crowd.begin();
    let before = bench.usage()?;
    let counted_from = Instant::now();
    tokio::time::sleep(layout.run.saturating_sub(Duration::from_millis(500))).await;
    let counted_s = counted_from.elapsed().as_secs_f64();
    let after = bench.usage()?;
    let seen = crowd.end().await?;
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let cpu_s = before.zip(after).map(|((before, _), (after, _))| after - before);
    Ok((seen, (counted_s * layout.hz * layout.machines as f64) as u64, cpu_s))
}

fn fill(report: &mut Report, layout: &Layout, seen: &Seen, sent: u64, cpu_s: Option<f64>, sessions: usize) {
    let is_wall = layout.floor_viewers > 0;
    // What a broadcaster without conflation would have delivered on the wall.
    let deliveries = if is_wall { sent * layout.floor_viewers as u64 } else { seen.lives };
    report.set("sessions", sessions);
    report.set("deliveries", deliveries);
    report.set("frames", seen.lives + seen.ticks);
    report.set("bytes", seen.bytes);
    report.set_rounded("bytes_per_delivery", seen.bytes as f64 / deliveries.max(1) as f64);
    if let Some(cpu_s) = cpu_s {
        report.set_rounded("cpu_s", cpu_s);
        report.set_rounded("cpu_s_per_million", cpu_s * 1e6 / deliveries.max(1) as f64);
    }
    let latency = if is_wall { &seen.age } else { &seen.latency };
    report.set("p50_us", latency.quantile_us(0.5));
    report.set("p99_us", latency.quantile_us(0.99));
    if !is_wall {
        report.set("gap", seen.replaced);
    }
    report.require(seen.errors == 0, || format!("{} errors", seen.errors));
    if is_wall {
        let age = Duration::from_micros(latency.quantile_us(0.99));
        report.require(age <= AGE_P99_MAX, || format!("values on the wall are {age:?} old at p99, at most {AGE_P99_MAX:?}"));
        let looked_for = sent * layout.floor_viewers.div_ceil(LOOKS_EVERY) as u64;
        require_arrival(report, seen.rows_looked_at, looked_for);
    } else {
        let share = seen.replaced as f64 / seen.lives.max(1) as f64;
        report.require(share <= REPLACED_SHARE_MAX, || format!("{} of {} values were replaced", seen.replaced, seen.lives));
        require_arrival(report, seen.lives + seen.replaced, sent * layout.viewers_each as u64);
    }
}

/// Nothing is cheap that did not arrive. What is under way at both ends of the stretch is not the same.
fn require_arrival(report: &mut Report, arrived: u64, due: u64) {
    let share = arrived as f64 / due.max(1) as f64;
    report.require(share >= ARRIVED_MIN, || format!("{arrived} of {due} values arrived: the run measured something else"));
}
