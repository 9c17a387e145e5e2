//! The hub may have little memory (a control group of its own), and strangers come to take it: a hundred who begin a request of 60 KiB and never end it, and
//! viewers who do not read. What they can take stays far below what is left: the hub is not killed, and who trains goes on. Then the memory does run
//! out, by a neighbour in the same group; the kernel ends the hub at that instant, and it is started again.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use protocol::RoomName;
use protocol::frame::Role;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::peer::{Follower, Options};
use crate::scenario::ledger::cgroup::Capped;
use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::ground::{Ground, Load};
use crate::scenario::ledger::row::{Case, RANDOM_RUNS, Row, Store};

/// What the hub may have; it takes 60 to 120 MiB at this load.
const CAP_BYTES: u64 = 256 << 20;
const STRANGERS: usize = 100;
const STRANGER_BYTES: usize = 60 << 10;
const IDLE_VIEWERS: usize = 40;
const HOLDS: Duration = Duration::from_secs(4);
/// The neighbour comes at any instant of this time.
const RUNS_OUT: Duration = Duration::from_secs(2);
/// The kernel looks for whom to end at once.
const ENDED_WITHIN: Duration = Duration::from_secs(5);
/// What all of them may take together: a request's head and a viewer's session each, and what the load itself takes meanwhile.
const GROWTH_KIB_MAX: u64 = 48 << 10;

pub(in crate::scenario::ledger) const ROW: Row = Row {
    name: "memory",
    about: "256 MiB for the hub (cgroup), strangers who would take them, a neighbour who does",
    stores: &[Store::Postgres],
    runs: RANDOM_RUNS,
    lasts: Duration::from_secs(10),
    alone: false,
    run: |case| Box::pin(run(case)),
};

async fn run(case: Case) -> anyhow::Result<Found> {
    let group = match Capped::make(&format!("spotter-ledger-{}", case.seed), CAP_BYTES) {
        Ok(group) => group,
        Err(why) => return Ok(Found::skipped(why)),
    };
    let mut load = Load::of(&case);
    load.lasts = load.lasts.max(HOLDS * 2 + RUNS_OUT);
    // Of the two it is the hub whom the kernel ends.
    load.before = group.before(1000);
    let mut ground = Ground::open(&case, load).await?;
    ground.begin();
    besieged(&mut ground, &group).await;
    sleep(Duration::from_micros(case.dice().below(RUNS_OUT.as_micros() as u64))).await;
    ground.found.require(ground.is_playing(), || "the memory ran out after the load".to_owned());
    ground.found.set("unstored_at_end", ground.unstored());
    let ended = run_out(&mut ground, &group).await?;
    ground.bench.child()?.run().await?;
    ground.sessions_back(ended).await;
    ground.caught_up(ended).await;
    let found = ground.finish().await;
    group.remove().await;
    found
}

/// Strangers and idle viewers, and what they took.
async fn besieged(ground: &mut Ground, group: &Capped) {
    let (before_kib, mut viewers) = (ground.rss_kib(), Vec::new());
    for _ in 0..IDLE_VIEWERS {
        let token = ground.floor.world.token(&ground.bench, Role::Operator, Uuid::now_v7());
        let options = Options::new(token).room(RoomName::Floor(ground.floor.world.gym));
        viewers.extend(Follower::connect(&ground.bench.ws_url(), options).await.ok());
    }
    let strangers = strangers(ground).await;
    let until = Instant::now() + HOLDS;
    let mut most_kib = 0;
    while Instant::now() < until {
        most_kib = ground.rss_kib().max(most_kib);
        sleep(Duration::from_millis(50)).await;
    }
    let (came, looked, killed) = (strangers.len(), viewers.len(), group.killed());
    let growth_kib = most_kib.saturating_sub(before_kib);
    ground.found.set("strangers", came);
    ground.found.set("rss_kib_most", most_kib);
    ground.found.set("rss_growth_kib", growth_kib);
    ground.found.require(came == STRANGERS, || format!("only {came} of {STRANGERS} strangers came in"));
    ground.found.require(looked == IDLE_VIEWERS, || format!("only {looked} of {IDLE_VIEWERS} viewers came in"));
    ground.found.require(growth_kib <= GROWTH_KIB_MAX, || format!("strangers and viewers took {growth_kib} KiB"));
    ground.found.require(killed == 0, || format!("the kernel ended {killed} processes under the cap"));
}

/// A neighbour takes what is left, and the kernel ends the hub; returns when that was.
async fn run_out(ground: &mut Ground, group: &Capped) -> anyhow::Result<Instant> {
    let words = group.before(0);
    // One block as large as all there is: the kernel ends the hub for it, and then perhaps the neighbour.
    let block = format!("bs={CAP_BYTES}");
    let neighbour = Command::new(&words[0]).args(&words[1..]).args(["dd", "if=/dev/zero", "of=/dev/null", "count=1", &block]).output();
    let said = timeout(ENDED_WITHIN, neighbour).await.context("the neighbour did not end")?.context("the neighbour was not started")?;
    let ended = Instant::now();
    while ground.bench.child()?.ended()?.is_none() {
        let said = || String::from_utf8_lossy(&said.stderr).into_owned();
        ensure!(ended.elapsed() < ENDED_WITHIN, "the memory ran out and the hub was not ended: {}", said());
        sleep(Duration::from_millis(5)).await;
    }
    let killed = group.killed();
    ground.found.require(killed > 0, || "the hub ended, and not by the kernel for want of memory".to_owned());
    Ok(ended)
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
