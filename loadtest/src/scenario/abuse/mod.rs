//! `abuse`: what a stranger, a broken client or an attacker does to a hub, one case after another, while honest clients are served.
//!
//! In: a hub of its own with the limits of the manual. Out: for each case how it was closed, when, by how much the process grew, and what the
//! honest clients noticed; a table where asked for (`--table docs/ABUSE.md`). Attackers come from addresses of 127.0.0.0/8 other than 127.0.0.1,
//! so that caps by address meet them alone. Linux only.

mod case;
mod content;
mod door;
mod flood;
mod frames;
mod hello;
mod rude;
mod stage;
mod table;
mod witness;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::bench::{BenchArgs, Report, progress};
use case::{Case, Verdict};
use stage::Stage;
use witness::Witness;

/// So long the honest clients are watched alone, for comparison.
const QUIET: Duration = Duration::from_secs(3);

/// Cases that may last so long are left out with `--quick`.
const LONG: Duration = Duration::from_secs(20);

/// Words of `abuse`.
#[derive(Debug, Clone, clap::Args)]
pub struct AbuseArgs {
    /// Only cases whose family or name has this in it.
    #[arg(long)]
    pub only: Option<String>,
    /// Writes the table into this document, between its marks.
    #[arg(long)]
    pub table: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// Where hub or honest clients fail, or the table cannot be written.
pub async fn run(args: &BenchArgs, own: &AbuseArgs) -> anyhow::Result<Report> {
    let mut report = Report::new("abuse");
    let mut stage = Stage::open(args).await?;
    let witness = Witness::start(&stage).await?;
    tokio::time::sleep(if args.quick { QUIET / 3 } else { QUIET }).await;
    let (quiet, tasks) = (witness.take(), stage.tasks().await?);
    let mut verdicts = Vec::new();
    let chosen = |case: &Case| {
        let short = !args.quick || (case.within)(&stage) < LONG;
        short && own.only.as_deref().is_none_or(|word| case.is_about(word))
    };
    for case in cases().into_iter().filter(chosen) {
        let verdict = case.run(&stage, &witness).await?;
        progress(&verdict.line());
        verdicts.push(verdict);
    }
    let left = stage.left(tasks).await?;
    let seen = witness.end().await?;
    report.require(!verdicts.is_empty(), || "no case has that word in it".to_owned());
    for verdict in &verdicts {
        report.require(verdict.holds(), || verdict.line());
    }
    report.set("sessions", verdicts.iter().map(|verdict| verdict.sockets).sum::<usize>());
    report.set("cases", verdicts.iter().map(Verdict::json).collect::<Vec<Value>>());
    report.set("p50_us", seen.echo.quantile_us(0.5));
    report.set("p99_us", seen.echo.quantile_us(0.99));
    report.set("p99_us_quiet", quiet.echo.quantile_us(0.99));
    report.set("live_p99_us", seen.live.quantile_us(0.99));
    report.set("live_p99_us_quiet", quiet.live.quantile_us(0.99));
    report.set("left", left);
    report.require(left == 0, || format!("{left} attackers still hold a connection when all is over"));
    let panics = stage.panics();
    report.require(panics == 0, || format!("{panics} panics in the hub's log"));
    stage.close().await?;
    if let Some(path) = &own.table {
        table::write(path, &verdicts, &quiet, &seen)?;
    }
    Ok(report)
}

/// All cases, by family.
fn cases() -> Vec<Case> {
    [door::cases(), hello::cases(), frames::cases(), content::cases(), flood::cases()].into_iter().flatten().collect()
}
