//! What the operator said, checked into meaning.
//!
//! In: the embedded manual `default.toml`, a profile, a file, the environment, flags. Out: a [`Config`] in which every time, size and
//! relation holds, or a [`ConfigError`] whose sentences name the key, where it was said, what would follow and what to write instead.
//! Reads files that the configuration names (secrets), opens no socket, prints nothing.

mod auth;
mod check;
mod dev;
mod layer;
mod limits;
mod listen;
mod problem;
mod process;
mod retention;
mod session;
mod show;
mod store;
mod trace;
mod unit;

pub use auth::{Algorithm, Auth, Claims, Issuer, Keys, LEEWAY_MAX, StaticKey, SubjectForm};
pub use dev::Dev;
pub use layer::{DEFAULT_TOML, DEV_TOML, Profile, Sources};
pub use limits::{Limits, Rate};
pub use listen::{Listen, Proxy, Tls, TlsVersion};
pub use problem::{ConfigError, Origin, Problem};
pub use process::{Log, LogFormat, Pages};
pub use retention::{Kept, KeptFor, Retention};
pub use session::{Drain, Session, Shards};
pub use show::{Shown, show};
pub use store::{Store, StoreTarget};
pub use trace::Trace;
pub use unit::{ShardCount, parse_span};

use check::Checker;
use figment::Figment;

/// Everything, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// How safe this hub must be.
    pub profile: Profile,
    /// Where it listens.
    pub listen: Listen,
    /// How much anybody may have.
    pub limits: Limits,
    /// A session's times and sizes.
    pub session: Session,
    /// The tasks that own gyms.
    pub shards: Shards,
    /// Where things are kept.
    pub store: Store,
    /// When readings are packed, and how long what is kept.
    pub retention: Retention,
    /// Who may issue tokens.
    pub auth: Auth,
    /// What is logged.
    pub log: Log,
    /// What is traced.
    pub trace: Trace,
    /// The end of the process.
    pub drain: Drain,
    /// The pages.
    pub pages: Pages,
    /// The unsafe switches.
    pub dev: Dev,
}

/// The tables of the manual.
const TABLES: &[&str] =
    &["profile", "listen", "limits", "session", "shards", "store", "retention", "auth", "log", "trace", "drain", "pages", "dev"];

/// Reads all layers and checks them.
///
/// # Errors
/// [`ConfigError`] with every problem found; nothing should start.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let (figment, profile) = layer::stack(sources).map_err(|problems| ConfigError { problems })?;
    let mut checker = Checker::new(&figment, profile);
    unknown_tables(&mut checker, &figment);
    let config = check_all(&mut checker);
    match config {
        Some(config) if checker.problems.is_empty() => Ok(config),
        _ => Err(ConfigError { problems: checker.problems }),
    }
}

fn check_all(checker: &mut Checker<'_>) -> Option<Config> {
    let profile = checker.profile;
    let listen = listen::check(checker);
    let limits = limits::check(checker);
    let session = session::check_session(checker);
    let shards = session::check_shards(checker);
    let store = store::check(checker);
    let retention = retention::check(checker);
    let dev = dev::check(checker);
    let auth = auth::check(checker, dev.as_ref());
    let log = process::check_log(checker);
    let trace = trace::check(checker);
    let drain = session::check_drain(checker);
    let pages = process::check_pages(checker);
    let config = Config {
        profile,
        listen: listen?,
        limits: limits?,
        session: session?,
        shards: shards?,
        store: store?,
        retention: retention?,
        auth: auth?,
        log: log?,
        trace: trace?,
        drain: drain?,
        pages: pages?,
        dev: dev?,
    };
    relations(checker, &config);
    Some(config)
}

/// What must hold between tables.
fn relations(checker: &mut Checker<'_>, config: &Config) {
    let (write, grace) = (config.session.write_timeout, config.drain.grace);
    checker.hold(
        write < grace,
        "session.write_timeout",
        || format!("is {write:?} and drain.grace is {grace:?}: one slow peer could hold the drain until it is cut off"),
        || "write less than drain.grace".to_owned(),
    );
    let (wait, hello) = (config.auth.unknown_key_wait, config.session.hello_timeout);
    checker.hold(
        wait < hello,
        "auth.unknown_key_wait",
        || format!("is {wait:?} and session.hello_timeout is {hello:?}: the session would be closed while it waits for the key"),
        || "write less than session.hello_timeout".to_owned(),
    );
    let statement = config.store.statement_timeout;
    checker.hold(
        statement < grace,
        "store.statement_timeout",
        || format!("is {statement:?} and drain.grace is {grace:?}: the last batch could be cut off"),
        || "write less than drain.grace".to_owned(),
    );
    let (outbox, message) = (config.session.outbox_bytes, config.limits.message_bytes);
    checker.hold(
        outbox >= 2 * message,
        "session.outbox_bytes",
        || format!("is {outbox} and limits.message_bytes is {message}: one large frame would close a session as slow"),
        || "write at least twice limits.message_bytes".to_owned(),
    );
}

/// A misspelled table would silently leave its defaults standing.
fn unknown_tables(checker: &mut Checker<'_>, figment: &Figment) {
    let Ok(values) = figment.extract::<figment::value::Dict>() else { return };
    for table in values.keys().filter(|table| !TABLES.contains(&table.as_str())) {
        checker.refuse(table, "is no table", problem::meant(table, TABLES));
    }
}
