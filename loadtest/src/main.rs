//! The `loadtest` binary: one scenario a run, progress on standard error, one JSON object as the last line of standard output.
//!
//! Exit status 1 where something that must hold does not. Scenarios and names: `docs/LOADTEST.md`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use loadtest::bench::{BenchArgs, Report, progress};
use loadtest::examine;
use loadtest::limit;
use loadtest::scenario::{abuse, compare, fanout, idle, ingest, joins, ledger, replay, slow, soak, stop, storm};

/// Plays gyms, machines and phones towards a hub, and says what it found.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(flatten)]
    bench: BenchArgs,
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// Recorded workouts through simulated gateways, with faults; then the store is held against the machines' own record.
    Replay(replay::ReplayArgs),
    /// Many sessions that watch a room while nothing happens.
    Idle(idle::IdleArgs),
    /// One machine watched by 500.
    Fanout,
    /// A thousand machines watched by two each.
    Pairs,
    /// A hundred machines on a floor watched by 500.
    Wall,
    /// The hub beside the bare broadcaster and Socket.IO, the same work in one run.
    Compare(compare::CompareArgs),
    /// The bare broadcaster that `compare` starts.
    Limit,
    /// Readings stored a second, each exactly once.
    Ingest(ingest::IngestArgs),
    /// Every fault, and whether anything was lost, stored twice, invented, or missed untold.
    Ledger(ledger::LedgerArgs),
    /// Stops behind a replay storm on the same socket.
    Stop(stop::StopArgs),
    /// Sessions that watch rooms, all reset in the same instant.
    Storm(storm::StormArgs),
    /// A class starts: as many sessions as descriptors allow join one room.
    Joins(joins::JoinsArgs),
    /// Readers that never read, beside viewers who do.
    Slow,
    /// A small gym with churn, faults and storms: what stays when all are gone.
    Soak(soak::SoakArgs),
    /// What strangers and broken clients do to a hub, case by case, while honest ones are served.
    Abuse(abuse::AbuseArgs),
    /// Plays the hub towards somebody's gateway and says what it does wrong.
    Gateway(examine::ListenArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = words();
    let report = run(&cli).await.unwrap_or_else(|error| {
        progress(&format!("{error:#}"));
        let mut report = Report::new(cli.scenario.name());
        report.require(false, || format!("{error:#}"));
        report
    });
    // A closed standard output leaves the exit status.
    writeln!(std::io::stdout(), "{}", report.line()).ok();
    if report.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The words of the command line. `ledger` goes over both stores where none is named.
fn words() -> Cli {
    let matches = Cli::command().get_matches();
    let mut cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let told = matches.subcommand().and_then(|(_, own)| own.value_source("store"));
    if matches!(cli.scenario, Scenario::Ledger(_)) && told == Some(ValueSource::DefaultValue) {
        "both".clone_into(&mut cli.bench.store);
    }
    cli
}

impl Scenario {
    const fn name(&self) -> &'static str {
        match self {
            Self::Replay(_) => "replay",
            Self::Idle(_) => "idle",
            Self::Fanout => "fanout",
            Self::Pairs => "pairs",
            Self::Wall => "wall",
            Self::Compare(_) => "compare",
            Self::Limit => "limit",
            Self::Ingest(_) => "ingest",
            Self::Ledger(_) => "ledger",
            Self::Stop(_) => "stop",
            Self::Storm(_) => "storm",
            Self::Joins(_) => "joins",
            Self::Slow => "slow",
            Self::Soak(_) => "soak",
            Self::Abuse(_) => "abuse",
            Self::Gateway(_) => "gateway",
        }
    }
}

async fn run(cli: &Cli) -> anyhow::Result<Report> {
    match &cli.scenario {
        Scenario::Replay(own) => replay::run(&cli.bench, own).await,
        Scenario::Idle(own) => idle::run(&cli.bench, own).await,
        Scenario::Fanout => fanout::fanout(&cli.bench).await,
        Scenario::Pairs => fanout::pairs(&cli.bench).await,
        Scenario::Wall => fanout::wall(&cli.bench).await,
        Scenario::Compare(own) => compare::run(&cli.bench, own).await,
        Scenario::Limit => limit::run().await.map(|()| Report::new("limit")),
        Scenario::Ingest(own) => ingest::run(&cli.bench, own).await,
        Scenario::Ledger(own) => ledger::run(&cli.bench, own).await,
        Scenario::Stop(own) => stop::run(&cli.bench, own).await,
        Scenario::Storm(own) => storm::run(&cli.bench, own).await,
        Scenario::Joins(own) => joins::run(&cli.bench, own).await,
        Scenario::Slow => slow::run(&cli.bench).await,
        Scenario::Soak(own) => soak::run(&cli.bench, own).await,
        Scenario::Abuse(own) => abuse::run(&cli.bench, own).await,
        Scenario::Gateway(own) => examine::run(own).await,
    }
}
