//! What a scrape says, and that the page says the same.

use std::collections::BTreeSet;

use super::families::{COUNTERS, GAUGES, HISTOGRAMS};
use super::*;

#[test]
fn a_scrape_tells_what_was_counted() {
    let metrics = Metrics::new();
    metrics.session_opened(Role::Coach);
    metrics.session_closed(Role::Coach, CloseReason::Slow);
    metrics.frames_out(Lane::Live { key: 7 }, 500, 20);
    metrics.dropped(Drop::LiveReplaced, 3);
    metrics.room(Counter::StopUnconfirmed);
    metrics.token_refused(AuthError::Revoked);
    metrics.error(ErrorCode::Draining);
    metrics.samples(|| [9, 8, 2, 0, 0, 0]);
    metrics.probe(Gauge::ShardInbox, Some("1".into()), || 7.0);
    metrics.request(RequestLabels { method: "GET", route: "/v1/gyms/{gym}".into(), status: 200 }, 0.02);
    drop(metrics.database("visits", "visit"));
    let text = metrics.scrape();
    for line in [
        "spotter_sessions_opened_total{role=\"coach\"} 1",
        "spotter_sessions_closed_total{role=\"coach\"} 1",
        "spotter_closes_total{reason=\"slow\"} 1",
        "spotter_frames_out_total{class=\"live\"} 500",
        "spotter_bytes_out_total{class=\"live\"} 10000",
        "spotter_drops_total{what=\"live_replaced\"} 3",
        "spotter_stops_total{result=\"unconfirmed\"} 1",
        "spotter_tokens_refused_total{why=\"revoked\"} 1",
        "spotter_errors_total{code=\"draining\"} 1",
        "spotter_samples_total{outcome=\"held\"} 2",
        "spotter_shard_inbox{shard=\"1\"} 7.0",
        "http_request_duration_seconds_bucket{le=\"0.025\",method=\"GET\",route=\"/v1/gyms/{gym}\",status=\"200\"} 1",
        "database_query_duration_seconds_count{operation=\"visits\",table=\"visit\"} 1",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} is missing in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn every_family_of_the_table_is_in_a_scrape_and_no_other() {
    let metrics = Metrics::new();
    metrics.request(RequestLabels { method: "GET", route: "/".into(), status: 200 }, 0.0);
    drop(metrics.database("visits", "visit"));
    let text = metrics.scrape();
    let told: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let table: BTreeSet<&str> = COUNTERS.iter().chain(GAUGES).chain(HISTOGRAMS).map(|family| family.name).collect();
    assert_eq!(told, table);
}

#[test]
fn series_stay_few_whatever_happens() {
    let metrics = Metrics::new();
    for role in Role::ALL {
        for reason in CloseReason::ALL {
            metrics.session_closed(role, *reason);
        }
    }
    let series = metrics.scrape().lines().filter(|line| !line.starts_with('#')).count();
    assert!(series < 250, "{series}");
}

#[test]
fn all_words_of_refused_tokens_are_in_the_table() {
    for error in [
        AuthError::Malformed(""),
        AuthError::UnknownIssuer,
        AuthError::UnknownKey,
        AuthError::Algorithm,
        AuthError::Signature,
        AuthError::Audience,
        AuthError::Expired,
        AuthError::NotYet,
        AuthError::Claim(""),
        AuthError::Role,
        AuthError::Revoked,
    ] {
        assert!(families::TOKEN_REFUSALS.contains(&error.name()), "{error:?}");
    }
}

#[test]
fn the_process_knows_itself() {
    let text = Metrics::new().scrape();
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
    assert!(value("process_resident_memory_bytes").is_some_and(|bytes| bytes > 1e6));
    assert!(value("process_open_fds").is_some_and(|count| count >= 3.0));
    let (open, most) = (value("process_open_fds"), value("process_max_fds"));
    assert!(most > open && open > Some(0.0), "{open:?} of {most:?}");
    assert!(value("process_cpu_seconds_total").is_some());
    assert!(value("spotter_uptime_seconds").is_some());
}

#[test]
fn totals_that_others_count_are_counters() {
    let metrics = Metrics::new();
    metrics.probe(Gauge::RecorderRetries, None, || 3.0);
    metrics.probe(Gauge::RecorderRows, None, || 5.0);
    let text = metrics.scrape();
    for line in [
        "# TYPE spotter_recorder_retries counter",
        "spotter_recorder_retries_total 3.0",
        "# TYPE spotter_recorder_queue_rows gauge",
        "spotter_recorder_queue_rows 5.0",
    ] {
        assert!(text.lines().any(|is| is == line), "{line} is missing");
    }
    // What is told as "since the start" only grows.
    let grows = |family: &&Described| family.help.contains("since the start") && family.kind != Kind::Counter;
    assert!(GAUGES.iter().find(grows).is_none());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test's own switch")]
fn the_page_is_the_table() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/METRICS.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(file, document()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), document(), "run with UPDATE_DOCS=1");
}
