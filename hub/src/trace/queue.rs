//! The queue between whoever ends a span and the exporter.
//!
//! In: ended spans, on any thread. Out: the exporter's channel. Never waits: a span that does not fit is dropped and counted.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::sync::mpsc;

use super::Fate;
use crate::metrics::Metrics;

/// Where fates are counted, once the node has metrics: the log and the traces begin before it.
pub(super) type Counts = Arc<OnceLock<Arc<Metrics>>>;

/// Counts, where there is something to count into.
pub(super) fn count(counts: &Counts, fate: Fate, spans: usize) {
    if let Some(metrics) = counts.get() {
        metrics.spans(fate, spans as u64);
    }
}

/// The sending end.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) spans: mpsc::Sender<SpanData>,
    pub(super) dropped: Dropped,
}

/// Counts what is dropped; a type of its own because metrics do not print.
pub(super) struct Dropped(pub(super) Counts);

impl std::fmt::Debug for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dropped")
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            count(&self.dropped.0, Fate::Dropped, 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    #[test]
    fn a_full_queue_drops_and_counts_and_waits_for_nothing() {
        let (spans, mut taken) = mpsc::channel(2);
        let counts = Counts::default();
        let metrics = Arc::new(Metrics::new());
        assert!(counts.set(metrics.clone()).is_ok());
        let provider = SdkTracerProvider::builder().with_span_processor(Queue { spans, dropped: Dropped(counts) }).build();
        let tracer = provider.tracer("test");
        for name in ["one", "two", "three", "four", "five"] {
            drop(tracer.start(name));
        }
        let names: Vec<_> = std::iter::from_fn(|| taken.try_recv().ok()).map(|span| span.name.into_owned()).collect();
        assert_eq!(names, ["one", "two"]);
        assert!(metrics.scrape().contains("spotter_spans_total{fate=\"dropped\"} 3"), "{}", metrics.scrape());
    }
}
