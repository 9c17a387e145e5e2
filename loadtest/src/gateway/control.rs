//! The control point of a simulated machine, and the part of a gateway that writes to it.
//!
//! In: stops and commands of the hub, time. Out: [`Word`]s: what to answer, and what the machine does. The machine's side follows
//! FTMS 1.0 section 4.16: control must be requested first, one procedure at a time, a write during one is discarded. The gateway's side
//! follows `docs/GATEWAY.md`: a stop throws away what waits, takes control and tries again where it is refused for want of it, and
//! tells the truth. Pure.

use std::collections::VecDeque;

use protocol::frame::{CommandStage, StopStage, Target};
use protocol::ftms::{CONTROL_NOT_PERMITTED, NOT_SUPPORTED, Request, Response, SUCCESS};
use protocol::{CommandId, StopId};

/// From a write to the machine's indication.
const ANSWER_MS: i64 = 20;
/// A machine that does not indicate within this time does not answer (FTMS 1.0 section 4.16.4 allows 30 s; people do not).
const GIVE_UP_MS: i64 = 3_000;
/// Answers kept, so that a repeat is answered and not carried out again.
const ANSWERED_MAX: usize = 64;

/// How a machine takes orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temper {
    /// Carries out what it is told after control was requested.
    Willing {
        /// Whether the gateway sees that it stands stopped (another client's status, CSAFE), or only readings at rest.
        tells_stopped: bool,
    },
    /// Refuses every procedure but the request for control with this result code.
    Refuses {
        /// FTMS result code.
        result: u8,
    },
    /// Takes writes and never indicates.
    Mute,
}

/// What comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// What became of a stop.
    Stop(StopId, StopStage, Option<u8>),
    /// What became of a command.
    Command(CommandId, CommandStage, Option<u8>),
    /// The machine stops now.
    Stops,
    /// The machine goes to this target.
    Goes(Target),
}

/// The machine's control point.
#[derive(Debug, Clone)]
struct Point {
    temper: Temper,
    controlled: bool,
    /// The op being carried out, and when it is answered.
    busy: Option<(u8, i64)>,
}

impl Point {
    /// Takes a written value; false where another procedure runs and the write is discarded.
    fn write(&mut self, bytes: &[u8], now_ms: i64) -> bool {
        if self.busy.is_some() {
            return false;
        }
        self.busy = bytes.first().map(|&op| (op, now_ms + ANSWER_MS));
        true
    }

    /// The indication that is due.
    fn indication(&mut self, now_ms: i64) -> Option<Vec<u8>> {
        let (op, at_ms) = self.busy.filter(|(_, at_ms)| *at_ms <= now_ms)?;
        let request_control = Request::request_control().op;
        let result = match self.temper {
            Temper::Mute if now_ms < at_ms + GIVE_UP_MS => return None,
            Temper::Mute => {
                self.busy = None;
                return None;
            }
            _ if op == request_control => {
                self.controlled = true;
                SUCCESS
            }
            _ if !self.controlled => CONTROL_NOT_PERMITTED,
            Temper::Refuses { result } => result,
            Temper::Willing { .. } if op > 0x14 => NOT_SUPPORTED,
            Temper::Willing { .. } => SUCCESS,
        };
        self.busy = None;
        Some(Response::new(op, result).encode())
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Duty {
    Stop(StopId),
    Command { id: CommandId, target: Target, request: Request },
}

/// One procedure under way: what for, whether control is being asked for first, and since when.
#[derive(Debug, Clone)]
struct Doing {
    duty: Duty,
    asking: bool,
    asked: bool,
    since_ms: i64,
}

/// The gateway's side of one machine's control point.
#[derive(Debug, Clone)]
pub struct Console {
    point: Point,
    doing: Option<Doing>,
    waiting_stop: Option<StopId>,
    waiting_command: Option<(Duty, i64)>,
    stops: VecDeque<(StopId, StopStage, Option<u8>)>,
    commands: VecDeque<(CommandId, CommandStage, Option<u8>)>,
}

impl Console {
    /// A control point that nobody holds.
    #[must_use]
    pub const fn new(temper: Temper) -> Self {
        let point = Point { temper, controlled: false, busy: None };
        Self { point, doing: None, waiting_stop: None, waiting_command: None, stops: VecDeque::new(), commands: VecDeque::new() }
    }

    /// Changes how the machine takes orders from now on.
    pub const fn set_temper(&mut self, temper: Temper) {
        self.point.temper = temper;
    }

    /// Somebody at the console took control: what runs and waits is lost.
    pub fn lose_control(&mut self, out: &mut Vec<Word>) {
        self.point.controlled = false;
        let doing = self.doing.take_if(|doing| matches!(doing.duty, Duty::Command { .. })).map(|doing| doing.duty);
        for duty in doing.into_iter().chain(self.waiting_command.take().map(|(duty, _)| duty)) {
            if let Duty::Command { id, .. } = duty {
                self.tell_command(id, CommandStage::ControlLost, None, out);
            }
        }
    }

    /// A stop came, perhaps again.
    pub fn stop(&mut self, id: StopId, now_ms: i64, out: &mut Vec<Word>) {
        if let Some(&(_, stage, result)) = self.stops.iter().find(|(known, ..)| *known == id) {
            out.push(Word::Stop(id, stage, result));
            return;
        }
        self.tell_stop(id, StopStage::Received, None, out);
        if let Some((Duty::Command { id, .. }, _)) = self.waiting_command.take() {
            self.tell_command(id, CommandStage::Expired, None, out);
        }
        self.waiting_stop = Some(id);
        self.tick(now_ms, 0, out);
    }

    /// A command came, perhaps again.
    pub fn command(&mut self, id: CommandId, target: Target, expires_dev_ms: i64, now_ms: i64, now_dev_ms: i64, out: &mut Vec<Word>) {
        if let Some(&(_, stage, result)) = self.commands.iter().find(|(known, ..)| *known == id) {
            out.push(Word::Command(id, stage, result));
            return;
        }
        if now_dev_ms >= expires_dev_ms {
            return self.tell_command(id, CommandStage::Expired, None, out);
        }
        let Some(request) = Request::of_target(target) else {
            return self.tell_command(id, CommandStage::Answered, Some(protocol::ftms::INVALID_PARAMETER), out);
        };
        self.tell_command(id, CommandStage::Received, None, out);
        if let Some((Duty::Command { id, .. }, _)) = self.waiting_command.replace((Duty::Command { id, target, request }, expires_dev_ms)) {
            self.tell_command(id, CommandStage::Expired, None, out);
        }
        self.tick(now_ms, now_dev_ms, out);
    }

    /// Time passes: indications come, what waits begins. `now_dev_ms` decides what has expired.
    pub fn tick(&mut self, now_ms: i64, now_dev_ms: i64, out: &mut Vec<Word>) {
        if let Some(bytes) = self.point.indication(now_ms)
            && let Ok(response) = Response::decode(&bytes)
        {
            self.answered(response, now_ms, out);
        }
        if self.doing.as_ref().is_some_and(|doing| now_ms - doing.since_ms > GIVE_UP_MS) {
            self.doing = None;
        }
        if self.doing.is_none() && self.point.busy.is_none() {
            if let Some(id) = self.waiting_stop.take() {
                self.begin(Duty::Stop(id), now_ms);
            } else if let Some((duty, expires_dev_ms)) = self.waiting_command.take() {
                match duty {
                    Duty::Command { id, .. } if now_dev_ms >= expires_dev_ms => self.tell_command(id, CommandStage::Expired, None, out),
                    duty => self.begin(duty, now_ms),
                }
            }
        }
    }

    fn begin(&mut self, duty: Duty, now_ms: i64) {
        // A stop is written at once: some machines stop for whoever asks; a command takes control first.
        let asking = !self.point.controlled && matches!(duty, Duty::Command { .. });
        let doing = Doing { duty, asking, asked: asking, since_ms: now_ms };
        self.write(&doing, now_ms);
        self.doing = Some(doing);
    }

    fn write(&mut self, doing: &Doing, now_ms: i64) {
        let request = match &doing.duty {
            _ if doing.asking => Request::request_control(),
            Duty::Stop(_) => Request::stop(),
            Duty::Command { request, .. } => request.clone(),
        };
        let taken = self.point.write(&request.encode(), now_ms);
        debug_assert!(taken, "a procedure begins only when none runs");
    }

    fn answered(&mut self, response: Response, now_ms: i64, out: &mut Vec<Word>) {
        let Some(mut doing) = self.doing.take() else { return };
        let refused_for_control = response.result == CONTROL_NOT_PERMITTED && !doing.asked;
        if (doing.asking && response.result == SUCCESS) || refused_for_control {
            doing.asking = refused_for_control;
            doing.asked = true;
            self.write(&doing, now_ms);
            self.doing = Some(doing);
            return;
        }
        match doing.duty {
            Duty::Stop(id) if response.result == SUCCESS => {
                self.tell_stop(id, StopStage::Confirmed, Some(SUCCESS), out);
                out.push(Word::Stops);
            }
            Duty::Stop(id) => self.tell_stop(id, StopStage::Refused, Some(response.result), out),
            Duty::Command { id, target, .. } => {
                self.tell_command(id, CommandStage::Answered, Some(response.result), out);
                if response.result == SUCCESS {
                    out.push(if target == Target::Pause { Word::Stops } else { Word::Goes(target) });
                }
            }
        }
    }

    /// The machine stands: a confirmed stop becomes `stopped` where the machine can tell.
    pub fn stands(&mut self, out: &mut Vec<Word>) {
        if self.point.temper == (Temper::Willing { tells_stopped: true }) {
            let confirmed: Vec<StopId> =
                self.stops.iter().filter(|(_, stage, _)| *stage == StopStage::Confirmed).map(|(id, ..)| *id).collect();
            for id in confirmed {
                self.tell_stop(id, StopStage::Stopped, Some(SUCCESS), out);
            }
        }
    }

    /// When something happens next by itself.
    #[must_use]
    pub fn due_ms(&self) -> Option<i64> {
        self.point.busy.map(|(_, at_ms)| if self.point.temper == Temper::Mute { at_ms + GIVE_UP_MS } else { at_ms })
    }

    fn tell_stop(&mut self, id: StopId, stage: StopStage, result: Option<u8>, out: &mut Vec<Word>) {
        remember(&mut self.stops, (id, stage, result));
        out.push(Word::Stop(id, stage, result));
    }

    fn tell_command(&mut self, id: CommandId, stage: CommandStage, result: Option<u8>, out: &mut Vec<Word>) {
        remember(&mut self.commands, (id, stage, result));
        out.push(Word::Command(id, stage, result));
    }
}

fn remember<I: PartialEq + Copy, S>(answered: &mut VecDeque<(I, S, Option<u8>)>, answer: (I, S, Option<u8>)) {
    answered.retain(|(known, ..)| *known != answer.0);
    if answered.len() == ANSWERED_MAX {
        answered.pop_front();
    }
    answered.push_back(answer);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(console: &mut Console, until_ms: i64) -> Vec<Word> {
        let mut out = Vec::new();
        for now_ms in 0..until_ms {
            console.tick(now_ms, now_ms, &mut out);
        }
        out
    }

    #[test]
    fn a_stop_refused_for_want_of_control_takes_control_and_tries_again() {
        let (mut console, id, mut out) =
            (Console::new(Temper::Willing { tells_stopped: true }), StopId(uuid::Uuid::from_u128(1)), Vec::new());
        console.stop(id, 0, &mut out);
        out.extend(run(&mut console, 200));
        console.stands(&mut out);
        let stages = [
            Word::Stop(id, StopStage::Received, None),
            Word::Stop(id, StopStage::Confirmed, Some(SUCCESS)),
            Word::Stops,
            Word::Stop(id, StopStage::Stopped, Some(SUCCESS)),
        ];
        assert_eq!(out, stages);
        out.clear();
        console.stop(id, 300, &mut out);
        assert_eq!(out, [Word::Stop(id, StopStage::Stopped, Some(SUCCESS))], "a repeat is answered, not carried out");
    }

    #[test]
    fn a_machine_that_refuses_is_asked_twice_and_then_told_of() {
        let (mut console, id, mut out) = (Console::new(Temper::Refuses { result: 4 }), StopId(uuid::Uuid::from_u128(2)), Vec::new());
        console.stop(id, 0, &mut out);
        out.extend(run(&mut console, 200));
        assert_eq!(out, [Word::Stop(id, StopStage::Received, None), Word::Stop(id, StopStage::Refused, Some(4))]);
    }

    #[test]
    fn a_mute_machine_never_confirms() {
        let (mut console, id, mut out) = (Console::new(Temper::Mute), StopId(uuid::Uuid::from_u128(3)), Vec::new());
        console.stop(id, 0, &mut out);
        out.extend(run(&mut console, 10_000));
        assert_eq!(out, [Word::Stop(id, StopStage::Received, None)]);
    }

    #[test]
    fn a_stop_throws_away_the_command_that_waits_and_an_old_command_is_not_carried_out() {
        let mut console = Console::new(Temper::Willing { tells_stopped: false });
        let (first, second, late) =
            (CommandId(uuid::Uuid::from_u128(4)), CommandId(uuid::Uuid::from_u128(5)), CommandId(uuid::Uuid::from_u128(6)));
        let mut out = Vec::new();
        console.command(first, Target::PowerW(150), 2_000, 0, 0, &mut out);
        console.command(second, Target::PowerW(200), 2_000, 1, 1, &mut out);
        console.stop(StopId(uuid::Uuid::from_u128(7)), 2, &mut out);
        console.command(late, Target::PowerW(100), 3, 4, 4, &mut out);
        assert!(out.contains(&Word::Command(second, CommandStage::Expired, None)), "{out:?}");
        assert!(out.contains(&Word::Command(late, CommandStage::Expired, None)), "{out:?}");
        let later = run(&mut console, 200);
        assert_eq!(later.iter().filter(|word| matches!(word, Word::Goes(Target::PowerW(150)))).count(), 1, "{later:?}");
        assert!(!later.iter().any(|word| matches!(word, Word::Goes(Target::PowerW(200)))), "{later:?}");
    }
}
