//! What a row of the ledger is: a fault, the stores that it applies to, how often it runs, how long it lasts, and the code that makes it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::found::Found;
use crate::bench::{BenchArgs, Postgres};
use crate::gateway::Dice;

/// A quick run is so many times shorter.
const QUICK: u32 = 10;

/// A database below the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Store {
    /// A child Postgres.
    Postgres,
    /// The embedded store.
    Sqlite,
}

impl Store {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }
}

/// How many times a row runs in full.
pub(super) const RANDOM_RUNS: u32 = 20;
/// And where one run lasts over half a minute.
pub(super) const LONG_RUNS: u32 = 3;

/// A run under way.
pub(super) type Running = Pin<Box<dyn Future<Output = anyhow::Result<Found>> + Send>>;

/// One fault.
pub(super) struct Row {
    /// Its name on the command line.
    pub(super) name: &'static str,
    /// What happens, for the table.
    pub(super) about: &'static str,
    /// The stores that it can happen to.
    pub(super) stores: &'static [Store],
    /// Runs in full; one where quick.
    pub(super) runs: u32,
    /// How long the load lasts in full.
    pub(super) lasts: Duration,
    /// Whether it judges latencies: then it runs after the others, with nothing beside it.
    pub(super) alone: bool,
    /// Makes it happen once.
    pub(super) run: fn(Case) -> Running,
}

/// One run of a row.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) row: &'static Row,
    pub(super) store: Store,
    pub(super) seed: u64,
    pub(super) quick: bool,
    /// The words of the command line, with the seed of this run.
    pub(super) args: BenchArgs,
    /// One Postgres for all runs of a row, started when first asked for; each run has a database of its own.
    pub(super) cluster: Arc<OnceCell<Postgres>>,
}

impl Case {
    /// Falls the same way for the same seed.
    pub(super) const fn dice(&self) -> Dice {
        Dice::new(self.seed)
    }

    /// A time of the fault table, a tenth of it where quick.
    pub(super) fn time(&self, full: Duration) -> Duration {
        if self.quick { full / QUICK } else { full }
    }

    /// The Postgres of this row.
    pub(super) async fn postgres(&self) -> anyhow::Result<&Postgres> {
        self.cluster.get_or_try_init(Postgres::start).await
    }

    /// The URL of an empty store of this run; none is SQLite in the hub's own folder.
    pub(super) async fn store_url(&self) -> anyhow::Result<Option<String>> {
        match self.store {
            Store::Sqlite => Ok(None),
            Store::Postgres => {
                let name = format!("run_{}", self.seed);
                let url = self.postgres().await?.create_database(&name).await.context("no database for a run")?;
                Ok(Some(url))
            }
        }
    }
}
