//! The rows, in the order of the table. A new one: a file here, its constant in [`ALL`].

mod conflict;
mod disk_full;
mod duplicates;
mod kill;
mod kill_in_recovery;
mod locked;
mod poison;
mod postgres_stop;

use super::row::Row;

/// Every row that there is.
pub(super) const ALL: &[Row] = &[
    kill::ROW,
    kill_in_recovery::ROW,
    postgres_stop::SHORT,
    postgres_stop::LONG,
    locked::ROW,
    disk_full::ROW,
    poison::ROW,
    conflict::ROW,
    duplicates::ROW,
];
