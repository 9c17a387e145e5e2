//! Plays the hub towards somebody's gateway and notes what it does wrong (`loadtest gateway --listen`).
//!
//! In: connects, frames and breaks of the gateway, time. Out: frames of the hub by a fixed programme ([`programme`]), and
//! [`Finding`]s against the [`Rule`]s of `docs/GATEWAY.md`. Pure; [`serve`] is the thin loop around it.

mod identity;
mod listen;
mod programme;
mod rules;
mod slot;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use protocol::frame::{
    Bound, ClaimHeld, Clock, CommandAnswer, CommandStage, Error, HeldClaim, MachineHello, MachineReady, Role, StopAnswer, StopStage,
    Welcome,
};
use protocol::limits::HEARTBEAT_MS;
use protocol::text::Text;
use protocol::{ClientFrame, ErrorCode, MachineId, ServerFrame, SessionId};
use uuid::Uuid;

pub use identity::ExamDevice;
pub use listen::{ListenArgs, run, serve};
pub use rules::Rule;

use identity::Identity;
use programme::{Awaited, Programme};
use slot::SlotBook;

/// Findings kept; a gateway that breaks a rule each second needs no longer list.
const FINDINGS_MAX: usize = 200;

/// A rule that was broken, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub rule: Rule,
    /// What was seen.
    pub seen: String,
}

/// Plays the hub and takes notes.
#[derive(Debug)]
pub struct Examiner {
    machines: BTreeMap<MachineId, MachineHello>,
    books: SlotBook,
    programme: Programme,
    findings: Vec<Finding>,
    /// Rules that something was seen of.
    tried: Vec<Rule>,
    /// The claim given to the first machine.
    claim: Option<(MachineId, HeldClaim)>,
    hello_seen: bool,
    identity: Identity,
    connects: u32,
    out: Vec<ServerFrame>,
}

impl Default for Examiner {
    fn default() -> Self {
        Self::new()
    }
}

impl Examiner {
    /// Nothing was heard yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            machines: BTreeMap::new(),
            books: SlotBook::default(),
            programme: Programme::default(),
            findings: Vec::new(),
            tried: Vec::new(),
            claim: None,
            hello_seen: false,
            identity: Identity::default(),
            connects: 0,
            out: Vec::new(),
        }
    }

    /// The gateway comes as this device: its signatures are checked.
    #[must_use]
    pub fn with_device(mut self, device: ExamDevice) -> Self {
        self.identity = Identity::of(device);
        self
    }

    /// What was wrong.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Rules that were put to the test.
    #[must_use]
    pub fn tried(&self) -> &[Rule] {
        &self.tried
    }

    /// Readings heard.
    #[must_use]
    pub fn readings(&self) -> u64 {
        self.books.readings()
    }

    /// The programme is through.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.programme.is_over()
    }

    /// The connection should be cut now.
    #[must_use]
    pub const fn wants_break(&self) -> bool {
        self.programme.wants_break()
    }

    fn find(&mut self, rule: Rule, seen: impl Into<String>) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { rule, seen: seen.into() });
        }
    }

    fn try_rule(&mut self, rule: Rule) {
        if !self.tried.contains(&rule) {
            self.tried.push(rule);
        }
    }

    /// The gateway connected.
    pub fn opened(&mut self, now_ms: i64) {
        self.connects += 1;
        self.hello_seen = false;
        self.identity.forget();
        self.machines.clear();
        self.books.opened();
        if let Some(late_ms) = self.programme.opened(now_ms) {
            self.try_rule(Rule::ComesBack);
            if late_ms > 0 {
                self.find(Rule::ComesBack, format!("it came back {late_ms} ms too late"));
            }
        }
    }

    /// The connection is gone.
    pub fn closed(&mut self, now_ms: i64) {
        self.programme.closed(now_ms);
    }

    /// Bytes that were no frame.
    pub fn strange(&mut self, error: &str) {
        self.find(Rule::Decodable, error);
    }

    /// Takes one frame; what the hub answers.
    pub fn hear(&mut self, frame: ClientFrame, now_ms: i64) -> Vec<ServerFrame> {
        self.try_rule(Rule::Decodable);
        self.try_rule(Rule::HelloFirst);
        let first = matches!(frame, ClientFrame::Hello(_)) || (self.identity.is_asked() && matches!(frame, ClientFrame::Prove(_)));
        if !self.hello_seen && !first {
            self.find(Rule::HelloFirst, format!("`{}` came before hello", frame.name()));
        }
        match frame {
            ClientFrame::Hello(hello) => match hello.enrolled.filter(|_| hello.token.is_empty()) {
                Some(device) => {
                    let challenge = self.identity.ask(device, now_ms);
                    self.out.push(challenge.into());
                }
                None => self.welcome(now_ms),
            },
            ClientFrame::Prove(prove) => {
                self.try_rule(Rule::Proves);
                if let Err(wrong) = self.identity.check(&prove) {
                    self.find(Rule::Proves, wrong);
                }
                self.welcome(now_ms);
            }
            ClientFrame::MachineHello(hello) => self.machine_hello(hello),
            ClientFrame::Bind(bind) => {
                self.try_rule(Rule::AnnounceThenBind);
                if bind.machine.is_some_and(|machine| !self.machines.contains_key(&machine)) {
                    self.find(Rule::AnnounceThenBind, format!("slot {} was bound to a machine that was not announced", bind.slot));
                }
                let (slot, found) = (bind.slot, self.books.bind(bind, self.connects > 1));
                found.into_iter().for_each(|finding| self.note(finding));
                self.out.push(Bound { slot }.into());
            }
            ClientFrame::Unbind(unbind) => self.books.unbind(unbind.slot),
            ClientFrame::Clock(clock) => self.clock(&clock, now_ms),
            ClientFrame::ClaimHeld(held) => self.claim_held(&held),
            ClientFrame::CommandAnswer(answer) => self.command_answer(&answer),
            ClientFrame::StopAnswer(answer) => self.stop_answer(&answer, now_ms),
            ClientFrame::MachineState(_) | ClientFrame::MachineFault(_) | ClientFrame::SecondSign(_) | ClientFrame::Refresh(_) => (),
            ClientFrame::Ping(ping) => self.out.push(protocol::frame::Pong { n: ping.n, server_at_ms: now_ms }.into()),
            ClientFrame::Sample(_)
            | ClientFrame::Batch(_)
            | ClientFrame::FtmsRaw(_)
            | ClientFrame::Lost(_)
            | ClientFrame::Rep(_)
            | ClientFrame::Set(_)
            | ClientFrame::Stroke(_) => {
                let found = self.books.hear(&frame, now_ms);
                found.into_iter().for_each(|finding| self.note(finding));
            }
            other => {
                let error = Error::new(None, ErrorCode::Forbidden).detail(other.name());
                self.out.push(error.into());
            }
        }
        std::mem::take(&mut self.out)
    }

    fn note(&mut self, (rule, seen): (Rule, Option<String>)) {
        self.try_rule(rule);
        if let Some(seen) = seen {
            self.find(rule, seen);
        }
    }

    fn welcome(&mut self, now_ms: i64) {
        self.hello_seen = true;
        let welcome = Welcome {
            session: SessionId(Uuid::now_v7()),
            subject: Uuid::nil(),
            role: Role::Gateway,
            server_at_ms: now_ms,
            expires_at_ms: now_ms + 24 * 3_600_000,
            heartbeat_ms: HEARTBEAT_MS as u32,
            ticket: Text::cut("examiner"),
            resumed: false,
        };
        self.out.push(welcome.into());
    }

    fn machine_hello(&mut self, hello: MachineHello) {
        let machine = hello.machine;
        if let Some((claimed, claim)) = self.claim.filter(|(claimed, _)| *claimed == machine && self.connects > 1) {
            self.try_rule(Rule::ClaimKept);
            if hello.claim != Some(claim) {
                self.find(Rule::ClaimKept, format!("{claimed} came back with the claim {:?}, not with fence {}", hello.claim, claim.fence));
            }
        }
        let claim = self.claim.filter(|(claimed, _)| *claimed == machine).map(|(_, claim)| claim);
        self.machines.insert(machine, hello);
        self.out.push(MachineReady { machine, claim }.into());
    }

    fn clock(&mut self, clock: &Clock, now_ms: i64) {
        self.try_rule(Rule::ClockAnswered);
        match self.programme.clocks.remove(&clock.clock) {
            Some(asked_at_ms) if asked_at_ms != clock.asked_at_ms => {
                self.find(Rule::ClockAnswered, format!("asked_at_ms came back as {}, not {asked_at_ms}", clock.asked_at_ms));
            }
            Some(asked_at_ms) if now_ms - asked_at_ms > 1_000 => {
                self.find(Rule::ClockAnswered, format!("answered after {} ms", now_ms - asked_at_ms));
            }
            Some(_) => self.books.clock_is(clock.clock, clock.sent_dev_ms),
            None => self.find(Rule::ClockAnswered, format!("clock {} answers what was not asked", clock.clock)),
        }
        if clock.sent_dev_ms < clock.received_dev_ms {
            self.find(Rule::ClockAnswered, "sent_dev_ms is before received_dev_ms");
        }
    }

    fn claim_held(&mut self, held: &ClaimHeld) {
        self.try_rule(Rule::ClaimHeld);
        self.programme.heard(&Awaited::ClaimHeld);
        self.books.claim_taken(held.machine);
        if self.claim.is_none_or(|(machine, claim)| machine != held.machine || claim.fence != held.fence) {
            self.find(Rule::ClaimHeld, format!("{} says that it keeps fence {}, which nobody gave it", held.machine, held.fence));
        }
    }

    fn command_answer(&mut self, answer: &CommandAnswer) {
        let Some(rule) = self.programme.commands.get(&answer.id).copied() else { return };
        self.try_rule(rule);
        self.programme.heard(&Awaited::Command(answer.id));
        if answer.stage == CommandStage::Answered {
            self.find(rule, format!("the machine was told: result {:?}", answer.result));
        }
    }

    fn stop_answer(&mut self, answer: &StopAnswer, now_ms: i64) {
        if self.programme.stop.is_none_or(|(id, _)| id != answer.id) {
            return self.find(Rule::StopHeard, format!("stop {} was never sent", answer.id));
        }
        self.try_rule(Rule::StopHeard);
        self.programme.stop_answered(answer.answer, now_ms);
        if answer.answer != StopStage::Received {
            self.try_rule(Rule::StopEnds);
        }
        if answer.answer == StopStage::Refused && answer.result.is_none() {
            self.find(Rule::StopEnds, "refused without the machine's result code");
        }
    }

    /// Time passes: what the hub says by its programme.
    pub fn tick(&mut self, now_ms: i64) -> Vec<ServerFrame> {
        programme::step(self, now_ms);
        std::mem::take(&mut self.out)
    }
}
