//! A steady pulse of live values and people who watch it: what does something else do to them?
//!
//! In: machines of one gateway, how often they speak, how many watch. Out: the watchers' p99 of each second, and what share of the due values they
//! saw in it. A second at a time, because a busy host spoils some of them: the median of the seconds counts, and a second in which everything
//! stands still is not left out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use protocol::frame::{Role, Sample};
use protocol::wire::Encoding;
use protocol::{ClientFrame, MachineId, Reading, RoomName};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::{Bench, Latency, Publisher, SentTimes, World};
use crate::peer::{Light, LiveHead, Options, masked_frame};

const SECOND: Duration = Duration::from_secs(1);
/// Longer than any scenario.
const FOREVER: Duration = Duration::from_secs(24 * 3_600);
/// Parts of a period among which many machines are spread.
const STEPS: usize = 20;
/// Readings under way that a ring remembers.
const RING: usize = 256;

/// What the watchers saw in one second.
#[derive(Debug, Clone, Copy)]
pub struct Second {
    /// From leaving to arriving.
    pub p99_us: u64,
    /// Of the values that were due.
    pub share: f64,
}

/// The middle p99 of some seconds, microseconds; 0 of none.
#[must_use]
pub fn median_p99_us(seconds: &[Second]) -> u64 {
    let mut sorted: Vec<u64> = seconds.iter().map(|second| second.p99_us).collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

/// Machines that speak and people who watch, until it is closed.
pub struct Pulse {
    tasks: JoinSet<anyhow::Result<()>>,
    due_per_s: f64,
    seen: Arc<Mutex<Latency>>,
}

impl Pulse {
    /// Seats `watchers`, spread over the machines that `publisher` carries, and lets each machine say `reading` `hz` times a second.
    ///
    /// # Errors
    /// Where a watcher could not connect.
    pub async fn start(
        bench: &Bench,
        world: &World,
        publisher: Publisher,
        machines: &[MachineId],
        (hz, reading): (f64, Reading),
        watchers: usize,
    ) -> anyhow::Result<Self> {
        let start = Instant::now();
        let sent: Vec<Arc<SentTimes>> = machines.iter().map(|_| Arc::new(SentTimes::new(start, RING))).collect();
        let mut pulse = Self { tasks: JoinSet::new(), due_per_s: watchers as f64 * hz, seen: Arc::default() };
        for number in 0..watchers {
            let options = Options::new(world.token(bench, Role::Operator, Uuid::now_v7()));
            let options = options.room(RoomName::Machine(machines[number % machines.len()]));
            let (light, _welcome) = Light::connect(&bench.ws_url(), &options, |_| ()).await.context("a watcher could not connect")?;
            pulse.tasks.spawn(watch(light, sent[number % machines.len()].clone(), pulse.seen.clone()));
        }
        pulse.tasks.spawn(beat(publisher, sent, hz, reading, Instant::now() + FOREVER));
        Ok(pulse)
    }

    /// What the watchers see in each of the next so many seconds.
    pub async fn seconds(&self, count: u32) -> Vec<Second> {
        let take = || std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        take();
        let (mut seconds, mut began) = (Vec::new(), Instant::now());
        for _ in 0..count {
            tokio::time::sleep(SECOND).await;
            let (seen, lasted) = (take(), began.elapsed());
            began += lasted;
            let share = seen.count() as f64 / (self.due_per_s * lasted.as_secs_f64());
            seconds.push(Second { p99_us: seen.quantile_us(0.99), share });
        }
        seconds
    }

    /// Ends it.
    ///
    /// # Errors
    /// Where the hub hung up on somebody in the meantime.
    pub async fn close(mut self) -> anyhow::Result<()> {
        let ended = self.tasks.try_join_next();
        self.tasks.shutdown().await;
        ended.map_or(Ok(()), |ended| ended?)
    }
}

/// One who reads, and says how late each value is.
async fn watch(mut light: Light, sent: Arc<SentTimes>, seen: Arc<Mutex<Latency>>) -> anyhow::Result<()> {
    loop {
        let mut late = Vec::new();
        let read = light.read(|message| late.extend(LiveHead::read(message).map(|head| sent.since(head.seq)))).await;
        read.context("the hub hung up on a watcher")?;
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        late.into_iter().for_each(|late| seen.add(late));
    }
}

/// Sends a reading of each machine `hz` times a second until then, the machines spread over the period.
///
/// # Errors
/// Where the hub takes none any more.
pub async fn beat(mut publisher: Publisher, sent: Vec<Arc<SentTimes>>, hz: f64, reading: Reading, until: Instant) -> anyhow::Result<()> {
    let writer = publisher.writer();
    let steps = if sent.len() >= STEPS { STEPS } else { 1 };
    let mut timer = interval(Duration::from_secs_f64(1.0 / hz / steps as f64));
    timer.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut seq, mut framed) = (0_u32, Vec::new());
    while Instant::now() < until {
        seq += 1;
        for step in 0..steps {
            timer.tick().await;
            framed.clear();
            for slot in (step..sent.len()).step_by(steps) {
                let sample = Sample { slot: slot as u16, seq, dev_ms: publisher.dev_ms(), reading: reading.clone() };
                masked_frame(2, &ClientFrame::from(sample).to_bytes(Encoding::MessagePack), &mut framed);
                sent[slot].leaves(seq);
            }
            writer.send_framed(&framed).await.context("the hub does not take readings")?;
            while publisher.news.try_recv().is_ok() {}
        }
    }
    Ok(())
}
