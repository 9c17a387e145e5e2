//! A simulated gateway: many machines over one socket, by the contract of `docs/GATEWAY.md`.
//!
//! In: connects and disconnects, frames of the hub, time, what people do at the machines. Out: frames to send, in order, and the
//! [`Ledger`] of what must be stored. The core is pure, so that a test can drive it without a socket and `loadtest gateway` can hold
//! somebody else's against the same rules; [`SimGateway`] is the thin loop around it.

mod clock;
mod control;
mod details;
mod ledger;
mod machine;
mod mischief;
mod run;
mod source;

use std::collections::{BTreeSet, HashMap};

use protocol::frame::{Clock, ClockAsk, RepDetail};
use protocol::limits::BLANK_MS;
use protocol::{ClientFrame, MachineId, ServerFrame};

pub use clock::{DeviceClock, Skew};
pub use control::{Console, Temper, Word};
pub use details::Details;
pub use ledger::{Checksum, Expected, Key, Ledger, Said, canonical_bytes};
pub use machine::{Machine, MachineSpec, Tongue, characteristic_of};
pub use mischief::{Dice, Mischief};
pub use run::SimGateway;
pub use source::{Held, Item, Source};

/// Errors and rejections kept for a report; more are only counted.
const COMPLAINTS_MAX: usize = 32;
/// Rejections kept by number; more are only counted.
pub(crate) const REJECTIONS_MAX: usize = 8_192;
/// While something waits to be sent again the core wants a tick this often.
const BACKFILL_EVERY_MS: i64 = 50;

/// What a gateway counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections made.
    pub connects: u64,
    /// Frames sent.
    pub frames_sent: u64,
    /// `hold`s heard.
    pub holds: u64,
    /// `resend`s heard.
    pub resends: u64,
    /// Readings rejected by the hub, as often as it said so.
    pub rejected: u64,
    /// Which: machine, boot, seq and number of the reason.
    pub rejections: BTreeSet<(MachineId, u32, u32, u16)>,
    /// Errors told by the hub.
    pub errors: u64,
    /// Words of the first errors and rejections.
    pub complaints: Vec<String>,
    /// Machines where the hub said another claim than the one kept, or none.
    pub claims_lost: u64,
}

/// Many machines over one socket.
#[derive(Debug, Clone)]
pub struct Gateway {
    machines: Vec<Machine>,
    by_id: HashMap<MachineId, usize>,
    /// Machine and place among its sources, by slot.
    slots: Vec<(usize, usize)>,
    ledger: Ledger,
    outbox: Vec<ClientFrame>,
    mischief: Mischief,
    dice: Dice,
    connected: bool,
    ticked_ms: i64,
    utc_minus_now_ms: i64,
    counts: Counts,
}

impl Gateway {
    /// Machines in a world that runs at `speed` times real time; UTC is `utc_ms` at `now_ms`. `seed` draws nonces and mischief.
    #[must_use]
    pub fn new(specs: Vec<MachineSpec>, speed: f64, now_ms: i64, utc_ms: i64, mischief: Mischief, seed: u64) -> Self {
        let mut gateway = Self {
            machines: Vec::with_capacity(specs.len()),
            by_id: HashMap::new(),
            slots: Vec::new(),
            ledger: Ledger::default(),
            outbox: Vec::new(),
            mischief,
            dice: Dice::new(seed),
            connected: false,
            ticked_ms: now_ms,
            utc_minus_now_ms: utc_ms - now_ms,
            counts: Counts::default(),
        };
        for spec in specs {
            let index = gateway.machines.len();
            let clock = spec.skew.clock(now_ms, utc_ms, speed);
            let slot = gateway.slot(index, 0);
            let nonce = gateway.dice.roll() as u32;
            let source = Source::new(slot, spec.machine, "ftms", index as u16, spec.boot, nonce, spec.buffer_max);
            let source = if spec.archive { source.archived() } else { source };
            gateway.by_id.insert(spec.machine, index);
            gateway.machines.push(Machine::new(spec, index as u16, clock, source));
        }
        gateway
    }

    fn slot(&mut self, machine: usize, source: usize) -> u16 {
        self.slots.push((machine, source));
        self.slots.len() as u16 - 1
    }

    /// Its machines.
    #[must_use]
    pub fn machines(&self) -> &[Machine] {
        &self.machines
    }

    /// One machine.
    #[must_use]
    pub fn machine(&self, machine: MachineId) -> Option<&Machine> {
        self.by_id.get(&machine).map(|&at| &self.machines[at])
    }

    /// Does something at a machine: presses start, pulls the key, lifts. What it says goes out with the rest; none for a machine
    /// that is not here.
    pub fn at<T>(&mut self, machine: MachineId, act: impl FnOnce(&mut Machine, &mut Vec<ClientFrame>) -> T) -> Option<T> {
        let at = *self.by_id.get(&machine)?;
        let mut said = Vec::new();
        let done = act(&mut self.machines[at], &mut said);
        if self.connected {
            self.outbox.append(&mut said);
        }
        Some(done)
    }

    /// Numbers something that is in no ledger, because it must not be stored: its machine, boot and seq. None for a machine that is not
    /// here.
    pub fn number(&mut self, machine: MachineId, item: Item, now_ms: i64) -> Option<(MachineId, u32, u32)> {
        let at = *self.by_id.get(&machine)?;
        let unit = &mut self.machines[at];
        let dev_ms = unit.clock.at(now_ms);
        let source = unit.sources.last_mut()?;
        let (boot, mut said) = (source.boot(), Vec::new());
        let seq = source.record(dev_ms, item, &mut said);
        if self.connected {
            self.outbox.append(&mut said);
        }
        Some((machine, boot, seq))
    }

    /// What must be stored.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What was counted.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether a connection stands.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.connected
    }

    /// Every source has heard that all it numbered is stored, or has declared it lost.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.machines.iter().flat_map(|machine| &machine.sources).all(Source::is_settled)
    }

    /// Nothing is replayed any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !self.machines.iter().any(Machine::is_playing)
    }

    /// Readings in all buffers.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.machines.iter().flat_map(|machine| &machine.sources).map(Source::buffered).sum()
    }

    /// The power of a machine goes off and on: next boot, new nonce, clock from its start; claim and buffer stay in flash.
    pub fn reboot(&mut self, machine: MachineId, speed: f64, now_ms: i64) {
        let Some(&at) = self.by_id.get(&machine) else { return };
        let slot = self.slot(at, self.machines[at].sources.len());
        let nonce = self.dice.roll() as u32;
        let unit = &mut self.machines[at];
        let clock = unit.spec.skew.clock(now_ms, now_ms + self.utc_minus_now_ms, speed);
        let boot = unit.sources.last().map_or(0, Source::boot) + 1;
        let source = Source::new(slot, machine, "ftms", unit.index, boot, nonce, unit.spec.buffer_max);
        unit.restart(clock, if unit.spec.archive { source.archived() } else { source });
        if self.connected {
            self.outbox.push(unit.hello().into());
            let bind = unit.sources.last_mut().map(Source::bind);
            self.outbox.extend(bind.map(ClientFrame::from));
        }
    }

    /// This gateway as it would be if nobody had ever told it what is stored: every archived reading is in its buffers again.
    #[must_use]
    pub fn with_old_buffers(&self) -> Self {
        let mut old = self.clone();
        old.machines = self.machines.iter().map(Machine::with_old_buffers).collect();
        old.disconnected();
        (old.mischief, old.counts) = (Mischief::default(), Counts::default());
        old
    }

    /// Slot of the running boot of a machine.
    #[must_use]
    pub fn running_slot(&self, machine: MachineId) -> Option<u16> {
        self.machine(machine)?.sources.last().map(|source| source.slot)
    }

    /// A connection stands and was welcomed: every machine says hello and binds the sources that still have something to say.
    pub fn connected(&mut self) {
        self.connected = true;
        self.counts.connects += 1;
        self.outbox.clear();
        for machine in &mut self.machines {
            machine.ready = false;
            self.outbox.push(machine.hello().into());
            let running = machine.sources.len() - 1;
            for (at, source) in machine.sources.iter_mut().enumerate() {
                if at == running || source.buffered() > 0 || !source.is_settled() {
                    self.outbox.push(source.bind().into());
                }
            }
        }
    }

    /// The connection is gone.
    pub fn disconnected(&mut self) {
        self.connected = false;
        self.outbox.clear();
        self.machines.iter_mut().flat_map(|machine| &mut machine.sources).for_each(Source::unbound);
    }

    fn source(&mut self, slot: u16) -> Option<&mut Source> {
        let &(machine, source) = self.slots.get(usize::from(slot))?;
        self.machines[machine].sources.get_mut(source)
    }

    /// Takes a frame of the hub.
    pub fn hear(&mut self, frame: &ServerFrame, now_ms: i64) {
        let mut out = std::mem::take(&mut self.outbox);
        match frame {
            ServerFrame::Bound(bound) => {
                if let Some(source) = self.source(bound.slot) {
                    source.bound(&mut out);
                }
            }
            ServerFrame::Ack(ack) => {
                for ack in &ack.acks {
                    if let Some(source) = self.source(ack.slot) {
                        source.ack(ack);
                    }
                }
            }
            ServerFrame::Hold(hold) => {
                self.counts.holds += 1;
                if let Some(source) = self.source(hold.slot) {
                    source.hold();
                }
            }
            ServerFrame::Resend(resend) => {
                self.counts.resends += 1;
                if let Some(source) = self.source(resend.slot) {
                    source.resend(resend.from, resend.to, resend.rate, &mut out);
                }
            }
            ServerFrame::ClockAsk(ask) => out.extend(self.clock_answer(ask, now_ms)),
            ServerFrame::Rejected(rejected) => {
                self.counts.rejected += 1;
                let of = self.source(rejected.slot).map(|source| (source.machine, source.boot()));
                if let Some((machine, boot)) = of.filter(|_| self.counts.rejections.len() < REJECTIONS_MAX) {
                    self.counts.rejections.insert((machine, boot, rejected.seq, rejected.code));
                }
                self.complain(format!("rejected {} of slot {}: {} {}", rejected.seq, rejected.slot, rejected.code, rejected.detail));
            }
            ServerFrame::Error(error) => {
                self.counts.errors += 1;
                self.complain(format!("{} {} {}", error.code, error.name, error.detail.as_deref().unwrap_or_default()));
            }
            other => self.hear_of_machine(other, now_ms, &mut out),
        }
        self.outbox = out;
    }

    fn hear_of_machine(&mut self, frame: &ServerFrame, now_ms: i64, out: &mut Vec<ClientFrame>) {
        let id = match frame {
            ServerFrame::MachineReady(ready) => ready.machine,
            ServerFrame::ShowCode(show) => show.machine,
            ServerFrame::ClaimSet(set) => set.machine,
            ServerFrame::ClaimClear(clear) => clear.machine,
            ServerFrame::Command(command) => command.machine,
            ServerFrame::StopMachine(stop) => stop.machine,
            _ => return,
        };
        let Some(machine) = self.by_id.get(&id).map(|&at| &mut self.machines[at]) else { return };
        match frame {
            ServerFrame::MachineReady(ready) => {
                machine.ready = true;
                if machine.claim().is_some() && machine.claim() != ready.claim {
                    self.counts.claims_lost += 1;
                }
                if machine.claim() != ready.claim {
                    machine.keep_claim(ready.claim, now_ms, out);
                }
            }
            ServerFrame::ShowCode(show) => machine.show_code(show.code.clone(), now_ms + i64::from(show.life_ms)),
            ServerFrame::ClaimSet(set) if machine.obeys(set.claim.fence) => machine.keep_claim(Some(set.claim), now_ms, out),
            ServerFrame::ClaimClear(clear) => machine.clear_claim(clear.fence),
            ServerFrame::Command(command) => {
                let now_dev_ms = machine.clock.at(now_ms);
                let expires = if machine.obeys(command.fence) { command.expires_dev_ms } else { i64::MIN };
                machine.order(
                    |console, words| console.command(command.id, command.target, expires, now_ms, now_dev_ms, words),
                    now_ms,
                    out,
                );
            }
            // A stop that was asked for under a claim that is over must not stop the next member.
            ServerFrame::StopMachine(stop) if stop.fence == 0 || machine.obeys(stop.fence) => {
                machine.order(|console, words| console.stop(stop.id, now_ms, words), now_ms, out);
            }
            _ => (),
        }
    }

    fn clock_answer(&self, ask: &ClockAsk, now_ms: i64) -> Option<ClientFrame> {
        let dev_ms = self.machines.get(usize::from(ask.clock))?.clock.at(now_ms);
        Some(Clock { clock: ask.clock, asked_at_ms: ask.asked_at_ms, received_dev_ms: dev_ms, sent_dev_ms: dev_ms }.into())
    }

    fn complain(&mut self, text: String) {
        if self.counts.complaints.len() < COMPLAINTS_MAX {
            self.counts.complaints.push(text);
        }
    }

    /// Does everything that is due: readings live first, then what was asked for again, at its pace.
    pub fn tick(&mut self, now_ms: i64) {
        let passed_ms = (now_ms - self.ticked_ms).clamp(0, BLANK_MS);
        self.ticked_ms = now_ms;
        let mut said = Vec::new();
        for machine in &mut self.machines {
            machine.tick(now_ms, &mut self.ledger, &mut said);
        }
        for source in self.machines.iter_mut().flat_map(|machine| &mut machine.sources) {
            source.backfill(passed_ms, &mut said);
        }
        if self.connected {
            self.outbox.append(&mut said);
        }
    }

    /// When the next tick is wanted.
    #[must_use]
    pub fn due_ms(&self) -> i64 {
        let machines = self.machines.iter().filter_map(Machine::due_ms).min().unwrap_or(i64::MAX);
        let backfill = self.machines.iter().flat_map(|machine| &machine.sources).any(Source::has_wanted);
        if backfill { machines.min(self.ticked_ms + BACKFILL_EVERY_MS) } else { machines }
    }

    /// Takes the frames to send, in order, with whatever mischief the network does to readings.
    pub fn take_frames(&mut self) -> Vec<ClientFrame> {
        let frames = self.mischief.apply(std::mem::take(&mut self.outbox), &mut self.dice);
        self.counts.frames_sent += frames.len() as u64;
        frames
    }
}

/// A repetition as a cable machine measures it.
fn lifted(set: u16, rep: u16, load_hg: u32) -> RepDetail {
    // Each repetition of a set is a little slower than the one before.
    let slower = u16::min(rep.saturating_mul(20), 400);
    RepDetail {
        set,
        rep,
        load_hg,
        range_mm: 520,
        mean_mm_s: 620 - slower,
        peak_mm_s: 900 - slower,
        peak_power_w: 340 - slower / 2,
        concentric_ms: 900 + slower,
        eccentric_ms: 1_400,
    }
}

#[cfg(test)]
mod tests;
