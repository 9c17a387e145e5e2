//! Many viewers in one process: each a cheap connection that watches rooms and counts what comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use protocol::RoomName;
use protocol::frame::JoinRoom;
use protocol::wire::Encoding;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Latency;
use crate::peer::{Light, LiveHead, Options, kind_of};

/// Connections being opened at once.
const DIALS: usize = 64;
const JOINED: u8 = 65;
const ERROR: u8 = 63;
const FLOOR: u8 = 70;
const LIVE: u8 = 69;

/// When each reading of one source was sent: a ring by seq, nanoseconds since `start`.
pub struct SentTimes {
    start: Instant,
    ring: Box<[AtomicU64]>,
}

impl SentTimes {
    /// A ring for this many readings under way.
    #[must_use]
    pub fn new(start: Instant, size: usize) -> Self {
        Self { start, ring: (0..size.next_power_of_two()).map(|_| AtomicU64::new(0)).collect() }
    }

    fn cell(&self, seq: u32) -> &AtomicU64 {
        &self.ring[seq as usize & (self.ring.len() - 1)]
    }

    /// Notes that `seq` leaves now.
    pub fn leaves(&self, seq: u32) {
        self.cell(seq).store(self.start.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }

    /// How long ago `seq` left.
    #[must_use]
    pub fn since(&self, seq: u32) -> Duration {
        self.start.elapsed().saturating_sub(Duration::from_nanos(self.cell(seq).load(Ordering::Relaxed)))
    }
}

/// One viewer to be.
pub struct Viewer {
    /// Access token.
    pub token: String,
    /// The room it watches.
    pub room: RoomName,
    /// When the readings of that room's source leave, for latencies.
    pub sent: Option<Arc<SentTimes>>,
    /// Whether it decodes floor ticks to see how old the values are.
    pub looks: bool,
}

/// What a crowd saw.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Live values.
    pub lives: u64,
    /// Floor ticks.
    pub ticks: u64,
    /// Machines in the ticks that were looked at.
    pub rows_looked_at: u64,
    /// Bytes of live values and ticks, without WebSocket headers.
    pub bytes: u64,
    /// From leaving to arriving, of live values.
    pub latency: Latency,
    /// Age of floor values on arrival, of the viewers that look.
    pub age: Latency,
    /// Values that a later one replaced.
    pub replaced: u64,
    /// Errors and refusals.
    pub errors: u64,
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.lives += other.lives;
        self.ticks += other.ticks;
        self.rows_looked_at += other.rows_looked_at;
        self.bytes += other.bytes;
        self.latency.merge(&other.latency);
        self.age.merge(&other.age);
        self.replaced += other.replaced;
        self.errors += other.errors;
    }
}

/// A crowd that watches.
pub struct Crowd {
    tasks: JoinSet<anyhow::Result<Seen>>,
    stop: watch::Sender<Stage>,
    size: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Connected, not counting yet.
    Waiting,
    Counting,
    Over,
}

impl Crowd {
    /// Connects everybody and waits until each has joined its room.
    ///
    /// # Errors
    /// Where one could not connect.
    pub async fn gather(url: &str, viewers: Vec<Viewer>) -> anyhow::Result<Self> {
        let stop = watch::Sender::new(Stage::Waiting);
        let mut tasks = JoinSet::new();
        let size = viewers.len();
        let mut waiting = viewers.into_iter();
        let mut dials: JoinSet<anyhow::Result<(Light, Viewer)>> = JoinSet::new();
        loop {
            while dials.len() < DIALS
                && let Some(viewer) = waiting.next()
            {
                dials.spawn(enter(url.to_owned(), viewer));
            }
            let Some(entered) = dials.join_next().await else { break };
            let (light, viewer) = entered??;
            tasks.spawn(watch_room(light, viewer, stop.subscribe()));
        }
        Ok(Self { tasks, stop, size })
    }

    /// How many watch.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// What is heard counts from now on.
    pub fn begin(&self) {
        self.stop.send_replace(Stage::Counting);
    }

    /// Ends the watching and adds up.
    ///
    /// # Errors
    /// Where the hub hung up on a viewer; with its reason.
    pub async fn end(mut self) -> anyhow::Result<Seen> {
        self.stop.send_replace(Stage::Over);
        let mut all = Seen::default();
        while let Some(done) = self.tasks.join_next().await {
            all.add(&done??);
        }
        Ok(all)
    }
}

/// Connects one viewer and waits until it is in its room.
///
/// # Errors
/// Where it could not connect or may not watch.
pub(crate) async fn enter(url: String, viewer: Viewer) -> anyhow::Result<(Light, Viewer)> {
    let mut options = Options::new(viewer.token.clone());
    options.rooms = vec![JoinRoom { room: viewer.room, epoch: None, offset: 0, every_ms: 0, fields: 0 }];
    let (mut joined, mut refused) = (false, None);
    let mut note = |message: &[u8]| match kind_of(message) {
        Some(JOINED) => joined = true,
        Some(ERROR) => refused = protocol::ServerFrame::decode(Encoding::MessagePack, message).ok(),
        _ => (),
    };
    let (mut light, _welcome) = Light::connect(&url, &options, &mut note).await.context("a viewer could not connect")?;
    let wait = async {
        while !joined && refused.is_none() {
            light
                .read(|message| match kind_of(message) {
                    Some(JOINED) => joined = true,
                    Some(ERROR) => refused = protocol::ServerFrame::decode(Encoding::MessagePack, message).ok(),
                    _ => (),
                })
                .await?;
        }
        Ok::<(), std::io::Error>(())
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.context("a viewer did not get into its room in time")??;
    anyhow::ensure!(refused.is_none(), "a viewer may not watch {}: {refused:?}", viewer.room);
    Ok((light, viewer))
}

async fn watch_room(mut light: Light, viewer: Viewer, mut stage: watch::Receiver<Stage>) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    let mut last_seq = None;
    loop {
        let now = *stage.borrow_and_update();
        if now == Stage::Over {
            return Ok(seen);
        }
        let counting = now == Stage::Counting;
        tokio::select! {
            changed = stage.changed() => if changed.is_err() { return Ok(seen) },
            read = light.read(|message| hear(message, &viewer, counting, &mut last_seq, &mut seen)) => {
                read.with_context(|| format!("the hub hung up on a viewer of {}", viewer.room))?;
            }
        }
    }
}

fn hear(message: &[u8], viewer: &Viewer, counting: bool, last_seq: &mut Option<u32>, seen: &mut Seen) {
    match kind_of(message) {
        Some(LIVE) => {
            let Some(head) = LiveHead::read(message) else { return };
            let before = last_seq.replace(head.seq);
            if counting {
                seen.lives += 1;
                seen.bytes += message.len() as u64;
                seen.replaced += before.map_or(0, |before| u64::from(head.seq.saturating_sub(before).saturating_sub(1)));
                if let Some(sent) = &viewer.sent {
                    seen.latency.add(sent.since(head.seq));
                }
            }
        }
        Some(FLOOR) if counting => {
            seen.ticks += 1;
            seen.bytes += message.len() as u64;
            if viewer.looks
                && let Ok(protocol::ServerFrame::FloorTick(tick)) = protocol::ServerFrame::decode(Encoding::MessagePack, message)
            {
                seen.rows_looked_at += tick.rows.len() as u64;
                for row in tick.rows.iter().filter(|row| !row.reading.is_empty()) {
                    seen.age.add(Duration::from_millis(row.age_ms.into()));
                }
            }
        }
        Some(ERROR) => seen.errors += 1,
        _ => (),
    }
}
