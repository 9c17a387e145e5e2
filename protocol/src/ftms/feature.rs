//! What a machine can do and within which bounds: feature 0x2ACC and the ranges 0x2AD4 to 0x2AD8 (FTMS 1.0 sections 4.3, 4.11 to 4.15).

use super::Characteristic;
use super::bits::Width::{self, S16, U8, U16, U32};
use super::bits::{Bits, put};
use super::issue::{FtmsError, Issue, Issues};

/// Two words of bits: what the machine reports, and which targets can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Feature {
    /// Fields that it reports.
    pub machine: u32,
    /// Targets that it takes.
    pub target: u32,
    /// What was odd.
    pub issues: Issues,
}

impl Feature {
    /// Reads a value.
    ///
    /// # Errors
    /// [`FtmsError::Length`] where it is shorter than both words.
    pub fn decode(bytes: &[u8]) -> Result<Self, FtmsError> {
        let length = FtmsError::Length { found: bytes.len() };
        let mut bits = Bits(bytes);
        let machine = bits.take(U32).ok_or(length)? as u32;
        let target = bits.take(U32).ok_or(length)? as u32;
        let mut issues = Issues::default();
        issues.add_if(!bits.0.is_empty(), Issue::TrailingBytes);
        Ok(Self { machine, target, issues })
    }

    /// The bytes to read.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [self.machine.to_le_bytes(), self.target.to_le_bytes()].concat()
    }

    /// Numbers of the bits set in a word.
    pub fn bits(word: u32) -> impl Iterator<Item = u32> {
        (0..32).filter(move |bit| word >> bit & 1 == 1)
    }
}

/// Least, most and smallest step of a target, as the machine writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Range {
    characteristic: Characteristic,
    /// Least.
    pub min: i32,
    /// Most.
    pub max: i32,
    /// Smallest step.
    pub increment: i32,
    /// Resistance in the supplement's form of one byte each.
    short: bool,
}

impl Range {
    /// Widths of the three numbers, divisor and unit.
    fn shape(characteristic: Characteristic, short: bool) -> Option<([Width; 3], u32, &'static str)> {
        Some(match characteristic {
            Characteristic::SpeedRange => ([U16; 3], 100, "km/h"),
            Characteristic::InclineRange => ([S16, S16, U16], 10, "percent"),
            Characteristic::ResistanceRange if short => ([U8; 3], 1, "level"),
            Characteristic::ResistanceRange => ([S16, S16, U16], 10, "level"),
            Characteristic::HeartRateRange => ([U8; 3], 1, "bpm"),
            Characteristic::PowerRange => ([S16, S16, U16], 1, "watts"),
            _ => return None,
        })
    }

    /// Reads a value: resistance by its length in either form. None where the characteristic is no range.
    ///
    /// # Errors
    /// [`FtmsError::Length`] for another length, [`FtmsError::Range`] where the least is above the most.
    pub fn decode(characteristic: Characteristic, bytes: &[u8]) -> Option<Result<Self, FtmsError>> {
        let short = bytes.len() == 3;
        let (widths, _, _) = Self::shape(characteristic, short)?;
        let length = FtmsError::Length { found: bytes.len() };
        if bytes.len() != widths.iter().map(|width| width.bytes()).sum::<usize>() {
            return Some(Err(length));
        }
        let mut bits = Bits(bytes);
        let mut next = |at: usize| bits.take(widths[at]).map_or(0, |raw| raw as i32);
        let range = Self { characteristic, min: next(0), max: next(1), increment: next(2), short };
        Some(if range.min > range.max { Err(FtmsError::Range) } else { Ok(range) })
    }

    /// A range to be read from a machine, in the form that real machines have.
    #[must_use]
    pub fn new(characteristic: Characteristic, min: i32, max: i32, increment: i32) -> Option<Self> {
        Self::shape(characteristic, false).map(|_| Self { characteristic, min, max, increment, short: false })
    }

    /// The bytes to read.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (widths, _, _) = self.form();
        let mut out = Vec::with_capacity(6);
        for (width, raw) in widths.into_iter().zip([self.min, self.max, self.increment]) {
            put(&mut out, width, i64::from(raw));
        }
        out
    }

    fn form(&self) -> ([Width; 3], u32, &'static str) {
        Self::shape(self.characteristic, self.short).expect("a range is only made of a range's characteristic")
    }

    /// What the numbers are divided by to be read in [`Self::unit`].
    #[must_use]
    pub fn divisor(&self) -> u32 {
        self.form().1
    }

    /// The unit.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        self.form().2
    }
}
