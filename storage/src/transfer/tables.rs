//! Every table of the schema, once: what a copy carries over, in which order it is read, and what else it must bring along.
//!
//! A new table gets a row here; a test holds the list against a migrated database of each kind, and a copy refuses a source with a table that is
//! not named. Columns are read from the databases themselves.

/// One table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Its unique key: pages go on behind the last one.
    pub(super) key: &'static [&'static str],
    /// A column that the database numbers by itself: the number goes on where it was, not where the rows end.
    pub(super) serial: Option<&'static str>,
    /// Partitioned by month of `at_ms` in Postgres.
    pub(super) by_month: bool,
}

const fn table(name: &'static str, key: &'static [&'static str]) -> Table {
    Table { name, key, serial: None, by_month: false }
}

/// Not copied: each database has its own.
pub(super) const OWN: [&str; 2] = ["schema_versions", super::progress::TABLE];

/// All of them; what others speak of comes first.
pub(super) const TABLES: &[Table] = &[
    table("node_starts", &["id"]),
    table("installation", &["id"]),
    table("gyms", &["gym"]),
    table("gateways", &["gateway"]),
    table("machines", &["machine"]),
    Table { serial: Some("entry"), ..table("maintenance", &["entry"]) },
    table("tickets", &["ticket"]),
    table("enrolments", &["code"]),
    table("devices", &["device"]),
    table("device_keys", &["key"]),
    Table { serial: Some("entry"), ..table("device_log", &["entry"]) },
    table("members", &["member"]),
    table("achievements", &["member", "gym", "name"]),
    table("staff", &["staff"]),
    table("teams", &["team"]),
    table("team_people", &["team", "kind", "person"]),
    table("claims", &["machine", "fence"]),
    table("visits", &["visit"]),
    table("visit_machines", &["visit", "machine"]),
    table("workouts", &["workout"]),
    table("workout_totals", &["workout", "revision"]),
    table("logged_sets", &["id"]),
    table("stops", &["stop"]),
    table("boards", &["board"]),
    table("board_scores", &["board", "workout"]),
    Table { serial: Some("cursor"), ..table("events", &["cursor"]) },
    table("revocations", &["tenant", "kind", "id"]),
    table("idempotency", &["tenant", "subject", "name"]),
    Table { serial: Some("source"), ..table("sources", &["source"]) },
    table("boots", &["source", "boot"]),
    table("workout_ranges", &["workout", "source", "boot", "from_seq"]),
    Table { by_month: true, ..table("samples", &["source", "boot", "seq", "at_ms"]) },
    table("packed", &["source", "boot", "from_seq"]),
    table("days", &["member", "gym", "day"]),
    table("erased", &["subject"]),
    table("erasures", &["tenant", "member"]),
    Table { serial: Some("entry"), ..table("audit", &["entry"]) },
    table("reps", &["source", "boot", "seq"]),
    table("sets", &["source", "boot", "seq"]),
    table("strokes", &["source", "boot", "seq"]),
    Table { serial: Some("entry"), ..table("quarantine", &["entry"]) },
];
