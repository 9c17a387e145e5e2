//! `docs/METRICS.md`, printed from the table.

use std::fmt::Write;

use super::families::{COUNTERS, Described, GAUGES, HISTOGRAMS, Kind};

const HEAD: &str = "# Metrics

Printed from the table in `hub/src/metrics/families.rs` and kept equal by a test: `UPDATE_DOCS=1 cargo test -p hub metrics` writes it anew.
`GET /metrics` answers OpenMetrics text to the networks of `listen.metrics_from`. Every label has a fixed set of values, but for the
routes of the API, which are as many as `openapi.json` lists, and the shards. No label names a person, a token, a gym or a machine.

| name | kind | label | what |
|---|---|---|---|
";

/// The page.
#[must_use]
pub fn document() -> String {
    let mut page = String::from(HEAD);
    for family in COUNTERS.iter().chain(GAUGES).chain(HISTOGRAMS) {
        line(&mut page, family);
    }
    page.push_str("\n## Values of labels\n\n");
    for family in COUNTERS.iter().filter(|family| !family.label.is_empty()) {
        writeln!(page, "- `{}` of `{}`: {}", family.label, shown(family), family.values.join(", ")).expect("a String takes all");
    }
    page
}

fn line(page: &mut String, family: &Described) {
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    writeln!(page, "| `{}` | {kind} | {} | {} |", shown(family), family.label, family.help).expect("a String takes all");
}

/// The name as a query has it.
fn shown(family: &Described) -> String {
    match family.kind {
        Kind::Counter => format!("{}_total", family.name),
        Kind::Gauge | Kind::Histogram => family.name.to_owned(),
    }
}
