//! `idle` on all servers: authenticated sessions that watch one room, and what each keeps resident. The hub also behind its own TLS.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use protocol::RoomName;
use protocol::frame::Role;
use uuid::Uuid;

use super::child::Server;
use super::{rounds, socketio, tls};
use crate::bench::{Bench, BenchArgs, Viewer, World, enter, files_max, progress, rss_kib};
use crate::peer::{Light, Options};

const DIALS: usize = 64;
/// Sessions that come first, so that pools and tables that exist once are not counted.
const WARM: usize = 200;
/// Long enough for what was allocated on the way in to be given back.
const SETTLE: Duration = Duration::from_secs(3);
/// File descriptors that are not for sessions.
const FILES_APART: usize = 400;
/// The hub's name behind TLS.
pub(super) const HUB_TLS: &str = "hub_tls";

/// Resident KiB of a session, by server.
#[derive(Debug, Clone)]
pub(super) struct Resident {
    pub(super) sessions: usize,
    pub(super) kib: Vec<(&'static str, f64)>,
}

impl Resident {
    pub(super) fn of(&self, name: &str) -> Option<f64> {
        self.kib.iter().find(|(known, _)| *known == name).map(|(_, kib)| *kib)
    }
}

/// Connects as many to each server, one server after the other.
///
/// # Errors
/// Where a server or a session fails.
pub(super) async fn measure(args: &BenchArgs, folder: &Path) -> anyhow::Result<Resident> {
    let wanted = if args.quick { 300 } else { 8_000 };
    let sessions = wanted.min(files_max()?.saturating_sub(FILES_APART + WARM));
    progress(&format!("idle: {sessions} sessions on each server"));
    let settle = if args.quick { SETTLE / 6 } else { SETTLE };
    let kib = vec![
        (rounds::HUB, hub(args, sessions, settle).await?),
        (HUB_TLS, tls_hub(args, sessions, settle).await?),
        (rounds::LIMIT, limit(sessions, settle).await?),
        (rounds::SOCKETIO, on_socketio(folder, sessions, settle).await?),
    ];
    Ok(Resident { sessions, kib })
}

async fn hub(args: &BenchArgs, sessions: usize, settle: Duration) -> anyhow::Result<f64> {
    let bench = Bench::start(args).await?;
    let world = World::new(&bench).await?;
    let pid = bench.pid().context("compare measures a hub of its own: leave --hub away")?;
    let dial = || {
        let token = world.token(&bench, Role::Operator, Uuid::now_v7());
        let viewer = Viewer { token, room: RoomName::Floor(world.gym), sent: None, looks: false };
        enter(bench.ws_url(), viewer)
    };
    each(pid, sessions, settle, dial).await
}

async fn tls_hub(args: &BenchArgs, sessions: usize, settle: Duration) -> anyhow::Result<f64> {
    let bench = Bench::start_tls(args).await?;
    let world = World::new(&bench).await?;
    let pid = bench.pid().context("compare measures a hub of its own: leave --hub away")?;
    let connector = tls::connector()?;
    let dial = || {
        let token = world.token(&bench, Role::Operator, Uuid::now_v7());
        tls::enter(connector.clone(), bench.address(), token, RoomName::Floor(world.gym))
    };
    each(pid, sessions, settle, dial).await
}

async fn limit(sessions: usize, settle: Duration) -> anyhow::Result<f64> {
    let server = Server::limit().await?;
    let url = format!("{}/0", server.url());
    each(server.pid()?, sessions, settle, || {
        let url = url.clone();
        async move { Ok(Light::open(&url, None, &Options::new("")).await?) }
    })
    .await
}

async fn on_socketio(folder: &Path, sessions: usize, settle: Duration) -> anyhow::Result<f64> {
    let token = Uuid::now_v7().to_string();
    let server = Server::socketio(folder, &token).await?;
    let (url, token) = (&server.url(), &token);
    each(server.pid()?, sessions, settle, || async move { socketio::connect(url, token, Some("floor")).await }).await
}

/// What each of so many connections adds.
async fn each<T, F>(pid: u32, sessions: usize, settle: Duration, dial: impl Fn() -> F) -> anyhow::Result<f64>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let warm: Vec<T> = many(WARM, &dial).await?;
    tokio::time::sleep(settle).await;
    let before_kib = rss_kib(pid)?;
    let held: Vec<T> = many(sessions, &dial).await?;
    tokio::time::sleep(settle).await;
    let after_kib = rss_kib(pid)?;
    drop((warm, held));
    Ok(after_kib.saturating_sub(before_kib) as f64 / sessions as f64)
}

async fn many<T, F>(count: usize, dial: &impl Fn() -> F) -> anyhow::Result<Vec<T>>
where
    F: Future<Output = anyhow::Result<T>>,
{
    stream::iter((0..count).map(|_| dial())).buffer_unordered(DIALS).try_collect().await
}
