//! TCX documents: one activity with laps and trackpoints.

mod read;
mod time;
mod write;

pub(crate) use read::{looks_like, read};
pub(crate) use write::write;
