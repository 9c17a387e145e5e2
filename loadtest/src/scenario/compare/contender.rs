//! One server with its watchers and publishers, all connected and at rest until its turn.
//!
//! In: a workload's size. Out: [`Sample`]s: what a stretch of its turn delivered and what CPU time the server took for it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use protocol::frame::{MachineKind, Role};
use protocol::{MachineId, RoomName};
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::audience::{Audience, Ear, Tally};
use super::child::Server;
use super::voice::{Voice, room_name};
use super::workload::{Size, Workload};
use super::{Pace, socketio};
use crate::bench::{Bench, BenchArgs, NewMachine, Publisher, SentTimes, Viewer, World, cpu_s, enter};
use crate::peer::{Light, Options};
use crate::scenario::fanout::{LOOKS_EVERY, MACHINES_A_GATEWAY, RING, six, wide};

/// Connections being opened at once.
const DIALS: usize = 64;
/// Acknowledgements and the last deliveries come in after a turn.
const SETTLE: Duration = Duration::from_millis(300);

/// What keeps the server alive, and how it is told to begin.
enum Running {
    Hub(Box<Bench>),
    Limit(Server),
    Socketio(Server),
}

/// One server, ready.
pub(super) struct Contender {
    running: Running,
    workload: Workload,
    size: Size,
    audience: Audience,
    gate: watch::Sender<bool>,
    published: Arc<AtomicU64>,
    voices: JoinSet<anyhow::Result<()>>,
}

/// What one stretch of a turn was.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// CPU seconds of the server, user and system.
    pub(super) cpu_s: f64,
    /// Events that reached a watcher, however many came in one frame.
    pub(super) deliveries: u64,
    /// What was published, times watchers.
    pub(super) due: u64,
    pub(super) tally: Tally,
}

impl Contender {
    /// The hub, with a store and rights, as anybody runs it. Without `watched` only the publishers are there.
    pub(super) async fn hub(args: &BenchArgs, workload: Workload, size: Size, watched: bool) -> anyhow::Result<Self> {
        let bench = Bench::start(args).await?;
        let world = World::new(&bench).await?;
        let gateways = world.gateways(&bench, size.rooms.div_ceil(MACHINES_A_GATEWAY)).await?;
        let new = |number: usize| NewMachine {
            machine: MachineId(Uuid::now_v7()),
            kind: MachineKind::Bike,
            gateway: gateways[number / MACHINES_A_GATEWAY],
        };
        let machines: Vec<NewMachine> = (0..size.rooms).map(new).collect();
        world.machines(&bench, &machines).await?;
        let start = Instant::now();
        let is_wall = workload == Workload::Wall;
        let sent: Vec<Arc<SentTimes>> =
            if is_wall { Vec::new() } else { machines.iter().map(|_| Arc::new(SentTimes::new(start, RING))).collect() };
        let mut voices = Vec::new();
        for (at, (gateway, machines)) in gateways.iter().zip(machines.chunks(MACHINES_A_GATEWAY)).enumerate() {
            let ids: Vec<MachineId> = machines.iter().map(|new| new.machine).collect();
            let token = world.token(&bench, Role::Gateway, gateway.0);
            let publisher = Box::new(Publisher::connect(&bench.ws_url(), &token, &ids, args.seed as u32).await?);
            let sent = sent.iter().skip(at * MACHINES_A_GATEWAY).take(ids.len()).cloned().collect();
            let reading = if is_wall { six() } else { wide() };
            voices.push((Voice::Gateway { publisher, sent, seqs: vec![0; ids.len()], reading, start }, ids.len()));
        }
        let mut contender = Self::new(Running::Hub(Box::new(bench)), workload, size, voices);
        if watched {
            contender.seat_in_hub(&world, &machines, &sent, start).await?;
        }
        Ok(contender)
    }

    async fn seat_in_hub(&mut self, world: &World, machines: &[NewMachine], sent: &[Arc<SentTimes>], start: Instant) -> anyhow::Result<()> {
        let Running::Hub(bench) = &self.running else { return Ok(()) };
        let (url, floor, workload) = (bench.ws_url(), RoomName::Floor(world.gym), self.workload);
        let watchers = (0..self.size.watchers * if workload == Workload::Wall { 1 } else { self.size.rooms }).map(|number| {
            let room = number / self.size.watchers;
            let (room, ear) = match sent.get(room) {
                Some(sent) => (RoomName::Machine(machines[room].machine), Ear::Live(sent.clone())),
                None => (floor, Ear::Floor { start, looks: number % LOOKS_EVERY == 0 }),
            };
            let viewer = Viewer { token: world.token(bench, Role::Operator, Uuid::now_v7()), room, sent: None, looks: false };
            let url = url.clone();
            async move { enter(url, viewer).await.map(|(light, _)| (light, ear)) }
        });
        let seated: Vec<(Light, Ear)> = stream::iter(watchers).buffer_unordered(DIALS).try_collect().await?;
        seated.into_iter().for_each(|(light, ear)| self.audience.seat(light, ear));
        Ok(())
    }

    /// The bare broadcaster.
    pub(super) async fn limit(workload: Workload, size: Size) -> anyhow::Result<Self> {
        let server = Server::limit().await?;
        let url = server.url();
        let mut contender = Self::new(Running::Limit(server), workload, size, Vec::new());
        let size = contender.limit_size();
        let watchers = (0..size.rooms * size.watchers).map(|number| {
            let url = format!("{url}/{}", number / size.watchers);
            async move { Light::open(&url, None, &Options::new("")).await }
        });
        let seated: Vec<Light> = stream::iter(watchers).buffer_unordered(DIALS).try_collect().await?;
        seated.into_iter().for_each(|light| contender.audience.seat(light, Ear::Limit));
        Ok(contender)
    }

    /// Socket.IO, installed in `folder`.
    pub(super) async fn socketio(folder: &Path, workload: Workload, size: Size) -> anyhow::Result<Self> {
        let token = Uuid::now_v7().to_string();
        let server = Server::socketio(folder, &token).await?;
        let (url, is_wall) = (server.url(), workload == Workload::Wall);
        let (mut voices, mut listeners) = (Vec::new(), Vec::new());
        for first in (0..size.rooms).step_by(MACHINES_A_GATEWAY) {
            let (reader, writer) = socketio::connect(&url, &token, None).await?.into_split();
            listeners.push(socketio::listen(reader, writer.clone()));
            voices.push((Voice::Socketio { writer, first, wall: is_wall }, MACHINES_A_GATEWAY.min(size.rooms - first)));
        }
        let mut contender = Self::new(Running::Socketio(server), workload, size, voices);
        for listener in listeners {
            contender.voices.spawn(listener);
        }
        let watchers = (0..size.watchers * if is_wall { 1 } else { size.rooms }).map(|number| {
            let room = if is_wall { "floor".to_owned() } else { room_name(number / size.watchers) };
            let (url, token) = (&url, &token);
            async move { socketio::connect(url, token, Some(&room)).await }
        });
        let seated: Vec<Light> = stream::iter(watchers).buffer_unordered(DIALS).try_collect().await?;
        seated.into_iter().for_each(|light| contender.audience.seat(light, Ear::Socketio));
        Ok(contender)
    }

    fn new(running: Running, workload: Workload, size: Size, voices: Vec<(Voice, usize)>) -> Self {
        let (gate, published) = (watch::Sender::new(false), Arc::<AtomicU64>::default());
        let mut tasks = JoinSet::new();
        for (voice, rooms) in voices {
            tasks.spawn(voice.speak(Pace::new(rooms, size.hz), gate.subscribe(), published.clone()));
        }
        Self { running, workload, size, audience: Audience::default(), gate, published, voices: tasks }
    }

    /// What the limit does for the workload: on a wall one room gets a frame for each reading, as from any broadcaster.
    const fn limit_size(&self) -> Size {
        match self.workload {
            Workload::Wall => Size { rooms: 1, hz: self.size.hz * self.size.rooms as f64, watchers: self.size.watchers },
            Workload::Idle | Workload::Fanout | Workload::Pairs => self.size,
        }
    }

    fn pid(&self) -> anyhow::Result<u32> {
        match &self.running {
            Running::Hub(bench) => bench.pid().context("compare measures a hub of its own: leave --hub away"),
            Running::Limit(server) | Running::Socketio(server) => server.pid(),
        }
    }

    /// One turn: warm up, measure, rest.
    pub(super) async fn turn(&mut self, warm_up: Duration, run: Duration) -> anyhow::Result<Sample> {
        self.begin().await?;
        tokio::time::sleep(warm_up).await;
        let pid = self.pid()?;
        self.audience.begin();
        let (before_s, published) = (cpu_s(pid)?, self.published.load(Ordering::Relaxed));
        let from = Instant::now();
        tokio::time::sleep(run).await;
        let cpu_s = cpu_s(pid)? - before_s;
        let tally = self.audience.end()?;
        let events = match self.running {
            Running::Limit(_) => (from.elapsed().as_secs_f64() * self.size.hz * self.size.rooms as f64) as u64,
            Running::Hub(_) | Running::Socketio(_) => self.published.load(Ordering::Relaxed) - published,
        };
        self.rest().await?;
        let due = events * self.size.watchers as u64;
        Ok(Sample { cpu_s, deliveries: tally.events(), due, tally })
    }

    async fn begin(&mut self) -> anyhow::Result<()> {
        let size = self.limit_size();
        self.gate.send_replace(true);
        match &mut self.running {
            Running::Limit(server) => server.tell(&format!("beat {} {}", size.rooms, size.hz)).await,
            Running::Hub(_) | Running::Socketio(_) => Ok(()),
        }
    }

    async fn rest(&mut self) -> anyhow::Result<()> {
        self.gate.send_replace(false);
        if let Running::Limit(server) = &mut self.running {
            server.tell("rest").await?;
        }
        tokio::time::sleep(SETTLE).await;
        match self.voices.try_join_next() {
            Some(ended) => ended?,
            None => Ok(()),
        }
    }
}
