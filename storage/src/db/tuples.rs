//! Lists of number tuples as a table named `k` in a query: arrays and `unnest` in Postgres, one JSON list in SQLite.

use super::Value;

/// The `from` item and its parameters; they take the places from `$1` on.
pub(crate) fn tuples<const N: usize>(postgres: bool, columns: [&str; N], rows: &[[i64; N]]) -> (String, Vec<Value>) {
    if postgres {
        let arrays: Vec<String> = (1..=N).map(|place| format!("${place}::bigint[]")).collect();
        let params = (0..N).map(|column| Value::Ints(rows.iter().map(|row| row[column]).collect())).collect();
        return (format!("unnest({}) as k({})", arrays.join(", "), columns.join(", ")), params);
    }
    let picks: Vec<String> =
        columns.iter().enumerate().map(|(place, column)| format!("json_extract(value, '$[{place}]') as {column}")).collect();
    let lists: Vec<&[i64]> = rows.iter().map(<[i64; N]>::as_slice).collect();
    (format!("(select {} from json_each($1)) as k", picks.join(", ")), vec![Value::from(crate::words::json(&lists))])
}
