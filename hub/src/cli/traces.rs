//! Traces for the life of the process: opened before the log starts, sent by a task beside the node, the last ones after its end.

use anyhow::Context as _;
use hub::tasks::Tasks;
use tracing_subscriber::{Layer, Registry};

/// What sends traces, where they are on.
#[cfg(feature = "otlp")]
pub(crate) struct Tracing(Option<(hub::trace::Traces, hub::trace::Exporter)>);

/// The task that sends.
pub(crate) struct Sending {
    tasks: Tasks,
    patience: std::time::Duration,
}

#[cfg(feature = "otlp")]
impl Tracing {
    /// As configured.
    pub(crate) fn open(config: &config::Trace) -> anyhow::Result<Self> {
        hub::trace::open(config).map(Self).context("traces could not be prepared")
    }

    /// The layer for the log's subscriber.
    pub(crate) fn layer(&self) -> Option<Box<dyn Layer<Registry> + Send + Sync>> {
        self.0.as_ref().map(|(traces, _)| traces.layer().boxed())
    }

    /// Sends from now on, and counts where the node counts.
    pub(crate) fn run(self, node: &hub::Node) -> Sending {
        let sending = Sending { tasks: Tasks::new(), patience: node.hub.config.trace.timeout };
        if let Some((traces, exporter)) = self.0 {
            traces.count_into(&node.hub.metrics);
            let stopped = sending.tasks.stopped();
            sending.tasks.spawn("traces", async move {
                exporter.run(stopped).await;
                drop(traces);
            });
        }
        sending
    }
}

impl Sending {
    /// Sends what waits, within the time of one request.
    pub(crate) async fn finish(self) {
        self.tasks.stop();
        if !self.tasks.wait(self.patience).await.is_empty() {
            tracing::warn!("the last traces were not sent in time");
        }
    }
}

/// Nothing, where the binary was built without.
#[cfg(not(feature = "otlp"))]
pub(crate) struct Tracing;

#[cfg(not(feature = "otlp"))]
impl Tracing {
    pub(crate) fn open(config: &config::Trace) -> anyhow::Result<Self> {
        match config.endpoint {
            Some(_) => Err(hub::trace::TraceError::NotBuilt).context("traces could not be prepared"),
            None => Ok(Self),
        }
    }

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) fn layer(&self) -> Option<Box<dyn Layer<Registry> + Send + Sync>> {
        None
    }

    pub(crate) fn run(self, node: &hub::Node) -> Sending {
        Sending { tasks: Tasks::new(), patience: node.hub.config.trace.timeout }
    }
}
