//! `compare`: the same work in one run for the hub, for [`limit`](crate::limit) and for Socket.IO on Node, each a process of its own.
//!
//! In: which workloads. Out: CPU a delivery, resident memory a session, bytes a delivery, latencies, and how the hub stands to the others; not ok
//! where a budget of the design is missed. One load client in this process serves all servers alike; they take turns in rounds. With
//! `--quick` everything is small: it shows that all of it works, and its figures are no measurement, so no budget is held against them.

mod audience;
mod child;
mod contender;
mod idle;
mod pace;
mod page;
mod rounds;
mod socketio;
mod tls;
mod verdict;
mod voice;
mod workload;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

pub use pace::Pace;
pub use workload::Workload;

use crate::bench::{BenchArgs, Report, progress};

/// Words of `compare`.
#[derive(Debug, Clone, clap::Args)]
pub struct CompareArgs {
    /// Which workloads; all by default.
    #[arg(long, num_args = 1.., value_delimiter = ',')]
    pub workload: Vec<Workload>,
    /// How often each server has its turn; 5, or 1 with --quick.
    #[arg(long)]
    pub rounds: Option<usize>,
    /// Seconds that are measured in each turn; 5, or 0.6 with --quick.
    #[arg(long)]
    pub seconds: Option<f64>,
    /// Where Socket.IO is, or is installed with npm.
    #[arg(long, default_value = ".cache/socketio")]
    pub socketio: PathBuf,
    /// Writes a page with curves.
    #[arg(long)]
    pub report: Option<PathBuf>,
}

impl CompareArgs {
    fn rounds(&self, quick: bool) -> usize {
        self.rounds.unwrap_or(if quick { 1 } else { 5 }).max(1)
    }

    fn stretch(&self, quick: bool) -> (Duration, Duration) {
        let (warm_up, run) = rounds::turn(quick);
        (warm_up, self.seconds.map_or(run, Duration::from_secs_f64))
    }

    fn workloads(&self) -> Vec<Workload> {
        Workload::ALL.into_iter().filter(|workload| self.workload.is_empty() || self.workload.contains(workload)).collect()
    }
}

/// Runs it.
///
/// # Errors
/// Where a server cannot be started, Socket.IO not be installed, or a watcher fails.
pub async fn run(args: &BenchArgs, own: &CompareArgs) -> anyhow::Result<Report> {
    anyhow::ensure!(args.hub.is_none(), "compare measures a hub of its own: leave --hub away");
    let folder = child::install(&own.socketio).await?;
    let (mut resident, mut compared) = (None, Vec::new());
    for workload in own.workloads() {
        match workload {
            Workload::Idle => resident = Some(idle::measure(args, &folder).await?),
            Workload::Fanout | Workload::Pairs | Workload::Wall => compared.push(rounds::play(args, own, &folder, workload).await?),
        }
    }
    if let Some(path) = &own.report {
        std::fs::write(path, page::page(resident.as_ref(), &compared)).with_context(|| format!("could not write {}", path.display()))?;
        progress(&format!("the page is {}", path.display()));
    }
    let mut report = Report::new("compare");
    verdict::fill(&mut report, args.quick, resident.as_ref(), &compared);
    Ok(report)
}
