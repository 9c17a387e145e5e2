//! `spotter serve`: configuration, log, node, signal, drain.

use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use config::{Config, Profile};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::supervisor;
use super::traces::Tracing;
use crate::Settings;

/// Serves until SIGTERM or SIGINT, then drains. A second signal ends at once.
pub(crate) fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    let config = load(settings, Profile::Production)?;
    let traces = Tracing::open(&config.trace)?;
    super::log::start(&config.log, traces.layer());
    // Before there are threads: what was handed over is taken out of the environment.
    let inherited = supervisor::listener()?;
    let runtime = runtime(&config)?;
    let code = runtime.block_on(serve(config, inherited, traces))?;
    // Whatever did not end was named; it does not hold the process.
    runtime.shutdown_timeout(Duration::from_millis(200));
    Ok(code)
}

/// The runtime of sessions and shards. On two cores a second thread costs each small burst of deliveries a wake of a sleeping core, and takes that
/// core from the kernel and the store: docs/PERFORMANCE.md.
pub(crate) fn runtime(config: &Config) -> anyhow::Result<Runtime> {
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let spare = NonZeroUsize::new(cores.get() - 1).unwrap_or(NonZeroUsize::MIN);
    let workers = config.shards.workers.on(spare).get();
    tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build().context("no runtime")
}

/// Reads the configuration of all layers.
pub(crate) fn load(settings: &Settings, profile: Profile) -> anyhow::Result<Config> {
    Ok(config::load(&settings.sources(profile)?)?)
}

async fn serve(config: Config, inherited: Option<TcpListener>, traces: Tracing) -> anyhow::Result<ExitCode> {
    let node = hub::start_on(config, inherited).await?;
    let sending = traces.run(&node);
    supervisor::tell_ready(node.address);
    until_the_end(&node).await?;
    supervisor::tell_stopping();
    let code = drain(node).await;
    sending.finish().await;
    Ok(code)
}

/// Waits for a signal, or for the panic of a task that nothing goes on without.
pub(crate) async fn until_the_end(node: &hub::Node) -> anyhow::Result<()> {
    let failed = node.hub.tasks.failed();
    tokio::select! {
        told = told_to_stop() => told,
        () = failed.cancelled() => Ok(()),
    }
}

/// Waits for SIGTERM or SIGINT.
async fn told_to_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("no handler for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("no handler for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => (),
        _ = interrupt.recv() => (),
    }
    Ok(())
}

/// Drains a node and says what was left. A second signal gives up waiting. After a panic the process fails whatever was drained: who supervises
/// it starts it anew.
pub(crate) async fn drain(node: hub::Node) -> ExitCode {
    let failed = node.hub.tasks.failed();
    let left = tokio::select! {
        left = node.drain() => left,
        _ = told_to_stop() => {
            tracing::warn!("told to stop again: what is under way is cut");
            return ExitCode::FAILURE;
        }
    };
    if left.rows == 0 && left.facts == 0 && left.tasks.is_empty() {
        tracing::info!(sessions.closed = left.sessions_closed, "drained: nothing is left");
        return if failed.is_cancelled() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    tracing::warn!(sessions.closed = left.sessions_closed, rows.left = left.rows, facts.left = left.facts, tasks.left = ?left.tasks,
        "drained by the deadline: rows that are left were not told to be stored, their sources have them");
    ExitCode::FAILURE
}
