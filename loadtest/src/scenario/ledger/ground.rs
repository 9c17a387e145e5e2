//! What every row stands on: a hub and a store of its own, machines that play workouts over two gateways, their members' phones, two
//! operators who watch the floor; and the record that each of them keeps.
//!
//! A row opens it, lets it begin, does what its fault does, and hands it to [`Ground::finish`], which waits until everything has settled and
//! calls the auditor. The record of a producer is its gateway's own list of what it numbered, with what it was told to be accepted and
//! stored; that of a viewer what it saw and which holes it was told of.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use protocol::WorkoutId;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::audit::{self, Poisoned};
use super::found::Found;
use super::row::Case;
use super::watcher::{Watched, operator, watch};
use crate::bench::{Bench, Link, Wants};
use crate::gateway::{Checksum, Gateway, Mischief, Said, SimGateway};
use crate::peer::Options;
use crate::scenario::replay::floor::{Floor, FloorPlan, MISCHIEF};
use crate::scenario::replay::phone::{Seen, Training};
use crate::workout::Workout;

/// Machines run so many times faster than life: 20 readings a second each.
pub(super) const SPEED: f64 = 20.0;
/// Besides the shipped workouts, on each gateway: a rower that says its strokes, a strength machine that says repetitions and sets.
const DECODED: [&str; 2] = ["row", "lift"];
const WATCHERS: usize = 2;
/// From the last reading to everything stored, as seen by the gateways.
const SETTLE: Duration = Duration::from_secs(90);
/// Members give their machines back so long after the last reading was numbered: a record that may still have parts to come is closed after
/// a second, and would be late for the seal (an amendment, which takes longer than a run).
const GIVE_BACK_AFTER: Duration = Duration::from_millis(1_600);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// All sessions must be back after a kill within this time (`FAULTS` row 1).
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// A backlog must be cleared within this time (`FAULTS` row 9).
const CLEARED_WITHIN: Duration = Duration::from_secs(30);
/// What Rust says of a task that panicked.
const PANICKED: &str = "panicked at";
/// How long a measure is watched before it is given up.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a row wants of its ground.
#[derive(Debug, Clone)]
pub(super) struct Load {
    /// How long the machines play.
    pub(super) lasts: Duration,
    /// Machines that play each of the shipped workouts.
    pub(super) copies: usize,
    /// What the network does to readings.
    pub(super) mischief: Mischief,
    /// Settings of the hub as `key=value`.
    pub(super) set: Vec<String>,
    /// A store other than the row's usual one.
    pub(super) store_url: Option<String>,
    /// Words before the hub's own, such as `prlimit --nofile=200`.
    pub(super) before: Vec<String>,
    /// The last gateway connects over a link that can go wrong.
    pub(super) linked: bool,
}

impl Load {
    /// The usual load of a case: five machines a workout (one where quick), one reading in ten twice and one in ten in the wrong place.
    pub(super) fn of(case: &Case) -> Self {
        let copies = if case.quick { 2 } else { 5 };
        // Phones and codes take a while to claim; below three seconds nothing would be seen.
        let lasts = case.time(case.row.lasts).max(Duration::from_secs(3));
        Self { lasts, copies, mischief: MISCHIEF, set: Vec::new(), store_url: None, before: Vec::new(), linked: false }
    }
}

/// A hub at work, and everybody who keeps a record of it.
pub(super) struct Ground {
    pub(super) bench: Bench,
    pub(super) floor: Floor,
    /// What the row noted on the way.
    pub(super) found: Found,
    /// The link of the last gateway, where the load wants one.
    pub(super) link: Option<Link>,
    /// Rows that must end in quarantine and nowhere else.
    pub(super) poisoned: Vec<Poisoned>,
    phones: JoinSet<anyhow::Result<Seen>>,
    watchers: JoinSet<Watched>,
    watchers_on: Arc<AtomicUsize>,
    release: CancellationToken,
    end: CancellationToken,
    measures: bool,
    /// Whether every gateway sends its whole buffer again once all is stored.
    pub(super) replay_buffers: bool,
    /// Or once all is packed.
    pub(super) replay_packed: bool,
}

impl Ground {
    /// Starts the hub, provisions and connects everything, and has every machine claimed.
    pub(super) async fn open(case: &Case, load: Load) -> anyhow::Result<Self> {
        let store_url = match load.store_url {
            Some(url) => Some(url),
            None => case.store_url().await?,
        };
        let mut args = case.args.clone();
        args.store = case.store.name().to_owned();
        let bench = Bench::start_with(&args, Wants { store_url, set: load.set, before: load.before, ..Wants::default() }).await?;
        let records = (load.lasts.as_secs_f64() * SPEED).ceil() as usize;
        let workouts: Vec<Workout> = Workout::shipped().iter().map(|workout| workout.lasting(records)).collect();
        // Nobody recorded a rower or sets for us: what counts here is that each stroke and repetition is numbered and stored.
        let decoded = DECODED.iter().map(|name| workouts[0].named(name)).collect();
        let address = bench.http().trim_start_matches("http://").to_owned();
        let link = if load.linked { Some(Link::start(&address).await?) } else { None };
        let last_url = link.as_ref().map(|link| link.through(&bench.ws_url()));
        let plan = FloorPlan {
            seed: case.seed,
            copies: load.copies,
            speed: SPEED,
            mischief: load.mischief,
            device_keys: false,
            workouts,
            decoded,
            last_url,
        };
        let floor = Floor::open(&bench, plan).await?;
        let (release, end) = (CancellationToken::new(), CancellationToken::new());
        let mut ground = Self {
            bench,
            floor,
            found: Found::default(),
            link,
            poisoned: Vec::new(),
            phones: JoinSet::new(),
            watchers: JoinSet::new(),
            watchers_on: Arc::default(),
            release,
            end,
            measures: case.row.alone && !case.quick,
            replay_buffers: false,
            replay_packed: false,
        };
        ground.claim_all().await.with_context(|| format!("the end of the hub's log:\n{}", ground.bench.log_end()))?;
        Ok(ground)
    }

    async fn claim_all(&mut self) -> anyhow::Result<()> {
        let url = self.bench.ws_url();
        for number in 0..WATCHERS {
            let options = operator(&self.bench, &self.floor.world, number);
            self.watchers.spawn(watch(
                url.clone(),
                options,
                self.watchers_on.clone(),
                self.floor.viewers_online.subscribe(),
                self.end.clone(),
            ));
        }
        for stand in &self.floor.stands {
            let training = Training::claim(&self.bench, &self.floor, stand).await?;
            self.phones.spawn(training.follow(url.clone(), self.release.clone()));
        }
        Ok(())
    }

    /// Rooms that all viewers watch together: a phone its member's and its workout's, a watcher the floor.
    pub(super) fn rooms_watched(&self) -> u64 {
        (2 * self.floor.stands.len() + WATCHERS) as u64
    }

    /// Whether machines still play or lift.
    pub(super) fn is_playing(&self) -> bool {
        self.floor.gateways.iter().any(|gateway| gateway.with(|core, _| !core.is_over()))
    }

    /// Numbered, and not yet told to be stored.
    pub(super) fn unstored(&self) -> u64 {
        let of = |core: &Gateway| {
            let sources = core.machines().iter().flat_map(|machine| machine.sources()).filter(|source| source.last_seq() > 0);
            sources.map(|source| source.stored().missing(1, source.last_seq()).count()).sum::<u64>()
        };
        self.floor.gateways.iter().map(|gateway| gateway.with(|core, _| of(core))).sum()
    }

    /// Everybody begins to train.
    pub(super) fn begin(&self) {
        self.floor.begin(SPEED);
    }

    /// SIGKILL, and the hub again on the same store and port. Returns the instant of the kill.
    pub(super) async fn kill_and_run(&mut self) -> anyhow::Result<Instant> {
        let killed = Instant::now();
        self.bench.child()?.kill().await?;
        self.bench.child()?.run().await?;
        Ok(killed)
    }

    /// Waits until every gateway, phone and watcher is connected again; notes and judges the time since the fault.
    pub(super) async fn sessions_back(&mut self, since: Instant) {
        let wanted = self.floor.stands.len();
        while since.elapsed() < PATIENCE {
            let gateways = self.floor.gateways.iter().all(|gateway| gateway.with(|core, _| core.is_connected()));
            let phones = self.floor.phones_on.load(Ordering::Relaxed) == wanted;
            if gateways && phones && self.watchers_on.load(Ordering::Relaxed) == WATCHERS {
                break;
            }
            sleep(LOOK_EVERY).await;
        }
        let took = since.elapsed();
        self.found.sessions_ms = self.found.sessions_ms.max(Some(took.as_millis() as u64));
        self.found.require(took <= BACK_WITHIN, || format!("sessions were back after {took:?}, not within {BACK_WITHIN:?}"));
    }

    /// Waits until everything numbered so far is stored; notes and judges the time since `since`, when the fault was over.
    pub(super) async fn caught_up(&mut self, since: Instant) {
        let mut behind = None;
        for gateway in &self.floor.gateways {
            let marks: Vec<Vec<u32>> = gateway.with(|core, _| numbered(core));
            let reached = gateway.wait_for("what was numbered before, stored", PATIENCE, |core| stored_through(core, &marks)).await;
            behind = behind.or(reached.err());
        }
        let took = since.elapsed();
        self.found.recovery_ms = self.found.recovery_ms.max(Some(took.as_millis() as u64));
        if let Some(error) = behind {
            self.found.failures.push(format!("{error:#}"));
        }
        self.found.require(took <= CLEARED_WITHIN, || format!("the backlog was cleared after {took:?}, not within {CLEARED_WITHIN:?}"));
    }

    /// Every gateway again, with everything it ever numbered in its buffer as if it had never heard that it is stored.
    async fn send_buffers_again(&mut self) -> anyhow::Result<()> {
        let mut sent = 0;
        for (gateway, token) in self.floor.gateways.iter().zip(&self.floor.tokens) {
            let old = gateway.with(|core, _| core.with_old_buffers());
            gateway.set_online(false);
            sent += old.buffered();
            let options = Options::new(token.clone()).device("ledger-old");
            let again = SimGateway::start_core(&self.bench.ws_url(), options, old, SPEED);
            again.settled(SETTLE).await.context("an old buffer was not refused as stored")?;
        }
        self.found.set("sent_again", sent);
        Ok(())
    }

    /// Waits until every reading lies packed, sends the old buffers again, and counts.
    async fn replay_after_packing(&mut self, found: &mut Found, workouts: &[WorkoutId]) -> anyhow::Result<()> {
        const RAW: &str = "select count(*) from samples";
        const PACKED: &str = "select cast(coalesce(sum(samples), 0) as bigint) from packed";
        let (database, began) = (self.bench.database().await?, Instant::now());
        while database.count(RAW).await? > 0 {
            anyhow::ensure!(began.elapsed() < PATIENCE, "readings of sealed workouts were not packed within {PATIENCE:?}");
            sleep(LOOK_EVERY * 10).await;
        }
        let packed = database.count(PACKED).await?;
        self.read_packed(found, workouts).await?;
        self.send_buffers_again().await?;
        let (raw, again) = (database.count(RAW).await?, database.count(PACKED).await?);
        let quarantined = database.count("select count(*) from quarantine").await?;
        found.figures.append(&mut self.found.figures);
        found.set("packed", packed);
        found.duplicate += raw.unsigned_abs() + (again - packed).unsigned_abs();
        let readings = self.floor.expected().iter().filter(|row| matches!(row.said, Said::Reading(_))).count() as i64;
        found.require(packed == readings, || format!("{packed} readings lie packed, of {readings}"));
        found.require(raw == 0, || format!("{raw} readings that lie packed were stored again"));
        found.require(again == packed, || format!("{again} readings lie packed, {packed} before the old buffers came"));
        found.require(quarantined == 0, || format!("{quarantined} readings that lie packed are in quarantine"));
        Ok(())
    }

    /// Reads every workout over HTTP: what lies packed is what was numbered, value by value.
    async fn read_packed(&self, found: &mut Found, workouts: &[WorkoutId]) -> anyhow::Result<()> {
        let mut told = Vec::new();
        for workout in workouts {
            told.extend(self.floor.world.samples(&self.bench, *workout).await?);
        }
        let (wanted, read) = (Checksum::of(&self.floor.expected()), Checksum::of(&told));
        let ((absent, differ), (strange, _)) = (wanted.beyond(&read), read.beyond(&wanted));
        found.set("read_packed", told.len());
        found.lost += absent.len() as u64;
        found.duplicate += (told.len() - read.count()) as u64;
        found.ghost += (strange.len() + differ.len()) as u64;
        found.require(absent.is_empty() && differ.is_empty() && strange.is_empty() && told.len() == read.count(), || {
            let (absent, differ, strange) = (absent.len(), differ.len(), strange.len());
            format!("of what lies packed {absent} readings are not read, {differ} with other content, {strange} that nobody sent")
        });
        Ok(())
    }

    /// What a series of `/metrics` shows now; none where it is not there or nobody answers.
    pub(super) async fn metric(&self, series: &str) -> Option<f64> {
        let answer = self.bench.client().get(format!("{}/metrics", self.bench.http())).send().await.ok()?;
        value_of(&answer.text().await.ok()?, series)
    }

    /// `status` of `/health`.
    pub(super) async fn health(&self) -> Option<String> {
        let answer = self.bench.client().get(format!("{}/health", self.bench.http())).send().await.ok()?;
        let health: serde_json::Value = answer.json().await.ok()?;
        health["status"].as_str().map(str::to_owned)
    }

    /// Resident memory of the hub, KiB; 0 where it is gone.
    pub(super) fn rss_kib(&self) -> u64 {
        self.bench.usage().ok().flatten().map_or(0, |(_, rss_kib)| rss_kib)
    }

    /// Waits for the end of the workouts and until everything has settled, then audits.
    pub(super) async fn finish(mut self) -> anyhow::Result<Found> {
        for gateway in &self.floor.gateways {
            gateway.wait_for("the end of the workouts", self.floor.duration + SETTLE, Gateway::is_over).await?;
        }
        sleep(GIVE_BACK_AFTER).await;
        self.release.cancel();
        for gateway in &self.floor.gateways {
            if let Err(error) = gateway.settled(SETTLE).await {
                self.found.failures.push(format!("{error:#}"));
            }
        }
        let mut seen = Vec::new();
        while let Some(phone) = self.phones.join_next().await {
            seen.push(phone?.context("a phone could not go on")?);
        }
        if self.replay_buffers
            && let Err(error) = self.send_buffers_again().await
        {
            self.found.failures.push(format!("{error:#}"));
        }
        self.end.cancel();
        let mut watched = Vec::new();
        while let Some(watcher) = self.watchers.join_next().await {
            watched.push(watcher?);
        }
        let workouts: Vec<WorkoutId> = seen.iter().filter_map(|phone| phone.workout).collect();
        let mut found = std::mem::take(&mut self.found);
        audit::audit(&self.bench, &self.floor, &self.poisoned, &seen, &watched, &mut found, self.measures).await?;
        if self.replay_packed {
            self.replay_after_packing(&mut found, &workouts).await?;
        }
        let panics = self.bench.log().lines().filter(|line| line.contains(PANICKED)).count();
        found.require(panics == 0, || format!("the hub's log tells of {panics} panics"));
        if !found.holds() {
            found.failures.push(format!("the end of the hub's log:\n{}", self.bench.log_end()));
        }
        Ok(found)
    }
}

/// The number of a series in the text of `/metrics`.
fn value_of(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The last number of every source.
fn numbered(core: &Gateway) -> Vec<Vec<u32>> {
    core.machines().iter().map(|machine| machine.sources().iter().map(|source| source.last_seq()).collect()).collect()
}

fn stored_through(core: &Gateway, marks: &[Vec<u32>]) -> bool {
    let sources = core.machines().iter().flat_map(|machine| machine.sources().iter());
    let pairs = core.machines().iter().zip(marks).flat_map(|(machine, marks)| machine.sources().iter().zip(marks));
    debug_assert!(sources.count() >= marks.iter().map(Vec::len).sum());
    pairs.into_iter().all(|(source, &last)| last == 0 || source.stored().missing(1, last).difference(source.lost()).is_empty())
}
