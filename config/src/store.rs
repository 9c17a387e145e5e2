//! The store and the Recorder's batches.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use crate::check::Checker;
use crate::unit;

/// Where things are kept and how they get there.
#[derive(Debug, Clone)]
pub struct Store {
    /// Which store.
    pub target: StoreTarget,
    /// Connections to Postgres.
    pub connections: u32,
    /// Deadline of a connection.
    pub connect_timeout: Duration,
    /// Deadline of a query.
    pub statement_timeout: Duration,
    /// Rows of a full batch.
    pub batch_rows: usize,
    /// Age of its oldest row at which a batch is written anyway.
    pub batch_wait: Duration,
    /// Rows that may wait.
    pub queue_rows: usize,
    /// Bytes that may wait.
    pub queue_bytes: usize,
    /// Rate at which sources send what they kept, all together.
    pub drain_rows_per_s: u32,
    /// Whether another hub is on this store for a while, which this one replaces.
    pub follow: bool,
}

/// Which store.
#[derive(Debug, Clone)]
pub enum StoreTarget {
    /// The embedded one, in a file.
    Sqlite(PathBuf),
    /// Postgres; the URL may hold a password.
    Postgres(SecretString),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStore {
    url: SecretString,
    #[serde(default)]
    url_file: Option<PathBuf>,
    #[serde(deserialize_with = "unit::count")]
    connections: u32,
    #[serde(deserialize_with = "unit::span")]
    connect_timeout: Duration,
    #[serde(deserialize_with = "unit::span")]
    statement_timeout: Duration,
    #[serde(deserialize_with = "unit::count")]
    batch_rows: u32,
    #[serde(deserialize_with = "unit::span")]
    batch_wait: Duration,
    #[serde(deserialize_with = "unit::count")]
    queue_rows: u32,
    #[serde(deserialize_with = "unit::size")]
    queue_bytes: usize,
    #[serde(deserialize_with = "unit::count")]
    drain_rows_per_s: u32,
    follow: bool,
}

pub(crate) fn check(checker: &mut Checker<'_>) -> Option<Store> {
    let raw: RawStore = checker.section("store")?;
    let target = target(checker, &raw);
    checker.hold(
        raw.batch_rows < raw.queue_rows,
        "store.batch_rows",
        || {
            format!(
                "is {} and store.queue_rows is {}: the queue would be full before a batch is, and sources told to hold for nothing",
                raw.batch_rows, raw.queue_rows
            )
        },
        || "write less than store.queue_rows".to_owned(),
    );
    checker.hold(
        raw.batch_wait < raw.statement_timeout,
        "store.batch_wait",
        || {
            format!(
                "is {:?} and store.statement_timeout is {:?}: rows would wait longer than a write may take",
                raw.batch_wait, raw.statement_timeout
            )
        },
        || "write less than store.statement_timeout".to_owned(),
    );
    checker.hold(
        raw.batch_wait <= Duration::from_secs(1),
        "store.batch_wait",
        || format!("is {:?}: sources hear what is stored each second", raw.batch_wait),
        || "write at most \"1s\"".to_owned(),
    );
    Some(Store {
        target: target?,
        connections: raw.connections,
        connect_timeout: raw.connect_timeout,
        statement_timeout: raw.statement_timeout,
        batch_rows: raw.batch_rows as usize,
        batch_wait: raw.batch_wait,
        queue_rows: raw.queue_rows as usize,
        queue_bytes: raw.queue_bytes,
        drain_rows_per_s: raw.drain_rows_per_s,
        follow: raw.follow,
    })
}

fn target(checker: &mut Checker<'_>, raw: &RawStore) -> Option<StoreTarget> {
    use secrecy::ExposeSecret;
    let (key, url) = match &raw.url_file {
        Some(path) => ("store.url_file", secret_file(checker, "store.url_file", path)?),
        None => ("store.url", raw.url.clone()),
    };
    let text = url.expose_secret();
    if let Some(path) = text.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        checker.hold(
            !path.is_empty() && path != ":memory:",
            key,
            || "is a store without a file: nothing would be kept".to_owned(),
            || "write \"sqlite:spotter.db\"".to_owned(),
        );
        return Some(StoreTarget::Sqlite(PathBuf::from(path)));
    }
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Some(StoreTarget::Postgres(url));
    }
    // The value is not repeated: it may hold a password.
    checker.refuse(key, "is neither SQLite nor Postgres", "write \"sqlite:FILE\" or \"postgres://USER:PASSWORD@HOST/DATABASE\"");
    None
}

/// Reads a secret from a file, without the line end that editors leave.
pub(crate) fn secret_file(checker: &mut Checker<'_>, key: &str, path: &std::path::Path) -> Option<SecretString> {
    match std::fs::read_to_string(path) {
        Ok(text) => Some(SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned())),
        Err(error) => {
            checker.refuse(key, format!("is {}, which cannot be read: {error}", path.display()), "give a file that this user may read");
            None
        }
    }
}

impl Store {
    /// Folder of the embedded store; none with Postgres.
    #[must_use]
    pub fn folder(&self) -> Option<PathBuf> {
        match &self.target {
            StoreTarget::Sqlite(file) => Some(file.parent().map(PathBuf::from).unwrap_or_default()),
            StoreTarget::Postgres(_) => None,
        }
    }
}
