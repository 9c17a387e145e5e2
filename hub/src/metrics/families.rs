//! The table of everything that is counted: name, kind, label, its values, what it means. `docs/METRICS.md` is printed from it.

use protocol::frame::Role;
use protocol::{CloseReason, ErrorCode};

/// How a number behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; the text adds `_total` to the name.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by how large.
    Histogram,
}

/// One family, as the document has it.
#[derive(Debug, Clone, Copy)]
pub struct Described {
    /// Name without the suffixes of its kind.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// The label that its series differ by; several with commas.
    pub label: &'static str,
    /// Values of the label, where they are fixed.
    pub values: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

macro_rules! counters {
    ($($variant:ident $name:literal $label:literal $values:expr, $help:literal;)+) => {
        /// A counted family.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the table says it")]
        pub enum Count { $($variant,)+ }

        /// Counters in the order of [`Count`].
        pub(super) const COUNTERS: &[Described] =
            &[$(Described { name: $name, kind: Kind::Counter, label: $label, values: $values, help: $help },)+];
    };
}

macro_rules! gauges {
    ($($variant:ident $kind:ident $name:literal $label:literal $help:literal;)+) => {
        /// A family that is read when asked: what is now, or a total that somebody else counts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the table says it")]
        pub enum Gauge { $($variant,)+ }

        impl Gauge {
            /// All, in the order of the table.
            pub(super) const ALL: &[Self] = &[$(Self::$variant,)+];
        }

        /// Families in the order of [`Gauge`].
        pub(super) const GAUGES: &[Described] =
            &[$(Described { name: $name, kind: Kind::$kind, label: $label, values: &[], help: $help },)+];
    };
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident $table:ident { $($variant:ident $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the words say it")]
        pub enum $name { $($variant,)+ }
        pub(super) const $table: &[&str] = &[$($word,)+];
    };
}

words! {
    /// What is dropped on purpose.
    Drop DROPS { LiveReplaced "live_replaced", OutboxAtClose "outbox_at_close", ShardFull "shard_full", Undecodable "undecodable", NotBound "not_bound", }
}
words! {
    /// A limit that can be met.
    Limit LIMITS {
        Connections "connections", Unauthenticated "unauthenticated", Address "address", User "user", Device "device",
        Frames "frames", Requests "requests", AddressRequests "address_requests", SubjectRequests "subject_requests", Logins "logins", Body "body",
    }
}
words! {
    /// What becomes of a reading on its way to the store.
    Outcome OUTCOMES { Accepted "accepted", Stored "stored", Held "held", Quarantined "quarantined", Duplicate "duplicate", Lost "lost", }
}

/// Why tokens are refused, as `AuthError::name` has it.
pub(super) const TOKEN_REFUSALS: &[&str] =
    &["malformed", "unknown_issuer", "unknown_key", "algorithm", "signature", "audience", "expired", "not_yet", "claim", "role", "revoked"];
/// What became of devices' proofs, as `DeviceError::name` has it.
pub(super) const DEVICE_PROOFS: &[&str] = &["proved", "unknown", "certificate", "revoked", "cloned", "proof"];
const ROLES: &[&str] = &{
    let mut words = [""; Role::ALL.len()];
    let mut i = 0;
    while i < words.len() {
        words[i] = Role::ALL[i].name();
        i += 1;
    }
    words
};
const CLOSES: &[&str] = &{
    let mut words = [""; CloseReason::ALL.len()];
    let mut i = 0;
    while i < words.len() {
        words[i] = CloseReason::ALL[i].name();
        i += 1;
    }
    words
};
const ERRORS: &[&str] = &{
    let mut words = [""; ErrorCode::ALL.len()];
    let mut i = 0;
    while i < words.len() {
        words[i] = ErrorCode::ALL[i].name();
        i += 1;
    }
    words
};
const ONE: &[&str] = &[""];

counters! {
    SessionsOpened "spotter_sessions_opened" "role" ROLES, "Sessions whose hello was accepted";
    SessionsClosed "spotter_sessions_closed" "role" ROLES, "Sessions that ended";
    Closes "spotter_closes" "reason" CLOSES, "Connections that ended, by the close catalogue";
    FramesIn "spotter_frames_in" "" ONE, "Frames from peers";
    BytesIn "spotter_bytes_in" "" ONE, "Bytes of frames from peers";
    FramesOut "spotter_frames_out" "class" &["safety", "event", "live"], "Frames for peers, by delivery class";
    BytesOut "spotter_bytes_out" "class" &["safety", "event", "live"], "Bytes of frames for peers";
    Drops "spotter_drops" "what" DROPS, "Things dropped on purpose";
    Limited "spotter_limited" "limit" LIMITS, "Times that a limit was met";
    Errors "spotter_errors" "code" ERRORS, "Errors told to peers and clients, by the error catalogue";
    TokensRefused "spotter_tokens_refused" "why" TOKEN_REFUSALS, "Tokens that opened nothing";
    Readings "spotter_readings" "fate" &["live", "stale", "duplicate", "poison"], "Readings as rooms saw them";
    Samples "spotter_samples" "outcome" OUTCOMES, "Readings on their way to the store: accepted by the Recorder, stored (committed), held back because it was full, quarantined, stored before, declared lost";
    StopsAsked "spotter_stops_asked" "" ONE, "Stops asked for; repeats join";
    Stops "spotter_stops" "result" &["stopped", "refused", "unconfirmed"], "Results of stops";
    Commands "spotter_commands" "" ONE, "Commands sent to machines";
    Spans "spotter_spans" "fate" &["sent", "dropped", "failed"], "Spans of traces: taken by the collector, dropped because the queue was full, not taken in time";
    DeviceProofs "spotter_device_proofs" "result" DEVICE_PROOFS, "Devices that showed who they are, by signature or certificate, and those that did not";
    DevicesCloned "spotter_devices_cloned" "" ONE, "Devices whose key was live on two sockets";
    TlsReloads "spotter_tls_reloads" "result" &["taken", "refused"], "Certificate files that changed: taken for new connections, or refused while the old go on";
    Claims "spotter_claims" "result" &["granted", "denied"], "Claims decided";
}

gauges! {
    Sessions Gauge "spotter_sessions" "role" "Sessions that stand";
    ActiveUsers Gauge "active_users" "" "Subjects with at least one session";
    QueuedBytes Gauge "spotter_queued_bytes" "" "Memory of what waits in outboxes";
    ShardInbox Gauge "spotter_shard_inbox" "shard" "Inputs that wait in a shard's inbox";
    Gyms Gauge "spotter_gyms" "" "Gyms that this node steps";
    RecorderRows Gauge "spotter_recorder_queue_rows" "" "Rows that wait for the store";
    RecorderBytes Gauge "spotter_recorder_queue_bytes" "" "Bytes of rows that wait for the store";
    RecorderFacts Gauge "spotter_recorder_queue_facts" "" "Facts (claims, visits, workouts, events) that wait for the store";
    RecorderLag Gauge "spotter_recorder_lag_seconds" "" "From receiving the oldest row of the last batch to its commit";
    RecorderBatches Counter "spotter_recorder_batches" "" "Transactions committed since the start";
    RecorderRetries Counter "spotter_recorder_retries" "" "Transactions tried again since the start";
    PackedSamples Counter "spotter_packed_samples" "" "Readings packed since the start";
    PackedBytes Gauge "spotter_packed_bytes" "" "Bytes of the chunks and minutes that they became";
    PackedChunks Counter "spotter_packed_chunks" "" "Chunks written since the start";
    ForgottenChunks Counter "spotter_forgotten_chunks" "" "Chunks that retention took away or emptied since the start";
    ForgottenRows Counter "spotter_forgotten_rows" "" "Events, quarantined rows, days and keys that retention took away since the start";
    ForgottenPartitions Counter "spotter_forgotten_partitions" "" "Empty partitions dropped since the start (Postgres)";
    HistoryFailed Counter "spotter_history_failed" "" "Steps of packing or retention that failed since the start, the database being there";
    StoreUp Gauge "spotter_store_up" "" "1 while the database answers";
    Tasks Gauge "spotter_tasks" "" "Tasks that run";
    Revocations Gauge "spotter_revocations" "" "Revocations in force";
    DiskUsed Gauge "spotter_disk_used_ratio" "" "Used part of the disk that the embedded store is on";
    Uptime Gauge "spotter_uptime_seconds" "" "Since the start";
    Memory Gauge "process_resident_memory_bytes" "" "Resident memory";
    Cpu Counter "process_cpu_seconds" "" "Processor time used, user and system";
    Descriptors Gauge "process_open_fds" "" "Open file descriptors";
    DescriptorsMost Gauge "process_max_fds" "" "Descriptors that the process may have open (`ulimit -n`)";
}

/// Families that are timed.
pub(super) const HISTOGRAMS: &[Described] = &[
    Described {
        name: "http_request_duration_seconds",
        kind: Kind::Histogram,
        label: "method, route, status",
        values: &[],
        help: "HTTP requests, by the route's pattern",
    },
    Described {
        name: "database_query_duration_seconds",
        kind: Kind::Histogram,
        label: "operation, table",
        values: &[],
        help: "Questions to the database",
    },
];

/// Series of all counters together.
pub(super) const SERIES: usize = first(COUNTERS.len());

/// Place of a family's first series.
const fn first(family: usize) -> usize {
    let (mut at, mut i) = (0, 0);
    while i < family {
        at += COUNTERS[i].values.len();
        i += 1;
    }
    at
}

/// Place of one series.
pub(super) const fn place(count: Count, index: usize) -> usize {
    first(count as usize) + index
}
