//! What is shipped in `deploy/` and what the documents say of it: alerts have a runbook entry each, and every metric that is named is counted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Names of metrics as METRICS.md lists them.
fn metrics() -> BTreeSet<String> {
    let rows = read("docs/METRICS.md");
    let names = rows.lines().filter_map(|row| row.strip_prefix("| `")?.split_once('`').map(|(name, _)| name.to_owned()));
    names.collect()
}

/// Words of a text that look like metrics of ours.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = ["spotter_", "process_", "http_request", "database_query", "active_users"];
    words.filter(|word| ours.iter().any(|start| word.starts_with(start)) && !word.ends_with('_')).map(str::to_owned).collect()
}

fn assert_known(text: &str, of: &str) {
    let known = metrics();
    assert!(known.len() > 30, "METRICS.md lists them: {known:?}");
    for name in named(text) {
        let base = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        let label = ["spotter_back"].contains(&name.as_str());
        assert!(known.contains(&name) || known.contains(base) || label, "{of} names `{name}`, which docs/METRICS.md does not have");
    }
}

#[test]
fn each_alert_has_its_entry_in_the_runbook_and_leads_to_it() {
    let alerts = read("deploy/prometheus/alerts.yml");
    let names: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() >= 15, "{names:?}");
    let runbook = read("docs/RUNBOOK.md");
    let entries: Vec<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(names, entries, "alerts and entries, in the same order");
    for (name, rule) in names.iter().zip(alerts.split("- alert: ").skip(1)) {
        let link = format!("runbook: docs/RUNBOOK.md#{}\n", name.to_ascii_lowercase());
        assert!(rule.contains(&link), "{name} does not lead to its entry");
        for part in ["expr: ", "severity: ", "summary: "] {
            assert!(rule.contains(part), "{name} has no {part}");
        }
    }
    for (name, entry) in entries.iter().zip(runbook.split("\n## ").skip(1)) {
        for part in ["**Metric.**", "**Symptom.**", "**Causes.**", "**Action.**"] {
            assert!(entry.contains(part), "{name} has no {part}");
        }
    }
}

#[test]
fn every_metric_that_is_named_anywhere_is_counted() {
    for path in ["deploy/prometheus/alerts.yml", "docs/RUNBOOK.md", "docs/OPERATE.md"] {
        assert_known(&read(path), path);
    }
    let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/grafana/spotter.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = || panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    assert!(targets().count() >= 25);
    for target in targets() {
        let expression = target["expr"].as_str().expect("an expression");
        assert!(!named(expression).is_empty(), "{expression} asks for nothing of ours");
        assert_known(expression, "the dashboard");
    }
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
}

#[test]
fn the_units_verify_where_systemd_can_say_so() {
    let unit = read("deploy/systemd/spotter@.service");
    for line in ["Type=notify", "Sockets=spotter.socket", "NoNewPrivileges=yes", "ProtectSystem=strict", "KillSignal=SIGTERM"] {
        assert!(unit.contains(line), "{line}");
    }
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("systemd-analyze is not here: the units were read and not verified");
        return;
    }
    // Verified as installed, with a binary that is there.
    let folder = tempfile::tempdir().expect("a folder");
    let unit = unit.replace("/usr/local/lib/spotter/%i/spotter", env!("CARGO_BIN_EXE_spotter"));
    std::fs::write(folder.path().join("spotter@.service"), &unit).expect("written");
    std::fs::write(folder.path().join("spotter@blue.service"), unit).expect("written");
    std::fs::write(folder.path().join("spotter.socket"), read("deploy/systemd/spotter.socket")).expect("written");
    std::fs::write(folder.path().join("spotter-listener.service"), read("deploy/systemd/spotter-listener.service")).expect("written");
    let units = ["spotter.socket", "spotter-listener.service", "spotter@blue.service"].map(|name| folder.path().join(name));
    let said = Command::new("systemd-analyze").args(["verify", "--man=no", "--recursive-errors=no"]).args(units).output().expect("it runs");
    let words = String::from_utf8_lossy(&said.stderr);
    let ours: Vec<&str> = words.lines().filter(|line| line.contains("spotter")).collect();
    assert!(ours.is_empty(), "{ours:#?}");
}
