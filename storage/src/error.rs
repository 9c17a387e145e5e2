//! What can go wrong, by operation. The cause stands in the chain, not in the text.

use std::time::Duration;

/// Storage could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address has no meaning here.
    #[error("`{0}` is not a database address: write sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    Address(String),
    /// The database did not take the connection.
    #[error("could not connect to the {back_end} database")]
    Connect {
        /// `sqlite` or `postgres`.
        back_end: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// A newer Spotter has changed the schema in a way that this one would damage.
    #[error(
        "the database has schema {found}, which needs a Spotter that knows schema {needs}; this one knows {knows}: start the newer binary, or restore the backup taken before it"
    )]
    NewerSchema {
        /// Version found.
        found: i64,
        /// Oldest version of a binary that may use it.
        needs: i64,
        /// Version of this binary.
        knows: i64,
    },
    /// A migration failed; nothing of it stands.
    #[error("migration {version} of the schema failed and was taken back")]
    Migrate {
        /// Which.
        version: i64,
        /// Why.
        source: StoreError,
    },
    /// A copy into it was begun and is not whole.
    #[error("a copy into this database was begun and not finished: run `spotter store copy` again to finish it, or use another database")]
    HalfCopied,
    /// A statement of the start failed.
    #[error("could not read the state of the database at start")]
    Start(#[source] StoreError),
    /// It took too long.
    #[error("opening the database took longer than {0:?}")]
    Deadline(Duration),
}

/// A question or change failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did not answer in time; the same later may do.
    #[error("{operation}: no answer from the database within {after:?}")]
    Deadline {
        /// What was asked.
        operation: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// The database is away or busy; the same later may do.
    #[error("{operation}: the database cannot do it now")]
    Away {
        /// What was asked.
        operation: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// The database will not take this content, ever.
    #[error("{operation}: the database refuses the content")]
    Refused {
        /// What was asked.
        operation: &'static str,
        /// Why.
        source: sqlx::Error,
    },
    /// What is stored could not be read as what it should be.
    #[error("{operation}: column {column} does not read as what it should be")]
    Decode {
        /// What was asked.
        operation: &'static str,
        /// Which column of the answer.
        column: usize,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no such thing in this tenant.
    #[error("{operation}: {id} does not exist in this tenant")]
    NotFound {
        /// What was asked.
        operation: &'static str,
        /// Which.
        id: uuid::Uuid,
    },
    /// The id is in use by something that the tenant may not change, or in another role.
    #[error("{operation}: {id} exists already as something else")]
    Conflict {
        /// What was asked.
        operation: &'static str,
        /// Which.
        id: uuid::Uuid,
    },
    /// The writer's view of partitions or boots is older than the database: forget it and try again.
    #[error("{operation}: the database was changed meanwhile")]
    Stale {
        /// What was asked.
        operation: &'static str,
    },
}

impl StoreError {
    /// Whether the same may succeed later.
    #[must_use]
    pub const fn is_away(&self) -> bool {
        matches!(self, Self::Deadline { .. } | Self::Away { .. } | Self::Stale { .. })
    }

    pub(crate) fn from_sqlx(operation: &'static str, source: sqlx::Error) -> Self {
        match Verdict::of(&source) {
            Verdict::Refused => Self::Refused { operation, source },
            Verdict::Stale => Self::Stale { operation },
            Verdict::Away => Self::Away { operation, source },
        }
    }
}

enum Verdict {
    Refused,
    Stale,
    Away,
}

impl Verdict {
    /// Content errors are refused for good; everything else may pass: nothing is dropped for an unknown reason.
    fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Encode(_) => Self::Refused,
            sqlx::Error::Database(error) => {
                let code = error.code().unwrap_or_default();
                if code == "23514" && error.constraint().is_none() {
                    // Postgres: no partition for the row. Somebody dropped one that the writer had seen.
                    return Self::Stale;
                }
                match code.parse::<u32>() {
                    // SQLite extended codes: the low byte is the primary one. 18 too big, 19 constraint, 20 mismatch.
                    Ok(number) if code.len() < 5 => {
                        if matches!(number & 0xff, 18..=20) {
                            Self::Refused
                        } else {
                            Self::Away
                        }
                    }
                    // SQLSTATE classes: 22 data exception, 23 integrity, 54 program limit.
                    _ if code.len() == 5 && ["22", "23", "54"].contains(&&code[..2]) => Self::Refused,
                    _ => Self::Away,
                }
            }
            _ => Self::Away,
        }
    }
}
