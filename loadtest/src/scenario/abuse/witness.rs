//! Honest clients: a gateway that publishes, an operator who watches and asks for echoes, and one who comes in the middle of it all.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use protocol::frame::{MachineKind, Ping, Role, Sample};
use protocol::{Field, MachineId, Reading, RoomName, ServerFrame};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::stage::Stage;
use crate::bench::{Latency, NewMachine, Publisher, SentTimes};
use crate::peer::{Options, Peer};

/// A reading and an echo each: 25 a second, half of what a session may send.
const EVERY: Duration = Duration::from_millis(40);
/// Readings under way that are remembered.
const RING: usize = 1024;
/// The one who comes in the middle waits so long first.
const INTO: Duration = Duration::from_millis(150);

/// What the honest clients noticed.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// From a ping to its pong.
    pub(super) echo: Latency,
    /// From a reading's leaving to its arriving at the viewer.
    pub(super) live: Latency,
}

/// Both, running.
pub(super) struct Witness {
    now: Arc<Mutex<(Seen, Seen)>>,
    over: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
}

fn lock(seen: &Mutex<(Seen, Seen)>) -> MutexGuard<'_, (Seen, Seen)> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Witness {
    /// Connects both.
    pub(super) async fn start(stage: &Stage) -> anyhow::Result<Self> {
        let machine = MachineId(Uuid::now_v7());
        stage.world.machines(&stage.bench, &[NewMachine { machine, kind: MachineKind::Bike, gateway: stage.gateway }]).await?;
        let token = stage.token(Role::Gateway, stage.gateway.0);
        let publisher = Publisher::connect(&stage.bench.ws_url(), &token, &[machine], 1).await?;
        let options = Options::new(stage.token(Role::Operator, Uuid::now_v7())).device("witness");
        let mut viewer = Peer::connect(&stage.bench.ws_url(), options).await?;
        viewer.join(RoomName::Machine(machine)).await?;
        let (now, over, mut tasks) = (Arc::default(), CancellationToken::new(), JoinSet::new());
        let (start, sent) = (Instant::now(), Arc::new(SentTimes::new(Instant::now(), RING)));
        tasks.spawn(publish(publisher, sent.clone(), over.clone()));
        tasks.spawn(watch(viewer, sent, start, Arc::clone(&now), over.clone()));
        Ok(Self { now, over, tasks })
    }

    /// What was noticed since the last time.
    pub(super) fn take(&self) -> Seen {
        let mut both = lock(&self.now);
        let seen = std::mem::take(&mut both.0);
        both.1.echo.merge(&seen.echo);
        both.1.live.merge(&seen.live);
        seen
    }

    /// A client that comes in the middle of an attack: how long from dialling to its first echo.
    pub(super) async fn fresh(&self, stage: &Stage) -> anyhow::Result<Duration> {
        tokio::time::sleep(INTO).await;
        let began = Instant::now();
        let options = Options::new(stage.token(Role::Operator, Uuid::now_v7()));
        let mut peer = Peer::connect(&stage.bench.ws_url(), options).await.context("an honest client could not come in")?;
        peer.send(Ping { n: 1 }).await?;
        peer.expect("pong", |frame| matches!(frame, ServerFrame::Pong(_)).then_some(())).await?;
        let took = began.elapsed();
        peer.close().await?;
        Ok(took)
    }

    /// Ends both; everything that was noticed.
    pub(super) async fn end(mut self) -> anyhow::Result<Seen> {
        drop(self.take());
        self.over.cancel();
        while let Some(done) = self.tasks.join_next().await {
            done?.context("an honest client was harmed")?;
        }
        Ok(lock(&self.now).1.clone())
    }
}

async fn publish(mut publisher: Publisher, sent: Arc<SentTimes>, over: CancellationToken) -> anyhow::Result<()> {
    let (mut timer, writer, mut seq) = (interval(EVERY), publisher.writer(), 0);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = over.cancelled() => return Ok(()),
            news = publisher.news.recv() => if news.is_none() { return Err(publisher.ended().await) },
            _ = timer.tick() => {
                seq += 1;
                let mut reading = Reading::new();
                reading.set(Field::Power, 100 + (seq % 100) as i32);
                sent.leaves(seq);
                writer.send(&Sample { slot: 0, seq, dev_ms: publisher.dev_ms(), reading }.into()).await?;
            }
        }
    }
}

async fn watch(
    mut viewer: Peer,
    sent: Arc<SentTimes>,
    start: Instant,
    now: Arc<Mutex<(Seen, Seen)>>,
    over: CancellationToken,
) -> anyhow::Result<()> {
    // Wraps after an hour, and so does the difference.
    let (mut timer, micros) = (interval(EVERY), || start.elapsed().as_micros() as u32);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = over.cancelled() => break,
            frame = viewer.next() => match frame? {
                ServerFrame::Pong(pong) => lock(&now).0.echo.add(Duration::from_micros(micros().wrapping_sub(pong.n).into())),
                ServerFrame::Live(live) => lock(&now).0.live.add(sent.since(live.seq)),
                _ => (),
            },
            _ = timer.tick() => viewer.send(Ping { n: micros() }).await?,
        }
    }
    viewer.close().await?;
    Ok(())
}
