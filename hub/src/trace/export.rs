//! The way out: the layer for `tracing`, and the task that sends batches to the collector.
//!
//! In: ended spans from the queue. Out: OTLP protobuf over HTTP, at most `batch_spans` in a request, each request under `trace.timeout`. A batch that does
//! not arrive is dropped and counted, and said once until one arrives again. Headers for a collector that wants them come from the
//! environment (`OTEL_EXPORTER_OTLP_HEADERS`), as the standard has it. At the end what waits is sent once more.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, SpanData, SpanExporter as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use super::queue::{Counts, Dropped, Queue, count};
use super::{Fate, TARGET, TraceError};
use crate::metrics::Metrics;

/// Attributes of one span.
const ATTRIBUTES_MAX: u32 = 16;

/// The layer's half: what `tracing` is given.
pub struct Traces {
    tracer: SdkTracer,
    /// Kept: the tracer works as long as its provider.
    _provider: SdkTracerProvider,
    counts: Counts,
}

/// The task's half: what sends.
pub struct Exporter {
    spans: mpsc::Receiver<SpanData>,
    exporter: SpanExporter,
    batch_spans: usize,
    batch_wait: Duration,
    timeout: Duration,
    counts: Counts,
    failing: bool,
}

/// Prepares traces; none where no collector is named.
///
/// # Errors
/// [`TraceError`]; the hub does not start.
pub fn open(config: &config::Trace) -> Result<Option<(Traces, Exporter)>, TraceError> {
    let Some(base) = &config.endpoint else { return Ok(None) };
    let endpoint = format!("{}/v1/traces", base.trim_end_matches('/'));
    let failed = |why: String| TraceError::Exporter { endpoint: endpoint.clone(), why };
    let client = reqwest::Client::builder().timeout(config.timeout).build().map_err(|error| failed(error.to_string()))?;
    let builder = SpanExporter::builder().with_http().with_http_client(client).with_protocol(Protocol::HttpBinary);
    let mut exporter = builder.with_endpoint(&endpoint).with_timeout(config.timeout).build().map_err(|error| failed(error.to_string()))?;
    let resource = Resource::builder_empty()
        .with_attributes([KeyValue::new("service.name", "spotter"), KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))])
        .build();
    exporter.set_resource(&resource);
    let counts = Counts::default();
    let (sender, spans) = mpsc::channel(config.queue_spans as usize);
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::TraceIdRatioBased(config.sample_ratio))
        .with_max_attributes_per_span(ATTRIBUTES_MAX)
        .with_max_events_per_span(0)
        .with_span_processor(Queue { spans: sender, dropped: Dropped(counts.clone()) })
        .with_resource(resource)
        .build();
    let traces = Traces { tracer: provider.tracer("spotter"), _provider: provider, counts: counts.clone() };
    let (batch_spans, batch_wait, timeout) = (config.batch_spans as usize, config.batch_wait, config.timeout);
    Ok(Some((traces, Exporter { spans, exporter, batch_spans, batch_wait, timeout, counts, failing: false })))
}

impl Traces {
    /// The layer that hears of spans of [`TARGET`], and of nothing else.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + 'static + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.tracer.clone())
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO))
    }

    /// From now on fates are counted here.
    pub fn count_into(&self, metrics: &Arc<Metrics>) {
        // The first node of a process counts.
        drop(self.counts.set(metrics.clone()));
    }
}

impl Exporter {
    /// Sends until told to stop, then once more what waits.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(self.batch_spans);
        loop {
            let stopped = tokio::select! {
                biased;
                () = stop.cancelled() => true,
                () = gather(&mut self.spans, &mut batch, self.batch_spans, self.batch_wait) => false,
            };
            if stopped {
                self.spans.close();
                batch.extend(std::iter::from_fn(|| self.spans.try_recv().ok()));
            }
            while !batch.is_empty() {
                let rest = batch.split_off(batch.len().min(self.batch_spans));
                self.send(std::mem::replace(&mut batch, rest)).await;
            }
            if stopped {
                return;
            }
        }
    }

    async fn send(&mut self, spans: Vec<SpanData>) {
        let number = spans.len();
        let why = match timeout(self.timeout, self.exporter.export(spans)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_elapsed) => Some(format!("no answer within {:?}", self.timeout)),
        };
        count(&self.counts, if why.is_none() { Fate::Sent } else { Fate::Failed }, number);
        let failed_before = std::mem::replace(&mut self.failing, why.is_some());
        match why {
            Some(why) if !failed_before => {
                tracing::warn!(error = why, spans = number, "traces do not reach the collector: they are dropped")
            }
            None if failed_before => tracing::info!("traces reach the collector again"),
            Some(_) | None => (),
        }
    }
}

/// Waits for a first span, then for a full batch or a while. Safe to drop at await: what was taken is in `batch`.
async fn gather(spans: &mut mpsc::Receiver<SpanData>, batch: &mut Vec<SpanData>, most: usize, wait: Duration) {
    if spans.recv_many(batch, most).await == 0 {
        // Whoever traces is gone; only the word to stop can come.
        return std::future::pending().await;
    }
    let full_at = Instant::now() + wait;
    while batch.len() < most {
        match timeout_at(full_at, spans.recv_many(batch, most - batch.len())).await {
            Ok(0) | Err(_) => return,
            Ok(_) => (),
        }
    }
}
