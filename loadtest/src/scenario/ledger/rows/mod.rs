//! The rows, in the order of the table. A new one: a file here, its constant in [`ALL`].

mod clock_skew;
mod conflict;
mod descriptors;
mod disk_full;
mod duplicates;
mod flood;
mod kill;
mod kill_in_recovery;
mod link_cut;
mod link_lossy;
mod locked;
mod memory;
mod packed;
mod poison;
mod postgres_stop;
mod sigterm;
mod slow_reader;
mod tokens;
mod viewers_cut;

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
    packed::ROW,
    link_cut::ROW,
    link_lossy::ROW,
    clock_skew::ROW,
    viewers_cut::ROW,
    slow_reader::ROW,
    flood::ROW,
    tokens::EXPIRED,
    tokens::REVOKED,
    sigterm::ROW,
    descriptors::ROW,
    memory::ROW,
];
