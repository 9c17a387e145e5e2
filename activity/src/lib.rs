//! Workouts as files that watches, phones and training pages read and write: FIT and TCX.
//!
//! In: what is stored of a workout ([`Workout`]), or the bytes of somebody's file ([`read`]). Out: a file, or the readings in it ([`Recorded`]),
//! in the units of `protocol::Field`. Pure: no IO, no clock, no store. Whatever the bytes are, [`read`] answers with an error and never
//! panics; its work is bounded by the length of the file and [`READINGS_MAX`]. Does not read positions: a gym needs none.
//!
//! Sources: FIT protocol and profile 21 (through `rustyfit`), TrainingCenterDatabase v2 and ActivityExtension v2 schemas.

mod fit;
mod lap;
mod read;
mod sport;
mod tcx;
mod timeline;
mod units;
mod workout;

pub use lap::Lap;
pub use read::{Format, READINGS_MAX, ReadError, Recorded, read};
pub use sport::Sport;
pub use timeline::{Origin, POINTS_MAX, Point, Timeline, TooLong};
pub use workout::{Device, SetDone, Workout, WriteError};
