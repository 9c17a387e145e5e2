//! Traces: where the time of a request, a handshake, a batch or a drain went, told to a collector over OTLP/HTTP. Off unless the operator names one.
//!
//! In: spans of the target [`TARGET`], which the places of interest open with `tracing`. Out: batches to the collector, from a bounded queue, each under
//! a deadline; what does not fit or does not arrive is dropped and counted, and nothing waits for it. There is no span per reading or
//! frame, and no span holds a token, a name, an id of a person or a value that a sensor read. Without the feature `otlp` nothing of this is built.

#[cfg(feature = "otlp")]
mod export;
#[cfg(feature = "otlp")]
mod parent;
#[cfg(feature = "otlp")]
mod queue;

#[cfg(feature = "otlp")]
pub use export::{Exporter, Traces, open};
#[cfg(feature = "otlp")]
pub use parent::adopt;

/// The target of every span that is traced; `storage` names its own alike.
pub const TARGET: &str = "spotter_trace";

/// What became of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The collector took it.
    Sent,
    /// The queue was full.
    Dropped,
    /// The collector refused it, or did not answer in time.
    Failed,
}

/// Traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The exporter.
    #[error("the exporter for {endpoint} could not be made: {why}")]
    Exporter {
        /// Where it would have sent to.
        endpoint: String,
        /// Why, in the library's words.
        why: String,
    },
    /// This binary has none.
    #[error("trace.endpoint is set and this binary was built without traces (the feature `otlp`)")]
    NotBuilt,
}

/// A caller's `traceparent` cannot be taken up by a binary that does not trace.
#[cfg(not(feature = "otlp"))]
pub fn adopt(_span: &tracing::Span, _headers: &axum::http::HeaderMap) {}
