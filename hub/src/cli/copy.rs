//! `spotter store copy`: a whole store from one database into another.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use storage::{CopyOptions, CopyStep};

/// Where from and where to.
#[derive(Args)]
pub(crate) struct CopyCommand {
    /// sqlite:PATH, postgres://USER:PASSWORD@HOST:PORT/DATABASE, or file:PATH of a file that holds such an address.
    from: String,
    /// The same; a database that is new or empty.
    to: String,
    /// Rows in memory and in one transaction.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    page_rows: u32,
    /// Says nothing but the result.
    #[arg(long)]
    quiet: bool,
}

/// Copies, and says what was copied.
pub(crate) async fn copy_store(command: &CopyCommand) -> anyhow::Result<ExitCode> {
    let options = CopyOptions { page_rows: command.page_rows, ..CopyOptions::new(address(&command.from)?, address(&command.to)?) };
    let (mut out, mut table) = (std::io::stderr(), "");
    let mut told = |step: CopyStep| {
        if command.quiet {
            return;
        }
        // One line a table that grows; a terminal that went away does not end the copy.
        let begin = if table == step.table && !step.verifying { "\r" } else { "\n" };
        table = step.table;
        let word = if step.verifying { "the same" } else { "copied" };
        write!(out, "{begin}{:<16} {:>12} of {:>12} {word}", step.table, step.rows, step.of).and_then(|()| out.flush()).unwrap_or_default();
    };
    let copied = storage::copy(options, &mut told).await;
    if !command.quiet {
        eprintln!();
    }
    let tables = copied?;
    let rows: u64 = tables.iter().map(|table| table.rows).sum();
    let mut out = std::io::stdout().lock();
    for table in tables {
        writeln!(out, "{:<16} {:>12} {}", table.table, table.rows, table.checksum)?;
    }
    writeln!(out, "copied: {rows} rows, the same in both by count and checksum")?;
    Ok(ExitCode::SUCCESS)
}

/// An address, or the first line of the file that holds it: arguments are seen by everybody on the machine.
fn address(said: &str) -> anyhow::Result<String> {
    let Some(path) = said.strip_prefix("file:") else { return Ok(said.to_owned()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("could not read {path}"))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}
