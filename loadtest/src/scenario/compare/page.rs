//! One page with the curves: plain HTML and SVG, nothing fetched, light and dark.
//!
//! In: figures. Out: text. For each workload the CPU of a delivery round by round with the budgets as lines, and what share of deliveries came
//! within which time.

use std::fmt::Write as _;

use super::idle::{HUB_TLS, Resident};
use super::rounds::{Compared, Course, HUB, LIMIT, SOCKETIO, UNWATCHED};
use super::workload::{Size, Workload};

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 220.0;
/// Room for numbers left of and below a chart.
const LEFT: f64 = 48.0;
const BELOW: f64 = 24.0;
/// Shares whose times a curve goes through.
const SHARES: [f64; 9] = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999];

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c2430; --paper: #ffffff; --grid: #d7dce3; --quiet: #5b6675;
  --hub: #0a6cd6; --hub_unwatched: #7a5cc8; --limit: #3c8c3c; --socketio: #c2571a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --paper: #14181e; --grid: #333b46; --quiet: #9aa5b4;
  --hub: #5aa9ff; --hub_unwatched: #b39cf5; --limit: #7ccf7c; --socketio: #f29a5c; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } th, td { text-align: right; padding: .2rem .8rem .2rem 0; } th:first-child, td:first-child { text-align: left; }
figure { display: inline-block; margin: 1rem 1rem 0 0; } figcaption { color: var(--quiet); font-size: 13px; }
svg { max-width: 100%; } svg text { font: 11px system-ui, sans-serif; fill: var(--quiet); }
.grid { stroke: var(--grid); } .curve { fill: none; stroke-width: 2; } .budget { stroke: var(--quiet); stroke-dasharray: 4 4; }
";

/// The page.
pub(super) fn page(resident: Option<&Resident>, compared: &[Compared]) -> String {
    let mut body = String::new();
    if let Some(resident) = resident {
        body.push_str(&idle(resident));
    }
    for one in compared {
        let name = one.workload.name();
        let (Size { rooms, hz, watchers }, rounds) = (one.size, one.courses.first().map_or(0, |course| course.samples.len()));
        let layout = format!("{rooms} sources at {hz} Hz, {watchers} watchers each, {rounds} rounds");
        let charts = cost_chart(one) + &latency_chart(one);
        write!(body, "<h2>{name}</h2><p>{layout}</p>{}{}{charts}", legend(one), table(one)).ok();
    }
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>loadtest compare</title><style>{STYLE}</style><h1>The hub, the limit, and Socket.IO</h1>\
         <p>The same work in one run, each server a process of its own, in turns. What is sent: docs/LOADTEST.md.</p>{body}</html>\n"
    )
}

fn idle(resident: &Resident) -> String {
    let row = |name: &str| resident.of(name).map_or_else(String::new, |kib| format!("<tr><td>{name}</td><td>{kib:.2}</td></tr>"));
    let rows: String = [HUB, HUB_TLS, LIMIT, SOCKETIO].into_iter().map(row).collect();
    let most = Workload::Idle.budget().rss_kib.unwrap_or_default();
    format!(
        "<h2>idle</h2><p>{} sessions on each; the hub may take {most} KiB without TLS.</p>\
         <table><tr><th>server</th><th>resident KiB a session</th></tr>{rows}</table>",
        resident.sessions
    )
}

fn legend(one: &Compared) -> String {
    let names = one.courses.iter().map(|course| format!("<span style=\"color:var(--{0})\">&#9632; {0}</span>", course.name));
    format!("<p>{}</p>", names.collect::<Vec<_>>().join(" &nbsp; "))
}

fn table(one: &Compared) -> String {
    let row = |course: &Course| {
        let cost = one.cpu(course.name).map_or(0.0, |spread| spread.median);
        let share = one.ratio(HUB, course.name).map_or(0.0, |spread| spread.median);
        if course.name == UNWATCHED {
            return format!("<tr><td>{}</td><td>{cost:.2}</td><td></td><td></td><td></td><td></td></tr>", course.name);
        }
        let latency = course.latency();
        let ms = |share: f64| latency.quantile_us(share) as f64 / 1_000.0;
        format!(
            "<tr><td>{}</td><td>{cost:.2}</td><td>{share:.3}</td><td>{:.1}</td><td>{:.2}</td><td>{:.2}</td></tr>",
            course.name,
            course.bytes_per_delivery(),
            ms(0.5),
            ms(0.99)
        )
    };
    let rows: String = one.courses.iter().map(row).collect();
    format!(
        "<table><tr><th>server</th><th>CPU s a million</th><th>hub takes of it</th><th>bytes a delivery</th><th>p50 ms</th>\
         <th>p99 ms</th></tr>{rows}</table>"
    )
}

/// CPU a delivery by round.
fn cost_chart(one: &Compared) -> String {
    let curves: Vec<(&str, Vec<f64>)> = one.courses.iter().map(|course| (course.name, course.cpu_s_per_million())).collect();
    let most = curves.iter().flat_map(|(_, values)| values).fold(0.0, |most: f64, value| most.max(*value)) * 1.1;
    let rounds = curves.first().map_or(0, |(_, values)| values.len());
    let x = |round: usize| LEFT + (WIDTH - LEFT) * if rounds > 1 { round as f64 / (rounds - 1) as f64 } else { 0.5 };
    let y = |value: f64| (HEIGHT - BELOW) * (1.0 - value / most.max(f64::MIN_POSITIVE));
    let mut svg = String::new();
    for part in 0..=4 {
        let value = most * f64::from(part) / 4.0;
        grid_line(&mut svg, y(value), &format!("{value:.1}"));
    }
    for (over, share) in [(LIMIT, one.workload.budget().limit), (SOCKETIO, one.workload.budget().socketio)] {
        if let (Some(cost), Some(share)) = (one.cpu(over), share) {
            let at = y(cost.median * share);
            let words = format!("{share} x {over}");
            write!(svg, "<line class=\"budget\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>").ok();
            write!(svg, "<text x=\"{WIDTH}\" y=\"{:.1}\" text-anchor=\"end\">{words}</text>", at - 4.0).ok();
        }
    }
    for (name, values) in &curves {
        curve(&mut svg, name, values.iter().enumerate().map(|(round, value)| (x(round), y(*value))));
    }
    figure(&svg, "CPU seconds for a million deliveries, round by round; dashed: budgets")
}

/// Time on a scale of powers of ten, against the share that came by then.
fn latency_chart(one: &Compared) -> String {
    let curves: Vec<(&str, Vec<f64>)> = one
        .courses
        .iter()
        .filter(|course| course.name != UNWATCHED)
        .map(|course| {
            let latency = course.latency();
            (course.name, SHARES.iter().map(|share| (latency.quantile_us(*share).max(1) as f64).log10()).collect())
        })
        .collect();
    let all = || curves.iter().flat_map(|(_, values)| values.iter().copied());
    let (low, high) = (all().fold(6.0, f64::min).floor(), all().fold(2.0, f64::max).ceil());
    let x = |at: usize| LEFT + (WIDTH - LEFT) * at as f64 / (SHARES.len() - 1) as f64;
    let y = |value: f64| (HEIGHT - BELOW) * (1.0 - (value - low) / (high - low).max(1.0));
    let mut svg = String::new();
    for power in low as i32..=high as i32 {
        grid_line(&mut svg, y(f64::from(power)), &format!("{} ms", 10_f64.powi(power) / 1_000.0));
    }
    for (at, share) in SHARES.iter().enumerate().step_by(2) {
        write!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{} %</text>", x(at), HEIGHT - 6.0, share * 100.0).ok();
    }
    for (name, values) in &curves {
        curve(&mut svg, name, values.iter().enumerate().map(|(at, value)| (x(at), y(*value))));
    }
    figure(&svg, "from leaving to arriving: the share of deliveries that came within a time")
}

fn grid_line(svg: &mut String, y: f64, words: &str) {
    write!(svg, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>").ok();
    write!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{words}</text>", LEFT - 6.0, y + 4.0).ok();
}

fn curve(svg: &mut String, name: &str, points: impl Iterator<Item = (f64, f64)>) {
    let points: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    write!(svg, "<polyline class=\"curve\" style=\"stroke:var(--{name})\" points=\"{}\"/>", points.join(" ")).ok();
    for point in &points {
        let (x, y) = point.split_once(',').unwrap_or_default();
        write!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"2.5\" style=\"fill:var(--{name})\"/>").ok();
    }
}

fn figure(svg: &str, caption: &str) -> String {
    let (width, height) = (WIDTH + 8.0, HEIGHT + 8.0);
    format!(
        "<figure><svg width=\"{width}\" height=\"{height}\" viewBox=\"0 -8 {width} {height}\" role=\"img\" aria-label=\"{caption}\">{svg}</svg>\
         <figcaption>{caption}</figcaption></figure>"
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::audience::Tally;
    use super::super::contender::Sample;
    use super::*;

    #[test]
    fn the_page_stands_alone_and_draws_each_server() {
        let mut tally = Tally::default();
        tally.latency.add(Duration::from_millis(3));
        let sample = Sample { cpu_s: 0.5, deliveries: 100_000, due: 100_000, tally };
        let courses = [HUB, LIMIT, SOCKETIO].map(|name| Course { name, samples: vec![sample.clone(); 3] }).to_vec();
        let size = Size::of(Workload::Fanout, true);
        let page = page(None, &[Compared { workload: Workload::Fanout, size, courses }]);
        assert_eq!(page.matches("<polyline").count(), 6);
        assert!(!page.contains("http") && !page.contains("NaN") && !page.contains("inf"), "{page}");
    }
}
