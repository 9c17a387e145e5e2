//! The rows, in the order of the table. A new one: a file here, its constant in [`ALL`].

mod kill;
mod postgres_stop;

use super::row::Row;

/// Every row that there is.
pub(super) const ALL: &[Row] = &[kill::ROW, postgres_stop::SHORT, postgres_stop::LONG];
