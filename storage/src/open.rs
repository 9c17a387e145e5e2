//! From an address to a running storage: connect, migrate, count the start, hand out the handles.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::counters::Counters;
use crate::db::{Address, Wire, values};
use crate::error::{OpenError, StoreError};
use crate::import::Importer;
use crate::model::Report;
use crate::options::Options;
use crate::recorder::{self, Recorder};
use crate::store::Store;
use crate::writer::Driver;

/// An open storage. The caller runs `driver` as a task and listens to `reports`.
pub struct Storage {
    /// Takes rows and facts.
    pub recorder: Recorder,
    /// Answers questions.
    pub store: Store,
    /// Takes whole recordings.
    pub importer: Importer,
    /// What became of rows and facts.
    pub reports: mpsc::Receiver<Report>,
    /// The writer; run it.
    pub driver: Driver,
    /// How often a node was started on this database, this one included: the upper part of fences.
    pub node_start: u64,
    /// Numbers for metrics.
    pub counters: Arc<Counters>,
}

/// Connects, migrates, raises the start counter.
///
/// # Errors
/// [`OpenError`]; nothing is left running.
pub async fn open(options: Options) -> Result<Storage, OpenError> {
    let deadline = options.open_deadline;
    timeout(deadline, open_now(options)).await.unwrap_or(Err(OpenError::Deadline(deadline)))
}

async fn open_now(options: Options) -> Result<Storage, OpenError> {
    let address = Address::parse(&options.url)?;
    let connect = |source| OpenError::Connect { back_end: address.back_end(), source };
    let mut wire = address.wire(options.connect_deadline, options.open_deadline).await.map_err(connect)?;
    if crate::transfer::is_unfinished(&mut wire).await.map_err(OpenError::Start)? {
        return Err(OpenError::HalfCopied);
    }
    crate::migrate::migrate(&mut wire, now_ms()).await?;
    let node_start = count_start(&mut wire).await.map_err(OpenError::Start)?;
    wire.close().await;

    let counters = Arc::new(Counters::default());
    let db = address.pools(options.connections, options.query_deadline);
    let (reports_in, reports) = mpsc::channel(options.queue_reports);
    let (recorder, queues) = recorder::new(&options, Arc::clone(&counters));
    let store = Store::new(db.clone());
    let (connect_deadline, deadline) = (options.connect_deadline, options.write_deadline);
    let importer = Importer { address: address.clone(), db: db.clone(), connect_deadline, deadline };
    let driver = Driver::new(options, address, db, queues, reports_in, Arc::clone(&counters));
    Ok(Storage { recorder, store, importer, reports, driver, node_start, counters })
}

async fn count_start(wire: &mut Wire) -> Result<u64, StoreError> {
    const DO: &str = "count the start";
    let row = wire.conn().fetch_one(DO, "update node_starts set starts = starts + 1 where id = 1 returning starts", &values![]).await?;
    row.map_or(Ok(1), |row| row.number(DO, 0))
}

/// UTC, milliseconds.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
