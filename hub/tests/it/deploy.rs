//! What is shipped in `deploy/` and what the documents say of it: alerts have a runbook entry each, and every metric that is named is counted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use config::{Profile, Sources};

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

#[test]
fn the_sample_configuration_holds() {
    let sample = root().join("deploy/spotter.toml");
    let said = Command::new(env!("CARGO_BIN_EXE_spotter")).args(["config", "check", "--config"]).arg(&sample).output().expect("it runs");
    let words = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    assert!(said.status.success() && words.contains("profile production"), "{words}");
    // Somebody can log in, and a backup by hand finds the same store from any folder.
    let config = config::load(&Sources { file: Some(sample), ..Sources::of(Profile::Production) }).expect("it holds");
    assert_eq!(config.auth.issuers.len(), 1);
    assert!(config.store.folder().is_some_and(|folder| folder.is_absolute()));
}

/// The second issuer of the sample, which is commented out, with the key that lies in the folder.
fn own_issuer(folder: &Path) -> String {
    let sample = read("deploy/spotter.toml");
    let (_, own) = sample.split_once("docs/OPERATE.md makes one").expect("the second issuer");
    let lines = own.lines().skip(1).filter_map(|line| line.strip_prefix("# "));
    lines.map(|line| line.replace("/etc/spotter", &folder.display().to_string()) + "\n").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_token_makes_the_first_gym_as_the_manual_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let openssl = |words: &[&str]| Command::new("openssl").args(words).current_dir(folder.path()).output();
    if openssl(&["version"]).is_err() {
        eprintln!("openssl is not here: the first token was not made");
        return;
    }
    for words in
        [&["genpkey", "-algorithm", "ed25519", "-out", "issuer.key"][..], &["pkey", "-in", "issuer.key", "-pubout", "-out", "issuer.pem"]]
    {
        assert!(openssl(words).expect("it runs").status.success(), "{words:?}");
    }
    let file = folder.path().join("spotter.toml");
    std::fs::write(&file, own_issuer(folder.path())).expect("written");
    let store = format!("sqlite:{}", folder.path().join("spotter.db").display());
    let sources = Sources { file: Some(file), ..Sources::of(Profile::Production) };
    let sources = sources.flag("store.url", store, "test").flag("listen.address", "127.0.0.1:0", "test");
    let node = hub::start(config::load(&sources).expect("it holds")).await.expect("the hub starts");
    let token = |role: &[&str]| {
        let script = Command::new(root().join("deploy/first-token"))
            .args(["issuer.key", "https://backend.gym.example/"])
            .args(role)
            .current_dir(folder.path())
            .output();
        let made = script.expect("it runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).expect("text").trim().to_owned()
    };
    let gym = "0199a1b2-0000-7000-8000-00000000000a";
    let put = async |token: String| {
        let body = serde_json::json!({ "items": [{ "gym": gym, "name": "First", "time_zone": "Europe/Rome" }] });
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let answer = client.put(format!("http://{}/v1/gyms", node.address)).bearer_auth(token).json(&body).send().await.expect("answered");
        (answer.status().as_u16(), answer.text().await.expect("words"))
    };
    let (status, words) = put(token(&["operator", "0199a1b2-0000-7000-8000-00000000000d", gym])).await;
    assert_eq!(status, 403, "an operator makes no gyms: {words}");
    let (status, words) = put(token(&[])).await;
    assert!(status == 200 && words.contains("\"stored\":true"), "{status} {words}");
}
