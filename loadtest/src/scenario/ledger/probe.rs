//! An operator who watches the machines of one gateway: how late their values come, and until when the last of them is fresh.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use protocol::frame::Role;
use protocol::limits::STALE_MS;
use protocol::{RoomName, ServerFrame};
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use super::ground::Ground;
use crate::bench::Latency;
use crate::gateway::SimGateway;
use crate::peer::{Options, Peer};

#[derive(Default)]
struct Heard {
    is_over: bool,
    latency: Latency,
    fresh_until: Option<Instant>,
}

/// A watcher of one gateway's machines. Ends when dropped.
pub(super) struct Probe {
    heard: Arc<Mutex<Heard>>,
    #[expect(dead_code, reason = "dropping it ends the watching")]
    task: JoinSet<()>,
}

impl Probe {
    /// Watches the machines of this gateway from now on.
    pub(super) async fn start(ground: &Ground, gateway: usize) -> anyhow::Result<Self> {
        let mut options = Options::new(ground.floor.world.token(&ground.bench, Role::Operator, Uuid::now_v7())).device("ledger-probe");
        for stand in ground.floor.stands.iter().filter(|stand| stand.gateway == gateway) {
            options = options.room(RoomName::Machine(stand.machine));
        }
        let peer = Peer::connect(&ground.bench.ws_url(), options).await.context("a probe could not connect")?;
        let (heard, mut task) = (Arc::new(Mutex::new(Heard::default())), JoinSet::new());
        task.spawn(listen(peer, ground.floor.gateways[gateway].clone(), heard.clone()));
        Ok(Self { heard, task })
    }

    /// How late values came since the last call.
    pub(super) fn take(&self) -> Latency {
        std::mem::take(&mut self.heard.lock().expect("no holder of this lock panics").latency)
    }

    /// Whether the hub hung up on it.
    pub(super) fn is_over(&self) -> bool {
        self.heard.lock().expect("no holder of this lock panics").is_over
    }

    /// Until when a page shows the newest value as fresh.
    pub(super) fn fresh_until(&self) -> Option<Instant> {
        self.heard.lock().expect("no holder of this lock panics").fresh_until
    }
}

async fn listen(mut peer: Peer, gateway: Arc<SimGateway>, heard: Arc<Mutex<Heard>>) {
    while let Ok(frame) = peer.next_until(Instant::now() + Duration::from_secs(1)).await {
        let Some(ServerFrame::Live(live)) = frame else { continue };
        let Some(RoomName::Machine(machine)) = peer.rooms().by_handle(live.handle).map(|position| position.room) else { continue };
        let mut heard = heard.lock().expect("no holder of this lock panics");
        if let Some(numbered) = gateway.numbered_at(machine, live.seq) {
            heard.latency.add(numbered.elapsed());
        }
        let left_ms = (STALE_MS - i64::from(live.age_ms)).max(0) as u64;
        heard.fresh_until = heard.fresh_until.max(Some(Instant::now() + Duration::from_millis(left_ms)));
    }
    heard.lock().expect("no holder of this lock panics").is_over = true;
}
