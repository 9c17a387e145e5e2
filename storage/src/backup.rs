//! Backup and restore of the embedded store, and what every restored store needs before a hub runs on it.
//!
//! In: the address of a store, a file. Out: a checked copy as of one instant, taken while the hub writes; or a store with a raised start counter. Postgres has
//! tools of its own (`pg_dump`, WAL archives; docs/OPERATE.md), but a database that was restored with them needs [`restored`] as well: the
//! start counter is the upper part of fences, and machines out there keep fences that were given after the backup was taken.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::db::{Address, values};
use crate::error::{OpenError, StoreError};
use crate::open::now_ms;

/// What the start counter is raised by: more starts than any hub makes between a backup and its restore.
pub const STARTS_AT_RESTORE: u64 = 1 << 16;
/// A backup of a large store takes its time; the hub is not held up by it.
const WITHIN: Duration = Duration::from_secs(6 * 3600);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// A backup or a restore failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store.
    #[error("the store could not be opened")]
    Open(#[source] OpenError),
    /// Only the embedded store is copied here.
    #[error("only a SQLite store is copied as a file; for Postgres use pg_dump and pg_restore, then `spotter store restored`")]
    NotSqlite,
    /// There is no store.
    #[error("{0} does not exist")]
    Missing(PathBuf),
    /// Something is in the way.
    #[error("{0} exists already: it is not overwritten")]
    Exists(PathBuf),
    /// A log of a store that is gone: SQLite would play it into whatever comes under the store's name.
    #[error("{0} exists already: it is left of another store and would be played into this one; move it away too")]
    Log(PathBuf),
    /// A statement.
    #[error("the store could not be copied")]
    Copy(#[source] StoreError),
    /// The copy is damaged.
    #[error("the copy does not hold together: {0}")]
    Damaged(String),
    /// The start counter.
    #[error("the start counter could not be raised")]
    Raise(#[source] StoreError),
    /// A file.
    #[error("{path} could not be written")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Copies the embedded store as of one instant into `file`, which appears whole or not at all, and checks the copy. Answers its size in bytes.
///
/// The hub may run: readers and its writer go on.
///
/// # Errors
/// [`BackupError`]; `file` was not made.
pub async fn backup(url: &str, file: &Path) -> Result<u64, BackupError> {
    let store = path_of(url)?;
    let partial = beside(file);
    refuse_existing(file)?;
    remove_leftover(&partial)?;
    copy(&store, &partial).await?;
    check(&partial).await?;
    publish(&partial, file)
}

/// Puts a backup in place of a store that is not there, and raises its start counter. Answers the counter.
///
/// # Errors
/// [`BackupError`]; an existing store is never touched.
pub async fn restore(url: &str, file: &Path) -> Result<u64, BackupError> {
    let store = place(url)?;
    refuse_existing(&store)?;
    let partial = beside(&store);
    remove_leftover(&partial)?;
    copy(file, &partial).await?;
    check(&partial).await?;
    let starts = restored(&format!("sqlite:{}", partial.display())).await?;
    publish(&partial, &store)?;
    Ok(starts)
}

/// Raises the start counter of a store that came out of a backup, so that no fence is ever given twice. Answers the counter.
///
/// # Errors
/// [`BackupError`]; nothing was changed.
pub async fn restored(url: &str) -> Result<u64, BackupError> {
    const DO: &str = "raise the start counter";
    let address = Address::parse(url).map_err(BackupError::Open)?;
    let connect = |source| BackupError::Open(OpenError::Connect { back_end: address.back_end(), source });
    let mut wire = address.wire(CONNECT_WITHIN, CONNECT_WITHIN).await.map_err(connect)?;
    crate::migrate::migrate(&mut wire, now_ms()).await.map_err(BackupError::Open)?;
    let by = i64::try_from(STARTS_AT_RESTORE).unwrap_or(i64::MAX);
    let sql = "update node_starts set starts = starts + $1 where id = 1 returning starts";
    let row = wire.conn().fetch_one(DO, sql, &values![by]).await.map_err(BackupError::Raise)?;
    let starts = row.map_or(Ok(0), |row| row.number(DO, 0)).map_err(BackupError::Raise)?;
    wire.close().await;
    Ok(starts)
}

/// The file of an embedded store, absolute: a relative one is looked for from where the process stands, which is not always where a hub does.
///
/// # Errors
/// [`BackupError`]: no file, or no folder to start from.
pub fn place(url: &str) -> Result<PathBuf, BackupError> {
    let file = match Address::parse(url).map_err(BackupError::Open)? {
        Address::Sqlite(options) => options.get_filename().to_path_buf(),
        Address::Postgres(_) => return Err(BackupError::NotSqlite),
    };
    std::path::absolute(&file).map_err(|source| BackupError::File { path: file, source })
}

fn path_of(url: &str) -> Result<PathBuf, BackupError> {
    let file = place(url)?;
    if file.exists() { Ok(file) } else { Err(BackupError::Missing(file)) }
}

/// One consistent, defragmented copy, made by SQLite itself in one read transaction.
async fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    if !from.exists() {
        return Err(BackupError::Missing(from.to_owned()));
    }
    let address = Address::parse(&format!("sqlite:{}", from.display())).map_err(BackupError::Open)?;
    let connect = |source| BackupError::Open(OpenError::Connect { back_end: address.back_end(), source });
    let mut wire = address.wire(CONNECT_WITHIN, WITHIN).await.map_err(connect)?;
    let to = to.display().to_string();
    wire.conn().execute("copy the store", "vacuum into $1", &values![to.as_str()]).await.map_err(BackupError::Copy)?;
    wire.close().await;
    Ok(())
}

async fn check(file: &Path) -> Result<(), BackupError> {
    const DO: &str = "check the copy";
    let address = Address::parse(&format!("sqlite:{}", file.display())).map_err(BackupError::Open)?;
    let connect = |source| BackupError::Open(OpenError::Connect { back_end: address.back_end(), source });
    let mut wire = address.wire(CONNECT_WITHIN, WITHIN).await.map_err(connect)?;
    let found = wire.conn().fetch_one(DO, "pragma integrity_check", &values![]).await.map_err(BackupError::Copy)?;
    let said: String = found.map_or(Ok(String::new()), |row| row.get(DO, 0)).map_err(BackupError::Copy)?;
    wire.close().await;
    if said == "ok" { Ok(()) } else { Err(BackupError::Damaged(said)) }
}

/// The name under which a file grows before it is whole.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    file.with_file_name(name)
}

/// What SQLite keeps beside a file and reads together with it.
fn logs_of(file: &Path) -> impl Iterator<Item = PathBuf> {
    ["-wal", "-shm", "-journal"].into_iter().map(|suffix| {
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(suffix);
        file.with_file_name(name)
    })
}

fn refuse_existing(file: &Path) -> Result<(), BackupError> {
    if file.exists() {
        return Err(BackupError::Exists(file.to_owned()));
    }
    logs_of(file).find(|log| log.exists()).map_or(Ok(()), |log| Err(BackupError::Log(log)))
}

/// What an earlier run that was cut left behind.
fn remove_leftover(partial: &Path) -> Result<(), BackupError> {
    for file in logs_of(partial).chain([partial.to_owned()]) {
        match std::fs::remove_file(&file) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(BackupError::File { path: file, source }),
            _ => {}
        }
    }
    Ok(())
}

/// On the disk first, then under its name. Whole: nothing of it is in a log that would stay behind.
fn publish(partial: &Path, file: &Path) -> Result<u64, BackupError> {
    let failed = |source| BackupError::File { path: file.to_owned(), source };
    if let Some(log) = logs_of(partial).find(|log| log.metadata().is_ok_and(|about| about.len() > 0)) {
        return Err(BackupError::Damaged(format!("{} was not brought into it", log.display())));
    }
    let written = std::fs::File::open(partial).map_err(failed)?;
    written.sync_all().map_err(failed)?;
    std::fs::rename(partial, file).map_err(failed)?;
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    }
    written.metadata().map(|about| about.len()).map_err(failed)
}
