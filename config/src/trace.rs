//! Traces: where they go and how much may wait.

use std::time::Duration;

use serde::Deserialize;

use crate::check::Checker;
use crate::unit;

/// What is traced, and where to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// Base URL of an OTLP/HTTP collector; none: nothing is traced.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The part of traces that is kept, 0 to 1.
    pub sample_ratio: f64,
    /// Spans that may wait.
    #[serde(deserialize_with = "unit::count")]
    pub queue_spans: u32,
    /// Spans sent at once.
    #[serde(deserialize_with = "unit::count")]
    pub batch_spans: u32,
    /// Spans are sent after this time, however few.
    #[serde(deserialize_with = "unit::span")]
    pub batch_wait: Duration,
    /// Deadline of a request to the collector.
    #[serde(deserialize_with = "unit::span")]
    pub timeout: Duration,
}

pub(crate) fn check(checker: &mut Checker<'_>) -> Option<Trace> {
    let trace: Trace = checker.section("trace")?;
    if let Some(endpoint) = &trace.endpoint {
        checker.hold(
            endpoint.starts_with("http://") || endpoint.starts_with("https://"),
            "trace.endpoint",
            || format!("is \"{endpoint}\""),
            || "write the collector's base URL, such as \"http://127.0.0.1:4318\"".to_owned(),
        );
    }
    checker.hold(
        (0.0..=1.0).contains(&trace.sample_ratio),
        "trace.sample_ratio",
        || format!("is {}: it is the part of traces that is kept", trace.sample_ratio),
        || "write a number from 0.0 to 1.0".to_owned(),
    );
    checker.hold(
        trace.batch_spans <= trace.queue_spans,
        "trace.batch_spans",
        || {
            format!(
                "is {} and trace.queue_spans is {}: spans would be dropped before a batch is full",
                trace.batch_spans, trace.queue_spans
            )
        },
        || "write at most trace.queue_spans".to_owned(),
    );
    Some(trace)
}
