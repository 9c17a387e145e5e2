//! Phones that ask for one snapshot after another and read none, beside everybody else. Each is cut with its reason, and nobody else loses anything
//! (how late values come then is what `loadtest slow` measures).

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context as _;
use protocol::frame::{Join, JoinRoom, Role};
use protocol::wire::Encoding;
use protocol::{ClientFrame, CloseReason, RoomName};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::bench::{Scrape, queues_of};
use crate::peer::{Light, Options};
use crate::scenario::ledger::found::Found;
use crate::scenario::ledger::ground::{Ground, Load};
use crate::scenario::ledger::row::{Case, RANDOM_RUNS, Row, Store};

const READERS: usize = 4;
/// What the kernel takes for one.
const RECEIVE_BUFFER_BYTES: u32 = 4 * 1024;
/// Within the hub's limit of frames a second.
const ASK_EVERY: Duration = Duration::from_millis(25);
const CUT_WITHIN: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(30);
/// `SO_SNDBUF` as Linux doubles it, and the outbox: together at most 1 MiB.
const OUTBOX_MAX: u64 = 1024 * 1024 - 2 * 64 * 1024;

pub(in crate::scenario::ledger) const ROW: Row = Row {
    name: "slow-reader",
    about: "four readers that ask and never read, beside everybody else",
    stores: &[Store::Postgres],
    runs: RANDOM_RUNS,
    lasts: Duration::from_secs(12),
    alone: false,
    run: |case| Box::pin(run(case)),
};

async fn run(case: Case) -> anyhow::Result<Found> {
    let mut ground = Ground::open(&case, Load::of(&case)).await?;
    let floor = RoomName::Floor(ground.floor.world.gym);
    ground.begin();
    let before = cut_so_far(&Scrape::read(&ground.bench).await?);
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut options = Options::new(ground.floor.world.token(&ground.bench, Role::Operator, Uuid::now_v7())).room(floor);
        options.receive_buffer_bytes = Some(RECEIVE_BUFFER_BYTES);
        readers.push(Light::connect(&ground.bench.ws_url(), &options, |_| ()).await?.0);
    }
    let port = ground.bench.http().rsplit_once(':').and_then(|(_, port)| port.parse().ok()).context("the hub's address has no port")?;
    // Bytes with the kernel and when they last grew, by port of the reader.
    let mut grown: HashMap<u16, (u64, Instant)> = HashMap::new();
    for reader in &readers {
        grown.insert(reader.port()?, (0, Instant::now()));
    }
    let (began, mut most, mut cut) = (Instant::now(), 0, Duration::ZERO);
    for req in 1.. {
        if grown.is_empty() || began.elapsed() > PATIENCE {
            break;
        }
        let join = Join { req, join: JoinRoom { room: floor, epoch: None, offset: 0, every_ms: 0, fields: 0 } };
        let message = ClientFrame::from(join).to_bytes(Encoding::MessagePack);
        for reader in &mut readers {
            // One that is cut hears it here first, and asks no more.
            drop(reader.send(&message).await);
        }
        let scrape = Scrape::read(&ground.bench).await?;
        most = most.max(scrape.sum("spotter_queued_bytes") as u64);
        let queues = queues_of(port)?;
        for (port, (bytes, at)) in &mut grown {
            let sent = queues.get(port).map_or(0, |queue| queue.sent_bytes);
            if sent > *bytes {
                (*bytes, *at) = (sent, Instant::now());
            }
        }
        for (_, (_, at)) in grown.extract_if(|port, _| !queues.get(port).is_some_and(|queue| queue.established)) {
            cut = cut.max(at.elapsed());
        }
        sleep(ASK_EVERY).await;
    }
    // Counted before the socket goes, but the last may have gone after the last look.
    let closes = cut_so_far(&Scrape::read(&ground.bench).await?) - before;
    ground.found.set("cut_ms", cut.as_millis() as u64);
    ground.found.set("outbox_bytes_mean", most / READERS as u64);
    ground.found.require(grown.is_empty() && cut <= CUT_WITHIN, || {
        format!("{} readers that do not read were not cut, the others {cut:?} after the kernel took no more", grown.len())
    });
    ground.found.require(closes >= READERS as f64, || format!("{closes} of {READERS} were cut for reading too slowly"));
    ground.found.require(most / READERS as u64 <= OUTBOX_MAX, || format!("{most} bytes waited for {READERS} readers that do not read"));
    drop(readers);
    ground.finish().await
}

/// Closes for reading too slowly.
fn cut_so_far(scrape: &Scrape) -> f64 {
    let of = |reason: CloseReason| scrape.of("spotter_closes_total", &format!("reason=\"{}\"", reason.name()));
    of(CloseReason::Slow) + of(CloseReason::WriteTimeout)
}
