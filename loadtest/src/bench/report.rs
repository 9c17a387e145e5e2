//! The last line of a scenario: one JSON object. Names in `docs/LOADTEST.md`.

use serde_json::{Map, Value, json};

/// Names that every report has, `null` where the scenario does not measure them.
pub const ALWAYS: [&str; 13] = [
    "scenario",
    "ok",
    "sessions",
    "rss_kib_per_session",
    "cpu_s_per_million",
    "p50_us",
    "p99_us",
    "rows_per_s",
    "bytes_per_sample",
    "lost",
    "duplicate",
    "ghost",
    "gap",
];

/// What a scenario found.
#[derive(Debug, Clone)]
pub struct Report {
    fields: Map<String, Value>,
    failures: Vec<String>,
}

impl Report {
    /// An empty report.
    #[must_use]
    pub fn new(scenario: &str) -> Self {
        let mut fields: Map<String, Value> = ALWAYS.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
        fields.insert("scenario".to_owned(), json!(scenario));
        Self { fields, failures: Vec::new() }
    }

    /// Sets a field.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    /// Sets a field rounded to three places.
    pub fn set_rounded(&mut self, name: &str, value: f64) {
        self.set(name, (value * 1_000.0).round() / 1_000.0);
    }

    /// A number set before.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        self.fields.get(name).and_then(Value::as_f64)
    }

    /// Something that must hold; the report is not ok where it does not.
    pub fn require(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.failures.push(what());
        }
    }

    /// Whether everything required held.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.failures.is_empty()
    }

    /// What did not hold, in words.
    #[must_use]
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// The line.
    #[must_use]
    pub fn line(&self) -> String {
        let mut fields = self.fields.clone();
        fields.insert("ok".to_owned(), json!(self.is_ok()));
        if !self.is_ok() {
            fields.insert("failures".to_owned(), json!(self.failures));
        }
        Value::Object(fields).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_hold_is_named_and_not_ok() {
        let mut report = Report::new("test");
        report.require(1 + 1 == 2, || "arithmetic".to_owned());
        assert!(report.is_ok());
        report.require(report.number("lost") == Some(0.0), || "lost is not 0".to_owned());
        let line: Value = serde_json::from_str(&report.line()).unwrap();
        assert_eq!((&line["ok"], &line["failures"][0]), (&json!(false), &json!("lost is not 0")));
        assert!(ALWAYS.iter().all(|name| line.get(name).is_some()));
    }
}
