//! The hub under abuse and what is around it: its limits, tokens for honest and dishonest clients, addresses to attack from, its memory.
//!
//! The limits are those of the manual; only times are shorter with `--quick`. A [`MemoryWatch`] samples resident memory while a case runs, and what
//! the kernel holds for the hub's sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use protocol::GatewayId;
use protocol::frame::Role;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::bench::{Bench, BenchArgs, Wants, World, rss_kib};

/// Memory is looked at this often.
const LOOK: Duration = Duration::from_millis(40);
/// What was freed is given back to the system within this time.
const SETTLE: Duration = Duration::from_secs(5);
/// An honest client hears its echo within this time at p99, whatever the others do.
const ECHO_P99_MAX: Duration = Duration::from_millis(250);
/// The same where everything is short and the machine does other work: a hub that stands still is found all the same.
const ECHO_P99_QUICK_MAX: Duration = Duration::from_secs(2);
/// Limits of the manual that the load configuration raises, and one that no case but its own meets.
const LIMITS: &[&str] = &[
    "limits.unauthenticated=4096",
    "limits.unauthenticated_per_address=64",
    "limits.gateway_frames_per_s=4000",
    "limits.gateway_frames_burst=20000",
    "limits.gateway_bytes_per_s=2MiB",
    "limits.gateway_bytes_burst=8MiB",
];

/// Times that abuse runs into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) header: Duration,
    pub(super) hello: Duration,
    /// For what is written to somebody who has said no hello.
    pub(super) write: Duration,
    /// Heartbeat and its grace together.
    pub(super) silent: Duration,
}

/// A hub under abuse.
pub(super) struct Stage {
    pub(super) bench: Bench,
    pub(super) world: World,
    pub(super) address: SocketAddr,
    pub(super) times: Times,
    pub(super) gateway: GatewayId,
    /// So long honest clients are watched in a case at least.
    pub(super) watched: Duration,
    pub(super) echo_max: Duration,
    pub(super) strangers_per_address: usize,
    last_address: AtomicU32,
}

impl Stage {
    /// Starts the hub.
    pub(super) async fn open(args: &BenchArgs) -> anyhow::Result<Self> {
        let mut settings: Vec<String> = LIMITS.iter().map(|setting| (*setting).to_owned()).collect();
        let times = if args.quick {
            // Long enough for a thousand handshakes on two cores that do other work.
            let short = [
                "listen.header_timeout=3s",
                "session.hello_timeout=3s",
                "auth.unknown_key_wait=200ms",
                "session.heartbeat=2s",
                "session.pong_timeout=1500ms",
                "session.write_timeout=3s",
            ];
            settings.extend(short.map(str::to_owned));
            let short = Duration::from_secs(3);
            Times { header: short, hello: short, write: short, silent: Duration::from_millis(3500) }
        } else {
            let long = Duration::from_secs(10);
            Times { header: long, hello: long, write: Duration::from_secs(8), silent: Duration::from_secs(35) }
        };
        let bench = Bench::start_with(args, Wants { set: settings, ..Wants::default() }).await?;
        anyhow::ensure!(bench.pid().is_some(), "abuse needs a hub of its own: leave --hub away");
        let world = World::new(&bench).await?;
        let gateway = world.gateways(&bench, 1).await?[0];
        let address = bench.http().trim_start_matches("http://").parse().context("the hub's address")?;
        let (watched, echo_max) = if args.quick { (Duration::ZERO, ECHO_P99_QUICK_MAX) } else { (Duration::from_secs(1), ECHO_P99_MAX) };
        Ok(Self { bench, world, address, times, gateway, watched, echo_max, strangers_per_address: 64, last_address: AtomicU32::new(0) })
    }

    /// An address that nothing came from yet.
    pub(super) fn fresh_address(&self) -> Ipv4Addr {
        let number = self.last_address.fetch_add(1, Ordering::Relaxed) + 1;
        let [_, _, high, low] = number.to_be_bytes();
        Ipv4Addr::new(127, 66, high, low)
    }

    /// A token for somebody of the gym.
    pub(super) fn token(&self, role: Role, subject: Uuid) -> String {
        self.world.token(&self.bench, role, subject)
    }

    fn pid(&self) -> anyhow::Result<u32> {
        self.bench.pid().context("the hub is gone")
    }

    /// Begins to watch the hub's memory.
    pub(super) fn watch_memory(&self) -> anyhow::Result<MemoryWatch> {
        let (pid, port) = (self.pid()?, self.address.port());
        let before_kib = rss_kib(pid)?;
        let (end, mut ended) = oneshot::channel();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let (mut peak_kib, mut kernel_kib) = (before_kib, 0);
            loop {
                let over = tokio::time::timeout(LOOK, &mut ended).await.is_ok();
                peak_kib = peak_kib.max(rss_kib(pid)?);
                kernel_kib = kernel_kib.max(largest_send_queue_kib(port)?);
                if over {
                    return Ok(Growth { kib: peak_kib - before_kib, kernel_kib });
                }
            }
        });
        Ok(MemoryWatch { end, task })
    }

    /// A number of the hub's metrics; 0 where it was not counted yet.
    async fn metric(&self, name: &str) -> anyhow::Result<u64> {
        let url = format!("{}/metrics", self.bench.http());
        let metrics = self.bench.client().get(&url).send().await?.text().await?;
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.map_or(Ok(0.0), |value| value.trim().parse::<f64>())? as u64)
    }

    /// Tasks of the hub: one for each connection, and some that always run.
    pub(super) async fn tasks(&self) -> anyhow::Result<u64> {
        self.metric("spotter_tasks").await
    }

    /// Sessions that were closed because they did not read.
    pub(super) async fn closed_slow(&self) -> anyhow::Result<u64> {
        Ok(self.metric("spotter_closes_total{reason=\"slow\"}").await?
            + self.metric("spotter_closes_total{reason=\"write_timeout\"}").await?)
    }

    /// Connections that are there beyond those of before, once what was closed had time to go.
    pub(super) async fn left(&self, before: u64) -> anyhow::Result<u64> {
        let began = Instant::now();
        loop {
            let left = self.tasks().await?.saturating_sub(before);
            if left == 0 || began.elapsed() > SETTLE {
                return Ok(left);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Panics in the hub's log.
    pub(super) fn panics(&mut self) -> usize {
        self.bench.child().map_or(0, |child| child.log().matches("panicked at").count())
    }

    /// Ends the hub.
    pub(super) async fn close(&mut self) -> anyhow::Result<()> {
        self.bench.child()?.kill().await
    }
}

/// How much more the process held at its peak than before.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Growth {
    /// Resident memory.
    pub(super) kib: u64,
    /// The largest send queue of one of its sockets.
    pub(super) kernel_kib: u64,
}

/// Samples memory until told to end.
pub(super) struct MemoryWatch {
    end: oneshot::Sender<()>,
    task: JoinSet<anyhow::Result<Growth>>,
}

impl MemoryWatch {
    /// What was seen.
    pub(super) async fn end(mut self) -> anyhow::Result<Growth> {
        // Where the watcher failed, its result says why.
        self.end.send(()).ok();
        self.task.join_next().await.context("memory was not watched")??
    }
}

/// `tx_queue` of the hub's sockets in `/proc/net/tcp`: bytes that the kernel holds for a peer.
fn largest_send_queue_kib(port: u16) -> anyhow::Result<u64> {
    let table = std::fs::read_to_string("/proc/net/tcp").context("the kernel's table of sockets")?;
    let local = format!(":{port:04X}");
    let queue = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (own, _peer, state, queues) = (words.next()?, words.next()?, words.next()?, words.next()?);
        // 0A is the listener.
        (own.ends_with(&local) && state != "0A").then(|| u64::from_str_radix(queues.split(':').next()?, 16).ok())?
    };
    Ok(table.lines().filter_map(queue).max().unwrap_or(0) / 1024)
}
