//! A gym that trains by itself: forty machines on two gateways, members who come, claim, train and go. For `spotter demo`.
//!
//! In: a URL, tokens, and the ids under which the floor was provisioned ([`floor`]). Out: what a real club would send. It sees the hub as
//! machines and phones do. Everything ends when the [`SimulatedGym`] is dropped.

mod floor;
mod member;
mod retell;
mod visitors;

use std::sync::Arc;
use std::time::Duration;

use protocol::frame::{MachineKind, MachineStatus};
use protocol::{GymId, MachineId, MemberId};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use floor::{Place, floor, spec_of};

use crate::gateway::{Dice, Machine, Mischief, SimGateway};
use crate::peer::Options;
use crate::workout::Workout;

/// Somebody who trains in the simulated gym.
#[derive(Debug, Clone)]
pub struct SimulatedMember {
    /// The member, provisioned before.
    pub member: MemberId,
    /// A token that is good for the whole run.
    pub token: String,
}

/// Everything that the gym needs to know.
#[derive(Debug, Clone)]
pub struct GymPlan {
    /// `ws://host:port/v1/ws`.
    pub url: String,
    /// The gym.
    pub gym: GymId,
    /// Tokens of the two gateways, good for the whole run.
    pub gateway_tokens: [String; 2],
    /// Ids of the machines of [`floor`], in its order, each bound to its gateway.
    pub machines: Vec<MachineId>,
    /// Who comes and goes.
    pub members: Vec<SimulatedMember>,
    /// How many times faster than life; 1 for a demo.
    pub speed: f64,
    /// Draws who does what; the same seed makes the same afternoon.
    pub seed: u64,
    /// The boot that the machines start with: higher at each start of the demo on the same store. Seconds since 2020 will do.
    pub boot: u32,
}

/// A running simulated gym.
pub struct SimulatedGym {
    gateways: [Arc<SimGateway>; 2],
    members: JoinSet<()>,
    /// People without a login and from outside.
    others: JoinSet<()>,
    closing: CancellationToken,
}

impl SimulatedGym {
    /// Opens the gym: machines connect at once, members arrive over the first half minute.
    #[must_use]
    pub fn start(plan: &GymPlan) -> Self {
        let places = floor();
        let gateways = [0, 1].map(|gateway| {
            let placed = places.iter().zip(&plan.machines).enumerate().filter(|(_, (place, _))| place.gateway == gateway);
            let specs = placed
                .map(|(index, (place, machine))| {
                    let mut spec = spec_of(place, index, *machine);
                    spec.boot = plan.boot;
                    spec
                })
                .collect();
            let options = Options::new(plan.gateway_tokens[gateway].clone()).device(format!("sim-gateway-{gateway}"));
            let seed = plan.seed.wrapping_add(gateway as u64) ^ u64::from(plan.boot);
            Arc::new(SimGateway::start(&plan.url, options, specs, plan.speed, Mischief::default(), seed))
        });
        let workouts: Arc<[Arc<Workout>]> = Workout::shipped().into_iter().map(Arc::new).collect();
        let (mut members, mut others, closing) = (JoinSet::new(), JoinSet::new(), CancellationToken::new());
        for (number, member) in plan.members.iter().enumerate() {
            let life = member::Life {
                url: plan.url.clone(),
                gym: plan.gym,
                member: member.clone(),
                gateways: gateways.clone(),
                workouts: workouts.clone(),
                dice: Dice::new(plan.seed.wrapping_mul(31).wrapping_add(number as u64)),
                speed: plan.speed,
                closing: closing.clone(),
            };
            let arrives = Duration::from_millis((number as f64 * ARRIVE_EVERY_MS / plan.speed) as u64);
            members.spawn(life.live(arrives));
        }
        let visitors = visitors::Visitors {
            gateways: gateways.clone(),
            workouts: workouts.clone(),
            dice: Dice::new(plan.seed ^ 0x0717),
            speed: plan.speed,
            simulated: plan.members.iter().map(|member| member.member).collect(),
        };
        others.spawn(visitors.live());
        let walk_ins = WalkIns { gateways: gateways.clone(), workouts, dice: Dice::new(plan.seed ^ 0x5eed), speed: plan.speed };
        others.spawn(walk_ins.live());
        Self { gateways, members, others, closing }
    }

    /// The gateways, for whoever wants to press a key at a machine.
    #[must_use]
    pub const fn gateways(&self) -> &[Arc<SimGateway>; 2] {
        &self.gateways
    }

    /// Sends everybody home: who trains ends, gives the machine back and leaves. Returns when the last is gone.
    ///
    /// # Errors
    /// Where somebody is still there after `patience`.
    pub async fn close(&mut self, patience: Duration) -> anyhow::Result<()> {
        self.others.shutdown().await;
        self.closing.cancel();
        let gone = async {
            while !self.members.is_empty() {
                self.gateways.iter().for_each(|gateway| gateway.with(|core, _| finish_all(core)));
                // Whoever was about to begin is told again.
                drop(tokio::time::timeout(ASK_TO_LEAVE_EVERY, self.members.join_next()).await);
            }
            self.gateways.iter().for_each(|gateway| gateway.with(|core, _| finish_all(core)));
        };
        tokio::time::timeout(patience, gone).await.map_err(|_elapsed| anyhow::anyhow!("members did not leave within {patience:?}"))
    }

    /// Machines that somebody trains on now.
    #[must_use]
    pub fn busy(&self) -> usize {
        let playing =
            |gateway: &Arc<SimGateway>| gateway.with(|core, _| core.machines().iter().filter(|machine| machine.is_playing()).count());
        self.gateways.iter().map(playing).sum()
    }
}

fn finish_all(core: &mut crate::gateway::Gateway) {
    let playing: Vec<MachineId> = core.machines().iter().filter(|machine| machine.is_playing()).map(Machine::id).collect();
    for machine in playing {
        core.at(machine, |machine, out| machine.finish(out));
    }
}

/// People who train without logging in: every few seconds one begins at a free machine.
struct WalkIns {
    gateways: [Arc<SimGateway>; 2],
    workouts: Arc<[Arc<Workout>]>,
    dice: Dice,
    speed: f64,
}

/// Walk-ins leave the rest of the floor to members.
const WALK_INS_MOST: usize = 10;
const WALK_IN_EVERY_MS: f64 = 2_000.0;
/// Members arrive this far apart, so that a floor is busy before its visitor looks away.
const ARRIVE_EVERY_MS: f64 = 1_200.0;
const ASK_TO_LEAVE_EVERY: Duration = Duration::from_millis(200);

impl WalkIns {
    async fn live(mut self) {
        loop {
            tokio::time::sleep(Duration::from_millis((WALK_IN_EVERY_MS / self.speed) as u64)).await;
            let unclaimed = self.gateways[0]
                .with(|core, _| core.machines().iter().filter(|machine| machine.is_playing() && machine.claim().is_none()).count());
            if unclaimed < WALK_INS_MOST {
                self.begin();
            }
        }
    }
}

impl WalkIns {
    fn begin(&mut self) {
        let (workouts, dice, speed) = (&self.workouts, &mut self.dice, self.speed);
        self.gateways[0].with(|core, now_ms| {
            let free = core.machines().iter().filter(|machine| is_free(machine));
            let free: Vec<_> = free.map(|machine| (machine.id(), machine.spec().model.kind)).collect();
            if let Some(&(machine, kind)) = free.get(dice.below(free.len().max(1) as u64) as usize) {
                let stretch = stretch(workouts, dice, kind);
                core.at(machine, |machine, out| machine.play(stretch, speed, now_ms, out));
            }
        });
    }
}

fn is_free(machine: &Machine) -> bool {
    machine.state() == MachineStatus::Idle && machine.claim().is_none() && !machine.is_playing()
}

/// Three to ten minutes out of one of the workouts.
fn stretch(workouts: &[Arc<Workout>], dice: &mut Dice, kind: MachineKind) -> Arc<Workout> {
    let workout = &workouts[dice.below(workouts.len() as u64) as usize];
    let length = 180 + dice.below(420) as usize;
    let from = dice.below(workout.records.len().saturating_sub(length) as u64) as usize;
    let until = (from + length).min(workout.records.len());
    let stretch = Workout { name: workout.name.clone(), records: workout.records[from..until].to_vec() };
    Arc::new(retell::retell(stretch, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_has_forty_machines_on_two_gateways() {
        let places = floor();
        assert_eq!(places.len(), 40);
        assert_eq!(places.iter().filter(|place| place.gateway == 1).count(), 10);
        let names: std::collections::HashSet<_> = places.iter().map(|place| &place.name).collect();
        assert_eq!(names.len(), 40);
    }

    #[test]
    fn a_stretch_is_never_empty_and_lies_inside_its_workout() {
        let workouts: Vec<_> = Workout::shipped().into_iter().map(Arc::new).collect();
        let mut dice = Dice::new(3);
        for _ in 0..200 {
            assert!(stretch(&workouts, &mut dice, MachineKind::Rower).records.len() >= 150);
        }
    }
}
