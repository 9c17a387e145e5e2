//! What Spotter keeps for good: SQL lives only here.
//!
//! In: [`Row`]s and [`Fact`]s through the [`Recorder`] (never waits, bounded), questions through the [`Store`].
//! Out: [`Report`]s of what is committed, and answers. Owns the schema, its migrations and the connections.
//! Spawns nothing: [`open`] hands back a [`Driver`] that its caller runs as a task of its own.
//! Two back ends behind one set of rules: SQLite (embedded default) and Postgres 15+. See `docs/STORAGE.md`.

mod backup;
pub mod canonical;
mod counters;
mod db;
mod error;
mod history;
mod import;
mod migrate;
mod model;
mod open;
mod options;
pub mod packed;
mod ranges;
mod recorder;
mod store;
mod transfer;
mod words;
mod writer;

pub use backup::{BackupError, STARTS_AT_RESTORE, backup, place, restore, restored};
pub use counters::{Counters, CountersNow};
pub use error::{OpenError, StoreError};
pub use history::is_time_zone;
pub use import::{Import, Imported, Importer};
pub use model::*;
pub use open::{Storage, open};
pub use options::{History, Keep, Options, Whose};
pub use recorder::{FactsFull, Full, Recorder};
pub use store::*;
pub use transfer::{CopiedTable, CopyError, CopyOptions, CopyStep, copy};
pub use writer::{Driver, Unflushed};

/// The target of spans that are traced, as the hub has it.
const TRACED: &str = "spotter_trace";
