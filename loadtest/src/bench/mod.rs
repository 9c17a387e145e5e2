//! What every scenario stands on: a hub (a child, or one that runs elsewhere), a store, a provisioned world, tokens, measuring.
//!
//! In: the command line's words ([`BenchArgs`]). Out: a [`Bench`] to connect to. Everything that it started ends with it.

mod crowd;
mod database;
mod feeder;
mod hub;
mod kernel;
mod latency;
mod line;
mod link;
mod postgres;
mod publisher;
mod pulse;
mod report;
mod scrape;
mod stored;
mod token;
mod usage;
mod world;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use protocol::TenantId;
use uuid::Uuid;

pub(crate) use crowd::enter;
pub use crowd::{Crowd, Seen, SentTimes, Viewer};
pub use database::{Database, Quarantined, Range};
pub use feeder::Feeder;
pub use hub::{HubChild, TEST_CERTIFICATE, find_binary};
pub use kernel::{Queue, queues_of};
pub use latency::Latency;
pub use line::{Line, LineKind};
pub use link::Link;
pub use postgres::{Postgres, free_port};
pub use publisher::Publisher;
pub use pulse::{Pulse, Second, beat, median_p99_us};
pub use report::{ALWAYS, Report};
pub use scrape::Scrape;
pub use stored::Stored;
pub use token::Minter;
pub use usage::{RssCurve, cpu_s, files_max, rss_kib};
pub use world::{NewMachine, World};

/// Words that all scenarios share.
#[derive(Debug, Clone, clap::Args)]
pub struct BenchArgs {
    /// A hub that runs already, `http://host:port`; else one is started.
    #[arg(long, global = true, requires = "token_key")]
    pub hub: Option<String>,
    /// Secret of its HS256 issuer `spotter:loadtest` (dev profile).
    #[arg(long, global = true)]
    pub token_key: Option<String>,
    /// The hub's binary; else `spotter` beside this one.
    #[arg(long, global = true)]
    pub hub_binary: Option<PathBuf>,
    /// `sqlite`, `postgres` (one is started) or `postgres://…` (an empty database).
    #[arg(long, global = true, default_value = "sqlite")]
    pub store: String,
    /// Smaller, under 40 s.
    #[arg(long, global = true)]
    pub quick: bool,
    /// Draws ids, nonces and mischief.
    #[arg(long, global = true, default_value_t = 1)]
    pub seed: u64,
}

/// Says where a run is, on standard error.
pub fn progress(text: &str) {
    // Nobody to tell when standard error is closed.
    writeln!(std::io::stderr(), "loadtest: {text}").ok();
}

/// What a scenario wants besides the words of the command line.
#[derive(Debug, Clone, Default)]
pub struct Wants {
    /// The store, `sqlite:FILE` or `postgres://…`, whatever the words say.
    pub store_url: Option<String>,
    /// Settings of the hub as `key=value`.
    pub set: Vec<String>,
    /// An address that another hub can take over.
    pub line: Option<LineKind>,
    /// Words before the hub's own, such as `prlimit --nofile=200`.
    pub before: Vec<String>,
}

/// A hub with its store.
pub struct Bench {
    child: Option<HubChild>,
    postgres: Option<Postgres>,
    store_url: Option<String>,
    http: String,
    /// Signs tokens of the tenant of this run.
    pub minter: Minter,
    client: reqwest::Client,
}

impl Bench {
    /// Starts what the words ask for.
    ///
    /// # Errors
    /// Where the hub or Postgres cannot be started or found.
    pub async fn start(args: &BenchArgs) -> anyhow::Result<Self> {
        Self::start_with(args, Wants::default()).await
    }

    /// As [`Bench::start`], with what the scenario itself wants.
    ///
    /// # Errors
    /// As [`Bench::start`].
    pub async fn start_with(args: &BenchArgs, wants: Wants) -> anyhow::Result<Self> {
        let tenant = TenantId(Uuid::now_v7());
        // No connection is kept: one that the hub closes while it idles would be found out by the next request.
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(20))
            .pool_max_idle_per_host(0)
            .no_proxy()
            .build()
            .context("no HTTP client")?;
        if let (Some(http), Some(key)) = (&args.hub, &args.token_key) {
            let http = http.trim_end_matches('/').to_owned();
            return Ok(Self { child: None, postgres: None, store_url: None, http, minter: Minter::new(key, tenant), client });
        }
        let binary = find_binary(args.hub_binary.as_deref())?;
        let (postgres, store_url) = match (wants.store_url, args.store.as_str()) {
            (Some(url), _) => (None, Some(url)),
            (None, "sqlite") => (None, None),
            (None, "postgres") => {
                progress("starting Postgres");
                let postgres = Postgres::start().await?;
                let url = postgres.url();
                (Some(postgres), Some(url))
            }
            (None, url) => (None, Some(url.to_owned())),
        };
        let secret = format!("{}{}", Uuid::now_v7().simple(), Uuid::now_v7().simple());
        progress("starting the hub");
        let child = match wants.line {
            None => HubChild::start(binary, store_url.as_deref(), &secret, &wants.set, &wants.before).await?,
            Some(kind) => HubChild::start_on_line(binary, store_url.as_deref(), &secret, &wants.set, kind).await?,
        };
        let http = child.http();
        Ok(Self { child: Some(child), postgres, store_url, http, minter: Minter::new(&secret, tenant), client })
    }

    /// A hub of its own that ends TLS itself, with SQLite.
    ///
    /// # Errors
    /// As [`Bench::start`].
    pub async fn start_tls(args: &BenchArgs) -> anyhow::Result<Self> {
        let binary = find_binary(args.hub_binary.as_deref())?;
        let secret = format!("{}{}", Uuid::now_v7().simple(), Uuid::now_v7().simple());
        let child = HubChild::start_tls(binary, None, &secret).await?;
        // The test certificate is nobody's.
        let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).no_proxy().tls_danger_accept_invalid_certs(true);
        let client = client.build().context("no HTTP client")?;
        let minter = Minter::new(&secret, TenantId(Uuid::now_v7()));
        Ok(Self { http: child.http(), child: Some(child), postgres: None, store_url: None, minter, client })
    }

    /// `ADDRESS:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        self.http.split_once("://").map_or_else(|| self.http.clone(), |(_, address)| address.to_owned())
    }

    /// `ws://…/v1/ws`.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("{}/v1/ws", self.http.replacen("http", "ws", 1))
    }

    /// `http://…`.
    #[must_use]
    pub fn http(&self) -> &str {
        &self.http
    }

    /// The HTTP client.
    #[must_use]
    pub const fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// The hub's process, where it is ours.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(HubChild::pid)
    }

    /// The hub, where it is ours.
    ///
    /// # Errors
    /// Where it runs elsewhere: this scenario must start and kill it.
    pub fn child(&mut self) -> anyhow::Result<&mut HubChild> {
        self.child.as_mut().context("this needs a hub of its own: leave --hub away")
    }

    /// The Postgres, where it is ours.
    ///
    /// # Errors
    /// Where it is not.
    pub fn postgres(&self) -> anyhow::Result<&Postgres> {
        self.postgres.as_ref().context("this needs a Postgres of its own: --store postgres")
    }

    /// Opens the store beside the hub, to read what it holds.
    ///
    /// # Errors
    /// Where the hub is not ours, or the store cannot be opened.
    pub async fn database(&self) -> anyhow::Result<Database> {
        let child = self.child.as_ref().context("the store of a hub that runs elsewhere cannot be read")?;
        match &self.store_url {
            Some(url) => match url.strip_prefix("sqlite:") {
                Some(path) => Database::sqlite(std::path::Path::new(path)).await,
                None => Database::postgres(url).await,
            },
            None => Database::sqlite(&child.sqlite_path()).await,
        }
    }

    /// The hub's CPU seconds and resident memory, where it is ours.
    ///
    /// # Errors
    /// Where the process is gone.
    pub fn usage(&self) -> anyhow::Result<Option<(f64, u64)>> {
        self.pid().map(|pid| Ok((cpu_s(pid)?, rss_kib(pid)?))).transpose()
    }

    /// The hub's whole log, where it is ours.
    #[must_use]
    pub fn log(&self) -> String {
        self.child.as_ref().map_or_else(String::new, HubChild::log)
    }

    /// What to add to an error: the end of the hub's log.
    #[must_use]
    pub fn log_end(&self) -> String {
        self.child.as_ref().map_or_else(String::new, HubChild::log_end)
    }
}
