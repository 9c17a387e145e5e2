//! FIT files: activity files of one session.

mod exercise;
mod read;
mod sink;
mod write;

pub(crate) use read::{looks_like, read};
pub(crate) use write::write;
