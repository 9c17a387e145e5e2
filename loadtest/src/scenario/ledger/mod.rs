//! `ledger`: every fault that one node must survive, and whether anything was lost, stored twice, invented, or missed untold.
//!
//! Each run of a row has a hub of its own (the `spotter` binary) on a store of its own, machines that play workouts, phones and watchers of
//! the floor. Each producer keeps a record of what it sent and what it was told to be accepted and stored, each viewer of what it saw and
//! which holes it was told of. The auditor holds those against each other and against the database.
//!
//! **A row is one file** in `rows/`, with one constant of type [`row::Row`] and one function that makes the fault; it is registered in one
//! list, [`rows::ALL`]. The function opens a [`ground::Ground`], calls `begin`, does its fault, measures with `sessions_back` and `caught_up`
//! where that applies, notes what else must hold with `found.require` and figures with `found.set`, and ends with `finish`, which audits.
//! Everything random is drawn from `case.dice()`; every time of the fault table goes through `case.time`, so that `--quick` is a tenth.

mod audit;
mod cgroup;
mod disk;
mod found;
mod full;
mod ground;
mod probe;
mod row;
mod rows;
mod run;
mod state;
mod table;
mod watcher;

use std::path::PathBuf;

use anyhow::ensure;

use crate::bench::{BenchArgs, Report};
use row::Row;

/// Words of `ledger`.
#[derive(Debug, Clone, clap::Args)]
pub struct LedgerArgs {
    /// Only these rows; all where none is named.
    #[arg(long, num_args = 1..)]
    pub row: Vec<String>,
    /// Runs of each row, instead of the row's own number.
    #[arg(long)]
    pub runs: Option<u32>,
    /// One run under exactly this seed, as a failure prints it.
    #[arg(long)]
    pub case: Option<u64>,
    /// Goes on where an interrupted run with the same seed and the same builds ended; what failed stays failed.
    #[arg(long)]
    pub resume: bool,
    /// Where the results so far are kept for `--resume`.
    #[arg(long, default_value = "ledger-state.jsonl")]
    pub state: PathBuf,
    /// Rows at once: they wait for most of their time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub jobs: u8,
    /// Writes the table between the two markers of this file: of every row in full, so not with `--row`, `--runs` or `--case`.
    #[arg(long, conflicts_with_all = ["row", "runs", "case"])]
    pub readme: Option<PathBuf>,
    /// Lists the rows and ends.
    #[arg(long)]
    pub list: bool,
}

/// Runs it.
///
/// # Errors
/// Where a word is wrong, or the table cannot be written; what goes wrong in a run is in the report.
pub async fn run(args: &BenchArgs, own: &LedgerArgs) -> anyhow::Result<Report> {
    if own.list {
        table::list()?;
        return Ok(Report::new("ledger"));
    }
    ensure!(own.readme.is_none() || !args.quick, "--readme is of every row in full, --quick of short ones");
    let units = run::units(args, own, chosen(own)?)?;
    let results = run::all(args, own, units).await?;
    let table = table::of(&results);
    table::print(&table)?;
    if let Some(readme) = &own.readme {
        table::write_between_markers(readme, &table)?;
    }
    Ok(table::report(args.seed, &results))
}

/// The rows that are named, in the order of the list.
fn chosen(own: &LedgerArgs) -> anyhow::Result<Vec<&'static Row>> {
    for name in &own.row {
        ensure!(rows::ALL.iter().any(|row| row.name == name), "no row `{name}`: `loadtest ledger --list` names them");
    }
    Ok(rows::ALL.iter().filter(|row| own.row.is_empty() || own.row.iter().any(|name| row.name == name)).collect())
}
