//! The table of limits, read from the source of `limits.rs`: names, values and what happens at them.

/// Source of the constants.
const SOURCE: &str = include_str!("../../src/limits.rs");

/// Name, value and meaning of each limit.
fn rows() -> Vec<(String, i64, String)> {
    let (mut rows, mut doc) = (Vec::new(), String::new());
    for line in SOURCE.lines() {
        if let Some(words) = line.strip_prefix("/// ") {
            doc = if doc.is_empty() { words.to_owned() } else { format!("{doc} {words}") };
        } else if let Some((name, value)) = line.strip_prefix("pub const ").and_then(|rest| rest.split_once(": ")) {
            let value = value.split_once(" = ").map_or("", |(_, value)| value.trim_end_matches(';'));
            rows.push((name.to_owned(), product(value), std::mem::take(&mut doc)));
        } else {
            doc.clear();
        }
    }
    rows
}

/// The value of a product of integers.
fn product(expression: &str) -> i64 {
    expression.split('*').map(|factor| factor.trim().replace('_', "").parse::<i64>().expect("limits are products of integers")).product()
}

/// The table.
pub(crate) fn write() -> String {
    let rows = rows().into_iter().map(|(name, value, doc)| format!("| `{name}` | {value} | {doc} |\n"));
    format!("| limit | value | meaning |\n|---|---:|---|\n{}", rows.collect::<String>())
}

#[test]
fn limits_are_read_as_they_are() {
    let rows = rows();
    let value = |name: &str| rows.iter().find(|row| row.0 == name).map(|row| row.1);
    assert_eq!(value("MESSAGE_BYTES_MAX"), Some(protocol::limits::MESSAGE_BYTES_MAX as i64));
    assert_eq!(value("SEAL_AFTER_MS"), Some(protocol::limits::SEAL_AFTER_MS));
    assert_eq!(rows.len(), SOURCE.matches("\npub const ").count());
}
