//! Durations: requests and questions to the database. Not the hot path, so prometheus-client's own histograms do.

use std::sync::Arc;
use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::families::HISTOGRAMS;

/// Bounds of request durations, seconds (0.01-5).
const REQUEST_SECONDS: [f64; 9] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Bounds of query durations, seconds (0.001-10).
const QUERY_SECONDS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Labels of one answered request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestLabels {
    /// The method, one of those that routes know, else `other`.
    pub method: &'static str,
    /// The pattern of the route, never the path.
    pub route: Arc<str>,
    /// The status.
    pub status: u16,
}

impl EncodeLabelSet for RequestLabels {
    fn encode(&self, encoder: &mut prometheus_client::encoding::LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        use prometheus_client::encoding::EncodeLabel;
        ("method", self.method).encode(encoder.encode_label())?;
        ("route", self.route.as_ref()).encode(encoder.encode_label())?;
        ("status", u64::from(self.status)).encode(encoder.encode_label())
    }
}

type QueryLabels = [(&'static str, &'static str); 2];

/// Both families.
pub(super) struct Timed {
    requests: Family<RequestLabels, Histogram>,
    queries: Family<QueryLabels, Histogram>,
}

impl Timed {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let requests = Family::new_with_constructor((|| Histogram::new(REQUEST_SECONDS)) as fn() -> Histogram);
        let queries = Family::new_with_constructor((|| Histogram::new(QUERY_SECONDS)) as fn() -> Histogram);
        registry.register(HISTOGRAMS[0].name, HISTOGRAMS[0].help, requests.clone());
        registry.register(HISTOGRAMS[1].name, HISTOGRAMS[1].help, queries.clone());
        Self { requests, queries }
    }

    pub(super) fn request(&self, labels: RequestLabels, seconds: f64) {
        self.requests.get_or_create(&labels).observe(seconds);
    }

    pub(super) fn database(&self, operation: &'static str, table: &'static str) -> DatabaseTimer {
        let histogram = self.queries.get_or_create(&[("operation", operation), ("table", table)]).clone();
        DatabaseTimer { histogram, began: Instant::now() }
    }
}

/// Runs while a question is open; also one that was dropped at its await counts.
pub struct DatabaseTimer {
    histogram: Histogram,
    began: Instant,
}

impl Drop for DatabaseTimer {
    fn drop(&mut self) {
        self.histogram.observe(self.began.elapsed().as_secs_f64());
    }
}
