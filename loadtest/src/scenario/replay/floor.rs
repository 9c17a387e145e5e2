//! The machines of a replay: each workout on several, in several tongues, with clocks that go wrong, over two gateways with a bad network.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use protocol::frame::{MachineKind, Role};
use protocol::ftms::Layout;
use protocol::{MachineId, MemberId};
use tokio::sync::watch;
use uuid::Uuid;

use crate::bench::{Bench, NewMachine, World};
use crate::gateway::{Expected, MachineSpec, Mischief, Said, SimGateway, Skew, Tongue};
use crate::peer::Options;
use crate::workout::Workout;

const GATEWAYS: usize = 2;
/// One in ten, as in the fault table.
pub(in crate::scenario) const MISCHIEF: Mischief = Mischief { duplicate_per_mille: 100, reorder_per_mille: 100 };
const TONGUES: [Tongue; 3] =
    [Tongue::Raw { layout: Layout::Xml2017, bytes_max: 20 }, Tongue::Raw { layout: Layout::Gss2024, bytes_max: 185 }, Tongue::Decoded];

/// Who lifts, lifts so many times faster than the rest of the floor: rests between sets last longer than anything else there.
const LIFT_FASTER: f64 = 3.0;
const REPS: u16 = 8;
/// Of eight repetitions and the rest after them, at the speed of life.
const SET_MS: i64 = 66_000;
const LOAD_HG: u32 = 425;

/// One machine, its member and its workout.
#[derive(Debug, Clone)]
pub(in crate::scenario) struct Stand {
    pub(in crate::scenario) machine: MachineId,
    pub(in crate::scenario) member: MemberId,
    pub(in crate::scenario) gateway: usize,
    pub(in crate::scenario) workout: Arc<Workout>,
}

/// What a floor is made of.
pub(in crate::scenario) struct FloorPlan {
    /// Draws nonces and mischief.
    pub(in crate::scenario) seed: u64,
    /// Machines that play each workout.
    pub(in crate::scenario) copies: usize,
    /// How many times faster than life.
    pub(in crate::scenario) speed: f64,
    /// What the network does to readings.
    pub(in crate::scenario) mischief: Mischief,
    /// Whether gateways enrol devices instead of showing tokens.
    pub(in crate::scenario) device_keys: bool,
    /// What the machines play.
    pub(in crate::scenario) workouts: Vec<Workout>,
    /// Played once on each gateway besides, by machines that are decoded: only those say strokes, repetitions and sets.
    pub(in crate::scenario) decoded: Vec<Workout>,
    /// Where the last gateway connects, if not to the hub itself.
    pub(in crate::scenario) last_url: Option<String>,
}

/// Everything on the floor.
pub(in crate::scenario) struct Floor {
    pub(in crate::scenario) world: World,
    pub(in crate::scenario) stands: Vec<Stand>,
    pub(in crate::scenario) gateways: Vec<Arc<SimGateway>>,
    pub(in crate::scenario) tokens: Vec<String>,
    /// Whether the database is away now.
    pub(super) away: Arc<AtomicBool>,
    /// Phones that are connected now.
    pub(in crate::scenario) phones_on: Arc<AtomicUsize>,
    /// Readings numbered while it was.
    numbered_away: AtomicU64,
    /// Whether phones and watchers have a network; without, their connections are reset and none is opened.
    pub(in crate::scenario) viewers_online: watch::Sender<bool>,
    /// Of the longest workout at this speed.
    pub(in crate::scenario) duration: Duration,
}

impl Floor {
    /// Provisions and connects everything.
    pub(in crate::scenario) async fn open(bench: &Bench, plan: FloorPlan) -> anyhow::Result<Self> {
        let FloorPlan { seed, copies, speed, mischief, device_keys, workouts, decoded, last_url } = plan;
        let world = World::new(bench).await?;
        let gateway_ids = world.gateways(bench, GATEWAYS).await?;
        let longest_ms = workouts.iter().map(Workout::duration_ms).max().unwrap_or(0);
        let several = |(workouts, copies): (Vec<Workout>, usize)| {
            workouts.into_iter().map(Arc::new).flat_map(move |workout| std::iter::repeat_n(workout, copies))
        };
        let first_decoded = workouts.len() * copies;
        let workouts: Vec<Arc<Workout>> = [(workouts, copies), (decoded, GATEWAYS)].into_iter().flat_map(several).collect();
        let members = world.members(bench, workouts.len()).await?;
        let (mut stands, mut specs) = (Vec::new(), vec![Vec::new(); GATEWAYS]);
        let mut machines = Vec::new();
        for (index, (member, workout)) in members.into_iter().zip(workouts).enumerate() {
            let (machine, gateway) = (MachineId(Uuid::now_v7()), index % GATEWAYS);
            let mut spec = MachineSpec::new(machine, workout.kind());
            (spec.tongue, spec.skew) = (TONGUES[index % TONGUES.len()], Skew::ALL[index % Skew::ALL.len()]);
            if index >= first_decoded {
                spec.tongue = Tongue::Decoded;
            }
            spec.archive = true;
            machines.push(NewMachine { machine, kind: workout.kind(), gateway: gateway_ids[gateway] });
            specs[gateway].push(spec);
            stands.push(Stand { machine, member, gateway, workout });
        }
        world.machines(bench, &machines).await?;
        let tokens: Vec<String> = gateway_ids.iter().map(|gateway| world.token(bench, Role::Gateway, gateway.0)).collect();
        let mut devices = Vec::new();
        for gateway in gateway_ids.iter().filter(|_| device_keys) {
            devices.push(world.enrol(bench, *gateway).await?);
        }
        let start = |(number, specs): (usize, Vec<MachineSpec>)| {
            let options =
                devices.get(number).map_or_else(|| Options::new(tokens[number].clone()), |device| Options::enrolled(device.clone()));
            let options = options.device(format!("replay-{number}"));
            let url = last_url.clone().filter(|_| number + 1 == GATEWAYS).unwrap_or_else(|| bench.ws_url());
            Arc::new(SimGateway::start(&url, options, specs, speed, mischief, seed.wrapping_add(number as u64)))
        };
        let gateways = specs.into_iter().enumerate().map(start).collect();
        let duration = Duration::from_millis((longest_ms as f64 / speed) as u64);
        let (away, numbered_away, phones_on) = (Arc::default(), AtomicU64::new(0), Arc::default());
        let viewers_online = watch::Sender::new(true);
        Ok(Self { world, stands, gateways, tokens, away, numbered_away, phones_on, viewers_online, duration })
    }

    /// The database goes away, or is back: counts what is numbered meanwhile.
    pub(in crate::scenario) fn set_away(&self, away: bool) {
        let readings = self.readings();
        if away {
            self.numbered_away.fetch_sub(readings, Ordering::Relaxed);
        } else {
            self.numbered_away.fetch_add(readings, Ordering::Relaxed);
        }
        self.away.store(away, Ordering::Relaxed);
    }

    /// Readings that were numbered while the database was away.
    pub(in crate::scenario) fn numbered_away(&self) -> u64 {
        self.numbered_away.load(Ordering::Relaxed)
    }

    fn readings(&self) -> u64 {
        let of = |row: &&Expected| matches!(row.said, Said::Reading(_));
        self.gateways.iter().map(|gateway| gateway.with(|core, _| core.ledger().rows().iter().filter(of).count() as u64)).sum()
    }

    /// Everybody begins.
    pub(in crate::scenario) fn begin(&self, speed: f64) {
        for stand in &self.stands {
            let workout = stand.workout.clone();
            self.gateways[stand.gateway].with(|core, now_ms| {
                core.at(stand.machine, |machine, out| match workout.kind() {
                    MachineKind::Strength => machine.lift(sets(&workout), REPS, LOAD_HG, speed * LIFT_FASTER, now_ms, out),
                    _ => machine.play(workout, speed, now_ms, out),
                });
            });
        }
    }

    /// What must be stored, from the sources' own ledgers.
    pub(in crate::scenario) fn expected(&self) -> Vec<Expected> {
        self.gateways.iter().flat_map(|gateway| gateway.with(|core, _| core.ledger().rows().to_vec())).collect()
    }

    pub(in crate::scenario) fn expected_rows(&self) -> usize {
        self.gateways.iter().map(|gateway| gateway.with(|core, _| core.ledger().rows().len())).sum()
    }
}

/// As many sets as take as long as this workout.
fn sets(workout: &Workout) -> u16 {
    let sets = workout.duration_ms() as f64 * LIFT_FASTER / SET_MS as f64;
    sets.ceil().clamp(1.0, f64::from(u16::MAX)) as u16
}
