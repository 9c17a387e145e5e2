//! Why a copy was not made, in words that say what to do.

use crate::error::{OpenError, StoreError};

/// A store was not copied. What was written until then stays for the next try.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Source and target are one.
    #[error("source and target are the same database")]
    SameDatabase,
    /// One of them could not be opened.
    #[error("the {side} could not be opened")]
    Open {
        /// `source` or `target`.
        side: &'static str,
        /// Why.
        source: OpenError,
    },
    /// There is no file.
    #[error("there is no store at the source: its file does not exist")]
    NoSource,
    /// A hub uses one of them.
    #[error("the {side} is in use ({by}): stop the hub, then copy")]
    InUse {
        /// `source` or `target`.
        side: &'static str,
        /// By what.
        by: String,
    },
    /// The target's schema is from a newer Spotter.
    #[error("the target has schema {found} and this Spotter knows {knows}: copy with the newer binary")]
    TargetNewer {
        /// Version found.
        found: i64,
        /// Version of this binary.
        knows: i64,
    },
    /// Something is in the target.
    #[error("the target is not empty: `{table}` has {rows} rows. Copy into a new database; two stores cannot be merged")]
    TargetNotEmpty {
        /// Where.
        table: &'static str,
        /// How many.
        rows: u64,
    },
    /// The target holds part of another store.
    #[error("the target holds an unfinished copy of another source: finish that one, or copy into a new database")]
    OtherCopy,
    /// The source lived on.
    #[error("a hub was started on the source since the copy began: drop the target and begin again with the hub stopped")]
    SourceChanged,
    /// A table that nobody named.
    #[error("the {side} has a table `{table}` that this copy does not know: nothing was copied, so that nothing is left out")]
    StrangeTable {
        /// `source` or `target`.
        side: &'static str,
        /// Its name.
        table: String,
    },
    /// The two schemas do not agree.
    #[error("column `{column}` of `{table}`: {what}")]
    Column {
        /// Where.
        table: &'static str,
        /// Which.
        column: String,
        /// What is wrong.
        what: &'static str,
    },
    /// The comparison at the end failed.
    #[error(
        "`{table}` is not the same in both: {source_rows} rows in the source, {target_rows} in the target, or other content. Drop the target and begin again"
    )]
    Differs {
        /// Which.
        table: &'static str,
        /// In the source.
        source_rows: u64,
        /// In the target.
        target_rows: u64,
    },
    /// A statement failed.
    #[error("the {side} did not answer as it should")]
    Store {
        /// `source` or `target`.
        side: &'static str,
        /// Why.
        source: StoreError,
    },
}
