//! A node: everything wired, from a configuration to a listening hub, and back down.
//!
//! In: a checked configuration. Out: a running [`Node`], or the one thing that failed. The only place that knows every part. Order up: store, keys, shards with
//! what the store knows of gyms, reports, listener last. Order down: the same backwards (`drain.rs`).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use axum::Router;
use config::{Config, KeptFor, Profile, StoreTarget};
use protocol::HubId;
use secrecy::ExposeSecret as _;
use storage::{History, Keep, OpenError, Options, Recorder, Storage, StoreError, Whose};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::auth::devices::{self, Devices};
use crate::auth::{BuiltInIssuer, IssuerError, Revocations, SetupError, Verifier};
use crate::directory::Directory;
use crate::drain;
use crate::hub::Hub;
use crate::keep::{self, Keeper};
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::session::Tickets;
use crate::shard::{Shard, Shards};
use crate::tasks::Tasks;
use crate::transport::accept;
use crate::transport::caps::Caps;
use crate::transport::serve::Front;
use crate::transport::tls::Tls;

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store.
    #[error("the store could not be opened")]
    Store(#[source] OpenError),
    /// What the store knows could not be read.
    #[error("the gyms could not be read from the store")]
    Seed(#[source] StoreError),
    /// The built-in issuer.
    #[error("the built-in issuer could not be made")]
    Issuer(#[source] IssuerError),
    /// The configured issuers.
    #[error("the issuers of tokens could not be prepared")]
    Verifier(#[source] SetupError),
    /// Certificate or key.
    #[error("TLS could not be prepared")]
    Tls(#[source] crate::transport::tls::TlsError),
    /// The address.
    #[error("could not listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// A running node.
pub struct Node {
    /// What its parts share.
    pub hub: Arc<Hub>,
    /// Where it listens, with the port that it was given.
    pub address: SocketAddr,
    /// The built-in issuer, in the `dev` profile.
    pub issuer: Option<Arc<BuiltInIssuer>>,
    recorder: Recorder,
    accepting: CancellationToken,
    shards: CancellationToken,
}

/// What was left after a drain.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Leftover {
    /// Sessions that had to be closed.
    pub sessions_closed: usize,
    /// Tasks that did not end, by name.
    pub tasks: BTreeMap<&'static str, usize>,
    /// Rows that were accepted and are not stored; their sources have them.
    pub rows: usize,
    /// Facts of rooms that are not stored.
    pub facts: usize,
}

/// Starts a node.
///
/// # Errors
/// [`StartError`] names what failed; nothing is left running but tasks that end with the runtime.
pub async fn start(config: Config) -> Result<Node, StartError> {
    start_on(config, None).await
}

/// Starts a node on a listener that it was handed, in place of binding one: its predecessor may still be there, and the two share it.
///
/// # Errors
/// As [`start`].
pub async fn start_on(config: Config, inherited: Option<std::net::TcpListener>) -> Result<Node, StartError> {
    let storage = storage::open(options_of(&config)).await.map_err(StartError::Store)?;
    let issuer = built_in_issuer(&config).map_err(StartError::Issuer)?.map(Arc::new);
    let tls = Tls::load(&config).map_err(StartError::Tls)?.map(Arc::new);
    let Storage { recorder, store, importer, reports, driver, node_start, counters } = storage;
    let installation = store.hub_id(HubId(Uuid::now_v7())).await.map_err(StartError::Seed)?;
    let revocations = Arc::new(Revocations::default());
    let verifier = Verifier::new(&config.auth, issuer.as_deref(), config.dev.open_auth, revocations).map_err(StartError::Verifier)?;
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let count = config.shards.count.on(cores);
    let ticket_life_ms = i64::try_from(config.session.ticket_life.as_millis()).unwrap_or(i64::MAX);
    let hub = Arc::new(Hub {
        tasks: Tasks::new(),
        shards: Shards::new(count, config.shards.inbox as usize, config.shards.safety_inbox as usize),
        registry: Registry::new(count),
        directory: Directory::default(),
        caps: Caps::new(config.limits.clone()),
        tickets: Tickets::new(rand::random(), ticket_life_ms),
        verifier: Arc::new(verifier),
        devices: Devices::new(installation),
        store,
        importer,
        recorder: recorder.clone(),
        metrics: Arc::new(Metrics::new()),
        store_away: AtomicBool::new(false),
        draining: AtomicBool::new(false),
        sources: AtomicU64::new(0),
        config,
    });
    crate::wire::probes(&hub, counters);
    crate::seed::load(&hub).await.map_err(StartError::Seed)?;
    hub.tasks.spawn_vital("recorder", crate::wire::drive(driver));
    let shards = CancellationToken::new();
    for index in 0..count.get() {
        let shard = Shard::new(hub.clone(), index, node_start, Keeper::new(recorder.clone()));
        hub.tasks.spawn_vital("shard", shard.run(shards.clone()));
    }
    hub.tasks.spawn_vital("reports", keep::carry_reports(hub.clone(), reports));
    for fetcher in hub.verifier.fetchers() {
        hub.tasks.spawn("key sets", fetcher.run(hub.tasks.stopped()));
    }
    if inherited.is_some() || hub.config.store.follow {
        hub.tasks.spawn("follow", crate::follow::follow(hub.clone()));
    }
    let router = crate::wire::router(&hub, issuer.clone());
    listen(hub, inherited, router, tls, issuer, recorder, shards)
}

fn listen(
    hub: Arc<Hub>,
    inherited: Option<std::net::TcpListener>,
    router: Router,
    tls: Option<Arc<Tls>>,
    issuer: Option<Arc<BuiltInIssuer>>,
    recorder: Recorder,
    shards: CancellationToken,
) -> Result<Node, StartError> {
    let address = hub.config.listen.address;
    let failed = |source| StartError::Listen { address, source };
    let send_buffer_bytes = hub.config.session.send_buffer_bytes;
    let listener = match inherited {
        Some(listener) => accept::adopt(listener, send_buffer_bytes),
        None => accept::bind(address, send_buffer_bytes),
    };
    let listener = listener.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let accepting = CancellationToken::new();
    hub.tasks.spawn("erasures", crate::erasures::finish(hub.clone(), hub.tasks.stopped()));
    hub.tasks.spawn("devices", devices::watch(hub.clone(), hub.tasks.stopped()));
    if let Some(tls) = tls.clone() {
        hub.tasks.spawn("certificates", tls.watch(hub.metrics.clone(), hub.tasks.stopped()));
    }
    let front = Arc::new(Front { hub: hub.clone(), router, tls });
    hub.tasks.spawn("accept", accept::accept(front, listener, accepting.clone()));
    if hub.config.auth.issuers.is_empty() && issuer.is_none() {
        tracing::warn!("auth.issuers is empty: no token is good here, and only devices that were enrolled before can log in");
    }
    tracing::info!(listen.address = %address, profile = ?hub.config.profile, "the hub listens");
    Ok(Node { hub, address, issuer, recorder, accepting, shards })
}

impl Node {
    /// Ends the node within the configured grace. Returns what was left.
    pub async fn drain(self) -> Leftover {
        let span = tracing::info_span!(target: crate::trace::TARGET, "drain", sessions = self.hub.directory.len());
        self.end().instrument(span).await
    }

    async fn end(self) -> Leftover {
        let grace = self.hub.config.drain.grace;
        let deadline = Instant::now() + grace;
        self.accepting.cancel();
        let left = drain::drain_sessions(&self.hub, grace).await;
        // Sessions say goodbye, requests finish; only then do the shards stop, so that every row is on its way.
        self.hub.tasks.stop();
        wait_for(|| self.nobody_is_left(), grace.mul_f64(0.1)).await;
        self.shards.cancel();
        wait_for(|| self.hub.tasks.running("shard") == 0, grace.mul_f64(0.1)).await;
        let unflushed = self.recorder.drain(deadline.saturating_duration_since(Instant::now())).await;
        let tasks = self.hub.tasks.wait(deadline.saturating_duration_since(Instant::now())).await;
        Leftover { sessions_closed: left.closed, tasks, rows: unflushed.rows, facts: unflushed.facts }
    }
}

impl Node {
    /// Whether every session is gone; one that came through its handshake meanwhile is closed.
    fn nobody_is_left(&self) -> bool {
        self.hub.directory.all().iter().for_each(|peer| peer.close(protocol::CloseReason::Drain));
        self.hub.directory.is_empty()
    }
}

/// Waits for a condition, for so long.
async fn wait_for(done: impl Fn() -> bool, patience: Duration) {
    let deadline = Instant::now() + patience;
    while !done() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The address of the configured store, as `storage` takes it. May hold a password.
#[must_use]
pub fn store_url(config: &Config) -> String {
    match &config.store.target {
        StoreTarget::Sqlite(path) => format!("sqlite:{}", path.display()),
        StoreTarget::Postgres(url) => url.expose_secret().to_owned(),
    }
}

fn options_of(config: &Config) -> Options {
    let store = &config.store;
    let url = store_url(config);
    Options {
        batch_rows: store.batch_rows,
        batch_wait: store.batch_wait,
        queue_rows: store.queue_rows,
        queue_bytes: store.queue_bytes,
        drain_rows_per_s: store.drain_rows_per_s,
        connections: store.connections,
        connect_deadline: store.connect_timeout,
        write_deadline: store.statement_timeout,
        query_deadline: store.statement_timeout,
        history: history_of(config),
        ..Options::new(url)
    }
}

fn history_of(config: &Config) -> History {
    let retention = &config.retention;
    let keep = |kept: &config::Kept| Keep { packed: kept.packed, rollups: kept.rollups };
    let whose = |of: &KeptFor| match of {
        KeptFor::Tenant(tenant) => Whose::Tenant(*tenant),
        KeptFor::Gym(gym) => Whose::Gym(*gym),
    };
    History {
        pack_after: retention.pack_after,
        loose_after: retention.raw,
        keep: keep(&retention.kept),
        rules: retention.rules.iter().map(|(of, kept)| (whose(of), keep(kept))).collect(),
        events: retention.events.clone(),
        quarantine: Some(retention.quarantine),
        ..History::default()
    }
}

fn built_in_issuer(config: &Config) -> Result<Option<BuiltInIssuer>, IssuerError> {
    if config.profile != Profile::Dev || !config.dev.built_in_issuer {
        return Ok(None);
    }
    match (&config.dev.issuer_key, &config.store.target) {
        (Some(path), _) => BuiltInIssuer::in_file(path).map(Some),
        (None, StoreTarget::Sqlite(store)) => BuiltInIssuer::in_file(&store.with_file_name("spotter-issuer.p8")).map(Some),
        (None, StoreTarget::Postgres(_)) => BuiltInIssuer::in_memory().map(Some),
    }
}
