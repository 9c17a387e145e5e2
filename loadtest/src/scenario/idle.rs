//! `idle`: many authenticated sessions, each watching one room, and nothing happens. What does each cost the hub?

use std::time::Duration;

use anyhow::Context as _;
use protocol::RoomName;
use protocol::frame::Role;
use uuid::Uuid;

use crate::bench::{Bench, BenchArgs, Crowd, Report, Viewer, World, files_max, progress};

/// Budget of `DESIGN` section 8.
const RSS_KIB_MAX: f64 = 6.0;
/// Sessions that come first, so that pools and tables that exist once are not counted.
const WARM: usize = 200;
/// Long enough for what was allocated on the way in to be given back.
const SETTLE: Duration = Duration::from_secs(3);
/// File descriptors that neither side uses for sessions.
const FILES_APART: usize = 300;

/// Words of `idle`.
#[derive(Debug, Clone, clap::Args)]
pub struct IdleArgs {
    /// How many sessions; 10,000, or 2,000 with --quick.
    #[arg(long)]
    pub sessions: Option<usize>,
}

/// Runs it.
///
/// # Errors
/// Where hub or sessions fail.
pub async fn run(args: &BenchArgs, own: &IdleArgs) -> anyhow::Result<Report> {
    let mut report = Report::new("idle");
    let bench = Bench::start(args).await?;
    let world = World::new(&bench).await?;
    let wanted = own.sessions.unwrap_or(if args.quick { 2_000 } else { 10_000 });
    let sessions = wanted.min(files_max()?.saturating_sub(FILES_APART + WARM));
    if sessions < wanted {
        progress(&format!("only {sessions} of {wanted} sessions: raise `ulimit -n`"));
    }
    let viewers = |count: usize| {
        let viewer = |_| {
            let token = world.token(&bench, Role::Operator, Uuid::now_v7());
            Viewer { token, room: RoomName::Floor(world.gym), sent: None, looks: false }
        };
        (0..count).map(viewer).collect::<Vec<_>>()
    };
    let warm = Crowd::gather(&bench.ws_url(), viewers(WARM)).await?;
    tokio::time::sleep(SETTLE).await;
    let (_, before_kib) = bench.usage()?.context("idle measures a hub of its own: leave --hub away")?;
    progress(&format!("connecting {sessions} sessions"));
    let crowd = Crowd::gather(&bench.ws_url(), viewers(sessions)).await?;
    tokio::time::sleep(SETTLE).await;
    let (cpu_before_s, after_kib) = bench.usage()?.context("the hub is gone")?;
    let watched = if args.quick { Duration::from_secs(3) } else { Duration::from_secs(10) };
    tokio::time::sleep(watched).await;
    let (cpu_s, _) = bench.usage()?.context("the hub is gone")?;
    let seen = crowd.end().await?;
    warm.end().await?;
    let per_session = after_kib.saturating_sub(before_kib) as f64 / sessions as f64;
    report.set("sessions", sessions);
    report.set("rss_kib", after_kib);
    report.set_rounded("rss_kib_per_session", per_session);
    report.set_rounded("idle_cpu_share", (cpu_s - cpu_before_s) / watched.as_secs_f64());
    report.require(seen.errors == 0, || format!("{} errors", seen.errors));
    report.require(per_session <= RSS_KIB_MAX, || format!("{per_session:.2} KiB a session, at most {RSS_KIB_MAX}"));
    Ok(report)
}
