//! People from outside the simulation: somebody who claims a machine with a page of their own wants to see it move.
//!
//! In: claims of machines by members that the simulation does not play. Out: the machine is started once for each such claim, as its user would
//! start it, and ends when the claim does. After a stop it stands: nothing starts it again under the same claim.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use protocol::frame::{MachineKind, MachineStatus};
use protocol::{MachineId, MemberId};

use super::stretch;
use crate::gateway::{Dice, Machine, SimGateway};
use crate::workout::Workout;

/// A person needs about this long to step on and press start.
const LOOK_EVERY_MS: f64 = 500.0;
/// Sets and repetitions on a strength machine.
const SETS: (u16, u16) = (4, 10);
/// Load on a strength machine, 0.1 kg.
const LOAD_HG: u32 = 400;

/// Everybody who is not simulated.
pub(super) struct Visitors {
    pub(super) gateways: [Arc<SimGateway>; 2],
    pub(super) workouts: Arc<[Arc<Workout>]>,
    pub(super) dice: Dice,
    pub(super) speed: f64,
    /// Members that the simulation plays itself.
    pub(super) simulated: HashSet<MemberId>,
}

impl Visitors {
    pub(super) async fn live(mut self) {
        // Fence by machine: one start a claim.
        let mut started: Vec<(MachineId, u64)> = Vec::new();
        loop {
            tokio::time::sleep(Duration::from_millis((LOOK_EVERY_MS / self.speed) as u64)).await;
            for gateway in self.gateways.clone() {
                let ended: Vec<MachineId> = gateway.with(|core, _| {
                    let over = |(machine, fence): &(MachineId, u64)| {
                        core.machine(*machine).is_some_and(|machine| machine.claim().is_none_or(|claim| claim.fence != *fence))
                    };
                    started.iter().filter(|claim| over(claim)).map(|(machine, _)| *machine).collect()
                });
                started.retain(|(machine, _)| !ended.contains(machine));
                ended.iter().for_each(|machine| finish(&gateway, *machine));
                for (machine, kind, fence) in self.waiting(&gateway, &started) {
                    started.push((machine, fence));
                    self.start(&gateway, machine, kind);
                }
            }
        }
    }

    /// Machines that a visitor holds and nobody has started.
    fn waiting(&self, gateway: &SimGateway, started: &[(MachineId, u64)]) -> Vec<(MachineId, MachineKind, u64)> {
        let visitor = |machine: &Machine| {
            let claim = machine.claim().filter(|claim| !self.simulated.contains(&claim.member))?;
            let stands = machine.state() == MachineStatus::Idle && !machine.is_playing();
            let new = !started.contains(&(machine.id(), claim.fence));
            (stands && new).then(|| (machine.id(), machine.spec().model.kind, claim.fence))
        };
        gateway.with(|core, _| core.machines().iter().filter_map(visitor).collect())
    }

    fn start(&mut self, gateway: &SimGateway, machine: MachineId, kind: MachineKind) {
        let (stretch, speed) = (stretch(&self.workouts, &mut self.dice, kind), self.speed);
        gateway.with(|core, now_ms| {
            core.at(machine, |unit, out| match kind {
                MachineKind::Strength => unit.lift(SETS.0, SETS.1, LOAD_HG, speed, now_ms, out),
                _ => unit.play(stretch, speed, now_ms, out),
            })
        });
    }
}

/// The visitor is gone: the machine ends what it plays, unless a simulated member has it already.
fn finish(gateway: &SimGateway, machine: MachineId) {
    gateway.with(|core, _| {
        core.at(machine, |unit, out| {
            if unit.is_playing() && unit.claim().is_none() {
                unit.finish(out);
            }
        })
    });
}
