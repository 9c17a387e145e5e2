//! What a hub does not say: tokens, names and hearts, in logs and metrics, at any level; nor lines that somebody else wrote. And what it does
//! not start with.
//!
//! A real process with its log in a file, everything turned on, and a run that touches what is secret: log-ins good and bad, a claim, a heart.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use loadtest::bench::{Bench, BenchArgs, NewMachine, Wants, World};
use loadtest::{Options, Peer};
use protocol::frame::{Bind, Claim, ClaimBy, MachineFault, MachineKind, Role, Sample, Severity};
use protocol::text::Text;
use protocol::{CloseReason, Field, MachineId, Reading, RoomName, SeqRanges, ServerFrame};
use serde_json::json;
use tokio::process::Command;
use uuid::Uuid;

use crate::house::bike_hello;

/// A name that nothing else is called.
const HANDLE: &str = "Zyzzogeton";
/// A heart rate that nobody has by chance.
const HEART: i32 = 213;
/// Turns the text red and begins a line of its own.
const FORGED: &str = "E1\u{1b}[31m\nlevel=ERROR forged=true";

fn spotter() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_spotter"))
}

async fn loud(format: &str) -> Bench {
    let args = BenchArgs { hub: None, token_key: None, hub_binary: Some(spotter()), store: "sqlite".to_owned(), quick: true, seed: 1 };
    Bench::start_with(&args, Wants { set: vec!["log.level=trace".to_owned(), format!("log.format={format}")], ..Wants::default() })
        .await
        .expect("the hub starts")
}

/// A member trains; somebody else fails to get in. Answers every token that was shown.
async fn a_run(bench: &Bench) -> Vec<String> {
    let world = World::new(bench).await.expect("a gym");
    let gateway = world.gateways(bench, 1).await.expect("a gateway")[0];
    let member = world.members(bench, 1).await.expect("a member")[0];
    let machine = MachineId(Uuid::now_v7());
    world.machines(bench, &[NewMachine { machine, kind: MachineKind::Bike, gateway }]).await.expect("a machine");
    let service = world.token(bench, Role::Service, Uuid::now_v7());
    let consents = json!({ "processing": true, "health": true, "marketing": false, "wall": true });
    let named = json!({ "items": [{ "member": member, "handle": HANDLE, "consents": consents }] });
    let put = bench.client().put(format!("{}/v1/members", bench.http())).bearer_auth(&service).json(&named).send().await;
    assert!(put.expect("answered").status().is_success());
    let tokens = [world.token(bench, Role::Gateway, gateway.0), world.token(bench, Role::Member, member.0), service];
    let mut link = Peer::connect(&bench.ws_url(), Options::new(&tokens[0])).await.expect("welcome");
    link.send(protocol::frame::MachineHello { machine, ..bike_hello() }).await.expect("sent");
    let code = link.expect("show_code", |frame| if let ServerFrame::ShowCode(show) = frame { Some(show.code.clone()) } else { None }).await;
    let held = SeqRanges::new();
    let bind = Bind {
        slot: 1,
        machine: Some(machine),
        sensor: Text::cut("ftms"),
        boot: 1,
        nonce: 7,
        clock: 0,
        held,
        quirk: None,
        claim_from_seq: None,
    };
    link.send(bind).await.expect("sent");
    let fault = MachineFault { machine, code: Text::cut("E1"), severity: Severity::Notice, subsystem: None, text: Some(Text::cut(FORGED)) };
    link.send(fault).await.expect("sent");
    let mut phone = Peer::connect(&bench.ws_url(), Options::new(&tokens[1]).device(HANDLE)).await.expect("welcome");
    phone.join(RoomName::Member(member)).await.expect("their own");
    let claim = Claim { req: phone.req(), gym: world.gym, by: ClaimBy::Code(code.expect("a code")), hand_over: None };
    phone.send(claim).await.expect("sent");
    link.expect("claim_set", |frame| matches!(frame, ServerFrame::ClaimSet(_)).then_some(())).await.expect("claimed");
    let mut reading = Reading::new();
    reading.set(Field::HeartRate, HEART);
    reading.set(Field::Power, 150);
    link.send(Sample { slot: 1, seq: 1, dev_ms: 1000, reading }).await.expect("sent");
    let stored =
        |frame: &ServerFrame| matches!(frame, ServerFrame::Ack(ack) if ack.acks.iter().any(|of| !of.stored.is_empty())).then_some(());
    link.expect("stored", stored).await.expect("stored");
    // What is no frame is named in the close frame, and there only.
    let mut rude = Peer::connect(&bench.ws_url(), Options::new(&tokens[1]).json()).await.expect("welcome");
    rude.send_bytes(format!("{{\"t\":\"{FORGED}\"").into_bytes()).await.expect("sent");
    rude.expect_close(CloseReason::Malformed).await.expect("closed");
    let forged = format!("{}x", tokens[1]);
    let refused = Peer::connect(&bench.ws_url(), Options::new(&forged)).await.err().and_then(|error| error.close_reason());
    assert_eq!(refused, Some(CloseReason::TokenInvalid));
    let path = format!("{}/v1/gyms?name={HANDLE}&x={}", bench.http(), "%1b%5b31m%0aforged");
    drop(bench.client().get(path).bearer_auth(&forged).header("x-request-id", "a\u{7f}b").send().await);
    phone.close().await.expect("goes");
    link.close().await.expect("goes");
    tokens.into()
}

/// Words of a text, as a person would find them in it.
fn words(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_and_metrics_hold_no_token_no_name_and_no_heart() {
    let mut bench = loud("json").await;
    let tokens = a_run(&bench).await;
    let metrics = bench.client().get(format!("{}/metrics", bench.http())).send().await.expect("answered").text().await.expect("text");
    let log = bench.child().expect("ours").log();
    assert!(log.contains("session ended"), "the log is not loud: {}", bench.log_end());
    for text in [&metrics, &log] {
        for token in &tokens {
            // Header and signature alone would do for somebody who has the rest.
            for part in token.split('.').filter(|part| part.len() > 20) {
                assert!(!text.contains(part), "a part of a token");
            }
        }
        assert!(!text.contains(HANDLE), "a name: {}", line_of(text, HANDLE));
    }
    for line in log.lines() {
        let said: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: no JSON in one line: {line}"));
        let mut fields = said.as_object().expect("an object").clone();
        // Times, in which any number may stand.
        fields.retain(|name, _| name != "timestamp" && name != "duration_ms");
        let rest = serde_json::Value::Object(fields).to_string();
        assert!(!words(&rest).contains("213"), "a heart: {line}");
    }
    let told = metrics.lines().filter(|line| !line.starts_with('#'));
    let labels: String = told.filter_map(|line| line.rsplit_once(' ')).map(|(name, _)| name).collect();
    assert!(!words(&labels).contains("213") && !labels.contains("heart_rate"), "a heart among the labels");
}

fn line_of<'a>(text: &'a str, word: &str) -> &'a str {
    text.lines().find(|line| line.contains(word)).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_of_the_log_is_written_by_the_hub_and_by_nobody_else() {
    let mut bench = loud("text").await;
    a_run(&bench).await;
    let log = bench.child().expect("ours").log();
    assert!(log.contains("session ended"), "the log is not loud: {}", bench.log_end());
    assert!(!log.contains('\u{1b}'), "an escape sequence: {:?}", line_of(&log, "\u{1b}"));
    let levels = ["ERROR", " WARN", " INFO", "DEBUG", "TRACE"];
    for line in log.lines() {
        // A time, then a level.
        let (time, rest) = line.split_once(' ').unwrap_or((line, ""));
        assert!(time.ends_with('Z') && levels.iter().any(|level| rest.trim_start().starts_with(level.trim())), "not of the hub: {line:?}");
    }
    assert!(!log.contains("forged"), "what a peer wrote: {:?}", line_of(&log, "forged"));
}

#[tokio::test]
async fn each_unsafe_switch_keeps_the_process_from_starting_in_production() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = format!("store.url=sqlite:{}", folder.path().join("spotter.db").display());
    for switch in ["built_in_issuer", "open_auth", "token_in_url", "raw_echo", "hs256"] {
        let set = format!("dev.{switch}=true");
        let arguments = ["serve", "--profile", "production", "--set", &store, "--set", "listen.address=127.0.0.1:0", "--set", &set];
        let ends = Command::new(spotter()).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
        let end =
            tokio::time::timeout(Duration::from_secs(20), ends).await.unwrap_or_else(|_| panic!("{switch}: it serves")).expect("started");
        let said = String::from_utf8_lossy(&end.stderr);
        assert!(!end.status.success() && said.contains(&format!("dev.{switch}")), "{switch}: {said}");
    }
    assert!(!folder.path().join("spotter.db").exists(), "a store was made all the same");
}
