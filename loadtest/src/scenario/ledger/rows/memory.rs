//! The hub may have little memory (a cgroup of its own), and strangers come to take it: a hundred who begin a request of 60 KiB and never end it, and
//! viewers who do not read. What they can take stays far below what is left: the hub is not killed, and who trains goes on. Nothing is exhausted
//! here: that many cannot take more is what the row shows.

use std::path::PathBuf;
use std::time::Duration;

use protocol::RoomName;
use protocol::frame::Role;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::peer::{Follower, Options};
use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::ground::{Ground, Load};
use crate::scenario::ledger::row::{Case, RANDOM_RUNS, Row, Store};

/// What the hub may have; it takes 60 to 120 MiB at this load.
const CAP_BYTES: u64 = 256 << 20;
const STRANGERS: usize = 100;
const STRANGER_BYTES: usize = 60 << 10;
const IDLE_VIEWERS: usize = 40;
const HOLDS: Duration = Duration::from_secs(4);
/// What all of them may take together: a request's head and a viewer's session each, and what the load itself takes meanwhile.
const GROWTH_KIB_MAX: u64 = 48 << 10;

pub(in crate::scenario::ledger) const ROW: Row = Row {
    name: "memory",
    about: "256 MiB for the hub (cgroup v2), strangers who would take them",
    stores: &[Store::Postgres],
    runs: RANDOM_RUNS,
    lasts: Duration::from_secs(10),
    alone: false,
    run: |case| Box::pin(run(case)),
};

/// A cgroup that is removed with the run.
struct Capped(PathBuf);

impl Capped {
    /// Makes it below the root of cgroup v2; else the reason why there is none here.
    fn make(seed: u64) -> Result<Self, String> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").map_err(|error| error.to_string())?;
        let root = mounts.lines().filter_map(|line| line.split_once(' ')).find_map(|(_, rest)| {
            let mut words = rest.split(' ');
            let (path, kind) = (words.next()?, words.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(path))
        });
        let root = root.ok_or("no cgroup v2 is mounted here")?;
        let controllers = std::fs::read_to_string(root.join("cgroup.subtree_control")).unwrap_or_default();
        if !controllers.split_whitespace().any(|name| name == "memory") {
            return Err("cgroup v2 does not hand out the memory controller here".to_owned());
        }
        let group = Self(root.join(format!("spotter-ledger-{}-{seed}", std::process::id())));
        let unwritable = |error: std::io::Error| format!("no cgroup can be made here: {error}");
        std::fs::create_dir(&group.0).map_err(unwritable)?;
        std::fs::write(group.0.join("memory.max"), CAP_BYTES.to_string()).map_err(unwritable)?;
        // Swap would hide what the cap shows; not every kernel counts it.
        let _uncounted = std::fs::write(group.0.join("memory.swap.max"), "0");
        Ok(group)
    }

    /// Words that put what follows into it.
    fn before(&self) -> Vec<String> {
        let enter = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", self.0.display());
        ["sh", "-c", &enter, "sh"].map(str::to_owned).to_vec()
    }

    fn killed(&self) -> u64 {
        let events = std::fs::read_to_string(self.0.join("memory.events")).unwrap_or_default();
        events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
    }
}

impl Drop for Capped {
    fn drop(&mut self) {
        // Goes once the hub in it is gone; a left-over is empty and harmless.
        let _still_used = std::fs::remove_dir(&self.0);
    }
}

async fn run(case: Case) -> anyhow::Result<Found> {
    let group = match Capped::make(case.seed) {
        Ok(group) => group,
        Err(why) => return Ok(Found::skipped(why)),
    };
    let mut load = Load::of(&case);
    load.lasts = load.lasts.max(HOLDS * 2);
    load.before = group.before();
    let mut ground = Ground::open(&case, load).await?;
    ground.begin();
    let (before_kib, mut viewers) = (ground.rss_kib(), Vec::new());
    for _ in 0..IDLE_VIEWERS {
        let token = ground.floor.world.token(&ground.bench, Role::Operator, Uuid::now_v7());
        let options = Options::new(token).room(RoomName::Floor(ground.floor.world.gym));
        viewers.extend(Follower::connect(&ground.bench.ws_url(), options).await.ok());
    }
    let strangers = strangers(&ground).await;
    let until = Instant::now() + HOLDS;
    let mut most_kib = 0;
    while Instant::now() < until {
        most_kib = ground.rss_kib().max(most_kib);
        sleep(Duration::from_millis(50)).await;
    }
    let (came, looked) = (strangers.len(), viewers.len());
    drop((strangers, viewers));
    ground.caught_up(Instant::now()).await;
    let killed = group.killed();
    ground.found.set("strangers", came);
    ground.found.set("rss_kib_most", most_kib);
    let growth_kib = most_kib.saturating_sub(before_kib);
    ground.found.set("rss_growth_kib", growth_kib);
    ground.found.require(came == STRANGERS, || format!("only {came} of {STRANGERS} strangers came in"));
    ground.found.require(looked == IDLE_VIEWERS, || format!("only {looked} of {IDLE_VIEWERS} viewers came in"));
    ground.found.require(growth_kib <= GROWTH_KIB_MAX, || format!("strangers and viewers took {growth_kib} KiB"));
    ground.found.require(killed == 0, || format!("the kernel ended {killed} processes under the cap"));
    ground.finish().await
}

/// Sockets that each sent most of a request that never ends.
async fn strangers(ground: &Ground) -> Vec<TcpStream> {
    let address = ground.bench.http().trim_start_matches("http://").to_owned();
    let (mut came, half) = (Vec::new(), vec![b'a'; STRANGER_BYTES]);
    for _ in 0..STRANGERS {
        let Ok(Ok(mut socket)) = timeout(Duration::from_millis(200), TcpStream::connect(&address)).await else { continue };
        // Cut where the head is too long: then it holds no memory either.
        let _sent = timeout(Duration::from_millis(200), async {
            socket.write_all(b"GET /v1/ws HTTP/1.1\r\nx: ").await?;
            socket.write_all(&half).await
        })
        .await;
        came.push(socket);
    }
    came
}
