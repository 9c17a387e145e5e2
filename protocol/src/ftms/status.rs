//! What a machine tells of itself: machine status 0x2ADA and training status 0x2AD3 (FTMS 1.0 sections 4.10 and 4.17).

use smallvec::SmallVec;

use super::bits::Bits;
use super::bits::{Width, put};
use super::control_point::{Numbers, numbers_of_status, read_numbers};
use super::issue::{Issue, Issues};

/// Reset.
pub const RESET: u8 = 0x01;
/// Stopped or paused by somebody at the console.
pub const STOPPED_BY_USER: u8 = 0x02;
/// Stopped by the safety key.
pub const STOPPED_BY_SAFETY_KEY: u8 = 0x03;
/// Started or resumed by somebody at the console.
pub const STARTED_BY_USER: u8 = 0x04;
/// Where a spin-down stands.
pub const SPIN_DOWN_STATUS: u8 = 0x14;
/// Another client, or somebody at the console, has the control now.
pub const CONTROL_LOST: u8 = 0xff;

/// One notification of machine status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineStatus {
    /// Op code; none where the value is empty.
    pub op: Option<u8>,
    /// Numbers of the new target, or the byte that says which.
    pub numbers: Numbers,
    /// What was odd.
    pub issues: Issues,
}

impl MachineStatus {
    /// A status with the numbers that go with it.
    #[must_use]
    pub fn new(op: u8, numbers: &[i64]) -> Self {
        Self { op: Some(op), numbers: Numbers::from_slice(numbers), issues: Issues::default() }
    }

    /// Reads a value; what is cut off is left out.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        let mut bits = Bits(bytes);
        let mut status = Self { op: bits.u8(), numbers: SmallVec::new(), issues: Issues::default() };
        let Some(op) = status.op else {
            status.issues.add(Issue::Truncated);
            return status;
        };
        if let Some(numbers) = numbers_of_status(op) {
            let read = read_numbers(numbers, &mut bits);
            status.issues.add_if(read.is_none(), Issue::Truncated);
            status.numbers = read.unwrap_or_default();
            status.issues.add_if(!status.issues.has(Issue::Truncated) && !bits.0.is_empty(), Issue::TrailingBytes);
        } else {
            status.read_choice(op, bits);
        }
        status
    }

    fn read_choice(&mut self, op: u8, mut bits: Bits<'_>) {
        let choices = match op {
            STOPPED_BY_USER => 2,
            SPIN_DOWN_STATUS => 4,
            RESET | STOPPED_BY_SAFETY_KEY | STARTED_BY_USER | CONTROL_LOST => 0,
            _ => return self.issues.add(Issue::UnknownOpcode),
        };
        if choices > 0 {
            let Some(choice) = bits.u8() else { return self.issues.add(Issue::Truncated) };
            self.numbers.push(i64::from(choice));
            self.issues.add_if(!(1..=choices).contains(&choice), Issue::ReservedValue);
        }
        self.issues.add_if(!bits.0.is_empty(), Issue::TrailingBytes);
    }

    /// The bytes to notify.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Some(op) = self.op else { return Vec::new() };
        let mut out = vec![op];
        match numbers_of_status(op) {
            Some(numbers) => numbers.iter().zip(&self.numbers).for_each(|(number, &raw)| put(&mut out, number.width, raw)),
            None => self.numbers.iter().for_each(|&raw| put(&mut out, Width::U8, raw)),
        }
        out
    }

    /// Whether the machine says that it stands.
    #[must_use]
    pub fn is_stop(&self) -> bool {
        matches!(self.op, Some(RESET | STOPPED_BY_USER | STOPPED_BY_SAFETY_KEY))
    }

    /// What somebody at the console did: `stop` or `pause`.
    #[must_use]
    pub fn action(&self) -> Option<&'static str> {
        match (self.op, self.numbers.first()) {
            (Some(STOPPED_BY_USER), Some(1)) => Some("stop"),
            (Some(STOPPED_BY_USER), Some(2)) => Some("pause"),
            _ => None,
        }
    }
}

const STRING_PRESENT: u8 = 1;
const EXTENDED_STRING: u8 = 1 << 1;
/// The last training status with a meaning: post-workout.
const TRAINING_MAX: u8 = 0x0f;

/// One value of training status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingStatus {
    /// The status, 0 to 15; none where the value is cut off.
    pub status: Option<u8>,
    /// The text, where the flags announce one. Real machines announce one and send none: it is empty then.
    pub text: Option<String>,
    /// What was odd.
    pub issues: Issues,
}

impl TrainingStatus {
    /// Reads a value.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        let mut issues = Issues::default();
        let (&[flags, status], rest) = match bytes.split_first_chunk::<2>() {
            Some(read) => read,
            None => {
                issues.add(Issue::Truncated);
                return Self { status: None, text: None, issues };
            }
        };
        issues.add_if(flags & !(STRING_PRESENT | EXTENDED_STRING) != 0, Issue::ReservedFlags);
        issues.add_if(flags & EXTENDED_STRING != 0 && flags & STRING_PRESENT == 0, Issue::InvalidFlags);
        issues.add_if(status > TRAINING_MAX, Issue::ReservedValue);
        let text = (flags & STRING_PRESENT != 0).then(|| String::from_utf8_lossy(rest));
        issues.add_if(matches!(text, Some(std::borrow::Cow::Owned(_))), Issue::InvalidText);
        issues.add_if(text.is_none() && !rest.is_empty(), Issue::TrailingBytes);
        Self { status: Some(status), text: text.map(std::borrow::Cow::into_owned), issues }
    }

    /// The bytes to notify.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Some(status) = self.status else { return Vec::new() };
        let mut out = vec![u8::from(self.text.is_some()) * STRING_PRESENT, status];
        out.extend_from_slice(self.text.as_deref().unwrap_or_default().as_bytes());
        out
    }
}
