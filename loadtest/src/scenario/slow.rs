//! `slow`: readers that never read, beside viewers who do, in the same rooms.
//!
//! *Idle* ones watch and read nothing: live values are replaced in their outbox, the kernel's buffer fills, the write deadline cuts them.
//! *Greedy* ones ask for one snapshot after another and read none: their outbox fills and they are cut `slow`. How much did the hub hold for one,
//! how soon was it cut, and did the others notice?

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context as _;
use protocol::frame::{Join, JoinRoom, MachineKind, Role};
use protocol::wire::Encoding;
use protocol::{ClientFrame, CloseReason, MachineId, RoomName};
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use super::fanout::wide;
use crate::bench::{
    Bench, BenchArgs, NewMachine, Publisher, Pulse, Queue, Report, Scrape, Second, World, median_p99_us, progress, queues_of,
};
use crate::peer::{Light, Options};

/// Outbox and kernel together (`DESIGN` section 8).
const HELD_MAX: u64 = 1024 * 1024;
/// What Linux makes of `SO_SNDBUF` 64 KiB: twice as much, its own records included.
const SEND_BUFFER_BYTES: u64 = 2 * 64 * 1024;
/// From the last byte that the kernel took to the end.
const CUT_WITHIN: Duration = Duration::from_secs(10);
/// The others' p99 (`FAULTS` row 15), and a tenth of a millisecond for the clock's grain.
const OTHERS_FACTOR: f64 = 1.1;
const OTHERS_GRAIN_US: f64 = 100.0;
/// The kernel takes so little for a reader that does not read.
const RECEIVE_BUFFER_BYTES: u32 = 4 * 1024;
const MACHINES: usize = 10;
const HZ: f64 = 30.0;
const SLOW: usize = 20;
const GREEDY: usize = 3;
/// Filling the kernel's buffer, then the deadline, then the goodbye.
const IDLE_WAIT: Duration = Duration::from_secs(40);
const GREEDY_WAIT: Duration = Duration::from_secs(20);
/// A greedy reader stays within the hub's limit of frames a second.
const ASK_EVERY: Duration = Duration::from_millis(25);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Machines that only make the floor's snapshot long.
const STANDING: usize = 240;
const WARM_UP: Duration = Duration::from_secs(2);
/// Of the values due to the others this share is seen, and this in each second: one in which they stand still is not left out, it fails.
const SEEN_MIN: f64 = 0.95;
const SEEN_MIN_SECOND: f64 = 0.8;
/// The same with --quick, where the machine does other work.
const SEEN_MIN_QUICK: f64 = 0.5;

/// Runs it.
///
/// # Errors
/// Where hub or viewers fail.
pub async fn run(args: &BenchArgs) -> anyhow::Result<Report> {
    let mut report = Report::new("slow");
    let bench = Bench::start(args).await?;
    let (viewers, rounds, seconds) = if args.quick { (50, 1, 6) } else { (100, 3, 12) };
    let hall = Hall::open(&bench, viewers).await?;
    tokio::time::sleep(WARM_UP).await;
    let (mut alone, mut reading, mut beside, mut idle) = (Vec::new(), Vec::new(), Vec::new(), Idle::default());
    for round in 1..=rounds {
        progress(&format!(
            "slow: round {round} of {rounds}: {seconds} s alone, then beside {SLOW} who read, then beside {SLOW} who do not"
        ));
        alone.extend(hall.others.seconds(seconds).await);
        reading.extend(hall.beside_readers(seconds).await?);
        idle.add(&hall.beside_idle(seconds, &mut beside).await?);
    }
    let mut greedy = Vec::new();
    for number in 1..=GREEDY {
        progress(&format!("slow: greedy reader {number} of {GREEDY}"));
        greedy.push(hall.greedy().await?);
    }
    report.set("sessions", viewers + SLOW + 1);
    fill(&mut report, &idle, &greedy);
    others(&mut report, &alone, &reading, &beside);
    attended(&mut report, [("alone", &alone), ("reading", &reading), ("beside", &beside)], rounds * seconds, args.quick);
    hall.close(&mut report).await;
    Ok(report)
}

/// The rooms, their machines and those who read.
struct Hall<'a> {
    bench: &'a Bench,
    world: World,
    machines: Vec<MachineId>,
    port: u16,
    others: Pulse,
}

impl<'a> Hall<'a> {
    async fn open(bench: &'a Bench, viewers: usize) -> anyhow::Result<Self> {
        let world = World::new(bench).await?;
        let gateway = world.gateways(bench, 1).await?[0];
        let all: Vec<NewMachine> =
            (0..MACHINES + STANDING).map(|_| NewMachine { machine: MachineId(Uuid::now_v7()), kind: MachineKind::Bike, gateway }).collect();
        world.machines(bench, &all).await?;
        let machines: Vec<MachineId> = all.iter().take(MACHINES).map(|new| new.machine).collect();
        let token = world.token(bench, Role::Gateway, gateway.0);
        let publisher = Publisher::connect(&bench.ws_url(), &token, &machines, 1).await?;
        let port = bench.http().rsplit_once(':').and_then(|(_, port)| port.parse().ok()).context("the hub's address has no port")?;
        let others = Pulse::start(bench, &world, publisher, &machines, (HZ, wide()), viewers).await?;
        Ok(Self { bench, world, machines, port, others })
    }

    /// A session that watches these rooms and will not read.
    async fn reader(&self, rooms: &[RoomName]) -> anyhow::Result<Light> {
        let mut options = Options::new(self.world.token(self.bench, Role::Operator, Uuid::now_v7()));
        options.receive_buffer_bytes = Some(RECEIVE_BUFFER_BYTES);
        options.rooms = rooms.iter().map(|&room| join(room)).collect();
        let (light, _welcome) = Light::connect(&self.bench.ws_url(), &options, |_| ()).await.context("a slow reader could not connect")?;
        Ok(light)
    }

    async fn look(&self, reason: CloseReason) -> anyhow::Result<Look> {
        let scrape = Scrape::read(self.bench).await?;
        let closes = scrape.of("spotter_closes_total", &format!("reason=\"{}\"", reason.name()));
        Ok(Look { outbox_bytes: scrape.sum("spotter_queued_bytes") as u64, closes })
    }

    /// Sessions that watch every machine as the slow ones do, and read; what the others see beside them is what that work costs, looks included.
    async fn beside_readers(&self, seconds: u32) -> anyhow::Result<Vec<Second>> {
        let rooms: Vec<RoomName> = self.machines.iter().map(|&machine| RoomName::Machine(machine)).collect();
        let mut readers = JoinSet::new();
        for _ in 0..SLOW {
            let mut light = self.reader(&rooms).await?;
            readers.spawn(async move { while light.read(|_message| ()).await.is_ok() {} });
        }
        let looks = async {
            loop {
                self.look(CloseReason::WriteTimeout).await?;
                queues_of(self.port)?;
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let seconds = tokio::select! {
            seconds = self.others.seconds(seconds) => seconds,
            failed = looks => return failed,
        };
        anyhow::ensure!(readers.try_join_next().is_none(), "a session that reads was hung up on");
        Ok(seconds)
    }

    /// Readers that watch every machine and read nothing, until the last is cut; the others' p99 beside them goes to `beside`.
    async fn beside_idle(&self, seconds: u32, beside: &mut Vec<Second>) -> anyhow::Result<Idle> {
        let before = self.look(CloseReason::WriteTimeout).await?;
        let rooms: Vec<RoomName> = self.machines.iter().map(|&machine| RoomName::Machine(machine)).collect();
        let began = Instant::now();
        let (mut held, mut cut) = (HashMap::new(), Vec::new());
        for _ in 0..SLOW {
            let light = self.reader(&rooms).await?;
            held.insert(light.port()?, (light, Grown::default()));
        }
        let measure = self.others.seconds(seconds);
        let follow = async {
            let mut idle = Idle::default();
            while idle.cut.len() < SLOW && began.elapsed() < IDLE_WAIT {
                let (look, queues) = (self.look(CloseReason::WriteTimeout).await?, queues_of(self.port)?);
                let outboxes = look.outbox_bytes / held.len().max(1) as u64;
                for (port, (_, grown)) in &mut held {
                    let Some(queue) = queues.get(port).filter(|queue| queue.established) else { continue };
                    idle.held_bytes = idle.held_bytes.max(outboxes + queue.sent_bytes);
                    grown.to(queue.sent_bytes);
                }
                for (_, (light, grown)) in held.extract_if(|port, _| !queues.get(port).is_some_and(|queue| queue.established)) {
                    idle.cut.push(grown.at.elapsed());
                    // Kept: the peer is still there, it only does not read.
                    cut.push(light);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Ok::<_, anyhow::Error>(idle)
        };
        let (slices, idle) = tokio::join!(measure, follow);
        beside.extend(slices);
        let mut idle = idle?;
        idle.reasons = (self.look(CloseReason::WriteTimeout).await?.closes - before.closes) as usize;
        idle.readers = SLOW;
        // Nothing of them may stay behind in the kernel.
        idle.left = held_by_kernel(&queues_of(self.port)?);
        drop(cut);
        Ok(idle)
    }

    /// One who asks for snapshots and reads none, until it is cut.
    async fn greedy(&self) -> anyhow::Result<Greedy> {
        let floor = RoomName::Floor(self.world.gym);
        let before = self.look(CloseReason::Slow).await?;
        let mut light = self.reader(&[floor]).await?;
        let (port, began, mut most, mut full) = (light.port()?, Instant::now(), 0, None);
        for req in 1.. {
            anyhow::ensure!(began.elapsed() < GREEDY_WAIT, "a greedy reader was not cut");
            if light.send(&ClientFrame::from(Join { req, join: join(floor) }).to_bytes(Encoding::MessagePack)).await.is_err() {
                break;
            }
            let (look, queues) = (self.look(CloseReason::Slow).await?, queues_of(self.port)?);
            let sent = queues.get(&port).map_or(0, |queue| queue.sent_bytes);
            // All outboxes together: the others' are all but empty.
            most = most.max(look.outbox_bytes + sent.min(SEND_BUFFER_BYTES));
            if look.closes > before.closes {
                full = Some(began.elapsed());
                break;
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(Greedy { held_bytes: most, cut: full })
    }

    async fn close(self, report: &mut Report) {
        if let Err(why) = self.others.close().await {
            report.require(false, || format!("a viewer who reads was hung up on: {why:#}"));
        }
    }
}

const fn join(room: RoomName) -> JoinRoom {
    JoinRoom { room, epoch: None, offset: 0, every_ms: 0, fields: 0 }
}

/// Bytes that the kernel keeps for connections that are over.
fn held_by_kernel(queues: &HashMap<u16, Queue>) -> u64 {
    queues.values().filter(|queue| !queue.established).map(|queue| queue.sent_bytes).sum()
}

/// The hub's counts at one moment.
struct Look {
    outbox_bytes: u64,
    closes: f64,
}

/// When the kernel last took a byte for a session.
struct Grown {
    bytes: u64,
    at: Instant,
}

impl Default for Grown {
    fn default() -> Self {
        Self { bytes: 0, at: Instant::now() }
    }
}

impl Grown {
    fn to(&mut self, bytes: u64) {
        if bytes > self.bytes {
            *self = Self { bytes, at: Instant::now() };
        }
    }
}

/// What came of readers that only watch.
#[derive(Default)]
struct Idle {
    readers: usize,
    /// Outbox and kernel of the one with most.
    held_bytes: u64,
    /// From the last byte that the kernel took to the end, of each.
    cut: Vec<Duration>,
    /// Closes with the catalogued reason.
    reasons: usize,
    /// Bytes that the kernel kept for them afterwards.
    left: u64,
}

impl Idle {
    fn add(&mut self, other: &Self) {
        self.readers += other.readers;
        self.held_bytes = self.held_bytes.max(other.held_bytes);
        self.cut.extend(&other.cut);
        self.reasons += other.reasons;
        self.left = self.left.max(other.left);
    }
}

/// What came of one who asks and does not read.
struct Greedy {
    held_bytes: u64,
    cut: Option<Duration>,
}

fn fill(report: &mut Report, idle: &Idle, greedy: &[Greedy]) {
    let cut = idle.cut.iter().max().copied().unwrap_or_default();
    let held = greedy.iter().map(|one| one.held_bytes).fold(idle.held_bytes, u64::max);
    let greedy_cut = greedy.iter().filter_map(|one| one.cut).max().unwrap_or_default();
    report.set("slow_readers", idle.readers + greedy.len());
    report.set("held_bytes_idle", idle.held_bytes);
    report.set("held_bytes", held);
    report.set("cut_ms", cut.as_millis() as u64);
    report.set("cut_ms_greedy", greedy_cut.as_millis() as u64);
    report.set("kernel_bytes_after", idle.left);
    report.require(idle.cut.len() == idle.readers, || format!("{} of {} readers that do not read were cut", idle.cut.len(), idle.readers));
    report.require(idle.reasons == idle.readers, || {
        format!("{} of {} were cut `{}`", idle.reasons, idle.readers, CloseReason::WriteTimeout.name())
    });
    report.require(greedy.iter().all(|one| one.cut.is_some()), || format!("a greedy reader was not cut `{}`", CloseReason::Slow.name()));
    report.require(cut.max(greedy_cut) <= CUT_WITHIN, || format!("cut after {:?}, at most {CUT_WITHIN:?}", cut.max(greedy_cut)));
    report.require(held <= HELD_MAX, || format!("{held} bytes were held for one reader, at most {HELD_MAX}"));
    report.require(idle.left == 0, || format!("the kernel keeps {} bytes for readers that were cut", idle.left));
}

/// The others, alone, beside as many sessions who read, and beside those who do not: that they do not read is what may cost a tenth.
fn others(report: &mut Report, alone: &[Second], reading: &[Second], beside: &[Second]) {
    let (reading_us, beside_us) = (median_p99_us(reading), median_p99_us(beside));
    report.set("p99_us", median_p99_us(alone));
    report.set("p99_us_reading", reading_us);
    report.set("p99_us_beside", beside_us);
    report.set_rounded("p99_factor", beside_us as f64 / reading_us.max(1) as f64);
    report.require(beside_us as f64 <= reading_us as f64 * OTHERS_FACTOR + OTHERS_GRAIN_US, || {
        format!("live p99 of the others is {beside_us} us beside slow readers, {reading_us} us beside as many who read")
    });
}

/// Whether the others saw what was due to them, in every second.
fn attended(report: &mut Report, parts: [(&str, &[Second]); 3], seconds: u32, quick: bool) {
    let (all_min, second_min) = if quick { (SEEN_MIN_QUICK, SEEN_MIN_QUICK) } else { (SEEN_MIN, SEEN_MIN_SECOND) };
    for (when, part) in parts {
        let share = part.iter().map(|slice| slice.share).sum::<f64>() / f64::from(seconds);
        let least = part.iter().map(|slice| slice.share).fold(f64::INFINITY, f64::min);
        report.set_rounded(&format!("seen_share_{when}"), share);
        report.set_rounded(&format!("seen_share_{when}_least"), least);
        report.require(part.len() == seconds as usize, || format!("{} of {seconds} seconds were watched {when}", part.len()));
        report.require(share >= all_min, || format!("{when}, the others saw {share:.2} of what was due, at least {all_min}"));
        report
            .require(least >= second_min, || format!("{when}, there was a second with {least:.2} of what was due, at least {second_min}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_who_stand_still_are_no_second_to_leave_out() {
        let (good, still) = (Second { p99_us: 900, share: 0.99 }, Second { p99_us: 0, share: 0.0 });
        let failures = |beside: &[Second]| {
            let mut report = Report::new("slow");
            attended(&mut report, [("alone", &[good; 10]), ("reading", &[good; 10]), ("beside", beside)], 10, false);
            report.failures().len()
        };
        assert_eq!(failures(&[good; 10]), 0);
        assert_eq!(failures(&[still; 10]), 2, "nothing was seen at all");
        let one: Vec<Second> = [&[good; 9][..], &[still]].concat();
        assert_eq!(failures(&one), 2, "a tenth is missing, all of it in one second");
        assert_eq!(failures(&[]), 2, "nothing was watched");
    }
}
