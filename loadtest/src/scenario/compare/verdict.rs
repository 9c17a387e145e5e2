//! The figures as JSON, and whether the budgets hold.

use serde_json::{Map, Value, json};

use super::idle::{HUB_TLS, Resident};
use super::rounds::{Compared, Course, HUB, LIMIT, SOCKETIO, Spread, UNWATCHED};
use super::workload::Workload;
use crate::bench::Report;

/// The limit may take this share of Socket.IO's CPU: above it, it would be no limit to measure anybody against.
const LIMIT_OF_SOCKETIO_MAX: f64 = 0.45;
/// Share of what was due that must reach the watchers of hub and limit, or the run measured something else.
const ARRIVED_MIN: f64 = 0.98;

/// Fills the report; budgets are held against figures only where they are measured in full.
pub(super) fn fill(report: &mut Report, quick: bool, resident: Option<&Resident>, compared: &[Compared]) {
    let mut rows = Vec::new();
    if let Some(resident) = resident {
        rows.push(idle_row(resident));
        report.set("sessions", resident.sessions);
        resident.of(HUB).into_iter().for_each(|kib| report.set_rounded("rss_kib_per_session", kib));
        if !quick {
            hold(report, "idle", "KiB a session", resident.of(HUB), Workload::Idle.budget().rss_kib);
        }
    }
    for one in compared {
        rows.push(row(one));
        require_sight(report, one);
        if !quick {
            require_arrival(report, one);
            judge(report, one);
        }
    }
    report.set("compare", rows);
}

fn hold(report: &mut Report, workload: &str, what: &str, found: Option<f64>, most: Option<f64>) {
    if let (Some(found), Some(most)) = (found, most) {
        report.require(found <= most, || format!("{workload}: {found:.3} {what}, at most {most}"));
    }
}

fn require_sight(report: &mut Report, one: &Compared) {
    for course in one.courses.iter().filter(|course| course.name != UNWATCHED) {
        report.require(course.latency().count() > 0, || format!("{}: nothing was seen of {}", one.workload.name(), course.name));
    }
}

fn require_arrival(report: &mut Report, one: &Compared) {
    for course in one.courses.iter().filter(|course| [HUB, LIMIT].contains(&course.name)) {
        let arrived = course.arrived();
        report
            .require(arrived >= ARRIVED_MIN, || format!("{}: {:.1} % arrived from {}", one.workload.name(), arrived * 100.0, course.name));
    }
}

fn judge(report: &mut Report, one: &Compared) {
    let (name, budget) = (one.workload.name(), one.workload.budget());
    let middle = |spread: Option<Spread>| spread.map(|spread| spread.median);
    hold(report, name, "of the limit's CPU", middle(one.ratio(HUB, LIMIT)), budget.limit);
    hold(report, name, "of Socket.IO's CPU", middle(one.ratio(HUB, SOCKETIO)), budget.socketio);
    hold(report, name, "of Socket.IO's bytes", one.bytes_ratio(), budget.bytes);
    if one.workload != Workload::Wall {
        let limit = middle(one.ratio(LIMIT, SOCKETIO));
        hold(report, name, "of Socket.IO's CPU for the limit, which is no limit then", limit, Some(LIMIT_OF_SOCKETIO_MAX));
    }
    if let Some(most) = budget.p99 {
        for course in one.courses.iter().filter(|course| [HUB, SOCKETIO].contains(&course.name)) {
            let found_s = course.latency().quantile_us(0.99) as f64 / 1e6;
            hold(report, name, &format!("s at p99 with {}", course.name), Some(found_s), Some(most.as_secs_f64()));
        }
    }
}

fn idle_row(resident: &Resident) -> Value {
    let ratio = |over: &str| resident.of(HUB).zip(resident.of(over)).map(|(hub, over)| rounded(hub / over));
    let mut row = Map::new();
    row.insert("workload".to_owned(), json!("idle"));
    row.insert("sessions".to_owned(), json!(resident.sessions));
    row.insert("ratio_limit".to_owned(), json!(ratio(LIMIT)));
    row.insert("ratio_socketio".to_owned(), json!(ratio(SOCKETIO)));
    row.insert("budget_rss_kib".to_owned(), json!(Workload::Idle.budget().rss_kib));
    for name in [HUB, HUB_TLS, LIMIT, SOCKETIO] {
        row.insert(name.to_owned(), json!({ "rss_kib_per_session": resident.of(name).map(rounded) }));
    }
    Value::Object(row)
}

fn row(one: &Compared) -> Value {
    let budget = one.workload.budget();
    let spread = |spread: Option<Spread>| spread.map(|spread| [rounded(spread.least), rounded(spread.most)]);
    let (limit, socketio) = (one.ratio(HUB, LIMIT), one.ratio(HUB, SOCKETIO));
    let mut row = Map::new();
    let fields = [
        ("workload", json!(one.workload.name())),
        ("ratio_limit", json!(limit.map(|spread| rounded(spread.median)))),
        ("ratio_socketio", json!(socketio.map(|spread| rounded(spread.median)))),
        ("ratio_limit_spread", json!(spread(limit))),
        ("ratio_socketio_spread", json!(spread(socketio))),
        ("ratio_limit_delivery", json!(one.delivery_ratio().map(|spread| rounded(spread.median)))),
        ("ratio_bytes_socketio", json!(one.bytes_ratio().map(rounded))),
        ("limit_of_socketio", json!(one.ratio(LIMIT, SOCKETIO).map(|spread| rounded(spread.median)))),
        ("budget_limit", json!(budget.limit)),
        ("budget_socketio", json!(budget.socketio)),
        ("budget_bytes_socketio", json!(budget.bytes)),
        ("budget_p99_us", json!(budget.p99.map(|age| age.as_micros() as u64))),
    ];
    row.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    for course in &one.courses {
        row.insert(course.name.to_owned(), figures(one, course));
    }
    Value::Object(row)
}

fn figures(one: &Compared, course: &Course) -> Value {
    let cost = one.cpu(course.name);
    if course.name == UNWATCHED {
        return json!({ "cpu_s_per_million": cost.map(|spread| rounded(spread.median)) });
    }
    let latency = course.latency();
    json!({
        "cpu_s_per_million": cost.map(|spread| rounded(spread.median)),
        "cpu_s_per_million_rounds": course.cpu_s_per_million().into_iter().map(rounded).collect::<Vec<_>>(),
        "bytes_per_delivery": rounded(course.bytes_per_delivery()),
        "arrived": rounded(course.arrived()),
        "p50_us": latency.quantile_us(0.5),
        "p99_us": latency.quantile_us(0.99),
    })
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
