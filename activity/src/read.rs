//! Somebody's file as readings: which format it is, what it must not be, and what comes of it.

use protocol::Reading;
use protocol::frame::SetDetail;

use crate::{Sport, fit, tcx};

/// Readings of one file at most: 27 hours, one a second.
pub const READINGS_MAX: usize = 100_000;
/// From the first to the last reading of a file at most.
const SPAN_MS_MAX: i64 = 7 * 86_400_000;

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Garmin's binary one.
    Fit,
    /// Garmin's XML one.
    Tcx,
}

impl Format {
    /// The ending of such files' names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fit => "fit",
            Self::Tcx => "tcx",
        }
    }
}

/// Why a file was not read. Nothing of it was taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Neither FIT nor TCX, or not a recording of training.
    #[error("not a recorded activity: {0}")]
    NotAnActivity(&'static str),
    /// It ends too early.
    #[error("the file ends in the middle: it was cut on its way")]
    Truncated,
    /// Its checksum is another.
    #[error("the checksum is {calculated:#06x} and the file says {found:#06x}: it was changed on its way")]
    Checksum {
        /// In the file.
        found: u16,
        /// Of the bytes.
        calculated: u16,
    },
    /// It does not keep to its own format.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// More than the bound of something.
    #[error("the file has too much in it: {0}")]
    TooMuch(&'static str),
}

/// What a file says, in the units of `protocol::Field`.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// What kind of file.
    pub format: Format,
    /// What was done.
    pub sport: Sport,
    /// UTC of the first thing in it.
    pub started_at_ms: i64,
    /// UTC of the last thing in it.
    pub ended_at_ms: i64,
    /// Readings in order of time: milliseconds since the start, and what.
    pub readings: Vec<(i64, Reading)>,
    /// Sets in order of time: milliseconds since the start, and what.
    pub sets: Vec<(i64, SetDetail)>,
}

/// Reads a FIT or TCX file.
///
/// Values that their field cannot mean and points without a time are left out; everything else of the file stands. Work and memory are bounded by the
/// length of the bytes and by [`READINGS_MAX`]; the caller bounds the length.
///
/// # Errors
/// [`ReadError`] says what is wrong with the file.
pub fn read(bytes: &[u8]) -> Result<Recorded, ReadError> {
    if bytes.is_empty() {
        return Err(ReadError::NotAnActivity("it is empty"));
    }
    let (format, found) = if fit::looks_like(bytes) {
        (Format::Fit, fit::read(bytes)?)
    } else if tcx::looks_like(bytes) {
        (Format::Tcx, tcx::read(bytes)?)
    } else {
        return Err(ReadError::NotAnActivity("neither a FIT nor a TCX file"));
    };
    found.finish(format)
}

/// What a decoder gathers; times are UTC.
pub(crate) struct Gathered {
    pub(crate) sport: Sport,
    pub(crate) readings: Vec<(i64, Reading)>,
    pub(crate) sets: Vec<(i64, SetDetail)>,
}

impl Gathered {
    pub(crate) const fn new(sport: Sport) -> Self {
        Self { sport, readings: Vec::new(), sets: Vec::new() }
    }

    /// Takes a reading.
    pub(crate) fn push(&mut self, at_ms: i64, reading: Reading) -> Result<(), ReadError> {
        if self.readings.len() >= READINGS_MAX {
            return Err(ReadError::TooMuch("more than 100,000 readings"));
        }
        if !reading.is_empty() && crate::units::AT_MS.contains(&at_ms) {
            self.readings.push((at_ms, reading));
        }
        Ok(())
    }

    fn finish(mut self, format: Format) -> Result<Recorded, ReadError> {
        self.readings.sort_by_key(|(at_ms, _)| *at_ms);
        self.sets.sort_by_key(|(at_ms, _)| *at_ms);
        let times = || self.readings.iter().map(|(at_ms, _)| *at_ms).chain(self.sets.iter().map(|(at_ms, _)| *at_ms));
        let (Some(started_at_ms), Some(ended_at_ms)) = (times().min(), times().max()) else {
            return Err(ReadError::NotAnActivity("no reading and no set in it"));
        };
        if ended_at_ms - started_at_ms > SPAN_MS_MAX {
            return Err(ReadError::TooMuch("more than a week from the first to the last reading"));
        }
        let Self { sport, mut readings, mut sets } = self;
        readings.iter_mut().for_each(|(at_ms, _)| *at_ms -= started_at_ms);
        sets.iter_mut().for_each(|(at_ms, _)| *at_ms -= started_at_ms);
        Ok(Recorded { format, sport, started_at_ms, ended_at_ms, readings, sets })
    }
}
