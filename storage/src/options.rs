//! What the operator decides about storage, already checked. The hub maps its configuration onto this.

use std::time::Duration;

use protocol::{GymId, TenantId};

/// Bounds and addresses. [`Options::new`] has defaults that suit two cores.
#[derive(Clone)]
pub struct Options {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. May hold a secret: not printed.
    pub url: String,
    /// Rows in one transaction at most.
    pub batch_rows: usize,
    /// A row waits this long at most for others to share its transaction.
    pub batch_wait: Duration,
    /// Rows that may wait; beyond, `try_keep` is `Full`.
    pub queue_rows: usize,
    /// Bytes that those rows may hold together; beyond, `try_keep` is `Full`.
    pub queue_bytes: usize,
    /// Facts that may wait; beyond, `persist` hands the fact back.
    pub queue_facts: usize,
    /// Reports that may wait for the hub; the writer pauses while they are full.
    pub queue_reports: usize,
    /// Rows a second at most, so that a backlog leaves the database some air for queries.
    pub rows_per_s_max: u32,
    /// Rows a second at most while what waited for a database that was away is written: it comes back to all its other work too.
    pub drain_rows_per_s: u32,
    /// Connections for questions, besides the writer's own.
    pub connections: u32,
    /// No statement of the writer runs longer; the batch is then tried again.
    pub write_deadline: Duration,
    /// No question runs longer.
    pub query_deadline: Duration,
    /// A connection is made within this time, or tried again.
    pub connect_deadline: Duration,
    /// Opening, with its migrations, takes no longer.
    pub open_deadline: Duration,
    /// Longest pause between two tries while the database is away.
    pub retry_max: Duration,
    /// A sealed workout is added up again when no late row came for this long.
    pub amend_after: Duration,
    /// What becomes of it all in the long run.
    pub history: History,
}

/// What is packed, and what is forgotten, when.
#[derive(Debug, Clone)]
pub struct History {
    /// A sealed workout is packed so long after its seal; none: never.
    pub pack_after: Option<Duration>,
    /// Readings that belong to no sealed workout are packed by whole UTC days so long after; none: never.
    pub loose_after: Option<Duration>,
    /// When nothing was found to do, it is looked again after this.
    pub look_every: Duration,
    /// Boots with raw rows are walked through at most so often.
    pub walk_every: Duration,
    /// It is looked for what may be forgotten at most so often.
    pub forget_every: Duration,
    /// How long packed readings and rollups are kept where no rule says otherwise.
    pub keep: Keep,
    /// Rules for tenants and gyms; one for a gym goes before one for its tenant.
    pub rules: Vec<(Whose, Keep)>,
    /// How long events are kept, by kind; `*` is every kind that is not named.
    pub events: Vec<(String, Duration)>,
    /// How long quarantined rows are kept.
    pub quarantine: Option<Duration>,
}

/// Whose readings a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// All of a tenant.
    Tenant(TenantId),
    /// Those of a gym's machines.
    Gym(GymId),
}

/// How long things are kept; none: for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// Readings themselves.
    pub packed: Option<Duration>,
    /// Their minutes, and days.
    pub rollups: Option<Duration>,
}

impl Default for History {
    fn default() -> Self {
        let (hour, day) = (Duration::from_secs(3_600), Duration::from_secs(86_400));
        Self {
            pack_after: Some(hour),
            loose_after: Some(2 * day),
            look_every: Duration::from_secs(5),
            walk_every: hour / 6,
            forget_every: hour / 6,
            keep: Keep::default(),
            rules: Vec::new(),
            events: vec![("*".to_owned(), 90 * day)],
            quarantine: Some(90 * day),
        }
    }
}

impl Options {
    /// Defaults for a database.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            batch_rows: 8_192,
            batch_wait: Duration::from_millis(200),
            queue_rows: 65_536,
            queue_bytes: 32 * 1024 * 1024,
            queue_facts: 8_192,
            queue_reports: 4_096,
            rows_per_s_max: 250_000,
            drain_rows_per_s: 20_000,
            connect_deadline: Duration::from_secs(5),
            connections: 8,
            write_deadline: Duration::from_secs(10),
            query_deadline: Duration::from_secs(5),
            open_deadline: Duration::from_secs(60),
            retry_max: Duration::from_secs(2),
            amend_after: Duration::from_secs(10),
            history: History::default(),
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("batch_rows", &self.batch_rows).field("queue_rows", &self.queue_rows).finish_non_exhaustive()
    }
}
