//! One simulated member: arrives, finds a free machine, reads the code off its screen, claims it, trains, gives it back, rests, goes on.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use protocol::frame::{Claim, ClaimBy, ClaimState, Claimed, MachineKind, Release};
use protocol::text::Text;
use protocol::{GymId, MachineId, RoomName, ServerFrame};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{SimulatedMember, is_free, stretch};
use crate::gateway::{Dice, SimGateway};
use crate::peer::{Options, Peer};
use crate::workout::Workout;

/// What one member needs.
pub(super) struct Life {
    pub(super) url: String,
    pub(super) gym: GymId,
    pub(super) member: SimulatedMember,
    pub(super) gateways: [Arc<SimGateway>; 2],
    pub(super) workouts: Arc<[Arc<Workout>]>,
    pub(super) dice: Dice,
    pub(super) speed: f64,
    /// The gym closes: nobody begins any more.
    pub(super) closing: CancellationToken,
}

/// Between two machines, and after something went wrong.
const REST_MS: u64 = 20_000;

impl Life {
    pub(super) async fn live(mut self, arrives: Duration) {
        self.rest(arrives).await;
        while !self.closing.is_cancelled() {
            // What goes wrong for one member (hub restarts, machine taken) is tried again after a rest, as people do.
            let trained = self.train().await;
            let rest_ms = if trained.is_ok() { REST_MS + self.dice.below(REST_MS * 2) } else { REST_MS / 4 + self.dice.below(REST_MS / 2) };
            self.rest(Duration::from_millis((rest_ms as f64 / self.speed) as u64)).await;
        }
    }

    /// Waits, at most until the gym closes.
    async fn rest(&self, time: Duration) {
        drop(tokio::time::timeout(time, self.closing.cancelled()).await);
    }

    async fn train(&mut self) -> anyhow::Result<()> {
        let (gateway, machine, kind, code) = self.free_machine().context("no free machine shows a code")?;
        let options = Options::new(self.member.token.clone()).device("phone").room(RoomName::Member(self.member.member));
        let mut phone = Peer::connect(&self.url, options).await?;
        let req = phone.req();
        let claim = Claim { req, gym: self.gym, by: ClaimBy::Code(code), hand_over: None };
        let claimed = phone.request(claim, req, |frame| granted(frame, machine)).await?;
        if let Some(workout) = claimed.workout {
            phone.join(RoomName::Workout(workout)).await?;
        }
        self.begin(&gateway, machine, kind);
        self.watch(&mut phone, &gateway, machine).await?;
        gateway.with(|core, _| {
            core.at(machine, |machine, out| {
                if machine.is_playing() {
                    machine.finish(out)
                }
            })
        });
        let req = phone.req();
        let release = Release { req, machine, fence: claimed.fence };
        phone.request(release, req, |frame| matches!(frame, ServerFrame::Done(done) if done.req == req).then_some(())).await?;
        phone.close().await?;
        Ok(())
    }

    fn free_machine(&mut self) -> Option<(Arc<SimGateway>, MachineId, MachineKind, Text<16>)> {
        let mut free = Vec::new();
        for gateway in &self.gateways {
            gateway.with(|core, now_ms| {
                for machine in core.machines().iter().filter(|machine| is_free(machine)) {
                    if let Some(code) = machine.code(now_ms) {
                        free.push((gateway.clone(), machine.id(), machine.spec().model.kind, Text::cut(code)));
                    }
                }
            });
        }
        let pick = self.dice.below(free.len() as u64) as usize;
        if free.is_empty() { None } else { Some(free.swap_remove(pick)) }
    }

    fn begin(&mut self, gateway: &SimGateway, machine: MachineId, kind: MachineKind) {
        let stretch = stretch(&self.workouts, &mut self.dice, kind);
        let (sets, load_hg) = (3 + self.dice.below(3) as u16, 200 + self.dice.below(60) as u32 * 10);
        let speed = self.speed;
        gateway.with(|core, now_ms| {
            core.at(machine, |unit, out| match kind {
                MachineKind::Strength => unit.lift(sets, 10, load_hg, speed, now_ms, out),
                _ => unit.play(stretch, speed, now_ms, out),
            })
        });
    }

    /// Reads what the phone is told until the machine is done.
    async fn watch(&self, phone: &mut Peer, gateway: &SimGateway, machine: MachineId) -> anyhow::Result<()> {
        loop {
            phone.next_until(Instant::now() + Duration::from_secs(1)).await?;
            if !gateway.with(|core, _| core.machine(machine).is_some_and(crate::gateway::Machine::is_playing)) {
                return Ok(());
            }
        }
    }
}

fn granted(frame: &ServerFrame, machine: MachineId) -> Option<Claimed> {
    match frame {
        ServerFrame::Claimed(claimed) if claimed.machine == machine && claimed.state == ClaimState::Granted => Some(claimed.clone()),
        _ => None,
    }
}
