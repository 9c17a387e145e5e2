//! Pages of rows out of one database and into the other.

use std::collections::BTreeSet;

use super::columns::Column;
use super::error::CopyError;
use super::progress::{self, Note};
use super::side::Side;
use super::tables::Table;
use crate::db::Value;
use crate::writer::months;

/// Parameters of one statement: SQLite takes 32,766.
const PARAMETERS_MAX: usize = 32_000;
/// Rows of one statement: more gain nothing.
const ROWS_MAX: usize = 500;

/// The next rows behind a key.
pub(super) async fn read(
    from: &mut Side,
    table: &'static Table,
    columns: &[Column],
    after: Option<&[String]>,
    limit: u32,
) -> Result<Vec<Vec<Value>>, CopyError> {
    const DO: &str = "read a page";
    let postgres = from.is_postgres();
    let picks: Vec<String> =
        columns.iter().map(|column| if postgres { column.kind.in_postgres(&column.name) } else { column.name.clone() }).collect();
    let keys = table.key.join(", ");
    let mut params = Vec::new();
    let mut which = String::new();
    if let Some(after) = after {
        for (key, text) in table.key.iter().zip(after) {
            let kind = columns.iter().find(|column| column.name == *key).map(|column| column.kind);
            let value = kind.and_then(|kind| kind.parse(text));
            let wrong = || CopyError::Column { table: table.name, column: (*key).to_owned(), what: "the note of the copy does not read" };
            params.push(value.ok_or_else(wrong)?);
        }
        let places: Vec<String> = (1..=params.len()).map(|place| format!("${place}")).collect();
        which = format!("where ({keys}) > ({})", places.join(", "));
    }
    let sql = format!("select {} from {} {which} order by {keys} limit {limit}", picks.join(", "), table.name);
    let name = from.name;
    let failed = |source| CopyError::Store { side: name, source };
    let rows = from.wire.conn().fetch(DO, sql, &params).await.map_err(failed)?;
    let values = |row| columns.iter().enumerate().map(|(place, column)| column.kind.read(row, DO, place)).collect();
    rows.iter().map(values).collect::<Result<_, _>>().map_err(failed)
}

/// Writes rows, and the note how far the table is by them, in one transaction.
pub(super) async fn write(
    to: &mut Side,
    table: &'static Table,
    columns: &[Column],
    rows: &[Vec<Value>],
    note: &Note,
) -> Result<(), CopyError> {
    const DO: &str = "write a page";
    let name = to.name;
    let failed = |source| CopyError::Store { side: name, source };
    if table.by_month {
        let at = columns.iter().position(|column| column.name == "at_ms");
        let month_of = |row: &Vec<Value>| match at.map(|at| &row[at]) {
            Some(Value::Int(Some(at_ms))) => Some(months::month_of(*at_ms)),
            _ => None,
        };
        let needed: BTreeSet<i64> = rows.iter().filter_map(month_of).collect();
        months::ensure(&mut to.wire, &mut to.months, needed.into_iter()).await.map_err(failed)?;
    }
    to.wire.begin(DO).await.map_err(failed)?;
    let head = {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        // What the database numbers by itself takes no number otherwise.
        let overriding = if to.is_postgres() && table.serial.is_some() { "overriding system value " } else { "" };
        format!("insert into {} ({}) {overriding}values ", table.name, names.join(", "))
    };
    for chunk in rows.chunks((PARAMETERS_MAX / columns.len()).clamp(1, ROWS_MAX)) {
        let tuple = |row: usize| {
            let places: Vec<String> = (1..=columns.len()).map(|place| format!("${}", row * columns.len() + place)).collect();
            format!("({})", places.join(", "))
        };
        let tuples: Vec<String> = (0..chunk.len()).map(tuple).collect();
        let params: Vec<Value> = chunk.iter().flatten().cloned().collect();
        to.wire.conn().execute(DO, head.clone() + &tuples.join(", "), &params).await.map_err(failed)?;
    }
    progress::keep(&mut to.wire.conn(), table, note).await.map_err(failed)?;
    to.wire.commit(DO).await.map_err(failed)
}
