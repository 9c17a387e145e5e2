//! Rows of answers, read by place.

use protocol::text::Text;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type};

use crate::error::StoreError;

/// One row of either back end.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What a column can be read as.
pub(crate) trait Column: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres> {}
impl<T> Column for T where T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres> {}

impl Row {
    /// The column as it is.
    pub(crate) fn get<T: Column>(&self, operation: &'static str, column: usize) -> Result<T, StoreError> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(|error| StoreError::Decode { operation, column, source: error.into() })
    }

    /// A number in a narrower type than the column's i64.
    pub(crate) fn number<T: TryFrom<i64>>(&self, operation: &'static str, column: usize) -> Result<T, StoreError> {
        let wide: i64 = self.get(operation, column)?;
        T::try_from(wide).map_err(|_| decode(operation, column, format!("{wide} is out of range")))
    }

    /// A number that may be missing.
    pub(crate) fn opt_number<T: TryFrom<i64>>(&self, operation: &'static str, column: usize) -> Result<Option<T>, StoreError> {
        let Some(wide): Option<i64> = self.get(operation, column)? else { return Ok(None) };
        T::try_from(wide).map(Some).map_err(|_| decode(operation, column, format!("{wide} is out of range")))
    }

    /// An id.
    pub(crate) fn id<T: From<uuid::Uuid>>(&self, operation: &'static str, column: usize) -> Result<T, StoreError> {
        self.get::<uuid::Uuid>(operation, column).map(T::from)
    }

    /// An id that may be missing.
    pub(crate) fn opt_id<T: From<uuid::Uuid>>(&self, operation: &'static str, column: usize) -> Result<Option<T>, StoreError> {
        Ok(self.get::<Option<uuid::Uuid>>(operation, column)?.map(T::from))
    }

    /// A plain enum by its word.
    pub(crate) fn word<T: DeserializeOwned>(&self, operation: &'static str, column: usize) -> Result<T, StoreError> {
        crate::words::unword(self.get(operation, column)?).map_err(|error| decode(operation, column, error))
    }

    /// A value from its JSON text.
    pub(crate) fn json<T: DeserializeOwned>(&self, operation: &'static str, column: usize) -> Result<T, StoreError> {
        let text: String = self.get(operation, column)?;
        serde_json::from_str(&text).map_err(|error| decode(operation, column, error))
    }

    /// Text with a bound, cut at it: a bound that shrank does not make old rows unreadable.
    pub(crate) fn text<const MAX: usize>(&self, operation: &'static str, column: usize) -> Result<Text<MAX>, StoreError> {
        Ok(Text::cut(&self.get::<String>(operation, column)?))
    }

    /// Text that may be missing.
    pub(crate) fn opt_text<const MAX: usize>(&self, operation: &'static str, column: usize) -> Result<Option<Text<MAX>>, StoreError> {
        Ok(self.get::<Option<String>>(operation, column)?.map(|text| Text::cut(&text)))
    }
}

/// The error of a column that does not read.
pub(crate) fn decode(operation: &'static str, column: usize, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Decode { operation, column, source: why.into() }
}
