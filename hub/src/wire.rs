//! Small joints between parts that do not know each other: storage's numbers to metrics, the writer to a task, routes to pages.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::Router;
use axum::extract::Request;
use storage::Driver;

use crate::auth::BuiltInIssuer;
use crate::hub::Hub;
use crate::metrics::Gauge;
use crate::transport::http::Api;
use crate::transport::pages::Pages;

/// Answers the gauges that the hub and the store keep.
pub(crate) fn probes(hub: &Arc<Hub>, counters: Arc<storage::Counters>) {
    let metrics = &hub.metrics;
    let samples = counters.clone();
    metrics.samples(move || {
        let now = samples.now();
        [now.accepted, now.stored, now.held, now.quarantined, now.duplicates, now.lost]
    });
    let recorder = |gauge, read: fn(&storage::CountersNow) -> f64| {
        let counters = counters.clone();
        metrics.probe(gauge, None, move || read(&counters.now()));
    };
    recorder(Gauge::RecorderRows, |now| now.queue_rows as f64);
    recorder(Gauge::RecorderBytes, |now| now.queue_bytes as f64);
    recorder(Gauge::RecorderFacts, |now| now.queue_facts as f64);
    recorder(Gauge::RecorderLag, |now| now.lag_ms as f64 / 1000.0);
    recorder(Gauge::RecorderBatches, |now| now.batches as f64);
    recorder(Gauge::RecorderRetries, |now| now.retries as f64);
    recorder(Gauge::PackedSamples, |now| now.packed_samples as f64);
    recorder(Gauge::PackedBytes, |now| now.packed_bytes as f64);
    recorder(Gauge::PackedChunks, |now| now.packed_chunks as f64);
    recorder(Gauge::ForgottenChunks, |now| now.forgotten_chunks as f64);
    recorder(Gauge::ForgottenRows, |now| now.forgotten_rows as f64);
    recorder(Gauge::ForgottenPartitions, |now| now.forgotten_partitions as f64);
    recorder(Gauge::HistoryFailed, |now| now.history_failed as f64);
    recorder(Gauge::StoreUp, |now| f64::from(u8::from(!now.away)));
    hub_probes(hub);
}

fn hub_probes(hub: &Arc<Hub>) {
    // Weak: the metrics are part of the hub, and a hub that holds itself never ends.
    let probe = |gauge, label, read: fn(&Hub) -> f64| {
        let hub = Arc::downgrade(hub);
        let read = move || hub.upgrade().map_or(0.0, |hub| read(&hub));
        (gauge, label, read)
    };
    for (gauge, label, read) in [
        probe(Gauge::ActiveUsers, None, |hub| hub.directory.subjects() as f64),
        probe(Gauge::QueuedBytes, None, |hub| hub.directory.queued_bytes() as f64),
        probe(Gauge::Gyms, None, |hub| hub.registry.gyms().len() as f64),
        probe(Gauge::Tasks, None, |hub| hub.tasks.len() as f64),
        probe(Gauge::Revocations, None, |hub| hub.verifier.revocations().len() as f64),
    ] {
        hub.metrics.probe(gauge, label, read);
    }
    if hub.config.store.folder().is_some() {
        hub.metrics.probe(Gauge::DiskUsed, None, || crate::transport::http::last_used_part().unwrap_or(f64::NAN));
    }
    for role in protocol::frame::Role::ALL {
        let weak = Arc::downgrade(hub);
        let count = move || weak.upgrade().map_or(0.0, |hub| hub.directory.of_role(role) as f64);
        hub.metrics.probe(Gauge::Sessions, Some(role.name().to_owned()), count);
    }
    for shard in 0..hub.shards.len() {
        let weak = Arc::downgrade(hub);
        let waiting = move || weak.upgrade().map_or(0.0, |hub| hub.shards.inbox(shard).len() as f64);
        hub.metrics.probe(Gauge::ShardInbox, Some(shard.to_string()), waiting);
    }
}

/// The writer as a task.
pub(crate) async fn drive(driver: Driver) {
    let left = driver.run().await;
    if left.rows + left.facts > 0 {
        tracing::warn!(rows.left = left.rows, facts.left = left.facts, "the store did not take everything before the end");
    }
}

/// Everything over HTTP: the API, and the pages where no route is.
pub(crate) fn router(hub: &Arc<Hub>, issuer: Option<Arc<BuiltInIssuer>>) -> Router {
    let api = Api::new(hub.clone(), issuer);
    hub.tasks.spawn("tidy", api.clone().tidy(hub.tasks.stopped()));
    let api = api.router();
    if !hub.config.pages.serve {
        return api;
    }
    let pages = Arc::new(Pages::new(hub.config.pages.folder.clone(), hub.config.listen.tls.is_some()));
    api.fallback(move |request: Request| {
        let pages = pages.clone();
        async move { pages.answer(request.method(), request.uri().path(), request.headers()).await }
    })
}

/// Whether the store answers, as far as the writer knows.
#[must_use]
pub fn store_answers(hub: &Hub) -> bool {
    !hub.store_away.load(Relaxed)
}
