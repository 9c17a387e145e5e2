//! Where log lines go (standard error, as text for a person or one JSON object a line), and spans, where they are traced.

use config::{Log, LogFormat};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::line;

/// Starts logging for the whole process; `traces` hears of spans, whatever the log's level is.
pub(crate) fn start(log: &Log, traces: Option<Box<dyn Layer<Registry> + Send + Sync>>) {
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let filter = line::discreet(filter);
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(line::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match log.format {
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
        LogFormat::Text => lines.compact().with_filter(filter).boxed(),
    };
    // Only a test that started logging before comes here.
    drop(tracing_subscriber::registry().with([Some(lines), traces].into_iter().flatten().collect::<Vec<_>>()).try_init());
}
