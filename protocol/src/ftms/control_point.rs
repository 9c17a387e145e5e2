//! The control point 0x2AD9: requests, answers, and the targets that machine status repeats (FTMS 1.0 sections 4.16 and 4.17).
//!
//! Requests are read leniently (padding is ignored), answers strictly: an answer that is not exactly one is no proof of anything.

use smallvec::SmallVec;

use super::bits::Width::{self, S16, U8, U16, U24};
use super::bits::{Bits, put};
use super::issue::{FtmsError, Issue, Issues};
use crate::frame::Target;

/// A number of a target: readable name, bytes, divisor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    pub(super) name: &'static str,
    pub(super) width: Width,
    pub(super) divisor: u32,
}

/// A procedure that sets something, and the status that tells of it.
#[derive(Debug)]
pub(super) struct Procedure {
    pub(super) op: u8,
    pub(super) status: u8,
    pub(super) numbers: &'static [Number],
}

const fn number(name: &'static str, width: Width, divisor: u32) -> Number {
    Number { name, width, divisor }
}
const SECONDS: Number = number("seconds", U16, 1);
const SIMULATION: &[Number] =
    &[number("wind_mps", S16, 1_000), number("grade_pct", S16, 100), number("crr", U8, 10_000), number("cw_kg_per_m", U8, 100)];

/// All procedures that set something.
pub(super) static PROCEDURES: &[Procedure] = &[
    Procedure { op: 0x02, status: 0x05, numbers: &[number("speed_kmh", U16, 100)] },
    Procedure { op: 0x03, status: 0x06, numbers: &[number("inclination_pct", S16, 10)] },
    Procedure { op: 0x04, status: 0x07, numbers: &[number("resistance", S16, 10)] },
    Procedure { op: 0x05, status: 0x08, numbers: &[number("power_w", S16, 1)] },
    Procedure { op: 0x06, status: 0x09, numbers: &[number("heart_rate_bpm", U8, 1)] },
    Procedure { op: 0x09, status: 0x0a, numbers: &[number("energy_kcal", U16, 1)] },
    Procedure { op: 0x0a, status: 0x0b, numbers: &[number("steps", U16, 1)] },
    Procedure { op: 0x0b, status: 0x0c, numbers: &[number("strides", U16, 1)] },
    Procedure { op: 0x0c, status: 0x0d, numbers: &[number("distance_m", U24, 1)] },
    Procedure { op: 0x0d, status: 0x0e, numbers: &[SECONDS] },
    Procedure { op: 0x0e, status: 0x0f, numbers: &[SECONDS; 2] },
    Procedure { op: 0x0f, status: 0x10, numbers: &[SECONDS; 3] },
    Procedure { op: 0x10, status: 0x11, numbers: &[SECONDS; 5] },
    Procedure { op: 0x11, status: 0x12, numbers: SIMULATION },
    Procedure { op: 0x12, status: 0x13, numbers: &[number("circumference_mm", U16, 10)] },
    Procedure { op: 0x14, status: 0x15, numbers: &[number("cadence_rpm", U16, 2)] },
];

impl Procedure {
    /// Names of its numbers, each once.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.numbers.iter().map(|number| number.name).collect();
        names.dedup();
        names
    }
}

/// The numbers that come with an op code of the control point.
pub(super) fn numbers_of_request(op: u8) -> Option<&'static [Number]> {
    PROCEDURES.iter().find(|procedure| procedure.op == op).map(|procedure| procedure.numbers)
}

/// The numbers that come with an op code of machine status.
pub(super) fn numbers_of_status(op: u8) -> Option<&'static [Number]> {
    PROCEDURES.iter().find(|procedure| procedure.status == op).map(|procedure| procedure.numbers)
}

/// Numbers of a target as the machine writes them.
pub type Numbers = SmallVec<[i64; 5]>;

const RESISTANCE: &[Number] = &[number("resistance", S16, 10)];
/// The text of FTMS 1.0 has a resistance of one byte; real machines and the errata have two.
pub(super) const RESISTANCE_SHORT: &[Number] = &[number("resistance", U8, 10)];

/// Reads numbers; none where one is cut off.
pub(super) fn read_numbers(numbers: &[Number], bits: &mut Bits<'_>) -> Option<Numbers> {
    let short = numbers.len() == RESISTANCE.len() && numbers[0].name == RESISTANCE[0].name && bits.0.len() == 1;
    let numbers = if short { RESISTANCE_SHORT } else { numbers };
    numbers.iter().map(|number| bits.take(number.width)).collect()
}

/// Op code of an answer.
pub const RESPONSE: u8 = 0x80;
/// The last op code that has a meaning.
const OP_MAX: u8 = 0x14;
const STOP_OR_PAUSE: u8 = 0x08;
const SPIN_DOWN: u8 = 0x13;

/// A request to the control point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Op code.
    pub op: u8,
    /// Numbers of a target, in the units of the characteristic; of stop or pause and spin-down the one byte that says which.
    pub numbers: Numbers,
    /// What was odd.
    pub issues: Issues,
}

impl Request {
    /// A request without numbers: 0x00 request control, 0x01 reset, 0x07 start or resume.
    #[must_use]
    pub fn new(op: u8) -> Self {
        Self { op, numbers: Numbers::new(), issues: Issues::default() }
    }

    /// Request control.
    #[must_use]
    pub fn request_control() -> Self {
        Self::new(0x00)
    }

    /// Stop.
    #[must_use]
    pub fn stop() -> Self {
        Self { numbers: SmallVec::from_slice(&[1]), ..Self::new(STOP_OR_PAUSE) }
    }

    /// Pause.
    #[must_use]
    pub fn pause() -> Self {
        Self { numbers: SmallVec::from_slice(&[2]), ..Self::new(STOP_OR_PAUSE) }
    }

    /// The procedure that carries out a target of a command; none where the target does not fit its field.
    #[must_use]
    pub fn of_target(target: Target) -> Option<Self> {
        let (op, value) = match target {
            Target::SpeedCentikmh(speed) => (0x02, speed),
            Target::InclinePermille(incline) => (0x03, incline),
            Target::ResistanceTenths(resistance) => (0x04, resistance),
            Target::PowerW(power) => (0x05, power),
            Target::Pause => return Some(Self::pause()),
        };
        let (low, high) = numbers_of_request(op)?[0].width.bounds();
        let fits = (low..=high).contains(&i64::from(value));
        fits.then(|| Self { numbers: SmallVec::from_slice(&[i64::from(value)]), ..Self::new(op) })
    }

    /// Reads a written value.
    ///
    /// # Errors
    /// [`FtmsError::MalformedRequest`] where it is empty or its numbers are cut off: answer with result 3, invalid parameter.
    pub fn decode(bytes: &[u8]) -> Result<Self, FtmsError> {
        let mut bits = Bits(bytes);
        let mut request = Self::new(bits.u8().ok_or(FtmsError::MalformedRequest)?);
        if let Some(numbers) = numbers_of_request(request.op) {
            request.numbers = read_numbers(numbers, &mut bits).ok_or(FtmsError::MalformedRequest)?;
        } else if request.op == STOP_OR_PAUSE || request.op == SPIN_DOWN {
            let choice = bits.u8().ok_or(FtmsError::MalformedRequest)?;
            request.numbers.push(i64::from(choice));
            request.issues.add_if(!(1..=2).contains(&choice), Issue::ReservedValue);
        } else if request.op > 0x01 && request.op != 0x07 {
            request.issues.add(Issue::UnknownOpcode);
            return Ok(request);
        }
        request.issues.add_if(!bits.0.is_empty(), Issue::TrailingBytes);
        Ok(request)
    }

    /// The bytes to write.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.op];
        match numbers_of_request(self.op) {
            Some(numbers) => numbers.iter().zip(&self.numbers).for_each(|(number, &raw)| put(&mut out, number.width, raw)),
            None => self.numbers.iter().for_each(|&raw| put(&mut out, U8, raw)),
        }
        out
    }

    /// The word of the one byte that stop or pause and spin-down carry.
    #[must_use]
    pub fn action(&self) -> Option<&'static str> {
        match (self.op, self.numbers.first()) {
            (STOP_OR_PAUSE, Some(1)) => Some("stop"),
            (STOP_OR_PAUSE, Some(2)) => Some("pause"),
            (SPIN_DOWN, Some(1)) => Some("start"),
            (SPIN_DOWN, Some(2)) => Some("ignore"),
            _ => None,
        }
    }
}

/// Result code of an answer: carried out.
pub const SUCCESS: u8 = 1;
/// Result code: the machine does not know the procedure.
pub const NOT_SUPPORTED: u8 = 2;
/// Result code: a number is outside what it takes.
pub const INVALID_PARAMETER: u8 = 3;
/// Result code: it tried and failed.
pub const OPERATION_FAILED: u8 = 4;
/// Result code: request control first.
pub const CONTROL_NOT_PERMITTED: u8 = 5;

/// An answer of the control point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Response {
    /// Op code of the request.
    pub request_op: u8,
    /// Result code, [`SUCCESS`] or why not; one that is not known here is passed on.
    pub result: u8,
    /// Least and most target speed in 0.01 km/h, in the answer to a spin-down that was started.
    pub spin_down_speeds: Option<(u16, u16)>,
}

impl Response {
    /// An answer.
    #[must_use]
    pub const fn new(request_op: u8, result: u8) -> Self {
        Self { request_op, result, spin_down_speeds: None }
    }

    /// Reads an indication.
    ///
    /// # Errors
    /// [`FtmsError::MalformedResponse`] for anything but exactly one answer: nothing is known of the request.
    pub fn decode(bytes: &[u8]) -> Result<Self, FtmsError> {
        let (&[op, request_op, result], parameters) = bytes.split_first_chunk::<3>().ok_or(FtmsError::MalformedResponse)?;
        let mut bits = Bits(parameters);
        let spin_down_speeds = match (parameters.len(), request_op, result) {
            (0, _, _) => None,
            (4, SPIN_DOWN, SUCCESS) => bits.u16().zip(bits.u16()),
            _ => return Err(FtmsError::MalformedResponse),
        };
        if op != RESPONSE || request_op > OP_MAX {
            return Err(FtmsError::MalformedResponse);
        }
        Ok(Self { request_op, result, spin_down_speeds })
    }

    /// The bytes to indicate.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![RESPONSE, self.request_op, self.result];
        if let Some((low, high)) = self.spin_down_speeds {
            put(&mut out, U16, i64::from(low));
            put(&mut out, U16, i64::from(high));
        }
        out
    }
}

/// A value of the control point, written or indicated: op codes from 0x80 on are answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlPoint {
    /// Written by a client.
    Request(Request),
    /// Indicated by the machine.
    Response(Response),
}

impl ControlPoint {
    /// Reads a value of either direction.
    ///
    /// # Errors
    /// As [`Request::decode`] and [`Response::decode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, FtmsError> {
        if bytes.first().is_some_and(|&op| op >= RESPONSE) {
            Response::decode(bytes).map(Self::Response)
        } else {
            Request::decode(bytes).map(Self::Request)
        }
    }
}
