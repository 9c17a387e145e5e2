//! The columns of a table as both databases have them.

use super::cell::{self, Kind};
use super::error::CopyError;
use super::side::Side;
use super::tables::Table;
use crate::db::Value;

/// A column and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// The columns of both, which must be the same; what they hold is said by Postgres where one of them is that, since SQLite does not tell ids from bytes.
pub(super) async fn of(from: &mut Side, to: &mut Side, table: &'static Table) -> Result<Vec<Column>, CopyError> {
    let (there, mut here) = (from.columns(table.name).await?, to.columns(table.name).await?);
    let missing = |in_one: &[Column], in_other: &[Column]| {
        in_one.iter().find(|column| !in_other.iter().any(|other| other.name == column.name)).map(|column| column.name.clone())
    };
    if let Some(column) = missing(&there, &here).or_else(|| missing(&here, &there)) {
        return Err(CopyError::Column { table: table.name, column, what: "only one of the two databases has it" });
    }
    if let Some(key) = table.key.iter().find(|key| !here.iter().any(|column| column.name == **key)) {
        return Err(CopyError::Column { table: table.name, column: (*key).to_owned(), what: "the key of the table is not in it" });
    }
    if from.is_postgres() {
        for column in &mut here {
            column.kind = there.iter().find(|other| other.name == column.name).map_or(column.kind, |other| other.kind);
        }
    }
    // The same order everywhere: a column that was added later stands last in one database and elsewhere in another.
    here.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(here)
}

/// The key of a row as text, value by value.
pub(super) fn key_of(columns: &[Column], table: &Table, row: &[Value]) -> Vec<String> {
    let value_of = |key: &&str| columns.iter().position(|column| column.name == **key).map(|place| cell::text_of(&row[place]));
    table.key.iter().filter_map(value_of).collect()
}
