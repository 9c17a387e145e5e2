//! Sealed readings in packed columns: a pure codec, rows in, bytes out, and back to the bit.
//!
//! In: readings of one boot in order of seq, with everything that the raw row has (times, fields, RR intervals, fingerprint). Out: a chunk of a few
//! bytes a reading, or its minutes. No IO, no clock. [`decode`] never panics on any bytes and makes at most [`ROWS_MAX`] rows of at
//! most 47 values: what is damaged is an error, never other numbers (the last four bytes are of a SHA-256 over the rest).
//! The format is defined in `docs/STORAGE.md`, "Packed readings"; its first byte is the version.

mod bits;
mod chunk;
mod column;
mod minutes;
#[cfg(test)]
mod tests;

pub use chunk::{Chunk, PackedRow, decode, decode_body, encode};
pub(crate) use minutes::MINUTE_MS;
pub use minutes::{FieldSum, Minute, minutes_decode, minutes_encode, minutes_of};

/// Readings in one chunk at most: a point question decodes no more.
pub const ROWS_MAX: usize = 2_048;

/// Bytes that are no chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    /// They end too soon.
    #[error("a packed chunk ends too soon")]
    Short,
    /// They go on after the end.
    #[error("a packed chunk goes on after its end")]
    Long,
    /// Another version than this binary knows.
    #[error("a packed chunk has version {0}, which this binary does not know")]
    Version(u8),
    /// A number is out of its range.
    #[error("a packed chunk holds a number out of its range")]
    Number,
    /// The checksum differs.
    #[error("a packed chunk does not have the checksum that was written with it")]
    Checksum,
}

/// More rows than [`ROWS_MAX`], none at all, or not in order of seq.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a chunk holds 1 to {ROWS_MAX} readings in order of seq")]
pub struct NotAChunk;
