//! What the examiner does when: the hub's part of the contract, from a quiet beginning to a break and back.
//!
//! Times count from the first reading of a connection. The second connection ends the programme.

use std::collections::{BTreeMap, HashMap};

use protocol::frame::{ClaimSet, ClockAsk, Command, HeldClaim, StopMachine, StopStage, Target};
use protocol::limits::{STOP_CONFIRM_MS, STOP_REPEAT_MS};
use protocol::{CommandId, MachineId, MemberId, StopId, WorkoutId};
use uuid::Uuid;

use super::{Examiner, Rule};

const FENCE: u64 = 7;
const RATE: u32 = 500;
/// A gateway must be back by then.
const BACK_MS: i64 = 30_000;
const ACK_EVERY_MS: i64 = 1_000;

/// Steps of the first connection, and of the second.
const FIRST: [(i64, Step); 9] = [
    (1_500, Step::Clocks),
    (3_000, Step::Claim),
    (4_500, Step::OldFence),
    (5_000, Step::Expired),
    (6_500, Step::Hold),
    (9_500, Step::Resend),
    (13_000, Step::Review),
    (13_500, Step::Stop),
    (16_000, Step::Break),
];
const SECOND: [(i64, Step); 4] = [(2_500, Step::LiveFirst), (3_000, Step::Resend), (7_000, Step::Review), (7_500, Step::End)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Clocks,
    Claim,
    OldFence,
    Expired,
    Hold,
    Resend,
    Review,
    Stop,
    Break,
    LiveFirst,
    End,
}

/// An answer that must come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Awaited {
    /// `claim_held`.
    ClaimHeld,
    /// Any answer to this command.
    Command(CommandId),
}

/// Where the programme stands.
#[derive(Debug, Default)]
pub(super) struct Programme {
    connection: u32,
    /// When the first reading of this connection was seen, once one was.
    began_ms: Option<i64>,
    connected: bool,
    done: usize,
    acked_ms: i64,
    breaks: bool,
    over: bool,
    broken_ms: Option<i64>,
    awaited: Vec<(Awaited, Rule, i64)>,
    pub(super) clocks: BTreeMap<u16, i64>,
    pub(super) commands: HashMap<CommandId, Rule>,
    pub(super) stop: Option<(StopId, i64)>,
    stop_sent_ms: i64,
    stop_stage: Option<StopStage>,
}

impl Programme {
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    pub(super) const fn wants_break(&self) -> bool {
        self.breaks
    }

    /// A connection: how much too late it is, where it follows a break.
    pub(super) fn opened(&mut self, now_ms: i64) -> Option<i64> {
        self.connection += 1;
        (self.began_ms, self.done, self.connected, self.breaks) = (None, 0, true, false);
        self.clocks.clear();
        self.awaited.clear();
        self.broken_ms.take().map(|broken_ms| (now_ms - broken_ms - BACK_MS).max(0))
    }

    pub(super) fn closed(&mut self, now_ms: i64) {
        self.connected = false;
        self.breaks = false;
        self.broken_ms = Some(now_ms);
    }

    pub(super) fn heard(&mut self, what: &Awaited) {
        self.awaited.retain(|(awaited, ..)| awaited != what);
    }

    pub(super) fn stop_answered(&mut self, stage: StopStage, _now_ms: i64) {
        self.stop_stage = Some(stage);
    }

    fn due(&mut self, now_ms: i64) -> Option<Step> {
        let since_ms = now_ms - self.began_ms?;
        let steps: &[(i64, Step)] = if self.connection == 1 { &FIRST } else { &SECOND };
        let &(at_ms, step) = steps.get(self.done)?;
        (at_ms <= since_ms).then(|| {
            self.done += 1;
            step
        })
    }
}

/// Does what is due at `now_ms`.
pub(super) fn step(examiner: &mut Examiner, now_ms: i64) {
    if !examiner.programme.connected {
        if examiner.programme.broken_ms.is_some_and(|broken_ms| now_ms - broken_ms > BACK_MS) {
            examiner.try_rule(Rule::ComesBack);
            examiner.find(Rule::ComesBack, format!("nobody came back within {} s", BACK_MS / 1_000));
            examiner.programme.over = true;
        }
        return;
    }
    if examiner.programme.began_ms.is_none() && examiner.readings() > 0 {
        examiner.programme.began_ms = Some(now_ms);
    }
    overdue(examiner, now_ms);
    if now_ms - examiner.programme.acked_ms >= ACK_EVERY_MS {
        examiner.programme.acked_ms = now_ms;
        let ack = examiner.books.ack();
        examiner.out.extend(ack);
    }
    repeat_stop(examiner, now_ms);
    while let Some(step) = examiner.programme.due(now_ms) {
        take(examiner, step, now_ms);
    }
}

fn overdue(examiner: &mut Examiner, now_ms: i64) {
    let (late, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut examiner.programme.awaited).into_iter().partition(|(.., by)| *by < now_ms);
    examiner.programme.awaited = waiting;
    for (awaited, rule, _) in late {
        examiner.try_rule(rule);
        examiner.find(rule, format!("no answer came to {awaited:?}"));
    }
    let silent: Vec<u16> =
        examiner.programme.clocks.iter().filter(|(_, asked)| now_ms - **asked > 2_000).map(|(clock, _)| *clock).collect();
    for clock in silent {
        examiner.programme.clocks.remove(&clock);
        examiner.try_rule(Rule::ClockAnswered);
        examiner.find(Rule::ClockAnswered, format!("clock {clock} did not answer"));
    }
}

fn first_machine(examiner: &Examiner) -> Option<(MachineId, u16)> {
    examiner.machines.values().next().map(|hello| (hello.machine, hello.clock))
}

fn take(examiner: &mut Examiner, step: Step, now_ms: i64) {
    match step {
        Step::Clocks => {
            let clocks: Vec<u16> = examiner.machines.values().map(|hello| hello.clock).collect();
            for clock in clocks {
                examiner.programme.clocks.insert(clock, now_ms);
                examiner.out.push(ClockAsk { clock, asked_at_ms: now_ms }.into());
            }
        }
        Step::Claim => {
            if let Some((machine, _)) = first_machine(examiner) {
                let claim = HeldClaim { member: MemberId(Uuid::now_v7()), fence: FENCE, workout: WorkoutId(Uuid::now_v7()) };
                examiner.claim = Some((machine, claim));
                examiner.books.claim_sent(machine);
                examiner.programme.awaited.push((Awaited::ClaimHeld, Rule::ClaimHeld, now_ms + 1_000));
                examiner.out.push(ClaimSet { machine, claim }.into());
            }
        }
        Step::OldFence => command(examiner, FENCE - 1, Rule::StaleFence, 60_000, now_ms),
        Step::Expired => command(examiner, FENCE, Rule::CommandExpires, -60_000, now_ms),
        Step::Hold => {
            let holds = examiner.books.hold();
            examiner.out.extend(holds);
        }
        Step::Resend => {
            review(examiner, Rule::HoldGoesOn);
            let asks = examiner.books.resend(RATE, now_ms);
            examiner.out.extend(asks);
        }
        Step::Review => review(examiner, Rule::ResendAtRate),
        Step::LiveFirst => review(examiner, Rule::LiveFirst),
        Step::Stop => {
            if first_machine(examiner).is_some() {
                examiner.programme.stop = Some((StopId(Uuid::now_v7()), now_ms));
                examiner.programme.stop_sent_ms = 0;
                repeat_stop(examiner, now_ms);
            }
        }
        Step::Break => examiner.programme.breaks = true,
        Step::End => examiner.programme.over = true,
    }
}

fn review(examiner: &mut Examiner, rule: Rule) {
    let noted = examiner.books.review(rule);
    noted.into_iter().for_each(|finding| examiner.note(finding));
}

/// A harmless target: nothing is carried out that must not be, and if it is, it is the lowest.
fn command(examiner: &mut Examiner, fence: u64, rule: Rule, life_ms: i64, now_ms: i64) {
    let Some((machine, clock)) = first_machine(examiner) else { return };
    let expires_dev_ms = examiner.books.dev_ms_of(clock).unwrap_or(0) + life_ms;
    let id = CommandId(Uuid::now_v7());
    examiner.programme.commands.insert(id, rule);
    examiner.programme.awaited.push((Awaited::Command(id), rule, now_ms + 1_000));
    examiner.out.push(Command { machine, id, fence, target: Target::ResistanceTenths(0), expires_dev_ms }.into());
}

/// Repeats a stop each 250 ms until the machine has had its word, or a second and a half passed.
fn repeat_stop(examiner: &mut Examiner, now_ms: i64) {
    let Some((id, since_ms)) = examiner.programme.stop else { return };
    let ended = examiner.programme.stop_stage.is_some_and(|stage| stage != StopStage::Received);
    let passed_ms = now_ms - since_ms;
    if examiner.programme.stop_stage.is_none() && passed_ms > STOP_REPEAT_MS && examiner.programme.stop_sent_ms != i64::MAX {
        examiner.try_rule(Rule::StopHeard);
        examiner.find(Rule::StopHeard, format!("no answer after {passed_ms} ms"));
        examiner.programme.stop_sent_ms = i64::MAX;
    }
    if ended || passed_ms > STOP_CONFIRM_MS + STOP_REPEAT_MS * 2 {
        return;
    }
    if now_ms.saturating_sub(examiner.programme.stop_sent_ms) >= STOP_REPEAT_MS
        && let Some((machine, _)) = first_machine(examiner)
    {
        examiner.programme.stop_sent_ms = now_ms;
        examiner.out.push(StopMachine { machine, id, fence: FENCE }.into());
    }
}
