//! The loop around a simulated gateway: connects, sends what the core says, tells it what it hears and what time it is, comes back.
//!
//! Owns the socket. The core stands behind a mutex that is held for no await, so that tests and scenarios look into it and
//! press keys at its machines.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::{MachineId, ServerFrame};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Gateway, MachineSpec, Mischief};
use crate::peer::{Options, Peer, PeerError};

/// First wait before coming back; doubles to the most.
const BACKOFF_LEAST: Duration = Duration::from_millis(200);
const BACKOFF_MOST: Duration = Duration::from_secs(2);
/// The core is asked at least this often, so that changes made through [`SimGateway::with`] go out also without a wake.
const IDLE_TICK_MS: i64 = 250;

/// UTC by the host, milliseconds.
#[must_use]
pub(crate) fn utc_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

struct Shared {
    core: Mutex<Gateway>,
    started: Instant,
    speed: f64,
    wake: Notify,
    /// Counts every change of the core, for those who wait for one.
    changed: watch::Sender<u64>,
    /// Whether the link is up; down, the socket is cut and not opened again.
    online: watch::Sender<bool>,
    last_error: Mutex<Option<String>>,
    /// When the last readings of each slot were numbered, for latencies and ages.
    numbered: Mutex<HashMap<u16, VecDeque<(u32, Instant)>>>,
}

/// Readings of one slot whose time is remembered.
const NUMBERED_MAX: usize = 4_096;

/// A running simulated gateway. Ends when dropped.
pub struct SimGateway {
    shared: Arc<Shared>,
    #[expect(dead_code, reason = "dropping it ends the loop")]
    tasks: JoinSet<()>,
}

impl SimGateway {
    /// Starts a gateway that connects to `url` and stays connected until dropped or taken offline.
    #[must_use]
    pub fn start(url: &str, options: Options, specs: Vec<MachineSpec>, speed: f64, mischief: Mischief, seed: u64) -> Self {
        Self::start_core(url, options, Gateway::new(specs, speed, 0, utc_ms(), mischief, seed), speed)
    }

    /// Starts a gateway that exists already; its time goes on from 0.
    #[must_use]
    pub fn start_core(url: &str, options: Options, core: Gateway, speed: f64) -> Self {
        let shared = Arc::new(Shared {
            core: Mutex::new(core),
            started: Instant::now(),
            speed,
            wake: Notify::new(),
            changed: watch::Sender::new(0),
            online: watch::Sender::new(true),
            last_error: Mutex::new(None),
            numbered: Mutex::new(HashMap::new()),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(run(url.to_owned(), options, shared.clone()));
        Self { shared, tasks }
    }

    /// Milliseconds since the start: the time that the core knows.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.shared.now_ms()
    }

    /// How many times faster than the world this one runs.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.shared.speed
    }

    /// Looks at the core, or does something at its machines; what they say goes out at once. The time is that of [`SimGateway::now_ms`].
    pub fn with<T>(&self, act: impl FnOnce(&mut Gateway, i64) -> T) -> T {
        let now_ms = self.now_ms();
        let done = act(&mut self.shared.core(), now_ms);
        self.shared.wake.notify_one();
        done
    }

    /// When a reading of the running boot of a machine was numbered; none for old ones.
    #[must_use]
    pub fn numbered_at(&self, machine: MachineId, seq: u32) -> Option<Instant> {
        let slot = self.shared.core().running_slot(machine)?;
        let numbered = self.shared.numbered.lock().expect("no holder of this lock panics");
        let of_slot = numbered.get(&slot)?;
        let at = of_slot.partition_point(|(other, _)| *other < seq);
        of_slot.get(at).filter(|(other, _)| *other == seq).map(|(_, at)| *at)
    }

    /// Cuts the link, or lets it come back.
    pub fn set_online(&self, online: bool) {
        self.shared.online.send_replace(online);
    }

    /// Waits until the core is as wanted.
    ///
    /// # Errors
    /// What was waited for, and the last error of the link, when `patience` passes first.
    pub async fn wait_for(&self, what: &str, patience: Duration, mut wanted: impl FnMut(&Gateway) -> bool) -> anyhow::Result<()> {
        let mut changed = self.shared.changed.subscribe();
        let until = async {
            while !wanted(&self.shared.core()) {
                if changed.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(patience, until).await.map_err(|_elapsed| {
            let error = self.shared.last_error.lock().expect("no holder of this lock panics").clone();
            let complaints = self.shared.core().counts().complaints.clone();
            anyhow::anyhow!("a gateway did not come to {what} within {patience:?}; last error {error:?}; complaints {complaints:?}")
        })
    }

    /// Waits until everything numbered so far is stored.
    ///
    /// # Errors
    /// As [`SimGateway::wait_for`].
    pub async fn settled(&self, patience: Duration) -> anyhow::Result<()> {
        self.wait_for("all stored", patience, Gateway::is_settled).await
    }
}

impl Shared {
    fn now_ms(&self) -> i64 {
        self.started.elapsed().as_millis() as i64
    }

    fn core(&self) -> MutexGuard<'_, Gateway> {
        self.core.lock().expect("no holder of the core panics")
    }

    fn tell_change(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// Notes the time of what was numbered since the last look.
    fn note_numbers(&self, core: &Gateway) {
        let now = Instant::now();
        let mut numbered = self.numbered.lock().expect("no holder of this lock panics");
        for source in core.machines().iter().filter_map(|machine| machine.sources().last()) {
            let of_slot = numbered.entry(source.slot).or_default();
            let from = of_slot.back().map_or(0, |(seq, _)| *seq) + 1;
            of_slot.extend((from..=source.last_seq()).map(|seq| (seq, now)));
            of_slot.drain(..of_slot.len().saturating_sub(NUMBERED_MAX));
        }
    }

    fn tick(&self) {
        let mut core = self.core();
        core.tick(self.now_ms());
        self.note_numbers(&core);
        drop(core);
        self.tell_change();
    }

    fn wait(&self) -> Duration {
        let due_ms = self.core().due_ms();
        let now_ms = self.now_ms();
        Duration::from_millis((due_ms.saturating_sub(now_ms)).clamp(0, IDLE_TICK_MS) as u64)
    }
}

async fn run(url: String, options: Options, shared: Arc<Shared>) {
    let mut backoff = BACKOFF_LEAST;
    let mut online = shared.online.subscribe();
    loop {
        let offline = !*online.borrow_and_update();
        if offline {
            // Machines go on while nobody hears them.
            keep_on(&shared, Duration::from_millis(IDLE_TICK_MS as u64)).await;
            continue;
        }
        let dial = Peer::connect(&url, options.clone());
        let connected = tokio::select! {
            connected = dial => connected,
            never = machines_go_on(&shared) => match never {},
        };
        let ended = match connected {
            Ok(peer) => {
                backoff = BACKOFF_LEAST;
                let ended = serve(peer, &shared, &mut online).await;
                shared.core().disconnected();
                shared.tell_change();
                ended
            }
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            *shared.last_error.lock().expect("no holder of this lock panics") = Some(error.to_string());
            keep_on(&shared, backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MOST);
        }
    }
}

/// Ticks the machines for a while without a connection.
async fn keep_on(shared: &Shared, time: Duration) {
    match tokio::time::timeout(time, machines_go_on(shared)).await {
        Ok(never) => match never {},
        Err(_elapsed) => (),
    }
}

async fn machines_go_on(shared: &Shared) -> Infallible {
    loop {
        shared.tick();
        tokio::select! {
            () = tokio::time::sleep(shared.wait().max(Duration::from_millis(1))) => (),
            () = shared.wake.notified() => (),
        }
    }
}

/// One connection's life; `Ok` when it was taken offline, or moved when the hub asked to.
async fn serve(mut peer: Peer, shared: &Shared, online: &mut watch::Receiver<bool>) -> Result<(), PeerError> {
    shared.core().connected();
    let mut move_at: Option<Instant> = None;
    loop {
        shared.tick();
        let frames = shared.core().take_frames();
        peer.send_all(&frames).await?;
        if move_at.is_some_and(|at| Instant::now() >= at) {
            // What the hub did not acknowledge by now is said again on the next connection.
            return peer.close().await;
        }
        let deadline = Instant::now() + shared.wait();
        let deadline = move_at.map_or(deadline, |at| at.min(deadline));
        tokio::select! {
            biased;
            changed = online.changed() => {
                if changed.is_err() || !*online.borrow() {
                    peer.cut();
                    return Ok(());
                }
            }
            heard = peer.next_until(deadline) => {
                if let Some(frame) = heard? {
                    if let ServerFrame::Move(told) = &frame {
                        move_at.get_or_insert(Instant::now() + Duration::from_millis(u64::from(told.after_ms)));
                    }
                    let now_ms = shared.now_ms();
                    shared.core().hear(&frame, now_ms);
                }
            }
            () = shared.wake.notified() => (),
        }
    }
}
